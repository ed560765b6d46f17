//! The kind `imap`: greets a server of mailboxes, over TLS if wanted, and may log in.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::FactKey;
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_net::{Failure, FailureKind};

use super::script::pattern;
use super::smtp::{BANNER, CAPABILITIES, Login, PASSWORD_KEY, Settings, USER_KEY};
use super::socket::{self, FAMILY_KEY, Protocol, Security, Session, SocketCheck};
use super::starttls::{answered, line, refused};
use super::tls;
use super::wire::{Trouble, Wire, said};
use super::{Checker, Kind, Tools};

/// Most lines that come before the answer to a command.
const MAX_LINES: usize = 200;

const KEYS: &[Key] = &[
    key("target", "", "target = \"mail.example.com:143\"", "Where to: host and port."),
    key("tls", "false", "tls = true", "Whether to speak TLS from the first byte, as on port 993."),
    key(
        "starttls",
        "false",
        "starttls = true",
        "Whether to ask for TLS and begin with it; a server that does not want to fails with `tls`.",
    ),
    key(
        "expect",
        "anything",
        "expect = 'Dovecot.* ready'",
        "A regular expression that the text of the server's greeting must match, or the check fails with `unexpected-body`.",
    ),
    USER_KEY,
    PASSWORD_KEY,
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[BANNER, CAPABILITIES];

/// See the module.
#[derive(Debug)]
pub(crate) struct Imap;

impl Kind for Imap {
    fn name(&self) -> &'static str {
        "imap"
    }

    fn summary(&self) -> &'static str {
        "greets a server of mailboxes, over TLS if wanted; may log in"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS, tls::DAYS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mailboxes"
kind = "imap"
target = "mail.example.com:993"
tls = true
certificate-days = 14
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let settings = Settings::read(reader, tools, problems);
        let expect = reader.parsed("expect", problems, pattern);
        let Settings { goal, login } = settings?;
        let redactor = login.as_ref().map(Login::redactor).unwrap_or_default();
        let check = SocketCheck::new(&tools.client, goal, Talk { expect, login });
        Some(Arc::new(SocketCheck { redactor, ..check }))
    }
}

struct Talk {
    expect: Option<regex::bytes::Regex>,
    login: Option<Login>,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        self.converse(session).boxed()
    }
}

impl Talk {
    async fn converse(&self, session: &mut Session<'_>) -> Result<Report, Trouble> {
        let name = session.goal().name.as_str();
        let stream = session.open(&[]).await?;
        let mut wire = Wire::new(stream, name);
        let banner = session.wait("waiting for the greeting of", greeting(&mut wire)).await?;
        session.put("banner", banner.as_str());
        session.detail("banner", said(banner.as_bytes()));
        if let Some(expect) = &self.expect
            && !expect.is_match(banner.as_bytes())
        {
            let banner = said(banner.as_bytes());
            let message = format!("the greeting `{banner}` does not match `{expect}`");
            return Err(Trouble::Answer(FailReason::UnexpectedBody, message));
        }
        let doing = "waiting for the capabilities of";
        let mut able = session.wait(doing, capabilities(&mut wire)).await?;
        if let Security::Later(_) = session.goal().security {
            if !able.iter().any(|word| word.eq_ignore_ascii_case("STARTTLS")) {
                session.put("capabilities", able);
                let message = format!("`{name}` does not offer STARTTLS");
                return Err(Failure::new(FailureKind::TlsProtocol, message).into());
            }
            session.negotiate(starttls(&mut wire)).await?;
            let stream = session.secure(wire.into_plain()?, &[]).await?;
            wire = Wire::new(stream, name);
            // What was said before TLS does not count.
            able = session.wait(doing, capabilities(&mut wire)).await?;
        }
        session.put("capabilities", able);
        if let Some(login) = &self.login {
            session.wait("logging in at", log_in(&mut wire, login)).await?;
        }
        // Manners: whether it hears that is of no interest.
        let _ = session.wait("taking leave of", wire.write(b"a4 LOGOUT\r\n")).await;
        let done = if self.login.is_some() { "logged in" } else { "greeted" };
        let message = format!("{done}: `{}`", said(banner.as_bytes()));
        Ok(Report::new(Answer::Pass, message))
    }
}

/// The text that the server begins with.
pub(super) async fn greeting(wire: &mut Wire<'_>) -> Result<String, Trouble> {
    let line = line(wire).await?;
    if let Some(text) = line.strip_prefix(b"* OK ").or_else(|| line.strip_prefix(b"* PREAUTH ")) {
        return Ok(String::from_utf8_lossy(text).into_owned());
    }
    if line.starts_with(b"* BYE") {
        return Err(answered(wire.name(), "the connection", &line));
    }
    Err(Trouble::protocol(format!("`{}` does not speak IMAP", wire.name())))
}

/// The end of a command.
struct Done {
    is_ok: bool,
    /// Without the tag.
    text: Vec<u8>,
    untagged: Vec<Vec<u8>>,
}

/// Says something and waits for what comes of it; `tag` tells answers apart.
async fn command(wire: &mut Wire<'_>, tag: &str, text: &str) -> Result<Done, Trouble> {
    wire.write(format!("{tag} {text}\r\n").as_bytes()).await?;
    let mut untagged = Vec::new();
    while untagged.len() < MAX_LINES {
        let line = line(wire).await?;
        if let Some(rest) = line.strip_prefix(tag.as_bytes()).and_then(|l| l.strip_prefix(b" ")) {
            let is_ok = rest.get(..2).is_some_and(|word| word.eq_ignore_ascii_case(b"OK"));
            return Ok(Done { is_ok, text: rest.to_vec(), untagged });
        }
        if !line.starts_with(b"* ") {
            break;
        }
        untagged.push(line);
    }
    Err(Trouble::protocol(format!("`{}` does not speak IMAP", wire.name())))
}

/// What the server can do.
async fn capabilities(wire: &mut Wire<'_>) -> Result<Vec<String>, Trouble> {
    let done = command(wire, "a1", "CAPABILITY").await?;
    if !done.is_ok {
        return Err(answered(wire.name(), "CAPABILITY", &done.text));
    }
    let listed = done.untagged.iter().find_map(|line| line.strip_prefix(b"* CAPABILITY "));
    let text = String::from_utf8_lossy(listed.unwrap_or_default()).into_owned();
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Asks for TLS.
pub(super) async fn starttls(wire: &mut Wire<'_>) -> Result<(), Trouble> {
    let done = command(wire, "a2", "STARTTLS").await?;
    match done.is_ok {
        true => Ok(()),
        false => Err(refused(wire.name(), &said(&done.text))),
    }
}

async fn log_in(wire: &mut Wire<'_>, login: &Login) -> Result<(), Trouble> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let text = format!("LOGIN {} {}", quoted(&login.user), quoted(&login.password));
    let done = command(wire, "a3", &text).await?;
    match done.is_ok {
        true => Ok(()),
        false => Err(Trouble::login(said(&done.text))),
    }
}
