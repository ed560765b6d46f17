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

mod database;
pub(crate) mod http;
mod mongodb;
mod mysql;
pub(crate) mod plugin;
mod postgres;
mod redis;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::Key;
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Table, Text};
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::Run;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::{Resolver, Tls, TlsOptions, Trust};

/// Every built-in kind, in the order `wellcheck kinds` prints them.
pub(crate) const KINDS: &[&dyn Kind] =
    &[&http::Http, &postgres::Postgres, &mysql::Mysql, &redis::Redis, &mongodb::Mongodb];

/// A kind of check: parses its own settings and makes a checker from them.
pub(crate) trait Kind: Sync {
    /// The word after `kind =`; also the file's name.
    fn name(&self) -> &'static str;

    /// One line for `wellcheck kinds`.
    fn summary(&self) -> &'static str;

    /// Its own keys, besides the common ones.
    fn keys(&self) -> &'static [&'static [Key]];

    /// A complete, valid `[[check]]`; a test parses it.
    fn example(&self) -> &'static str;

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

    /// Looks at the target once.
    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run>;
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
        })
    }
}

/// Makes a checker of a built-in kind from the keys that are not common to all checks.
pub(crate) fn parse(
    what: &str,
    kind: &Text,
    settings: Table,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Arc<dyn Checker>> {
    let Some(found) = KINDS.iter().find(|k| k.name() == kind.value) else {
        let names = KINDS.iter().map(|k| k.name()).chain(["plugin"]);
        let list = known("kinds", kind.shown(), names);
        let shown = kind.shown().escape_debug();
        problems.error(&kind.place, format!("unknown kind `{shown}` in {what} {list}"));
        return None;
    };
    let mut reader = Reader::new(what, settings, found.keys());
    let checker = found.parse(&mut reader, tools, problems);
    reader.finish(COMMON, problems);
    checker
}

/// For suggestions: a mistyped key may be one of the common ones.
const COMMON: &[&[Key]] =
    &[wellcheck_core::config::keys::CHECK, wellcheck_core::config::keys::TIMING];
