//! What the kinds that log in to a database share.
//!
//! Each of them connects, logs in and asks for the smallest real thing, so that "the port is open"
//! is not mistaken for "it works". [`settings`] reads the URL and the keys, [`Link`] makes the
//! connection and times the phases, [`Wire`] reads and writes within limits, [`scram`] is the login
//! that several of them know; a kind's own file speaks its protocol.
//!
//! Servers are not trusted: what they say is bounded by [`wire::MAX_ANSWER`], escaped and cut before
//! it is shown, and the password is taken out of it, for there are servers that repeat what they do
//! not understand.

mod found;
mod link;
mod question;
pub(super) mod scram;
pub(super) mod settings;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::outcome::Run;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::Trace;
use wellcheck_net::http::Client;

pub(super) use found::{QUERY_FACTS, SERVER_FACTS, Table, json, typed};
pub(super) use link::Link;
pub(super) use question::{First, QUERY_KEYS, Question};
pub(super) use settings::Server;
pub(super) use wire::{Bounded, Trouble, Wire, said};

use super::probed::Probed;
use super::wire;
use super::{Checker, RunContext};

/// What a kind adds: its protocol.
pub(super) trait Protocol: Send + Sync {
    /// Connects, logs in, asks. The text completes a pass: ``answered `SELECT 1` (...)``.
    fn talk<'a>(&'a self, link: &'a mut Link<'_>) -> BoxFuture<'a, Result<String, Trouble>>;
}

/// A configured check of a database.
pub(super) struct DatabaseCheck<P> {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) protocol: P,
}

impl<P: Protocol> DatabaseCheck<P> {
    async fn attempt(&self, context: &RunContext) -> (Run, Trace) {
        let started = Instant::now();
        let mut link = Link::new(&self.server, self.client.connector(), context);
        let result = self.protocol.talk(&mut link).await;
        let (outcome, trace) = link.outcome(result);
        let mut run = Run::new(outcome, started.elapsed());
        run.redact(&self.server.redactor);
        (run, trace)
    }
}

impl<P: Protocol> Checker for DatabaseCheck<P> {
    fn facts(&self) -> Facts {
        self.server.facts()
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move { self.attempt(context).await.0 }.boxed()
    }

    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move {
            let (run, trace) = self.attempt(context).await;
            Probed::over(&trace, run, &self.server.facts())
        }
        .boxed()
    }
}
