//! The kind `http`: asks a URL and judges the answer by status, headers, body and certificate.
//!
//! Every run opens a new connection, so that name, port, certificate and server are all looked at
//! each time; cookies last as long as a run. Only a token of OAuth 2 is kept from run to run.
//! `settings` makes a plan of the keys, with `way`, `auth` and `expect`; `ask` carries it out;
//! `found` says what was learnt. The kinds `steps` and `docker` make plans of their own.

pub(super) mod ask;
mod auth;
pub(super) mod expect;
pub(super) mod found;
pub(super) mod jar;
mod probe;
pub(super) mod settings;
pub(super) mod way;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::Key;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::FactKey;
use wellcheck_core::outcome::{FailReason, Fault, FaultReason, Outcome, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Exchange;
use wellcheck_net::{Failure, FailureKind};

use self::ask::Circumstances;
use self::settings::Plan;
use super::probed::Probed;
use super::{Checker, Kind, RunContext, Tools};

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
        settings::ALL
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        found::ALL_FACTS
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
        let plan = settings::read(reader, tools, problems)?;
        Some(Arc::new(HttpCheck(plan)))
    }
}

struct HttpCheck(Plan);

impl Checker for HttpCheck {
    fn facts(&self) -> Facts {
        self.0.facts.clone()
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
        let around = Circumstances { deadline: context.deadline, asked: &context.asked };
        let (exchange, outcome) = self.0.run(&around).await;
        (exchange, Run::new(outcome, started.elapsed()))
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
        FailureKind::TlsIncomplete => fail(FailReason::TlsIncomplete),
        FailureKind::TlsVersion => fail(FailReason::TlsVersion),
        FailureKind::TlsClientCertificate => fail(FailReason::TlsClientCertificate),
        FailureKind::TlsProtocol | FailureKind::TlsOther => fail(FailReason::Tls),
        FailureKind::Protocol => fail(FailReason::Protocol),
        FailureKind::Closed => fail(FailReason::Closed),
        FailureKind::TooLarge => fail(FailReason::TooLarge),
        FailureKind::Redirect => fail(FailReason::Redirect),
        FailureKind::Timeout => fail(FailReason::Timeout),
    }
}
