//! The kind `websocket`: upgrades a connection, may say something, and waits for a text.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Response, Uri};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Failure, FailureKind, Stream};

use super::http::contains;
use super::http::settings::headers;
use super::script::{self, MAX_HEARD, Partner, Script};
use super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, family, shown,
};
use super::tls::{self, Days};
use super::wire::{Trouble, said};
use super::{Checker, Kind, Tools};
use crate::sources::without_credentials;

/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

const KEYS: &[Key] = &[
    key("url", "", "url = \"wss://live.example.com/feed\"", "Where to: a `ws` or `wss` URL."),
    key(
        "headers",
        "none",
        "headers = { Authorization = \"Bearer ${API_TOKEN}\" }",
        "Headers of the request that asks for the upgrade, name and text.",
    ),
    key("send", "nothing", "send = '{\"op\": \"ping\"}'", "A text to send once connected."),
    key(
        "expect",
        "nothing",
        "expect = \"pong\"",
        "A text that must be in one of the messages that come, at most 1000 of 1 MiB each, or the check fails with `unexpected-body`. Without it the upgrade is enough.",
    ),
    key(
        "script",
        "none",
        "script = [{ send = '{\"op\": \"login\"}' }, { expect = '\"token\": *\"(?<token>\\w+)\"' }, { send = 'use {{token}}' }]",
        "Instead of `send` and `expect`: steps as those of the kind `tcp`, over messages instead of lines.",
    ),
    key(
        "subprotocols",
        "none",
        "subprotocols = \"graphql-transport-ws\"",
        "Protocols to offer within the connection; a server that takes none of them fails with `protocol`.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact("status", Shape::Integer, "The status code of the answer; 101 for an upgrade."),
    fact("subprotocol", Shape::Text, "The subprotocol that the server took."),
    fact("header.*", Shape::Text, "A header of the answer, by its name in lower case."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Websocket;

impl Kind for Websocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn summary(&self) -> &'static str {
        "upgrades a connection; may say something and wait for a text"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, tls::KEYS, tls::DAYS_KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, FACTS, script::FACTS, tls::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "feed"
kind = "websocket"
url = "wss://live.example.com/feed"
send = '{"op": "ping"}'
expect = "pong"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("url") {
            reader.missing("url", problems);
        }
        let mut target = None;
        let url = reader.parsed("url", problems, |text| {
            let shown = without_credentials(text.shown());
            let url = Url::parse(&text.value).map_err(|error| {
                format!("`{shown}` is no URL: {error} (expected for example `wss://example.com/feed`)")
            })?;
            if !matches!(url.scheme(), "ws" | "wss") {
                let scheme = url.scheme();
                return Err(format!("`{shown}` has the scheme `{scheme}` (expected ws or wss)"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(format!("`{shown}` holds a user or password (expected `headers = {{ Authorization = ... }}`)"));
            }
            target = Some(shown);
            // Refused here rather than in each run.
            url.as_str().parse::<Uri>().map_err(|error| format!("the URL cannot be sent: {error}"))?;
            Ok(url)
        });
        let mut headers = headers(reader, problems);
        let subprotocols = subprotocols(reader, problems);
        if !subprotocols.is_empty()
            && let Ok(value) = HeaderValue::from_str(&subprotocols.join(", "))
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        let simple = reader.has("send") || reader.has("expect");
        let script_place = reader.place_of("script");
        let script = Script::read(reader, problems);
        if script.is_some() && simple {
            let message = format!(
                "{} has `script` beside `send` or `expect` (expected one or the other)",
                reader.what()
            );
            problems.error(&script_place, message);
        }
        if script.as_ref().is_some_and(Script::secures) {
            let message = format!(
                "`script` of {} begins with TLS (expected a `wss` URL instead)",
                reader.what()
            );
            problems.error(&script_place, message);
        }
        let settings = tls::read(reader, tools, problems);
        let days = Days::read(reader, problems);
        let send = reader.text("send", problems).map(|text| text.value);
        let expect = reader.text("expect", problems).map(|text| text.value);
        let family = family(reader, problems);
        let (url, settings) = (url?, settings?);
        let port = url.port_or_known_default().unwrap_or(80);
        let host = url.host_str().unwrap_or_default().to_owned();
        let security =
            if url.scheme() == "wss" { Security::Direct(settings) } else { Security::Plain };
        let goal = Goal::new(host, port, family, security).with_days(days);
        let talk = Talk { url, headers, send, expect, script };
        let facts = Facts { target, port, plugin: None };
        Some(Arc::new(SocketCheck { facts, ..SocketCheck::new(&tools.client, goal, talk) }))
    }
}

/// Reads the key of that name; what is no word of HTTP is a problem.
fn subprotocols(reader: &mut Reader, problems: &mut Problems) -> Vec<String> {
    let what = reader.what().to_owned();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let mut list = Vec::new();
    for text in reader.texts("subprotocols", problems) {
        if text.value.is_empty() || !text.value.bytes().all(fits) {
            let shown = text.shown().escape_debug();
            let message = format!(
                "`subprotocols` of {what} holds `{shown}` (expected names such as `graphql-transport-ws`)"
            );
            problems.error(&text.place, message);
        } else {
            list.push(text.value);
        }
    }
    list
}

struct Talk {
    url: Url,
    headers: HeaderMap,
    send: Option<String>,
    expect: Option<String>,
    script: Option<Script>,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        self.converse(session).boxed()
    }
}

impl Talk {
    async fn converse(&self, session: &mut Session<'_>) -> Result<Report, Trouble> {
        let name = session.goal().name.as_str();
        let stream = session.open(&[b"http/1.1"]).await?;
        let upgrade = self.upgrade(stream, name);
        let (socket, head) =
            session.wait("waiting for an upgrade of the connection by", upgrade).await?;
        keep(session, &head);
        let Some(socket) = socket else {
            let message = format!("answered {} (expected 101 Switching Protocols)", head.status());
            return Err(Trouble::Answer(FailReason::UnexpectedStatus, message));
        };
        let mut messages = Messages { socket, name };
        if let Some(script) = &self.script {
            let answer = script.run(session, &mut messages).await?;
            return Ok(Report::new(
                Answer::Pass,
                match answer {
                    Some(answer) => format!("answered `{}`", shown(answer.as_bytes())),
                    None => "upgraded the connection".to_owned(),
                },
            ));
        }
        if let Some(text) = &self.send {
            session.wait("sending a message to", messages.say(text)).await?;
        }
        let Some(expect) = &self.expect else {
            return Ok(Report::new(Answer::Pass, "upgraded the connection"));
        };
        let mut last = None;
        let hear = hear(&mut messages, expect, &mut last);
        let heard = session.wait("waiting for a message from", hear).await;
        let ended = match heard {
            Ok(Heard::Found(text)) => {
                let message = format!("answered `{}`", shown(&text));
                session.put("answer", String::from_utf8_lossy(&text).into_owned());
                return Ok(Report::new(Answer::Pass, message));
            }
            Ok(Heard::Closed) => "the connection was closed",
            Ok(Heard::Enough) => "1000 messages came",
            Err(Trouble::Failure(failure))
                if failure.kind == FailureKind::Timeout && last.is_some() =>
            {
                "time was up"
            }
            Err(trouble) => return Err(trouble),
        };
        let expected = shown(expect.as_bytes());
        let message = match last {
            Some(text) => {
                session.put("answer", String::from_utf8_lossy(&text).into_owned());
                let last = shown(&text);
                format!("{ended}, and no message contains `{expected}`; the last one was `{last}`")
            }
            None => format!("{ended} before a message came (expected `{expected}`)"),
        };
        Err(Trouble::Answer(FailReason::UnexpectedBody, message))
    }

    /// The head of the answer, with the connection if it was upgraded.
    async fn upgrade(
        &self,
        stream: Stream,
        name: &str,
    ) -> Result<(Option<WebSocketStream<Stream>>, Response<()>), Trouble> {
        let unusable = |error: &Error| Failure::new(FailureKind::Request, error.to_string());
        let mut request =
            self.url.as_str().into_client_request().map_err(|error| unusable(&error))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, head)) => Ok((Some(socket), head.map(drop))),
            Err(Error::Http(head)) => Ok((None, head.map(drop))),
            Err(error) => Err(broke(name, &error).into()),
        }
    }
}

/// Keeps the facts of the answer to the request for an upgrade.
fn keep(session: &mut Session<'_>, head: &Response<()>) {
    session.put("status", i64::from(head.status().as_u16()));
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    if let Some(subprotocol) = head.headers().get(SEC_WEBSOCKET_PROTOCOL) {
        session.put("subprotocol", text(subprotocol));
        session.detail("subprotocol", said(subprotocol.as_bytes()));
    }
    for name in head.headers().keys() {
        let fact = format!("header.{name}");
        if session.asks(&fact) {
            let values = head.headers().get_all(name).iter().map(text);
            let values: Vec<String> = values.collect();
            session.put(&fact, values.join(", "));
        }
    }
}

/// Listens for a message that contains `expect`; `last` is the last one so far.
async fn hear(
    messages: &mut Messages<'_>,
    expect: &str,
    last: &mut Option<Vec<u8>>,
) -> Result<Heard, Trouble> {
    for _ in 0..MAX_HEARD {
        let Some(text) = messages.hear().await? else { return Ok(Heard::Closed) };
        if contains(&text, expect.as_bytes()) {
            return Ok(Heard::Found(text));
        }
        *last = Some(text);
    }
    Ok(Heard::Enough)
}

/// The other side, message by message.
struct Messages<'a> {
    socket: WebSocketStream<Stream>,
    name: &'a str,
}

impl Partner for Messages<'_> {
    const UNIT: &'static str = "message";

    fn say<'a>(&'a mut self, text: &'a str) -> BoxFuture<'a, Result<(), Trouble>> {
        let name = self.name;
        let sent = self.socket.send(text.into());
        async move { sent.await.map_err(|error| broke(name, &error).into()) }.boxed()
    }

    fn hear(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Trouble>> {
        async move {
            // Frames of the protocol itself count as well, so that a flood of them ends.
            for _ in 0..MAX_HEARD {
                match self.socket.next().await {
                    None | Some(Err(Error::ConnectionClosed) | Ok(Message::Close(_))) => {
                        return Ok(None);
                    }
                    Some(Err(error)) => return Err(broke(self.name, &error).into()),
                    Some(Ok(Message::Text(text))) => {
                        return Ok(Some(text.as_str().as_bytes().to_vec()));
                    }
                    Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes.to_vec())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                }
            }
            let message = format!("`{}` sent {MAX_HEARD} frames that are no messages", self.name);
            Err(Trouble::protocol(message))
        }
        .boxed()
    }

    fn secure<'a>(
        &'a mut self,
        _session: &'a mut Session<'_>,
    ) -> BoxFuture<'a, Result<(), Trouble>> {
        // The configuration has been refused.
        async { Err(Trouble::protocol("TLS cannot begin within a WebSocket")) }.boxed()
    }
}

fn broke(name: &str, error: &Error) -> Failure {
    match error {
        Error::Io(error) => Failure::from_io(error, name),
        Error::Capacity(error) => Failure::new(FailureKind::TooLarge, format!("`{name}`: {error}")),
        error => {
            let text: String = error.to_string().chars().take(200).collect();
            let message = format!("`{name}` does not keep to the protocol: {text}");
            Failure::new(FailureKind::Protocol, message)
        }
    }
}

/// What listening came to.
enum Heard {
    Found(Vec<u8>),
    Closed,
    Enough,
}
