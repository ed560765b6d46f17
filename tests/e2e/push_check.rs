//! The kind `push`: outcomes that others bring, in three shapes, and what comes when nobody does.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::host::{Host, host};
use crate::support::http::request;
use crate::support::program::{command, finish, run};

/// A token, and its hash as the configuration has it.
fn token(name: &str) -> (String, String) {
    let made = run(&["token", name, "--role", "operate"]).expect(0);
    let token = made.err.trim().rsplit(' ').next().expect("a token").to_owned();
    let hash = made.out.lines().find_map(|line| line.strip_prefix("hash = "));
    (token, hash.expect("a hash").trim_matches('"').to_owned())
}

struct Pushing {
    host: Host,
    operate: String,
    view: String,
    own: String,
}

/// `backup` has a token of its own, `job` has none, `web` is no check to push to.
fn start() -> Pushing {
    let ((operate, operate_hash), (view, view_hash)) = (token("deploy"), token("viewer"));
    let (own, own_hash) = token("own");
    let config = format!(
        r#"
[[token]]
name = "deploy"
hash = "{operate_hash}"
role = "operate"
[[token]]
name = "viewer"
hash = "{view_hash}"
role = "view"
[[check]]
name = "backup"
kind = "push"
ttl = "1h"
token-hash = "{own_hash}"
[[check]]
name = "job"
kind = "push"
ttl = "1h"
[[check]]
name = "web"
kind = "tcp"
target = "127.0.0.1:1"
[[group]]
name = "jobs"
members = ["backup"]
"#
    );
    let host = host().env("WELLCHECK_LOG", "trace").config(&config).start();
    Pushing { host, operate, view, own }
}

impl Pushing {
    fn push(&self, path: &str, token: &str, body: &str) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let headers: &[(&str, &str)] =
            if token.is_empty() { &[] } else { &[("Authorization", &bearer)] };
        let answer = request(self.host.address, "POST", path, headers, body).expect("an answer");
        (answer.code, answer.body)
    }

    /// Nothing that was served or logged has a token in it.
    fn expect_no_token(&self) {
        let mut texts = self.host.log();
        for path in ["/health", "/api/v1/checks", "/api/v1/checks/backup", "/api/v1/status"] {
            texts.push_str(&self.host.get(path).body);
        }
        for token in [&self.own, &self.operate, &self.view] {
            assert!(!texts.contains(token.as_str()), "a token is shown: {texts}");
        }
    }
}

#[test]
fn a_pushed_outcome_is_the_state_with_all_that_came() {
    let it = start();
    assert_eq!(it.host.check("backup")["state"], "unknown", "nothing has come yet");
    let body = json!({
        "status": "warn", "message": "slow\ndisk", "duration_ms": 1500.0,
        "observations": [{ "name": "size", "value": 5.0, "unit": "B", "warn": "4" }, { "name": "no name", "value": 1.0 }],
        "parts": [{ "name": "tape", "status": "fail", "message": "torn" }],
        "details": { "host": "db1", "files": 3 },
    });
    let (code, answer) = it.push("/api/v1/push/backup", &it.own, &body.to_string());
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((code, &answer["status"]), (200, &json!("warn")));
    assert!(answer["flags"][0].as_str().is_some_and(|f| f.contains("`no name`")), "{answer}");
    let found = it.host.until_state("backup", "warn");
    assert_eq!(found["message"], "slow\\ndisk");
    assert_eq!(found["duration_ms"], 1500.0);
    let outcome = &found["outcome"];
    assert_eq!(outcome["observations"][1]["name"], "size", "{outcome}");
    assert_eq!(
        (&outcome["details"]["host"], &outcome["details"]["files"]),
        (&json!("db1"), &json!("3"))
    );
    assert_eq!(outcome["parts"][0]["status"], "fail");
    // A heartbeat: nothing but the request.
    assert_eq!(it.push("/api/v1/push/backup", &it.own, "").0, 200);
    it.host.until_state("backup", "pass");
    // One failure decides: what is told once need not be told three times.
    assert_eq!(it.push("/api/v1/push/backup?status=fail", &it.operate, "message=disk+full").0, 200);
    let found = it.host.until_state("backup", "fail");
    assert_eq!((&found["reason"], &found["message"]), (&json!("pushed"), &json!("disk full")));
    assert_eq!(it.push("/api/v1/push/backup?status=unknown", &it.own, "").0, 200);
    assert_eq!(it.host.until_state("backup", "unknown")["reason"], "inconclusive");
    it.expect_no_token();
}

#[test]
fn whoever_may_not_push_learns_nothing() {
    let it = start();
    let wrong = it.push("/api/v1/push/backup", "wc_0000", "");
    assert_eq!(wrong.0, 401, "{}", wrong.1);
    for name in ["absent", "web", "job", "..", "%00"] {
        assert_eq!(it.push(&format!("/api/v1/push/{name}"), "wc_0000", ""), wrong, "{name}");
        let own = it.push(&format!("/api/v1/push/{name}"), &it.own, "");
        assert_eq!(own, wrong, "{name}: the token of another check");
    }
    let external = |key: &str, token: &str| {
        it.push(&format!("/api/v1/endpoints/{key}/external?success=true"), token, "")
    };
    assert_eq!(external("jobs_backup", "wc_0000"), external("jobs_absent", "wc_0000"));
    assert_eq!(external("jobs_backup", "wc_0000").0, 401);
    assert_eq!(it.push("/api/v1/push/backup", "", "").0, 401);
    assert_eq!(it.push("/api/v1/push/backup", &it.view, "").0, 403);
    assert_eq!(it.push("/api/v1/push/absent", &it.view, "").0, 403);
    // Who may operate all checks may know which there are.
    assert_eq!(it.push("/api/v1/push/absent", &it.operate, "").0, 404);
    assert_eq!(it.push("/api/v1/push/web", &it.operate, "").0, 404);
    assert_eq!(it.push("/api/v1/push/job", &it.operate, "").0, 200);
    it.host.until_state("job", "pass");
    assert_eq!(it.host.check("backup")["state"], "unknown");
    it.expect_no_token();
}

#[test]
fn clients_of_gatus_push_with_a_key() {
    let it = start();
    let path = |key: &str, query: &str| format!("/api/v1/endpoints/{key}/external{query}");
    let (code, body) =
        it.push(&path("jobs_backup", "?success=true&error=&duration=10s"), &it.own, "");
    assert_eq!((code, body.as_str()), (200, ""));
    let found = it.host.until_state("backup", "pass");
    assert_eq!(found["duration_ms"], 10_000.0);
    let failed = path("jobs_backup", "?success=false&error=connection%20refused");
    assert_eq!(it.push(&failed, &it.own, "").0, 200);
    assert_eq!(it.host.until_state("backup", "fail")["message"], "connection refused");
    assert_eq!(it.push(&path("_job", "?success=true&duration=1.5ms"), &it.operate, "").0, 200);
    it.host.until_state("job", "pass");
    for query in ["", "?success=maybe", "?success=true&duration=fast"] {
        assert_eq!(it.push(&path("jobs_backup", query), &it.own, "").0, 400, "{query}");
    }
}

#[test]
fn clients_of_uptime_kuma_push_with_the_token_in_the_path() {
    let it = start();
    let ask = |method: &str, query: &str| {
        let answer = it.host.ask(method, &format!("/api/push/{}{query}", it.own), &[]);
        (answer.code, answer.body)
    };
    let taken = (200, r#"{"ok":true}"#.to_owned());
    assert_eq!(ask("GET", "?status=up&msg=OK&ping="), taken);
    let found = it.host.until_state("backup", "pass");
    assert_eq!(found["message"], "OK");
    assert_eq!(ask("POST", "?status=down&msg=no%20space&ping=12.5"), taken);
    let found = it.host.until_state("backup", "fail");
    assert_eq!((&found["message"], &found["duration_ms"]), (&json!("no space"), &json!(12.5)));
    assert_eq!(ask("GET", "?ping=fast").0, 400);
    let unknown = it.host.get("/api/push/wc_0000");
    assert_eq!(unknown.code, 401);
    assert_eq!(unknown.json()["ok"], false);
    // A token that may do more than push to one check does not belong into a path.
    assert_eq!(it.host.get(&format!("/api/push/{}", it.operate)).code, 401);
    it.expect_no_token();
}

#[test]
fn what_is_too_long_too_much_or_nonsense_is_refused() {
    let it = start();
    let path = "/api/v1/push/backup";
    assert_eq!(it.push(path, &it.own, &"x".repeat(65 * 1024)).0, 413);
    for body in
        ["{", r#"{"status": "up"}"#, r#"{"observations": [{"name": "a", "value": 1e999}]}"#, "a=b"]
    {
        assert_eq!(it.push(path, &it.own, body).0, 400, "{body}");
    }
    assert_eq!(it.push(path, &it.own, &"[".repeat(60_000)).0, 400);
    let many: Vec<_> = (0..500).map(|n| json!({ "name": format!("n{n}"), "value": n })).collect();
    let long = json!({ "message": "m".repeat(20_000), "observations": many });
    assert_eq!(it.push(path, &it.own, &long.to_string()).0, 200);
    let found = it.host.until_state("backup", "pass");
    assert!(found["message"].as_str().is_some_and(|m| m.len() < 1100), "{found}");
    assert_eq!(found["outcome"]["observations"].as_array().map(Vec::len), Some(64));
    // The body of somebody who may not push is not waited for.
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer no\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
    );
    let began = Instant::now();
    let answer = crate::support::http::raw(it.host.address, head.as_bytes()).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_flood_is_cut_and_delays_nobody() {
    let it = start();
    let began = Instant::now();
    let codes: Vec<u16> = (0..200).map(|_| it.push("/api/v1/push/backup", &it.own, "").0).collect();
    let taken = codes.iter().filter(|code| **code == 200).count() as f64;
    let most = 20.0 + began.elapsed().as_secs_f64() * 10.0 + 1.0;
    assert!(taken >= 20.0 && taken <= most, "{taken} of at most {most} were taken");
    assert!(codes.contains(&429) || began.elapsed() > Duration::from_secs(15), "{codes:?}");
    let bearer = format!("Bearer {}", it.operate);
    let answer = it.host.ask("POST", "/api/v1/push/job", &[("Authorization", &bearer)]);
    assert_eq!(answer.code, 200, "other checks take outcomes meanwhile");
    eprintln!("200 pushes took {:?}, {taken} were taken", began.elapsed());
}

#[test]
fn when_nothing_comes_the_check_fails_as_stale() {
    let (own, hash) = token("own");
    let config = format!(
        "[[check]]\nname = \"beat\"\nkind = \"push\"\nttl = \"700ms\"\ntoken-hash = \"{hash}\"\n"
    );
    let host = host().config(&config).start();
    let stale = host.until_state("beat", "fail");
    assert_eq!(
        (&stale["reason"], &stale["message"]),
        (&json!("stale"), &json!("nothing came for 700ms"))
    );
    let mut last = Instant::now();
    assert_eq!(host.get(&format!("/api/push/{own}")).code, 200);
    host.until_state("beat", "pass");
    // As long as something comes it stays as it is.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let pause = last.elapsed();
        assert_eq!(host.get(&format!("/api/push/{own}")).code, 200);
        last = Instant::now();
        let state = host.check("beat")["state"].clone();
        assert!(state == "pass" || pause > Duration::from_millis(600), "{state} after {pause:?}");
        // The burst is small, and time has to pass.
        crate::support::wait::pause(Duration::from_millis(150));
    }
    assert_eq!(host.until_state("beat", "fail")["reason"], "stale");
}

#[test]
fn the_command_line_pushes() {
    let it = start();
    let server = it.host.address.to_string();
    let push = |args: &[&str], token: &str| {
        let mut command = command();
        command.args(["push", "--server", &server]).args(args).env("WELLCHECK_TOKEN", token);
        finish(&mut command, "")
    };
    let args = [
        "backup",
        "--status",
        "warn",
        "--message",
        "half",
        "--observation",
        "age=3.5s",
        "--detail",
        "host=a=b",
        "--duration",
        "2s",
    ];
    push(&args, &it.own).expect(0);
    let found = it.host.until_state("backup", "warn");
    assert_eq!(found["outcome"]["observations"][1]["unit"], "s", "{found}");
    assert_eq!(found["outcome"]["details"]["host"], "a=b");
    let refused = push(&["backup"], "wc_0000").expect(69);
    assert!(refused.err.contains("answered 401"), "{}", refused.err);
    it.host.write("token", format!("{}\n", it.own));
    let file = it.host.dir().join("token").to_string_lossy().into_owned();
    push(&["backup", "--token-file", &file], "wc_0000").expect(0);
    it.host.until_state("backup", "pass");
    assert!(push(&["backup"], "").expect(69).err.contains("answered 401"));
    push(&["backup", "--status", "up"], &it.own).expect(64);
    let ran = finish(command().current_dir(it.host.dir()).args(["run", "backup"]), "").expect(3);
    assert!(ran.err.contains("waits for outcomes from outside"), "{}", ran.err);
}
