//! The kind `nats`: logs in to a NATS server, and may ask for more: a message to itself, a request,
//! a stream of JetStream or one of its consumers.
//!
//! The protocol is lines of text, and a check needs five of them; a client library would bring
//! reconnects and tasks of its own.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::FailReason;
use wellcheck_net::Stream;

use super::database::settings::{Dialect, Security, read_tls, read_url};
use super::database::{DatabaseCheck, Link, Protocol, SERVER_FACTS, Server, Trouble, Wire, said};
use super::http::contains;
use super::{Checker, Kind, Tools, socket, tls};
use crate::digest::random_word;

const KEYS: &[Key] = &[
    key(
        "url",
        "",
        "url = \"tls://app:${NATS_PASSWORD}@nats.internal:4222\"",
        "Where and as whom: `nats://user:password@host:4222`, or `tls://` over TLS. A token stands alone before the `@`; it may be left out like user and password.",
    ),
    key(
        "subject",
        "none",
        "subject = \"health.wellcheck\"",
        "A subject on which a message is published that must come back.",
    ),
    key(
        "request",
        "none",
        "request = \"orders.ping\"",
        "A subject to which a request is sent that somebody must answer.",
    ),
    key("payload", "empty", "payload = \"ping\"", "What the request carries."),
    key(
        "expect",
        "anything",
        "expect = \"pong\"",
        "A text that the answer to the request must contain, or the check fails with `unexpected-value`.",
    ),
    key("jetstream", "false", "jetstream = true", "Whether JetStream must answer for the account."),
    key("stream", "none", "stream = \"ORDERS\"", "A stream of JetStream that must exist."),
    key("consumer", "none", "consumer = \"billing\"", "A consumer of the stream that must exist."),
];

const FACTS: &[FactKey] = &[
    fact("messages", Shape::Integer, "How many messages the stream holds."),
    fact("bytes", Shape::Size, "How much they are."),
    fact("consumers", Shape::Integer, "How many consumers the stream has."),
    fact("pending", Shape::Integer, "How many messages wait for the consumer."),
    fact("ack-pending", Shape::Integer, "How many it has got and not acknowledged."),
    fact("redelivered", Shape::Integer, "How many were sent to it more than once."),
    fact("streams", Shape::Integer, "With `jetstream`: how many streams the account has."),
    fact("storage", Shape::Size, "With `jetstream`: how much the account has on disk."),
    fact("memory", Shape::Size, "With `jetstream`: how much it has in memory."),
    fact("answer", Shape::Text, "What the request was answered with."),
];

const DIALECT: Dialect = Dialect {
    schemes: &["nats", "tls"],
    port: 4222,
    example: "nats://user:password@host:4222",
    parameters: &[],
    needs_user: false,
};

/// Longest line: what a server says of itself names every other one of its cluster.
const MAX_LINE: u64 = 64 * 1024;

/// Longest message that is read.
const MAX_MESSAGE: usize = 512 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Nats;

impl Kind for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn summary(&self) -> &'static str {
        "logs in to NATS; may ask for a round trip or for JetStream"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS, SERVER_FACTS, socket::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "events"
kind = "nats"
url = "nats://app:secret@nats.internal:4222"
stream = "ORDERS"
consumer = "billing"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let address = read_url(reader, &DIALECT, problems);
        let wanted = address.as_ref().map(|address| address.scheme == "tls");
        let security = read_tls(reader, tools, wanted, "`tls://`", problems);
        let subject = self::subject(reader, "subject", problems);
        let request = self::subject(reader, "request", problems);
        let payload = reader.text("payload", problems).map(|text| text.value);
        let expect = reader.text("expect", problems).map(|text| text.value);
        for (key, is_there) in [("payload", payload.is_some()), ("expect", expect.is_some())] {
            if is_there && request.is_none() {
                let text = format!("`{key}` of {} has no effect without `request`", reader.what());
                problems.warning(&reader.place_of(key), text);
            }
        }
        let jetstream = reader.boolean("jetstream", problems).unwrap_or(false);
        let stream = token(reader, "stream", problems);
        let consumer = token(reader, "consumer", problems);
        if consumer.is_some() && stream.is_none() {
            reader.missing("stream", problems);
        }
        let address = address?;
        if !address.server.database.is_empty() {
            let text = format!("`url` of {}: it has a path, and there is none", reader.what());
            problems.error(&address.place, text);
            return None;
        }
        let mut server = address.server.secured(security?);
        if server.password.is_none() {
            server = server.with_token();
        }
        let protocol = Talk { subject, request, payload, expect, jetstream, stream, consumer };
        Some(Arc::new(DatabaseCheck { client: tools.client.clone(), server, protocol }))
    }
}

/// A subject without wildcards.
fn subject(reader: &mut Reader, key: &str, problems: &mut Problems) -> Option<String> {
    reader.parsed(key, problems, |text| {
        let good = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"*>".contains(&b))
        };
        if text.value.len() <= 256 && text.value.split('.').all(good) {
            return Ok(text.value.clone());
        }
        let shown = text.shown().escape_debug();
        Err(format!(
            "`{shown}` is no subject without wildcards (expected for example `orders.ping`)"
        ))
    })
}

/// A name that is a part of a subject.
fn token(reader: &mut Reader, key: &str, problems: &mut Problems) -> Option<String> {
    reader.parsed(key, problems, |text| {
        let good = |b: u8| b.is_ascii_graphic() && !b"*>./\\".contains(&b);
        if (1..=255).contains(&text.value.len()) && text.value.bytes().all(good) {
            return Ok(text.value.clone());
        }
        let shown = text.shown().escape_debug();
        Err(format!("`{shown}` is no name (expected for example `ORDERS`)"))
    })
}

struct Talk {
    subject: Option<String>,
    request: Option<String>,
    payload: Option<String>,
    expect: Option<String>,
    jetstream: bool,
    stream: Option<String>,
    consumer: Option<String>,
}

/// What a server says.
enum Said {
    Pong,
    Info(Value),
    Message { subject: String, status: Option<String>, payload: Vec<u8> },
    Other,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, link: &'a mut Link<'_>) -> BoxFuture<'a, Result<String, Trouble>> {
        async move {
            let server = link.server();
            let tcp = link.connect().await?;
            let mut wire = Wire::new(Stream::Plain(tcp), &server.name);
            let info = link.negotiate(info(&mut wire)).await?;
            if let Some(version) = info["version"].as_str() {
                link.version(version.as_bytes());
            }
            if let Security::Always(tls) = &server.security {
                let secured = link.secure(wire.into_plain()?, tls).await?;
                wire = Wire::new(secured, &server.name);
            } else if info["tls_required"] == true {
                let text = "wants TLS (write `tls://` in `url`)";
                return Err(Trouble::Answer(FailReason::Tls, text.to_owned()));
            }
            link.login(login(&mut wire, server)).await?;
            let told = link.query(self.ask(&mut wire)).await?;
            let mut message = "answered PONG".to_owned();
            for (name, value) in told {
                if let Told::Text(text) = &value {
                    message = text.clone();
                }
                match value {
                    Told::Number(number) => link.put(name, number),
                    Told::Fact(text) => link.put(name, text),
                    Told::Text(_) => {}
                }
            }
            Ok(message)
        }
        .boxed()
    }
}

/// What was learnt: a number for conditions, a text for them, or what the message says.
enum Told {
    Number(i64),
    Fact(String),
    Text(String),
}

type List = Vec<(&'static str, Told)>;

async fn info(wire: &mut Wire<'_>) -> Result<Value, Trouble> {
    match read(wire).await? {
        Said::Info(info) => Ok(info),
        _ => Err(garbage(wire)),
    }
}

fn garbage(wire: &Wire<'_>) -> Trouble {
    Trouble::protocol(format!("`{}` does not speak the protocol of NATS", wire.name()))
}

async fn login(wire: &mut Wire<'_>, server: &Server) -> Result<(), Trouble> {
    let mut connect = json!({
        "verbose": false, "pedantic": false, "name": "wellcheck", "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true,
        "no_responders": true, "tls_required": matches!(server.security, Security::Always(_)),
    });
    match &server.password {
        Some(password) => {
            connect["user"] = server.user.as_str().into();
            connect["pass"] = password.as_str().into();
        }
        None if !server.user.is_empty() => connect["auth_token"] = server.user.as_str().into(),
        None => {}
    }
    wire.write(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await?;
    loop {
        match read(wire).await {
            Ok(Said::Pong) => return Ok(()),
            Ok(_) => {}
            Err(Trouble::Answer(_, text)) => return Err(Trouble::Answer(FailReason::Login, text)),
            Err(other) => return Err(other),
        }
    }
}

/// The next thing that the server says; an error of it is ours.
async fn read(wire: &mut Wire<'_>) -> Result<Said, Trouble> {
    let Some(line) = wire.line(MAX_LINE).await? else { return Err(garbage(wire)) };
    let (word, rest) = match line.iter().position(|b| matches!(b, b' ' | b'\t')) {
        Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
        None => (&*line, &[][..]),
    };
    match word.to_ascii_uppercase().as_slice() {
        b"INFO" => {
            let info = serde_json::from_slice(rest).map_err(|_broken| garbage(wire))?;
            Ok(Said::Info(info))
        }
        b"PING" => {
            wire.write(b"PONG\r\n").await?;
            Ok(Said::Other)
        }
        b"PONG" => Ok(Said::Pong),
        b"+OK" => Ok(Said::Other),
        b"-ERR" => {
            let text = said(rest);
            let text = text.trim_matches('\'');
            Err(match text.to_ascii_lowercase().starts_with("auth") {
                true => Trouble::login(text),
                false => Trouble::query(text),
            })
        }
        b"MSG" => message(wire, rest, false).await,
        b"HMSG" => message(wire, rest, true).await,
        _ => Err(garbage(wire)),
    }
}

/// `subject number [reply] [head] length`, and then so many bytes.
async fn message(wire: &mut Wire<'_>, line: &[u8], has_head: bool) -> Result<Said, Trouble> {
    let words: Vec<&str> =
        std::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace().collect();
    let number = |back: usize| {
        let word = words.len().checked_sub(back).and_then(|at| words.get(at))?;
        word.parse::<usize>().ok().filter(|length| *length <= MAX_MESSAGE)
    };
    let head = if has_head { number(2) } else { Some(0) };
    let (Some(subject), Some(head), Some(length)) = (words.first(), head, number(1)) else {
        return Err(garbage(wire));
    };
    let subject = (*subject).to_owned();
    let mut bytes = wire.bytes(length + 2).await?;
    if head > length || !bytes.ends_with(b"\r\n") {
        return Err(garbage(wire));
    }
    bytes.truncate(length);
    let payload = bytes.split_off(head);
    // The first line of the head: `NATS/1.0 503`.
    let status = String::from_utf8_lossy(&bytes);
    let status = status.lines().next().and_then(|line| line.strip_prefix("NATS/1.0 "));
    let status = status.map(|status| said(status.as_bytes()));
    Ok(Said::Message { subject, status, payload })
}

impl Talk {
    async fn ask(&self, wire: &mut Wire<'_>) -> Result<List, Trouble> {
        let mut told = List::new();
        let token = random_word::<12>().expect("the system has random numbers");
        if let Some(subject) = &self.subject {
            let length = token.len();
            let text = format!("SUB {subject} 1\r\nPUB {subject} {length}\r\n{token}\r\n");
            wire.write(text.as_bytes()).await?;
            // Others may publish there as well.
            while answer(wire, subject).await?.1 != token.as_bytes() {}
            wire.write(b"UNSUB 1\r\n").await?;
            told.push(("", Told::Text(format!("a message to `{subject}` came back"))));
        }
        let inbox = format!("_INBOX.{token}");
        if self.request.is_some() || self.jetstream || self.stream.is_some() {
            wire.write(format!("SUB {inbox} 2\r\n").as_bytes()).await?;
        }
        if let Some(subject) = &self.request {
            let payload = self.payload.as_deref().unwrap_or_default();
            let answer = request(wire, subject, &inbox, payload).await?;
            let shown = said(&answer);
            if let Some(expect) = &self.expect
                && !contains(&answer, expect.as_bytes())
            {
                let text =
                    format!("the answer of `{subject}` does not contain `{expect}`: `{shown}`");
                return Err(Trouble::Answer(FailReason::UnexpectedValue, text));
            }
            told.push(("answer", Told::Fact(String::from_utf8_lossy(&answer).into_owned())));
            told.push(("", Told::Text(format!("`{subject}` answered `{shown}`"))));
        }
        if self.jetstream {
            let info = api(wire, "INFO", &inbox).await?;
            number(&info["streams"], "streams", &mut told);
            number(&info["storage"], "storage", &mut told);
            number(&info["memory"], "memory", &mut told);
            told.push(("", Told::Text("JetStream answered".to_owned())));
        }
        if let Some(stream) = &self.stream {
            let info = api(wire, &format!("STREAM.INFO.{stream}"), &inbox).await?;
            let state = &info["state"];
            number(&state["messages"], "messages", &mut told);
            number(&state["bytes"], "bytes", &mut told);
            number(&state["consumer_count"], "consumers", &mut told);
            let count = state["messages"].as_u64().unwrap_or_default();
            told.push(("", Told::Text(format!("the stream `{stream}` has {count} messages"))));
            if let Some(consumer) = &self.consumer {
                let info = api(wire, &format!("CONSUMER.INFO.{stream}.{consumer}"), &inbox).await?;
                number(&info["num_pending"], "pending", &mut told);
                number(&info["num_ack_pending"], "ack-pending", &mut told);
                number(&info["num_redelivered"], "redelivered", &mut told);
                let waiting = info["num_pending"].as_u64().unwrap_or_default();
                let text =
                    format!("{waiting} of {count} messages of `{stream}` wait for `{consumer}`");
                told.push(("", Told::Text(text)));
            }
        }
        Ok(told)
    }
}

fn number(value: &Value, name: &'static str, told: &mut List) {
    told.extend(value.as_i64().map(|number| (name, Told::Number(number))));
}

/// The next message on a subject.
async fn answer(wire: &mut Wire<'_>, on: &str) -> Result<(Option<String>, Vec<u8>), Trouble> {
    loop {
        if let Said::Message { subject, status, payload } = read(wire).await?
            && subject == on
        {
            return Ok((status, payload));
        }
    }
}

async fn request(
    wire: &mut Wire<'_>,
    subject: &str,
    inbox: &str,
    payload: &str,
) -> Result<Vec<u8>, Trouble> {
    let text = format!("PUB {subject} {inbox} {}\r\n{payload}\r\n", payload.len());
    wire.write(text.as_bytes()).await?;
    match answer(wire, inbox).await? {
        (Some(status), _) if status.starts_with("503") => {
            let text = format!("nobody answers to `{subject}`");
            Err(Trouble::Answer(FailReason::Query, text))
        }
        (_, payload) => Ok(payload),
    }
}

/// Asks JetStream.
async fn api(wire: &mut Wire<'_>, what: &str, inbox: &str) -> Result<Value, Trouble> {
    let answer = request(wire, &format!("$JS.API.{what}"), inbox, "").await?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|_broken| garbage(wire))?;
    match answer["error"]["description"].as_str() {
        Some(text) => Err(Trouble::query(said(text.as_bytes()))),
        None => Ok(answer),
    }
}
