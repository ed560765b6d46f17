//! What is shown of grants, limits, pauses and versions that wait. How each format looks as a whole
//! is pinned by the end-to-end tests.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::check::{CheckSpec, What};
use crate::config::tree::Place;
use crate::grant::{GrantKind, Grants, Use};
use crate::id::{CheckName, PluginName};
use crate::limits::{RUN_LIMITS, RunLimits};
use crate::outcome::{Fault, FaultReason, Outcome, Run, RunLog};
use crate::redact::Redactor;
use crate::snapshot::{Backoff, Facts, Last, PluginFacts, Setup};
use crate::time::WallTime;

fn facts() -> Arc<PluginFacts> {
    let want = |grant: &str, value: &str| (grant.to_owned(), value.to_owned(), "why".to_owned());
    Arc::new(PluginFacts {
        name: "queue".into(),
        own_name: "queue-depth".into(),
        version: "1.2".into(),
        summary: "reads a queue".into(),
        digest: "00".into(),
        size: 7,
        line: "0.1".into(),
        wants: vec![want("http", "https://a.example"), want("env", "TZ"), want("nonsense", "x")],
        imports: vec!["HTTP requests"],
    })
}

/// A check of a plugin that faults, backs off, and asked for two things.
fn state() -> CheckState {
    let mut grants = Grants::default();
    grants.add("http", "https://*.example").expect("a grant");
    let limits = RunLimits { requests: 3, ..RunLimits::default() };
    let name = CheckName::new("queue").expect("a name");
    let plugin = PluginName::new("queue").expect("a name");
    let used = [
        Use { kind: GrantKind::Env, value: "TZ".into(), denied: true },
        Use::allowed(GrantKind::Http, "https://a.example"),
    ];
    let run = Run {
        outcome: Outcome::Faulted(Fault::new(FaultReason::Trap, "reached `unreachable`")),
        duration: Duration::from_millis(5),
        log: RunLog::default(),
        used: used.to_vec(),
    };
    let spec = CheckSpec::new(
        name,
        What::Plugin { plugin, settings: json!({}), grants, limits },
        Place::file("wellcheck.toml"),
    );
    let facts = Facts { target: None, port: 0, plugin: Some(facts()) };
    CheckState {
        last: Some(Arc::new(Last { run, at: WallTime(0) })),
        used: Arc::new(BTreeSet::from(used)),
        backoff: Some(Backoff { faults: 7, until: WallTime(1_700_000_000_120) }),
        ..CheckState::new(Arc::new(spec), Arc::new(facts), WallTime(0))
    }
}

fn snapshot(newest: Newest) -> Snapshot {
    let plugin =
        PluginState { name: "queue".into(), running: Some(facts()), newest, fetched: None };
    let setup = Setup { plugins: vec![plugin], ..Setup::default() };
    Snapshot { checks: vec![Arc::new(state())], setup: Arc::new(setup), ..Snapshot::default() }
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn render(format: &str, snapshot: &Snapshot) -> String {
    let (_, format) = by_name(format).expect("a format");
    String::from_utf8(format.render(&Selection::all(snapshot))).expect("text")
}

#[test]
fn the_detail_of_a_plugins_check_shows_what_is_wanted_granted_and_used() {
    let detail = parse(&api::detail(&state()));
    assert_eq!(
        detail["grants"],
        json!({
            "wanted": [
                { "grant": "http", "value": "https://a.example", "why": "why", "granted": true },
                { "grant": "env", "value": "TZ", "why": "why", "granted": false },
                { "grant": "nonsense", "value": "x", "why": "why", "granted": false },
            ],
            "imports": ["HTTP requests"],
            "granted": [{ "grant": "http", "value": "https://*.example" }],
            "used": [
                { "grant": "http", "value": "https://a.example", "denied": false },
                { "grant": "env", "value": "TZ", "denied": true },
            ],
        })
    );
    let limits = detail["limits"].as_object().expect("a table");
    assert_eq!(limits.len(), RUN_LIMITS.len());
    assert_eq!((&limits["requests"], &limits["memory"]), (&json!("3"), &json!("64 MiB")));
}

#[test]
fn a_check_of_a_built_in_kind_has_neither_grants_nor_limits() {
    let mut state = state();
    let kind = crate::config::tree::Text {
        value: "http".into(),
        written: None,
        place: Place::file("wellcheck.toml"),
    };
    let settings =
        crate::config::tree::Table { entries: Default::default(), place: kind.place.clone() };
    Arc::make_mut(&mut state.spec).what = What::Builtin { kind, settings };
    let detail = parse(&api::detail(&state));
    assert_eq!((&detail["grants"], &detail["limits"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_check_that_backs_off_says_so_everywhere() {
    let snapshot = snapshot(Newest::Running);
    let expected = json!({ "faults": 7, "until": "2023-11-14T22:13:20.120Z" });
    assert_eq!(parse(&api::list(&snapshot))["checks"][0]["backoff"], expected);
    assert_eq!(parse(&api::detail(&state()))["backoff"], expected);
    let words = "backing off until 22:13:20Z after 7 faults";
    let text = render("text", &snapshot);
    assert!(text.contains(&format!("reached `unreachable` (5.0 ms) ({words})\n")), "{text}");
    let health = parse(render("health+json", &snapshot).as_bytes());
    assert_eq!(health["checks"]["queue"][0]["notes"], json!([words]));
    let calm = CheckState { backoff: None, ..state() };
    assert_eq!(parse(&api::detail(&calm))["backoff"], Value::Null);
}

#[test]
fn a_version_that_wants_more_is_shown_as_blocked() {
    let waits = vec!["env `TZ`".to_owned(), "http `https://b.example`".to_owned()];
    let snapshot = snapshot(Newest::Blocked(waits.clone()));
    let plugin = &parse(&api::status(&snapshot, &api::Host::default()))["plugins"][0];
    assert_eq!(plugin["newest"], "blocked");
    assert_eq!(plugin["blocked"], json!(waits));
    assert_eq!(
        plugin["running"]["wants"][1],
        json!({ "grant": "env", "value": "TZ", "why": "why" })
    );
    let note = "plugin `queue`: the new version waits for what is not granted: env `TZ`, http `https://b.example`; version 1.2 goes on";
    assert!(render("text", &snapshot).contains(&format!("note: {note}\n")));
    let health = parse(render("health+json", &snapshot).as_bytes());
    assert_eq!(health["notes"], json!([note]));
}

#[test]
fn what_was_asked_for_is_redacted_and_stays_sorted_and_distinct() {
    let Some(last) = state().last else { panic!("it has run") };
    let mut run = last.run.clone();
    run.used = ["https://z-canary", "https://b", "https://a-canary"]
        .map(|value| Use::allowed(GrantKind::Http, value))
        .to_vec();
    run.redact(&Redactor::new(["z-canary", "a-canary"]));
    let values: Vec<&str> = run.used.iter().map(|used| used.value.as_str()).collect();
    assert_eq!(values, ["https://[redacted]", "https://b"]);
}
