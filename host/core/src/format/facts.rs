//! What a check or group is like, as names with plain values.
//!
//! Several formats have a table for what they have no word of their own for: Spring's `details`,
//! MicroProfile's and ASP.NET's `data`. They show the same facts, so that whoever knows one of them
//! finds the way in the others. Values are texts, numbers and truth values only, since MicroProfile
//! allows no others.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::ser::{SerializeMap, Serializer};
use serde::{Serialize, ser};

use super::{Scope, Selection, backing_off};
use crate::endpoint::Detail;
use crate::outcome::{Observation, Outcome, Report};
use crate::snapshot::{CheckState, GroupState, Item};
use crate::status::Status;

/// A plain value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Fact<'a> {
    Text(Cow<'a, str>),
    Count(usize),
    Number(f64),
    Flag(bool),
}

impl<'a> From<&'a str> for Fact<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Fact<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// Names with plain values, each name once, in their order.
#[derive(Debug, Default)]
pub(super) struct Facts<'a>(Vec<(Cow<'a, str>, Fact<'a>)>);

impl<'a> Facts<'a> {
    fn add(&mut self, name: impl Into<Cow<'a, str>>, fact: impl Into<Fact<'a>>) {
        self.0.push((name.into(), fact.into()));
    }

    /// The others, for formats that have a place of their own for this one.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // A plugin may report two observations of one name with the same labels.
        let mut seen = BTreeSet::new();
        for (name, fact) in &self.0 {
            if seen.insert(name) {
                ser::SerializeMap::serialize_entry(&mut map, name, fact)?;
            }
        }
        map.end()
    }
}

/// The facts of a check or group, as far as the selection tells them. What a run reported besides
/// its message is there only where the answer is about one check or one group.
pub(super) fn of<'a>(selection: &'a Selection<'_>, item: Item<'a>) -> Facts<'a> {
    let mut facts = Facts::default();
    if selection.options.detail == Detail::None {
        return facts;
    }
    facts.add("state", item.state().as_str());
    if item.in_maintenance() {
        facts.add("maintenance", Fact::Flag(true));
    }
    match item {
        Item::Check(check) => of_check(selection, check, &mut facts),
        Item::Group(group) => of_group(selection, group, &mut facts),
    }
    facts
}

fn of_check<'a>(selection: &Selection<'_>, check: &'a CheckState, facts: &mut Facts<'a>) {
    if let Some(reason) = check.reason().filter(|_| check.state != Status::Pass) {
        facts.add("reason", reason);
    }
    if selection.options.detail != Detail::All {
        return;
    }
    if let Some(title) = &check.spec.title {
        facts.add("title", title.as_str());
    }
    if !check.message().is_empty() {
        facts.add("message", check.message());
    }
    if let Some(why) = backing_off(check) {
        facts.add("pause", why);
    }
    facts.add("kind", check.spec.kind());
    if let Some(target) = &check.facts.target {
        facts.add("target", target.as_str());
    }
    let Some(last) = check.current() else { return };
    facts.add("durationMs", Fact::Number(milliseconds(last.run.duration)));
    facts.add("lastRun", last.at.to_string());
    if let (Outcome::Answered(report), Scope::One | Scope::Group) =
        (&last.run.outcome, selection.scope)
    {
        of_report(report, facts);
    }
}

/// Each with a prefix, so that no plugin can take the name of another fact.
fn of_report<'a>(report: &'a Report, facts: &mut Facts<'a>) {
    for observation in &report.observations {
        facts.add(named(observation), Fact::Number(observation.value));
    }
    for part in &report.parts {
        let status = Status::from(part.status);
        facts.add(format!("part.{}", part.name), format!("{status}: {}", part.message));
    }
    for (name, text) in &report.details {
        facts.add(format!("detail.{name}"), text.as_str());
    }
}

/// `observation.depth{queue=orders}`.
fn named(observation: &Observation) -> String {
    let labels: Vec<String> =
        observation.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
    match &labels[..] {
        [] => format!("observation.{}", observation.name),
        labels => format!("observation.{}{{{}}}", observation.name, labels.join(",")),
    }
}

fn of_group<'a>(selection: &'a Selection<'_>, group: &'a GroupState, facts: &mut Facts<'a>) {
    let (healthy, counted) = group.healthy;
    facts.add("healthyMembers", Fact::Count(healthy));
    facts.add("countedMembers", Fact::Count(counted));
    if selection.scope == Scope::Group {
        for member in selection.members(group) {
            facts.add(format!("member.{}", member.name()), member.state().as_str());
        }
    }
}

/// With three decimals: microseconds are more than anybody reads.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// What the whole is made from, in formats whose clients do that sum themselves: what does not
/// count is left out, but for what is in maintenance, which each of them has a word for. Where the
/// answer is about one check or group, it is that one.
pub(super) fn summands<'a>(selection: &'a Selection<'_>) -> Vec<Item<'a>> {
    let mut items = selection.tree();
    if selection.scope == Scope::All {
        items.retain(|item| item.counts() || item.in_maintenance());
    }
    items
}
