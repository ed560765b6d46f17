//! When checks run, and when their states change.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::target::{self, Target};
use crate::support::wait::until;

fn check(name: &str, target: &Target, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\n{keys}\n",
        target.url("/")
    )
}

#[test]
fn the_first_outcome_decides_whatever_the_threshold() {
    let down = target::http().status(503).start();
    let host = host()
        .config(
            &check("a", &down, "failure-threshold = 100\nsuccess-threshold = 100")
                .replace("50ms", "1h"),
        )
        .start();
    let found = host.until_run("a");
    assert_eq!(found["state"], "fail");
    assert_eq!(found["row"], 0);
}

#[test]
fn before_its_first_run_a_check_is_unknown_and_pending() {
    let silent = target::http().silent().start();
    let host = host().config(&check("a", &silent, "").replace("50ms", "1m")).start();
    let found = host.until("a", "listed", |check| !check.is_null());
    assert_eq!((&found["state"], &found["reason"]), (&"unknown".into(), &"pending".into()));
    assert_eq!(host.get("/health").code, 503, "unknown is not healthy");
}

#[test]
fn a_check_fails_only_after_its_threshold() {
    let target = target::http().status(200).status(503).times(2).status(200).start();
    let host = host().config(&check("a", &target, "failure-threshold = 3")).start();
    host.until_state("a", "pass");
    // Two failures, then it works again: nothing has changed.
    until("five requests", || {
        if target.count() >= 5 { Ok(()) } else { Err(target.count().to_string()) }
    });
    let found = host.next_run("a");
    assert_eq!((&found["state"], &found["row"]), (&"pass".into(), &0.into()), "{found}");
    let since = found["since"].clone();
    target.becomes(target::http().status(503));
    let found = host.until("a", "a row of failures", |check| check["row"].as_u64() > Some(0));
    assert_eq!((&found["state"], &found["since"]), (&"pass".into(), &since), "not yet");
    let before = target.count();
    let found = host.until_state("a", "fail");
    assert_ne!(found["since"], since);
    assert!(target.count() <= before + 4, "it took {} more requests", target.count() - before);
    let log = host.until_logged("from=pass to=fail");
    assert_eq!(log.matches("from=pass to=fail").count(), 1, "one line a transition");
}

#[test]
fn recovery_takes_its_own_row() {
    let target = target::http().status(503).start();
    let host = host().config(&check("a", &target, "success-threshold = 3")).start();
    host.until_state("a", "fail");
    target.becomes(target::http().status(200).status(200).status(503));
    let before = target.count();
    until("four requests", || {
        if target.count() > before + 3 { Ok(()) } else { Err(target.count().to_string()) }
    });
    assert_eq!(host.next_run("a")["state"], "fail", "two passes are not three");
    target.becomes(target::http().status(200));
    host.until_state("a", "pass");
}

#[test]
fn a_fault_may_count_as_a_fail() {
    let config = "[defaults]\non-fault = \"fail\"\n[[check]]\nname = \"a\"\nplugin = \"trap\"\n\
        [[check]]\nname = \"b\"\nplugin = \"trap\"\non-fault = \"unknown\"\n";
    let host = host().config(config).guest("trap").start();
    let a = host.until_run("a");
    assert_eq!((&a["state"], &a["reason"]), (&"fail".into(), &"trap".into()), "{a}");
    assert_eq!(a["outcome"]["fault"], true, "it stays a fault");
    assert_eq!(host.until_run("b")["state"], "unknown");
}

#[test]
fn hanging_targets_delay_nobody() {
    let hanging = target::http().silent().start();
    let healthy = target::http().status(200).start();
    let slow: String = (0..40)
        .map(|n| check(&format!("slow-{n}"), &hanging, "timeout = \"30s\"").replace("50ms", "30s"))
        .collect();
    let fast: String = (0..80)
        .map(|n| check(&format!("fast-{n}"), &healthy, "").replace("50ms", "500ms"))
        .collect();
    let host = host().config(&format!("{slow}{fast}")).start();
    until("the hanging targets are being asked", || {
        if hanging.count() == 40 { Ok(()) } else { Err(hanging.count().to_string()) }
    });
    host.until_state("fast-79", "pass");
    let (began, before) = (Instant::now(), healthy.count());
    // Ten intervals of 80 checks.
    until("800 more runs", || {
        let more = healthy.count() - before;
        if more >= 800 { Ok(()) } else { Err(more.to_string()) }
    });
    let took = began.elapsed();
    eprintln!("beside 40 hanging targets, 80 checks of 500 ms made 800 runs in {took:?}");
    assert!(took > Duration::from_secs(4), "they run too often: {took:?}");
    assert!(took < Duration::from_secs(8), "they are late: {took:?}");
    let list = host.json("/api/v1/checks");
    let states = |prefix: &str| -> BTreeSet<String> {
        let checks = list["checks"].as_array().expect("a list").iter();
        let ours = checks.filter(|c| c["name"].as_str().is_some_and(|n| n.starts_with(prefix)));
        ours.map(|c| c["state"].to_string()).collect()
    };
    assert_eq!(states("fast"), BTreeSet::from(["\"pass\"".to_owned()]));
    assert_eq!(states("slow"), BTreeSet::from(["\"unknown\"".to_owned()]));
}

#[test]
fn five_hundred_checks_have_their_first_results_soon_after_the_start() {
    let target = target::http().status(200).start();
    let config: String = (0..500)
        .map(|n| check(&format!("check-{n}"), &target, "").replace("50ms", "30s"))
        .collect();
    let began = Instant::now();
    let host = host().config(&config).start();
    until("every check has run", || {
        let list = host.json("/api/v1/checks");
        let checks = list["checks"].as_array().expect("a list");
        let done = checks.iter().filter(|check| check["state"] == "pass").count();
        if done == 500 { Ok(()) } else { Err(format!("{done} of {}", checks.len())) }
    });
    let took = began.elapsed();
    eprintln!(
        "500 checks had their first results {took:?} after the start of the process ({:?} to listen)",
        host.started_in
    );
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn runs_of_one_check_never_overlap() {
    let target = target::http().status(200).delay(Duration::from_millis(120)).start();
    // Longer than the interval: points that are missed are skipped.
    let host = host().config(&check("a", &target, "").replace("50ms", "130ms")).start();
    until("ten requests", || {
        if target.count() >= 10 { Ok(()) } else { Err(target.count().to_string()) }
    });
    assert_eq!(target.most_at_once(), 1);
    let sleeper = "[[check]]\nname = \"b\"\nplugin = \"sleep\"\ninterval = \"100ms\"\nsettings = { ms = 90 }\n";
    host.write("plugins/sleep.wasm", crate::support::guests::guest("sleep"));
    host.configure(&format!("{}{sleeper}", check("a", &target, "").replace("50ms", "130ms")));
    host.until_run("b");
    host.next_run("b");
}

#[test]
fn checks_of_one_interval_are_spread_over_it() {
    let target = target::http().status(200).start();
    let config: String =
        (0..20).map(|n| check(&format!("check-{n}"), &target, "").replace("50ms", "1s")).collect();
    let host = host().config(&config).start();
    until("five rounds", || {
        if target.count() >= 100 { Ok(()) } else { Err(target.count().to_string()) }
    });
    let list = host.json("/api/v1/checks");
    let millis: BTreeSet<String> = list["checks"]
        .as_array()
        .expect("a list")
        .iter()
        // The tenth of a second in which it ran.
        .map(|check| check["last_run"].as_str().expect("it ran")[20..21].to_owned())
        .collect();
    assert!(millis.len() >= 5, "all ran at {millis:?}");
}

fn since(host: &Host, name: &str) -> (Value, Value) {
    let check = host.check(name);
    (check["state"].clone(), check["since"].clone())
}

#[test]
fn a_reload_keeps_the_state_of_checks_that_stay_the_same() {
    let down = target::http().status(503).start();
    let up = target::http().status(200).start();
    let kept = check("kept", &down, "failure-threshold = 2");
    let host = host().config(&format!("{kept}{}", check("changed", &up, ""))).start();
    host.until_state("kept", "fail");
    host.until_state("changed", "pass");
    let (kept_before, changed_before) = (since(&host, "kept"), since(&host, "changed"));
    // Further down in the file, with another title: still the same check.
    let moved = format!("\n\n# moved\n{kept}title = \"Kept\"\n");
    host.configure(&format!("{}{moved}{}", check("changed", &down, ""), check("new", &up, "")));
    host.until_state("new", "pass");
    host.until_state("changed", "fail");
    assert_eq!(since(&host, "kept"), kept_before);
    assert_ne!(since(&host, "changed"), changed_before);
    assert_eq!(host.check("kept")["title"], "Kept");
    let log = host.until_logged("check=kept from=");
    assert_eq!(log.matches("check=kept from=").count(), 1, "no transition by a reload:\n{log}");
}

#[test]
fn another_interval_takes_effect_and_keeps_the_state() {
    let target = target::http().status(200).start();
    let config = check("a", &target, "");
    let host = host().config(&config.replace("50ms", "1h")).start();
    host.until_state("a", "pass");
    let before = since(&host, "a");
    assert_eq!(target.count(), 1);
    host.configure(&config);
    until("it runs often", || {
        if target.count() > 5 { Ok(()) } else { Err(target.count().to_string()) }
    });
    assert_eq!(since(&host, "a"), before);
}
