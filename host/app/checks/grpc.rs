//! The kind `grpc`: asks `grpc.health.v1` of a server how it is.
//!
//! The connection is ours, so that names, addresses and TLS are looked at as everywhere; tonic reads
//! and writes what goes over it.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::exposition;
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Outcome, Report, Run};
use wellcheck_net::http::{HttpVersion, Route, Scheme, Sender, explain};
use wellcheck_net::{Failure, FailureKind, Guard, Tls};

use super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, family, target,
};
use super::tls::{self, Days};
use super::wire::{Trouble, said};
use super::{Checker, Kind, Tools};

/// Longest answer, in bytes; one is two bytes long.
const MAX_MESSAGE: usize = 4 * 1024;

/// The detail that says what was answered.
const SERVING: &str = "serving";

/// The detail that says with which code.
const CODE: &str = "grpc-code";

const KEYS: &[Key] = &[
    key("target", "", "target = \"orders.internal:9090\"", "Where to: host and port."),
    key("tls", "false", "tls = true", "Whether to speak TLS."),
    key(
        "service",
        "\"\", the server as a whole",
        "service = \"shop.Orders\"",
        "The service to ask about.",
    ),
    key(
        "metadata",
        "none",
        "metadata = { authorization = \"Bearer ${API_TOKEN}\" }",
        "What to send besides, name and text.",
    ),
    key(
        "authority",
        "`target`",
        "authority = \"orders.example.com\"",
        "The name to ask for, which proxies choose a server by.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact(
        "serving",
        Shape::Text,
        "What the server answers: `SERVING`, `NOT_SERVING`, `UNKNOWN` or `SERVICE_UNKNOWN`.",
    ),
    fact("grpc.code", Shape::Text, "The code of the call: `OK`, `NOT_FOUND`, `UNIMPLEMENTED`, ..."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Grpc;

impl Kind for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }

    fn summary(&self) -> &'static str {
        "asks `grpc.health.v1` how a server or one of its services is"
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
name = "orders"
kind = "grpc"
target = "orders.internal:9090"
service = "shop.Orders"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let target = target(reader, problems);
        let is_secure = reader.boolean("tls", problems).unwrap_or(false);
        let settings = tls::read(reader, tools, problems);
        let days = Days::read(reader, problems);
        let service = reader.text("service", problems).map(|text| text.value).unwrap_or_default();
        let metadata = metadata(reader, problems);
        let scheme = if is_secure { Scheme::Https } else { Scheme::Http };
        let origin = |authority: &str| {
            let uri = format!("{scheme}://{authority}").parse::<Uri>().ok()?;
            uri.authority().filter(|a| !a.as_str().contains('@')).is_some().then_some(uri)
        };
        let had = reader.has("authority");
        let authority = reader.parsed("authority", problems, |text| {
            let shown = text.shown().escape_debug();
            origin(&text.value).ok_or_else(|| {
                format!("`{shown}` is no authority (expected a name, or a name and a port)")
            })
        });
        // What a condition judges needs no expectation besides.
        let judged = reader.asked().has("serving");
        let family = family(reader, problems);
        let (host, port) = target?;
        let origin = match authority {
            None if had => return None,
            None => origin(&format!("{host}:{port}"))?,
            Some(origin) => origin,
        };
        let tls = settings?;
        let security = if is_secure { Security::Direct(tls.clone()) } else { Security::Plain };
        let goal = Goal::new(host, port, family, security).with_days(days);
        let talk = Talk { origin, scheme, service, metadata, tls, judged };
        Some(Arc::new(SocketCheck::new(&tools.client, goal, talk)))
    }
}

fn metadata(reader: &mut Reader, problems: &mut Problems) -> MetadataMap {
    let mut map = MetadataMap::new();
    for (name, text) in reader.text_table("metadata", problems) {
        let shown = name.escape_debug().to_string();
        let key = name.parse::<MetadataKey<tonic::metadata::Ascii>>().ok();
        let key = key.filter(|key| !key.as_str().starts_with("grpc-"));
        let value = text.value.parse::<MetadataValue<tonic::metadata::Ascii>>().ok();
        match (key, value) {
            (Some(key), Some(mut value)) => {
                value.set_sensitive(text.written.is_some());
                map.append(key, value);
            }
            (None, _) => problems.error(
                &text.place,
                format!("`{shown}` is no name of metadata (expected a word that neither begins with `grpc-` nor ends in `-bin`)"),
            ),
            (_, None) => problems.error(
                &text.place,
                format!("the metadata `{shown}` holds something other than visible ASCII"),
            ),
        }
    }
    map
}

struct Talk {
    origin: Uri,
    scheme: Scheme,
    service: String,
    metadata: MetadataMap,
    tls: Tls,
    judged: bool,
}

impl Protocol for Talk {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        self.ask(session).boxed()
    }

    fn families(&self, run: &Run) -> Vec<exposition::Family> {
        let Outcome::Answered(report) = &run.outcome else { return Vec::new() };
        let detail = |name: &str| {
            report.details.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
        };
        let mut healthy = exposition::Family::new(
            "probe_grpc_healthcheck_response",
            exposition::Kind::Gauge,
            "Which of its statuses the service answered with.",
        );
        for status in STATUSES {
            let is = detail(SERVING) == Some(status.as_str_name());
            healthy.push(
                &[("serving_status", status.as_str_name())],
                Vec::new(),
                f64::from(u8::from(is)),
            );
        }
        let code = detail(CODE).and_then(|name| CODES.iter().position(|known| *known == name));
        vec![
            healthy,
            exposition::Family::gauge(
                "probe_grpc_ssl",
                "Whether TLS was spoken.",
                f64::from(u8::from(detail("tls-version").is_some())),
            ),
            exposition::Family::gauge(
                "probe_grpc_status_code",
                "The number of the call's code; 0 where it did not come so far.",
                code.and_then(|code| u8::try_from(code).ok()).map_or(0.0, f64::from),
            ),
        ]
    }
}

/// Every status of a service.
const STATUSES: &[ServingStatus] = &[
    ServingStatus::Unknown,
    ServingStatus::Serving,
    ServingStatus::NotServing,
    ServingStatus::ServiceUnknown,
];

/// The names of gRPC's codes, by their numbers.
const CODES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn name_of(code: Code) -> &'static str {
    usize::try_from(code as i32).ok().and_then(|code| CODES.get(code)).copied().unwrap_or("UNKNOWN")
}

impl Talk {
    async fn ask(&self, session: &mut Session<'_>) -> Result<Report, Trouble> {
        let goal = session.goal();
        let route = Route {
            scheme: self.scheme,
            host: &goal.host,
            port: goal.port,
            version: HttpVersion::Http2,
            family: goal.family,
            guard: &Guard::allow_all(),
            tls: &self.tls,
            proxy: None,
        };
        let opened = session.client().open::<Body>(&route, &mut session.trace);
        let (sender, mut driver) = Box::pin(opened).await?;
        let broken = Arc::new(Mutex::new(None));
        let connection = Connection { sender: Some(sender), broken: Arc::clone(&broken) };
        let mut client = HealthClient::with_origin(connection, self.origin.clone())
            .max_decoding_message_size(MAX_MESSAGE);
        let mut request = tonic::Request::new(HealthCheckRequest { service: self.service.clone() });
        *request.metadata_mut() = self.metadata.clone();
        let call = async { Ok(driver.beside(client.check(request)).await) };
        let answered = session.wait("waiting for an answer of", Box::pin(call)).await?;
        if let Some(trouble) = broken.lock().expect("nothing panics while it holds it").take() {
            return Err(trouble);
        }
        match answered {
            Ok(answer) => {
                // What is none of the statuses counts as unknown.
                self.judge(session, answer.get_ref().status().as_str_name())
            }
            Err(status) => Err(self.refused(session, &status)),
        }
    }

    /// What is asked about, for messages.
    fn subject(&self) -> String {
        match self.service.as_str() {
            "" => "the server".to_owned(),
            service => format!("the service `{}`", said(service.as_bytes())),
        }
    }

    fn judge(&self, session: &mut Session<'_>, serving: &'static str) -> Result<Report, Trouble> {
        found(session, Some(serving), "OK");
        let subject = self.subject();
        if serving == ServingStatus::Serving.as_str_name() || self.judged {
            return Ok(Report::new(Answer::Pass, format!("{subject} is {serving}")));
        }
        let message = format!("{subject} is {serving} (expected SERVING)");
        Err(Trouble::Answer(FailReason::UnexpectedStatus, message))
    }

    /// The call came to an error.
    fn refused(&self, session: &mut Session<'_>, status: &Status) -> Trouble {
        let name = &session.goal().name;
        let mut source = status.source();
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                return Trouble::Failure(explain(error, name));
            }
            source = error.source();
        }
        let code = name_of(status.code());
        found(session, None, code);
        let text = match status.message() {
            "" => format!("`{code}`"),
            text => format!("`{code}`: {}", said(text.as_bytes())),
        };
        let subject = self.subject();
        match status.code() {
            Code::Unimplemented => {
                let message = format!("the server has no `grpc.health.v1.Health` ({text})");
                Trouble::Answer(FailReason::Query, message)
            }
            Code::NotFound => {
                Trouble::Answer(FailReason::Query, format!("{subject} is not known there ({text})"))
            }
            Code::Unauthenticated | Code::PermissionDenied => Trouble::login(text),
            _ => Trouble::query(text),
        }
    }
}

/// Remembers what the call came to.
fn found(session: &mut Session<'_>, serving: Option<&str>, code: &str) {
    if let Some(serving) = serving {
        session.put("serving", serving);
        session.detail(SERVING, serving.to_owned());
    }
    session.put("grpc.code", code);
    session.detail(CODE, code.to_owned());
}

/// A connection for one call.
struct Connection {
    sender: Option<Sender<Body>>,
    /// Why there is no answer, where that is not gRPC's to say.
    broken: Arc<Mutex<Option<Trouble>>>,
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sender = self.sender.take();
        let broken = Arc::clone(&self.broken);
        async move {
            let tell = |trouble| {
                *broken.lock().expect("nothing panics while it holds it") = Some(trouble);
            };
            let used = || Failure::new(FailureKind::Request, "a second call on one connection");
            let answer = match sender {
                Some(mut sender) => sender.send(request).await,
                None => Err(used()),
            };
            let answer = answer.inspect_err(|failure| tell(Trouble::Failure(failure.clone())))?;
            if let Err(failure) = is_grpc(&answer) {
                tell(Trouble::Failure(failure.clone()));
                return Err(failure);
            }
            Ok(answer)
        }
        .boxed()
    }
}

/// Whether an answer is one of gRPC at all; else tonic would make up a code for it.
fn is_grpc<B>(answer: &Response<B>) -> Result<(), Failure> {
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    if answer.status() == StatusCode::OK && kind.starts_with(b"application/grpc") {
        return Ok(());
    }
    let message = format!(
        "answered {} with `{}`, which is not gRPC (expected 200 with `application/grpc`)",
        answer.status(),
        said(kind)
    );
    Err(Failure::new(FailureKind::Protocol, message))
}
