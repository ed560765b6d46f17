//! `wellcheck plugin test`: test files, worlds, faults and reports.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use wellcheck_core::suite::{faults::FAULTS, keys};

use crate::support::guests::{EXAMPLES, compiled_example, guest, root};
use crate::support::host::write;
use crate::support::program::{Ended, run, run_in};

/// A folder with a guest and its test file.
pub(crate) fn project(name: &str, tests: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), &format!("{name}.wasm"), guest(name));
    write(dir.path(), "test.toml", tests);
    dir
}

pub(crate) fn test_in(dir: &Path, args: &[&str]) -> Ended {
    run_in(dir, &[&["plugin", "test"], args].concat())
}

/// The only test of a file: what differs, by what it is.
#[track_caller]
fn differences(name: &str, tests: &str) -> BTreeMap<String, (String, String)> {
    let ended = test_in(project(name, tests).path(), &["--json"]);
    let json = ended.json();
    let list = json["suites"][0]["tests"][0]["differences"].as_array().expect("a test").clone();
    assert_eq!(ended.code, i32::from(!list.is_empty()), "{json}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let pair = |d: &Value| (text(&d["what"]), (text(&d["expected"]), text(&d["found"])));
    list.iter().map(pair).collect()
}

#[track_caller]
fn check_passes(name: &str, tests: &str) {
    assert_eq!(differences(name, tests), BTreeMap::new());
}

// ── The examples ───────────────────────────────────────────────────────────────────────────────

#[test]
fn every_example_has_tests_and_notices_every_fault() {
    for name in EXAMPLES {
        compiled_example(name);
        let folder = root().join("plugins").join(name).display().to_string();
        let ended = run(&["plugin", "test", &folder, "--faults", "--json"]);
        let json = ended.json();
        assert_eq!(ended.code, 0, "{name}: {}", run(&["plugin", "test", &folder, "--faults"]).out);
        assert!(json["passed"].as_u64().is_some_and(|passed| passed >= 4), "{name}: {json}");
        assert!(json["faults"]["noticed"].as_u64().is_some_and(|n| n >= 1), "{name}: {json}");
        assert_eq!(json["suites"][0]["plugin"], *name);
        assert_eq!(json["suites"][0]["unneeded"], serde_json::json!([]), "{name}");
        let tests = json["suites"][0]["tests"].as_array().expect("tests");
        for fault in tests.iter().flat_map(|test| test["faults"].as_array().expect("a list")) {
            assert_eq!(fault["misread"], false, "a broken target is a fail: {name}: {fault}");
        }
    }
}

#[test]
fn a_plugin_file_leads_to_its_tests_and_several_are_run_together() {
    let path = |name: &str| root().join(format!("plugins/{name}.wasm")).display().to_string();
    let ended = run(&["plugin", "test", &path("deadlines"), &path("quorum")]).expect(0);
    assert!(ended.out.contains("deadlines ("), "{}", ended.out);
    assert!(ended.out.contains("quorum ("), "{}", ended.out);
    assert!(ended.out.ends_with("10 tests passed\n"), "{}", ended.out);
}

// ── What a test gives and expects ──────────────────────────────────────────────────────────────

#[test]
fn settings_and_grants_of_a_test_come_on_top_of_those_of_the_file() {
    check_passes(
        "http-get",
        r#"
settings = { url = "http://a.test/", times = 2 }
grants = { http = ["http://a.test"] }
[[test]]
name = "a"
settings = { url = "http://b.test/x" }
grants = { http = ["http://b.test"] }
[[test.world.http]]
request = "GET http://b.test/*"
times = 1
status = 418
[[test.world.http]]
request = "* http://b.test/x"
body = { base64 = "aGk=" }
headers = { x-a = ["1", "2"] }
[test.expect]
status = "pass"
message = "answered 200"
details = { body = "hi" }
observations = { status = 200 }
requests = ["GET http://b.test/x", "http://b.test:80/x"]
"#,
    );
}

#[test]
fn what_is_not_as_expected_is_said_side_by_side() {
    let tests = r#"
[[test]]
name = "a"
settings = { status = "warn", message = "found 7", observations = [{ name = "depth", value = 7, labels = { queue = "a" } }], parts = [{ name = "p", status = "fail" }] }
[test.expect]
status = "pass"
reason = "plugin"
message = "*8"
observations = { "depth{queue=\"a\"}" = "8:", depth = 7, other = 1 }
parts = { p = "pass", q = "warn" }
details = { check = "echo", remaining-ms = "10000", failures-in-a-row = "1" }
requests = ["GET http://a.test/"]
"#;
    let found = differences("echo", tests);
    let expected = [
        ("status", "pass", "warn"),
        ("reason", "plugin", "none"),
        ("message", "*8", "found 7"),
        ("observation `depth{queue=\"a\"}`", "8:", "7"),
        ("observation `other`", "1", "none"),
        ("part `p`", "pass", "fail"),
        ("part `q`", "warn", "no such part"),
        ("detail `failures-in-a-row`", "1", "0"),
        ("requests", "GET http://a.test/", "none"),
    ];
    let expected = expected
        .map(|(what, expected, found)| (what.to_owned(), (expected.to_owned(), found.to_owned())));
    assert_eq!(found, expected.into_iter().collect());
    let ended = test_in(project("echo", tests).path(), &[]).expect(1);
    for line in [
        "  fail  a",
        "expected pass  ",
        "found warn",
        "it said: warn: found 7",
        "1 of 1 test failed",
    ] {
        assert!(ended.out.contains(line), "`{line}`: {}", ended.out);
    }
}

#[test]
fn the_clock_and_random_numbers_are_those_of_the_world_and_waiting_takes_no_time() {
    let tests = r#"
[[test]]
name = "a"
timeout = "1h"
settings = { ms = 3000000 }
[test.world]
now = "2026-01-31 12:00"
random = 7
failures-in-a-row = 3
[test.expect]
message = "slept 3000000 ms"
"#;
    let began = std::time::Instant::now();
    check_passes("sleep", tests);
    assert!(began.elapsed() < std::time::Duration::from_secs(300), "{:?}", began.elapsed());
    let late = tests.replace("1h", "1s");
    let found = differences("sleep", &late);
    assert!(found["message"].1.starts_with("wall time of "), "{found:?}");
}

#[test]
fn environment_and_files_are_those_of_the_world_where_grants_say_so() {
    let tests = r#"
grants = { env = ["TZ"], dirs = ["/data", { host = "/etc", guest = "/srv/out", write = true }] }
[[test]]
name = "a"
settings = { read = "/data/in/a.txt", write = "/srv/out/b" }
[test.world]
env = { TZ = "Mars/Olympus", HOME = "/nowhere" }
files = { "/data/in/a.txt" = "hello", "/data/b" = { base64 = "AA==" } }
[test.expect]
status = "pass"
details = { env = "[(\"TZ\", \"Mars/Olympus\")]", read = "hello", write = "written", passwd = "error: *" }
"#;
    check_passes("env-and-files", tests);
    assert!(!Path::new("/etc/b").exists(), "granted folders are never the real ones");
}

#[test]
fn state_is_what_was_kept_and_what_is_kept_afterwards() {
    let tests = r#"
grants = { state = "4KiB" }
[[test]]
name = "a"
settings = { set = { last = "7" }, get = ["old"] }
[test.world]
state = { runs = "41", old = "x" }
[test.expect]
message = "run 42"
details = { old = "x" }
state = { runs = "42", last = "7", old = "*" }
"#;
    check_passes("remember", tests);
    let found = differences("remember", &tests.replace("last = \"7\", old", "old"));
    assert_eq!(found["state `last`"], ("nothing".to_owned(), "7".to_owned()));
}

#[test]
fn secrets_and_other_checks_are_those_of_the_world() {
    check_passes(
        "read-secrets",
        "[[test]]\nname = \"a\"\nsettings = { names = [\"key\", \"other\"] }\ngrants = { secrets = [\"key\", \"other\"] }\n\
         world = { secrets = { key = \"swordfish\" } }\nexpect = { message = \"read, swordfish\", details = { other = \"error: *\" } }\n",
    );
    check_passes(
        "ask-checks",
        r#"
[[test]]
name = "a"
settings = { names = ["db", "cache"] }
grants = { checks = ["*"] }
[[test.world.check]]
name = "db"
state = "fail"
reason = "timeout"
message = "no answer"
age = "3s"
observations = { depth = 3, free = 0.5 }
[test.expect]
details = { db = "fail, reason timeout, ran before, 2 observations: no answer", cache = "error: *" }
"#,
    );
}

#[test]
fn what_is_denied_or_does_not_fit_is_a_fault_to_expect() {
    check_passes(
        "http-get",
        "[[test]]\nname = \"a\"\nsettings = { url = \"http://a.test/\" }\n\
         expect = { status = \"unknown\", reason = \"denied\", requests = [] }\n",
    );
    check_passes(
        "echo",
        "[[test]]\nname = \"a\"\nsettings = { status = \"nonsense\" }\n\
         expect = { status = \"unknown\", reason = \"bad-settings\", message = \"*/status*\" }\n",
    );
}

#[test]
fn requests_without_an_answer_are_said_even_if_the_test_passes() {
    let tests = "[[test]]\nname = \"a\"\nsettings = { url = \"http://a.test/b\" }\n\
        grants = { http = [\"http://a.test\"] }\nexpect = { status = \"fail\" }\n";
    let ended = test_in(project("http-get", tests).path(), &[]).expect(0);
    assert!(ended.out.contains("no answer in its world: GET http://a.test/b\n"), "{}", ended.out);
}

#[test]
fn an_answer_may_come_from_a_file_and_may_break_or_fail() {
    let dir = project(
        "http-get",
        r#"
settings = { url = "http://a.test/" }
grants = { http = ["http://a.test"] }
[[test]]
name = "a file"
world = { http = { request = "http://a.test/", file = "answers/a.txt" } }
expect = { details = { body = "from a file" } }
[[test]]
name = "a body that breaks"
world = { http = { request = "http://a.test/", body = "half", broken = "closed" } }
expect = { status = "fail" }
[[test]]
name = "an expired certificate"
world = { http = { request = "*", fail = "tls-expired" } }
expect = { status = "fail" }
[[test]]
name = "silence"
timeout = "2s"
world = { http = { request = "http://a.test/", fail = "silence" } }
expect = { status = "fail" }
"#,
    );
    write(dir.path(), "answers/a.txt", "from a file");
    test_in(dir.path(), &[]).expect(0);
}

#[test]
fn a_filter_takes_the_tests_whose_names_have_it() {
    let test =
        |name: &str| format!("[[test]]\nname = \"{name}\"\nexpect = {{ status = \"pass\" }}\n");
    let dir = project("echo", &(test("red fish") + &test("blue fish") + &test("red herring")));
    let json = test_in(dir.path(), &["--filter", "red", "--json"]).expect(0).json();
    assert_eq!(json["passed"], 2);
    let ended = test_in(dir.path(), &["--filter", "green"]).expect(64);
    assert!(ended.err.contains("no test has `green` in its name"), "{}", ended.err);
}

// ── Reports ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_log_of_a_failing_test_is_shown() {
    let tests = "[[test]]\nname = \"a\"\nsettings = { text = \"a line\\n\" }\nexpect = { status = \"fail\" }\n";
    let ended = test_in(project("print", tests).path(), &[]).expect(1);
    assert!(ended.out.contains("        | a line\n"), "{}", ended.out);
}

// ── Broken files and missing ones ──────────────────────────────────────────────────────────────

#[test]
fn every_problem_of_a_test_file_is_said_at_once_with_its_place() {
    let tests = r#"grant = {}
settings = 7
[accept]
"GET http://a.test/" = "no fault"
"clock: bak" = "no such"
"clock: behind" = ""
[[test]]
nam = "a"
timeout = "5"
[test.world]
now = "yesterday"
random = "x"
files = { "/data/a" = "b" }
state = { k = 7, b = { base64 = "?" } }
[[test.world.http]]
request = "queue.test"
status = 99
body = "a"
json = {}
fail = "refusd"
[[test.world.http]]
file = "nowhere.json"
headers = { "a b" = "c", d = 1 }
[[test.world.check]]
name = "db"
state = "down"
[test.expect]
status = "ok"
reason = "timeot"
observations = { depth = true, "a{" = 1, b = "low" }
parts = { a = "unknown" }
[[test]]
name = "b"
[[test]]
name = "b"
[test.expect]
"#;
    let ended = test_in(project("echo", tests).path(), &[]).expect(65);
    for line in [
        "test.toml:1:1: error: unknown key `grant` in the test file (did you mean `grants`?)",
        "test.toml:2:12: error: `settings` of the test file is a number (expected a table)",
        "`GET http://a.test/` is nothing to accept",
        "there is no fault `bak`",
        "`clock: behind` is accepted without a reason",
        "unknown key `nam` in test 1 (did you mean `name`?)",
        "test.toml:9:11: error: `timeout` of test 1 is \"5\"",
        "`now` of `world` of test 1: `yesterday` is no time",
        "`random` of `world` of test 1 is no seed",
        "the file `/data/a` of `world` of test 1 lies in no granted folder",
        "`k` in `state` of `world` of test 1 is a number",
        "`b` in `state` of `world` of test 1 is not in base64",
        "`queue.test` is no request",
        "`status` of answer 1 in `world` of test 1 is 99",
        "has `body` and `json` (expected one of them)",
        "unknown word `refusd`",
        "did you mean `refused`?",
        "answer 2 in `world` of test 1 has no `request`",
        "cannot read `nowhere.json`",
        "`a b` in `headers` of answer 2 in `world` of test 1 is no name of a header",
        "unknown word `down`",
        "unknown word `ok`",
        "unknown reason `timeot` (did you mean `timeout`?)",
        "`depth` in `observations` of `expect` of test 1 is a boolean",
        "`a{` in `observations` of `expect` of test 1 is no name",
        "part `a` of `expect` of test 1 is `unknown`",
        "a second test `b`",
        "test `b` has no `expect`",
    ] {
        assert!(ended.err.contains(line), "`{line}`: {}", ended.err);
    }
    assert_eq!(ended.out, "", "nothing runs");
    let ended = test_in(project("echo", "settings = {\n").path(), &[]).expect(65);
    assert!(ended.err.contains("test.toml:1:"), "{}", ended.err);
    let ended = test_in(project("echo", "").path(), &[]).expect(65);
    assert!(
        ended.err.contains("the test file has no `test` (for example: [[test]])"),
        "{}",
        ended.err
    );
    let ended =
        test_in(project("echo", "[[test]]\nname = \"a\"\nexpect = {}\n").path(), &[]).expect(65);
    assert!(ended.err.contains("expects nothing"), "{}", ended.err);
}

#[test]
fn a_plugin_without_tests_is_told_how_to_begin() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "echo.wasm", guest("echo"));
    for (what, looked) in
        [("echo.wasm", "`echo.test.toml` and `echo/test.toml`"), (".", "`test.toml`")]
    {
        let ended = test_in(dir.path(), &[what]).expect(65);
        assert!(ended.err.contains(looked), "{}", ended.err);
        assert!(ended.err.contains("[[test.world.http]]"), "{}", ended.err);
    }
    // What it shows works as it stands.
    let ended = test_in(dir.path(), &["echo.wasm"]).expect(65);
    let (_, example) = ended.err.split_once(":\n\n").expect("an example");
    write(dir.path(), "echo.test.toml", example);
    test_in(dir.path(), &["echo.wasm"]).expect(0);
    test_in(dir.path(), &["echo.test.toml"]).expect(0);
}

#[test]
fn what_cannot_be_found_or_loaded_is_said() {
    let tests = "[[test]]\nname = \"a\"\nexpect = { status = \"pass\" }\n";
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "test.toml", tests);
    let says = |args: &[&str], says: &str| {
        let ended = test_in(dir.path(), args).expect(65);
        assert!(ended.err.contains(says), "{args:?}: `{says}`: {}", ended.err);
    };
    says(&[], "there is no plugin for `./test.toml`");
    says(&["nowhere"], "cannot read `nowhere`");
    write(dir.path(), "a.wasm", "no component");
    says(&[], "is no plugin that can be used");
    write(dir.path(), "b.wasm", guest("echo"));
    says(&[], "2 files beside `./test.toml` end in .wasm");
    write(dir.path(), "test.toml", format!("plugin = \"b.wasm\"\n{tests}"));
    test_in(dir.path(), &[]).expect(0);
    write(dir.path(), "bytes.toml", [0xff_u8]);
    says(&["bytes.toml"], "cannot read `bytes.toml`");
}

#[test]
fn every_key_and_every_fault_is_in_the_help_and_in_the_guide() {
    let help = run(&["plugin", "test", "--help"]).expect(0).out;
    let guide = std::fs::read_to_string(root().join("wit/README.md")).expect("readable");
    for section in keys::SECTIONS {
        assert!(help.contains(section.header), "`{}`", section.header);
        for key in section.keys {
            assert!(help.contains(&format!("\n  {}\n", key.name)), "`{}` in the help", key.name);
            assert!(guide.contains(&format!("`{}`", key.name)), "`{}` in the guide", key.name);
            assert!(key.doc.ends_with('.'), "`{}`: {}", key.name, key.doc);
        }
    }
    for fault in FAULTS {
        assert!(help.contains(&format!("{}: {}", fault.name, fault.doc)), "`{}`", fault.name);
    }
}

#[test]
fn a_record_becomes_a_test() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let record = serde_json::json!({
        "format": "wellcheck-record/1",
        "plugin": { "name": "http-get", "version": "1.0.0", "digest": "0" },
        "check": "web", "began": 1_767_322_800_000_i64, "timeout": 10_000,
        "failures_in_a_row": 0, "settings": { "url": "http://a.test/" },
        "grants": { "http": ["http://a.test"] }, "random": "00".repeat(32),
        "http": [{ "at": 0.0, "method": "GET", "url": "http://a.test/", "answer": {
            "status": 503, "after": 12.5, "headers": [["server", "x"]], "body": [{ "data": "down\n" }] } }],
        "outcome": { "status": "pass", "message": "answered 503" }
    });
    write(dir.path(), "record.json", record.to_string());
    let ended = test_in(dir.path(), &["--from", "record.json"]).expect(0);
    assert!(
        ended.out.contains("name = \"check web at 2026-01-02T03:00:00.000Z\""),
        "{}",
        ended.out
    );
    write(dir.path(), "test.toml", &ended.out);
    write(dir.path(), "http-get.wasm", guest("http-get"));
    test_in(dir.path(), &[]).expect(0);
    write(dir.path(), "record.json", "{}");
    let ended = test_in(dir.path(), &["--from", "record.json"]).expect(65);
    assert!(ended.err.contains("cannot read the record `record.json`"), "{}", ended.err);
}
