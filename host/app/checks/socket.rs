//! What the kinds that talk over a plain connection share: getting there, with or without TLS, and
//! what was learnt under way.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::outcome::{Observation, Outcome, Report, Run, RunLog};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::http::Client;
use wellcheck_net::{Connector, Dial, Failure, Family, Guard, Stream, Tls, Trace};

use super::http::explain;
use super::probed::{Probed, failed_due_to_regex};
use super::{Checker, RunContext};

/// The key that [`family`] reads.
pub(super) const FAMILY_KEY: Key = key(
    "address-family",
    "\"any\"",
    "address-family = \"ipv6\"",
    "Which addresses of the name to use: `any`, `ipv4` or `ipv6`.",
);

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
    /// Settings of TLS, if it is to be spoken.
    pub(super) tls: Option<Tls>,
}

impl Goal {
    /// Host and port, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// What a kind adds: what is said over the connection.
pub(super) trait Protocol: Send + Sync {
    /// The application protocols to offer in TLS.
    const ALPN: &'static [&'static [u8]];

    /// Talks within the deadline of `trace`.
    fn talk<'a>(
        &'a self,
        stream: Stream,
        goal: &'a Goal,
        trace: &'a mut Trace,
    ) -> BoxFuture<'a, Result<Report, Failure>>;
}

/// A configured check that talks over a connection.
pub(super) struct SocketCheck<P> {
    pub(super) client: Client,
    pub(super) goal: Goal,
    pub(super) facts: Facts,
    pub(super) protocol: P,
}

impl<P: Protocol> SocketCheck<P> {
    async fn attempt(&self, context: &RunContext) -> (Run, Trace) {
        let started = Instant::now();
        let mut trace = Trace::new(context.deadline);
        let outcome = match self.look(&mut trace).await {
            Ok(report) => Outcome::Answered(report),
            Err(failure) => explain(&failure),
        };
        let outcome = match outcome {
            Outcome::Answered(mut report) => {
                learnt(&trace, ["first-byte", "transfer"], &mut report);
                Outcome::Answered(report)
            }
            fault @ Outcome::Faulted(_) => fault,
        };
        let (duration, log) = (started.elapsed(), RunLog::default());
        (Run { outcome, duration, log, used: Vec::new() }, trace)
    }

    async fn look(&self, trace: &mut Trace) -> Result<Report, Failure> {
        let Goal { host, port, family, tls } = &self.goal;
        let stream = dial(self.client.connector(), host, *port, *family, trace).await?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => secure(stream, tls, host, P::ALPN, trace).await?,
        };
        self.protocol.talk(stream, &self.goal, trace).await
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
            let regex = failed_due_to_regex(&run);
            let mut probed = Probed::over(&trace, run, &self.facts);
            probed.families.push(regex);
            probed
        }
        .boxed()
    }
}

/// Adds what was learnt of the connection: how long each phase took, with names for the two after
/// the handshake, and who answered.
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
