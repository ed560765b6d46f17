//! Runs that are recorded, and run again offline: by hand, and from a server's last failing runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::configuration::tokens;
use crate::support::guests::{example_path, guest, guest_path};
use crate::support::host::{Host, host, write};
use crate::support::program::{Ended, command, finish, run, run_in};
use crate::support::target::{self, Target};
use crate::support::wait::until;

/// A run of a plugin's file that is recorded in `dir`.
fn record(dir: &Path, file: &Path, settings: &str, more: &[&str]) -> Ended {
    let file = file.to_string_lossy();
    let args = ["run", &file, "--settings", settings, "--record", "record.json"];
    run_in(dir, &[&args, more].concat())
}

fn replay(dir: &Path, file: &Path, more: &[&str]) -> Ended {
    let file = file.to_string_lossy();
    run_in(dir, &[&["plugin", "replay", "record.json", &file], more].concat())
}

fn read(dir: &Path) -> Value {
    let text = std::fs::read_to_string(dir.join("record.json")).expect("a record");
    serde_json::from_str(&text).expect("JSON")
}

/// Without the time that it took.
fn told(out: &str) -> &str {
    out.split(" [").next().unwrap_or_default()
}

/// Records a run of an example, stops its target, and runs it again.
#[track_caller]
fn check_again(example: &str, target: Option<Target>, settings: &str, code: i32) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = example_path(example);
    let grant = target.as_ref().map(|target| format!("http={}", target.url("")));
    let more: Vec<&str> = grant.iter().flat_map(|grant| ["--grant", grant.as_str()]).collect();
    let first = record(dir.path(), &file, settings, &more).expect(code);
    drop(target);
    let second = replay(dir.path(), &file, &["--expect-same"]).expect(0);
    assert_eq!(told(&second.out), told(&first.out), "{example}");
    assert!(second.out.contains("\nthis is the recorded outcome\n"), "{}", second.out);
    assert!(!second.out.contains("note: "), "{}", second.out);
    replay(dir.path(), &file, &[]).expect(code);
}

#[test]
fn a_rust_plugin_does_the_same_again_when_its_target_is_gone() {
    let target = target::http().status(200).body("[{\"messages\": 1001}]").start();
    let settings = json!({ "url": target.url("/"), "pointer": "/0/messages", "name": "depth", "fail": "~:1000" });
    check_again("json-number", Some(target), &settings.to_string(), 2);
}

#[test]
fn a_python_plugin_does_the_same_again_when_its_target_is_gone() {
    let target =
        target::http().status(200).body("{\"token\": \"canary-token\"}").status(403).start();
    let settings = json!({
        "login-url": target.url("/login"), "url": target.url("/me"),
        "credentials": { "user": "probe", "password": "p" },
    });
    check_again("login-flow", Some(target), &settings.to_string(), 2);
}

#[test]
fn a_go_plugin_does_the_same_again_when_its_target_is_gone() {
    let target = target::http().status(200).body("disk_free{mount=\"/\"} 5\n").start();
    let settings = json!({ "url": target.url("/metrics"), "metric": "disk_free", "fail": "200:" });
    check_again("metric-bound", Some(target), &settings.to_string(), 2);
}

#[test]
fn plugins_in_javascript_and_c_find_the_clock_as_it_was() {
    let settings = json!({ "deadlines": [{ "name": "far", "date": "2199-01-01" }] }).to_string();
    check_again("deadlines", None, &settings, 0);
    // Of 2001.
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDAwMDAwMDB9.x";
    check_again("token-expiry", None, &json!({ "token": token }).to_string(), 2);
}

#[test]
fn another_clock_another_plugin_and_other_settings_are_seen() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = example_path("deadlines");
    let settings = json!({ "deadlines": [{ "name": "far", "date": "2199-01-01" }] }).to_string();
    record(dir.path(), &file, &settings, &[]).expect(0);
    let mut changed = read(dir.path());
    // 2200.
    changed["began"] = json!(7_258_118_400_000_i64);
    changed["plugin"]["digest"] = json!("0".repeat(64));
    write(dir.path(), "record.json", changed.to_string());
    let ended = replay(dir.path(), &file, &["--expect-same"]).expect(1);
    assert!(
        ended
            .out
            .contains("this is not the recorded outcome:\n  - status: pass\n  + status: fail\n"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("note: `record.json` is of another build of the plugin"),
        "{}",
        ended.out
    );
    replay(dir.path(), &file, &[]).expect(2);
    replay(dir.path(), &file, &["--set", "warn-days=999999", "--set", "fail-days=0"]).expect(2);
    let ended = replay(dir.path(), &file, &["--set", "warn-days=-1"]).expect(3);
    assert!(ended.err.contains("the settings do not fit the plugin"), "{}", ended.err);
    let json = replay(dir.path(), &file, &["--json"]).expect(2).json();
    assert_eq!((&json["same"], &json["differences"][0]["what"]), (&json!(false), &json!("status")));
}

#[test]
fn what_is_asked_for_and_not_there_is_said_and_so_is_the_other_way_round() {
    let target = target::http().status(200).start();
    let dir = tempfile::tempdir().expect("a folder");
    let file = guest_path("http-get");
    let settings = json!({ "url": target.url("/a") }).to_string();
    let grant = format!("http={}", target.url(""));
    record(dir.path(), &file, &settings, &["--grant", &grant]).expect(0);
    let other = format!("url={}", target.url("/b"));
    let ended = replay(dir.path(), &file, &["--set", &other]);
    assert_eq!(target.count(), 1, "nothing left the process");
    let (new, old) = (target.url("/b"), target.url("/a"));
    for says in [
        format!("note: it asked for something that the record has no answer for: `GET {new}`"),
        format!("note: it no longer asked for something that is in the record: `GET {old}`"),
    ] {
        assert!(ended.out.contains(&says), "{says}: {}", ended.out);
    }
    let mut without = read(dir.path());
    without["grants"] = json!({ "http": ["[redacted]"] });
    write(dir.path(), "record.json", without.to_string());
    let ended = replay(dir.path(), &file, &[]).expect(3);
    assert!(ended.out.starts_with("unknown (denied)"), "{}", ended.out);
    assert!(ended.out.contains("note: a grant of the record is none here"), "{}", ended.out);
    replay(dir.path(), &file, &["--grant", &grant]).expect(0);
}

#[test]
fn files_state_and_variables_are_as_they_were() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    write(&data, "file.txt", "as it was");
    let file = guest_path("env-and-files");
    let path = data.join("file.txt");
    let settings = json!({ "read": path.to_string_lossy() }).to_string();
    let grant = format!("dirs={}", data.display());
    let more = ["--grant", &grant, "--grant", "env=HOME"];
    let first = record(dir.path(), &file, &settings, &more).expect(0);
    assert!(first.out.contains("as it was"), "{}", first.out);
    std::fs::remove_dir_all(&data).expect("it is there");
    let mut program = command();
    let args = ["plugin", "replay", "record.json", &file.to_string_lossy(), "--expect-same"];
    program.current_dir(dir.path()).args(args).env("HOME", dir.path());
    finish(&mut program, "").expect(0);

    let file = guest_path("remember");
    let state = ["--grant", "state=4KiB", "--state", "state.json"];
    write(dir.path(), "state.json", "{\"runs\": \"41\"}");
    let first = record(dir.path(), &file, "{}", &state).expect(0);
    assert!(first.out.starts_with("pass: run 42 ["), "{}", first.out);
    replay(dir.path(), &file, &["--expect-same"]).expect(0);
    let kept = std::fs::read_to_string(dir.path().join("state.json")).expect("it is kept");
    assert!(kept.contains("\"42\""), "{kept}");
}

#[test]
fn no_secret_is_in_a_record_and_only_its_owner_can_read_it() {
    let target = target::http()
        .status(500)
        .header("Set-Cookie", "session=cookie-canary-1; Path=/")
        .body("configured-canary and cookie-canary-1 and header-canary-2")
        .start();
    let dir = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[[check]]\nname = \"number\"\nplugin = \"json-number\"\n\
         settings = {{ url = \"{url}?key=${{CANARY}}\", pointer = \"/a\", name = \"n\", warn = 1, headers = {{ authorization = \"Bearer header-canary-2\", x-own = \"${{CANARY}}\" }} }}\n\
         [check.grants]\nhttp = [{{ url = \"{origin}\", basic-auth = \"user:${{CANARY}}\" }}]\n",
        url = target.url("/"),
        origin = target.url("")
    );
    write(dir.path(), "wellcheck.toml", config);
    let bytes = std::fs::read(example_path("json-number")).expect("an example");
    write(dir.path(), "plugins/json-number.wasm", bytes);
    let mut program = command();
    program.current_dir(dir.path()).env("CANARY", "configured-canary");
    program.args(["run", "number", "--record", "record.json"]);
    finish(&mut program, "").expect(2);
    assert!(target.requests()[0].contains("configured-canary"), "{:?}", target.requests());
    let path = dir.path().join("record.json");
    let text = std::fs::read_to_string(&path).expect("a record");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("session=[redacted]"), "{text}");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(target);
    replay(dir.path(), &example_path("json-number"), &["--expect-same"]).expect(0);
}

#[test]
fn of_several_runs_the_last_that_did_not_pass_is_recorded() {
    let dir = tempfile::tempdir().expect("a folder");
    let target = target::http().status(200).body("5").status(500).status(200).body("5").start();
    let settings = json!({ "url": target.url("/"), "pointer": "" }).to_string();
    let grant = format!("http={}", target.url(""));
    let more = ["--grant", &grant, "--repeat", "3"];
    record(dir.path(), &example_path("json-number"), &settings, &more).expect(2);
    let kept = read(dir.path());
    assert_eq!(kept["http"][0]["answer"]["status"], 500, "{kept}");
    let config =
        format!("[[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\n", target.url("/"));
    write(dir.path(), "wellcheck.toml", config);
    let ended = run_in(dir.path(), &["run", "web", "--record", "other.json"]).expect(3);
    assert!(
        ended.err.contains("go with plugins (check `web` is of a built-in kind)"),
        "{}",
        ended.err
    );
}

#[test]
fn a_hostile_record_is_refused_with_a_message() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = guest_path("http-get");
    record(dir.path(), &file, "{\"url\": \"http://127.0.0.1:1/\"}", &[]).expect(3);
    let good = read(dir.path());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut record = good.clone();
        change(&mut record);
        record.to_string()
    };
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "is no record"),
        ("[1, 2]".to_owned(), "is no record"),
        ("{}".to_owned(), "it has no `format`"),
        ("[".repeat(100_000), "is no record"),
        (
            with(&|r| r["format"] = json!("wellcheck-record/9")),
            "is of the form `wellcheck-record/9` (expected `wellcheck-record/1`)",
        ),
        (with(&|r| r["http"] = json!("many")), "is no record"),
        (with(&|r| r["surplus"] = json!(1)), "unknown field `surplus`"),
        (with(&|r| r["random"] = json!("xyz")), "`random` cannot be used"),
        (with(&|r| r["check"] = json!("../x")), "`check` cannot be used"),
        (with(&|r| r["settings"] = json!([])), "not a JSON object"),
        (with(&|r| r["limits"] = json!({ "time": 1 })), "there is no limit `time`"),
        (
            with(&|r| r["files"] = json!({ "/data/../../etc/x": "y" })),
            "found the path `/data/../../etc/x`",
        ),
        (with(&|r| r["checks"] = json!({ "a": { "state": "odd" } })), "found the state `odd`"),
    ];
    for (text, says) in cases {
        write(dir.path(), "record.json", &text);
        let ended = replay(dir.path(), &file, &[]).expect(3);
        let start: String = text.chars().take(80).collect();
        assert!(ended.err.contains(says), "{start}: `{says}`: {}", ended.err);
        assert_eq!(ended.out, "");
    }
    let huge = std::fs::File::create(dir.path().join("record.json")).expect("a file");
    huge.set_len(65 << 20).expect("a sparse file");
    let ended = replay(dir.path(), &file, &[]).expect(3);
    assert!(ended.err.contains("is longer than 64 MiB"), "{}", ended.err);
    // Numbers that no record has do not break anything.
    let odd = with(&|r| {
        r["timeout"] = json!(u64::MAX);
        r["began"] = json!(i64::MIN);
        r["grants"] = json!({ "http": ["http://127.0.0.1:1"] });
        r["http"] = json!([{ "at": -1e300, "method": "GET", "url": "http://127.0.0.1:1/", "answer": { "after": 1e300, "status": 1000, "headers": [["a\n", "b\0"]] } }]);
    });
    write(dir.path(), "record.json", odd);
    let ended = replay(dir.path(), &file, &[]);
    assert!([2, 3].contains(&ended.code), "{}{}", ended.out, ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
}

// ── the server ─────────────────────────────────────────────────────────────────────────────────

const OPERATE: (&str, &str) = ("Authorization", "Bearer token-of-operate");

/// A check of an example that fails as long as its target does, one that a condition fails, and one
/// that is well.
fn serve(target: &Target, plugins: &str, tokens: &str) -> Host {
    let (url, origin) = (target.url("/"), target.url(""));
    let config = format!(
        "{tokens}[plugins]\n{plugins}\n[[check]]\nname = \"get\"\nplugin = \"json-number\"\ninterval = \"100ms\"\n\
         settings = {{ url = \"{url}\", pointer = \"\" }}\n[check.grants]\nhttp = \"{origin}\"\n\
         [[check]]\nname = \"judged\"\nplugin = \"echo\"\ninterval = \"100ms\"\nfail = \"message == 'fine'\"\nsettings = {{ message = \"fine\" }}\n\
         [[check]]\nname = \"well\"\nplugin = \"echo\"\ninterval = \"100ms\"\n",
    );
    host().config(&config).example("json-number").plugin("echo", &guest("echo")).start()
}

fn listed(host: &Host, check: &str) -> Vec<Value> {
    let answer = host.ask("GET", &format!("/api/v1/checks/{check}/records"), &[OPERATE]);
    assert_eq!(answer.code, 200, "{answer:?}");
    answer.json()["records"].as_array().cloned().expect("a list")
}

fn program(host: &Host, args: &[&str]) -> Ended {
    let mut command = command();
    command.current_dir(host.dir()).args(args);
    command.args(["--server", &format!("http://{}", host.address)]);
    finish(command.env("WELLCHECK_TOKEN", "token-of-operate"), "")
}

#[test]
fn the_server_keeps_the_last_failing_runs_and_they_can_be_run_again() {
    let target = target::http().status(503).body("broken-1").start();
    let host = serve(&target, "records = 2", &tokens());
    let newest = |at_least: u64| {
        until("two records", || {
            let list = listed(&host, "get");
            match list.first().and_then(|one| one["id"].as_u64()) {
                Some(id) if id >= at_least && list.len() == 2 => Ok(list),
                _ => Err(format!("{list:?}")),
            }
        })
    };
    let list = newest(5);
    assert!(list[0]["id"].as_u64() > list[1]["id"].as_u64(), "newest first: {list:?}");
    assert_eq!((&list[0]["status"], &list[0]["reason"]), (&json!("fail"), &json!("plugin")));
    assert!(list[0]["size"].as_u64().is_some_and(|size| size > 200), "{list:?}");
    host.until_state("well", "pass");
    assert_eq!(listed(&host, "well"), Vec::<Value>::new());
    host.until_state("judged", "fail");
    assert_eq!(listed(&host, "judged")[0]["status"], "fail", "by a condition");

    target.becomes(target::http().status(200).body("5"));
    host.until_state("get", "pass");
    let list = listed(&host, "get");
    let text = program(&host, &["check", "records", "get"]).expect(0).out;
    assert!(text.starts_with("ID"), "{text}");
    assert!(text.contains("answered 503"), "{text}");
    let saved = program(&host, &["check", "record", "get", "--output", "record.json"]).expect(0);
    assert_eq!(saved.out, "wrote `record.json`\n");
    let older = list[1]["id"].to_string();
    let older = program(&host, &["check", "record", "get", &older]).expect(0).json();
    assert_eq!(older["http"][0]["answer"]["body"][0]["data"], "broken-1", "{older}");
    drop(target);
    let ended = replay(host.dir(), &example_path("json-number"), &["--expect-same"]).expect(0);
    assert!(ended.out.starts_with("fail (plugin): "), "{}", ended.out);
    assert!(ended.out.contains("answered 503"), "{}", ended.out);
    let ended = program(&host, &["check", "record", "well"]).expect(69);
    assert!(ended.err.contains("there is no record of `well`"), "{}", ended.err);
    let ended = program(&host, &["check", "record", "get", "999999"]).expect(69);
    assert!(ended.err.contains("there is no such record"), "{}", ended.err);
}

#[test]
fn records_are_for_those_with_a_token() {
    let target = target::http().status(503).start();
    let with = serve(&target, "records = 1000", &tokens());
    with.until_state("get", "fail");
    let id = &listed(&with, "get")[0]["id"];
    let paths = ["/api/v1/checks/get/records", &format!("/api/v1/checks/get/records/{id}")];
    for path in paths {
        assert_eq!(with.get(path).code, 401, "{path}");
        let view = ("Authorization", "Bearer token-of-view");
        assert_eq!(with.ask("GET", path, &[view]).code, 403, "{path}");
        assert_eq!(with.ask("GET", path, &[OPERATE]).code, 200, "{path}");
        assert_eq!(with.ask("POST", path, &[OPERATE]).code, 405, "{path}");
    }
    let nobody = with.ask("GET", "/api/v1/checks/nobody/records", &[OPERATE]);
    assert_eq!(nobody.code, 404);
    let without = serve(&target, "", "");
    without.until_state("get", "fail");
    for path in paths {
        let answer = without.get(path);
        assert_eq!(answer.code, 403, "{path}");
        assert_eq!(answer.json()["error"]["code"], "no-token-configured");
    }
}

#[test]
fn records_are_cut_where_the_configuration_says_and_can_be_switched_off() {
    let body = "x".repeat(20_000);
    let target = target::http().status(503).body(&body).start();
    let host = serve(
        &target,
        "record-bytes = \"1KiB\"\nrecords-bytes = \"16KiB\"\nrecords = 100",
        &tokens(),
    );
    let list = until("as many as fit", || {
        let list = listed(&host, "get");
        if list.first().is_some_and(|one| one["id"].as_u64() > Some(20)) {
            Ok(list)
        } else {
            Err(list.len().to_string())
        }
    });
    assert!((2..=16).contains(&list.len()), "{list:?}");
    let id = list[0]["id"].to_string();
    let record = program(&host, &["check", "record", "get", &id]).expect(0).json();
    assert!(record["gaps"][0].as_str().is_some_and(|gap| gap.contains("were cut")), "{record}");
    let off = serve(&target, "records = 0", &tokens());
    off.until_state("get", "fail");
    assert_eq!(listed(&off, "get"), Vec::<Value>::new());
}

#[test]
fn a_plugin_that_asks_for_other_checks_finds_them_as_they_were() {
    let target = target::http().status(500).start();
    let config = format!(
        "{}[[check]]\nname = \"replica-a\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"100ms\"\nfailure-threshold = 1\n\
         [[check]]\nname = \"check\"\nplugin = \"quorum\"\ninterval = \"200ms\"\nfailure-threshold = 1\n\
         settings = {{ checks = [\"replica-a\"], at-least = 1 }}\n[check.grants]\nchecks = [\"replica-*\"]\nstate = \"4KiB\"\n",
        tokens(),
        target.url("/")
    );
    let host = host().config(&config).example("quorum").start();
    host.until_state("check", "fail");
    program(&host, &["check", "record", "check", "--output", "record.json"]).expect(0);
    replay(host.dir(), &example_path("quorum"), &["--expect-same"]).expect(0);
}

#[test]
fn bench_measures_in_the_real_world_and_in_that_of_a_record() {
    let echo = guest_path("echo").to_string_lossy().into_owned();
    let args = ["plugin", "bench", &echo, "--runs", "10", "--set", "status=warn"];
    let text = run(&args).expect(0).out;
    for says in ["compile", "instantiate", "10: 10 warn", "runs per second on one core", "worst"] {
        assert!(text.contains(says), "`{says}`: {text}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let target = target::http().status(200).start();
    let settings = json!({ "url": target.url("/") }).to_string();
    let grant = format!("http={}", target.url(""));
    record(dir.path(), &guest_path("http-get"), &settings, &["--grant", &grant]).expect(0);
    drop(target);
    let file = guest_path("http-get").to_string_lossy().into_owned();
    let args = ["plugin", "bench", &file, "--record", "record.json", "--runs", "5", "--json"];
    let json = run_in(dir.path(), &args).expect(0).json();
    assert_eq!((&json["runs"], &json["statuses"]["pass"]), (&json!(5), &json!(5)), "{json}");
    assert!(json["cpu_ms"]["p99"].as_f64().is_some_and(|ms| ms > 0.0), "{json}");
}
