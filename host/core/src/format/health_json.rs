//! `application/health+json`, as draft-inadarei-api-health-check-06 has it.
//!
//! The draft knows `pass`, `warn` and `fail`; an `unknown` check is a `fail` there, and the further
//! keys `state` and `reason` say what it really is. What is in maintenance is a `warn` with a note.
//!
//! In the aggregate each check and each group has one entry, so that it stays small. An answer about
//! one check or one group also has the parts that a check looked at, as the nodes of its component,
//! and an entry for each observation, under `NAME:OBSERVATION`. `links` say where to read more: in
//! the aggregate only for what is not well.
//!
//! **Caching.** While all is well an answer may be kept for the shortest interval of the checks that
//! it is about: nothing is measured more often. Where that is less than a second it has to be asked
//! for again. An answer that is not healthy must not be kept at all: it would send traffic away from
//! what has recovered, and caches keep errors longer than anybody expects.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::facts::milliseconds;
use super::{Format, Scope, Selection, backing_off, notes};
use crate::endpoint::Detail;
use crate::id::CheckName;
use crate::outcome::{Observation, Outcome, Part};
use crate::snapshot::{Aside, CheckState, GroupState, Item, Last};
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

    fn accepts(&self) -> &'static [&'static str] {
        &["application/health+json", "application/json"]
    }

    /// The draft ties the code to the word: `warn` is below 400 too.
    fn code(&self, selection: &Selection<'_>) -> u16 {
        if whole(selection) == "fail" { 503 } else { 200 }
    }

    fn cache_control(&self, selection: &Selection<'_>) -> String {
        if self.code(selection) >= 400 {
            return "no-store".to_owned();
        }
        let shortest = selection.checks.iter().map(|check| pace(check)).min();
        match shortest.map(|interval| interval.as_secs()) {
            Some(seconds @ 1..) => format!("max-age={seconds}"),
            _ => "no-cache".to_owned(),
        }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let status = whole(selection);
        let one = selection.tree().first().copied().filter(|_| selection.scope != Scope::All);
        let body = Body {
            status,
            version: "1",
            release_id: tells_all(selection).then_some(env!("CARGO_PKG_VERSION")),
            service_id: one.map(Item::name),
            description: one.map_or("health as wellcheck sees it", Item::title),
            output: (status != "pass").then(|| selection.summary()),
            notes: notes(selection),
            checks: Checks(selection),
            links: links(selection, one),
        };
        serde_json::to_vec(&body).expect("these types have string keys and finite numbers")
    }
}

/// The draft's word for all of it.
fn whole(selection: &Selection<'_>) -> &'static str {
    if selection.in_maintenance() { "warn" } else { word(selection.status()) }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Unknown | Status::Fail => "fail",
    }
}

/// From run to run, at present.
fn pace(check: &CheckState) -> Duration {
    let interval = check.spec.timing.interval;
    match check.spec.start.interval {
        Some(starting) if check.starting => starting.min(interval),
        _ => interval,
    }
}

fn tells_all(selection: &Selection<'_>) -> bool {
    selection.options.detail == Detail::All
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    checks: Checks<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

/// Registered link relations and relative references, since the server may stand behind a proxy.
#[derive(Serialize, Default)]
struct Links {
    /// The same by itself: its code is its health.
    #[serde(rename = "self", skip_serializing_if = "Option::is_none")]
    itself: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    alternate: Option<&'static str>,
    /// All that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    describedby: Option<String>,
}

/// A choice of checks by an endpoint has no path that the format knows of.
fn links(selection: &Selection<'_>, one: Option<Item<'_>>) -> Option<Links> {
    if !tells_all(selection) {
        return None;
    }
    let snapshot = selection.snapshot;
    let everything = selection.checks.len() == snapshot.checks.len()
        && selection.groups.len() == snapshot.groups.len();
    let itself = match one {
        Some(item) => Some(format!("/health/{}", item.name())),
        None => everything.then(|| "/health".to_owned()),
    };
    let describedby = match one {
        Some(Item::Check(check)) => Some(format!("/api/v1/checks/{}", check.spec.name)),
        Some(Item::Group(_)) | None => None,
    };
    Some(Links { itself, alternate: Some("?format=text"), describedby })
}

struct Checks<'a>(&'a Selection<'a>);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let selection = self.0;
        let mut map = serializer.serialize_map(None)?;
        for group in &*selection.groups {
            map.serialize_entry(group.spec.name.as_str(), &[group_entry(selection, group)])?;
        }
        for check in &*selection.checks {
            map.serialize_entry(check.spec.name.as_str(), &Component { selection, check })?;
            if selection.scope != Scope::All {
                observations(check, &mut map)?;
            }
        }
        map.end()
    }
}

/// A check, and as further nodes of it the parts that it looked at.
struct Component<'a> {
    selection: &'a Selection<'a>,
    check: &'a CheckState,
}

impl Serialize for Component<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { selection, check } = *self;
        let mut nodes = serializer.serialize_seq(None)?;
        nodes.serialize_element(&entry(selection, check))?;
        if let Some(last) = check.current().filter(|_| selection.scope != Scope::All) {
            for part in parts(check, last) {
                nodes.serialize_element(&part)?;
            }
        }
        nodes.end()
    }
}

/// The draft's own names of measurements, where ours mean the same.
fn measurement(name: &str) -> &str {
    match name {
        "response-time" => "responseTime",
        name => name,
    }
}

/// Observations of one name (they differ by labels) share a key.
fn observations<M: SerializeMap>(check: &CheckState, map: &mut M) -> Result<(), M::Error> {
    let Some(last) = check.current() else { return Ok(()) };
    let Outcome::Answered(report) = &last.run.outcome else { return Ok(()) };
    let mut done: Vec<&str> = Vec::new();
    for Observation { name, .. } in &report.observations {
        if done.contains(&measurement(name)) {
            continue;
        }
        done.push(measurement(name));
        let same = report.observations.iter();
        let same = same.filter(|observation| measurement(&observation.name) == measurement(name));
        let entries: Vec<ObservationEntry<'_>> = same
            .map(|observation| ObservationEntry {
                component_id: check.spec.name.as_str(),
                component_type: component_type(check),
                labels: &observation.labels,
                observed_value: observation.value,
                observed_unit: observation.unit.as_deref(),
                time: last.at,
            })
            .collect();
        map.serialize_entry(&format!("{}:{}", check.spec.name, measurement(name)), &entries)?;
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_by: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected_endpoints: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "crate::outcome::pairs")]
    details: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

const IN_MAINTENANCE: &str = "in maintenance: it is shown and does not count";

/// Why a check does not count.
fn note(aside: &Aside) -> String {
    let until = aside.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let title = aside.title.as_ref().map(|title| format!(" ({title})")).unwrap_or_default();
    format!("{}{until}: it is shown and does not count{title}", aside.word())
}

fn entry<'a>(selection: &Selection<'_>, check: &'a CheckState) -> Entry<'a> {
    let maintenance = check.aside.is_some();
    let status = if maintenance { "warn" } else { word(check.state) };
    let milliseconds = check.duration().map(milliseconds);
    let mut notes: Vec<String> = backing_off(check).into_iter().collect();
    if check.flapping {
        notes.insert(0, "flapping: its outcomes go to and fro".to_owned());
    }
    if let Some(aside) = &check.aside {
        notes.insert(0, note(aside));
    }
    let more = selection.scope != Scope::All;
    let details = match check.current().map(|last| &last.run.outcome) {
        Some(Outcome::Answered(report)) if more => &report.details[..],
        _ => &[],
    };
    let wanted = tells_all(selection) && (more || status != "pass");
    Entry {
        component_id: check.spec.name.as_str(),
        component_type: component_type(check),
        title: check.spec.title.as_deref(),
        kind: check.spec.kind(),
        status,
        state: check.state,
        reason: check.reason(),
        blocked_by: check.blocked_by.iter().map(CheckName::as_str).collect(),
        observed_value: milliseconds,
        observed_unit: milliseconds.map(|_| "ms"),
        time: check.ran_at(),
        affected_endpoints: affected(check).filter(|_| status != "pass").map(|target| [target]),
        output: output(check).filter(|text| !text.is_empty()),
        notes,
        details,
        links: wanted.then(|| Links {
            describedby: Some(format!("/api/v1/checks/{}", check.spec.name)),
            ..Links::default()
        }),
    }
}

fn output(check: &CheckState) -> Option<String> {
    let message = check.message();
    match (check.state, check.reason()) {
        (Status::Pass, _) => None,
        (Status::Unknown, Some(reason)) if message.is_empty() => Some(format!("unknown: {reason}")),
        (Status::Unknown, Some(reason)) => Some(format!("unknown: {reason}: {message}")),
        _ => Some(message.to_owned()),
    }
}

/// The draft sets databases apart from other components.
fn component_type(check: &CheckState) -> &'static str {
    match check.spec.kind() {
        "postgres" | "mysql" | "redis" | "mongodb" => "datastore",
        _ => "component",
    }
}

/// The check's target as a URI template.
fn affected(check: &CheckState) -> Option<String> {
    let target = check.facts.target.as_deref()?;
    // A host and a port alone are no URI.
    let uri = if target.contains("://") { "" } else { "://" };
    let scheme = if uri.is_empty() { "" } else { check.spec.kind() };
    Some(literal(&format!("{scheme}{uri}{target}")))
}

/// Text that RFC 6570 takes for itself, not for an expression: what it does not allow is
/// percent-encoded.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        let refused = c.is_control() || matches!(c, ' ' | '"' | '\'' | '<' | '>' | '\\' | '^');
        if refused || matches!(c, '`' | '{' | '|' | '}') {
            // All of them are one or two bytes long. Writing to a String cannot fail.
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(literal, "%{byte:02X}");
            }
        } else {
            literal.push(c);
        }
    }
    literal
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupEntry<'a> {
    component_id: &'a str,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    kind: &'static str,
    status: &'static str,
    state: Status,
    observed_value: usize,
    observed_unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
    members: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

fn group_entry<'a>(selection: &'a Selection<'_>, group: &'a GroupState) -> GroupEntry<'a> {
    let status = if group.maintenance { "warn" } else { word(group.state) };
    let more = selection.scope != Scope::All || status != "pass";
    GroupEntry {
        component_id: group.spec.name.as_str(),
        component_type: "system",
        title: group.spec.title.as_deref(),
        kind: "group",
        status,
        state: group.state,
        observed_value: group.healthy.0,
        observed_unit: "healthy members",
        output: (status != "pass").then(|| group.message()),
        notes: if group.maintenance { vec![IN_MAINTENANCE] } else { Vec::new() },
        members: selection.members(group).into_iter().map(Item::name).collect(),
        links: (tells_all(selection) && more).then(|| Links {
            itself: Some(format!("/health/{}", group.spec.name)),
            ..Links::default()
        }),
    }
}

/// The draft's array is for the nodes of one component, and its example calls them `node`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartEntry<'a> {
    component_id: &'a str,
    component_type: &'static str,
    node: &'a str,
    status: &'static str,
    time: WallTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

fn parts<'a>(check: &'a CheckState, last: &'a Last) -> Vec<PartEntry<'a>> {
    let Outcome::Answered(report) = &last.run.outcome else { return Vec::new() };
    let part = |part: &'a Part| {
        let status = word(part.status.into());
        PartEntry {
            component_id: check.spec.name.as_str(),
            component_type: component_type(check),
            node: &part.name,
            status,
            time: last.at,
            output: Some(&*part.message).filter(|_| status != "pass"),
        }
    };
    report.parts.iter().map(part).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObservationEntry<'a> {
    component_id: &'a str,
    component_type: &'static str,
    observed_value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'a str>,
    time: WallTime,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "crate::outcome::pairs")]
    labels: &'a [(String, String)],
}

#[cfg(test)]
mod tests;
