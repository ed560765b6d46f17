//! Targets that say nothing, too much, or nonsense, for every kind; and every defect of a
//! certificate, for every kind that speaks TLS.

use std::io::Write;
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::checks::expect_failure;
use crate::support::host::{Host, host};
use crate::support::listener::{Listener, echoes, floods, hangs_up, listener, says, silent};
use crate::support::nginx::Nginx;
use crate::support::wait::pause;

use super::kinds::{OVER_TCP, OVER_TLS, checks};

/// What a run gets, and what a busy machine may add to it.
const TIMEOUT: Duration = Duration::from_millis(1_500);
const BUSY: Duration = Duration::from_millis(1_000);
const TIMING: &str = "interval = \"1h\"\ntimeout = \"1500ms\"";

/// The largest memory that the process has had, in MiB.
fn peak(host: &Host) -> u64 {
    let path = format!("/proc/{}/status", host.pid().as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn every_kind_outlives_every_target_that_misbehaves() {
    let targets: Vec<(&str, Listener)> = vec![
        ("silent", silent()),
        ("closing", hangs_up()),
        ("zeros", floods(b"\0", b"\0")),
        ("ones", floods(b"\xff", b"\xff")),
        ("lines", floods(b"", b"\r\n")),
        ("text", floods(b"", b"x")),
        ("echo", echoes()),
        ("mail", says(b"220 mail.example.com ESMTP ready\r\n")),
        (
            "trickle",
            listener(|stream| {
                loop {
                    stream.write_all(b" ")?;
                    pause(Duration::from_millis(20));
                }
            }),
        ),
        (
            "half",
            listener(|stream| {
                stream.shutdown(std::net::Shutdown::Write)?;
                let mut rest = Vec::new();
                std::io::Read::read_to_end(stream, &mut rest).map(drop)
            }),
        ),
    ];
    let mut config = "[runs]\nmost = 16\n".to_owned();
    for (name, target) in &targets {
        config += &checks(OVER_TCP, name, &target.address.to_string(), TIMING);
    }
    let host = host().config(&config).start();
    let mut seen = 0;
    for (name, _) in &targets {
        for (kind, _) in OVER_TCP {
            let check = format!("{kind}-{name}");
            let found = host.until_run(&check);
            // A mail server is what the kind `smtp` wants to see, up to its first answer.
            assert_eq!(found["state"], "fail", "{check}: {found}");
            assert_eq!(found["outcome"]["fault"], false, "{check}: {found}");
            let reason = found["reason"].as_str().unwrap_or_default();
            assert!(!reason.is_empty() && reason != "internal", "{check}: {found}");
            assert!(found["message"].as_str().is_some_and(|m| m.len() < 1_000), "{check}: {found}");
            let took = found["duration_ms"].as_f64().expect("a number");
            assert!(took / 1e3 <= (TIMEOUT + BUSY).as_secs_f64(), "{check} took {took} ms");
            seen += 1;
        }
    }
    let peak = peak(&host);
    eprintln!("{seen} checks of targets that misbehave; at most {peak} MiB");
    assert!(peak < 512, "{peak} MiB");
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn every_kind_tells_what_is_wrong_with_a_certificate() {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    let serve = |pair| Nginx::start_tls(&pair, "location / { return 200 fine; }");
    let servers = [
        ("expired", serve(authority.issue(&names, (2015, 2020))), "tls-expired"),
        ("early", serve(authority.issue(&names, (2150, 2160))), "tls-not-yet-valid"),
        ("named", serve(authority.issue(&["a.example"], (2020, 2180))), "tls-wrong-name"),
        ("own", serve(Authority::self_signed(&names)), "tls-untrusted"),
        ("short", serve(authority.chained(&[0])), "tls-incomplete"),
    ];
    let keys = format!("{TIMING}\ntls-ca = \"ca.pem\"").replace("1500ms", "20s");
    let mut config = "[runs]\nmost = 8\n".to_owned();
    for (name, server, _) in &servers {
        let target = format!("localhost:{}", server.address.port());
        config += &checks(OVER_TLS, name, &target, &keys);
    }
    let stalled = silent();
    let stalls = format!("{TIMING}\ntls-ca = \"ca.pem\"");
    config += &checks(OVER_TLS, "stalled", &stalled.address.to_string(), &stalls);
    let host = host().file("ca.pem", authority.pem()).config(&config).start();
    for (kind, _) in OVER_TLS {
        for (name, _, reason) in &servers {
            expect_failure(&host, &format!("{kind}-{name}"), reason, "");
        }
        expect_failure(&host, &format!("{kind}-stalled"), "timeout", "");
    }
}
