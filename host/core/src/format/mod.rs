//! How health is rendered: one table, one file per format, pure functions from a snapshot to bytes.
//!
//! To add a format: write `format/NAME.rs` with a unit struct that implements [`Format`], add one
//! line to [`FORMATS`], and accept its snapshot in `tests/e2e/snapshots`.

mod aspnet;
mod consul;
mod consul_text;
mod facts;
mod genesis;
mod health_json;
mod healthchecks_ui;
mod microprofile;
mod nagios;
mod nosana;
mod prometheus;
mod spring;
mod spring_v2;
mod text;

pub mod api;
pub mod clearskies;
pub mod gatus;
pub mod kubernetes;
pub mod shields;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::aggregate;
use crate::endpoint::{Detail, Pick};
use crate::id::CheckName;
use crate::snapshot::{CheckState, GroupState, Item, Newest, PluginState, Snapshot};
use crate::status::Status;
use crate::units::count;

/// Every format, the default first.
pub const FORMATS: &[&dyn Format] = &[
    &health_json::HealthJson,
    &genesis::Genesis,
    &spring::Spring,
    &spring_v2::SpringV2,
    &microprofile::MicroProfile,
    &aspnet::AspNet,
    &healthchecks_ui::HealthChecksUi,
    &consul::Consul,
    &consul_text::ConsulText,
    &text::Text,
    &clearskies::Clearskies,
    &nosana::Nosana,
    &kubernetes::Kubernetes,
    &nagios::Nagios,
    &prometheus::Prometheus,
    &prometheus::OpenMetrics,
    &shields::Shields,
    &gatus::Gatus,
];

/// A way to render health.
pub trait Format: Sync {
    /// The word after `?format=`; also the file's name, with `_` for what Rust does not allow.
    fn name(&self) -> &'static str;

    /// One line: who understands it.
    fn summary(&self) -> &'static str;

    /// Its media type, as sent in `Content-Type`.
    fn media_type(&self) -> &'static str;

    /// The media types, without parameters, by which a client may ask for it in `Accept`. A type
    /// belongs to one format alone.
    fn accepts(&self) -> &'static [&'static str] {
        &[]
    }

    /// The HTTP status code for a selection.
    fn code(&self, selection: &Selection<'_>) -> u16 {
        if selection.status().is_healthy() { 200 } else { 503 }
    }

    /// How long others may keep the answer, as `Cache-Control` says it.
    fn cache_control(&self, _selection: &Selection<'_>) -> String {
        "no-store".to_owned()
    }

    /// The body.
    fn render(&self, selection: &Selection<'_>) -> Vec<u8>;
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<(usize, &'static dyn Format)> {
    FORMATS.iter().copied().enumerate().find(|(_, format)| format.name() == name)
}

/// What an answer is about, and how much of it is told.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    /// The picture that it is from.
    pub snapshot: &'a Snapshot,
    /// Sorted by name; only what may be told of them.
    pub checks: Cow<'a, [Arc<CheckState>]>,
    /// Likewise.
    pub groups: Cow<'a, [Arc<GroupState>]>,
    /// What the state is made from; see [`Selection::tree`] for what may be told.
    roots: Vec<Item<'a>>,
    /// What was asked for and is not there, which nobody knows the state of; and whether something
    /// was asked for and nothing is.
    missing: Vec<&'a CheckName>,
    picked_nothing: bool,
    /// Whether the answer is about many, about a group or about one check.
    pub scope: Scope,
    /// How it is told.
    pub options: Options,
    /// Whether a check that may not be told is in maintenance.
    aside: bool,
}

/// How an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How much.
    pub detail: Detail,
    /// Whether, in the format `genesis`, a check in maintenance counts as healthy.
    pub standby_is_healthy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { detail: Detail::All, standby_is_healthy: true }
    }
}

/// Whether an answer is about many, about a group or about one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The aggregate: one short entry for each.
    All,
    /// One group with everything that is in it.
    Group,
    /// One check, with everything that is known of it.
    One,
}

impl<'a> Selection<'a> {
    /// Everything.
    pub fn all(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            checks: Cow::Borrowed(&snapshot.checks),
            groups: Cow::Borrowed(&snapshot.groups),
            roots: snapshot.roots(),
            missing: Vec::new(),
            picked_nothing: false,
            scope: Scope::All,
            options: Options::default(),
            aside: false,
        }
    }

    /// One check, or a group with everything that is in it.
    pub fn item(snapshot: &'a Snapshot, item: Item<'a>) -> Self {
        let scope = match item {
            Item::Check(_) => Scope::One,
            Item::Group(_) => Scope::Group,
        };
        Self { scope, ..Self::within(snapshot, vec![item], &[]) }
    }

    /// What an endpoint answers for. A name that is not there is one of which nobody knows the state.
    pub fn pick(snapshot: &'a Snapshot, pick: &'a Pick) -> Self {
        if pick.is_all() {
            return Self::all(snapshot);
        }
        let mut roots = Vec::new();
        let mut missing = Vec::new();
        if pick.names.is_empty() && pick.tags.is_empty() {
            roots = snapshot.roots();
        }
        for name in &pick.names {
            match snapshot.item(name.as_str()) {
                Some(item) => roots.push(item),
                None => missing.push(name),
            }
        }
        roots.extend(tagged(snapshot, &pick.tags));
        let excluded = |name: &str| pick.exclude.iter().any(|other| other.as_str() == name);
        roots.retain(|item| !excluded(item.name()));
        missing.retain(|name| !excluded(name.as_str()));
        let mut seen = BTreeSet::new();
        roots.retain(|item| seen.insert(item.name()));
        let picked_nothing = roots.is_empty() && missing.is_empty();
        Self { missing, picked_nothing, ..Self::within(snapshot, roots, &pick.exclude) }
    }

    /// These, and everything in them but what is excluded.
    fn within(snapshot: &'a Snapshot, roots: Vec<Item<'a>>, exclude: &[CheckName]) -> Self {
        let (mut checks, mut groups) = (BTreeMap::new(), BTreeMap::new());
        let mut open = roots.clone();
        while let Some(item) = open.pop() {
            match item {
                Item::Check(check) => {
                    checks.insert(item.name(), Arc::clone(check));
                }
                Item::Group(group) => {
                    if groups.insert(item.name(), Arc::clone(group)).is_some() {
                        continue;
                    }
                    let members = group.spec.members.iter();
                    let members = members.filter(|member| !exclude.contains(&member.name));
                    open.extend(members.filter_map(|m| snapshot.item(m.name.as_str())));
                }
            }
        }
        Self {
            snapshot,
            checks: checks.into_values().collect(),
            groups: groups.into_values().collect(),
            roots,
            missing: Vec::new(),
            picked_nothing: false,
            scope: Scope::All,
            options: Options::default(),
            aside: false,
        }
    }

    /// The same, told in another way.
    #[must_use]
    pub fn told(mut self, options: Options) -> Self {
        self.options = options;
        match options.detail {
            Detail::All => {}
            Detail::Names => {
                self.checks = self.checks.iter().map(|check| Arc::new(check.bare())).collect();
                self.groups = self.groups.iter().map(|group| Arc::new(group.bare())).collect();
            }
            Detail::None => {
                self.aside = self.has_maintenance();
                self.checks = Cow::Borrowed(&[]);
                self.groups = Cow::Borrowed(&[]);
            }
        }
        self
    }

    /// The state: of one check its own, of many the worst that counts.
    pub fn status(&self) -> Status {
        match (self.scope, &self.roots[..]) {
            (Scope::One | Scope::Group, [item]) => item.state(),
            _ => {
                let status = aggregate::status(self.roots.iter().copied());
                if self.lacks() { status.worst(Status::Unknown) } else { status }
            }
        }
    }

    /// Whether something was asked for that is not there.
    fn lacks(&self) -> bool {
        !self.missing.is_empty() || self.picked_nothing
    }

    /// Whether everything that could count is in maintenance, and there is something.
    pub fn in_maintenance(&self) -> bool {
        !self.roots.is_empty()
            && self.missing.is_empty()
            && self.roots.iter().all(|item| item.in_maintenance())
    }

    /// Whether any check of it is in maintenance, told or not.
    fn has_maintenance(&self) -> bool {
        self.aside || self.checks.iter().any(|check| check.aside.is_some())
    }

    /// Whether the answer is about one check or one group.
    fn is_of_one(&self) -> bool {
        matches!(self.scope, Scope::One | Scope::Group)
    }

    /// One line about all of it, as far as it may be told.
    pub fn summary(&self) -> String {
        match self.options.detail {
            Detail::None if self.status() == Status::Pass => "all is well".to_owned(),
            Detail::None => "not all is well".to_owned(),
            Detail::Names | Detail::All if self.picked_nothing => {
                "nothing that is there was picked".to_owned()
            }
            Detail::Names | Detail::All if self.missing.is_empty() => {
                aggregate::summary(&self.roots)
            }
            Detail::Names | Detail::All => {
                let missing: Vec<String> =
                    self.missing.iter().map(|name| format!("`{name}`")).collect();
                let summary = aggregate::summary(&self.roots);
                format!("not there: {}; {summary}", missing.join(", "))
            }
        }
    }

    /// What the state is made from: groups, and checks that are in none of them, as far as they may
    /// be told.
    pub fn tree(&self) -> Vec<Item<'_>> {
        self.roots.iter().filter_map(|item| self.find(item.name())).collect()
    }

    /// What is directly within a group, as far as it may be told.
    pub fn members(&self, group: &GroupState) -> Vec<Item<'_>> {
        group.spec.members.iter().filter_map(|member| self.find(member.name.as_str())).collect()
    }

    /// The check or group of that name, if it is in the selection and may be told.
    pub fn find(&self, name: &str) -> Option<Item<'_>> {
        let check = self.checks.binary_search_by(|check| check.spec.name.as_str().cmp(name));
        if let Ok(index) = check {
            return Some(Item::Check(&self.checks[index]));
        }
        let group = self.groups.binary_search_by(|group| group.spec.name.as_str().cmp(name));
        Some(Item::Group(&self.groups[group.ok()?]))
    }
}

/// Whether all is well, or somebody works on all that is not.
fn well_or_aside(selection: &Selection<'_>) -> bool {
    selection.status().is_healthy() || selection.in_maintenance()
}

/// What has one of these tags, but what lies within a group that has one too: that counts through it.
fn tagged<'a>(snapshot: &'a Snapshot, tags: &[String]) -> Vec<Item<'a>> {
    let has = |item: &Item<'_>| item.tags().iter().any(|tag| tags.contains(tag));
    let groups: Vec<Item<'a>> = snapshot.groups.iter().map(Item::Group).filter(has).collect();
    let inner = Selection::within(snapshot, groups.clone(), &[]);
    let members = inner.groups.iter().flat_map(|group| group.spec.members.iter());
    let within: BTreeSet<&str> = members.map(|member| member.name.as_str()).collect();
    let checks = snapshot.checks.iter().map(Item::Check).filter(has);
    groups.iter().copied().chain(checks).filter(|item| !within.contains(item.name())).collect()
}

fn running(plugin: &PluginState) -> String {
    match &plugin.running {
        Some(facts) => format!("; version {} goes on", facts.version),
        None => String::new(),
    }
}

/// What is worth a word before the message: `in maintenance: `, `paused: `, `flapping: `.
fn remarks(item: Item<'_>) -> String {
    let flapping = matches!(item, Item::Check(check) if check.flapping).then_some("flapping");
    item.aside().into_iter().chain(flapping).map(|word| format!("{word}: ")).collect()
}

/// Why a check runs less often than its interval says, and until when.
fn backing_off(check: &CheckState) -> Option<String> {
    let backoff = check.backoff?;
    let faults = count(backoff.faults as usize, "fault");
    Some(format!("backing off until {} after {faults}", backoff.until.time_of_day()))
}

/// What is worth a line besides the checks; nothing for one check alone.
fn notes(selection: &Selection<'_>) -> Vec<String> {
    if selection.scope != Scope::All || selection.options.detail != Detail::All {
        return Vec::new();
    }
    let setup = &selection.snapshot.setup;
    let mut notes = Vec::new();
    if selection.snapshot.checks.is_empty() {
        notes.push(
            "there is nothing to check: no check is configured, and the plugins folder is empty"
                .to_owned(),
        );
    }
    if !setup.configuration.applied && !setup.configuration.problems.is_empty() {
        notes.push(format!(
            "the configuration on disk has {} and is not used; the one before it runs",
            count(setup.configuration.problems.len(), "problem")
        ));
    }
    for plugin in &setup.plugins {
        match &plugin.newest {
            Newest::Running => {}
            Newest::Loading(step) => notes.push(format!("plugin `{}`: {step}", plugin.name)),
            Newest::Broken(problem) => {
                let running = running(plugin);
                notes.push(format!("plugin `{}`: {problem}{running}", plugin.name));
            }
            Newest::Blocked(grants) => notes.push(format!(
                "plugin `{}`: the new version waits for what is not granted: {}{}",
                plugin.name,
                grants.join(", "),
                running(plugin)
            )),
        }
    }
    notes.extend(setup.notes.iter().cloned());
    notes
}

#[cfg(test)]
mod bare;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
