//! The kind `push`: a check that looks at nothing and waits for outcomes from outside.
//!
//! Jobs, cron lines and programs that nobody can reach push them over HTTP (`server/push.rs`). An
//! outcome holds for the check's `ttl`; the run of the check itself, that long after the last one,
//! says that nothing came.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::{Problems, token_hash};
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::outcome::{FailReason, Outcome, Report, Run};
use wellcheck_core::snapshot::Facts;
use wellcheck_core::units::show_duration;

use super::{Checker, Kind, RunContext, Tools};

const MIN_TTL: Duration = Duration::from_millis(100);
const MAX_TTL: Duration = Duration::from_hours(400 * 24);

const KEYS: &[Key] = &[
    key(
        "ttl",
        "",
        "ttl = \"5m\"",
        "How long an outcome holds, 100ms to 400d. When nothing has come for that long, the check fails with `stale`, at once unless `failure-threshold` is set; after a start it waits as long before it does.",
    ),
    key(
        "token-hash",
        "none",
        "token-hash = \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "`sha256:` and the hash of a token that may push to this check and nothing else, in hexadecimal (`wellcheck token` makes one); no other check has the same. Without it a `[[token]]` with the role `operate` is needed.",
    ),
];

const FACTS: &[FactKey] = &[
    fact("message", Shape::Text, "What was pushed as the message; not there when nothing came."),
    fact(
        "duration",
        Shape::Duration,
        "How long what was pushed took, where that was told: `has(duration) && duration > 1h`.",
    ),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Push;

impl Kind for Push {
    fn name(&self) -> &'static str {
        "push"
    }

    fn summary(&self) -> &'static str {
        "waits for outcomes that others push, and fails when none comes"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "backup"
kind = "push"
ttl = "25h"
"#
    }

    fn probes(&self) -> bool {
        false
    }

    fn parse(
        &self,
        reader: &mut Reader,
        _tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        if !reader.has("ttl") {
            reader.missing("ttl", problems);
        }
        let ttl = reader.duration("ttl", MIN_TTL..=MAX_TTL, problems);
        let own = reader.parsed("token-hash", problems, token_hash);
        Some(Arc::new(PushCheck { ttl: ttl?, takes: Takes { own } }))
    }
}

/// Who may bring outcomes, besides those who may operate every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes {
    /// SHA-256 of the check's own token.
    pub(crate) own: Option<[u8; 32]>,
}

struct PushCheck {
    ttl: Duration,
    takes: Takes,
}

impl Checker for PushCheck {
    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn waits(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn passive(&self) -> Option<Takes> {
        Some(self.takes)
    }

    fn run<'a>(&'a self, _context: &'a RunContext) -> BoxFuture<'a, Run> {
        let message = format!("nothing came for {}", show_duration(self.ttl));
        let outcome = Outcome::Answered(Report::fail(FailReason::Stale, message));
        std::future::ready(Run::new(outcome, Duration::ZERO)).boxed()
    }
}
