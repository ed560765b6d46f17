//! What Prometheus collects, in its own text and in OpenMetrics.
//!
//! | metric | what |
//! | --- | --- |
//! | `wellcheck_build_info{version}` | the program |
//! | `wellcheck_config_last_reload_successful` | whether the configuration that was read last is used |
//! | `wellcheck_config_last_reload_timestamp_seconds` | when it was read |
//! | `wellcheck_plugin_info{plugin,version,digest,newest}` | each plugin, and what its newest file is up to |
//! | `wellcheck_health_state{state}` | the state of all: 1 for the one that it is, 0 for the others |
//! | `wellcheck_check_state{check,kind,state}` | of each check, likewise |
//! | `wellcheck_check_healthy{check,kind}` | 1 where it passes or warns |
//! | `wellcheck_maintenance{check}` | 1 where it is in maintenance or paused |
//! | `wellcheck_check_blocked{check}` | 1 where something is not healthy that it depends on |
//! | `wellcheck_check_flapping{check}` | 1 where its outcomes go to and fro |
//! | `wellcheck_check_state_since_timestamp_seconds{check}` | when its state was reached |
//! | `wellcheck_check_runs_total{check,status}` | its runs, by what they argued for |
//! | `wellcheck_check_failures_total{check,reason}` | its runs that did not pass, by reason |
//! | `wellcheck_check_run_seconds_total{check}` | what its runs took, together |
//! | `wellcheck_check_last_run_duration_seconds{check}` | what the last one took |
//! | `wellcheck_check_last_run_timestamp_seconds{check}` | when it ended |
//! | `wellcheck_observation{check,name,unit,...}` | what it measured, with labels of its own |
//! | `wellcheck_group_state{group,state}` | of each group, as of a check |
//! | `wellcheck_group_members{group,healthy}` | its members that count, by whether they are healthy |
//!
//! The answer is always 200: a collector that gets an error keeps nothing, least of all that
//! something fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Format, Scope, Selection};
use crate::endpoint::Detail;
use crate::exposition::{Dialect, Exposition, Kind, Labels};
use crate::outcome::Outcome;
use crate::snapshot::{CheckState, Newest};
use crate::status::Status;
use crate::time::WallTime;

/// The text of Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus;

/// The same in the text of OpenMetrics.
#[derive(Debug)]
pub(super) struct OpenMetrics;

impl Format for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn summary(&self) -> &'static str {
        "metrics in the text of Prometheus; always 200"
    }

    fn media_type(&self) -> &'static str {
        Dialect::Prometheus.media_type()
    }

    fn code(&self, _selection: &Selection<'_>) -> u16 {
        200
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        render(selection, Dialect::Prometheus).into_bytes()
    }
}

impl Format for OpenMetrics {
    fn name(&self) -> &'static str {
        "openmetrics"
    }

    fn summary(&self) -> &'static str {
        "the same metrics as OpenMetrics; always 200"
    }

    fn media_type(&self) -> &'static str {
        Dialect::OpenMetrics.media_type()
    }

    fn accepts(&self) -> &'static [&'static str] {
        &["application/openmetrics-text"]
    }

    fn code(&self, _selection: &Selection<'_>) -> u16 {
        200
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        render(selection, Dialect::OpenMetrics).into_bytes()
    }
}

fn render(selection: &Selection<'_>, dialect: Dialect) -> String {
    let mut out = Exposition::new(dialect);
    if selection.scope == Scope::All && selection.options.detail == Detail::All {
        process(&mut out, selection);
    }
    let help = "The state of all that was asked for: 1 for the one that it is, 0 for the others.";
    let mut family = out.family(Kind::Gauge, "wellcheck_health_state", help);
    for (status, value) in states(selection.status()) {
        family.sample(&Labels::new(&[("state", status.as_str())]), value);
    }
    checks(&mut out, &selection.checks);
    if selection.options.detail == Detail::All {
        times(&mut out, &selection.checks);
        runs(&mut out, &selection.checks);
        observations(&mut out, &selection.checks);
    }
    groups(&mut out, selection);
    out.finish()
}

/// Each status with 1 or 0.
fn states(state: Status) -> [(Status, f64); Status::ALL.len()] {
    Status::ALL.map(|status| (status, flag(status == state)))
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(time: WallTime) -> f64 {
    time.0 as f64 / 1e3
}

fn number(count: u64) -> f64 {
    count as f64
}

fn process(out: &mut Exposition, selection: &Selection<'_>) {
    let setup = &selection.snapshot.setup;
    out.family(Kind::Info, "wellcheck_build_info", "The program that answers.")
        .sample(&Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    // Before the first reading there is nothing to say.
    if setup.configuration.read != WallTime::default() {
        let name = "wellcheck_config_last_reload_successful";
        let help = "Whether the configuration that was read last is the one that is used.";
        out.family(Kind::Gauge, name, help)
            .sample(&Labels::default(), flag(setup.configuration.applied));
        let name = "wellcheck_config_last_reload_timestamp_seconds";
        let help = "When the configuration was read last.";
        out.family(Kind::Gauge, name, help)
            .sample(&Labels::default(), seconds(setup.configuration.read));
    }
    let help = "A plugin with its running version, and what its newest file is up to.";
    let mut family = out.family(Kind::Info, "wellcheck_plugin_info", help);
    for plugin in &setup.plugins {
        let facts = plugin.running.as_deref();
        let newest = match plugin.newest {
            Newest::Running => "running",
            Newest::Loading(_) => "loading",
            Newest::Broken(_) => "broken",
            Newest::Blocked(_) => "blocked",
        };
        let labels = Labels::new(&[
            ("plugin", &plugin.name),
            ("version", facts.map_or("", |facts| &facts.version)),
            ("digest", facts.map_or("", |facts| &facts.digest)),
            ("newest", newest),
        ]);
        family.sample(&labels, 1.0);
    }
}

fn checks(out: &mut Exposition, checks: &[Arc<CheckState>]) {
    let help = "The state of a check: 1 for the one that it is, 0 for the others.";
    let mut family = out.family(Kind::Gauge, "wellcheck_check_state", help);
    for check in checks {
        for (status, value) in states(check.state) {
            let name = check.spec.name.as_str();
            let kind = check.spec.kind();
            let labels = [("check", name), ("kind", kind), ("state", status.as_str())];
            family.sample(&Labels::new(&labels), value);
        }
    }
    let help = "Whether a check passes or warns; 0 too where nobody knows.";
    let mut family = out.family(Kind::Gauge, "wellcheck_check_healthy", help);
    for check in checks {
        let labels = [("check", check.spec.name.as_str()), ("kind", check.spec.kind())];
        family.sample(&Labels::new(&labels), flag(check.state.is_healthy()));
    }
    let help = "Whether a check is in maintenance or paused, so that it does not count.";
    let mut family = out.family(Kind::Gauge, "wellcheck_maintenance", help);
    for check in checks {
        family.sample(&of(check), flag(check.aside.is_some()));
    }
    let help = "Whether something is not healthy that a check depends on, so that its failures are not its own.";
    let mut family = out.family(Kind::Gauge, "wellcheck_check_blocked", help);
    for check in checks {
        family.sample(&of(check), flag(!check.blocked_by.is_empty()));
    }
    let help = "Whether the outcomes of a check go to and fro.";
    let mut family = out.family(Kind::Gauge, "wellcheck_check_flapping", help);
    for check in checks {
        family.sample(&of(check), flag(check.flapping));
    }
}

fn times(out: &mut Exposition, checks: &[Arc<CheckState>]) {
    let name = "wellcheck_check_state_since_timestamp_seconds";
    let mut family = out.family(Kind::Gauge, name, "When the state of a check was reached.");
    for check in checks {
        family.sample(&of(check), seconds(check.since));
    }
}

fn of(check: &CheckState) -> Labels {
    Labels::new(&[("check", check.spec.name.as_str())])
}

fn runs(out: &mut Exposition, checks: &[Arc<CheckState>]) {
    let help = "Runs of a check, by the status that they argued for.";
    let mut family = out.family(Kind::Counter, "wellcheck_check_runs_total", help);
    for check in checks {
        for status in Status::ALL {
            let labels = [("check", check.spec.name.as_str()), ("status", status.as_str())];
            family.sample(&Labels::new(&labels), number(check.tally.runs[status as usize]));
        }
    }
    let help = "Runs of a check that did not pass, by reason.";
    let mut family = out.family(Kind::Counter, "wellcheck_check_failures_total", help);
    for check in checks {
        for (reason, count) in &check.tally.reasons {
            let labels = [("check", check.spec.name.as_str()), ("reason", *reason)];
            family.sample(&Labels::new(&labels), number(*count));
        }
    }
    let help = "What the runs of a check took, together.";
    let mut family = out.family(Kind::Counter, "wellcheck_check_run_seconds_total", help);
    for check in checks {
        family.sample(&of(check), check.tally.seconds);
    }
    let name = "wellcheck_check_last_run_duration_seconds";
    let mut family = out.family(Kind::Gauge, name, "What the last run of a check took.");
    for check in checks {
        if let Some(last) = &check.last {
            family.sample(&of(check), last.run.duration.as_secs_f64());
        }
    }
    let name = "wellcheck_check_last_run_timestamp_seconds";
    let mut family = out.family(Kind::Gauge, name, "When the last run of a check ended.");
    for check in checks {
        if let Some(last) = &check.last {
            family.sample(&of(check), seconds(last.at));
        }
    }
}

/// Of the last run, unless what is true now is that the check cannot run.
fn observations(out: &mut Exposition, checks: &[Arc<CheckState>]) {
    const OURS: &[&str] = &["check", "name", "unit"];
    let help = "What the last run of a check measured, in its unit.";
    let mut family = out.family(Kind::Gauge, "wellcheck_observation", help);
    for check in checks {
        let Some(last) = check.current() else { continue };
        let Outcome::Answered(report) = &last.run.outcome else { continue };
        // Two observations may become one series, by labels that are made to fit; the first stays.
        let mut seen = BTreeSet::new();
        for observation in &report.observations {
            let name = check.spec.name.as_str();
            let unit = observation.unit.as_deref().unwrap_or_default();
            let labels =
                Labels::new(&[("check", name), ("name", &observation.name), ("unit", unit)]);
            let foreign = observation.labels.iter().map(|(name, text)| (&**name, &**text));
            let labels = labels.with_foreign(OURS, foreign);
            if seen.insert(labels.clone()) {
                family.sample(&labels, observation.value);
            }
        }
    }
}

fn groups(out: &mut Exposition, selection: &Selection<'_>) {
    let help = "The state of a group: 1 for the one that it is, 0 for the others.";
    let mut family = out.family(Kind::Gauge, "wellcheck_group_state", help);
    for group in &*selection.groups {
        for (status, value) in states(group.state) {
            let labels = [("group", group.spec.name.as_str()), ("state", status.as_str())];
            family.sample(&Labels::new(&labels), value);
        }
    }
    let help = "Members of a group that count, by whether they are healthy.";
    let mut family = out.family(Kind::Gauge, "wellcheck_group_members", help);
    for group in &*selection.groups {
        let (healthy, all) = group.healthy;
        for (word, count) in [("true", healthy), ("false", all.saturating_sub(healthy))] {
            let labels = [("group", group.spec.name.as_str()), ("healthy", word)];
            family.sample(&Labels::new(&labels), number(count as u64));
        }
    }
}

#[cfg(test)]
mod tests;
