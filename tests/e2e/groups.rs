//! Groups: how many of their members must be well, and what that means for the aggregate.

use std::time::Duration;

use serde_json::Value;

use crate::support::guests::guest;
use crate::support::host::{Host, host};
use crate::support::target::{self, Target};
use crate::support::wait::pause;

/// A check of a target, often.
fn check(name: &str, target: &Target, keys: &str) -> String {
    let url = target.url("/");
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\ninterval = \"50ms\"\nfailure-threshold = 1\n{keys}\n"
    )
}

fn group(name: &str, keys: &str) -> String {
    format!("[[group]]\nname = \"{name}\"\n{keys}\n")
}

/// The code and the body's status of a path, once the code is this.
#[track_caller]
fn until(host: &Host, path: &str, code: u16) -> Value {
    let mut last = Value::Null;
    for _ in 0..400 {
        let answer = host.get(path);
        last = answer.json();
        if answer.code == code {
            return last;
        }
        pause(Duration::from_millis(25));
    }
    panic!("{path} does not answer {code}: {last}");
}

#[test]
fn any_needs_one_and_two_of_three_need_two() {
    let targets: Vec<Target> = (0..3).map(|_| target::http().status(200).start()).collect();
    let mut config: String =
        targets.iter().zip(["a", "b", "c"]).map(|(t, name)| check(name, t, "")).collect();
    config += &group("any", "members = [\"a\", \"b\", \"c\"]\nhealthy = \"any\"");
    config += &group("two", "members = [\"a\", \"b\", \"c\"]\nat-least = 2");
    config += &group("most", "members = [\"a\", \"b\", \"c\"]\nat-least = \"67%\"");
    config += &group("heavy", "members = [\"a\", \"b\"]\nat-least = 3\nweights = { a = 3 }");
    let host = host().config(&config).start();
    for name in ["any", "two", "most", "heavy"] {
        until(&host, &format!("/health/{name}"), 200);
    }
    targets[2].becomes(target::http().status(500));
    until(&host, "/health/most", 503);
    let body = until(&host, "/health/two", 200);
    assert_eq!(body["status"], "pass", "the second best of pass, pass and fail: {body}");
    assert_eq!(body["checks"]["c"][0]["status"], "fail", "what is in a group is shown: {body}");
    targets[1].becomes(target::http().status(500));
    until(&host, "/health/two", 503);
    until(&host, "/health/any", 200);
    until(&host, "/health/heavy", 200);
    targets[0].becomes(target::http().status(500));
    until(&host, "/health/any", 503);
    until(&host, "/health/heavy", 503);
    targets[0].becomes(target::http().status(200));
    until(&host, "/health/any", 200);
}

#[test]
fn a_check_counts_in_the_aggregate_through_its_groups() {
    let good = target::http().status(200).start();
    let bad = target::http().status(500).start();
    let config = [
        check("good", &good, ""),
        check("bad", &bad, ""),
        group("pair", "members = [\"good\", \"bad\"]\nhealthy = \"any\""),
        group("outer", "members = \"pair\""),
        group("empty", ""),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until_state("bad", "fail");
    let body = until(&host, "/health", 200);
    assert_eq!(body["status"], "pass", "{body}");
    assert_eq!(host.get("/health/bad").code, 503, "asked for alone, it is what it is");
    assert_eq!(host.get("/health/empty").json()["status"], "fail", "nobody knows");
    good.becomes(target::http().status(500));
    let body = until(&host, "/health", 503);
    let output = body["output"].as_str().unwrap_or_default();
    assert!(output.starts_with("the group does not pass: "), "{body}");
    assert!(output.contains("outer (fail: 0 of 1 member healthy)"), "{body}");
}

#[test]
fn a_group_has_thresholds_of_its_own() {
    let target = target::http().status(200).start();
    let config = [
        check("a", &target, ""),
        group("patient", "members = \"a\"\nfailure-threshold = 100"),
        group("quick", "members = \"a\""),
    ]
    .concat();
    let host = host().config(&config).start();
    until(&host, "/health/patient", 200);
    until(&host, "/health/quick", 200);
    let before = target.count();
    target.becomes(target::http().status(500));
    until(&host, "/health/quick", 503);
    assert_eq!(host.get("/health/patient").code, 200, "not yet");
    until(&host, "/health/patient", 503);
    assert!(target.count() >= before + 100, "{} runs", target.count() - before);
}

#[test]
fn what_is_in_maintenance_runs_is_shown_and_does_not_count() {
    let bad = target::http().status(500).start();
    let good = target::http().status(200).start();
    let config = [
        check("repair", &bad, "maintenance = true"),
        check("good", &good, ""),
        group("both", "members = [\"repair\", \"good\"]"),
        group("all-in-repair", "members = [\"repair\"]"),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until_state("repair", "fail");
    host.until_state("good", "pass");
    for path in ["/health", "/health/both"] {
        let body = until(&host, path, 200);
        assert_eq!(body["status"], "pass", "{body}");
    }
    assert!(bad.count() > 0);
    assert_eq!(host.get("/health/repair?format=genesis").json()[0]["STATUS"], "STANDBY");
    assert_eq!(host.get("/health/both?format=genesis").code, 200);
}

#[test]
fn what_is_not_there_is_unknown_and_refuses_nothing() {
    let good = target::http().status(200).start();
    let config = [
        check("good", &good, ""),
        group("orders", "members = [\"good\", \"queue\"]"),
        "[[endpoint]]\npath = \"/queue\"\nnames = \"queue\"\n".to_owned(),
        "[[endpoint]]\npath = \"/nobody\"\ntags = \"nobody\"\n".to_owned(),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until_state("good", "pass");
    for path in ["/queue", "/nobody", "/health/orders"] {
        for format in ["health+json", "genesis", "clearskies", "consul", "text"] {
            let answer = host.get(&format!("{path}?format={format}"));
            assert!(answer.code >= 500, "{path} {format}: {answer:?}");
        }
    }
    let output = host.get("/queue").json()["output"].clone();
    assert!(output.as_str().is_some_and(|text| text.starts_with("not there: `queue`")), "{output}");
    // A file of that name makes it so.
    host.replace("plugins/queue.wasm", guest("echo"));
    host.write(
        "plugins/queue.toml",
        "settings = { status = \"pass\", message = \"fine\" }\ninterval = \"1s\"\n",
    );
    until(&host, "/queue", 200);
    until(&host, "/health/orders", 200);
    // And a broken sidecar does not make it pass.
    host.write("plugins/queue.toml", "this is no TOML");
    until(&host, "/queue", 503);
}

#[test]
fn a_sidecar_that_closes_a_circle_holds_back_itself_alone() {
    let good = target::http().status(200).start();
    let config =
        [check("good", &good, "start-after = \"queue\""), check("free", &good, "")].concat();
    let host = host()
        .config(&config)
        .guest("echo")
        .file("plugins/queue.toml", "start-after = \"good\"\n")
        .start();
    host.until_state("free", "pass");
    assert_eq!(host.check("good")["reason"], "waiting");
    let status = host.get("/api/v1/status").json();
    assert_eq!(status["configuration"]["applied"], true, "{status}");
}

#[test]
fn a_group_in_maintenance_holds_up_nobody() {
    let good = target::http().status(200).start();
    let config = [
        check("m", &good, "maintenance = true"),
        group("g", "members = \"m\""),
        check("after", &good, "start-after = \"g\""),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until_state("after", "pass");
}
