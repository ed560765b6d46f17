//! Nosana job definitions: read from `--job` and `[[import]]`, run against real servers, and refused.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::host::{Host, host, write};
use crate::support::node::Node;
use crate::support::program::{Ended, run_in};
use crate::support::servers::{free_port, free_ports};
use crate::support::target::{self, Target};
use crate::support::wait::until;

/// The job of the documentation page, with another port.
const JOB: &str = r#"{
  "version": "0.1",
  "type": "container",
  "meta": {
    "trigger": "cli"
  },
  "ops": [
    {
      "type": "container/run",
      "id": "local-check",
      "args": {
        "cmd": [],
        "image": "my-local-image",
        "expose": [
          {
            "port": 8080,
            "health_checks": [
              {
                "type": "http",
                "path": "/health",
                "method": "GET",
                "expected_status": 200
              }
            ]
          }
        ]
      }
    }
  ]
}
"#;

#[track_caller]
fn until_status(host: &Host, name: &str, status: &str) -> Value {
    until(&format!("/health/{name} is `{status}`"), || {
        let answer = host.get(&format!("/health/{name}"));
        if answer.code == 404 {
            return Err("not there".to_owned());
        }
        let body = answer.json();
        if body["status"] == status { Ok(body) } else { Err(body.to_string()) }
    })
}

#[test]
fn the_documented_job_runs_against_the_documented_server() {
    let port = free_port();
    let job = JOB.replace("8080", &port.to_string());
    let node = Node::start(&[port]);
    let host = host().file("job.json", &job).arg("--job").arg("job.json").start();
    let check = format!("local-check-{port}-1");
    let found = host.until_state(&check, "pass");
    assert_eq!(host.names(), std::slice::from_ref(&check));
    assert_eq!(found["title"], format!("local-check, port {port}: http GET /health"));
    assert_eq!(found["target"], format!("http://127.0.0.1:{port}/health"));
    let group = format!("local-check-{port}");
    until_status(&host, &group, "pass");
    assert_eq!(host.get("/health").code, 200);
    assert_eq!(host.notes(), "");
    // It is not continuous: it stays as it was, as it does there.
    drop(node);
    let last = host.check(&check)["last_run"].clone();
    let clock = target::http().start();
    let other = format!(
        "[[check]]\nname = \"clock\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\n",
        clock.url("/")
    );
    host.write("conf.d/clock.toml", other);
    host.until_state("clock", "pass");
    until("a hundred ticks", || {
        if clock.count() > 100 { Ok(()) } else { Err(clock.count().to_string()) }
    });
    assert_eq!(host.check(&check)["last_run"], last);
    until_status(&host, &group, "pass");
}

#[test]
fn a_wrong_path_is_a_fail_until_the_first_pass() {
    let port = free_port();
    let job = JOB.replace("8080", &port.to_string()).replace("/health\"", "/other\"");
    let _node = Node::start(&[port]);
    let config =
        "[[import]]\njob = \"job.json\"\nstartup-interval = \"100ms\"\ninterval = \"100ms\"\n";
    let host = host().config(config).file("job.json", &job).start();
    let check = format!("local-check-{port}-1");
    let found = host.until_state(&check, "fail");
    assert_eq!(found["message"], "answered 404 Not Found (expected 200)");
    until_status(&host, &format!("local-check-{port}"), "fail");
    host.next_run(&check);
}

#[test]
fn a_continuous_check_reports_loss_and_recovery() {
    let port = free_port();
    let continuous = "\"expected_status\": 200, \"continuous\": true";
    let job =
        JOB.replace("8080", &port.to_string()).replace("\"expected_status\": 200", continuous);
    let config =
        "[[import]]\njob = \"job.json\"\nstartup-interval = \"100ms\"\ninterval = \"100ms\"\n";
    let host = host().config(config).file("job.json", &job).start();
    let group = format!("local-check-{port}");
    until_status(&host, &group, "fail");
    let node = Node::start(&[port]);
    until_status(&host, &group, "pass");
    drop(node);
    until_status(&host, &group, "fail");
    let node = Node::start(&[port]);
    until_status(&host, &group, "pass");
    drop(node);
    let check = format!("check={group}-1");
    host.until_logged(&format!("{check} from=pass to=fail"));
    assert!(
        host.log().matches(&format!("{check} from=fail to=pass")).count() >= 2,
        "{}",
        host.log()
    );
}

/// An operation with this in its `expose`, and this in its `execution`.
fn operation(id: &str, expose: &str, execution: &str) -> String {
    format!(
        "{{\"type\":\"container/run\",\"id\":\"{id}\",\"args\":{{\"image\":\"i\",\"expose\":{expose}}},\"execution\":{execution}}}"
    )
}

fn job(operations: &[String]) -> String {
    format!(
        "{{\"version\":\"0.1\",\"type\":\"container\",\"ops\":[\n{}\n]}}",
        operations.join(",\n")
    )
}

/// An exposed port with these checks, each a method, a path, a status, and more.
fn exposed(target: &Target, checks: &[(&str, &str, u16, &str)]) -> String {
    let checks: Vec<String> = checks
        .iter()
        .map(|(method, path, status, more)| {
            format!("{{\"type\":\"http\",\"method\":\"{method}\",\"path\":\"{path}\",\"expected_status\":{status},\"continuous\":true{more}}}")
        })
        .collect();
    format!("{{\"port\":{},\"health_checks\":[{}]}}", target.address.port(), checks.join(","))
}

const FAST: &str =
    "[[import]]\njob = \"job.json\"\nstartup-interval = \"100ms\"\ninterval = \"100ms\"\n";

#[test]
fn requests_arrive_as_the_job_says() {
    let (posted, moved, raw) = (
        target::http().start(),
        target::http().status(301).header("Location", "http://127.0.0.1:1/").start(),
        target::http().status(204).start(),
    );
    let operations = [operation(
        "Web",
        &format!(
            "[{},{},{}]",
            exposed(
                &posted,
                &[(
                    "POST",
                    "/p?q=1",
                    200,
                    ",\"body\":{\"b\":[1,\"${HOME}\"],\"a\":null},\"headers\":{\"X-Probe\":\"yes\"}"
                )]
            ),
            exposed(&moved, &[("GET", "/old", 301, "")]),
            exposed(
                &raw,
                &[
                    (
                        "PUT",
                        "/raw",
                        204,
                        ",\"body\":\"a=1\\n\",\"headers\":{\"content-type\":\"text/plain\"}"
                    ),
                    ("DELETE", "", 204, "")
                ]
            ),
        ),
        "{}",
    )];
    let host = host().config(FAST).file("job.json", job(&operations)).start();
    let port = |target: &Target| target.address.port();
    let post = format!("web-{}", port(&posted));
    until_status(&host, &post, "pass");
    until_status(&host, &format!("web-{}", port(&moved)), "pass");
    until_status(&host, &format!("web-{}", port(&raw)), "pass");
    assert_eq!(host.names().len(), 4, "no redirect was followed: {:?}", host.names());

    let request = posted.requests()[0].clone();
    let lower = request.to_ascii_lowercase();
    assert!(request.starts_with("POST /p?q=1 HTTP/1.1\r\n"), "{request}");
    assert!(lower.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(lower.contains("x-probe: yes\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"b\":[1,\"${HOME}\"],\"a\":null}"), "{request}");
    let requests = raw.requests();
    let put =
        requests.iter().find(|request| request.starts_with("PUT /raw ")).expect("it was asked");
    assert!(put.to_ascii_lowercase().contains("content-type: text/plain\r\n"), "{put}");
    assert!(!put.contains("urlencoded") && put.ends_with("\r\n\r\na=1\n"), "{put}");
    let delete = requests.iter().find(|request| request.starts_with("DELETE / ")).expect("asked");
    assert!(!delete.to_ascii_lowercase().contains("content-type"), "{delete}");
    assert!(moved.requests()[0].starts_with("GET /old "));
}

#[test]
fn every_port_of_a_range_is_checked_and_a_bare_port_does_not_count() {
    let first = free_ports(3)[0];
    let node = Node::start(&[first, first + 1]);
    let range = format!(
        "[{{\"port\":\"{first}-{}\",\"health_checks\":[{{\"type\":\"http\",\"path\":\"/health\",\"method\":\"GET\",\"expected_status\":200,\"continuous\":true}}]}}, {}]",
        first + 1,
        first + 2
    );
    let host = host().config(FAST).file("job.json", job(&[operation("a", &range, "{}")])).start();
    for port in [first, first + 1] {
        until_status(&host, &format!("a-{port}"), "pass");
    }
    assert_eq!(host.get("/health").code, 200, "a port without a check does not count");
    let log = host.until_logged("run on each of its ports");
    assert!(log.contains("job.json:2:"), "{log}");
    drop(node);
    let _half = Node::start(&[first]);
    until_status(&host, &format!("a-{}", first + 1), "fail");
    until_status(&host, &format!("a-{first}"), "pass");
}

#[test]
fn an_operation_waits_for_the_ports_of_those_that_it_depends_on() {
    let down = || target::http().status(503).start();
    let (model, side, ui) = (down(), target::http().start(), target::http().start());
    let get = [("GET", "/", 200, "")];
    let operations = [
        operation(
            "model",
            &format!("[{},{}]", exposed(&model, &get), exposed(&side, &get)),
            "{\"group\":\"run\"}",
        ),
        operation("relay", "1", "{\"group\":\"run\",\"depends_on\":[\"model\"]}"),
        operation(
            "ui",
            &format!("[{}]", exposed(&ui, &get)),
            "{\"group\":\"run\",\"depends_on\":[\"relay\"]}",
        ),
    ];
    let host = host().config(FAST).file("job.json", job(&operations)).start();
    let check = format!("ui-{}-1", ui.address.port());
    let group = format!("model-{}", model.address.port());
    let message = format!("it runs once this has been healthy: `{group}`");
    host.until(&check, "held", |check| check["message"] == message);
    assert_eq!(ui.count(), 0);
    model.becomes(target::http().status(200));
    host.until_state(&check, "pass");
    model.becomes(target::http().status(503));
    until_status(&host, &group, "fail");
    host.next_run(&check);
}

#[test]
fn a_job_that_changes_is_read_again_and_a_bad_one_leaves_the_old_one_running() {
    let (one, two) = (target::http().start(), target::http().start());
    let of = |target: &Target| {
        job(&[operation("a", &format!("[{}]", exposed(target, &[("GET", "/", 200, "")])), "{}")])
    };
    let name = |target: &Target| format!("a-{}-1", target.address.port());
    for by_argument in [true, false] {
        let host = host().file("job.json", of(&one));
        let host = if by_argument { host.arg("--job").arg("job.json") } else { host.config(FAST) };
        let host = host.start();
        host.until_state(&name(&one), "pass");
        host.replace("job.json", of(&two));
        host.until_state(&name(&two), "pass");
        assert_eq!(host.names(), [name(&two)]);

        host.replace("job.json", of(&one).replace("\"args\"", "\"arguments\""));
        host.until_noted("the configuration on disk has 2 problems and is not used");
        assert_eq!(host.names(), [name(&two)]);
        assert_eq!(host.get("/health").code, 200);
        let status = host.json("/api/v1/status")["configuration"].clone();
        let problem = &status["problems"][1];
        assert_eq!(problem["file"], "job.json", "{status}");
        assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(34)), "{status}");
        let message = problem["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("unknown property `ops[0].arguments`"), "{status}");

        host.replace("job.json", of(&one));
        host.until_state(&name(&one), "pass");
        assert_eq!(host.notes(), "");
    }
}

#[test]
fn a_job_that_is_named_or_made_later_is_looked_at_from_then_on() {
    let (one, two) = (target::http().start(), target::http().start());
    let of = |target: &Target| {
        job(&[operation("a", &format!("[{}]", exposed(target, &[("GET", "/", 200, "")])), "{}")])
    };
    let name = |target: &Target| format!("a-{}-1", target.address.port());
    let host = host().config("").start();
    host.write(
        "conf.d/job.toml",
        "[[import]]\njob = \"jobs/late.json\"\nhosts = { a = \"localhost\" }\n",
    );
    host.until_noted("the configuration on disk has 1 problem and is not used");
    let problem = host.json("/api/v1/status")["configuration"]["problems"][0].clone();
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&json!("conf.d/job.toml"), &json!(2), &json!(7))
    );
    assert!(
        problem["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("cannot read `jobs/late.json`: ")),
        "{problem}"
    );
    host.write("jobs/late.json", of(&one));
    let found = host.until_state(&name(&one), "pass");
    assert_eq!(found["target"], format!("http://localhost:{}/", one.address.port()));
    host.replace("jobs/late.json", of(&two));
    host.until_state(&name(&two), "pass");
    let applied = host.log().matches("configuration applied").count();
    assert_eq!(applied, 2, "each change is one reload:\n{}", host.log());
    host.remove("conf.d/job.toml");
    until(
        "no checks",
        || if host.names().is_empty() { Ok(()) } else { Err(host.names().join(" ")) },
    );
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

#[track_caller]
fn validate(files: &[(&str, &str)], args: &[&str]) -> Ended {
    let dir = folder(files);
    run_in(dir.path(), &[&["validate"], args].concat())
}

#[test]
fn a_job_is_validated_with_the_rest() {
    let ended = validate(&[("job.json", JOB)], &["--job", "job.json"]).expect(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("valid: 1 checks\n", ""));
    let twice =
        validate(&[("job.json", JOB)], &["--job", "job.json", "--job", "job.json"]).expect(65);
    let says = "job.json:18:15: error: a second check is called `local-check-8080-1` (the first stands at job.json:18:15)";
    assert!(twice.err.contains(says), "{}", twice.err);
    let config = "[[check]]\nname = \"local-check-8080-1\"\nkind = \"http\"\nurl = \"http://127.0.0.1/\"\n[[import]]\njob = \"job.json\"\n";
    let clash = validate(&[("job.json", JOB), ("wellcheck.toml", config)], &[]).expect(65);
    let says = "job.json:18:15: error: a second check is called `local-check-8080-1` (the first stands at wellcheck.toml:2:8)\n1 problem\n";
    assert_eq!(clash.err, says);
}

#[test]
fn what_is_wrong_with_an_import_is_said_where_it_stands() {
    let config = "[[import]]\nhosts = { web = \"http://x\", a = 1 }\ninterval = \"1ms\"\nwhat = 1\n[[import]]\njob = \"job.json\"\nhosts = { local-chekc = \"127.0.0.1\" }\n[[import]]\njob = \"gone.json\"\n";
    let ended = validate(&[("job.json", JOB), ("wellcheck.toml", config)], &[]).expect(65);
    for says in [
        "wellcheck.toml:1:1: error: `[[import]]` has no `job` (for example: job = \"job.json\")",
        "wellcheck.toml:2:17: error: `hosts` of `[[import]]`: `http://x` is no host",
        "wellcheck.toml:2:33: error: `a` in `hosts` of `[[import]]` is a number",
        "wellcheck.toml:3:12: error: `interval` of `[[import]]` is \"1ms\"",
        "wellcheck.toml:4:1: error: unknown key `what` in `[[import]]`",
        "wellcheck.toml:7:25: error: `hosts` of `[[import]]` names `local-chekc`, and the job has no such operation (operations: `local-check`)",
        "wellcheck.toml:9:7: error: cannot read `gone.json`: ",
    ] {
        assert!(ended.err.contains(says), "`{says}` is not in:\n{}", ended.err);
    }
    assert_eq!(ended.err.matches(": error: ").count(), 7, "{}", ended.err);
    let gone = validate(&[], &["--job", "gone.json"]).expect(65);
    assert!(gone.err.starts_with("gone.json: error: cannot be read: "), "{}", gone.err);
    let ended =
        validate(&[("job.json", JOB)], &["--job", "job.json", "--host", "b=127.0.0.1"]).expect(65);
    assert!(
        ended.err.contains(
            "--host: error: `b` is no operation of a `--job` (operations: `local-check`)"
        ),
        "{}",
        ended.err
    );
    for wrong in
        ["local-check", "local-check=", "=127.0.0.1", "local-check=http://x", "local-check=a:80"]
    {
        validate(&[("job.json", JOB)], &["--job", "job.json", "--host", wrong]).expect(64);
    }
    validate(&[], &["--host", "a=127.0.0.1"]).expect(64);
}

#[test]
fn hostile_jobs_are_refused_in_time() {
    let deep = format!("{{\"ops\":{}", "[".repeat(1_000_000));
    let wide = format!("{{\"ops\":[{}1]}}", "1,".repeat(4_000_000));
    let large = format!("\"{}\"", "x".repeat(16 * 1024 * 1024));
    let wrong = format!(
        "{{\"version\":\"0.1\",\"type\":\"container\",\"ops\":[{}1]}}",
        "1,\n".repeat(200_000)
    );
    for (text, says) in [
        (deep.as_str(), "job.json:1:72: error: nested deeper than 64 levels\n1 problem\n"),
        (&wide, "error: more than 500000 values in one file\n1 problem\n"),
        (&large, "job.json: error: cannot be read: it is larger than 16 MiB\n1 problem\n"),
        (&wrong, "… and 199901 more\n101 problems\n"),
        (
            "{\"version\": \"0.1\", \"version\": \"0.1\", \"type\": \"container\", \"ops\": []}",
            "job.json:1:20: error: `version` stands twice in this object (expected each name once)\n1 problem\n",
        ),
        (
            "{\"version\": \"0.1\",\n",
            "job.json:2:1: error: not valid JSON: found the end of the file (expected a name in quotes)\n1 problem\n",
        ),
    ] {
        let ended = validate(&[("job.json", text)], &["--job", "job.json"]).expect(65);
        assert!(
            ended.err.ends_with(says),
            "`{says}` is not the end of {}",
            &ended.err[..ended.err.len().min(2000)]
        );
        assert!(ended.err.len() < 100_000);
    }
    let dir = folder(&[]);
    std::fs::write(dir.path().join("job.json"), b"{\"version\": \"\xff\"}").expect("a file");
    let ended = run_in(dir.path(), &["validate", "--job", "job.json"]).expect(65);
    assert!(ended.err.contains("it is not UTF-8 text"), "{}", ended.err);
}

#[test]
fn both_intervals_of_a_job_are_set_on_the_command_line() {
    let args = ["--job", "job.json", "--startup-interval", "7s", "--interval", "3m"];
    let host = args.iter().fold(host().file("job.json", JOB), |host, arg| host.arg(arg)).start();
    let check = host.check("local-check-8080-1");
    assert_eq!(check["timing"]["interval"], "3m", "{check}");
    assert_eq!(check["timing"]["timeout"], "7s", "{check}");

    let refused = validate(&[("job.json", JOB)], &["--job", "job.json", "--interval", "1ms"]);
    assert!(refused.err.contains("from 50ms to 7d"), "{}", refused.err);
    let alone = validate(&[], &["--interval", "1m"]);
    assert!(alone.err.contains("--job"), "{}", alone.err);
}
