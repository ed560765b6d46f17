//! Checks, groups and snapshots for the tests of the formats.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::check::{CheckSpec, Thresholds, What};
use crate::config::tree::{Place, Table, Text};
use crate::group::{GroupSpec, Member, Needs, UnknownMember};
use crate::id::CheckName;
use crate::outcome::{Answer, Fault, FaultReason, Outcome, Report, Run};
use crate::snapshot::{CheckState, Facts, GroupState, Last, Snapshot, Tally};
use crate::status::Status;
use crate::time::WallTime;

/// 2023-11-14T22:13:20Z.
pub(super) const AT: WallTime = WallTime(1_700_000_000_000);

/// A check of the kind `http` in this state, after a run with the message `message`.
pub(super) fn check(name: &str, state: Status) -> CheckState {
    let outcome = match state {
        Status::Pass => Outcome::Answered(Report::new(Answer::Pass, "message")),
        Status::Warn => Outcome::Answered(Report::new(Answer::Warn, "message")),
        Status::Fail => Outcome::Answered(Report::new(Answer::Fail, "message")),
        Status::Unknown => Outcome::Faulted(Fault::new(FaultReason::Trap, "message")),
    };
    ran(name, outcome, Duration::from_millis(1))
}

/// A check that fails.
pub(super) fn failed(name: &str) -> CheckState {
    check(name, Status::Fail)
}

/// A check of the kind `http` after a run with this outcome.
pub(super) fn ran(name: &str, outcome: Outcome, duration: Duration) -> CheckState {
    let place = Place::file("wellcheck.toml");
    let kind = Text { value: "http".into(), written: None, place: place.clone() };
    let settings = Table { entries: BTreeMap::default(), place: place.clone() };
    let what = What::Builtin { kind, settings };
    let spec = CheckSpec::new(CheckName::new(name).expect("a name"), what, place);
    let state = outcome.status();
    let run = Run::new(outcome, duration);
    let mut tally = Tally::default();
    tally.count(&run);
    CheckState {
        state,
        tally: Arc::new(tally),
        answered: true,
        last: Some(Arc::new(Last { run, at: AT })),
        ..CheckState::new(Arc::new(spec), Arc::new(Facts::default()), AT)
    }
}

/// A group in this state, with so many of its members healthy.
pub(super) fn group(
    name: &str,
    members: &[&str],
    state: Status,
    healthy: (usize, usize),
) -> GroupState {
    let name_of = |name: &str| CheckName::new(name).expect("a name");
    let member = |name: &&str| Member { name: name_of(name), weight: 1 };
    let spec = GroupSpec {
        name: name_of(name),
        title: None,
        tags: Vec::new(),
        labels: BTreeMap::new(),
        members: members.iter().map(member).collect(),
        needs: Needs::All,
        unknown: UnknownMember::Unhealthy,
        thresholds: Thresholds { failure: 1, within: None, success: 1 },
        place: Place::file("wellcheck.toml"),
    };
    let asked = !members.is_empty();
    GroupState { spec: Arc::new(spec), state, since: AT, asked, maintenance: false, healthy }
}

/// A picture of these.
pub(super) fn snapshot(
    checks: impl IntoIterator<Item = CheckState>,
    groups: impl IntoIterator<Item = GroupState>,
) -> Snapshot {
    let mut checks: Vec<_> = checks.into_iter().map(Arc::new).collect();
    checks.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let mut groups: Vec<_> = groups.into_iter().map(Arc::new).collect();
    groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Snapshot { at: AT, started: AT, checks, groups, ..Snapshot::default() }
}
