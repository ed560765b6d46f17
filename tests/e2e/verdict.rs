//! From outcomes to states that people trust: dependencies, the guard of our own connection, some of
//! many, retries, start-up deadlines, flapping, staleness, cron, and limits of runs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::target::{self, Builder, Target};
use crate::support::wait::until;

pub(crate) fn up() -> Builder {
    target::http().status(200)
}

pub(crate) fn down() -> Builder {
    target::http().status(503)
}

pub(crate) fn check(name: &str, target: &Target, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\nfailure-threshold = 1\n{keys}\n",
        target.url("/")
    )
}

fn blocked_by(check: &Value) -> Vec<&str> {
    check["blocked_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A database, an application that needs it, and a page that needs the application.
fn chain(targets: [&Target; 3]) -> Host {
    let [db, app, page] = targets;
    let config = [
        check("db", db, ""),
        check("app", app, "depends-on = \"db\""),
        check("page", page, "depends-on = \"app\""),
    ];
    let host = host().config(&config.concat()).start();
    for name in ["db", "app", "page"] {
        host.until_state(name, "pass");
    }
    host
}

#[test]
fn a_failure_that_another_one_explains_is_no_failure_of_its_own() {
    let targets = [up().start(), up().start(), up().start()];
    let [db, app, page] = &targets;
    let host = chain([db, app, page]);
    for target in &targets {
        target.becomes(down());
    }
    host.until_state("db", "fail");
    for name in ["app", "page"] {
        let told = host.until(name, "blocked", |check| check["reason"] == "blocked");
        assert_eq!(told["state"], "unknown", "{told}");
        assert_eq!(blocked_by(&told), ["db"], "the root is named: {told}");
        let message = told["message"].as_str().expect("a text");
        assert!(message.starts_with("blocked by `db`: answered 503"), "{message}");
    }
    // One root cause in what everybody reads.
    let health = host.health();
    let output = health["output"].as_str().expect("a text");
    assert_eq!(
        output,
        "1 of 3 checks does not pass: db (fail: unexpected-status); 2 are blocked by what they depend on"
    );
    let text = host.get("/health?format=text");
    assert!(text.body.contains("blocked by `db`"), "{}", text.body);
    let metrics = host.get("/metrics");
    for name in ["app", "page"] {
        let line = format!("wellcheck_check_blocked{{check=\"{name}\"}} 1");
        assert!(metrics.body.contains(&line), "{}", metrics.body);
    }
    // Runs go on, and their outcomes are recorded.
    let count = app.count();
    until(
        "it runs on",
        || if app.count() > count + 3 { Ok(()) } else { Err("not yet".to_owned()) },
    );
    let told = host.json("/api/v1/checks/app");
    assert_eq!(told["outcome"]["status"], "fail", "{told}");

    // It gets better before its parent does: that is told at once.
    app.becomes(up());
    host.until_state("app", "pass");
    assert_eq!(host.check("db")["state"], "fail");
    // The parent gets better, and the page does not: now that is a failure of its own.
    db.becomes(up());
    host.until_state("db", "pass");
    let told = host.until_state("page", "fail");
    assert_eq!(blocked_by(&told), [""; 0], "{told}");
    page.becomes(up());
    host.until_state("page", "pass");
}

#[test]
fn nobody_is_told_of_a_failure_that_ends_with_its_cause() {
    let targets = [up().start(), up().start(), up().start()];
    let [db, app, page] = &targets;
    let host = chain([db, app, page]);
    for _ in 0..3 {
        for target in &targets {
            target.becomes(down());
        }
        host.until("page", "blocked", |check| check["reason"] == "blocked");
        for target in &targets {
            target.becomes(up());
        }
        for name in ["db", "app", "page"] {
            host.until_state(name, "pass");
        }
    }
    let log = host.log();
    let lines = log.lines().filter(|line| line.contains("WARN") && line.contains("to=fail"));
    // A check may see its own failure before its parent's; it never says so again when that ends.
    let after: Vec<&str> = lines.filter(|line| line.contains("from=unknown")).collect();
    assert_eq!(after, [""; 0], "{log}");
}

#[test]
fn what_failed_before_its_parent_is_a_failure_all_the_same() {
    let targets = [up().start(), up().start(), up().start()];
    let [db, app, page] = &targets;
    let host = chain([db, app, page]);
    app.becomes(down());
    host.until_state("app", "fail");
    host.next_run("db");
    db.becomes(down());
    host.until_state("db", "fail");
    let told = host.until("app", "blocked", |check| blocked_by(check) == ["db"]);
    assert_eq!((&told["state"], &told["reason"]), (&"fail".into(), &"unexpected-status".into()));
}

#[test]
fn while_our_own_connection_is_down_nobody_knows() {
    let (gateway, web) = (up().start(), up().start());
    let config = [
        "[defaults]\ndepends-on = [\"uplink\"]\n".to_owned(),
        check("uplink", &gateway, "uplink = true"),
        check("web", &web, ""),
        check("local", &web, "depends-on = []"),
    ];
    let host = host().config(&config.concat()).start();
    host.until_state("web", "pass");
    gateway.becomes(down());
    let told = host.until_state("web", "unknown");
    assert_eq!(told["reason"], "offline", "{told}");
    assert_eq!(told["message"], "our own connection is down, as `uplink` says", "{told}");
    assert_eq!(blocked_by(&told), ["uplink"]);
    assert_eq!(host.check("local")["state"], "pass", "it says that it depends on nothing");
    gateway.becomes(up());
    host.until_state("web", "pass");
}

#[test]
fn some_failures_of_many_outcomes_are_enough_where_the_configuration_says_so() {
    // Never two failures in a row, and then all is well.
    let target = target::http().status(200).status(503).status(200).status(503).status(200).start();
    let config = check("often", &target, "")
        .replace("failure-threshold = 1", "failure-threshold = \"2 of 4\"");
    let host = host().config(&config).start();
    host.until_logged("check=often from=pass to=fail");
    host.until_state("often", "pass");
    let told = host.json("/api/v1/checks/often");
    assert_eq!(told["timing"]["failure_threshold"], "2 of 4", "{told}");
}

#[test]
fn a_failure_is_looked_at_again_soon_where_the_configuration_says_so() {
    let target = up().start();
    let keys = "retry-interval = \"50ms\"";
    let config = check("slow", &target, keys)
        .replace("interval = \"50ms\"\nfailure", "interval = \"1h\"\nfailure")
        .replace("failure-threshold = 1", "failure-threshold = 3");
    let tokens = crate::configuration::tokens();
    let host = host().config(&(tokens + &config)).start();
    host.until_state("slow", "pass");
    target.becomes(down());
    let ran = run_now(&host, "slow");
    assert_eq!(ran, 202);
    let begun = Instant::now();
    host.until_state("slow", "fail");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

pub(crate) fn run_now(host: &Host, name: &str) -> u16 {
    let path = format!("/api/v1/checks/{name}/run");
    host.ask("POST", &path, &[("Authorization", "Bearer token-of-operate")]).code
}

#[test]
fn failures_of_the_start_up_phase_are_not_believed_before_its_deadline() {
    let target = down().start();
    let keys = "startup-interval = \"50ms\"\nstartup-deadline = \"1s\"";
    let host = host().config(&check("slow", &target, keys)).start();
    let told = host.until("slow", "starting", |check| check["reason"] == "starting");
    assert_eq!(told["state"], "unknown", "{told}");
    let message = told["message"].as_str().expect("a text");
    assert!(message.starts_with("it is starting: answered 503"), "{message}");
    host.until_state("slow", "fail");
    target.becomes(up());
    host.until_state("slow", "pass");
}

#[test]
fn a_check_that_goes_to_and_fro_is_shown_as_flapping() {
    let target = up().start();
    let host = host().config(&check("nervous", &target, "")).start();
    for _ in 0..5 {
        host.until_state("nervous", "pass");
        target.becomes(down());
        host.until_state("nervous", "fail");
        target.becomes(up());
    }
    host.until("nervous", "flapping", |check| check["flapping"] == true);
    let metrics = host.get("/metrics");
    assert!(metrics.body.contains("wellcheck_check_flapping{check=\"nervous\"} 1"));
    host.until("nervous", "calm", |check| check["flapping"].is_null());
}

#[test]
fn a_check_that_does_not_get_its_turn_is_stale() {
    let (slow, quick) = (target::http().silent().start(), up().start());
    let hanging = check("hangs", &slow, "timeout = \"3s\"")
        .replace("interval = \"50ms\"", "interval = \"3s\"");
    let config = [
        hanging,
        check("quick", &quick, "stale-after = 2\ntimeout = \"50ms\""),
        "[runs]\nmost = 1\n".to_owned(),
    ];
    let host = host().config(&config.concat()).start();
    host.until_run("quick");
    let told = host.until("quick", "stale", |check| check["reason"] == "stale");
    assert_eq!(told["state"], "unknown", "{told}");
    assert!(told["message"].as_str().is_some_and(|m| m.starts_with("no run has ended for ")));
    host.until_state("quick", "pass");
}

#[test]
fn one_kind_does_not_take_the_places_of_the_others() {
    let (slow, quick) = (target::http().silent().start(), up().start());
    let address = slow.url("/");
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let hanging = (0..8).map(|n| {
        format!(
            "[[check]]\nname = \"tcp-{n}\"\nkind = \"tcp\"\ntarget = \"{address}\"\nexpect = \"x\"\ninterval = \"200ms\"\ntimeout = \"200ms\"\n"
        )
    });
    let limits = "[runs]\nkinds = { tcp = 2 }\n".to_owned();
    let config: String = [limits, check("quick", &quick, "")].into_iter().chain(hanging).collect();
    let host = host().config(&config).start();
    for n in 0..8 {
        host.until_run(&format!("tcp-{n}"));
    }
    host.until_state("quick", "pass");
    assert!(slow.most_at_once() <= 2, "{}", slow.most_at_once());
}

#[test]
fn a_check_runs_by_cron_and_once_at_the_start() {
    let target = up().start();
    let keys = "cron = \"*/1 * * * * *\"\ntime-zone = \"Europe/Berlin\"";
    let config = [check("often", &target, keys), {
        let keys = "cron = \"0 0 1 1 *\"";
        check("rarely", &target, keys)
    }];
    let host = host().config(&config.concat()).start();
    host.until_run("rarely");
    let first = host.until_run("often")["last_run"].clone();
    host.until("often", "second run", |check| check["last_run"] != first);
    let told = host.json("/api/v1/checks/often");
    assert_eq!(told["timing"]["cron"], "*/1 * * * * * (Europe/Berlin)", "{told}");
}
