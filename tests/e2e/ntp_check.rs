//! The kind `ntp` against a real chrony, and against servers that lie, refuse or ramble.

use std::time::Duration;

use crate::support::checks::{expect_failure, expect_pass, observation};
use crate::support::chrony::{chrony, lost};
use crate::support::datagrams::{Datagrams, datagrams, nobody};
use crate::support::host::host;

fn at(name: &str, target: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"ntp\"\ntarget = \"{target}\"\ninterval = \"10s\"\n\
         timeout = \"700ms\"\n{keys}\n"
    )
}

#[test]
fn the_offset_of_this_machine_to_itself_is_small() {
    let all = [
        "offset > 1s",
        "offset.absolute > 1s",
        "round-trip > 1s",
        "stratum != 5",
        "leap != 'none'",
        "root-delay > 1s",
        "root-dispersion > 10s",
        "reference == ''",
    ];
    let config = [
        at("facts", &format!("127.0.0.1:{}", chrony().port), &format!("fail = {all:?}")),
        at("never", &format!("127.0.0.1:{}", chrony().port), "warn = \"stratum < 6\""),
        at(
            "clock",
            &format!("127.0.0.1:{}", chrony().port),
            "max-offset = \"250ms\"\ntimeout = \"10s\"",
        )
        .replace("timeout = \"700ms\"\n", ""),
        at("lost", &format!("127.0.0.1:{}", lost().port), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "facts", "(stratum 5)");
    assert_eq!(host.until_run("never")["state"], "warn");
    let clock = expect_pass(&host, "clock", "(stratum 5)");
    for name in ["offset", "round-trip", "root-dispersion"] {
        assert!(observation(&clock, name).is_some_and(|s| s.abs() < 1.0), "{name}: {clock}");
    }
    assert_eq!(observation(&clock, "stratum"), Some(5.0), "{clock}");
    expect_failure(
        &host,
        "lost",
        "query",
        "it is not synchronized (stratum 0, leap unsynchronized)",
    );
}

/// An answer of stratum 1 with the time of 1900 plus so many seconds, changed by `change`.
fn answering(seconds: u32, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> Datagrams {
    datagrams(move |request| {
        let mut answer = vec![0; 48];
        (answer[0], answer[1]) = (4 << 3 | 4, 1);
        answer[12..16].copy_from_slice(b"GPS\0");
        answer[24..32].copy_from_slice(&request[40..48]);
        answer[32..36].copy_from_slice(&seconds.to_be_bytes());
        answer[40..44].copy_from_slice(&seconds.to_be_bytes());
        change(&mut answer);
        vec![answer]
    })
}

#[test]
fn time_servers_that_misbehave_fail_in_time() {
    let now = 3_000_000_000;
    let wrong = answering(now, |_| {});
    let kiss = answering(now, |answer| {
        answer[1] = 0;
        answer[12..16].copy_from_slice(b"RATE");
    });
    let rude = answering(now, |answer| {
        answer[1] = 0;
        answer[12..16].copy_from_slice(b"\x1b[0m");
    });
    let lost = answering(now, |answer| answer[0] |= 3 << 6);
    let timeless = answering(0, |_| {});
    let guess = answering(now, |answer| answer[24] ^= 1);
    let client = answering(now, |answer| answer[0] = 4 << 3 | 3);
    let short = answering(now, |answer| answer.truncate(47));
    let long = answering(now, |answer| answer.resize(60_000, 0xff));
    let deaf = datagrams(|_| Vec::new());
    let on = |target: &Datagrams| target.address.to_string();
    let config = [
        at("wrong", &on(&wrong), "max-offset = \"1h\""),
        at("unbounded", &on(&wrong), ""),
        at("kiss", &on(&kiss), ""),
        at("rude", &on(&rude), ""),
        at("lost", &on(&lost), ""),
        at("timeless", &on(&timeless), ""),
        at("guess", &on(&guess), ""),
        at("client", &on(&client), ""),
        at("short", &on(&short), ""),
        at("long", &on(&long), ""),
        at("deaf", &on(&deaf), ""),
        at("refused", &nobody().to_string(), ""),
        at("unresolved", "name.invalid", ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "wrong", "unexpected-value", "(expected at most 1h)");
    expect_pass(&host, "unbounded", "(stratum 1)");
    expect_failure(&host, "kiss", "query", "kiss-o'-death `RATE`: it is asked too often");
    expect_failure(&host, "rude", "query", "kiss-o'-death `\\u{1b}[0m`");
    expect_failure(
        &host,
        "lost",
        "query",
        "it is not synchronized (stratum 1, leap unsynchronized)",
    );
    expect_failure(&host, "timeless", "protocol", "without a time");
    expect_failure(&host, "guess", "timeout", "it is for another request");
    expect_failure(&host, "client", "timeout", "it is not of a server");
    expect_failure(&host, "short", "timeout", "it is too short");
    expect_pass(&host, "long", "(stratum 1)");
    expect_failure(&host, "deaf", "timeout", "while waiting for an answer of");
    expect_failure(&host, "refused", "refused", "nobody listens there");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
    let took = host.check("deaf")["duration_ms"].as_f64().expect("a number");
    assert!(Duration::from_secs_f64(took / 1e3) < Duration::from_secs(1), "{took} ms");
}
