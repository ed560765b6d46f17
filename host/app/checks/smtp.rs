//! The kind `smtp`: greets a mail server, over TLS if wanted, and may log in; nothing is sent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_core::redact::Redactor;
use wellcheck_net::{Failure, FailureKind};

use super::script::pattern;
use super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, TARGET_KEY, family, target,
};
use super::starttls::{answered, line, refused};
use super::tls::{self, Days};
use super::wire::{Trouble, Wire, said};
use super::{Checker, Kind, Tools};

/// What we call ourselves where nothing else is said.
pub(super) const HELLO: &str = "wellcheck.invalid";

/// Most lines of one reply.
const MAX_LINES: usize = 100;

const KEYS: &[Key] = &[
    key("target", "", "target = \"mail.example.com:25\"", "Where to: host and port."),
    key("tls", "false", "tls = true", "Whether to speak TLS from the first byte, as on port 465."),
    key(
        "starttls",
        "false",
        "starttls = true",
        "Whether to ask for TLS and begin with it; a server that does not want to fails with `tls`.",
    ),
    key(
        "hello",
        "\"wellcheck.invalid\"",
        "hello = \"probe.example.com\"",
        "The name to greet with; some servers look at it.",
    ),
    key(
        "expect",
        "anything",
        "expect = '^\\S+ ESMTP'",
        "A regular expression that the text of the server's greeting must match, or the check fails with `unexpected-body`.",
    ),
    USER_KEY,
    PASSWORD_KEY,
    FAMILY_KEY,
];

/// Shared with `imap`.
pub(super) const USER_KEY: Key =
    key("user", "no login", "user = \"probe@example.com\"", "Whom to log in as.");

/// Likewise.
pub(super) const PASSWORD_KEY: Key =
    key("password", "none", "password = \"${MAIL_PASSWORD}\"", "The password of `user`.");

const FACTS: &[FactKey] = &[BANNER, CAPABILITIES];

/// Shared with `imap`.
pub(super) const BANNER: FactKey =
    fact("banner", Shape::Text, "The text of the server's greeting, without its code.");

/// Likewise.
pub(super) const CAPABILITIES: FactKey = fact(
    "capabilities",
    Shape::Texts,
    "What the server says that it can do, in its own words, after TLS has begun if it does.",
);

/// See the module.
#[derive(Debug)]
pub(crate) struct Smtp;

impl Kind for Smtp {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn summary(&self) -> &'static str {
        "greets a mail server, over TLS if wanted; may log in"
    }

    fn target_key(&self) -> &'static str {
        TARGET_KEY.name
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS, tls::DAYS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mail-out"
kind = "smtp"
target = "mail.example.com:587"
starttls = true
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
        let hello = reader.parsed("hello", problems, |text| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
            match !text.value.is_empty() && text.value.bytes().all(fits) {
                true => Ok(text.value.clone()),
                false => Err("it is no name (expected for example `probe.example.com`)".to_owned()),
            }
        });
        let hello = hello.unwrap_or_else(|| HELLO.to_owned());
        let expect = reader.parsed("expect", problems, pattern);
        let Settings { goal, login } = settings?;
        let redactor = login.as_ref().map(Login::redactor).unwrap_or_default();
        let check = SocketCheck::new(&tools.client, goal, Talk { hello, expect, login });
        Some(Arc::new(SocketCheck { redactor, ..check }))
    }
}

/// What `smtp` and `imap` have in common.
pub(super) struct Settings {
    pub(super) goal: Goal,
    pub(super) login: Option<Login>,
}

/// Who to log in as.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Login {
    /// Takes the password out of what the server says, also in the form in which it is sent.
    pub(super) fn redactor(&self) -> Redactor {
        let plain = self.plain();
        let alone = STANDARD.encode(&self.password);
        Redactor::new([self.password.as_str(), plain.as_str(), alone.as_str()])
    }

    /// The message of the mechanism PLAIN.
    fn plain(&self) -> String {
        STANDARD.encode(format!("\0{}\0{}", self.user, self.password))
    }
}

impl Settings {
    pub(super) fn read(
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Self> {
        let target = target(reader, problems);
        let direct = reader.boolean("tls", problems).unwrap_or(false);
        let later_place = reader.place_of("starttls");
        let later = reader.boolean("starttls", problems).unwrap_or(false);
        let settings = tls::read(reader, tools, problems);
        let days = Days::read(reader, problems);
        let family = family(reader, problems);
        if direct && later {
            let message =
                format!("{} has `tls` and `starttls` (expected one or the other)", reader.what());
            problems.error(&later_place, message);
        }
        let login = login(reader, problems);
        if login.is_some() && !direct && !later {
            let place = reader.place_of("password");
            let message = format!(
                "{} sends its password in the clear (expected `starttls = true` or `tls = true` beside it)",
                reader.what()
            );
            problems.warning(&place, message);
        }
        let (host, port) = target?;
        let security = match settings? {
            settings if direct => Security::Direct(settings),
            settings if later => Security::Later(settings),
            _ => Security::Plain,
        };
        Some(Self { goal: Goal::new(host, port, family, security).with_days(days), login })
    }
}

fn login(reader: &mut Reader, problems: &mut Problems) -> Option<Login> {
    let had = (reader.has("user"), reader.has("password"));
    if had.0 != had.1 {
        let (one, other) = if had.0 { ("user", "password") } else { ("password", "user") };
        let place = reader.place_of(one);
        let message = format!("{} has `{one}` and no `{other}`", reader.what());
        problems.error(&place, message);
    }
    let mut word = |key| {
        reader.parsed(key, problems, |text| {
            let fits = !text.value.is_empty() && !text.value.chars().any(char::is_control);
            if fits && text.value.len() <= 1024 {
                return Ok(text.value.clone());
            }
            Err("it is empty, too long or holds a control character".to_owned())
        })
    };
    let (user, password) = (word("user"), word("password"));
    Some(Login { user: user?, password: password? })
}

struct Talk {
    hello: String,
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
        let hello = hello(&mut wire, &self.hello);
        let mut able = session.wait("waiting for the answer to EHLO of", hello).await?;
        if let Security::Later(_) = session.goal().security {
            if !able.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
                session.put("capabilities", able);
                let message = format!("`{name}` does not offer STARTTLS");
                return Err(Failure::new(FailureKind::TlsProtocol, message).into());
            }
            session.negotiate(starttls(&mut wire)).await?;
            let stream = session.secure(wire.into_plain()?, &[]).await?;
            wire = Wire::new(stream, name);
            let hello = self::hello(&mut wire, &self.hello);
            able = session.wait("waiting for the answer to EHLO of", hello).await?;
        }
        if let Some(login) = &self.login {
            session.wait("logging in at", log_in(&mut wire, login, &able)).await?;
        }
        session.put("capabilities", able);
        // Manners: whether it hears that is of no interest.
        let _ = session.wait("taking leave of", wire.write(b"QUIT\r\n")).await;
        let done = if self.login.is_some() { "logged in" } else { "greeted" };
        let message = format!("{done}: `{}`", said(banner.as_bytes()));
        Ok(Report::new(Answer::Pass, message))
    }
}

/// What a server says at one go.
struct Reply {
    code: String,
    /// Each line without its code.
    lines: Vec<String>,
}

impl Reply {
    /// Its last line, for messages.
    fn shown(&self) -> String {
        let last = self.lines.last().map(String::as_str).unwrap_or_default();
        format!("{} {last}", self.code)
    }
}

async fn reply(wire: &mut Wire<'_>) -> Result<Reply, Trouble> {
    let mut reply = Reply { code: String::new(), lines: Vec::new() };
    while reply.lines.len() < MAX_LINES {
        let line = line(wire).await?;
        let (code, rest) = line.split_at_checked(3).unwrap_or_default();
        let is_code = code.len() == 3 && code.iter().all(u8::is_ascii_digit);
        let same = reply.code.is_empty() || reply.code.as_bytes() == code;
        let (more, text) = match rest {
            [b'-', text @ ..] => (true, text),
            [b' ', text @ ..] => (false, text),
            [] => (false, rest),
            _ => break,
        };
        if !is_code || !same {
            break;
        }
        reply.code = String::from_utf8_lossy(code).into_owned();
        reply.lines.push(String::from_utf8_lossy(text).into_owned());
        if !more {
            return Ok(reply);
        }
    }
    Err(Trouble::protocol(format!("`{}` does not speak SMTP", wire.name())))
}

/// A reply that must have this code; `what` it is about.
pub(super) async fn expect(wire: &mut Wire<'_>, code: &str, what: &str) -> Result<(), Trouble> {
    let reply = reply(wire).await?;
    match reply.code == code {
        true => Ok(()),
        false => Err(answered(wire.name(), what, reply.shown().as_bytes())),
    }
}

/// The text that the server begins with.
pub(super) async fn greeting(wire: &mut Wire<'_>) -> Result<String, Trouble> {
    let reply = reply(wire).await?;
    match reply.code.as_str() {
        "220" => Ok(reply.lines.join("\n")),
        _ => Err(answered(wire.name(), "the connection", reply.shown().as_bytes())),
    }
}

/// Introduces us; what the server can do.
pub(super) async fn hello(wire: &mut Wire<'_>, name: &str) -> Result<Vec<String>, Trouble> {
    wire.write(format!("EHLO {name}\r\n").as_bytes()).await?;
    let reply = reply(wire).await?;
    match reply.code.as_str() {
        "250" => Ok(reply.lines.into_iter().skip(1).collect()),
        _ => Err(answered(wire.name(), "EHLO", reply.shown().as_bytes())),
    }
}

/// Asks for TLS.
pub(super) async fn starttls(wire: &mut Wire<'_>) -> Result<(), Trouble> {
    wire.write(b"STARTTLS\r\n").await?;
    let reply = reply(wire).await?;
    match reply.code.as_str() {
        "220" => Ok(()),
        _ => Err(refused(wire.name(), &said(reply.shown().as_bytes()))),
    }
}

/// Logs in by PLAIN, or by LOGIN where that alone is offered.
async fn log_in(wire: &mut Wire<'_>, login: &Login, able: &[String]) -> Result<(), Trouble> {
    let offers = |mechanism: &str| {
        let lists = |line: &String| {
            let mut words = line.split([' ', '=']);
            words.next().is_some_and(|word| word.eq_ignore_ascii_case("AUTH"))
                && words.any(|word| word.eq_ignore_ascii_case(mechanism))
        };
        able.iter().any(lists)
    };
    let reply = if offers("LOGIN") && !offers("PLAIN") {
        wire.write(b"AUTH LOGIN\r\n").await?;
        let mut answer = reply(wire).await?;
        for word in [&login.user, &login.password] {
            if answer.code != "334" {
                break;
            }
            wire.write(format!("{}\r\n", STANDARD.encode(word)).as_bytes()).await?;
            answer = reply(wire).await?;
        }
        answer
    } else {
        wire.write(format!("AUTH PLAIN {}\r\n", login.plain()).as_bytes()).await?;
        reply(wire).await?
    };
    match reply.code.as_str() {
        "235" => Ok(()),
        _ => Err(Trouble::login(said(reply.shown().as_bytes()))),
    }
}
