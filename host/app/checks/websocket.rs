//! The kind `websocket`: upgrades a connection, may say something, and waits for a text.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::{HeaderMap, Uri};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Failure, FailureKind, Phase, Stream, Trace};

use super::http::settings::headers;
use super::socket::{FAMILY_KEY, Goal, Protocol, SocketCheck, family, shown};
use super::{Checker, Kind, Tools, tls};
use crate::sources::without_credentials;

/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// Most messages that are looked at.
const MAX_MESSAGES: usize = 1000;

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
    FAMILY_KEY,
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
        &[KEYS, tls::KEYS]
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
        let headers = headers(reader, problems);
        let settings = tls::read(reader, tools, problems);
        let send = reader.text("send", problems).map(|text| text.value);
        let expect = reader.text("expect", problems).map(|text| text.value);
        let family = family(reader, problems);
        let (url, settings) = (url?, settings?);
        let port = url.port_or_known_default().unwrap_or(80);
        let host = url.host_str().unwrap_or_default().to_owned();
        let tls = (url.scheme() == "wss").then_some(settings);
        Some(Arc::new(SocketCheck {
            client: tools.client.clone(),
            goal: Goal { host, port, family, tls },
            facts: Facts { target, port, plugin: None },
            protocol: Talk { url, headers, send, expect },
        }))
    }
}

struct Talk {
    url: Url,
    headers: HeaderMap,
    send: Option<String>,
    expect: Option<String>,
}

impl Protocol for Talk {
    const ALPN: &'static [&'static [u8]] = &[b"http/1.1"];

    fn talk<'a>(
        &'a self,
        stream: Stream,
        goal: &'a Goal,
        trace: &'a mut Trace,
    ) -> BoxFuture<'a, Result<Report, Failure>> {
        self.converse(stream, goal, trace).boxed()
    }
}

impl Talk {
    async fn converse(
        &self,
        stream: Stream,
        goal: &Goal,
        trace: &mut Trace,
    ) -> Result<Report, Failure> {
        let doing = || format!("waiting for `{}` to upgrade the connection", goal.host);
        let upgraded = trace.stage(Phase::Wait, doing, self.upgrade(stream, goal)).await?;
        let mut socket = match upgraded {
            Ok(socket) => socket,
            Err(report) => return Ok(report),
        };
        let Some(expect) = &self.expect else {
            if let Some(text) = &self.send {
                let doing = || "sending a message".to_owned();
                let sent =
                    async { socket.send(text.as_str().into()).await.map_err(|e| broke(goal, &e)) };
                trace.stage(Phase::Wait, doing, sent).await?;
            }
            return Ok(Report::new(Answer::Pass, "upgraded the connection"));
        };
        let mut last = None;
        let doing = || format!("waiting for a message from `{}`", goal.host);
        let heard =
            trace.stage(Phase::Wait, doing, self.hear(&mut socket, goal, expect, &mut last)).await;
        let (ended, count) = match heard {
            Ok(Heard::Found(text)) => {
                let message = format!("answered `{}`", shown(text.as_bytes()));
                return Ok(Report::new(Answer::Pass, message));
            }
            Ok(Heard::Closed) => ("the connection was closed", last),
            Ok(Heard::Enough) => ("1000 messages came", last),
            Err(failure) if failure.kind == FailureKind::Timeout && last.is_some() => {
                ("time was up", last)
            }
            Err(failure) => return Err(failure),
        };
        let expected = shown(expect.as_bytes());
        Ok(Report::fail(
            FailReason::UnexpectedBody,
            match count {
                Some(text) => format!(
                    "{ended}, and no message contains `{expected}`; the last one was `{}`",
                    shown(text.as_bytes())
                ),
                None => format!("{ended} before a message came (expected `{expected}`)"),
            },
        ))
    }

    async fn upgrade(
        &self,
        stream: Stream,
        goal: &Goal,
    ) -> Result<Result<WebSocketStream<Stream>, Report>, Failure> {
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
            Ok((socket, _)) => Ok(Ok(socket)),
            Err(Error::Http(response)) => Ok(Err(Report::fail(
                FailReason::UnexpectedStatus,
                format!("answered {} (expected 101 Switching Protocols)", response.status()),
            ))),
            Err(error) => Err(broke(goal, &error)),
        }
    }

    /// Says what is to be said, and listens; `last` is the last message so far.
    async fn hear(
        &self,
        socket: &mut WebSocketStream<Stream>,
        goal: &Goal,
        expect: &str,
        last: &mut Option<String>,
    ) -> Result<Heard, Failure> {
        if let Some(text) = &self.send {
            socket.send(text.as_str().into()).await.map_err(|error| broke(goal, &error))?;
        }
        for _ in 0..MAX_MESSAGES {
            let message = match socket.next().await {
                None | Some(Err(Error::ConnectionClosed)) => return Ok(Heard::Closed),
                Some(Err(error)) => return Err(broke(goal, &error)),
                Some(Ok(message)) => message,
            };
            let text = match message {
                Message::Text(text) => text.as_str().to_owned(),
                Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Message::Close(_) => return Ok(Heard::Closed),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            if text.contains(expect) {
                return Ok(Heard::Found(text));
            }
            *last = Some(text);
        }
        Ok(Heard::Enough)
    }
}

fn broke(goal: &Goal, error: &Error) -> Failure {
    let name = goal.name();
    match error {
        Error::Io(error) => Failure::from_io(error, &name),
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
    Found(String),
    Closed,
    Enough,
}
