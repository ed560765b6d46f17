//! What checks can run: the table of built-in kinds, and plugins.
//!
//! To add a kind: copy the smallest file here, implement [`Kind`], and add one line to [`KINDS`].
//! The trait demands the documentation, so a kind cannot exist without it; a test fails until the
//! kind has a case in `tests/cases` and an end-to-end test.
//!
//! The contract of a checker: it looks at its target once and says what it saw. It keeps no state
//! between runs, it never waits longer than [`RunContext::deadline`], and its future may be dropped
//! at any await point. A target that cannot be reached is a `fail`; only what is wrong with the
//! check itself is a fault.

mod amqp;
mod database;
mod datagram;
mod dns;
mod docker;
pub(crate) mod exec;
#[cfg(test)]
mod facts;
mod file;
mod grpc;
pub(crate) mod http;
mod icmp;
mod imap;
mod mongodb;
mod mqtt;
mod mysql;
mod nats;
mod ntp;
mod pattern;
mod place;
pub(crate) mod plugin;
mod postgres;
pub(crate) mod probed;
pub(crate) mod push;
mod redis;
mod script;
mod smtp;
mod socket;
mod ssh;
mod starttls;
mod steps;
mod systemd;
mod tcp;
mod tls;
mod udp;
mod websocket;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::keys::{self, Key};
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Entry, Node, Table, Text, Value};
use wellcheck_core::config::{Problems, Programs, Runs};
use wellcheck_core::fact::{Asked, FactKey};
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::Run;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Guard, Resolver, Tls, TlsOptions, Trust};

use self::probed::Probed;
use crate::records::Noted;

/// Every built-in kind, in the order `wellcheck kinds` prints them.
pub(crate) const KINDS: &[&dyn Kind] = &[
    &http::Http,
    &tcp::Tcp,
    &tls::Handshake,
    &grpc::Grpc,
    &websocket::Websocket,
    &postgres::Postgres,
    &mysql::Mysql,
    &redis::Redis,
    &mongodb::Mongodb,
    &dns::Dns,
    &icmp::Icmp,
    &ntp::Ntp,
    &udp::Udp,
    &smtp::Smtp,
    &imap::Imap,
    &ssh::Ssh,
    &steps::Steps,
    &docker::Docker,
    &push::Push,
    &exec::Exec,
    &file::File,
    &systemd::Systemd,
    &nats::Nats,
    &mqtt::Mqtt,
    &amqp::Amqp,
];

/// A kind of check: parses its own settings and makes a checker from them.
pub(crate) trait Kind: Sync {
    /// The word after `kind =`; also the file's name.
    fn name(&self) -> &'static str;

    /// One line for `wellcheck kinds`.
    fn summary(&self) -> &'static str;

    /// Its own keys, besides the common ones.
    fn keys(&self) -> &'static [&'static [Key]];

    /// What its runs find out, for conditions, besides observations and what every kind has.
    fn facts(&self) -> &'static [&'static [FactKey]];

    /// A complete, valid `[[check]]`; a test parses it.
    fn example(&self) -> &'static str;

    /// The key for what it looks at, which a probe on demand gives in place of the configuration.
    fn target_key(&self) -> &'static str {
        "url"
    }

    /// Whether a module may have this kind. Not one that looks at this machine, runs something on it,
    /// or looks at nothing: the target of a probe is what somebody else asks for.
    fn probes(&self) -> bool {
        true
    }

    /// Reads the kind's own keys. Reports every problem, and returns `None` if any is fatal.
    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>>;
}

/// One configured check, ready to run.
pub(crate) trait Checker: Send + Sync {
    /// What it looks at, for people and formats.
    fn facts(&self) -> Facts;

    /// How long it waits for outcomes from outside. Its own run, that long after the last of them,
    /// says that none came; other checks run by their interval.
    fn waits(&self) -> Option<Duration> {
        None
    }

    /// Of a check that waits for outcomes from outside: who may bring them.
    fn passive(&self) -> Option<push::Takes> {
        None
    }

    /// Looks at the target once.
    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run>;

    /// Likewise, with what a record can be made of; for the runs of a check's life. Kinds that are
    /// not a plugin leave nothing.
    fn run_noting<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, (Run, Option<Noted>)> {
        async move { (self.run(context).await, None) }.boxed()
    }

    /// Likewise for a request that asks for it, with the metrics of its protocol. Kinds that know
    /// more than their report says override it.
    fn probe<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Probed> {
        async move { Probed::of(self.run(context).await, &self.facts()) }.boxed()
    }
}

/// What a run knows of itself.
#[derive(Debug, Clone)]
pub(crate) struct RunContext {
    /// The check's name.
    pub(crate) check: CheckName,
    /// When the run must have ended.
    pub(crate) deadline: Instant,
    /// Runs in a row before this one that did not pass.
    pub(crate) failures_in_a_row: u32,
    /// The facts that the check's conditions mention; others need not be found out.
    pub(crate) asked: Arc<Asked>,
}

/// What kinds share: the way out of the process, and the TLS settings that most checks have.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// The HTTP client.
    pub(crate) client: wellcheck_net::http::Client,
    /// Trusts what the system trusts.
    pub(crate) tls_system: Tls,
    /// Trusts anyone.
    pub(crate) tls_anyone: Tls,
    /// What relative file names in the configuration start from.
    pub(crate) base: PathBuf,
    /// Which programs checks may run: none, unless the configuration says so.
    pub(crate) programs: Programs,
}

impl Tools {
    /// Reads the system's resolver settings and trusted roots.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub(crate) fn new(base: &Path) -> anyhow::Result<Self> {
        let tls = |trust| Tls::new(TlsOptions { trust, ..TlsOptions::default() });
        Ok(Self {
            client: wellcheck_net::http::Client::new(Resolver::from_system()),
            tls_system: tls(Trust::System)?,
            tls_anyone: tls(Trust::Anyone)?,
            base: base.to_owned(),
            programs: Programs::default(),
        })
    }

    /// The same, whose connections go only where `guard` lets them. Kinds that open sockets beside
    /// the client's connector ask `client.connector().guard()` themselves.
    pub(crate) fn guarded(&self, guard: Guard) -> Self {
        Self { client: self.client.guarded(guard), ..self.clone() }
    }
}

/// Makes a checker of a built-in kind from the keys that are not common to all checks.
pub(crate) fn parse(
    what: &str,
    kind: &Text,
    settings: Table,
    asked: &Asked,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Arc<dyn Checker>> {
    let found = find(what, kind, problems)?;
    let mut reader = Reader::new(what, settings, found.keys()).asking(asked.clone());
    let checker = found.parse(&mut reader, tools, problems);
    reader.finish(COMMON, problems);
    checker
}

fn find(what: &str, kind: &Text, problems: &mut Problems) -> Option<&'static dyn Kind> {
    let found = KINDS.iter().find(|k| k.name() == kind.value);
    if found.is_none() {
        let names = KINDS.iter().map(|k| k.name()).chain(["plugin"]);
        let list = known("kinds", kind.shown(), names);
        let shown = kind.shown().escape_debug();
        problems.error(&kind.place, format!("unknown kind `{shown}` in {what} {list}"));
    }
    found.copied()
}

/// What is wrong with the limits of `[runs]`: kinds that are not there.
pub(crate) fn limit_problems(runs: &Runs, problems: &mut Problems) {
    for (kind, (_, place)) in &runs.kinds {
        let names = || KINDS.iter().map(|k| k.name()).chain(["plugin"]);
        if !names().any(|name| name == kind) {
            let list = known("kinds", kind, names());
            let shown = kind.escape_debug();
            problems.error(place, format!("`kinds` of `[runs]`: unknown kind `{shown}` {list}"));
        }
    }
}

/// Likewise for a module, whose target is given apart; without one, something stands in for it, so
/// that everything else is read.
pub(crate) fn parse_module(
    what: &str,
    kind: &Text,
    mut settings: Table,
    target: Option<Text>,
    asked: &Asked,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Arc<dyn Checker>> {
    let found = find(what, kind, problems)?;
    if !found.probes() {
        let name = found.name();
        let message = format!(
            "{what} has the kind `{name}`, which is for checks alone (a module looks at targets that somebody else names)"
        );
        problems.error(&kind.place, message);
        return None;
    }
    let key = found.target_key();
    if let Some(given) = settings.entries.get(key) {
        let message = format!("{what} has `{key}`, which each probe gives (leave it out)");
        problems.error(&given.key, message);
    }
    let place = kind.place.clone();
    let target = target.unwrap_or_else(|| Text {
        value: stand_in(found).to_owned(),
        written: None,
        place: place.clone(),
    });
    let node = Node { value: Value::String(target), place: place.clone() };
    settings.entries.insert(key.to_owned(), Entry { key: place, node });
    let mut reader = Reader::new(what, settings, found.keys()).asking(asked.clone());
    let checker = found.parse(&mut reader, tools, problems);
    reader.finish(&[keys::MODULE, keys::JUDGEMENT], problems);
    checker
}

/// The target of the kind's example.
fn stand_in(kind: &dyn Kind) -> &'static str {
    let line = |line: &'static str| {
        let rest = line.strip_prefix(kind.target_key())?.trim_start().strip_prefix('=')?;
        rest.trim_start().strip_prefix('"')?.split_once('"').map(|(text, _)| text)
    };
    kind.example().lines().find_map(line).unwrap_or_default()
}

/// What the runs of a kind find out; nothing, for one that is unknown.
pub(crate) fn facts(kind: &str) -> &'static [&'static [FactKey]] {
    KINDS.iter().find(|k| k.name() == kind).map_or(&[], |kind| kind.facts())
}

/// Whether a kind has a key of this name.
pub(crate) fn has_key(kind: &Text, key: &str) -> bool {
    let found = KINDS.iter().find(|k| k.name() == kind.value);
    found.is_some_and(|kind| kind.keys().iter().any(|keys| keys.iter().any(|k| k.name == key)))
}

/// For suggestions: a mistyped key may be one of the common ones.
const COMMON: &[&[Key]] = &[keys::CHECK, keys::TIMING, keys::JUDGEMENT];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_target_that_a_probe_can_give() {
        for kind in KINDS.iter().filter(|kind| kind.probes()) {
            let key = kind.target_key();
            let known = kind.keys().iter().any(|keys| keys.iter().any(|k| k.name == key));
            assert!(known, "`{}` has no key `{key}`", kind.name());
            assert!(!stand_in(*kind).is_empty(), "the example of `{}` has no `{key}`", kind.name());
        }
    }
}
