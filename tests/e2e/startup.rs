//! Start-up phases and start gates: what a check waits for, and how often it runs until then.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::target::Target;
use crate::support::wait::until;
use crate::verdict::{down, up};

fn check(name: &str, target: &Target, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\nfailure-threshold = 1\n{keys}\n",
        target.url("/")
    )
}

#[track_caller]
fn until_count(target: &Target, count: usize) {
    until(&format!("{count} requests"), || {
        if target.count() >= count { Ok(()) } else { Err(target.count().to_string()) }
    });
}

/// The status of `/health/NAME`.
#[track_caller]
fn until_status(host: &Host, name: &str, status: &str) -> Value {
    until(&format!("/health/{name} is `{status}`"), || {
        let body = host.json(&format!("/health/{name}"));
        if body["status"] == status { Ok(body) } else { Err(body.to_string()) }
    })
}

#[test]
fn a_check_waits_until_what_it_depends_on_has_been_healthy_once() {
    let (first, second) = (down().start(), up().start());
    let config = [
        check("first", &first, "interval = \"50ms\""),
        check("second", &second, "interval = \"50ms\"\nstart-after = [\"first\"]"),
        check("third", &second, "interval = \"50ms\"\nstart-after = [\"second\", \"pair\"]"),
        "[[group]]\nname = \"pair\"\nmembers = [\"first\", \"second\"]\n".to_owned(),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until_state("first", "fail");
    let waiting = host.until("second", "held", |check| check["reason"] == "waiting");
    assert_eq!(waiting["state"], "unknown");
    assert_eq!(waiting["message"], "it runs once this has been healthy: `first`", "{waiting}");
    let third = host.check("third");
    assert_eq!(third["message"], "it runs once this has been healthy: `second`, `pair`", "{third}");
    until_count(&first, 5);
    assert_eq!(second.count(), 0, "nobody asked before its time");
    assert_eq!(host.get("/health").code, 503, "what waits is not healthy");

    first.becomes(up());
    host.until_state("second", "pass");
    host.until_state("third", "pass");
    // Once is enough.
    first.becomes(down());
    host.until_state("first", "fail");
    host.next_run("second");
    host.next_run("third");
    assert_eq!(host.check("third")["state"], "pass");
}

#[test]
fn the_startup_interval_holds_until_the_whole_group_has_passed() {
    let (quick, slow) = (up().start(), down().start());
    let timing = "startup-interval = \"60ms\"\nstartup-with = \"port\"\ninterval = \"1h\"";
    let config = [
        check("quick", &quick, timing),
        check("slow", &slow, timing),
        "[[group]]\nname = \"port\"\nmembers = [\"quick\", \"slow\"]\n".to_owned(),
    ]
    .concat();
    let host = host().config(&config).start();
    // It passes from the beginning, and goes on to run often because of the other.
    host.until_state("quick", "pass");
    until_count(&quick, 8);
    until_count(&slow, 8);
    until_status(&host, "port", "fail");
    slow.becomes(up());
    until_status(&host, "port", "pass");
    host.until_state("slow", "pass");
    let (quick_so_far, slow_so_far) = (quick.count(), slow.count());
    let other = up().start();
    // As much time as many start-up intervals take.
    let clock = check("clock", &other, "interval = \"60ms\"");
    host.configure(&(config + &clock));
    until_count(&other, 15);
    assert!(quick.count() <= quick_so_far + 1, "{} after {quick_so_far}", quick.count());
    assert!(slow.count() <= slow_so_far + 1, "{} after {slow_so_far}", slow.count());
}

#[test]
fn after_the_startup_phase_the_interval_holds_and_recovery_is_reported() {
    let target = down().start();
    let timing = "startup-interval = \"2s\"\ninterval = \"50ms\"";
    let began = Instant::now();
    let host = host().config(&check("a", &target, timing)).start();
    host.until_state("a", "fail");
    until_count(&target, 2);
    target.becomes(up());
    host.until_state("a", "pass");
    assert!(began.elapsed() > Duration::from_secs(1), "it ran more often than told");
    let count = target.count();
    until_count(&target, count + 10);
    target.becomes(down());
    host.until_state("a", "fail");
    target.becomes(up());
    host.until_state("a", "pass");
    let log = host.log();
    assert!(log.contains("check=a from=pass to=fail"), "{log}");
    assert_eq!(log.matches("check=a from=fail to=pass").count(), 2, "{log}");
}

#[test]
fn a_check_that_does_not_go_on_stays_as_it_was() {
    let (once, forever) = (up().start(), up().start());
    let start = "startup-interval = \"50ms\"\nstartup-with = \"port\"\ninterval = \"50ms\"";
    let config = |once_keys: &str| {
        [
            check("once", &once, &format!("{start}\n{once_keys}")),
            check("forever", &forever, start),
            "[[group]]\nname = \"port\"\nmembers = [\"once\", \"forever\"]\n".to_owned(),
        ]
        .concat()
    };
    let host = host().config(&config("continuous = false")).start();
    until_status(&host, "port", "pass");
    // A run that was under way has ended by then.
    until_count(&forever, forever.count() + 5);
    let asked = once.count();
    once.becomes(down());
    until_count(&forever, forever.count() + 10);
    assert_eq!(once.count(), asked);
    assert_eq!(host.check("once")["state"], "pass");
    // The other one alone decides from now on, in both directions.
    forever.becomes(down());
    until_status(&host, "port", "fail");
    forever.becomes(up());
    until_status(&host, "port", "pass");
    // Told to go on, it does, with the state that it had.
    host.configure(&config("continuous = true"));
    host.until_state("once", "fail");
    until_status(&host, "port", "fail");
    let log = host.until_logged("check=once from=pass to=fail");
    assert_eq!(log.matches("check=once from=").count(), 2, "{log}");
}

#[test]
fn a_check_rests_only_after_it_has_run() {
    let (quick, late) = (up().start(), down().start());
    let start = "startup-interval = \"50ms\"\nstartup-with = \"any\"\ninterval = \"50ms\"\ncontinuous = false";
    let config = [
        check("quick", &quick, start),
        check("late", &late, &format!("{start}\nstart-after = [\"gate\"]")),
        check("gate", &quick, "interval = \"50ms\"\nstart-after = [\"quick\"]"),
        "[[group]]\nname = \"any\"\nmembers = [\"quick\", \"late\"]\nhealthy = \"any\"\n"
            .to_owned(),
    ]
    .concat();
    let host = host().config(&config).start();
    until_status(&host, "any", "pass");
    // The group was healthy before this one ran for the first time.
    host.until_state("late", "fail");
    assert_eq!(late.count(), 1);
}

#[test]
fn a_reload_changes_what_a_check_waits_for() {
    let (first, second) = (down().start(), up().start());
    let config = |gate: &str| {
        [
            check("first", &first, "interval = \"50ms\""),
            check("second", &second, &format!("interval = \"50ms\"\n{gate}")),
        ]
        .concat()
    };
    let host = host().config(&config("start-after = [\"first\"]")).start();
    host.until("second", "held", |check| check["reason"] == "waiting");
    host.configure(&config(""));
    host.until_state("second", "pass");
    // One that has run does not wait any more.
    host.configure(&config("start-after = [\"first\"]"));
    let before = second.count();
    until_count(&second, before + 5);
    assert_eq!(host.check("second")["state"], "pass");
}

#[test]
fn what_is_waited_for_may_be_taken_away() {
    let (first, second) = (down().start(), up().start());
    let gated =
        check("second", &second, "interval = \"50ms\"\nstart-after = [\"first\", \"other\"]");
    let config = [
        check("first", &first, "interval = \"50ms\""),
        check("other", &first, "interval = \"50ms\""),
        gated.clone(),
    ]
    .concat();
    let host = host().config(&config).start();
    host.until("second", "held", |check| check["reason"] == "waiting");
    let rest = gated.replace("\"first\", ", "");
    host.configure(&[check("other", &first, "interval = \"50ms\""), rest].concat());
    let message = "it runs once this has been healthy: `other`";
    host.until("second", "held by the other alone", |check| check["message"] == message);
    first.becomes(up());
    host.until_state("second", "pass");
}

#[test]
fn another_startup_interval_takes_effect_while_the_check_starts() {
    let target = down().start();
    let config = |every: &str| {
        check("a", &target, &format!("startup-interval = \"{every}\"\ninterval = \"1h\""))
    };
    let host = host().config(&config("1h")).start();
    host.until_state("a", "fail");
    assert_eq!(target.count(), 1);
    host.configure(&config("50ms"));
    until_count(&target, 5);
    // The phase goes with its interval.
    host.configure(&check("a", &target, "interval = \"50ms\""));
    let before = target.count();
    until_count(&target, before + 5);
}

#[test]
fn a_group_without_members_holds_up_nobody() {
    let target = up().start();
    let config = check("a", &target, "interval = \"50ms\"\nstart-after = [\"bare\"]")
        + "[[group]]\nname = \"bare\"\n";
    let host = host().config(&config).start();
    host.until_state("a", "pass");
    assert_eq!(host.get("/health").code, 200, "and does not count");
}
