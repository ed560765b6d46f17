//! What the kinds that talk over a plain connection share: getting there, with or without TLS, and
//! what was learnt under way.

use tokio::time::Instant;
use wellcheck_core::outcome::{Observation, Outcome, Report, Run, RunLog};
use wellcheck_net::http::Client;
use wellcheck_net::{Dial, Failure, Family, Guard, Stream, Tls, Trace};

use super::http::explain;

/// Where a connection goes.
#[derive(Debug)]
pub(super) struct Goal {
    /// A name or an address, IPv6 with or without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) family: Family,
    /// Asked about each address.
    pub(super) guard: Guard,
    /// Settings of TLS, if it is to be spoken.
    pub(super) tls: Option<Tls>,
}

impl Goal {
    /// Connects within the deadline of `trace`, offering the application protocols `alpn`.
    pub(super) async fn connect(
        &self,
        client: &Client,
        alpn: &[&[u8]],
        trace: &mut Trace,
    ) -> Result<Stream, Failure> {
        let dial =
            Dial { host: &self.host, port: self.port, family: self.family, guard: &self.guard };
        let stream = client.connector().tcp(&dial, trace).await?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some(tls) => {
                let stream = tls.handshake(stream, &self.host, alpn, trace).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

/// The run that an attempt came to, with what the trace has learnt.
pub(super) fn run(started: Instant, trace: &Trace, result: Result<Report, Failure>) -> Run {
    let outcome = match result {
        Ok(report) => Outcome::Answered(report),
        Err(failure) => explain(&failure),
    };
    let outcome = match outcome {
        Outcome::Answered(mut report) => {
            learnt(trace, &mut report);
            Outcome::Answered(report)
        }
        fault @ Outcome::Faulted(_) => fault,
    };
    Run { outcome, duration: started.elapsed(), log: RunLog::default(), used: Vec::new() }
}

fn learnt(trace: &Trace, report: &mut Report) {
    let phases = &trace.phases;
    let timed = [
        ("response-time", trace.elapsed()),
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("first-byte", phases.wait),
    ];
    let reached = timed.into_iter().filter(|(_, duration)| !duration.is_zero());
    let mut all: Vec<_> =
        reached.map(|(name, duration)| Observation::seconds(name, duration)).collect();
    all.append(&mut report.observations);
    report.observations = all;
    let mut add = |name: &str, text: String| report.details.push((name.to_owned(), text));
    if let Some(peer) = trace.peer {
        add("peer", peer.to_string());
    }
    if let Some(version) = trace.tls_version {
        add("tls-version", version.to_owned());
    }
    if let Some(certificate) = &trace.certificate {
        add("certificate-subject", certificate.subject.clone());
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
