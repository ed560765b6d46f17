//! Orders to a running server: run now, pause, resume, maintenance; over HTTP and on the command line.

use serde_json::Value;

use crate::configuration::tokens;
use crate::support::host::{Host, host};
use crate::support::http;
use crate::support::program::{Ended, command, finish};
use crate::support::target::Target;
use crate::support::wait::until;
use crate::verdict::{check, down, run_now, up};

const OPERATE: (&str, &str) = ("Authorization", "Bearer token-of-operate");

fn order(host: &Host, method: &str, path: &str, body: &str) -> http::Answer {
    let headers = [OPERATE, ("Content-Type", "application/json")];
    http::request(host.address, method, path, &headers, body).expect("an answer")
}

fn program(host: &Host, args: &[&str]) -> Ended {
    let mut command = command();
    command.args(args).args(["--server", &format!("http://{}", host.address)]);
    finish(command.env("WELLCHECK_TOKEN", "token-of-operate"), "")
}

fn start(target: &Target, keys: &str) -> Host {
    host().config(&(tokens() + &check("web", target, keys) + &check("other", target, ""))).start()
}

#[test]
fn a_check_runs_when_somebody_wants_it() {
    let target = up().start();
    let config = check("web", &target, "").replace("interval = \"50ms\"", "interval = \"1h\"");
    let host = host().config(&(tokens() + &config)).start();
    host.until_state("web", "pass");
    assert_eq!(target.count(), 1);
    assert_eq!(run_now(&host, "web"), 202);
    until("a second run", || match target.count() {
        2 => Ok(()),
        count => Err(count.to_string()),
    });
    target.becomes(down());
    let ended = program(&host, &["check", "run", "web"]).expect(2);
    assert!(ended.out.starts_with("fail: answered 503"), "{}", ended.out);
    assert!(ended.out.ends_with("state: fail\n"), "{}", ended.out);
    assert_eq!(order(&host, "POST", "/api/v1/checks/nobody/run", "").code, 404);
    let ended = program(&host, &["check", "run", "nobody"]).expect(69);
    assert!(ended.err.contains("there is no check `nobody`"), "{}", ended.err);
}

#[test]
fn only_those_who_may_give_orders() {
    let target = up().start();
    let host = start(&target, "");
    let paths = ["/api/v1/checks/web/run", "/api/v1/checks/web/pause", "/api/v1/checks/web/resume"];
    for path in paths.into_iter().chain(["/api/v1/maintenance"]) {
        let ask = |headers: &[(&str, &str)]| host.ask("POST", path, headers).code;
        assert_eq!(ask(&[]), 401, "{path}");
        assert_eq!(ask(&[("Authorization", "Bearer nonsense")]), 401, "{path}");
        assert_eq!(ask(&[("Authorization", "Bearer token-of-view")]), 403, "{path}");
    }
    assert_eq!(host.ask("DELETE", "/api/v1/maintenance/1", &[]).code, 401);
    assert_eq!(order(&host, "DELETE", "/api/v1/maintenance/1", "").code, 404);
}

#[test]
fn a_paused_check_rests_and_does_not_count() {
    let target = up().start();
    let host = start(&target, "");
    host.until_state("web", "pass");
    target.becomes(down());
    host.until_state("web", "fail");
    let path = "/api/v1/checks/web/pause";
    assert_eq!(order(&host, "POST", path, "").code, 202);
    assert_eq!(order(&host, "POST", "/api/v1/checks/other/pause", "{\"for\": \"1h\"}").code, 202);
    let told = host.until("web", "paused", |check| check["paused"] == true);
    assert_eq!(told["aside"]["title"], "by operate", "{told}");
    host.until("other", "paused", |check| check["paused"] == true);
    assert_eq!(host.get("/health").code, 200, "what is paused does not count");
    assert!(host.get("/health?format=text").body.contains("paused: "));
    let other = host.check("other");
    assert!(other["aside"]["until"].is_string(), "{other}");
    let count = target.count();
    // Paused, it runs when somebody wants it, and then rests again.
    assert_eq!(run_now(&host, "web"), 202);
    until("one run", || if target.count() > count { Ok(()) } else { Err("none".to_owned()) });
    assert_eq!(host.check("web")["paused"], true);
    // A reload keeps the pause.
    host.configure(
        &(tokens() + &check("web", &target, "tags = [\"x\"]") + &check("other", &target, "")),
    );
    let told = host.until("web", "reloaded", |check| check["tags"][0] == "x");
    assert_eq!(told["paused"], true, "{told}");
    target.becomes(up());
    program(&host, &["check", "resume", "web"]).expect(0);
    host.until_state("web", "pass");
    assert!(host.check("web")["paused"].is_null());
    program(&host, &["check", "pause", "web", "--for", "100ms"]).expect(0);
    host.until("web", "resumed", |check| check["paused"].is_null());
    for body in ["{\"for\": \"soon\"}", "{\"for\": \"31d\"}", "{\"for\": 1}", "{\"x\": 1}", "["] {
        assert_eq!(order(&host, "POST", path, body).code, 400, "{body}");
    }
}

fn windows(host: &Host) -> Vec<Value> {
    let list = host.json("/api/v1/maintenance");
    list["windows"].as_array().expect("a list").clone()
}

#[test]
fn maintenance_by_request_has_an_end_and_is_seen_everywhere() {
    let target = down().start();
    let host = start(&target, "");
    host.until_state("web", "fail");
    host.until_state("other", "fail");
    assert_eq!(host.get("/health").code, 503);
    let body = "{\"for\": \"1h\", \"title\": \"New disks\", \"names\": [\"web\"]}";
    let opened = order(&host, "POST", "/api/v1/maintenance", body);
    assert_eq!(opened.code, 201, "{}", opened.body);
    let number = opened.json()["number"].as_u64().expect("a number");
    let told = host.until("web", "maintenance", |check| check["maintenance"] == true);
    assert_eq!(told["aside"]["title"], "New disks", "{told}");
    assert_eq!(host.get("/health/web").code, 200);
    assert_eq!(host.get("/health").code, 503, "the other one fails");
    let health = host.json("/health/web").to_string();
    assert!(health.contains("in maintenance until") && health.contains("New disks"), "{health}");
    assert!(host.get("/metrics").body.contains("wellcheck_maintenance{check=\"web\"} 1"));

    let ended = program(&host, &["maintenance", "start", "--for", "300ms"]).expect(0);
    assert!(ended.out.contains(" is open until "), "{}", ended.out);
    host.until("other", "maintenance", |check| check["maintenance"] == true);
    // It ends by itself, and is gone.
    host.until("other", "no maintenance", |check| check["maintenance"].is_null());
    until("one window", || match windows(&host).len() {
        1 => Ok(()),
        len => Err(len.to_string()),
    });
    let listed = program(&host, &["maintenance", "list"]).expect(0);
    assert!(listed.out.contains(&number.to_string()) && listed.out.contains("New disks"));
    program(&host, &["maintenance", "end", &number.to_string()]).expect(0);
    host.until("web", "no maintenance", |check| check["maintenance"].is_null());
    assert_eq!(windows(&host), [Value::Null; 0]);
    let wrong = [
        "{}",
        "{\"for\": \"1h\", \"until\": \"2099-01-01T00:00:00Z\"}",
        "{\"until\": \"2020-01-01T00:00:00Z\"}",
        "{\"for\": \"31d\"}",
        "{\"for\": \"1h\", \"names\": [\"nobody\"]}",
        "{\"for\": \"1h\", \"title\": \"two\\nlines\"}",
    ];
    for body in wrong {
        assert_eq!(order(&host, "POST", "/api/v1/maintenance", body).code, 400, "{body}");
    }
}

#[test]
fn windows_of_the_configuration_are_for_everything_groups_or_tags() {
    let target = down().start();
    let (soon, always) = ("* * * * * *", "duration = \"1h\"\ntime-zone = \"Europe/Berlin\"");
    let config = [
        check("a", &target, ""),
        check("b", &target, "tags = [\"batch\"]"),
        check("c", &target, ""),
        "[[group]]\nname = \"front\"\nmembers = [\"a\"]\n".to_owned(),
        format!("[[maintenance]]\nnames = [\"front\"]\ntags = [\"batch\"]\ncron = \"{soon}\"\n{always}\n"),
        "[[maintenance]]\ntitle = \"Past\"\nfrom = \"2020-01-01T00:00:00Z\"\nto = \"2020-01-02T00:00:00Z\"\n"
            .to_owned(),
    ];
    let host = host().config(&config.concat()).start();
    for name in ["a", "b"] {
        host.until(name, "maintenance", |check| check["maintenance"] == true);
    }
    host.until_state("c", "fail");
    assert!(host.check("c")["maintenance"].is_null());
    assert_eq!(host.get("/health/front").code, 200);
    let list = windows(&host);
    assert_eq!((list[0]["open"].as_bool(), list[1]["open"].as_bool()), (Some(true), Some(false)));
    host.configure(
        &[
            config[0].clone(),
            "[[maintenance]]\nfrom = \"2020-01-01T00:00:00Z\"\nto = \"2020-01-20T00:00:00Z\"\n"
                .to_owned(),
        ]
        .concat(),
    );
    host.until("a", "no maintenance", |check| check["maintenance"].is_null());
}

#[test]
fn maintenance_is_for_pushed_checks_too() {
    let check = "[[check]]\nname = \"pushed\"\nkind = \"push\"\nttl = \"1h\"\n";
    let host = host().config(&(tokens() + check)).start();
    let push = |body: &str| order(&host, "POST", "/api/v1/push/pushed", body).code;
    assert_eq!(push("{\"status\": \"fail\", \"message\": \"disk full\"}"), 200);
    host.until_state("pushed", "fail");
    assert_eq!(host.get("/health").code, 503);
    assert_eq!(order(&host, "POST", "/api/v1/maintenance", "{\"for\": \"1h\"}").code, 201);
    host.until("pushed", "maintenance", |check| check["maintenance"] == true);
    assert_eq!(host.until_code("/health", 200).code, 200);
    assert_eq!(push(""), 200, "outcomes are taken all the same");
    let told = host.until_state("pushed", "pass");
    assert_eq!(told["maintenance"], true, "{told}");
}
