//! Cases 21 to 26, 44 and 48: sleeping, leaking, requests without end, and the end of the host.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::beside::{files, guest, idle};
use super::compute::PATIENT;
use super::table::{self, Expect, row};
use crate::support::host::{Host, host};
use crate::support::target::{self, Target};
use crate::support::wait::until;

/// A line of `[check.grants]` for a target.
fn allow(target: &Target) -> String {
    format!("http = [\"http://{}\"]", target.address)
}

fn url(target: &Target) -> String {
    format!("url = \"{}\"", target.url("/"))
}

/// The resident memory of the server, in KiB.
fn resident(host: &Host) -> u64 {
    let path = format!("/proc/{}/status", host.pid().as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn case_21_waiting_for_ever_ends_at_the_wall_time() {
    let guest = guest("poll-forever").run();
    guest.faults("timeout", "wall time of 1s used up (`timeout` of the check)");
    let took = guest.check["duration_ms"].as_f64().expect("a number");
    assert!((990.0..3000.0).contains(&took), "{took} ms");
}

#[test]
fn case_21_so_do_a_year_and_a_long_sleep() {
    for (plugin, settings) in
        [("poll-forever", "what = \"year\""), ("sleep", "ms = 31_536_000_000")]
    {
        let timing = "interval = \"500ms\"\ntimeout = \"200ms\"";
        let guest = guest(plugin).settings(settings).timing(timing).run();
        guest.faults("timeout", "wall time of 200ms used up (`timeout` of the check)");
    }
}

#[test]
fn case_21_waiting_for_nothing_is_a_trap() {
    guest("poll-forever").settings("what = \"nothing\"").run().faults("trap", "empty poll list");
}

#[test]
fn case_22_handles_end_at_their_limit() {
    guest("leak-pollables")
        .run()
        .faults("limit", "limit of 256 open handles reached (limit `handles`)");
}

#[test]
fn case_23_handles_that_are_left_behind_go_with_their_run() {
    let host =
        &guest("leak-pollables").settings("count = 100").timing("interval = \"100ms\"").start();
    host.until_state("guest", "pass");
    for _ in 0..10 {
        host.next_run("guest");
    }
    idle(host);
    let (memory, open) = (resident(host), files(host));
    for _ in 0..40 {
        let check = host.next_run("guest");
        assert_eq!(check["state"], "pass", "{check}");
    }
    idle(host);
    let (now, open_now) = (resident(host), files(host));
    eprintln!(
        "after 10 runs {memory} KiB and {open} files, after 50 {now} KiB and {open_now} files"
    );
    assert!(now < memory + 8 * 1024, "{memory} KiB, then {now} KiB");
    assert!(open_now <= open + 4, "{open} files, then {open_now}");
}

/// The target has no connection of ours any more.
#[track_caller]
fn is_left(target: &Target) {
    let port = format!(":{:04X}", target.address.port());
    until("every connection is closed", || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of connections");
        // State 01 is an established connection, to the port of the target.
        let ours = table.lines().filter(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next().is_some_and(|to| to.ends_with(&port)) && words.next() == Some("01")
        });
        match ours.count() {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        }
    });
}

#[test]
fn case_24_a_request_without_end_ends() {
    let target = target::http().silent().start();
    let settings = format!("{}, op = \"headers\"", url(&target));
    let guest = guest("endless-request")
        .settings(&settings)
        .grants(&allow(&target))
        .timing("interval = \"1s\"\ntimeout = \"800ms\"")
        .run();
    ends_in_time(&guest.check, 800.0);
    drop(guest);
    is_left(&target);
}

#[test]
fn case_24_a_body_without_end_ends_at_its_limit() {
    let target = target::http().silent().start();
    let settings = format!("{}, op = \"upload\"", url(&target));
    let guest =
        guest("endless-request").settings(&settings).grants(&allow(&target)).timing(PATIENT).run();
    guest.faults("limit", "limit of 1 MiB for a request body reached (limit `body-bytes`)");
}

/// A fault for its time, or the guest was told in time and could say so; never a pass.
#[track_caller]
fn ends_in_time(check: &serde_json::Value, timeout: f64) {
    let timed_out = check["reason"] == "timeout";
    let told = check["message"].as_str().is_some_and(|text| text.contains("Timeout"));
    assert!(check["state"] != "pass" && (timed_out || told), "{check}");
    let took = check["duration_ms"].as_f64().expect("a number");
    assert!(took < timeout + 1500.0, "{took} ms");
}

#[test]
fn case_24_an_answer_that_trickles_ends_at_the_wall_time() {
    let target = target::http().trickle().start();
    let guest = guest("read-for-ever")
        .settings(&url(&target))
        .grants(&allow(&target))
        .timing("interval = \"1s\"\ntimeout = \"800ms\"")
        .run();
    // The host ends the body a little before the run, so that a guest can say that it did not come
    // to its end.
    let message = guest.check["message"].as_str().expect("a text");
    assert!(message.contains("LastOperationFailed"), "{message}");
    let took = guest.check["duration_ms"].as_f64().expect("a number");
    assert!((500.0..2500.0).contains(&took), "{took} ms");
    let host = guest.host;
    // The server lives on, and what it held open is closed with the run.
    host.configure("");
    host.until("guest", "gone", serde_json::Value::is_null);
    is_left(&target);
}

#[test]
fn case_25_an_infinite_body_ends_at_its_limit() {
    let target = target::http().endless_body().start();
    let guest = guest("read-for-ever")
        .settings(&url(&target))
        .grants(&allow(&target))
        .timing(PATIENT)
        .run();
    guest.faults("limit", "limit of 1 MiB for a response body reached (limit `body-bytes`)");
}

#[test]
fn case_26_requests_end_at_their_limit() {
    let target = target::http().status(200).start();
    let guest = guest("many-requests")
        .settings(&url(&target))
        .grants(&allow(&target))
        .timing(PATIENT)
        .limits("cpu = \"1s\"")
        .run();
    guest.faults("limit", "limit of 16 requests reached (limit `requests`)");
    assert_eq!(target.count() % 16, 0, "{} requests in whole runs", target.count());
}

#[test]
fn case_26_requests_at_once_end_at_theirs() {
    let target = target::http().status(200).delay(Duration::from_millis(50)).start();
    let settings = format!("{}, at-once = true", url(&target));
    let guest =
        guest("many-requests").settings(&settings).grants(&allow(&target)).timing(PATIENT).run();
    guest.faults("limit", "limit of 6 requests at once reached (limit `concurrent-requests`)");
    assert!(target.most_at_once() <= 6, "{} at once", target.most_at_once());
}

#[test]
fn lowered_limits_of_requests_hold_and_name_their_keys() {
    let fault = |says| Expect::Fault("limit", says);
    let small = target::http().status(200).body(&"z".repeat(1500)).start();
    let slow = target::http().status(200).delay(Duration::from_millis(50)).start();
    let counted = target::http().status(200).start();
    let with = |target: &Target, more: &str| format!("{}, {more}", url(target));
    table::all(
        "",
        &[
            row(
                "many-requests",
                &with(&counted, "count = 4"),
                fault("limit of 3 requests reached (limit `requests`)"),
            )
            .grant(&allow(&counted))
            .limit("requests = 3"),
            row(
                "many-requests",
                &with(&slow, "count = 3, at-once = true"),
                fault("limit of 2 requests at once reached (limit `concurrent-requests`)"),
            )
            .grant(&allow(&slow))
            .limit("concurrent-requests = 2"),
            row(
                "read-for-ever",
                &url(&small),
                fault("limit of 1 KiB for a response body reached (limit `body-bytes`)"),
            )
            .grant(&allow(&small))
            .limit("body-bytes = \"1KiB\""),
            row("read-for-ever", &url(&small), Expect::Pass)
                .grant(&allow(&small))
                .limit("body-bytes = \"1500B\""),
        ],
    );
    // A second run may have come soon after the first.
    assert_eq!(counted.count() % 3, 0, "{} requests in whole runs", counted.count());
    assert!(slow.most_at_once() <= 2, "{} at once", slow.most_at_once());
}

#[test]
fn case_44_runs_never_overlap_and_no_pass_outlives_its_time() {
    // It sleeps longer than its interval, and would then report that all is well.
    let host = guest("sleep").settings("ms = 1200").timing("interval = \"400ms\"").start();
    let (mut runs, mut last) = (0, serde_json::Value::Null);
    until("five runs, of which no two were under way at once", || {
        let taken = host.json("/api/v1/status")["runs"]["taken"].as_u64().expect("a number");
        assert!(taken <= 2, "{taken} runs of two checks");
        let check = host.check("guest");
        assert_ne!(check["state"], "pass", "{check}");
        if check["last_run"] != last && check["outcome"].is_object() {
            assert_eq!(check["reason"], "timeout", "{check}");
            last = check["last_run"].clone();
            runs += 1;
        }
        if runs >= 5 { Ok(()) } else { Err(runs.to_string()) }
    });
}

#[test]
fn case_44_a_pass_does_not_stand_while_later_runs_hang() {
    let target = target::http().status(200).start();
    let host = guest("http-get")
        .settings(&url(&target))
        .grants(&allow(&target))
        .timing("interval = \"300ms\"")
        .start();
    host.until_state("guest", "pass");
    target.becomes(target::http().silent());
    let check = host.until_state("guest", "fail");
    assert!(check["message"].as_str().is_some_and(|text| text.contains("time")), "{check}");
    target.becomes(target::http().status(200));
    host.until_state("guest", "pass");
}

#[test]
fn case_48_what_never_ends_does_not_hold_up_the_end() {
    for (plugin, grace) in
        [("spin", Duration::from_secs(6)), ("poll-forever", Duration::from_secs(6))]
    {
        let config = format!(
            "[[check]]\nname = \"guest\"\nplugin = \"{plugin}\"\ninterval = \"1h\"\ntimeout = \"1h\"\n\
             [check.limits]\ncpu = \"1h\"\n"
        );
        let mut host = host().config(&config).guest(plugin).start();
        until("it runs", || match host.json("/api/v1/status")["runs"]["taken"].as_u64() {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let asked = Instant::now();
        host.signal(Signal::TERM);
        let status = host.ended();
        let took = asked.elapsed();
        eprintln!("with `{plugin}` under way the end took {took:?}");
        assert!(took < grace, "{took:?}");
        assert!(status.success(), "{status}");
    }
}
