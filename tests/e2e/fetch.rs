//! The contract's own `http`: what it sends, and that grants and limits hold for it as they do for
//! `wasi:http`.

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::target::{self, Target};

fn start(settings: &str, rest: &str) -> Host {
    let config = format!(
        "[[check]]\nname = \"fetch\"\nplugin = \"fetch\"\ninterval = \"2s\"\ntimeout = \"2s\"\n\
         settings = {{ {settings} }}\n{rest}"
    );
    host().config(&config).guest("fetch").start()
}

fn granted(target: &Target) -> String {
    format!("[check.grants]\nhttp = [\"{}\"]\n", target.url(""))
}

#[track_caller]
fn ran(host: &Host) -> Value {
    host.until_run("fetch")
}

#[track_caller]
fn faulted(host: &Host, reason: &str, says: &str) {
    let check = ran(host);
    assert_eq!((&check["state"], &check["reason"]), (&"unknown".into(), &reason.into()), "{check}");
    assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
}

#[test]
fn fetch_sends_what_it_is_given_and_gets_the_whole_answer() {
    let target = target::http().status(404).header("Content-Type", "text/x").body("hello").start();
    let settings = format!(
        "url = \"{}\", method = \"PUT\", body = \"{{}}\", headers = [[\"X-One\", \"1\"]]",
        target.url("/path?query#fragment")
    );
    let host = start(&settings, &granted(&target));
    let check = ran(&host);
    assert_eq!(check["message"], "answered 404", "{check}");
    assert_eq!(check["outcome"]["details"]["body"], "hello");
    assert_eq!(check["outcome"]["details"]["type"], "text/x");
    let request = target.requests()[0].to_lowercase();
    assert!(request.starts_with("put /path?query http/1.1\r\n"), "{request}");
    for line in ["x-one: 1\r\n", "content-length: 2\r\n", "user-agent: wellcheck/"] {
        assert!(request.contains(line), "`{line}`: {request}");
    }
}

#[test]
fn a_denied_fetch_wins_over_the_report() {
    let target = target::http().status(200).start();
    let host = start(&format!("url = \"{}\"", target.url("/")), "");
    let allow = format!("this would allow it: `http = [\"{}\"]`", target.url(""));
    faulted(&host, "denied", &allow);
    assert_eq!(target.count(), 0, "nothing arrived");
}

#[test]
fn fetch_counts_against_the_limits_of_requests_and_bodies() {
    let target = target::http().status(200).body(&"x".repeat(3000)).start();
    let settings = format!("url = \"{}\", times = 5", target.url("/"));
    let limits = format!("{}[check.limits]\nrequests = 3\n", granted(&target));
    faulted(&start(&settings, &limits), "limit", "limit of 3 requests");
    let settings = format!("url = \"{}\"", target.url("/"));
    let limits = format!("{}[check.limits]\nbody-bytes = \"2KiB\"\n", granted(&target));
    faulted(&start(&settings, &limits), "limit", "limit `body-bytes`");
}

#[test]
fn a_fetch_without_an_answer_says_why_in_time() {
    let check = |url: &str, grant: &str, more: &str, expected: &str| {
        let grants = format!("[check.grants]\nhttp = [\"{grant}\"]\n");
        let found = ran(&start(&format!("url = \"{url}\"{more}"), &grants));
        let message = found["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(expected), "`{expected}`: {found}");
    };
    let closed = target::http().status(200).start();
    let (url, origin) = (closed.url("/"), closed.url(""));
    drop(closed);
    check(&url, &origin, "", "refused: ");
    let silent = target::http().silent().start();
    let (url, origin) = (silent.url("/"), silent.url(""));
    check(&url, &origin, "", "timeout: ");
    check(&url, &origin, ", timeout-ms = 50", "timeout: ");
    check("ftp://a.test/", &origin, "", "request: `ftp://a.test/` is no http:// or https:// URL");
    check(&url, &origin, ", headers = [[\"Host\", \"other\"]]", "request: the header `host`");
    check(&url, &origin, ", method = \"TRACE\"", "request: neither CONNECT nor TRACE");
}
