//! The immutable picture of all checks that every reader shares.
//!
//! The scheduler builds one, publishes it whole, and never changes it. Everything that is shown
//! (health in each format, the API, the page) is a function of one snapshot, so that two answers
//! never contradict each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::check::{CheckSpec, Origin};
use crate::config::Problem;
use crate::grant::Use;
use crate::outcome::{FaultReason, Run};
use crate::status::Status;
use crate::time::WallTime;

/// All checks, by name, and what else there is to say.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was made.
    pub at: WallTime,
    /// When the process started.
    pub started: WallTime,
    /// Sorted by name.
    pub checks: Vec<Arc<CheckState>>,
    /// What is configured and loaded.
    pub setup: Arc<Setup>,
}

impl Snapshot {
    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Arc<CheckState>> {
        let index =
            self.checks.binary_search_by(|state| state.spec.name.as_str().cmp(name)).ok()?;
        self.checks.get(index)
    }
}

/// What is configured and loaded, apart from the checks.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// How the last reading of the configuration went.
    pub configuration: Configuration,
    /// The plugin files, by name.
    pub plugins: Vec<PluginState>,
    /// Files of the plugins folder that are no plugins, and anything else worth a line.
    pub notes: Vec<String>,
    /// Plugins that were there at the start and are not decided yet: not ready until there are none.
    pub starting: usize,
}

/// How the last reading of the configuration went.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// When it was last read.
    pub read: WallTime,
    /// Whether what was read is what runs; if not, an older one runs.
    pub applied: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// A plugin file and what the host knows of it.
#[derive(Debug, Clone)]
pub struct PluginState {
    /// The file's name without `.wasm`.
    pub name: String,
    /// The version that runs, if any does.
    pub running: Option<Arc<PluginFacts>>,
    /// What the newest file is up to.
    pub newest: Newest,
}

/// What the newest file of a plugin is up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newest {
    /// It runs.
    Running,
    /// It is being written or loaded; the step in words.
    Loading(String),
    /// It cannot be used; an older version may run. The problem in words.
    Broken(String),
    /// It wants more than is granted to a check that uses it, so that the older version goes on.
    /// The grants that it waits for, one text each.
    Blocked(Vec<String>),
}

/// A loaded plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginFacts {
    /// The file's name without `.wasm`.
    pub name: String,
    /// What the plugin calls itself.
    pub own_name: String,
    /// Its own version.
    pub version: String,
    /// What it checks.
    pub summary: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// The line of the contract that it speaks, such as `0.1`.
    pub line: String,
    /// What it says that it needs: the grant's word, the value, and why.
    pub wants: Vec<(String, String, String)>,
    /// What its imports can ask for, in words.
    pub imports: Vec<&'static str>,
}

/// What a check looks at, for people and for formats that show it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// URL or host and port, without secrets.
    pub target: Option<String>,
    /// The target's port; 0 where there is none.
    pub port: u16,
    /// For a plugin that has loaded.
    pub plugin: Option<Arc<PluginFacts>>,
}

/// One check, as the host believes it to be now.
#[derive(Debug, Clone)]
pub struct CheckState {
    /// As configured.
    pub spec: Arc<CheckSpec>,
    /// What it looks at.
    pub facts: Arc<Facts>,
    /// After thresholds.
    pub state: Status,
    /// When the state was reached.
    pub since: WallTime,
    /// Outcomes in a row that argue for another state.
    pub row: u32,
    /// The last finished run and when it ended.
    pub last: Option<Arc<Last>>,
    /// Whether any run has answered yet; a fault is no answer.
    pub answered: bool,
    /// Why it does not run at present.
    pub held: Option<Held>,
    /// What its runs asked for, over the life of the check; at most [`MAX_USED`].
    pub used: Arc<BTreeSet<Use>>,
    /// Why it runs less often than its interval says.
    pub backoff: Option<Backoff>,
}

/// Most things that are remembered of what the runs of a check asked for.
pub const MAX_USED: usize = 256;

/// A check whose runs fault again and again runs less often; [`crate::backoff`] says how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Faults in a row of the plugin's own making.
    pub faults: u32,
    /// When it runs again.
    pub until: WallTime,
}

/// A finished run and when it ended.
#[derive(Debug, Clone)]
pub struct Last {
    /// What it returned.
    pub run: Run,
    /// When it ended.
    pub at: WallTime,
}

/// Why a check does not run at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// From the closed list of fault reasons.
    pub reason: FaultReason,
    /// One line for a person.
    pub message: String,
}

impl CheckState {
    /// Whether it counts in the aggregate. A plugin file that nobody configured does not turn the
    /// code before it has answered once.
    pub fn counts(&self) -> bool {
        self.spec.origin != Origin::Dropped || self.answered
    }

    /// The last run, unless what is true now is that it cannot run.
    pub fn current(&self) -> Option<&Arc<Last>> {
        self.last.as_ref().filter(|_| self.held.is_none())
    }

    /// Why the state is not a plain pass, as a word.
    pub fn reason(&self) -> Option<&'static str> {
        if let Some(held) = &self.held {
            return Some(held.reason.as_str());
        }
        match self.current() {
            Some(last) => last.run.outcome.reason(),
            None => Some(FaultReason::Pending.as_str()),
        }
    }

    /// One line for a person.
    pub fn message(&self) -> &str {
        if let Some(held) = &self.held {
            return &held.message;
        }
        match self.current() {
            Some(last) => last.run.outcome.message(),
            None => "it has not run yet",
        }
    }

    /// How long the last run took.
    pub fn duration(&self) -> Option<Duration> {
        self.current().map(|last| last.run.duration)
    }
}
