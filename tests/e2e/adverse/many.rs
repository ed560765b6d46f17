//! Very many checks: how they start and end, what they cost while all their targets are down, and
//! who waits for those that hang.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::host::{Host, host};
use crate::support::listener::{Listener, silent};
use crate::support::names::{Names, Zone};
use crate::support::program::run_in;
use crate::support::target::{self, Target};
use crate::support::wait::until;

const MANY: usize = 1_000;

fn tcp(name: &str, target: impl std::fmt::Display, keys: &str) -> String {
    format!("[[check]]\nname = \"{name}\"\nkind = \"tcp\"\ntarget = \"{target}\"\n{keys}\n")
}

fn http(name: &str, target: &Target, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\n{keys}\n",
        target.url("/")
    )
}

/// A thousand checks of a target that never says what they wait for.
fn hanging(target: &Listener, keys: &str) -> String {
    let keys = format!("expect = \"never\"\n{keys}");
    (0..MANY).map(|n| tcp(&format!("hangs-{n}"), target.address, &keys)).collect()
}

/// Waits until so many connections have been made to a target that hangs.
#[track_caller]
fn until_asked(count: impl Fn() -> usize, wanted: usize) {
    until(&format!("{wanted} runs are under way"), || {
        let count = count();
        if count >= wanted { Ok(()) } else { Err(count.to_string()) }
    });
}

fn files(host: &Host) -> usize {
    let dir = format!("/proc/{}/fd", host.pid().as_raw_nonzero());
    std::fs::read_dir(dir).expect("the process runs").count()
}

#[test]
fn sigterm_ends_it_with_a_thousand_runs_under_way() {
    let silent = silent();
    let mut host = host().config(&hanging(&silent, "interval = \"1m\"\ntimeout = \"1m\"")).start();
    until_asked(|| silent.count(), MANY);
    let began = Instant::now();
    host.signal(Signal::TERM);
    assert_eq!(host.ended().code(), Some(0));
    let took = began.elapsed();
    eprintln!("with {MANY} runs under way it ended in {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_storm_of_sighup_is_few_reloads_and_delays_no_run() {
    let target = target::http().status(200).start();
    let host = host().config(&http("a", &target, "interval = \"100ms\"")).start();
    host.until_state("a", "pass");
    let since = host.check("a")["since"].clone();
    let before = target.count();
    for n in 0..500 {
        host.signal(Signal::HUP);
        if n % 100 == 0 {
            assert_eq!(host.get("/livez").code, 200);
        }
    }
    host.configure(&(http("a", &target, "interval = \"100ms\"") + &http("b", &target, "")));
    host.signal(Signal::HUP);
    host.until_state("b", "pass");
    until("it runs on", || {
        if target.count() > before + 5 { Ok(()) } else { Err(target.count().to_string()) }
    });
    assert_eq!(host.check("a")["since"], since);
    let reloads = host.log().matches("SIGHUP: reading the configuration again").count();
    eprintln!("501 times SIGHUP were {reloads} reloads");
    assert!(reloads < 400, "{reloads}");
}

#[test]
fn the_second_instance_on_a_port_says_so_and_the_first_goes_on() {
    let target = target::http().status(200).start();
    let first = host().config(&http("a", &target, "interval = \"100ms\"")).start();
    first.until_state("a", "pass");
    let address = first.address.to_string();
    let second = run_in(first.dir(), &["serve", "--listen", &address]).expect(69);
    assert!(second.err.contains(&format!("cannot listen on {address}")), "{}", second.err);
    assert_eq!(first.next_run("a")["state"], "pass");
}

#[test]
fn while_a_thousand_targets_are_down_the_others_keep_their_times() {
    let (silent, up) = (silent(), target::http().status(200).start());
    let mut config = hanging(&silent, "interval = \"2s\"\ntimeout = \"2s\"");
    for n in 0..10 {
        config += &http(&format!("up-{n}"), &up, "interval = \"500ms\"");
    }
    let host = host().config(&config).start();
    until_asked(|| silent.count(), MANY);
    for n in 0..10 {
        host.until_state(&format!("up-{n}"), "pass");
    }
    let before = files(&host);
    let (began, counted) = (Instant::now(), up.count());
    until("ten rounds of the others", || {
        let more = up.count() - counted;
        if more >= 100 { Ok(()) } else { Err(more.to_string()) }
    });
    let took = began.elapsed();
    let after = files(&host);
    eprintln!(
        "beside {MANY} targets that are down, ten rounds of 500 ms took {took:?}; {before} files open, then {after}"
    );
    assert!(took > Duration::from_secs(4), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // One connection for each, and what the process needs besides.
    assert!(after < MANY + 200, "{after} files");
    host.until_state("hangs-999", "fail");
}

#[test]
fn a_thousand_checks_have_their_first_results_soon_after_the_start() {
    let target = target::http().status(200).start();
    let config: String = (0..MANY)
        .map(|n| http(&format!("check-{n}"), &target, "interval = \"1h\"\ntimeout = \"30s\""))
        .collect();
    let began = Instant::now();
    let host = host().config(&config).start();
    until("every check has run", || {
        let list = host.json("/api/v1/checks");
        let checks = list["checks"].as_array().expect("a list");
        let done = checks.iter().filter(|check| check["state"] == "pass").count();
        if done == MANY { Ok(()) } else { Err(format!("{done} of {}", checks.len())) }
    });
    let took = began.elapsed();
    eprintln!(
        "{MANY} checks had their first results {took:?} after the start ({:?} to listen)",
        host.started_in
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Of each kind that hangs, in the test below; Gatus 5.2 stood still beside five.
const OF_EACH: usize = 8;

#[test]
fn eighty_healthy_checks_run_beside_forty_that_hang_in_five_kinds() {
    let (web, line) = (target::http().silent().start(), silent());
    let names = Names::start(Zone::Silence);
    let up = target::http().status(200).start();
    let keys = "interval = \"30s\"\ntimeout = \"30s\"";
    let mut config = "[exec]\nenabled = true\n[runs]\nkinds = { exec = 64 }\n".to_owned();
    for n in 0..OF_EACH {
        config += &http(&format!("hangs-http-{n}"), &web, keys);
        config +=
            &tcp(&format!("hangs-tcp-{n}"), line.address, &format!("expect = \"never\"\n{keys}"));
        config.extend([format!(
            "[[check]]\nname = \"hangs-dns-{n}\"\nkind = \"dns\"\nserver = \"{}\"\nquery-name = \"shop.test\"\n{keys}\n\
             [[check]]\nname = \"hangs-grpc-{n}\"\nkind = \"grpc\"\ntarget = \"{}\"\n{keys}\n\
             [[check]]\nname = \"hangs-exec-{n}\"\nkind = \"exec\"\ncommand = [\"/bin/sleep\", \"1000\"]\n{keys}\n",
            names.address, line.address
        )]);
    }
    let quick = "interval = \"500ms\"";
    for n in 0..80 {
        config += &http(&format!("up-{n}"), &up, quick);
    }
    let host = host().config(&config).start();
    until_asked(|| web.count(), OF_EACH);
    until_asked(|| line.count(), 2 * OF_EACH);
    for n in 0..80 {
        host.until_state(&format!("up-{n}"), "pass");
    }
    let (began, before) = (Instant::now(), up.count());
    until("ten rounds of the eighty", || {
        let more = up.count() - before;
        if more >= 800 { Ok(()) } else { Err(more.to_string()) }
    });
    let took = began.elapsed();
    eprintln!("beside {} that hang, ten rounds of 80 checks took {took:?}", 5 * OF_EACH);
    assert!(took > Duration::from_secs(4), "they run too often: {took:?}");
    assert!(took < Duration::from_secs(8), "they are late: {took:?}");
    let list = host.json("/api/v1/checks");
    for check in list["checks"].as_array().expect("a list") {
        let name = check["name"].as_str().expect("a name");
        let expected = if name.starts_with("up-") { "pass" } else { "unknown" };
        assert_eq!(check["state"], expected, "{check}");
    }
}
