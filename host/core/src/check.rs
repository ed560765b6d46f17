//! A check as configured: its name, its timing, its thresholds, and what it looks at.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::condition::Judgement;
use crate::config::tree::{Place, Table, Text};
use crate::cron::Cron;
use crate::grant::Grants;
use crate::id::{CheckName, PluginName};
use crate::limits::RunLimits;
use crate::status::Status;

/// Intervals without a run after which nobody knows the state of a check, where it does not say.
pub const STALE_AFTER: u32 = 10;

/// One check of the configuration, with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckSpec {
    /// Unique name.
    pub name: CheckName,
    /// Free text for people.
    pub title: Option<String>,
    /// For selecting checks.
    pub tags: Vec<String>,
    /// Further facts, for formats that show them.
    pub labels: BTreeMap<String, String>,
    /// When it runs.
    pub timing: Timing,
    /// Points in time at which it runs in place of an interval.
    pub cron: Option<Cron>,
    /// When it begins to run, and what it does until it has passed.
    pub start: Start,
    /// Checks and groups without which it cannot be healthy: while one of them is not, its own
    /// failures are put down to that.
    pub depends_on: Vec<CheckName>,
    /// Whether it watches our own connection: while it is not healthy, nobody knows the state of what
    /// depends on it.
    pub uplink: bool,
    /// Whether it is shown, and told less of, when its outcomes go to and fro.
    pub flapping: bool,
    /// After so many intervals without a run nobody knows its state; 0 is never.
    pub stale_after: u32,
    /// Whether somebody works on its target: it runs and is shown, and does not count.
    pub maintenance: bool,
    /// When its state changes.
    pub thresholds: Thresholds,
    /// The state that faults lead to: `unknown`, or `fail` for those who want it.
    pub on_fault: Status,
    /// What makes it warn or fail besides what its kind says.
    pub judgement: Judgement,
    /// What runs.
    pub what: What,
    /// Whether somebody configured it, or a plugin file alone makes it a check.
    pub origin: Origin,
    /// Why it cannot run, although the rest of the configuration is used.
    pub refused: Option<String>,
    /// Where it stands.
    pub place: Place,
}

impl CheckSpec {
    /// A configured check with every default.
    pub fn new(name: CheckName, what: What, place: Place) -> Self {
        Self {
            name,
            title: None,
            tags: Vec::new(),
            labels: BTreeMap::new(),
            timing: Timing::default(),
            cron: None,
            start: Start::default(),
            depends_on: Vec::new(),
            uplink: false,
            flapping: true,
            stale_after: STALE_AFTER,
            maintenance: false,
            thresholds: Thresholds::default(),
            on_fault: Status::Unknown,
            judgement: Judgement::default(),
            what,
            origin: Origin::Configured,
            refused: None,
            place,
        }
    }

    /// The word after `kind =`.
    pub fn kind(&self) -> &str {
        match &self.what {
            What::Builtin { kind, .. } => &kind.value,
            What::Plugin { .. } => "plugin",
        }
    }
}

/// Where a check comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `wellcheck.toml` or a file of `conf.d`.
    Configured,
    /// `plugins/NAME.toml`.
    Sidecar,
    /// `plugins/NAME.wasm`, and nothing else. Counts only once the plugin has loaded.
    Dropped,
}

/// What runs.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one for each check, and shared from there on")]
pub enum What {
    /// A built-in kind; its own settings are read by the kind.
    Builtin {
        /// The word after `kind =`, with its place.
        kind: Text,
        /// The keys that are not common to all checks.
        settings: Table,
    },
    /// A plugin.
    Plugin {
        /// The file's name without `.wasm`.
        plugin: PluginName,
        /// A JSON object; matched against the plugin's schema when it is loaded.
        settings: serde_json::Value,
        /// What it may reach.
        grants: Grants,
        /// What one run may use.
        limits: RunLimits,
    },
}

impl What {
    /// The same kind of thing, without anything that was set.
    pub(crate) fn bare(&self) -> Self {
        match self {
            Self::Builtin { kind, settings } => {
                let place = settings.place.clone();
                let settings = Table { entries: BTreeMap::new(), place };
                Self::Builtin { kind: kind.clone(), settings }
            }
            Self::Plugin { plugin, .. } => Self::Plugin {
                plugin: plugin.clone(),
                settings: serde_json::Value::Null,
                grants: Grants::default(),
                limits: RunLimits::default(),
            },
        }
    }
}

/// When a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From run to run. 50 ms to 7 d, 30 s by default.
    pub interval: Duration,
    /// Longest a run may take. At most the interval; 10 s by default.
    pub timeout: Duration,
    /// Each run is late by a random part of this. At most half of the interval; none by default.
    pub jitter: Duration,
    /// From run to run while outcomes argue for a worse state, and have not done so often enough.
    pub retry: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            jitter: Duration::ZERO,
            retry: None,
        }
    }
}

/// When a check begins to run, and how often it runs until then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Start {
    /// Checks and groups that must have been healthy once before it runs at all.
    pub after: Vec<CheckName>,
    /// From run to run in the start-up phase; without it there is no such phase.
    pub interval: Option<Duration>,
    /// The group whose first healthy moment ends the start-up phase; the check's own if there is none.
    pub with: Option<CheckName>,
    /// How long the phase may last: until then failures are not believed.
    pub deadline: Option<Duration>,
    /// Whether it goes on to run after the start-up phase. If not, it stays as it was then.
    pub rests: bool,
}

/// How many outcomes change a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Outcomes, worse than the state, until the state changes. 1 to 100, 3 by default.
    pub failure: u32,
    /// Of how many recent outcomes these must be, where they need not come in a row. At most 100.
    pub within: Option<u32>,
    /// Healthy outcomes in a row until the state is healthy again. 1 to 100, 1 by default.
    pub success: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { failure: 3, within: None, success: 1 }
    }
}
