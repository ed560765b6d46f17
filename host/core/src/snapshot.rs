//! The immutable picture of all checks that every reader shares.
//!
//! The scheduler builds one, publishes it whole, and never changes it. Everything that is shown
//! (health in each format, the API, the page) is a function of one snapshot, so that two answers
//! never contradict each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::check::{CheckSpec, Origin, Start};
use crate::config::Problem;
use crate::config::tree::Place;
use crate::endpoint::EndpointSpec;
use crate::grant::Use;
use crate::group::GroupSpec;
use crate::id::CheckName;
use crate::outcome::{Fault, FaultReason, Outcome, Report, Run};
use crate::status::Status;
use crate::time::WallTime;
use crate::units::count;

/// All checks, by name, and what else there is to say.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was made.
    pub at: WallTime,
    /// When the process started.
    pub started: WallTime,
    /// Sorted by name.
    pub checks: Vec<Arc<CheckState>>,
    /// Sorted by name.
    pub groups: Vec<Arc<GroupState>>,
    /// Maintenance windows: those of the configuration, then those that were opened by request.
    pub windows: Arc<[WindowState]>,
    /// What is configured and loaded.
    pub setup: Arc<Setup>,
}

/// A maintenance window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowState {
    /// By which it can be closed, if it was opened by request.
    pub number: Option<u64>,
    /// What is done.
    pub title: Option<String>,
    /// The checks and groups that it is for.
    pub names: Vec<CheckName>,
    /// Likewise, by tag. Without names and tags it is for everything.
    pub tags: Vec<String>,
    /// If it is open: until when.
    pub open_until: Option<WallTime>,
    /// When it opens or closes next; nothing if it is past.
    pub next_change: Option<WallTime>,
}

impl Snapshot {
    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Arc<CheckState>> {
        let index =
            self.checks.binary_search_by(|state| state.spec.name.as_str().cmp(name)).ok()?;
        self.checks.get(index)
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&Arc<GroupState>> {
        let index =
            self.groups.binary_search_by(|state| state.spec.name.as_str().cmp(name)).ok()?;
        self.groups.get(index)
    }

    /// The check or group of that name; no two have the same.
    pub fn item(&self, name: &str) -> Option<Item<'_>> {
        self.check(name).map(Item::Check).or_else(|| self.group(name).map(Item::Group))
    }

    /// What the state of everything is made from: the groups that are in no other group, and the
    /// checks that are in none.
    pub fn roots(&self) -> Vec<Item<'_>> {
        let inner: BTreeSet<&str> = self
            .groups
            .iter()
            .flat_map(|group| group.spec.members.iter().map(|member| member.name.as_str()))
            .collect();
        let all = self.groups.iter().map(Item::Group).chain(self.checks.iter().map(Item::Check));
        all.filter(|item| !inner.contains(item.name())).collect()
    }
}

/// A check or a group.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A check.
    Check(&'a Arc<CheckState>),
    /// A group.
    Group(&'a Arc<GroupState>),
}

impl<'a> Item<'a> {
    /// Its name.
    pub fn name(self) -> &'a str {
        match self {
            Self::Check(check) => check.spec.name.as_str(),
            Self::Group(group) => group.spec.name.as_str(),
        }
    }

    /// Free text for people, or else its name.
    pub fn title(self) -> &'a str {
        let title = match self {
            Self::Check(check) => check.spec.title.as_deref(),
            Self::Group(group) => group.spec.title.as_deref(),
        };
        title.unwrap_or(self.name())
    }

    /// Its tags.
    pub fn tags(self) -> &'a [String] {
        match self {
            Self::Check(check) => &check.spec.tags,
            Self::Group(group) => &group.spec.tags,
        }
    }

    /// Its labels.
    pub fn labels(self) -> &'a BTreeMap<String, String> {
        match self {
            Self::Check(check) => &check.spec.labels,
            Self::Group(group) => &group.spec.labels,
        }
    }

    /// After thresholds.
    pub fn state(self) -> Status {
        match self {
            Self::Check(check) => check.state,
            Self::Group(group) => group.state,
        }
    }

    /// When the state was reached.
    pub fn since(self) -> WallTime {
        match self {
            Self::Check(check) => check.since,
            Self::Group(group) => group.since,
        }
    }

    /// What is said of it if it is aside: `paused`, or `in maintenance`.
    pub fn aside(self) -> Option<&'static str> {
        match self {
            Self::Check(check) => check.aside.as_ref().map(Aside::word),
            Self::Group(group) => group.maintenance.then_some(Aside::MAINTENANCE),
        }
    }

    /// Whether it is in maintenance, or paused.
    pub fn in_maintenance(self) -> bool {
        match self {
            Self::Check(check) => check.aside.is_some(),
            Self::Group(group) => group.maintenance,
        }
    }

    /// Whether it counts in the aggregate and in the groups that it is a member of.
    pub fn counts(self) -> bool {
        match self {
            Self::Check(check) => check.counts(),
            Self::Group(group) => group.counts(),
        }
    }
}

/// One group, as the host believes it to be now.
#[derive(Debug, Clone)]
pub struct GroupState {
    /// As configured.
    pub spec: Arc<GroupSpec>,
    /// After the group's thresholds; `unknown` where no member counts.
    pub state: Status,
    /// When the state was reached.
    pub since: WallTime,
    /// Whether any member counts.
    pub asked: bool,
    /// Whether every member is in maintenance, and there is one.
    pub maintenance: bool,
    /// The members, directly within it, that are as they should be, and all of them that count.
    pub healthy: (usize, usize),
}

impl GroupState {
    /// The same with its name, its members, its state and how many of them are well, and nothing
    /// else: no free text and no times.
    #[must_use]
    pub fn bare(&self) -> Self {
        let spec = GroupSpec {
            title: None,
            tags: Vec::new(),
            labels: BTreeMap::new(),
            place: Place::file(""),
            ..GroupSpec::clone(&self.spec)
        };
        Self { spec: Arc::new(spec), since: WallTime::default(), ..self.clone() }
    }

    /// Whether it counts in the aggregate and in the groups that it is a member of.
    pub fn counts(&self) -> bool {
        self.asked && !self.maintenance
    }

    /// One line for a person.
    pub fn message(&self) -> String {
        match (self.spec.members.len(), self.healthy) {
            (0, _) => "it has no members".to_owned(),
            (_, (_, 0)) if self.maintenance => "every member is in maintenance".to_owned(),
            (_, (_, 0)) => "no member counts yet".to_owned(),
            (_, (healthy, all)) => format!("{healthy} of {} healthy", count(all, "member")),
        }
    }
}

/// How often a check ran, since the process started or the check was changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// Runs by the status that they argued for, in the order of [`Status::ALL`].
    pub runs: [u64; Status::ALL.len()],
    /// Runs that did not pass, by reason.
    pub reasons: Vec<(&'static str, u64)>,
    /// Seconds that the runs took, together.
    pub seconds: f64,
}

impl Tally {
    /// All runs.
    pub fn total(&self) -> u64 {
        self.runs.iter().sum()
    }

    /// Counts a run.
    pub fn count(&mut self, run: &Run) {
        let status = run.outcome.status();
        self.runs[status as usize] += 1;
        self.seconds += run.duration.as_secs_f64();
        // A closed list, so that this stays short.
        if let Some(reason) = run.outcome.reason() {
            match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, n)) => *n += 1,
                None => self.reasons.push((reason, 1)),
            }
        }
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
    /// The paths that the configuration adds.
    pub endpoints: Arc<[EndpointSpec]>,
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
    /// Where it comes from, if it is fetched.
    pub fetched: Option<Arc<FetchedFrom>>,
}

/// Where a plugin that is fetched comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchedFrom {
    /// As configured.
    pub source: String,
    /// The file that was fetched and verified last: `sha256:` and the digest.
    pub digest: Option<String>,
    /// The key of minisign that it is signed by, where one is asked for.
    pub signed_by: Option<String>,
    /// Whether `plugins.lock` says which file it is.
    pub locked: bool,
    /// What is wrong with the source, or worth knowing of it.
    pub note: Option<String>,
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
    /// Why nobody knows its state, or why its failure is not its own, although it runs.
    pub doubt: Option<Held>,
    /// What is at the root of its not being healthy: checks or groups that it depends on, directly or
    /// not, and that are not healthy by themselves.
    pub blocked_by: Arc<[CheckName]>,
    /// Whether its outcomes go to and fro.
    pub flapping: bool,
    /// Why it does not count at present.
    pub aside: Option<Aside>,
    /// Whether it is in its start-up phase.
    pub starting: bool,
    /// How often it ran.
    pub tally: Arc<Tally>,
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

/// Why a check does not count at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Whether somebody stopped it from running; if not, somebody works on its target.
    pub paused: bool,
    /// What is done, or by whom it was paused.
    pub title: Option<String>,
    /// When that ends, where that is known.
    pub until: Option<WallTime>,
}

impl Aside {
    const MAINTENANCE: &str = "in maintenance";

    /// What is said of it.
    pub fn word(&self) -> &'static str {
        if self.paused { "paused" } else { Self::MAINTENANCE }
    }

    /// Maintenance of which nothing more is known.
    pub fn maintenance() -> Self {
        Self { paused: false, title: None, until: None }
    }

    /// What the configuration says of a check: until it says otherwise.
    pub fn configured(spec: &CheckSpec) -> Option<Self> {
        spec.maintenance.then(Self::maintenance)
    }
}

impl CheckState {
    /// A check that has not run yet.
    pub fn new(spec: Arc<CheckSpec>, facts: Arc<Facts>, since: WallTime) -> Self {
        Self {
            starting: spec.start.interval.is_some(),
            aside: Aside::configured(&spec),
            spec,
            facts,
            state: Status::Unknown,
            since,
            row: 0,
            last: None,
            answered: false,
            held: None,
            used: Arc::default(),
            backoff: None,
            doubt: None,
            blocked_by: Arc::default(),
            flapping: false,
            tally: Arc::default(),
        }
    }

    /// Whether it counts in the aggregate. A plugin file that nobody configured does not turn the
    /// code before it has answered once, and a check in maintenance does not at all.
    pub fn counts(&self) -> bool {
        self.aside.is_none() && (self.spec.origin != Origin::Dropped || self.answered)
    }

    /// Whether its not being healthy is put down to something else.
    pub fn is_blocked(&self) -> bool {
        let put_down = |doubt: &Held| doubt.reason == FaultReason::Blocked;
        self.doubt.as_ref().is_some_and(put_down)
    }

    /// The last run, unless what is true now is that it cannot run.
    pub fn current(&self) -> Option<&Arc<Last>> {
        self.last.as_ref().filter(|_| self.held.is_none())
    }

    /// Why the state is not a plain pass, as a word.
    pub fn reason(&self) -> Option<&'static str> {
        if let Some(held) = self.held.as_ref().or(self.doubt.as_ref()) {
            return Some(held.reason.as_str());
        }
        match self.current() {
            Some(last) => last.run.outcome.reason(),
            None => Some(FaultReason::Pending.as_str()),
        }
    }

    /// One line for a person.
    pub fn message(&self) -> &str {
        if let Some(held) = self.held.as_ref().or(self.doubt.as_ref()) {
            return &held.message;
        }
        match self.current() {
            Some(last) => last.run.outcome.message(),
            None => "it has not run yet",
        }
    }

    /// The same with its name, its kind, its state and the reason for it, and nothing else: no free
    /// text, no numbers and no times. How often it runs stays, for that is how long an answer may be
    /// kept.
    #[must_use]
    pub fn bare(&self) -> Self {
        let blank = |last: &Arc<Last>| {
            let outcome = match &last.run.outcome {
                Outcome::Answered(report) => Outcome::Answered(Report {
                    reason: report.reason,
                    ..Report::new(report.status, "")
                }),
                Outcome::Faulted(fault) => Outcome::Faulted(Fault::new(fault.reason, "")),
            };
            let duration = Duration::ZERO;
            let run = Run::new(outcome, duration);
            Arc::new(Last { run, at: WallTime::default() })
        };
        let unsaid = |held: &Held| Held { message: String::new(), ..held.clone() };
        let start = Start { interval: self.spec.start.interval, ..Start::default() };
        let spec = CheckSpec {
            timing: self.spec.timing,
            start,
            origin: self.spec.origin,
            ..CheckSpec::new(self.spec.name.clone(), self.spec.what.bare(), Place::file(""))
        };
        Self {
            spec: Arc::new(spec),
            facts: Arc::default(),
            state: self.state,
            since: WallTime::default(),
            row: 0,
            last: self.last.as_ref().map(blank),
            answered: self.answered,
            held: self.held.as_ref().map(unsaid),
            doubt: self.doubt.as_ref().map(unsaid),
            blocked_by: Arc::default(),
            flapping: self.flapping,
            aside: self.aside.as_ref().map(|aside| Aside {
                title: None,
                until: None,
                ..aside.clone()
            }),
            used: Arc::default(),
            backoff: None,
            starting: self.starting,
            tally: Arc::default(),
        }
    }

    /// How long the last run took, where that may be told.
    pub fn duration(&self) -> Option<Duration> {
        self.current().map(|last| last.run.duration).filter(|duration| !duration.is_zero())
    }

    /// When the last run ended, where that may be told.
    pub fn ran_at(&self) -> Option<WallTime> {
        self.current().map(|last| last.at).filter(|at| *at != WallTime::default())
    }
}
