//! How health is rendered: one table, one file per format, pure functions from a snapshot to bytes.
//!
//! To add a format: write `format/NAME.rs` with a unit struct that implements [`Format`], add one
//! line to [`FORMATS`], and accept its snapshot in `tests/e2e/snapshots`.

mod genesis;
mod health_json;
mod text;

pub mod api;

use std::sync::Arc;

use crate::aggregate;
use crate::snapshot::{CheckState, Newest, PluginState, Snapshot};
use crate::status::Status;
use crate::units::count;

/// Every format, the default first.
pub const FORMATS: &[&dyn Format] = &[&health_json::HealthJson, &genesis::Genesis, &text::Text];

/// A way to render health.
pub trait Format: Sync {
    /// The word after `?format=`; also the file's name, with `_` for what Rust does not allow.
    fn name(&self) -> &'static str;

    /// One line: who understands it.
    fn summary(&self) -> &'static str;

    /// Its media type, as sent in `Content-Type`.
    fn media_type(&self) -> &'static str;

    /// The HTTP status code for a selection.
    fn code(&self, selection: &Selection<'_>) -> u16 {
        if selection.status().is_healthy() { 200 } else { 503 }
    }

    /// The body.
    fn render(&self, selection: &Selection<'_>) -> Vec<u8>;
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<(usize, &'static dyn Format)> {
    FORMATS.iter().copied().enumerate().find(|(_, format)| format.name() == name)
}

/// The checks that an answer is about.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The picture that they are from.
    pub snapshot: &'a Snapshot,
    /// Sorted by name.
    pub checks: &'a [Arc<CheckState>],
    /// Whether the answer is about all or about one.
    pub scope: Scope,
}

/// Whether an answer is about all checks or about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The aggregate: one short entry for each.
    All,
    /// One check, with everything that is known of it.
    One,
}

impl<'a> Selection<'a> {
    /// All checks.
    pub fn all(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, checks: &snapshot.checks, scope: Scope::All }
    }

    /// One check.
    pub fn one(snapshot: &'a Snapshot, check: &'a Arc<CheckState>) -> Self {
        Self { snapshot, checks: std::slice::from_ref(check), scope: Scope::One }
    }

    /// Their state: of one check its own, of all the worst that counts.
    pub fn status(&self) -> Status {
        match (self.scope, self.checks) {
            (Scope::One, [check]) => check.state,
            _ => aggregate::status(self.checks),
        }
    }
}

fn running(plugin: &PluginState) -> String {
    match &plugin.running {
        Some(facts) => format!("; version {} goes on", facts.version),
        None => String::new(),
    }
}

/// Why a check runs less often than its interval says, and until when.
fn backing_off(check: &CheckState) -> Option<String> {
    let backoff = check.backoff?;
    let faults = count(backoff.faults as usize, "fault");
    Some(format!("backing off until {} after {faults}", backoff.until.time_of_day()))
}

/// What is worth a line besides the checks; nothing for one check alone.
fn notes(selection: &Selection<'_>) -> Vec<String> {
    if selection.scope == Scope::One {
        return Vec::new();
    }
    let setup = &selection.snapshot.setup;
    let mut notes = Vec::new();
    if selection.checks.is_empty() {
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
mod tests;
