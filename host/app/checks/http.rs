//! The kind `http`: asks a URL and judges the answer by status and body.
//!
//! Every run opens a new connection, so that name, port, certificate and server are all looked at
//! each time. Times of the phases, the certificate's days and the body's size are observations.

mod probe;
pub(super) mod settings;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::Key;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{Asked, FactKey, Found, Shape, Value, fact};
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Report, Run, RunLog,
};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::{Client, Exchange, Request};
use wellcheck_net::{Failure, FailureKind};

use super::probed::Probed;
use super::{Checker, Kind, RunContext, Tools, tls};

const FACTS: &[FactKey] = &[
    fact("status", Shape::Integer, "The status code of the answer."),
    fact("body", Shape::Text, "The body, as far as `body-limit` lets it be read."),
    fact("header.*", Shape::Text, "A header of the answer, its name in lower case."),
    fact("json", Shape::Json, "The body, if it is JSON: `json.items[0].state`."),
    fact(
        "certificate.days-left",
        Shape::Number,
        "How many days the certificate that expires first in the chain has left; not there without TLS.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Http;

impl Kind for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn summary(&self) -> &'static str {
        "asks a URL; judges status, body and certificate"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[settings::KEYS, tls::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "shop"
kind = "http"
url = "https://shop.example.com/health"
headers = { Accept = "application/json" }
expect-status = ["200-299", 304]
expect-body-matches = '"status": *"ok"'
certificate-days = 14
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let (request, expect, facts) = settings::read(reader, tools, problems)?;
        Some(Arc::new(HttpCheck { client: tools.client.clone(), request, expect, facts }))
    }
}

struct HttpCheck {
    client: Client,
    request: Request,
    expect: Expect,
    facts: Facts,
}

/// What the answer must be.
#[derive(Debug)]
struct Expect {
    /// Inclusive ranges of status codes.
    status: Vec<(u16, u16)>,
    contains: Vec<String>,
    matches: Vec<regex::bytes::Regex>,
    /// Warn when the certificate has fewer days left.
    certificate_days: Option<u32>,
    /// `status` for messages.
    shown: String,
}

impl Checker for HttpCheck {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.look(context).await.1 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (exchange, run) = self.look(context).await;
            probe::probed(&exchange, run)
        }
        .boxed()
    }
}

impl HttpCheck {
    async fn look(&self, context: &RunContext) -> (Exchange, Run) {
        let started = Instant::now();
        let exchange = self.client.fetch(&self.request, context.deadline).await;
        let mut outcome = self.judge(&exchange);
        if let Outcome::Answered(report) = &mut outcome
            && !context.asked.is_empty()
        {
            self.find(&exchange, &context.asked, &mut report.found);
        }
        let duration = started.elapsed();
        (exchange, Run { outcome, duration, log: RunLog::default(), used: Vec::new() })
    }

    fn find(&self, exchange: &Exchange, asked: &Asked, found: &mut Found) {
        if let Some(status) = exchange.status {
            found.put("status", i64::from(status.as_u16()));
        }
        if let Some(days) = self.days_left(exchange) {
            found.put("certificate.days-left", days);
        }
        let Ok(answer) = &exchange.result else { return };
        for name in answer.headers.keys().filter(|_| asked.has("header")) {
            let texts = answer.headers.get_all(name).iter();
            let texts: Vec<_> =
                texts.map(|text| String::from_utf8_lossy(text.as_bytes())).collect();
            found.put(format!("header.{name}"), texts.join(", "));
        }
        if asked.has("json")
            && let Ok(json) = serde_json::from_slice(&answer.body)
        {
            found.put("json", Value::Json(Arc::new(json)));
        }
        if asked.has("body") {
            found.put("body", String::from_utf8_lossy(&answer.body).into_owned());
        }
    }

    fn judge(&self, exchange: &Exchange) -> Outcome {
        let days = self.days_left(exchange);
        let mut report = match &exchange.result {
            Err(failure) => match explain(failure) {
                Outcome::Answered(report) => report,
                fault @ Outcome::Faulted(_) => return fault,
            },
            Ok(answer) => {
                let mut report = self.expect.judge(answer.status, &answer.body, answer.truncated);
                if answer.truncated {
                    report.details.push(("body".to_owned(), "cut at the limit".to_owned()));
                }
                report
            }
        };
        if let (Answer::Pass, Some(days), Some(wanted)) =
            (report.status, days, self.expect.certificate_days)
            && days < f64::from(wanted)
        {
            report.status = Answer::Warn;
            report.message = format!(
                "{}; the certificate has {days:.1} days left (expected at least {wanted})",
                report.message
            );
        }
        report.observations = observations(exchange, days);
        report.details.extend(details(exchange));
        Outcome::Answered(report)
    }

    fn days_left(&self, exchange: &Exchange) -> Option<f64> {
        #[expect(clippy::disallowed_methods, reason = "certificates are dated by the wall clock")]
        let now = SystemTime::now();
        exchange.certificate.as_ref().map(|certificate| certificate.chain_days_left(now))
    }
}

impl Expect {
    fn judge(&self, status: StatusCode, body: &[u8], truncated: bool) -> Report {
        let code = status.as_u16();
        let named = match status.canonical_reason() {
            Some(reason) => format!("{code} {reason}"),
            None => code.to_string(),
        };
        if !self.status.iter().any(|(low, high)| (*low..=*high).contains(&code)) {
            return Report::fail(
                FailReason::UnexpectedStatus,
                format!("answered {named} (expected {})", self.shown),
            );
        }
        let searched = if truncated { "the part of the body within its limit" } else { "the body" };
        let text = |needle: &str| contains(body, needle.as_bytes());
        if let Some(missing) = self.contains.iter().find(|needle| !text(needle)) {
            let message = format!("answered {named}, but {searched} does not contain `{missing}`");
            return Report::fail(FailReason::UnexpectedBody, message);
        }
        if let Some(missing) = self.matches.iter().find(|pattern| !pattern.is_match(body)) {
            let message = format!("answered {named}, but {searched} does not match `{missing}`");
            return Report::fail(FailReason::UnexpectedBody, message);
        }
        Report::new(Answer::Pass, format!("answered {named}"))
    }
}

/// Whether `needle` is in `text`.
pub(super) fn contains(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || text.windows(needle.len()).any(|window| window == needle)
}

/// What a failed exchange says of the target; a fault where it says nothing of it.
pub(crate) fn explain(failure: &Failure) -> Outcome {
    let fail = |reason| Outcome::Answered(Report::fail(reason, failure.message.clone()));
    let fault = |reason| Outcome::Faulted(Fault::new(reason, failure.message.clone()));
    match failure.kind {
        FailureKind::Request | FailureKind::Local => fault(FaultReason::Internal),
        FailureKind::Denied => fault(FaultReason::Denied),
        FailureKind::Resolve => fail(FailReason::Resolve),
        FailureKind::Proxy => fail(FailReason::Proxy),
        FailureKind::Refused => fail(FailReason::Refused),
        FailureKind::Unreachable => fail(FailReason::Unreachable),
        FailureKind::TlsExpired => fail(FailReason::TlsExpired),
        FailureKind::TlsNotYetValid => fail(FailReason::TlsNotYetValid),
        FailureKind::TlsWrongName => fail(FailReason::TlsWrongName),
        FailureKind::TlsUntrusted => fail(FailReason::TlsUntrusted),
        FailureKind::TlsClientCertificate | FailureKind::TlsProtocol | FailureKind::TlsOther => {
            fail(FailReason::Tls)
        }
        FailureKind::Protocol => fail(FailReason::Protocol),
        FailureKind::Closed => fail(FailReason::Closed),
        FailureKind::TooLarge => fail(FailReason::TooLarge),
        FailureKind::Redirect => fail(FailReason::Redirect),
        FailureKind::Timeout => fail(FailReason::Timeout),
    }
}

fn observations(exchange: &Exchange, days: Option<f64>) -> Vec<Observation> {
    let phases = &exchange.phases;
    let mut list = vec![Observation::seconds("response-time", exchange.total)];
    let timed = [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("first-byte", phases.wait),
        ("transfer", phases.transfer),
    ];
    let reached = timed.into_iter().filter(|(_, duration)| *duration > Duration::ZERO);
    list.extend(reached.map(|(name, duration)| Observation::seconds(name, duration)));
    if let Some(status) = exchange.status {
        list.push(Observation::new("status-code", f64::from(status.as_u16()), ""));
    }
    if let Ok(answer) = &exchange.result {
        #[expect(clippy::cast_precision_loss, reason = "bodies are bounded far below 2^52")]
        list.push(Observation::new("body-size", answer.body.len() as f64, "B"));
    }
    if exchange.redirects > 0 {
        list.push(Observation::new("redirects", f64::from(exchange.redirects), ""));
    }
    if let Some(days) = days {
        list.push(Observation::new("certificate-days-left", (days * 10.0).round() / 10.0, "d"));
    }
    list
}

fn details(exchange: &Exchange) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut add = |name: &str, text: String| list.push((name.to_owned(), text));
    if let Some(peer) = exchange.peer {
        add("peer", peer.to_string());
    }
    if let Ok(answer) = &exchange.result {
        add("http-version", format!("{:?}", answer.version));
    }
    if exchange.redirects > 0 {
        add("url", exchange.url.to_string());
    }
    if let Some(version) = exchange.tls_version {
        add("tls-version", version.to_owned());
    }
    if let Some(certificate) = &exchange.certificate {
        add("certificate-subject", certificate.subject.clone());
        add("certificate-issuer", certificate.issuer.clone());
    }
    list
}
