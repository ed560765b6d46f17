//! One attempt at a server: the connection, the time of each phase, and what they came to.

use std::future::Future;

use tokio::net::TcpStream;
use wellcheck_core::fact::{Asked, Found, Value};
use wellcheck_core::outcome::{Answer, FailReason, Outcome, Report};
use wellcheck_net::{Connector, Family, Phase, Stream, Tls, Trace};

use super::super::RunContext;
use super::super::http::explain;
use super::super::socket::{dial, known, learnt, secure};
use super::settings::Server;
use super::wire::{Trouble, said};

/// See the module.
pub(in crate::checks) struct Link<'a> {
    server: &'a Server,
    connector: &'a Connector,
    trace: Trace,
    version: Option<String>,
    asked: &'a Asked,
    found: Found,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        server: &'a Server,
        connector: &'a Connector,
        context: &'a RunContext,
    ) -> Self {
        let trace = Trace::new(context.deadline);
        let (asked, found) = (&*context.asked, Found::default());
        Self { server, connector, trace, version: None, asked, found }
    }

    /// The facts that conditions mention.
    pub(in crate::checks) fn asked(&self) -> &'a Asked {
        self.asked
    }

    /// Remembers a fact.
    pub(in crate::checks) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.found.put(name, value);
    }

    /// Where this goes.
    pub(in crate::checks) fn server(&self) -> &'a Server {
        self.server
    }

    /// Resolves and connects.
    pub(in crate::checks) async fn connect(&mut self) -> Result<TcpStream, Trouble> {
        let Server { host, port, .. } = self.server;
        Ok(dial(self.connector, host, *port, Family::Any, &mut self.trace).await?)
    }

    /// Shakes hands.
    pub(in crate::checks) async fn secure(
        &mut self,
        stream: TcpStream,
        tls: &Tls,
    ) -> Result<Stream, Trouble> {
        Ok(secure(stream, tls, &self.server.host, &[], &mut self.trace).await?)
    }

    /// What comes before the handshake of TLS, where the protocol has its own way to ask for it.
    pub(in crate::checks) async fn negotiate<T>(
        &mut self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.stage(Phase::Tls, "asking for TLS at", work).await
    }

    /// The login, from the first word to the server's consent.
    pub(in crate::checks) async fn login<T>(
        &mut self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.stage(Phase::Wait, "logging in at", work).await
    }

    /// What is asked after the login.
    pub(in crate::checks) async fn query<T>(
        &mut self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.stage(Phase::Transfer, "waiting for the answer of", work).await
    }

    async fn stage<T>(
        &mut self,
        phase: Phase,
        doing: &str,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let name = &self.server.name;
        self.trace.stage(phase, || format!("{doing} `{name}`"), async { Ok(work.await) }).await?
    }

    /// What the server says that it is.
    pub(in crate::checks) fn version(&mut self, version: &[u8]) {
        self.version = Some(said(version));
        if !self.asked.is_empty() {
            self.found.put("version", said(version));
        }
    }

    /// The outcome of the run, with all that was learnt, also before a failure.
    pub(super) fn outcome(self, result: Result<String, Trouble>) -> (Outcome, Trace) {
        let mut report = match result {
            Ok(message) => Report::new(Answer::Pass, message),
            Err(Trouble::Answer(reason, message)) => Report::fail(reason, message),
            Err(Trouble::Failure(failure)) => match explain(&failure) {
                Outcome::Answered(report) => report,
                fault @ Outcome::Faulted(_) => return (fault, self.trace),
            },
        };
        let version = self.version.map(|version| ("server-version".to_owned(), version));
        report.details.extend(version);
        report.found = self.found;
        known(&self.trace, self.asked, &mut report.found);
        learnt(&self.trace, ["login", "query"], &mut report);
        (Outcome::Answered(report), self.trace)
    }
}

/// Shorthands for what a server may say.
impl Trouble {
    /// The login was refused: the server's words.
    pub(in crate::checks) fn login(text: impl AsRef<str>) -> Self {
        let message = format!("refused the login: {}", text.as_ref());
        Self::Answer(FailReason::Login, message)
    }

    /// The server answered with an error: its words.
    pub(in crate::checks) fn query(text: impl AsRef<str>) -> Self {
        let message = format!("answered with an error: {}", text.as_ref());
        Self::Answer(FailReason::Query, message)
    }
}
