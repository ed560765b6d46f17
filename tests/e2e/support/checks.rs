//! What the tests of kinds that log in somewhere share: checks, what they came to, and who
//! misbehaves.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::databases::{ENCODED, PASSWORD};
use super::host::{Host, host};
use super::listener::{Listener, echoes, floods, hangs_up, says, silent};
use super::program::{command, finish};
use super::servers::free_port;

/// How long a run against somebody who misbehaves may take.
const TIMEOUT: Duration = Duration::from_millis(700);

/// A `[[check]]` of a real server, which gets its time.
pub(crate) fn check(kind: &str, name: &str, url: &str, keys: &str) -> String {
    timed(kind, name, url, "10s", keys)
}

/// Likewise, with a timeout of its own.
pub(crate) fn timed(kind: &str, name: &str, url: &str, timeout: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\ninterval = \"10s\"\ntimeout = \"{timeout}\"\n{keys}\n"
    )
}

/// Its first run comes to this: state, reason, and what it says.
#[track_caller]
pub(crate) fn expect(host: &Host, name: &str, state: &str, reason: Value, says: &str) -> Value {
    let found = host.until_run(name);
    assert_eq!((&found["state"], &found["reason"]), (&state.into(), &reason), "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
    found
}

/// It passes, and says this.
#[track_caller]
pub(crate) fn expect_pass(host: &Host, name: &str, says: &str) -> Value {
    let found = host.until_run(name);
    assert_eq!(found["state"], "pass", "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
    found
}

/// It fails for this reason, and says this.
#[track_caller]
pub(crate) fn expect_failure(host: &Host, name: &str, reason: &str, says: &str) -> Value {
    let found = host.until_run(name);
    assert_eq!((&found["state"], &found["reason"]), (&"fail".into(), &reason.into()), "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
    assert_eq!(found["outcome"]["fault"], false, "{found}");
    found
}

pub(crate) fn observation(check: &Value, name: &str) -> Option<f64> {
    let list = check["outcome"]["observations"].as_array().expect("observations");
    list.iter().find(|o| o["name"] == name)?["value"].as_f64()
}

/// The password of the databases is nowhere: not in the log, not in what is served, not in what
/// the commands print.
#[track_caller]
pub(crate) fn expect_no_password(host: &Host) {
    let mut texts = vec![("the log".to_owned(), host.log())];
    let mut paths: Vec<String> =
        host.names().iter().map(|name| format!("/api/v1/checks/{name}")).collect();
    paths.extend(
        [
            "/",
            "/health",
            "/health?format=text",
            "/health/status",
            "/api/v1/checks",
            "/api/v1/status",
            "/metrics",
        ]
        .map(str::to_owned),
    );
    for path in paths {
        let answer = host.get(&path).body;
        texts.push((path, answer));
    }
    let names = host.names();
    for args in [["validate", "--json"], ["run", &names[0]], ["run", &names[names.len() - 1]]] {
        let ended = finish(command().current_dir(host.dir()).args(args), "");
        texts.push((args.join(" "), ended.out + &ended.err));
    }
    for (place, text) in texts {
        for secret in [PASSWORD, ENCODED, "db-canary"] {
            assert!(!text.contains(secret), "`{secret}` is in {place}: {text}");
        }
    }
}

/// A `[[check]]` of a kind that has a host and a port for its target.
pub(crate) fn at(kind: &str, name: &str, target: impl std::fmt::Display, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"{kind}\"\ntarget = \"{target}\"\ninterval = \"10s\"\n{}{keys}\n",
        if keys.contains("timeout") { "" } else { "timeout = \"10s\"\n" }
    )
}

/// Runs a check of `kind` against everybody who misbehaves. `url` makes one for an address, and
/// `flood` is what a server says first so that it is believed, and then for ever.
#[track_caller]
pub(crate) fn each_way_to_misbehave(
    kind: &str,
    url: impl Fn(&str) -> String,
    flood: (&'static [u8], &'static [u8]),
) {
    let listeners: Vec<(&str, Listener, &[&str])> = vec![
        ("silent", silent(), &["timeout"]),
        ("closing", hangs_up(), &["closed"]),
        ("mail", says(b"220 mail.example.com ESMTP ready\r\n"), &["protocol"]),
        ("web", says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), &["protocol"]),
        ("zeros", floods(b"\0", b"\0"), &["protocol"]),
        ("ones", floods(b"\xff", b"\xff"), &["protocol", "query"]),
        ("flood", floods(flood.0, flood.1), &["too-large", "protocol"]),
        // What it hears first is no answer, or at least no complete one.
        ("echo", echoes(), &["protocol", "timeout"]),
    ];
    let at = |address: SocketAddr| url(&address.to_string());
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let mut config: String = listeners
        .iter()
        .map(|(name, listener, _)| timed(kind, name, &at(listener.address), &timeout, ""))
        .collect();
    let refused = SocketAddr::from(([127, 0, 0, 1], free_port()));
    config += &timed(kind, "refused", &at(refused), &timeout, "");
    config += &timed(kind, "unresolved", &url("name.invalid:1"), &timeout, "");
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "refused", "refused", "refused");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
    for (name, listener, reasons) in &listeners {
        let found = host.until_run(name);
        assert_eq!(found["state"], "fail", "{name}: {found}");
        let reason = found["reason"].as_str().unwrap_or_default();
        assert!(reasons.contains(&reason), "{name}: {reasons:?}: {found}");
        assert_eq!(found["outcome"]["fault"], false, "{found}");
        assert_eq!(found["outcome"]["details"]["peer"], listener.address.to_string(), "{found}");
        let took = Duration::from_secs_f64(found["duration_ms"].as_f64().expect("a number") / 1e3);
        // It ends at its deadline; what is over that is the machine's.
        assert!(took <= TIMEOUT + Duration::from_millis(300), "{name} took {took:?}");
    }
    assert_eq!(host.get("/livez").code, 200);
    expect_no_password(&host);
}
