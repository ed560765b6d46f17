//! `application/health+json`, as draft-inadarei-api-health-check-06 has it.
//!
//! The draft knows `pass`, `warn` and `fail`; an `unknown` check is a `fail` there, and the further
//! keys `state` and `reason` say what it really is. In the aggregate each check has one entry; one
//! check by itself also has an entry for each observation, under `NAME:OBSERVATION`.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Format, Scope, Selection, backing_off, notes};
use crate::outcome::{Observation, Outcome};
use crate::snapshot::CheckState;
use crate::status::Status;
use crate::time::WallTime;

/// See the module.
#[derive(Debug)]
pub(super) struct HealthJson;

impl Format for HealthJson {
    fn name(&self) -> &'static str {
        "health+json"
    }

    fn summary(&self) -> &'static str {
        "the IETF draft for health of HTTP APIs; the default"
    }

    fn media_type(&self) -> &'static str {
        "application/health+json"
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let status = selection.status();
        let body = Body {
            status: word(status),
            version: "1",
            release_id: env!("CARGO_PKG_VERSION"),
            description: "health as wellcheck sees it",
            output: (status != Status::Pass).then(|| selection.summary()),
            notes: notes(selection),
            checks: Checks(selection),
        };
        serde_json::to_vec(&body).expect("these types have string keys and finite numbers")
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Unknown | Status::Fail => "fail",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: &'static str,
    version: &'static str,
    release_id: &'static str,
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    checks: Checks<'a>,
}

struct Checks<'a>(&'a Selection<'a>);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for check in &*self.0.checks {
            map.serialize_entry(check.spec.name.as_str(), &[entry(check)])?;
            if self.0.scope == Scope::One {
                observations(check, &mut map)?;
            }
        }
        map.end()
    }
}

/// Observations of one name (they differ by labels) share a key.
fn observations<M: SerializeMap>(check: &CheckState, map: &mut M) -> Result<(), M::Error> {
    let Some(last) = check.current() else { return Ok(()) };
    let Outcome::Answered(report) = &last.run.outcome else { return Ok(()) };
    let mut done: Vec<&str> = Vec::new();
    for Observation { name, .. } in &report.observations {
        if done.contains(&name.as_str()) {
            continue;
        }
        done.push(name);
        let same = report.observations.iter().filter(|observation| observation.name == *name);
        let entries: Vec<ObservationEntry<'_>> = same
            .map(|observation| ObservationEntry {
                component_id: check.spec.name.as_str(),
                labels: &observation.labels,
                observed_value: observation.value,
                observed_unit: observation.unit.as_deref(),
                time: last.at,
            })
            .collect();
        map.serialize_entry(&format!("{}:{name}", check.spec.name), &entries)?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    component_id: &'a str,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    kind: &'a str,
    status: &'static str,
    state: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: Vec<String>,
}

fn entry(check: &CheckState) -> Entry<'_> {
    // Microseconds are more than anybody reads.
    let milliseconds = check.duration().map(|d| (d.as_secs_f64() * 1e6).round() / 1e3);
    let reason = check.reason();
    Entry {
        component_id: check.spec.name.as_str(),
        component_type: "component",
        title: check.spec.title.as_deref(),
        kind: check.spec.kind(),
        status: word(check.state),
        state: check.state,
        reason,
        observed_value: milliseconds,
        observed_unit: milliseconds.map(|_| "ms"),
        time: check.current().map(|last| last.at),
        output: (check.state != Status::Pass).then(|| match (check.state, reason) {
            (Status::Unknown, Some(reason)) => format!("unknown: {reason}: {}", check.message()),
            _ => check.message().to_owned(),
        }),
        notes: backing_off(check).into_iter().collect(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObservationEntry<'a> {
    component_id: &'a str,
    observed_value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'a str>,
    time: WallTime,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "crate::outcome::pairs")]
    labels: &'a [(String, String)],
}
