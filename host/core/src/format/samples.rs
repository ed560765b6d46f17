//! Small snapshots for the tests of the formats.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::check::{CheckSpec, Thresholds, What};
use crate::config::tree::Place;
use crate::grant::Grants;
use crate::group::{GroupSpec, Member, Needs, UnknownMember};
use crate::id::{CheckName, PluginName};
use crate::limits::RunLimits;
use crate::outcome::{Answer, Fault, FaultReason, Outcome, Report, Run, RunLog};
use crate::snapshot::{CheckState, Facts, GroupState, Last, Setup, Snapshot};
use crate::status::Status;
use crate::time::WallTime;

/// A check of a plugin whose specification can be changed in place.
#[derive(Debug, Clone)]
pub(super) struct Sample(CheckState);

impl Deref for Sample {
    type Target = CheckState;

    fn deref(&self) -> &CheckState {
        &self.0
    }
}

impl DerefMut for Sample {
    fn deref_mut(&mut self) -> &mut CheckState {
        &mut self.0
    }
}

impl Sample {
    pub(super) fn spec_mut(&mut self) -> &mut CheckSpec {
        Arc::make_mut(&mut self.0.spec)
    }

    pub(super) fn facts_mut(&mut self) -> &mut Facts {
        Arc::make_mut(&mut self.0.facts)
    }

    /// The last run reported this instead.
    pub(super) fn reporting(mut self, report: Report) -> Self {
        self.0.state = report.status.into();
        self.0.last = Some(ran(Outcome::Answered(report)));
        self
    }
}

fn ran(outcome: Outcome) -> Arc<Last> {
    let duration = Duration::from_micros(12_345);
    let run = Run { outcome, duration, log: RunLog::default(), used: Vec::new() };
    Arc::new(Last { run, at: WallTime(1_700_000_000_000) })
}

/// A check in this state; an `unknown` one has met a fault.
pub(super) fn check(name: &str, state: Status) -> Sample {
    let what = What::Plugin {
        plugin: PluginName::new("queue").expect("a name"),
        settings: serde_json::json!({}),
        grants: Grants::default(),
        limits: RunLimits::default(),
    };
    let name = CheckName::new(name).expect("a name");
    let spec = CheckSpec::new(name, what, Place::file("wellcheck.toml"));
    let message = format!("message of {}", spec.name);
    let outcome = match state {
        Status::Pass => Outcome::Answered(Report::new(Answer::Pass, message)),
        Status::Warn => Outcome::Answered(Report::new(Answer::Warn, message)),
        Status::Fail => Outcome::Answered(Report::new(Answer::Fail, message)),
        Status::Unknown => Outcome::Faulted(Fault::new(FaultReason::Trap, message)),
    };
    let last = Some(ran(outcome));
    let blank = CheckState::new(Arc::new(spec), Arc::default(), WallTime(0));
    Sample(CheckState { state, last, answered: true, ..blank })
}

/// A check that fails.
pub(super) fn failed(name: &str) -> Sample {
    check(name, Status::Fail)
}

/// A group with this state, whatever its members say.
pub(super) fn group(name: &str, members: &[&str], state: Status) -> GroupState {
    let checked = |name: &str| CheckName::new(name).expect("a name");
    let spec = GroupSpec {
        name: checked(name),
        title: None,
        tags: Vec::new(),
        labels: BTreeMap::new(),
        members: members.iter().map(|member| Member { name: checked(member), weight: 1 }).collect(),
        needs: Needs::All,
        unknown: UnknownMember::Unhealthy,
        thresholds: Thresholds { failure: 1, success: 1 },
        place: Place::file("wellcheck.toml"),
    };
    GroupState {
        spec: Arc::new(spec),
        state,
        since: WallTime(0),
        asked: true,
        maintenance: false,
        healthy: (1, members.len()),
    }
}

/// These, in their order.
pub(super) fn snapshot(mut checks: Vec<Sample>, mut groups: Vec<GroupState>) -> Snapshot {
    checks.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Snapshot {
        checks: checks.into_iter().map(|check| Arc::new(check.0)).collect(),
        groups: groups.into_iter().map(Arc::new).collect(),
        setup: Arc::new(Setup::default()),
        ..Snapshot::default()
    }
}
