//! The JSON API's answers: `/api/v1/checks`, `/api/v1/checks/{name}`, `/api/v1/status`.
//!
//! Types of their own, so that the inside can change without changing what programs read.

use serde::Serialize;

use crate::aggregate;
use crate::config::Problem;
use crate::outcome::{Observation, Outcome, Part};
use crate::snapshot::{CheckState, Newest, PluginState, Snapshot};
use crate::status::Status;
use crate::time::WallTime;
use crate::units::show_duration;

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these types have string keys and finite numbers")
}

/// All checks, a short object for each.
pub fn list(snapshot: &Snapshot) -> Vec<u8> {
    #[derive(Serialize)]
    struct List<'a> {
        status: Status,
        summary: String,
        time: WallTime,
        checks: Vec<Check<'a>>,
    }
    encode(&List {
        status: aggregate::status(&snapshot.checks),
        summary: aggregate::summary(&snapshot.checks),
        time: snapshot.at,
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
        outcome: Option<LastOutcome<'a>>,
    }
    encode(&Detail {
        check: check(state),
        timing: Timing {
            interval: show_duration(state.spec.timing.interval),
            timeout: show_duration(state.spec.timing.timeout),
            jitter: show_duration(state.spec.timing.jitter),
            failure_threshold: state.spec.thresholds.failure,
            success_threshold: state.spec.thresholds.success,
        },
        outcome: outcome(state),
    })
}

/// The process itself: version, configuration, plugins.
pub fn status(snapshot: &Snapshot) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        version: &'static str,
        started: WallTime,
        checks: usize,
        configuration: Configuration<'a>,
        plugins: Vec<Plugin<'a>>,
        notes: &'a [String],
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
    state: Status,
    since: WallTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: &'a str,
    /// Outcomes in a row that argue for another state.
    row: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<PluginOf<'a>>,
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
        state: state.state,
        since: state.since,
        reason: state.reason(),
        message: state.message(),
        row: state.row,
        last_run: state.last.as_ref().map(|last| last.at),
        duration_ms: state.duration().map(|d| (d.as_secs_f64() * 1e6).round() / 1e3),
        plugin: state.facts.plugin.as_deref().map(|facts| PluginOf {
            name: &facts.name,
            version: &facts.version,
            digest: &facts.digest,
        }),
    }
}

#[derive(Serialize)]
struct Timing {
    interval: String,
    timeout: String,
    jitter: String,
    failure_threshold: u32,
    success_threshold: u32,
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
}

#[derive(Serialize)]
struct Running<'a> {
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    digest: &'a str,
    size: u64,
    line: &'a str,
}

fn plugin(state: &PluginState) -> Plugin<'_> {
    let (newest, problem) = match &state.newest {
        Newest::Running => ("running", None),
        Newest::Loading(step) => ("loading", Some(step.as_str())),
        Newest::Broken(problem) => ("broken", Some(problem.as_str())),
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
        }),
        newest,
        problem,
    }
}
