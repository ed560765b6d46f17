//! The kind `tcp`: connects to a port, over TLS if wanted, says something and waits for an answer.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Failure, FailureKind, Phase, Stream, Trace};

use super::http::contains;
use super::socket::{FAMILY_KEY, Goal, Protocol, SocketCheck, family, shown};
use super::{Checker, Kind, Tools, tls};

/// Most bytes that are read in search of what is expected.
const MAX_READ: usize = 64 * 1024;

const KEYS: &[Key] = &[
    key("target", "", "target = \"db.internal:5432\"", "Where to: host and port."),
    key("tls", "false", "tls = true", "Whether to speak TLS."),
    key("send", "nothing", "send = \"PING\\r\\n\"", "What to say once connected."),
    key(
        "expect",
        "nothing",
        "expect = \"PONG\"",
        "A text that must be in the first 64 KiB that the target says, or the check fails with `unexpected-body`.",
    ),
    FAMILY_KEY,
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Tcp;

impl Kind for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn summary(&self) -> &'static str {
        "connects to a port; may say something and wait for an answer"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mail"
kind = "tcp"
target = "mail.example.com:25"
expect = "220 "
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("target") {
            reader.missing("target", problems);
        }
        let target = reader.parsed("target", problems, |text| {
            host_and_port(&text.value).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no host and port (expected for example `db.internal:5432` or `[::1]:22`)")
            })
        });
        let wants_tls = reader.boolean("tls", problems).unwrap_or(false);
        let settings = tls::read(reader, tools, problems);
        let send = reader.text("send", problems).map(|text| text.value.into_bytes());
        let expect = reader.text("expect", problems).map(|text| text.value);
        let family = family(reader, problems);
        let (host, port) = target?;
        let settings = settings?;
        let goal = Goal { host, port, family, tls: wants_tls.then_some(settings) };
        Some(Arc::new(SocketCheck {
            client: tools.client.clone(),
            facts: Facts { target: Some(goal.name()), port, plugin: None },
            goal,
            protocol: Talk { send: send.unwrap_or_default(), expect },
        }))
    }
}

/// Reads `name:port`, `address:port` or `[address]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let name = !host.is_empty() && host.len() <= 253 && host.bytes().all(fits);
    let inner = host.trim_matches(['[', ']']);
    let address = bracketed && inner.parse::<std::net::Ipv6Addr>().is_ok();
    (name || address).then(|| (host.to_owned(), port))
}

struct Talk {
    send: Vec<u8>,
    expect: Option<String>,
}

impl Protocol for Talk {
    const ALPN: &'static [&'static [u8]] = &[];

    fn talk<'a>(
        &'a self,
        stream: Stream,
        goal: &'a Goal,
        trace: &'a mut Trace,
    ) -> BoxFuture<'a, Result<Report, Failure>> {
        self.hear(stream, goal.name(), trace).boxed()
    }
}

impl Talk {
    async fn hear(
        &self,
        mut stream: Stream,
        name: String,
        trace: &mut Trace,
    ) -> Result<Report, Failure> {
        let mut heard = Vec::new();
        let mut found = self.expect.is_none();
        let doing = || format!("waiting for an answer from `{name}`");
        let talk = async {
            let broke = |error| Failure::from_io(&error, &name);
            if !self.send.is_empty() {
                stream.write_all(&self.send).await.map_err(broke)?;
                stream.flush().await.map_err(broke)?;
            }
            let Some(expect) = &self.expect else { return Ok(()) };
            while !found && heard.len() < MAX_READ {
                let begin = heard.len().saturating_sub(expect.len());
                let mut piece = (&mut stream).take((MAX_READ - heard.len()) as u64);
                if piece.read_buf(&mut heard).await.map_err(broke)? == 0 {
                    break;
                }
                found = contains(&heard[begin..], expect.as_bytes());
            }
            Ok(())
        };
        let talked = trace.stage(Phase::Wait, doing, talk).await;
        if let Some(expect) = &self.expect
            && !found
        {
            let ended = match &talked {
                Ok(()) if heard.len() >= MAX_READ => "the first 64 KiB".to_owned(),
                Ok(()) => "all that came before the connection was closed".to_owned(),
                Err(failure) if failure.kind == FailureKind::Timeout && !heard.is_empty() => {
                    "all that came in time".to_owned()
                }
                Err(failure) => return Err(failure.clone()),
            };
            if heard.is_empty() {
                let message = format!(
                    "`{name}` closed the connection without a word (expected `{}`)",
                    shown(expect.as_bytes())
                );
                return Err(Failure::new(FailureKind::Closed, message));
            }
            let message = format!(
                "{ended} does not contain `{}`: `{}`",
                shown(expect.as_bytes()),
                shown(&heard)
            );
            return Ok(Report::fail(FailReason::UnexpectedBody, message));
        }
        talked?;
        let message = match self.expect {
            Some(_) => format!("answered `{}`", shown(&heard)),
            None => "connected".to_owned(),
        };
        Ok(Report::new(Answer::Pass, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_host_and_a_port() {
        let read = |text| host_and_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("db.internal:5432").as_deref(), Some("db.internal 5432"));
        assert_eq!(read("[::1]:22").as_deref(), Some("[::1] 22"));
        for bad in ["", "db", "db:", ":1", "db:0", "db:65536", "::1:22", "[db]:1", "a b:1", "a/b:1"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
