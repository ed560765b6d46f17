//! The kind `ssh`: reads how an SSH server introduces itself; no keys are exchanged.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Report};

use super::script::pattern;
use super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, family, target,
};
use super::wire::{Trouble, Wire, said};
use super::{Checker, Kind, Tools};

/// Most lines that may come before the introduction (RFC 4253 allows them).
const MAX_LINES: usize = 50;

/// Longest of them, in bytes; the introduction itself has at most 255.
const MAX_LINE: u64 = 1024;

/// How we introduce ourselves, so that the server's log says who came.
const OURS: &[u8] = b"SSH-2.0-wellcheck\r\n";

const KEYS: &[Key] = &[
    key("target", "", "target = \"bastion.internal:22\"", "Where to: host and port."),
    key(
        "expect",
        "anything",
        "expect = '^SSH-2\\.0-OpenSSH_(9|1\\d)'",
        "A regular expression that the server's introduction must match, or the check fails with `unexpected-body`.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact(
        "banner",
        Shape::Text,
        "How the server introduces itself: `SSH-2.0-OpenSSH_9.2p1 Debian-2`.",
    ),
    fact("protocol", Shape::Text, "The version of the protocol within it: `2.0`."),
    fact("software", Shape::Text, "The software within it: `OpenSSH_9.2p1`."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Ssh;

impl Kind for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn summary(&self) -> &'static str {
        "reads how an SSH server introduces itself"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "bastion"
kind = "ssh"
target = "bastion.internal:22"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let target = target(reader, problems);
        let expect = reader.parsed("expect", problems, pattern);
        let family = family(reader, problems);
        let (host, port) = target?;
        let goal = Goal::new(host, port, family, Security::Plain);
        Some(Arc::new(SocketCheck::new(&tools.client, goal, Talk { expect })))
    }
}

struct Talk {
    expect: Option<regex::bytes::Regex>,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        async move {
            let name = session.goal().name.as_str();
            let stream = session.open(&[]).await?;
            let mut wire = Wire::new(stream, name);
            let introduced = introduction(&mut wire);
            let banner = session.wait("waiting for the introduction of", introduced).await?;
            let shown = said(banner.as_bytes());
            session.put("banner", banner.as_str());
            session.detail("banner", shown.clone());
            let (protocol, software) = split(&banner).ok_or_else(|| {
                Trouble::protocol(format!(
                    "`{name}` introduces itself as `{shown}`, which names no software"
                ))
            })?;
            session.put("protocol", protocol);
            session.put("software", software);
            // `1.99` speaks both.
            if !matches!(protocol, "2.0" | "1.99") {
                let message =
                    format!("`{name}` speaks SSH {} (expected 2.0)", said(protocol.as_bytes()));
                return Err(Trouble::protocol(message));
            }
            if let Some(expect) = &self.expect
                && !expect.is_match(banner.as_bytes())
            {
                let message = format!("the introduction `{shown}` does not match `{expect}`");
                return Err(Trouble::Answer(FailReason::UnexpectedBody, message));
            }
            Ok(Report::new(Answer::Pass, format!("introduced itself as `{shown}`")))
        }
        .boxed()
    }
}

/// Reads up to the line that begins with `SSH-`, and answers it.
async fn introduction(wire: &mut Wire<'_>) -> Result<String, Trouble> {
    let name = wire.name();
    for _ in 0..MAX_LINES {
        let Some(line) = wire.line(MAX_LINE).await? else { break };
        if line.starts_with(b"SSH-") {
            let _ = wire.write(OURS).await;
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
    Err(Trouble::protocol(format!("`{name}` does not speak SSH")))
}

/// Protocol and software of `SSH-protocol-software comments`.
fn split(banner: &str) -> Option<(&str, &str)> {
    let (protocol, rest) = banner.strip_prefix("SSH-")?.split_once('-')?;
    let software = rest.split(' ').next().filter(|software| !software.is_empty())?;
    Some((protocol, software))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_names_protocol_and_software() {
        assert_eq!(split("SSH-2.0-OpenSSH_9.2p1 Debian-2"), Some(("2.0", "OpenSSH_9.2p1")));
        assert_eq!(split("SSH-1.99-Cisco-1.25"), Some(("1.99", "Cisco-1.25")));
        for bad in ["SSH-2.0", "SSH-2.0-", "SSH-", "SSH-2.0- x"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
