//! The draft's quirks: what may be kept, what is told where, and what maintenance is.

use super::*;
use crate::format::testing::{check, failed, group, snapshot};
use crate::format::{Options, by_name};
use serde_json::{Value, json};
use std::sync::Arc;

fn body(selection: &Selection<'_>) -> Value {
    serde_json::from_slice(&HealthJson.render(selection)).expect("JSON")
}

#[test]
fn what_is_well_may_be_kept_for_the_shortest_interval_and_nothing_else() {
    let every = |name: &str, interval: Duration| {
        let mut check = check(name, Status::Pass);
        Arc::make_mut(&mut check.spec).timing.interval = interval;
        check
    };
    let kept = |checks| HealthJson.cache_control(&Selection::all(&snapshot(checks, vec![])));
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(7_900));
    assert_eq!(kept(vec![every("a", long), every("b", short)]), "max-age=7");
    assert_eq!(kept(vec![every("a", long), every("b", Duration::from_millis(999))]), "no-cache");
    assert_eq!(kept(vec![]), "no-cache");
    assert_eq!(kept(vec![every("a", long), failed("b")]), "no-store");
    assert_eq!(kept(vec![every("a", long), check("b", Status::Unknown)]), "no-store");
    let picture = snapshot(vec![every("a", long), every("b", short)], vec![]);
    let options = Options { detail: Detail::Names, ..Options::default() };
    assert_eq!(HealthJson.cache_control(&Selection::all(&picture).told(options)), "max-age=7");
    let mut starting = every("a", long);
    starting.starting = true;
    Arc::make_mut(&mut starting.spec).start.interval = Some(Duration::from_secs(5));
    assert_eq!(kept(vec![starting]), "max-age=5");
    let mut aside = failed("b");
    aside.aside = Some(crate::snapshot::Aside::maintenance());
    assert_eq!(kept(vec![every("a", long), aside]), "max-age=30");
}

#[test]
fn endpoints_are_affected_only_where_something_is_not_well() {
    let with = |target: &str, status| {
        let mut check = check("a", status);
        Arc::make_mut(&mut check.facts).target = Some(target.to_owned());
        let snapshot = snapshot(vec![check], vec![]);
        body(&Selection::all(&snapshot))["checks"]["a"][0]["affectedEndpoints"].clone()
    };
    assert_eq!(with("http://a/{b}?c=\"d e\"", Status::Pass), Value::Null);
    assert_eq!(
        with("http://a/{b}?c=\"d e\"", Status::Fail),
        json!(["http://a/%7Bb%7D?c=%22d%20e%22"])
    );
    assert_eq!(with("10.0.0.5:5432", Status::Warn), json!(["http://10.0.0.5:5432"]));
}

#[test]
fn what_is_in_maintenance_is_a_warning_with_a_note_and_never_an_error() {
    let mut aside = failed("a");
    aside.aside = Some(crate::snapshot::Aside::maintenance());
    let snapshot = snapshot(vec![aside, check("b", Status::Pass)], vec![]);
    let all = body(&Selection::all(&snapshot));
    assert_eq!(all["status"], "pass");
    let entry = &all["checks"]["a"][0];
    assert_eq!((&entry["status"], &entry["state"]), (&json!("warn"), &json!("fail")));
    assert_eq!(entry["notes"], json!([IN_MAINTENANCE]));
    let one = Selection::item(&snapshot, snapshot.item("a").expect("it is there"));
    assert_eq!((HealthJson.code(&one), &body(&one)["status"]), (200, &json!("warn")));
}

#[test]
fn a_group_is_a_component_with_its_members() {
    let checks = vec![check("a", Status::Pass), failed("b")];
    let snapshot = snapshot(checks, vec![group("both", &["a", "b"], Status::Fail, (1, 2))]);
    let all = body(&Selection::all(&snapshot));
    let entry = &all["checks"]["both"][0];
    assert_eq!(entry["members"], json!(["a", "b"]));
    assert_eq!((&entry["kind"], &entry["status"]), (&json!("group"), &json!("fail")));
    assert_eq!(entry["links"], json!({ "self": "/health/both" }));
    assert_eq!(all["checks"]["a"][0]["links"], Value::Null, "it is well");
    assert_eq!(all["links"]["self"], "/health");
}

#[test]
fn names_alone_tell_no_release_links_or_targets() {
    let mut check = failed("a");
    Arc::make_mut(&mut check.facts).target = Some("http://canary".to_owned());
    let snapshot = snapshot(vec![check], vec![]);
    for detail in [Detail::Names, Detail::None] {
        let selection = Selection::all(&snapshot).told(Options { detail, ..Options::default() });
        let text = body(&selection).to_string();
        for word in ["canary", "links", "releaseId", "/api/"] {
            assert!(!text.contains(word), "{detail:?}: {text}");
        }
    }
    assert!(by_name("health+json").is_some_and(|(index, _)| index == 0), "the default");
}
