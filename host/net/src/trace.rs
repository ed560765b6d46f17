//! One attempt to reach a target: its deadline, and what was learnt so far.
//!
//! A trace is handed through the layers as `&mut`, so that the durations, the peer and the
//! certificate are there for the caller also when a later stage fails.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{Certificate, Failure, FailureKind};

/// The deadline of an attempt and the facts gathered under way.
#[derive(Debug, Clone)]
pub struct Trace {
    started: Instant,
    deadline: Instant,
    /// How long each phase took so far.
    pub phases: Phases,
    /// The address we are connected to (the proxy's if there is one).
    pub peer: Option<SocketAddr>,
    /// The address that was tried first, also where no connection came about; else the peer.
    pub tried: Option<SocketAddr>,
    /// What the server's certificate says, whether or not it was accepted.
    pub certificate: Option<Certificate>,
    /// Whether that certificate was found to lead to a trusted root.
    pub tls_verified: bool,
    /// Whether the server asked for a certificate of ours. Over TLS 1.3 it says only after the
    /// handshake whether it does without.
    pub tls_client_asked: bool,
    /// The negotiated version of TLS: `1.2` or `1.3`.
    pub tls_version: Option<&'static str>,
    /// The negotiated cipher suite, by its registered name: `TLS_AES_128_GCM_SHA256`.
    pub tls_cipher: Option<&'static str>,
}

/// Time spent per phase. A phase that was not reached is zero; redirects add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// From name to addresses.
    pub resolve: Duration,
    /// TCP, and the tunnel through a proxy.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From sending the request to the head of the answer.
    pub wait: Duration,
    /// From the head of the answer to its end.
    pub transfer: Duration,
}

impl Phases {
    /// All phases together.
    pub fn sum(&self) -> Duration {
        self.resolve + self.connect + self.tls + self.wait + self.transfer
    }

    fn slot(&mut self, phase: Phase) -> &mut Duration {
        match phase {
            Phase::Resolve => &mut self.resolve,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Wait => &mut self.wait,
            Phase::Transfer => &mut self.transfer,
        }
    }
}

/// A part of an attempt that is timed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// See [`Phases::resolve`].
    Resolve,
    /// See [`Phases::connect`].
    Connect,
    /// See [`Phases::tls`].
    Tls,
    /// See [`Phases::wait`].
    Wait,
    /// See [`Phases::transfer`].
    Transfer,
}

impl Trace {
    /// Starts an attempt that must end by `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self {
            started: Instant::now(),
            deadline,
            phases: Phases::default(),
            peer: None,
            tried: None,
            certificate: None,
            tls_verified: false,
            tls_client_asked: false,
            tls_version: None,
            tls_cipher: None,
        }
    }

    /// When the attempt ends at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Time since the attempt began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Does `work` within the deadline and books its time on `phase`, also when it fails.
    ///
    /// `doing` completes "timed out after 10s while …"; it is called only then.
    pub async fn stage<T>(
        &mut self,
        phase: Phase,
        doing: impl FnOnce() -> String,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let result = timeout_at(self.deadline, work).await;
        *self.phases.slot(phase) += begun.elapsed();
        result.unwrap_or_else(|_elapsed| {
            let limit = self.limit();
            Err(Failure::new(
                FailureKind::Timeout,
                format!("timed out after {limit:?} while {}", doing()),
            ))
        })
    }

    /// The time that was given, rounded up for people. The limit and not the clock goes into a
    /// message, so that a target that stays silent always fails in the same words.
    fn limit(&self) -> Duration {
        let limit = self.deadline.saturating_duration_since(self.started);
        let step = match limit.as_millis() {
            0..20 => 1_000,
            20..1_000 => 10_000,
            _ => 100_000,
        };
        Duration::from_micros((limit.as_micros() as u64).next_multiple_of(step))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_stage_ends_at_the_deadline_and_says_what_it_did() {
        let mut trace = Trace::new(Instant::now() + Duration::from_millis(40));
        let work = pending::<Result<(), Failure>>();
        let failure = trace
            .stage(Phase::Tls, || "waiting for `x`".to_owned(), work)
            .await
            .expect_err("never ready");
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert_eq!(failure.message, "timed out after 40ms while waiting for `x`");
        assert!(trace.phases.tls >= Duration::from_millis(39));
        assert_eq!(trace.phases.sum(), trace.phases.tls);
    }
}
