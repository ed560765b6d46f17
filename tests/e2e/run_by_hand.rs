//! `wellcheck run` with everything that a run can be given, and every way to print it.

use crate::support::guests::{example_path, guest_path};
use crate::support::host::write;
use crate::support::program::{Ended, command, finish, run, run_in};
use crate::support::target;

fn guest(name: &str) -> String {
    guest_path(name).to_string_lossy().into_owned()
}

fn echo(args: &[&str]) -> Ended {
    run(&[&["run", &guest("echo")], args].concat())
}

#[test]
fn single_settings_win_over_the_others() {
    let all = ["--settings", "{\"status\": \"fail\", \"message\": \"m\"}"];
    let ended = echo(&[&all[..], &["--set", "status=warn"]].concat()).expect(1);
    assert!(ended.out.starts_with("warn: m ["), "{}", ended.out);
    let ended = echo(&["--set", "details.server=nginx", "--set", "message=a b"]).expect(0);
    assert!(ended.out.starts_with("pass: a b ["), "{}", ended.out);
    assert!(ended.out.contains("\n  server: nginx\n"), "{}", ended.out);
    for (wrong, says) in [
        ("message", "there is no `=` in it"),
        ("a..b=1", "is no key of TOML"),
        ("status.x.y=1", "is not a table"),
    ] {
        let set = ["--set", "status=pass", "--set", wrong];
        let ended = echo(&set).expect(3);
        assert!(ended.err.contains(says), "{wrong}: {}", ended.err);
    }
}

#[test]
fn an_agent_gets_one_line_with_numbers() {
    let settings = r#"{"status": "warn", "message": "a | b", "observations": [{"name": "depth", "value": 5, "unit": "B", "warn": "4"}]}"#;
    let out = echo(&["--settings", settings, "--format", "nagios"]).expect(1).out;
    assert!(out.starts_with("WARNING: a / b | 'time'="), "{out}");
    assert!(out.ends_with("'depth'=5B;4\n"), "{out}");
    let out = echo(&["--set", "fault=inconclusive", "--format", "nagios"]).expect(3).out;
    assert!(out.starts_with("UNKNOWN: "), "{out}");
    let ended = echo(&["--format", "nagios", "--repeat", "2"]).expect(3);
    assert!(ended.err.contains("a monitoring plugin answers once"), "{}", ended.err);
}

#[test]
fn several_runs_are_a_line_each_and_summed_up() {
    let target = target::http().status(200).body("5").status(500).status(200).body("5").start();
    let url = format!("url={}", target.url("/"));
    let grant = format!("http={}", target.url(""));
    let file = example_path("json-number").to_string_lossy().into_owned();
    let args = ["run", &file, "--set", &url, "--set", "pointer=", "--grant", &grant];
    let more = ["--repeat", "3", "--interval", "1ms"];
    let ended = run(&[&args[..], &more].concat()).expect(2);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines[0].starts_with("pass: ") && lines[1].starts_with("fail (plugin): "), "{lines:?}");
    assert_eq!(lines[3], "3 runs: 2 pass, 1 fail");
    assert!(lines[4].starts_with("  wall min "), "{lines:?}");
    assert!(lines[5].starts_with("  CPU  min ") && lines.len() == 6, "{lines:?}");
    let ended = run(&[&args[..], &more, &["--json"]].concat()).expect(0);
    let last: serde_json::Value =
        serde_json::from_str(ended.out.lines().last().expect("lines")).expect("JSON");
    assert_eq!((last["runs"].as_u64(), last["statuses"]["pass"].as_u64()), (Some(3), Some(3)));
}

#[test]
fn what_a_run_keeps_is_there_for_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["run", &guest("remember"), "--grant", "state=4KiB"];
    let ended = run_in(dir.path(), &[&args[..], &["--repeat", "2"]].concat()).expect(0);
    assert!(ended.out.contains("pass: run 1 [") && ended.out.contains("pass: run 2 ["));
    let state = [&args[..], &["--state", "kept.json"]].concat();
    for number in 1..=2 {
        let ended = run_in(dir.path(), &state).expect(0);
        assert!(ended.out.starts_with(&format!("pass: run {number} [")), "{}", ended.out);
    }
    let ended = run_in(dir.path(), &["run", &guest("remember"), "--state", "kept.json"]).expect(3);
    assert!(ended.err.contains("--grant state=64KiB"), "{}", ended.err);
    write(dir.path(), "kept.json", "[]");
    let ended = run_in(dir.path(), &state).expect(3);
    assert!(ended.err.contains("is no JSON object of texts"), "{}", ended.err);
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable_and_is_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "key", "canary-in-a-file\n");
    let mut program = command();
    program.current_dir(dir.path()).env("OWN_KEY", "canary-in-a-variable").args([
        "run",
        &guest("read-secrets"),
        "--set",
        "names=[\"one\", \"two\", \"three\"]",
        "--secret",
        "one=@key",
        "--secret",
        "two=env:OWN_KEY",
        "--grant",
        "secrets=three",
    ]);
    let ended = finish(&mut program, "").expect(0);
    assert!(ended.out.contains("[redacted]") && !ended.out.contains("canary"), "{}", ended.out);
    assert!(ended.out.contains("used secrets = \"one\""), "{}", ended.out);
    let ended = echo(&["--secret", "one=plain"]).expect(3);
    assert!(ended.err.contains("stands on the command line"), "{}", ended.err);
}

#[test]
fn timings_say_where_the_time_went() {
    let target = target::http().status(200).body("hello").start();
    let url = format!("url={}", target.url("/"));
    let grant = format!("http={}", target.url(""));
    let args = ["run", &guest("http-get"), "--set", &url, "--grant", &grant, "--timings"];
    let out = run(&args).expect(0).out;
    assert!(out.contains(&format!("\n  used http = \"GET {}\"\n", target.url(""))), "{out}");
    assert!(out.contains(", 1 request, 5 B of bodies\n"), "{out}");
    let (_, timings) = out.split_once("timings:\n").expect("timings");
    assert!(timings.contains("  load ") && timings.contains("describe "), "{timings}");
    assert!(timings.contains("(instantiate "), "{timings}");
    let request = format!("  GET {} sent at ", target.url("/"));
    assert!(timings.contains(&request) && timings.contains("ms (5 B)\n"), "{timings}");
    let json = run(&[&args[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(json["timings"]["requests"][0]["status"], 200, "{json}");
    assert_eq!((&json["cost"]["requests"], &json["used"][0]["grant"]), (&1.into(), &"http".into()));
}
