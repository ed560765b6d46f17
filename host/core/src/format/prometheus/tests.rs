//! What is collected, read by a strict reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::{check, group, ran, snapshot};
use super::super::{Options, by_name};
use super::*;
use crate::exposition::reader::{Sample, read};
use crate::outcome::{Answer, FailReason, Observation, Report};
use crate::snapshot::{Held, PluginState, Setup, Snapshot};

const DIALECTS: [Dialect; 2] = [Dialect::Prometheus, Dialect::OpenMetrics];

#[track_caller]
fn samples(snapshot: &Snapshot) -> Vec<Sample> {
    let selection = Selection::all(snapshot);
    let [first, second] = DIALECTS.map(|dialect| {
        let text = render(&selection, dialect);
        read(&text, dialect).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
    });
    // NaN is not equal to itself, and there is none in these tests.
    assert_eq!(first, second, "the series are the same in both");
    first
}

/// The values of a metric, by labels as `a=1,b=2`.
#[track_caller]
fn values(snapshot: &Snapshot, metric: &str) -> BTreeMap<String, f64> {
    let of = samples(snapshot).into_iter().filter(|(name, _, _)| name == metric);
    of.map(|(_, labels, value)| {
        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (labels.join(","), value)
    })
    .collect()
}

#[track_caller]
fn expect(snapshot: &Snapshot, metric: &str, expected: &[(&str, f64)]) {
    let expected: BTreeMap<String, f64> =
        expected.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect();
    assert_eq!(values(snapshot, metric), expected, "{metric}");
}

#[test]
fn a_state_is_one_of_four() {
    let whole = snapshot([check("a", Status::Warn), check("b", Status::Unknown)], []);
    let found = values(&whole, "wellcheck_check_state");
    let ones: Vec<&str> =
        found.iter().filter(|(_, value)| **value == 1.0).map(|(labels, _)| &**labels).collect();
    assert_eq!(ones, ["check=a,kind=http,state=warn", "check=b,kind=http,state=unknown"]);
    assert_eq!(found.len(), 8);
    let healthy = [("check=a,kind=http", 1.0), ("check=b,kind=http", 0.0)];
    expect(&whole, "wellcheck_check_healthy", &healthy);
    let all = values(&whole, "wellcheck_health_state");
    assert_eq!((all["state=unknown"], all["state=pass"]), (1.0, 0.0));
}

#[test]
fn runs_are_counted_by_status_and_by_reason() {
    let failed = Outcome::Answered(Report::fail(FailReason::Refused, "no"));
    let mut state = ran("a", failed, Duration::from_millis(1500));
    let last = state.last.clone().expect("it ran");
    Arc::make_mut(&mut state.tally).count(&last.run);
    let whole = snapshot([state], []);
    let found = values(&whole, "wellcheck_check_runs_total");
    assert_eq!((found["check=a,status=fail"], found["check=a,status=pass"]), (2.0, 0.0));
    expect(&whole, "wellcheck_check_failures_total", &[("check=a,reason=refused", 2.0)]);
    expect(&whole, "wellcheck_check_run_seconds_total", &[("check=a", 3.0)]);
    expect(&whole, "wellcheck_check_last_run_duration_seconds", &[("check=a", 1.5)]);
    let at = [("check=a", 1_700_000_000.0)];
    expect(&whole, "wellcheck_check_last_run_timestamp_seconds", &at);
    expect(&whole, "wellcheck_check_state_since_timestamp_seconds", &at);
}

#[test]
fn a_check_that_has_not_run_has_no_last_run_and_one_that_is_held_no_observations() {
    let never = CheckState { last: None, ..check("n", Status::Unknown) };
    let report = Report {
        observations: vec![Observation::new("depth", 1.0, "")],
        ..Report::new(Answer::Pass, "")
    };
    let held = Held { reason: crate::outcome::FaultReason::Load, message: String::new() };
    let ran = ran("h", Outcome::Answered(report), Duration::ZERO);
    let whole = snapshot([never.clone(), ran.clone()], []);
    expect(&whole, "wellcheck_check_last_run_duration_seconds", &[("check=h", 0.0)]);
    expect(&whole, "wellcheck_observation", &[("check=h,name=depth", 1.0)]);
    let held = CheckState { held: Some(held), ..ran };
    expect(&snapshot([never, held], []), "wellcheck_observation", &[]);
}

#[test]
fn observations_that_become_one_series_are_told_once() {
    let observation = |labels: &[(&str, &str)], value| Observation {
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        ..Observation::new("depth", value, "B")
    };
    let observations = vec![
        observation(&[("queue", "a"), ("zone", "z")], 1.0),
        observation(&[("zone", "z"), ("queue", "a")], 2.0),
        observation(&[("queue", "")], 3.0),
        observation(&[], 4.0),
        observation(&[("queue", "a\r")], 5.0),
        observation(&[("queue", "a\u{7}")], 6.0),
        observation(&[("check", "other"), ("unit", "x")], 7.0),
    ];
    let report = Report { observations, ..Report::new(Answer::Pass, "") };
    let whole = snapshot([ran("c", Outcome::Answered(report), Duration::ZERO)], []);
    let expected = [
        ("check=c,name=depth,queue=a,unit=B,zone=z", 1.0),
        ("check=c,name=depth,unit=B", 3.0),
        ("check=c,name=depth,queue=a\u{fffd},unit=B", 5.0),
        ("check=c,label_check=other,label_unit=x,name=depth,unit=B", 7.0),
    ];
    expect(&whole, "wellcheck_observation", &expected);
}

#[test]
fn groups_maintenance_configuration_and_plugins_are_there() {
    let mut aside = check("m", Status::Fail);
    aside.aside = Some(crate::snapshot::Aside::maintenance());
    let mut whole = snapshot(
        [check("a", Status::Pass), aside],
        [group("g", &["a", "b", "c"], Status::Warn, (2, 3))],
    );
    let mut setup = Setup::default();
    setup.configuration.read = WallTime(1_700_000_000_500);
    setup.configuration.applied = false;
    let newest = Newest::Loading("words".to_owned());
    setup.plugins =
        vec![PluginState { name: "queue".to_owned(), running: None, newest, fetched: None }];
    whole.setup = Arc::new(setup);
    expect(&whole, "wellcheck_maintenance", &[("check=a", 0.0), ("check=m", 1.0)]);
    let members = [("group=g,healthy=true", 2.0), ("group=g,healthy=false", 1.0)];
    expect(&whole, "wellcheck_group_members", &members);
    assert_eq!(values(&whole, "wellcheck_group_state")["group=g,state=warn"], 1.0);
    expect(&whole, "wellcheck_config_last_reload_successful", &[("", 0.0)]);
    expect(&whole, "wellcheck_config_last_reload_timestamp_seconds", &[("", 1_700_000_000.5)]);
    expect(&whole, "wellcheck_plugin_info", &[("newest=loading,plugin=queue", 1.0)]);
    assert_eq!(values(&whole, "wellcheck_build_info").len(), 1);
}

#[test]
fn what_may_not_be_told_is_not() {
    let report = Report {
        observations: vec![Observation::new("depth", 1.0, "")],
        ..Report::new(Answer::Fail, "secret")
    };
    let whole = snapshot([ran("a", Outcome::Answered(report), Duration::ZERO)], []);
    let text = |detail| {
        let options = Options { detail, ..Options::default() };
        render(&Selection::all(&whole).told(options), Dialect::OpenMetrics)
    };
    let names = text(Detail::Names);
    assert!(names.contains("wellcheck_check_state{check=\"a\""), "{names}");
    assert!(!names.contains("wellcheck_observation") && !names.contains("build_info"), "{names}");
    let none = text(Detail::None);
    assert!(none.contains("wellcheck_health_state{state=\"fail\"} 1\n"), "{none}");
    assert!(!none.contains("check="), "{none}");
}

/// Every metric of the table above, and none besides.
#[test]
fn every_metric_is_documented() {
    let report = Report {
        observations: vec![Observation::new("depth", 1.0, "")],
        ..Report::fail(FailReason::Refused, "")
    };
    let mut whole = snapshot(
        [ran("a", Outcome::Answered(report), Duration::ZERO)],
        [group("g", &["a"], Status::Fail, (0, 1))],
    );
    let mut setup = Setup::default();
    setup.configuration.read = WallTime(1);
    setup.plugins = vec![PluginState {
        name: "p".to_owned(),
        running: None,
        newest: Newest::Running,
        fetched: None,
    }];
    whole.setup = Arc::new(setup);
    let found: BTreeSet<String> = samples(&whole).into_iter().map(|(name, _, _)| name).collect();
    let rows = include_str!("../prometheus.rs").lines();
    let documented: BTreeSet<String> = rows
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|row| row.split(['`', '{']).next())
        .map(str::to_owned)
        .collect();
    assert_eq!(found, documented);
}

proptest! {
    #[test]
    fn whatever_checks_are_called_and_say_the_text_can_be_read(
        message in any::<String>(), kind in any::<String>(), plugin in any::<String>(),
        observations in proptest::collection::vec(
            (any::<String>(), any::<String>(), any::<f64>(),
             proptest::collection::vec((any::<String>(), any::<String>()), 0..4)),
            0..8,
        ),
    ) {
        let observations = observations
            .into_iter()
            .map(|(name, unit, value, labels)| {
                Observation { labels, ..Observation::new(name, value, &unit) }
            })
            .collect();
        let report = Report { observations, ..Report::new(Answer::Warn, message) };
        let mut state = ran("a", Outcome::Answered(report), Duration::from_secs(1));
        let spec = Arc::make_mut(&mut state.spec);
        if let crate::check::What::Builtin { kind: word, .. } = &mut spec.what {
            word.value = kind;
        }
        let mut whole = snapshot([state], []);
        let plugin = PluginState { name: plugin, running: None, newest: Newest::Running, fetched: None };
        whole.setup = Arc::new(Setup { plugins: vec![plugin], ..Setup::default() });
        for (name, dialect) in ["prometheus", "openmetrics"].into_iter().zip(DIALECTS) {
            let (_, format) = by_name(name).expect("a format");
            let text = format.render(&Selection::all(&whole));
            let text = String::from_utf8(text).expect("text");
            let read = read(&text, dialect);
            prop_assert!(read.is_ok(), "{:?}\n{}", read, text);
        }
    }
}
