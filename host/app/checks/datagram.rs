//! What the kinds that talk over UDP share: getting there, and what was learnt under way.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::Asked;
use wellcheck_core::outcome::{Outcome, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Client;
use wellcheck_net::{Datagrams, Dial, Failure, Family, Guard, Trace};

use super::http::explain;
use super::place::host_and_port;
use super::probed::{Probed, failed_due_to_regex};
use super::socket::{family, learnt};
use super::{Checker, RunContext, Tools};

/// Where datagrams go.
#[derive(Debug)]
pub(super) struct Goal {
    /// A name or an address, IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) family: Family,
    shown: String,
}

impl Goal {
    /// Reads `target` and `address-family`; `default` is the port where the target has none.
    pub(super) fn read(
        reader: &mut Reader,
        default: Option<u16>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let family = family(reader, problems);
        if !reader.has("target") {
            reader.missing("target", problems);
        }
        let mut shown = String::new();
        let place = reader.parsed("target", problems, |text| {
            text.shown().clone_into(&mut shown);
            host_and_port(&text.value, default).ok_or_else(|| {
                let shown = text.shown().escape_debug();
                format!("`{shown}` is no host and port (expected for example `db.internal:5432` or `[::1]:22`)")
            })
        });
        let (host, port) = place?;
        Some(Self { host, port, family, shown })
    }

    /// Host and port, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// What a kind adds: what is said and expected.
pub(super) trait Talk: Send + Sync {
    /// Talks within the deadline of `trace`, and tells the facts that conditions ask for.
    fn talk<'a>(
        &'a self,
        socket: &'a Datagrams,
        name: &'a str,
        trace: &'a mut Trace,
        asked: &'a Asked,
    ) -> BoxFuture<'a, Result<Report, Failure>>;
}

/// A configured check that talks over UDP.
pub(super) struct DatagramCheck<T> {
    client: Client,
    goal: Goal,
    talk: T,
}

impl<T: Talk> DatagramCheck<T> {
    pub(super) fn new(tools: &Tools, goal: Goal, talk: T) -> Self {
        Self { client: tools.client.clone(), goal, talk }
    }

    async fn attempt(&self, context: &RunContext) -> (Run, Trace) {
        let started = Instant::now();
        let mut trace = Trace::new(context.deadline);
        let mut outcome = match self.look(&mut trace, &context.asked).await {
            Ok(report) => Outcome::Answered(report),
            Err(failure) => explain(&failure),
        };
        if let Outcome::Answered(report) = &mut outcome {
            learnt(&trace, ["first-byte", "transfer"], report);
        }
        (Run::new(outcome, started.elapsed()), trace)
    }

    async fn look(&self, trace: &mut Trace, asked: &Asked) -> Result<Report, Failure> {
        let Goal { host, port, family, .. } = &self.goal;
        let dial = Dial { host, port: *port, family: *family, guard: &Guard::allow_all() };
        let socket = self.client.connector().udp(&dial, trace).await?;
        self.talk.talk(&socket, &self.goal.name(), trace, asked).await
    }
}

impl<T: Talk> Checker for DatagramCheck<T> {
    fn facts(&self) -> Facts {
        Facts { target: Some(self.goal.shown.clone()), port: self.goal.port, plugin: None }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.attempt(context).await.0 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (run, trace) = self.attempt(context).await;
            let regex = failed_due_to_regex(&run);
            let mut probed = Probed::over(&trace, run, &self.facts());
            probed.families.push(regex);
            probed
        }
        .boxed()
    }
}
