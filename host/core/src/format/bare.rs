//! What `detail` keeps back: a canary stands wherever a check or a group may say something, and no
//! format may tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::testing::{check, group, ran, snapshot};
use super::*;
use crate::check::{CheckSpec, What};
use crate::config::tree::{Entry, Node, Place, Table, Text, Value};
use crate::grant::{GrantKind, Grants, Use};
use crate::group::GroupSpec;
use crate::id::PluginName;
use crate::limits::RunLimits;
use crate::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Part, Report, RunLog,
};
use crate::snapshot::{Backoff, Facts, Held, Last, PluginFacts, Tally};
use crate::time::WallTime;

const CANARY: &str = "canary";

/// Numbers that stand nowhere else: of milliseconds, seconds and nanoseconds alike these digits.
const NUMBER: u64 = 7_654_321;

fn labels() -> BTreeMap<String, String> {
    let names = ["url", "op", "port", "owner", "canary-name"];
    names.map(|name| (name.to_owned(), format!("{CANARY}-label"))).into()
}

fn text() -> String {
    CANARY.to_owned()
}

/// What is told only in full, in every field that there is.
fn filled(state: CheckState) -> CheckState {
    let mut run = state.last.as_ref().expect("it ran").run.clone();
    run.duration = Duration::from_millis(NUMBER);
    run.log = RunLog { lines: vec![text()], flags: vec![text()] };
    run.used = vec![Use::allowed(GrantKind::Http, CANARY)];
    match &mut run.outcome {
        Outcome::Faulted(fault) => fault.message = text(),
        Outcome::Answered(report) => {
            report.message = text();
            report.parts = vec![Part { name: text(), status: Answer::Fail, message: text() }];
            report.details = vec![(text(), text())];
            let mut observation = Observation::new("canary", NUMBER as f64, "canary");
            observation.labels = vec![(text(), text())];
            let code = Observation::new("status-code", 599.0, "");
            report.observations = vec![observation, code];
        }
    }
    let tally = Tally {
        runs: [NUMBER; Status::ALL.len()],
        seconds: NUMBER as f64,
        reasons: vec![("refused", NUMBER)],
    };
    let plugin = PluginFacts {
        name: text(),
        own_name: text(),
        version: text(),
        summary: text(),
        digest: text(),
        size: NUMBER,
        line: text(),
        wants: vec![(text(), text(), text())],
        imports: vec![CANARY],
    };
    let spec = CheckSpec {
        title: Some(text()),
        tags: vec![text()],
        labels: labels(),
        refused: Some(text()),
        place: Place::file(CANARY),
        ..CheckSpec::clone(&state.spec)
    };
    CheckState {
        spec: Arc::new(spec),
        facts: Arc::new(Facts {
            target: Some("https://canary.example/canary".into()),
            port: 54_321,
            plugin: Some(Arc::new(plugin)),
        }),
        since: WallTime(1_776_543_210_000),
        last: Some(Arc::new(Last { run, at: WallTime(1_776_543_210_000) })),
        used: Arc::new(BTreeSet::from([Use::allowed(GrantKind::Http, CANARY)])),
        backoff: Some(Backoff { faults: 54_321, until: WallTime(1_776_543_210_000) }),
        tally: Arc::new(tally),
        ..state
    }
}

fn filled_group(state: GroupState) -> GroupState {
    let spec = GroupSpec {
        title: Some(text()),
        tags: vec![text()],
        labels: labels(),
        place: Place::file(CANARY),
        ..GroupSpec::clone(&state.spec)
    };
    GroupState { spec: Arc::new(spec), since: WallTime(1_776_543_210_000), ..state }
}

/// A check of each state, in each way in which a check comes to it.
fn everything() -> Snapshot {
    let failed = Outcome::Answered(Report::fail(FailReason::UnexpectedStatus, CANARY));
    let faulted = Outcome::Faulted(Fault::new(FaultReason::Trap, CANARY));
    let mut checks: Vec<CheckState> = vec![
        ran("failed", failed, Duration::ZERO),
        ran("faulted", faulted, Duration::ZERO),
        check("passes", Status::Pass),
        check("warns", Status::Warn),
        check("held", Status::Unknown),
        check("aside", Status::Fail),
        check("plugin", Status::Fail),
        check("alone", Status::Fail),
    ];
    checks = checks.into_iter().map(filled).collect();
    checks[4].held = Some(Held { reason: FaultReason::Waiting, message: text() });
    let of = |state: &CheckState| CheckSpec::clone(&state.spec);
    checks[5].spec = Arc::new(CheckSpec { maintenance: true, ..of(&checks[5]) });
    let mut grants = Grants::default();
    grants.add("http", "https://canary.example").expect("a grant");
    let plugin = PluginName::new("queue").expect("a name");
    let settings = json!({ CANARY: CANARY });
    let what = What::Plugin { plugin, settings, grants, limits: RunLimits::default() };
    checks[6].spec = Arc::new(CheckSpec { what, ..of(&checks[6]) });
    let place = Place::file(CANARY);
    let url = Text { value: text(), written: None, place: place.clone() };
    let node = Node { value: Value::String(url), place: place.clone() };
    let entries = [("url".to_owned(), Entry { key: place.clone(), node })].into();
    let kind = Text { value: "http".into(), written: None, place: place.clone() };
    let what = What::Builtin { kind, settings: Table { entries, place } };
    checks[7].spec = Arc::new(CheckSpec { what, ..of(&checks[7]) });
    let members = ["failed", "faulted", "passes", "warns", "held", "plugin"];
    let groups = [
        group("outer", &["inner", "aside"], Status::Fail, (0, 2)),
        group("inner", &members, Status::Fail, (2, 6)),
        GroupState { maintenance: true, ..group("moved", &["aside"], Status::Unknown, (0, 0)) },
    ];
    snapshot(checks, groups.map(filled_group))
}

fn told(snapshot: &Snapshot, pick: &Pick, detail: Detail, format: &dyn Format) -> String {
    let options = Options { detail, ..Options::default() };
    let body = format.render(&Selection::pick(snapshot, pick).told(options));
    String::from_utf8(body).expect("UTF-8")
}

/// What of it is told: the canary, or digits of a number or a time.
fn leaked(body: &str) -> Option<&'static str> {
    let digits: String = body.chars().filter(|c| *c != '_').collect();
    let body = digits.as_str();
    let signs = [CANARY, "7654321", "7654.321", "54321", "599", "2026-04", "17765432", "02:07:34"];
    signs.into_iter().find(|sign| body.contains(sign))
}

#[test]
fn no_format_tells_more_than_names_and_states_where_it_may_not() {
    let snapshot = everything();
    for format in FORMATS {
        for detail in [Detail::Names, Detail::None] {
            let body = told(&snapshot, &Pick::default(), detail, *format);
            let sign = leaked(&body);
            assert_eq!(sign, None, "{} at {detail:?}:\n{body}", format.name());
            for tags in [vec![text()], Vec::new()] {
                let names = ["inner", "alone"].map(|name| CheckName::new(name).expect("a name"));
                let pick = Pick { names: names.into(), tags, ..Pick::default() };
                let body = told(&snapshot, &pick, detail, *format);
                assert_eq!(leaked(&body), None, "{} at {detail:?}:\n{body}", format.name());
            }
        }
    }
}

#[test]
fn what_is_looked_for_is_there_where_all_may_be_told() {
    let snapshot = everything();
    let silent = ["aspnet", "consul-text", "kubernetes", "clearskies", "shields"];
    for format in FORMATS.iter().filter(|format| !silent.contains(&format.name())) {
        let body = told(&snapshot, &Pick::default(), Detail::All, *format);
        assert!(leaked(&body).is_some(), "{}:\n{body}", format.name());
    }
}

#[test]
fn names_of_nothing_outside_of_the_choice_are_told() {
    let snapshot = everything();
    for format in FORMATS {
        for detail in [Detail::All, Detail::Names, Detail::None] {
            let names = vec![CheckName::new("failed").expect("a name")];
            let pick = Pick { names, ..Pick::default() };
            let body = told(&snapshot, &pick, detail, *format);
            for other in ["inner", "outer", "moved", "faulted", "alone", "aside"] {
                assert!(!body.contains(other), "{} at {detail:?}: {other}:\n{body}", format.name());
            }
        }
    }
}
