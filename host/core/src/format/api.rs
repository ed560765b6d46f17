//! The JSON API's answers: `/api/v1/checks`, `/api/v1/checks/{name}`, `/api/v1/status`.
//!
//! Types of their own, so that the inside can change without changing what programs read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Selection;
use crate::check::What;
use crate::condition::Written;
use crate::config::Problem;
use crate::grant::{Grants, Use};
use crate::id::CheckName;
use crate::limits::RunLimits;
use crate::outcome::{Observation, Outcome, Part};
use crate::snapshot::{
    Aside, Backoff, CheckState, GroupState, Newest, PluginFacts, PluginState, Snapshot,
};
use crate::status::Status;
use crate::time::WallTime;
use crate::units::show_duration;

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these types have string keys and finite numbers")
}

/// All groups and checks, a short object for each.
pub fn list(snapshot: &Snapshot) -> Vec<u8> {
    #[derive(Serialize)]
    struct List<'a> {
        status: Status,
        summary: String,
        time: WallTime,
        groups: Vec<Group<'a>>,
        checks: Vec<Check<'a>>,
    }
    let selection = Selection::all(snapshot);
    encode(&List {
        status: selection.status(),
        summary: selection.summary(),
        time: snapshot.at,
        groups: snapshot.groups.iter().map(|state| group(state)).collect(),
        checks: snapshot.checks.iter().map(|state| check(state)).collect(),
    })
}

/// One check with its last outcome and its log.
pub fn detail(state: &CheckState) -> Vec<u8> {
    #[derive(Serialize)]
    struct Detail<'a> {
        #[serde(flatten)]
        check: Check<'a>,
        timing: Timing,
        /// What makes it warn or fail besides what its kind says.
        #[serde(rename = "conditions", skip_serializing_if = "Option::is_none")]
        judgement: Option<&'a Written>,
        #[serde(skip_serializing_if = "Option::is_none")]
        grants: Option<GrantsOf<'a>>,
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "limits")]
        limits: Option<&'a RunLimits>,
        outcome: Option<LastOutcome<'a>>,
    }
    let (granted, limits) = match &state.spec.what {
        What::Plugin { grants, limits, .. } => (Some(grants), Some(limits)),
        What::Builtin { .. } => (None, None),
    };
    encode(&Detail {
        check: check(state),
        timing: Timing {
            interval: show_duration(state.spec.timing.interval),
            timeout: show_duration(state.spec.timing.timeout),
            jitter: show_duration(state.spec.timing.jitter),
            failure_threshold: match state.spec.thresholds.within {
                None => Threshold::Row(state.spec.thresholds.failure),
                Some(all) => Threshold::Of(format!("{} of {all}", state.spec.thresholds.failure)),
            },
            cron: state.spec.cron.as_ref().map(ToString::to_string),
            retry_interval: state.spec.timing.retry.map(show_duration),
            success_threshold: state.spec.thresholds.success,
        },
        judgement: state.spec.judgement.written(),
        grants: granted.map(|granted| grants(state, granted)),
        limits,
        outcome: outcome(state),
    })
}

/// What of the process is no part of a snapshot: it is asked for when it is shown.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Runs of plugins at once, at most.
    pub slots: usize,
    /// Runs of plugins under way.
    pub taken: usize,
    /// Runs of plugins in which the host panicked.
    pub panics: u64,
    /// Instances, memories, tables and stacks in use, where the engine knows.
    pub pooled: Option<[u64; 4]>,
    /// Why the store is not used at present.
    pub store: Option<String>,
}

/// The process itself: version, configuration, plugins, what is in use.
pub fn status(snapshot: &Snapshot, host: &Host) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        version: &'static str,
        started: WallTime,
        checks: usize,
        configuration: Configuration<'a>,
        plugins: Vec<Plugin<'a>>,
        runs: Runs,
        #[serde(skip_serializing_if = "Option::is_none")]
        store: Option<Store<'a>>,
        notes: &'a [String],
    }
    #[derive(Serialize)]
    struct Runs {
        slots: usize,
        taken: usize,
        panics: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pooled: Option<Pooled>,
    }
    #[derive(Serialize)]
    struct Pooled {
        instances: u64,
        memories: u64,
        tables: u64,
        stacks: u64,
    }
    #[derive(Serialize)]
    struct Store<'a> {
        problem: &'a str,
    }
    #[derive(Serialize)]
    struct Configuration<'a> {
        read: WallTime,
        applied: bool,
        problems: &'a [Problem],
    }
    let configuration = &snapshot.setup.configuration;
    encode(&Body {
        version: env!("CARGO_PKG_VERSION"),
        started: snapshot.started,
        checks: snapshot.checks.len(),
        configuration: Configuration {
            read: configuration.read,
            applied: configuration.applied,
            problems: &configuration.problems,
        },
        plugins: snapshot.setup.plugins.iter().map(plugin).collect(),
        runs: Runs {
            slots: host.slots,
            taken: host.taken,
            panics: host.panics,
            pooled: host.pooled.map(|[instances, memories, tables, stacks]| Pooled {
                instances,
                memories,
                tables,
                stacks,
            }),
        },
        store: host.store.as_deref().map(|problem| Store { problem }),
        notes: &snapshot.setup.notes,
    })
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    /// Somebody works on its target; it does not count.
    #[serde(skip_serializing_if = "is_false")]
    maintenance: bool,
    /// Somebody stopped it; it does not count.
    #[serde(skip_serializing_if = "is_false")]
    paused: bool,
    /// What is known of the maintenance or the pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<AsideOf<'a>>,
    /// Its outcomes go to and fro.
    #[serde(skip_serializing_if = "is_false")]
    flapping: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<&'a str>,
    /// The root causes of its not being healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_by: Vec<&'a str>,
    /// It is in its start-up phase.
    #[serde(skip_serializing_if = "is_false")]
    starting: bool,
    state: Status,
    since: WallTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: &'a str,
    /// Outcomes in a row that argue for another state.
    row: u32,
    /// How often it ran, since the process started or the check was changed.
    runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<BackoffOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<PluginOf<'a>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's attribute passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    /// Every member is in maintenance; it does not count.
    #[serde(skip_serializing_if = "is_false")]
    maintenance: bool,
    state: Status,
    since: WallTime,
    message: String,
    members: Vec<&'a str>,
    /// Members that are as they should be, of those that count.
    healthy: usize,
    counted: usize,
}

fn group(state: &GroupState) -> Group<'_> {
    let spec = &state.spec;
    let (healthy, counted) = state.healthy;
    Group {
        name: spec.name.as_str(),
        title: spec.title.as_deref(),
        tags: &spec.tags,
        labels: &spec.labels,
        maintenance: state.maintenance,
        state: state.state,
        since: state.since,
        message: state.message(),
        members: spec.members.iter().map(|member| member.name.as_str()).collect(),
        healthy,
        counted,
    }
}

/// What is known of a maintenance or a pause.
#[derive(Serialize)]
struct AsideOf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<WallTime>,
}

fn aside(aside: &Aside) -> Option<AsideOf<'_>> {
    let told = AsideOf { title: aside.title.as_deref(), until: aside.until };
    (told.title.is_some() || told.until.is_some()).then_some(told)
}

/// It faults again and again, and runs less often.
#[derive(Serialize)]
struct BackoffOf {
    faults: u32,
    until: WallTime,
}

#[derive(Serialize)]
struct PluginOf<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
}

fn check(state: &CheckState) -> Check<'_> {
    Check {
        name: state.spec.name.as_str(),
        title: state.spec.title.as_deref(),
        kind: state.spec.kind(),
        target: state.facts.target.as_deref(),
        tags: &state.spec.tags,
        labels: &state.spec.labels,
        maintenance: state.aside.as_ref().is_some_and(|aside| !aside.paused),
        paused: state.aside.as_ref().is_some_and(|aside| aside.paused),
        aside: state.aside.as_ref().and_then(aside),
        flapping: state.flapping,
        blocked_by: state.blocked_by.iter().map(CheckName::as_str).collect(),
        depends_on: state.spec.depends_on.iter().map(CheckName::as_str).collect(),
        starting: state.starting,
        state: state.state,
        since: state.since,
        reason: state.reason(),
        message: state.message(),
        row: state.row,
        runs: state.tally.total(),
        last_run: state.last.as_ref().map(|last| last.at),
        duration_ms: state.duration().map(|d| (d.as_secs_f64() * 1e6).round() / 1e3),
        backoff: state.backoff.map(|Backoff { faults, until }| BackoffOf { faults, until }),
        plugin: state.facts.plugin.as_deref().map(|facts| PluginOf {
            name: &facts.name,
            version: &facts.version,
            digest: &facts.digest,
        }),
    }
}

/// As the configuration has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Threshold {
    Row(u32),
    Of(String),
}

#[derive(Serialize)]
struct Timing {
    interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    timeout: String,
    jitter: String,
    failure_threshold: Threshold,
    success_threshold: u32,
}

/// What a check's plugin wants, can ask for, may reach, and asked for so far.
#[derive(Serialize)]
struct GrantsOf<'a> {
    wanted: Vec<Wanted<'a>>,
    imports: &'a [&'static str],
    granted: Vec<Granted>,
    used: Vec<Used<'a>>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    grant: &'a str,
    value: &'a str,
    why: &'a str,
    /// Whether the check's grants cover it; left out where there is no check to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<bool>,
}

#[derive(Serialize)]
struct Granted {
    grant: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Used<'a> {
    grant: &'static str,
    value: &'a str,
    denied: bool,
}

fn grants<'a>(state: &'a CheckState, granted: &Grants) -> GrantsOf<'a> {
    let facts = state.facts.plugin.as_deref();
    GrantsOf {
        wanted: facts.map(|facts| wants(facts, Some(granted))).unwrap_or_default(),
        imports: facts.map_or(&[], |facts| &facts.imports),
        granted: granted
            .list()
            .into_iter()
            .map(|(kind, value)| Granted { grant: kind.as_str(), value })
            .collect(),
        used: state
            .used
            .iter()
            .map(|Use { kind, value, denied }| Used {
                grant: kind.as_str(),
                value,
                denied: *denied,
            })
            .collect(),
    }
}

/// A want that cannot be read is not granted.
fn wants<'a>(facts: &'a PluginFacts, granted: Option<&Grants>) -> Vec<Wanted<'a>> {
    let wanted = facts.wants.iter().map(|(grant, value, why)| Wanted {
        grant,
        value,
        why,
        granted: granted.map(|granted| granted.covers(grant, value).unwrap_or(false)),
    });
    wanted.collect()
}

fn limits<S: serde::Serializer>(
    limits: &Option<&RunLimits>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(limits.map(RunLimits::show).unwrap_or_default())
}

/// A finished run, as the API, `wellcheck run --json` and later the store show it.
#[derive(Serialize)]
struct LastOutcome<'a> {
    status: Status,
    fault: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<WallTime>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    observations: &'a [Observation],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartOf<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "crate::outcome::pairs")]
    details: &'a [(String, String)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    log: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    flags: &'a [String],
}

#[derive(Serialize)]
struct PartOf<'a> {
    name: &'a str,
    status: Status,
    message: &'a str,
}

fn outcome(state: &CheckState) -> Option<LastOutcome<'_>> {
    let last = state.last.as_ref()?;
    Some(last_outcome(&last.run, Some(last.at)))
}

/// One run as JSON.
pub fn run(run: &crate::outcome::Run) -> Vec<u8> {
    encode(&last_outcome(run, None))
}

fn last_outcome(run: &crate::outcome::Run, at: Option<WallTime>) -> LastOutcome<'_> {
    let report = match &run.outcome {
        Outcome::Answered(report) => Some(report),
        Outcome::Faulted(_) => None,
    };
    LastOutcome {
        status: run.outcome.status(),
        fault: report.is_none(),
        reason: run.outcome.reason(),
        message: run.outcome.message(),
        at,
        duration_ms: (run.duration.as_secs_f64() * 1e6).round() / 1e3,
        observations: report.map_or(&[], |report| &report.observations),
        parts: report.map_or(&[][..], |report| &report.parts).iter().map(part).collect(),
        details: report.map_or(&[], |report| &report.details),
        log: &run.log.lines,
        flags: &run.log.flags,
    }
}

fn part(part: &Part) -> PartOf<'_> {
    PartOf { name: &part.name, status: part.status.into(), message: &part.message }
}

#[derive(Serialize)]
struct Plugin<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Running<'a>>,
    newest: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    /// The grants that the newest version waits for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocked: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<FetchedOf<'a>>,
}

/// Where a plugin that is fetched comes from.
#[derive(Serialize)]
struct FetchedOf<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<&'a str>,
    locked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct Running<'a> {
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    digest: &'a str,
    size: u64,
    line: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wants: Vec<Wanted<'a>>,
}

fn plugin(state: &PluginState) -> Plugin<'_> {
    let (newest, problem, blocked): (_, _, &[String]) = match &state.newest {
        Newest::Running => ("running", None, &[]),
        Newest::Loading(step) => ("loading", Some(step.as_str()), &[]),
        Newest::Broken(problem) => ("broken", Some(problem.as_str()), &[]),
        Newest::Blocked(grants) => ("blocked", None, grants),
    };
    Plugin {
        name: &state.name,
        running: state.running.as_deref().map(|facts| Running {
            name: &facts.own_name,
            version: &facts.version,
            summary: &facts.summary,
            digest: &facts.digest,
            size: facts.size,
            line: &facts.line,
            wants: wants(facts, None),
        }),
        newest,
        problem,
        blocked,
        fetched: state.fetched.as_deref().map(|from| FetchedOf {
            source: &from.source,
            digest: from.digest.as_deref(),
            signed_by: from.signed_by.as_deref(),
            locked: from.locked,
            note: from.note.as_deref(),
        }),
    }
}
