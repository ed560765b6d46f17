//! The kind `tcp`: connects to a port, over TLS if wanted, says something and waits for an answer.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::FactKey;
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_net::{Failure, FailureKind, Stream};

use super::http::contains;
use super::script::{self, Partner, Script};
use super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, TARGET_KEY, family, shown,
    target,
};
use super::starttls::{self, DIALECTS};
use super::tls::{self, Days};
use super::wire::{Trouble, Wire};
use super::{Checker, Kind, Tools};

/// Most bytes that are read in search of what is expected.
const MAX_READ: usize = 64 * 1024;

/// Longest line that a script looks at in one piece, in bytes.
const MAX_LINE: u64 = 16 * 1024;

const KEYS: &[Key] = &[
    TARGET_KEY,
    key("tls", "false", "tls = true", "Whether to speak TLS from the first byte."),
    starttls::KEY,
    key("send", "nothing", "send = \"PING\\r\\n\"", "What to say once connected."),
    key(
        "expect",
        "nothing",
        "expect = \"PONG\"",
        "A text that must be in the first 64 KiB that the target says, or the check fails with `unexpected-body`.",
    ),
    key(
        "script",
        "none",
        "script = [{ expect = '^220 (?<host>\\S+)', reject = '^[45]' }, { send = \"EHLO {{host}}\\r\\n\" }, { expect = '^250[ -]STARTTLS' }]",
        "Instead of `send` and `expect`: steps with `expect` (a regular expression that a line must match; others are passed over, at most 1000 lines and 1 MiB), `reject` (one that no line may match before), `send` (`{{1}}` and `{{name}}` stand for what a pattern before captured) or `starttls = true`; at most 100. A script that does not come to its end fails with `unexpected-body`.",
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
        &[KEYS, tls::KEYS, tls::DAYS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, script::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mail"
kind = "tcp"
target = "mail.example.com:25"
script = [
  { expect = '^220 (?<host>\S+)', reject = '^[45]' },
  { send = "EHLO {{host}}\r\n" },
  { expect = '^250[ -]STARTTLS', reject = '^5' },
]
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let target = target(reader, problems);
        let simple = reader.has("send") || reader.has("expect");
        let script_place = reader.place_of("script");
        let had_script = reader.has("script");
        let script = Script::read(reader, problems);
        if had_script && simple {
            let message = format!(
                "{} has `script` beside `send` or `expect` (expected one or the other)",
                reader.what()
            );
            problems.error(&script_place, message);
        }
        let later = script.as_ref().is_some_and(Script::secures);
        let security = security(reader, later, tools, problems);
        let days = Days::read(reader, problems);
        let send = reader.text("send", problems).map(|text| text.value.into_bytes());
        let expect = reader.text("expect", problems).map(|text| text.value);
        let family = family(reader, problems);
        let (host, port) = target?;
        let goal = Goal::new(host, port, family, security?).with_days(days);
        let send = send.unwrap_or_default();
        Some(Arc::new(SocketCheck::new(&tools.client, goal, Talk { send, expect, script })))
    }
}

/// Reads `tls` and `starttls`; `later` if a script begins with TLS.
fn security(
    reader: &mut Reader,
    later: bool,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Security> {
    let direct = reader.boolean("tls", problems).unwrap_or(false);
    let place = reader.place_of("starttls");
    let dialect = reader.word("starttls", DIALECTS, problems);
    let settings = tls::read(reader, tools, problems)?;
    let ways = usize::from(direct) + usize::from(dialect.is_some()) + usize::from(later);
    if ways > 1 {
        let message = format!(
            "{} begins with TLS in more than one way (expected one of `tls = true`, `starttls`, a step of `script`)",
            reader.what()
        );
        problems.error(&place, message);
    }
    Some(match dialect {
        Some(dialect) => Security::After(dialect, settings),
        None if direct => Security::Direct(settings),
        None if later => Security::Later(settings),
        None => Security::Plain,
    })
}

struct Talk {
    send: Vec<u8>,
    expect: Option<String>,
    script: Option<Script>,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        async move {
            let stream = session.open(&[]).await?;
            let Some(script) = &self.script else { return self.hear(stream, session).await };
            let name = session.goal().name.as_str();
            let mut lines = Lines { wire: Some(Wire::new(stream, name)), name };
            let answer = script.run(session, &mut lines).await?;
            let message = match answer {
                Some(answer) => format!("answered `{}`", shown(answer.as_bytes())),
                None => "connected".to_owned(),
            };
            Ok(Report::new(Answer::Pass, message))
        }
        .boxed()
    }
}

impl Talk {
    async fn hear(&self, mut stream: Stream, session: &mut Session<'_>) -> Result<Report, Trouble> {
        let name = session.goal().name.as_str();
        let mut heard = Vec::new();
        let mut found = self.expect.is_none();
        let talk = async {
            let broke = |error| Trouble::io(&error, name);
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
        let talked = session.wait("waiting for an answer from", talk).await;
        if !heard.is_empty() && session.asks("answer") {
            session.put("answer", String::from_utf8_lossy(&heard).into_owned());
        }
        if let Some(expect) = &self.expect
            && !found
        {
            let ended = match talked {
                Ok(()) if heard.len() >= MAX_READ => "the first 64 KiB".to_owned(),
                Ok(()) => "all that came before the connection was closed".to_owned(),
                Err(Trouble::Failure(failure))
                    if failure.kind == FailureKind::Timeout && !heard.is_empty() =>
                {
                    "all that came in time".to_owned()
                }
                Err(trouble) => return Err(trouble),
            };
            if heard.is_empty() {
                let message = format!(
                    "`{name}` closed the connection without a word (expected `{}`)",
                    shown(expect.as_bytes())
                );
                return Err(Failure::new(FailureKind::Closed, message).into());
            }
            let message = format!(
                "{ended} does not contain `{}`: `{}`",
                shown(expect.as_bytes()),
                shown(&heard)
            );
            return Err(Trouble::Answer(FailReason::UnexpectedBody, message));
        }
        talked?;
        let message = match self.expect {
            Some(_) => format!("answered `{}`", shown(&heard)),
            None => "connected".to_owned(),
        };
        Ok(Report::new(Answer::Pass, message))
    }
}

/// The other side of a script, line by line.
struct Lines<'a> {
    /// `None` only while TLS begins.
    wire: Option<Wire<'a>>,
    name: &'a str,
}

impl Lines<'_> {
    fn closed(&self) -> Trouble {
        Trouble::io(&std::io::ErrorKind::NotConnected.into(), self.name)
    }
}

impl Partner for Lines<'_> {
    const UNIT: &'static str = "line";

    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), Trouble>> {
        async move {
            let closed = self.closed();
            self.wire.as_mut().ok_or(closed)?.write(text.as_bytes()).await
        }
        .boxed()
    }

    fn hear(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Trouble>> {
        async move {
            let closed = self.closed();
            self.wire.as_mut().ok_or(closed)?.piece(MAX_LINE).await
        }
        .boxed()
    }

    fn secure<'a>(
        &'a mut self,
        session: &'a mut Session<'_>,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        async move {
            let tcp = self.wire.take().ok_or_else(|| self.closed())?.into_plain()?;
            let stream = session.secure(tcp, &[]).await?;
            self.wire = Some(Wire::new(stream, self.name));
            Ok(())
        }
        .boxed()
    }
}
