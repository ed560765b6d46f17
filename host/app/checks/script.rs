//! A script of sends and expects, for `tcp` over lines and for `websocket` over messages.
//!
//! The steps are those of blackbox_exporter's `query_response`: what is expected is waited for,
//! over what comes meanwhile, and what its pattern captures can be sent back. `{{1}}` and
//! `{{name}}` stand for a capture; a reference to one that no earlier step makes is a problem of the
//! configuration.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use regex::bytes::Regex;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Text;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::FailReason;
use wellcheck_net::FailureKind;

use super::pattern::compile;
use super::socket::{Session, shown};
use super::wire::Trouble;

/// Most steps of a script.
const MAX_STEPS: usize = 100;

/// Most lines or messages that one step looks at.
pub(super) const MAX_HEARD: usize = 1000;

/// Longest text of a capture that is kept, in bytes.
const MAX_CAPTURE: usize = 4 * 1024;

/// What a script finds out.
pub(super) const FACTS: &[FactKey] = &[
    fact(
        "answer",
        Shape::Text,
        "What the target said: all of it up to what was expected, or with a `script` what the last `expect` matched.",
    ),
    fact(
        "capture.*",
        Shape::Text,
        "What the patterns of `script` captured, by name or number: `capture.version`.",
    ),
];

/// The keys of one step.
const STEP_KEYS: &[Key] = &[
    key(
        "expect",
        "",
        "expect = '^220 (?<host>\\S+)'",
        "A regular expression to wait for; what does not match it is passed over.",
    ),
    key(
        "reject",
        "",
        "reject = '^[45]'",
        "Beside `expect`: a regular expression that must not come before.",
    ),
    key("send", "", "send = \"EHLO x\\r\\n\"", "A text to send, with captures as `{{host}}`."),
    key("starttls", "", "starttls = true", "Begin with TLS."),
];

/// A script that has been read.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Step>);

#[derive(Debug)]
enum Step {
    Expect { pattern: Regex, reject: Option<Regex> },
    Send(Vec<Piece>),
    Starttls,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Capture(String),
}

/// The other side, as a script sees it.
pub(super) trait Partner: Send {
    /// What it says comes in these: `line`, `message`.
    const UNIT: &'static str;

    /// Sends a text.
    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), Trouble>>;

    /// The next of what it says; `None` once it has closed the connection.
    fn hear(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Trouble>>;

    /// Begins with TLS.
    fn secure<'a>(&'a mut self, session: &'a mut Session<'_>)
    -> BoxFuture<'a, Result<(), Trouble>>;
}

impl Script {
    /// Reads the key `script`; `None` if there is none or it is of no use.
    pub(super) fn read(reader: &mut Reader, problems: &mut Problems) -> Option<Self> {
        if !reader.has("script") {
            return None;
        }
        let place = reader.place_of("script");
        let what = reader.what().to_owned();
        let tables = reader.tables("script", problems);
        if tables.is_empty() || tables.len() > MAX_STEPS {
            let count = tables.len();
            let message = format!(
                "`script` of {what} has {count} steps (expected from 1 to {MAX_STEPS}, such as {{ expect = '^220 ' }})"
            );
            problems.error(&place, message);
            return None;
        }
        let mut script = Self::default();
        // `0` is all that matched.
        let mut captures: Vec<String> = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let what = format!("step {} of {what}", index + 1);
            let mut step = Reader::new(&*what, table, &[STEP_KEYS]);
            script.step(&mut step, &mut captures, problems);
            step.finish(&[], problems);
        }
        Some(script)
    }

    /// Whether a step begins with TLS.
    pub(super) fn secures(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Starttls))
    }

    fn step(&mut self, step: &mut Reader, captures: &mut Vec<String>, problems: &mut Problems) {
        let place = step.place().clone();
        let before = self.0.len();
        let had = ["expect", "send", "starttls"].iter().any(|key| step.has(key));
        let alone = step.has("reject") && !step.has("expect");
        let reject = step.parsed("reject", problems, pattern);
        // In a step, what is expected comes first.
        if let Some(pattern) = step.parsed("expect", problems, pattern) {
            captures.extend((0..pattern.captures_len()).map(|number| number.to_string()));
            captures.extend(pattern.capture_names().flatten().map(str::to_owned));
            self.0.push(Step::Expect { pattern, reject });
        }
        let what = step.what().to_owned();
        if let Some(text) = step.text("send", problems) {
            self.0.push(Step::Send(pieces(&text, captures, &what, problems)));
        }
        match step.boolean("starttls", problems) {
            Some(true) if self.secures() => {
                problems.error(&place, format!("{what} begins with TLS a second time"));
            }
            Some(true) => self.0.push(Step::Starttls),
            _ => {}
        }
        if alone || (!had && self.0.len() == before) {
            let message = format!(
                "{what} does nothing (expected `expect`, `send` or `starttls = true`; `reject` stands beside `expect`)"
            );
            problems.error(&place, message);
        }
    }

    /// Goes through the steps; what was heard last, and how to say that it is well.
    pub(super) async fn run<P: Partner>(
        &self,
        session: &mut Session<'_>,
        partner: &mut P,
    ) -> Result<Option<String>, Trouble> {
        let mut captured: BTreeMap<String, String> = BTreeMap::new();
        let mut answer = None;
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Send(pieces) => {
                    let text: String = pieces.iter().map(|piece| piece.fill(&captured)).collect();
                    session.wait("saying something to", partner.say(&text)).await?;
                }
                Step::Starttls => partner.secure(session).await?,
                Step::Expect { pattern, reject } => {
                    let wanted = Wanted { pattern, reject: reject.as_ref(), step: index + 1 };
                    let found = wanted.wait(session, partner).await?;
                    capture(pattern, &found, &mut captured);
                    answer = Some(found);
                }
            }
        }
        let text = answer.map(|answer| String::from_utf8_lossy(&answer).into_owned());
        if let Some(text) = &text {
            session.put("answer", text.as_str());
        }
        for (name, text) in captured {
            let name = format!("capture.{name}");
            session.put(&name, text);
        }
        Ok(text)
    }
}

/// One `expect` at work.
struct Wanted<'a> {
    pattern: &'a Regex,
    reject: Option<&'a Regex>,
    step: usize,
}

/// How waiting ended.
enum Ended {
    Found(Vec<u8>),
    Rejected(Vec<u8>),
    Closed,
    Enough,
}

impl Wanted<'_> {
    async fn wait<P: Partner>(
        &self,
        session: &mut Session<'_>,
        partner: &mut P,
    ) -> Result<Vec<u8>, Trouble> {
        let mut last: Option<Vec<u8>> = None;
        let heard = session.wait("waiting for an answer of", self.hear(partner, &mut last)).await;
        let pattern = shown(self.pattern.as_str().as_bytes());
        let unit = P::UNIT;
        let ended = match heard {
            Ok(Ended::Found(text)) => return Ok(text),
            Ok(Ended::Rejected(text)) => {
                session.put("answer", String::from_utf8_lossy(&text).into_owned());
                let rejected = self.reject.map_or("", Regex::as_str);
                let message = format!(
                    "step {}: `{}` matches `{}`, which is rejected (expected `{pattern}`)",
                    self.step,
                    shown(&text),
                    shown(rejected.as_bytes()),
                );
                return Err(Trouble::Answer(FailReason::UnexpectedBody, message));
            }
            Ok(Ended::Closed) => "the connection was closed".to_owned(),
            Ok(Ended::Enough) => format!("{MAX_HEARD} {unit}s came"),
            Err(Trouble::Failure(failure))
                if failure.kind == FailureKind::Timeout && last.is_some() =>
            {
                "time was up".to_owned()
            }
            Err(trouble) => return Err(trouble),
        };
        let step = self.step;
        let Some(last) = last else {
            let message =
                format!("step {step}: {ended} before a {unit} came (expected `{pattern}`)");
            return Err(Trouble::Answer(FailReason::UnexpectedBody, message));
        };
        session.put("answer", String::from_utf8_lossy(&last).into_owned());
        let last = shown(&last);
        let message = format!(
            "step {step}: {ended}, and no {unit} matches `{pattern}`; the last one was `{last}`"
        );
        Err(Trouble::Answer(FailReason::UnexpectedBody, message))
    }

    async fn hear<P: Partner>(
        &self,
        partner: &mut P,
        last: &mut Option<Vec<u8>>,
    ) -> Result<Ended, Trouble> {
        for _ in 0..MAX_HEARD {
            let Some(text) = partner.hear().await? else { return Ok(Ended::Closed) };
            if self.pattern.is_match(&text) {
                return Ok(Ended::Found(text));
            }
            if self.reject.is_some_and(|reject| reject.is_match(&text)) {
                return Ok(Ended::Rejected(text));
            }
            *last = Some(text);
        }
        Ok(Ended::Enough)
    }
}

impl Piece {
    fn fill<'a>(&'a self, captured: &'a BTreeMap<String, String>) -> &'a str {
        match self {
            Self::Text(text) => text,
            // A group that took no part in the match is empty.
            Self::Capture(name) => captured.get(name).map_or("", String::as_str),
        }
    }
}

/// A regular expression within limits.
pub(super) fn pattern(text: &Text) -> Result<Regex, String> {
    compile(&text.value).map_err(|why| format!("it {why}"))
}

/// Keeps what a pattern captured; what an earlier one captured under the same name goes.
fn capture(pattern: &Regex, text: &[u8], captured: &mut BTreeMap<String, String>) {
    let Some(groups) = pattern.captures(text) else { return };
    for (number, name) in pattern.capture_names().enumerate() {
        let bytes = groups.get(number).map_or(&b""[..], |group| group.as_bytes());
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_CAPTURE)]).into_owned();
        if let Some(name) = name {
            captured.insert(name.to_owned(), text.clone());
        }
        captured.insert(number.to_string(), text);
    }
}

/// Takes a text apart at `{{name}}`.
fn pieces(text: &Text, captures: &[String], what: &str, problems: &mut Problems) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text.value.as_str();
    let mut plain = String::new();
    let fits = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        match after.split_once("}}").filter(|(name, _)| fits(name)) {
            Some((name, after)) => {
                if !captures.iter().any(|known| known == name) {
                    let message = format!(
                        "`send` of {what} has `{{{{{name}}}}}`, which no `expect` before it captures"
                    );
                    problems.error(&text.place, message);
                }
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Capture(name.to_owned()));
                rest = after;
            }
            None => {
                plain.push_str("{{");
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    pieces
}
