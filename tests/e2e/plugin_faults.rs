//! `wellcheck plugin test --faults`, and the reports for CI.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use crate::plugin_test::{project, test_in};

// ── Faults ─────────────────────────────────────────────────────────────────────────────────────

/// The faults of the only test of a file, with their verdicts.
fn faults(name: &str, tests: &str, code: i32) -> BTreeMap<String, String> {
    let ended = test_in(project(name, tests).path(), &["--faults", "--json"]).expect(code);
    let json = ended.json();
    let list = json["suites"][0]["tests"][0]["faults"].as_array().expect("a test").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let pair = |fault: &Value| {
        (format!("{}: {}", text(&fault["thing"]), text(&fault["fault"])), text(&fault["verdict"]))
    };
    list.iter().map(pair).collect()
}

const FETCHES: &str = r#"
[[test]]
name = "a"
settings = { url = "https://a.test/" }
grants = { http = ["https://a.test"] }
[[test.world.http]]
request = "https://a.test/"
json = { n = 1 }
[test.expect]
status = "pass"
"#;

#[test]
fn faults_that_a_plugin_does_not_notice_are_listed_each_by_name() {
    let found = faults("http-get", FETCHES, 1);
    let of = |verdict: &str| -> Vec<&str> {
        let these = found.iter().filter(|(_, found)| *found == verdict);
        these
            .map(|(name, _)| name.strip_prefix("GET https://a.test/: ").expect("a request"))
            .collect()
    };
    // It reads the body to its end and looks at nothing in it.
    assert_eq!(
        of("noticed"),
        ["cut-body", "expired", "no-name", "refused", "silence", "slow-body"]
    );
    assert_eq!(
        of("unnoticed"),
        [
            "empty-body",
            "html",
            "json-array",
            "json-null",
            "json-object",
            "json-texts",
            "login",
            "short-body",
            "status-404",
            "status-500"
        ]
    );
    let ended = test_in(project("http-get", FETCHES).path(), &["--faults"]).expect(1);
    assert!(ended.out.contains("6 of 16 faults noticed"), "{}", ended.out);
    let line = ended.out.lines().find(|line| line.contains(": status-500")).expect("a line");
    for word in [
        "not noticed",
        "GET https://a.test/: status-500",
        "with the status 500",
        "pass: answered 500",
    ] {
        assert!(line.contains(word), "`{word}`: {line}");
    }
    // Without the flag nothing is broken.
    test_in(project("http-get", FETCHES).path(), &[]).expect(0);
}

#[test]
fn faults_are_accepted_with_a_reason_and_what_is_not_needed_is_said() {
    let tests = format!(
        "accept = {{ \"GET https://a.test/: *\" = \"it only fetches\", \"clock: *\" = \"not needed\" }}\n{FETCHES}"
    );
    let found = faults("http-get", &tests, 0);
    assert_eq!(found["GET https://a.test/: login"], "accepted");
    assert_eq!(found["GET https://a.test/: refused"], "noticed");
    let ended = test_in(project("http-get", &tests).path(), &["--faults"]).expect(0);
    assert!(ended.out.contains("it only fetches"), "{}", ended.out);
    assert!(ended.out.contains("nothing needs `clock: *` to be accepted"), "{}", ended.out);
}

#[test]
fn a_plugin_that_always_passes_notices_nothing_of_what_it_uses() {
    let tests = "[[test]]\nname = \"a\"\nsettings = { read = \"/data/a\" }\ngrants = { dirs = [\"/data\"] }\n\
        world = { now = 2026-01-01T00:00:00Z, files = { \"/data/a\" = \"some text\", \"/data/b\" = \"unused\" } }\n\
        expect = { status = \"pass\" }\n";
    let found = faults("env-and-files", tests, 1);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "clock: ahead",
            "clock: behind",
            "file /data/a: cut",
            "file /data/a: empty",
            "file /data/a: garbage",
            "file /data/a: missing"
        ]
    );
    assert!(found.values().all(|verdict| verdict == "unnoticed"), "{found:?}");
    let tests = "[[test]]\nname = \"a\"\nsettings = { names = [\"db\"] }\ngrants = { checks = [\"db\"] }\n\
        world = { check = { name = \"db\", state = \"pass\", age = \"1s\" } }\nexpect = { status = \"pass\" }\n";
    let found = faults("ask-checks", tests, 1);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["check db: missing", "check db: stale", "check db: unknown"]
    );
    let tests = "[[test]]\nname = \"a\"\nsettings = { names = [\"key\"] }\ngrants = { secrets = [\"key\"] }\n\
        world = { secrets = { key = \"swordfish\" } }\nexpect = { status = \"pass\" }\n";
    assert_eq!(
        faults("read-secrets", tests, 1).keys().collect::<Vec<_>>(),
        ["secret key: missing"]
    );
    let tests = "[[test]]\nname = \"a\"\nsettings = { get = [\"old\"] }\ngrants = { state = \"4KiB\" }\n\
        world = { state = { runs = \"1\", old = \"x\", unread = \"y\" } }\nexpect = { status = \"pass\" }\n";
    let found = faults("remember", tests, 1);
    assert_eq!(found["state runs: garbage"], "noticed", "it cannot count on from that");
    assert_eq!(found["state old: missing"], "unnoticed");
    assert!(!found.keys().any(|name| name.contains("unread")), "{found:?}");
}

#[test]
fn tests_that_fail_or_expect_a_failure_are_not_broken_further() {
    let failing = FETCHES.replace("\"pass\"", "\"warn\"");
    assert_eq!(faults("http-get", &failing, 1), BTreeMap::new());
    let expects =
        FETCHES.replace("json = { n = 1 }", "fail = \"refused\"").replace("\"pass\"", "\"fail\"");
    assert_eq!(faults("http-get", &expects, 0), BTreeMap::new());
}

// ── Reports ────────────────────────────────────────────────────────────────────────────────────

/// The elements of a report by their path, each with its attributes and texts.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>, String)> {
    let mut reader = Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut found: Vec<(String, BTreeMap<String, String>, String)> = Vec::new();
    loop {
        let event = reader.read_event().expect("well-formed XML");
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                path.push(start.name().as_ref().to_owned());
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.expect("an attribute");
                    let name = attribute.key.as_ref().to_owned();
                    (
                        name,
                        quick_xml::escape::unescape(&attribute.value)
                            .expect("escaped")
                            .into_owned(),
                    )
                });
                found.push((path.join("/"), attributes.collect(), String::new()));
                open.push(found.len() - 1);
                if matches!(event, Event::Empty(_)) {
                    path.pop();
                    open.pop();
                }
            }
            Event::End(_) => {
                path.pop();
                open.pop();
            }
            Event::Text(text) => {
                if let Some(last) = open.last() {
                    found[*last].2.push_str(text.as_ref().trim());
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn a_report_for_ci_has_every_test_and_every_fault() {
    let tests = format!(
        "accept = {{ \"*: login\" = \"it <only> fetches\" }}\n{FETCHES}[[test]]\nname = \"<b> & \\\"c\\\"\"\n\
         settings = {{ url = \"https://a.test/\" }}\nexpect = {{ status = \"pass\" }}\n"
    );
    let dir = project("http-get", &tests);
    test_in(dir.path(), &["--faults", "--junit", "report.xml"]).expect(1);
    let report = std::fs::read_to_string(dir.path().join("report.xml")).expect("a report");
    let found = elements(&report);
    let of = |path: &str| {
        found.iter().filter(|(p, ..)| p == path).map(|(_, a, t)| (a, t)).collect::<Vec<_>>()
    };
    let suites = of("testsuites/testsuite");
    let names: Vec<&str> = suites.iter().map(|(a, _)| a["name"].as_str()).collect();
    assert_eq!(names, ["http-get", "http-get faults"]);
    let numbers =
        |at: usize| ["tests", "failures", "skipped"].map(|key| suites[at].0[key].as_str());
    assert_eq!(numbers(0), ["2", "1", "0"]);
    assert_eq!(numbers(1), ["16", "9", "1"]);
    assert_eq!(of("testsuites")[0].0["tests"], "18");
    let cases = of("testsuites/testsuite/testcase");
    assert_eq!(cases.len(), 18);
    assert_eq!(cases[1].0["name"], "<b> & \"c\"");
    assert_eq!((&*cases[1].0["file"], &*cases[1].0["line"]), ("test.toml", "12"));
    let failures = of("testsuites/testsuite/testcase/failure");
    assert_eq!(failures.len(), 10);
    assert_eq!(failures[0].0["message"], "status: expected pass, found unknown");
    assert!(failures[0].1.contains("it said: unknown (denied): "), "{}", failures[0].1);
    let skipped = of("testsuites/testsuite/testcase/skipped");
    assert_eq!(skipped[0].0["message"], "it <only> fetches");
    let unwritable = test_in(dir.path(), &["--junit", "/nowhere/report.xml"]).expect(65);
    assert!(unwritable.err.contains("cannot write `/nowhere/report.xml`"), "{}", unwritable.err);
}
