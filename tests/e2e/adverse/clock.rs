//! A wall clock that jumps while the program runs (by libfaketime). Only the wall clock does: that
//! is what a step of NTP or of a person is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::host::{Host, host};
use crate::support::target::{self, Target};
use crate::support::wait::until;

fn library() -> PathBuf {
    let found = ["x86_64-linux-gnu", "aarch64-linux-gnu"].iter().find_map(|arch| {
        let path = PathBuf::from(format!("/usr/lib/{arch}/faketime/libfaketimeMT.so.1"));
        path.is_file().then_some(path)
    });
    found.expect("libfaketime: run `tests/run`, or `apt-get install faketime`")
}

const INTERVAL: Duration = Duration::from_millis(200);
const CHECKS: usize = 10;

/// How long this many further requests take.
#[track_caller]
fn rounds(target: &Target, rounds: usize) -> Duration {
    let (began, before) = (Instant::now(), target.count());
    until(&format!("{rounds} more rounds"), || {
        let more = target.count() - before;
        if more >= rounds * CHECKS { Ok(()) } else { Err(more.to_string()) }
    });
    began.elapsed()
}

/// The hour of the last run, as the API labels it.
fn label(host: &Host) -> String {
    host.check("check-0")["last_run"].as_str().expect("it ran")[..13].to_owned()
}

#[test]
fn a_wall_clock_that_jumps_changes_labels_and_not_the_schedule() {
    let target = target::http().status(200).start();
    let config: String = (0..CHECKS)
        .map(|n| {
            format!(
                "[[check]]\nname = \"check-{n}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"200ms\"\nstale-after = 20\n",
                target.url("/")
            )
        })
        .collect();
    let builder = host().file("clock", "+0");
    let path = builder.path().join("clock").to_string_lossy().into_owned();
    let host = builder
        .config(&config)
        .env("LD_PRELOAD", &library().to_string_lossy())
        .env("FAKETIME_TIMESTAMP_FILE", &path)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    for n in 0..CHECKS {
        host.until_state(&format!("check-{n}"), "pass");
    }
    let mut before = label(&host);
    // An hour on, an hour back, to next summer (DST), and years back.
    for step in ["+3600", "+0", "+15724800", "-100000000"] {
        host.replace("clock", step);
        until(&format!("the clock shows {step}"), || {
            let now = label(&host);
            if now == before { Err(now) } else { Ok(()) }
        });
        before = label(&host);
        let took = rounds(&target, 5);
        eprintln!("{step} s: five rounds of {INTERVAL:?} in {took:?}, labelled {before}");
        assert!(took > 3 * INTERVAL, "a burst after {step}: {took:?}");
        assert!(took < 25 * INTERVAL, "a gap after {step}: {took:?}");
        for n in 0..CHECKS {
            let check = host.check(&format!("check-{n}"));
            assert_eq!(check["state"], "pass", "after {step}: {check}");
            assert!(check["duration_ms"].as_f64().is_some_and(|ms| (0.0..5e3).contains(&ms)));
        }
    }
    assert!(!host.log().contains("panicked"), "{}", host.log());
}
