//! What the kinds that talk over a connection of their own share: getting there, with or without
//! TLS, the facts that were learnt under way, and how a talk becomes an outcome.
//!
//! A kind implements [`Protocol`] and gets a [`Session`]: that opens the connection as the check's
//! [`Goal`] says, times each stage within the deadline, and gathers facts.

use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::exposition;
use wellcheck_core::fact::{Asked, FactKey, Found, Shape, Value, fact};
use wellcheck_core::outcome::{Observation, Outcome, Report, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Client;
use wellcheck_net::{Connector, Dial, Failure, Family, Guard, Phase, Stream, Tls, Trace};

use super::http::explain;
use super::place::host_and_port;
use super::probed::{Probed, failed_due_to_regex};
use super::starttls::{self, Dialect};
use super::tls::{self, Days};
use super::wire::Trouble;
use super::{Checker, RunContext};

/// What is known of every connection.
pub(super) const FACTS: &[FactKey] = &[
    fact("peer", Shape::Text, "The address that was connected to, with its port."),
    fact("resolve", Shape::Duration, "How long the look-up of the name took."),
    fact("connect", Shape::Duration, "How long the connection over TCP took."),
];

/// The key that [`target`] reads.
pub(super) const TARGET_KEY: Key =
    key("target", "", "target = \"db.internal:5432\"", "Where to: host and port.");

/// The key that [`family`] reads.
pub(super) const FAMILY_KEY: Key = key(
    "address-family",
    "\"any\"",
    "address-family = \"ipv6\"",
    "Which addresses of the name to use: `any`, `ipv4` or `ipv6`.",
);

/// Host and port.
pub(super) fn target(reader: &mut Reader, problems: &mut Problems) -> Option<(String, u16)> {
    if !reader.has("target") {
        reader.missing("target", problems);
    }
    reader.parsed("target", problems, |text| {
        host_and_port(&text.value, None).ok_or_else(|| {
            let shown = text.shown().escape_debug();
            format!("`{shown}` is no host and port (expected for example `db.internal:5432` or `[::1]:22`)")
        })
    })
}

/// Which addresses of a name are used.
pub(super) fn family(reader: &mut Reader, problems: &mut Problems) -> Family {
    let families = [("any", Family::Any), ("ipv4", Family::V4), ("ipv6", Family::V6)];
    reader.word("address-family", &families, problems).unwrap_or_default()
}

/// Resolves a name and connects, where the connector's own guard lets it.
pub(super) async fn dial(
    connector: &Connector,
    host: &str,
    port: u16,
    family: Family,
    trace: &mut Trace,
) -> Result<TcpStream, Failure> {
    let dial = Dial { host, port, family, guard: &Guard::allow_all() };
    connector.tcp(&dial, trace).await
}

/// Shakes hands with `host`, offering the application protocols `alpn`.
pub(super) async fn secure(
    stream: TcpStream,
    tls: &Tls,
    host: &str,
    alpn: &[&[u8]],
    trace: &mut Trace,
) -> Result<Stream, Failure> {
    let stream = tls.handshake(stream, host, alpn, trace).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Where a connection goes.
#[derive(Debug)]
pub(super) struct Goal {
    /// A name or an address, IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) family: Family,
    pub(super) security: Security,
    pub(super) days: Days,
    /// Host and port, for messages.
    pub(super) name: String,
}

impl Goal {
    pub(super) fn new(host: String, port: u16, family: Family, security: Security) -> Self {
        let name = format!("{host}:{port}");
        Self { host, port, family, security, days: Days::default(), name }
    }

    /// The same, with bounds for the days that the certificate has left.
    pub(super) fn with_days(self, days: Days) -> Self {
        Self { days, ..self }
    }

    /// What is shown of it.
    pub(super) fn facts(&self) -> Facts {
        Facts { target: Some(self.name.clone()), port: self.port, plugin: None }
    }
}

/// Whether and when TLS is spoken.
#[derive(Debug)]
pub(super) enum Security {
    /// Never.
    Plain,
    /// From the first byte.
    Direct(Tls),
    /// Once the server has been asked for it in its own words.
    After(Dialect, Tls),
    /// When the protocol says so.
    Later(Tls),
}

/// What a kind adds: what is said over the connection.
pub(super) trait Protocol: Send + Sync {
    /// Opens the connection and talks.
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>>;

    /// What a probe on demand tells besides what is known of every connection.
    fn families(&self, run: &Run) -> Vec<exposition::Family> {
        vec![failed_due_to_regex(run)]
    }
}

/// One attempt at a target.
pub(super) struct Session<'a> {
    goal: &'a Goal,
    client: &'a Client,
    asked: &'a Asked,
    /// For what is timed by others.
    pub(super) trace: Trace,
    found: Found,
    details: Vec<(String, String)>,
}

impl<'a> Session<'a> {
    /// Where this goes.
    pub(super) fn goal(&self) -> &'a Goal {
        self.goal
    }

    /// The client whose guard binds this attempt.
    pub(super) fn client(&self) -> &'a Client {
        self.client
    }

    /// Whether a condition mentions this fact.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.asked.has(name)
    }

    /// Remembers a fact, if it is asked for.
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        if self.asks(name) {
            self.found.put(name, value);
        }
    }

    /// Adds a name and a text to the report, fact or not.
    pub(super) fn detail(&mut self, name: &str, text: String) {
        self.details.push((name.to_owned(), text));
    }

    /// Resolves and connects.
    pub(super) async fn connect(&mut self) -> Result<TcpStream, Trouble> {
        let Goal { host, port, family, .. } = self.goal;
        Ok(dial(self.client.connector(), host, *port, *family, &mut self.trace).await?)
    }

    /// Connects, and shakes hands where the check wants that before anything is said.
    pub(super) async fn open(&mut self, alpn: &[&[u8]]) -> Result<Stream, Trouble> {
        let tcp = self.connect().await?;
        match &self.goal.security {
            Security::Plain | Security::Later(_) => Ok(Stream::Plain(tcp)),
            Security::Direct(_) => self.secure(tcp, alpn).await,
            Security::After(dialect, _) => {
                let tcp = starttls::ask(*dialect, tcp, self).await?;
                self.secure(tcp, alpn).await
            }
        }
    }

    /// Shakes hands.
    pub(super) async fn secure(
        &mut self,
        tcp: TcpStream,
        alpn: &[&[u8]],
    ) -> Result<Stream, Trouble> {
        let (Security::Direct(tls) | Security::After(_, tls) | Security::Later(tls)) =
            &self.goal.security
        else {
            return Ok(Stream::Plain(tcp));
        };
        Ok(secure(tcp, tls, &self.goal.host, alpn, &mut self.trace).await?)
    }

    /// What is said before the handshake, to have one.
    pub(super) async fn negotiate<T>(
        &mut self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.stage(Phase::Tls, "asking for TLS at", work).await
    }

    /// What is said over the connection; `doing` completes "timed out while ... `NAME`".
    pub(super) async fn wait<T>(
        &mut self,
        doing: &str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.stage(Phase::Wait, doing, work).await
    }

    async fn stage<T>(
        &mut self,
        phase: Phase,
        doing: &str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let name = &self.goal.name;
        self.trace.stage(phase, || format!("{doing} `{name}`"), async { Ok(work.await) }).await?
    }

    /// The outcome of the run, with all that was learnt, also before a failure.
    fn outcome(self, result: Result<Report, Trouble>) -> (Outcome, Trace) {
        let mut report = match result {
            Ok(report) => report,
            Err(Trouble::Answer(reason, message)) => Report::fail(reason, message),
            Err(Trouble::Failure(failure)) => match explain(&failure) {
                Outcome::Answered(report) => report,
                fault @ Outcome::Faulted(_) => return (fault, self.trace),
            },
        };
        self.goal.days.judge(self.trace.certificate.as_ref(), &mut report);
        report.found = self.found;
        known(&self.trace, self.asked, &mut report.found);
        report.details.splice(0..0, self.details);
        learnt(&self.trace, ["first-byte", "transfer"], &mut report);
        (Outcome::Answered(report), self.trace)
    }
}

/// A configured check that talks over a connection.
pub(super) struct SocketCheck<P> {
    pub(super) client: Client,
    pub(super) goal: Goal,
    pub(super) facts: Facts,
    pub(super) protocol: P,
    /// Takes out of the report what the target must not repeat.
    pub(super) redactor: Redactor,
}

impl<P: Protocol> SocketCheck<P> {
    /// A check of `goal` that has nothing to hide.
    pub(super) fn new(client: &Client, goal: Goal, protocol: P) -> Self {
        let (client, facts) = (client.clone(), goal.facts());
        Self { client, goal, facts, protocol, redactor: Redactor::default() }
    }

    async fn attempt(&self, context: &RunContext) -> (Run, Trace) {
        let started = Instant::now();
        let mut session = Session {
            goal: &self.goal,
            client: &self.client,
            asked: &context.asked,
            trace: Trace::new(context.deadline),
            found: Found::default(),
            details: Vec::new(),
        };
        let result = self.protocol.talk(&mut session).await;
        let (outcome, trace) = session.outcome(result);
        let mut run = Run::new(outcome, started.elapsed());
        run.redact(&self.redactor);
        (run, trace)
    }
}

impl<P: Protocol> Checker for SocketCheck<P> {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.attempt(context).await.0 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (run, trace) = self.attempt(context).await;
            let families = self.protocol.families(&run);
            let mut probed = Probed::over(&trace, run, &self.facts);
            probed.families.extend(families);
            probed
        }
        .boxed()
    }
}

/// Adds the facts of a connection that are asked for.
pub(super) fn known(trace: &Trace, asked: &Asked, found: &mut Found) {
    if asked.is_empty() {
        return;
    }
    if let Some(peer) = trace.peer {
        found.put("peer", peer.to_string());
        // An address needs no look-up: that took no time, and is there to be compared.
        found.put("resolve", trace.phases.resolve);
        found.put("connect", trace.phases.connect);
    }
    if !trace.phases.tls.is_zero() {
        found.put("tls", trace.phases.tls);
    }
    tls::known(trace, asked, found);
}

/// Adds what was learnt of the connection: how long each phase took, with names for the two after
/// the handshake, who answered, and the days that its certificate has left.
pub(super) fn learnt(trace: &Trace, names: [&str; 2], report: &mut Report) {
    let phases = &trace.phases;
    let timed = [
        ("response-time", trace.elapsed()),
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        (names[0], phases.wait),
        (names[1], phases.transfer),
    ];
    let reached = timed.into_iter().filter(|(_, duration)| !duration.is_zero());
    let reached = reached.map(|(name, duration)| Observation::seconds(name, duration));
    report.observations.splice(0..0, reached);
    let mut add = |name: &str, text: String| report.details.push((name.to_owned(), text));
    if let Some(peer) = trace.peer {
        add("peer", peer.to_string());
    }
    if let Some(version) = trace.tls_version {
        add("tls-version", version.to_owned());
    }
    if let Some(certificate) = &trace.certificate {
        add("certificate-subject", certificate.subject.clone());
        add("certificate-issuer", certificate.issuer.clone());
        report.observations.push(tls::days_observed(certificate));
    }
}

/// What came from the target, fit for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 80;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST)]);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST || bytes.len() > 4 * MOST {
        shown.push('…');
    }
    shown
}
