//! Tests of the table of faults.

use super::*;
use crate::suite::{Reading, Suite, read};

fn suite(text: &str) -> Suite {
    let file = crate::config::SourceFile { name: "test.toml".into(), text: text.to_owned() };
    let beside = |_: &str| Err("no file".to_owned());
    let reading = Reading { file: &file, failures: &["refused", "closed"], beside: &beside };
    let (suite, problems) = read(&reading);
    suite.unwrap_or_else(|| panic!("{problems:?}"))
}

fn names(cases: &[Case]) -> Vec<String> {
    cases.iter().map(Case::name).collect()
}

#[test]
fn each_thing_that_was_used_is_broken_in_each_way_that_makes_sense() {
    let suite = suite(
        "grants = { dirs = [\"/d\"], state = \"1KiB\" }
        [[test]]
        name = \"a\"
        expect = { status = \"pass\" }
        [test.world]
        now = 2026-01-01T00:00:00Z
        files = { \"/d/a\" = \"ab\", \"/d/b\" = \"never opened\" }
        state = { k = \"v\" }
        secrets = { s = \"x\" }
        check = { name = \"db\", state = \"pass\" }
        http = { request = \"http://a.test/\", json = { n = 1 } }",
    );
    let set = |name: &str| BTreeSet::from([name.to_owned()]);
    let used = Used {
        requests: vec![("GET".to_owned(), "http://a.test/".to_owned(), Some(0))],
        files: set("/d/a"),
        state: set("k"),
        checks: set("db"),
        secrets: set("s"),
    };
    let cases = cases(&suite.tests[0], &used);
    let names = names(&cases);
    for name in [
        "GET http://a.test/: refused",
        "GET http://a.test/: json-texts",
        "file /d/a: cut",
        "state k: garbage",
        "check db: stale",
        "secret s: missing",
        "clock: behind",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.ends_with("expired")), "it is no https: {names:?}");
    assert_eq!(cases.len(), FAULTS.len() - 1, "all but `expired`: {names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for case in &cases {
        assert_ne!(case.world, suite.tests[0].world, "{}", case.name());
    }
}

#[test]
fn a_url_that_is_asked_for_again_stays_broken_and_answers_stay_in_order() {
    let suite = suite(
        "[[test]]
        name = \"a\"
        expect = { status = \"pass\" }
        [[test.world.http]]
        request = \"http://a.test/\"
        body = \"first\"
        times = 1
        [[test.world.http]]
        request = \"http://a.test/\"
        fail = \"refused\"",
    );
    let ask = |by| ("GET".to_owned(), "http://a.test/".to_owned(), Some(by));
    let used = Used { requests: vec![ask(0), ask(1)], ..Used::default() };
    let cases = cases(&suite.tests[0], &used);
    let names = names(&cases);
    let find = |fault: &str| cases.iter().find(|case| case.fault == fault);
    assert!(find("json-null").is_none(), "nothing of it is JSON: {names:?}");
    let short = find("short-body").expect("the first has a body");
    let list: Vec<_> = short.world.http.iter().map(|s| (s.is_exact, s.times)).collect();
    assert_eq!(list, [(true, Some(1)), (true, None), (false, Some(1)), (false, None)]);
    assert!(matches!(short.world.http[1].reply, Reply::Failure(_)), "as it was");
    let refused = find("refused").expect("the first was not refused");
    assert!(refused.world.http[..2].iter().all(|s| matches!(s.reply, Reply::Failure(_))));
}

#[test]
fn what_is_accepted_is_named_by_thing_and_fault() {
    let case = Case {
        thing: "GET http://a.test/".to_owned(),
        fault: "short-body",
        doc: "",
        world: World::default(),
    };
    for (pattern, is_accepted) in [
        ("GET http://a.test/: short-body", true),
        ("GET http://a.test: short-body", true),
        ("http://A.test: *", true),
        ("*: short-*", true),
        ("*: html", false),
        ("POST http://a.test/: short-body", false),
        ("check a: short-body", false),
    ] {
        let place = crate::config::tree::Place::file("a");
        let accept = Accept { pattern: pattern.to_owned(), why: "a".to_owned(), place };
        assert_eq!(case.accepted([&accept].into_iter()).is_some(), is_accepted, "{pattern}");
    }
}

#[test]
fn worse_is_noticed_and_better_is_not() {
    use Status::{Fail, Pass, Unknown, Warn};
    for (before, after, noticed) in [
        (Pass, Pass, false),
        (Pass, Warn, true),
        (Pass, Unknown, true),
        (Warn, Pass, false),
        (Warn, Warn, false),
        (Warn, Fail, true),
    ] {
        assert_eq!(is_noticed(before, after), noticed, "{before} {after}");
    }
}
