//! The kind `tcp` against a real nginx, and against listeners that say this and that.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::checks::{at, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::listener::{floods, hangs_up, listener, silent};
use crate::support::nginx::Nginx;
use crate::support::servers::free_address;
use crate::support::target;
use crate::support::wait::pause;

fn check(name: &str, target: SocketAddr, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"tcp\"\ntarget = \"{target}\"\ninterval = \"1s\"\ntimeout = \"700ms\"\n{keys}\n"
    )
}

#[test]
fn a_port_that_answers_passes_and_one_that_refuses_fails() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let free = free_address();
    let get = "send = \"GET / HTTP/1.0\\r\\n\\r\\n\"\n";
    let config = [
        check("open", nginx.address, ""),
        check("says", nginx.address, &format!("{get}expect = \"200 OK\"")),
        check("lacks", nginx.address, &format!("{get}expect = \"404\"")),
        check("refused", free, ""),
        check("nobody", free, "").replace(&free.to_string(), "nobody.invalid:80"),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "open", "connected");
    expect_pass(&host, "says", "answered `HTTP/1.1 200 OK\\r\\n");
    expect_failure(&host, "lacks", "unexpected-body", "does not contain `404`: `HTTP/1.1 200 OK");
    expect_failure(&host, "refused", "refused", &free.to_string());
    expect_failure(&host, "nobody", "resolve", "nobody.invalid");
    let open = host.check("open");
    assert_eq!(open["target"], nginx.address.to_string());
    assert_eq!(open["outcome"]["details"]["peer"], nginx.address.to_string());
    let observations = open["outcome"]["observations"].as_array().expect("observations");
    assert!(observations.iter().any(|o| o["name"] == "connect"), "{open}");
    assert_eq!(host.get("/health/open?format=genesis").json()[0]["PORT"], nginx.address.port());
}

#[test]
fn what_a_listener_says_is_waited_for_and_bounded() {
    let banner = listener(|stream| {
        for piece in ["220 mail.exa", "mple.com ES", "MTP\r\n"] {
            stream.write_all(piece.as_bytes())?;
            pause(Duration::from_millis(20));
        }
        stream.read(&mut [0; 8]).map(drop)
    });
    let (silent, rude, flood) = (silent(), hangs_up(), floods(b"", b"x"));
    let config = [
        check("banner", banner.address, "expect = \"example.com ESMTP\""),
        check("other-banner", banner.address, "expect = \"554\""),
        check("silent", silent.address, "expect = \"220\""),
        check("rude", rude.address, "expect = \"220\""),
        check("flood", flood.address, "expect = \"220\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "banner", "answered `220 mail.example.com ESMTP");
    expect_failure(&host, "other-banner", "unexpected-body", "all that came in time does not");
    expect_failure(&host, "silent", "timeout", "timed out after 700ms while waiting for an answer");
    expect_failure(&host, "rude", "closed", "closed the connection");
    expect_failure(&host, "flood", "unexpected-body", "the first 64 KiB does not contain `220`");
}

#[test]
fn tls_is_spoken_and_judged_as_everywhere() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(&authority.good(), "location / { return 200 fine; }");
    let config = [
        check("trusted", nginx.address, "tls = true\ntls-ca = \"ca.pem\""),
        check("untrusted", nginx.address, "tls = true"),
        check("anyone", nginx.address, "tls = true\ntls-verify = false"),
    ]
    .concat();
    let host = host().file("ca.pem", authority.pem()).config(&config).start();
    expect_pass(&host, "trusted", "connected");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "anyone", "connected");
    assert_eq!(host.check("trusted")["outcome"]["details"]["tls-version"], "1.3");
}

/// The same, with time for a real server.
fn patient(check: &str) -> String {
    check.replace("\"700ms\"", "\"5s\"").replace("interval = \"1s\"", "interval = \"10s\"")
}

fn scripted(name: &str, target: SocketAddr, steps: &str, keys: &str) -> String {
    patient(&check(name, target, &format!("script = [{steps}]\n{keys}")))
}

#[test]
fn a_script_is_gone_through_step_by_step() {
    let mail = crate::support::mail::exim();
    let address = SocketAddr::from(([127, 0, 0, 1], mail.port));
    let begin = "{ expect = '^220 (?<host>\\S+) ESMTP (\\w+)', reject = '^[45]' }, \
                 { send = \"EHLO {{host}}\\r\\n\" }, { expect = '^250-STARTTLS$', reject = '^5' }";
    let config = [
        scripted("whole", address, begin, ""),
        scripted(
            "secured",
            address,
            &format!(
                "{begin}, {{ send = \"STARTTLS\\r\\n\" }}, {{ expect = '^220' }}, {{ starttls = true }}, \
                 {{ send = \"EHLO again\\r\\n\" }}, {{ expect = '^250-AUTH PLAIN' }}"
            ),
            "tls-ca = \"ca.pem\"",
        ),
        scripted(
            "sent-back",
            address,
            &format!(
                "{begin}, {{ send = \"VRFY {{{{2}}}}-{{{{none}}}}\\r\\n\" }}, {{ expect = '^550' }}"
            ),
            "",
        )
        .replace("{{none}}", "{{0}}"),
        scripted(
            "rejected",
            address,
            &format!(
                "{begin}, {{ send = \"NONSENSE\\r\\n\" }}, {{ expect = '^250 fine', reject = '^[45]' }}"
            ),
            "",
        ),
        scripted("never", address, "{ expect = '^999' }", "").replace("\"5s\"", "\"700ms\""),
        scripted(
            "untrusted",
            address,
            &format!(
                "{begin}, {{ send = \"STARTTLS\\r\\n\" }}, {{ expect = '^220' }}, {{ starttls = true }}"
            ),
            "",
        ),
    ];
    let host = host().file("ca.pem", &mail.ca).config(&config.concat()).start();
    expect_pass(&host, "whole", "answered `250-STARTTLS`");
    let secured = expect_pass(&host, "secured", "answered `250-AUTH PLAIN`");
    assert_eq!(secured["outcome"]["details"]["tls-version"], "1.3", "{secured}");
    expect_failure(&host, "sent-back", "unexpected-body", "step 5: ");
    expect_failure(
        &host,
        "rejected",
        "unexpected-body",
        "which is rejected (expected `^250 fine`)",
    );
    expect_failure(
        &host,
        "never",
        "unexpected-body",
        "step 1: time was up, and no line matches `^999`; the last one was `220 mail.test",
    );
    expect_failure(&host, "untrusted", "tls-untrusted", "");
}

#[test]
fn a_script_ends_whatever_the_other_side_does() {
    let (silent, rude) = (silent(), hangs_up());
    let lines = floods(b"", b"250-again\r\n");
    let endless = floods(b"", b"x");
    let partial = listener(|stream| stream.write_all(b"220 hello\r\nno end of line"));
    let config = [
        scripted("silent", silent.address, "{ expect = '^220' }", "")
            .replace("\"5s\"", "\"700ms\""),
        scripted("rude", rude.address, "{ expect = '^220' }", ""),
        scripted("lines", lines.address, "{ expect = '^220' }", ""),
        scripted("endless", endless.address, "{ expect = '^220' }", ""),
        scripted("rest", partial.address, "{ expect = '^no end of line$' }", ""),
    ];
    let host = host().config(&config.concat()).start();
    expect_failure(
        &host,
        "silent",
        "timeout",
        "timed out after 700ms while waiting for an answer of",
    );
    expect_failure(
        &host,
        "rude",
        "unexpected-body",
        "step 1: the connection was closed before a line came",
    );
    expect_failure(
        &host,
        "lines",
        "unexpected-body",
        "step 1: 1000 lines came, and no line matches `^220`; the last one was `250-again`",
    );
    expect_failure(&host, "endless", "too-large", "sent more than 1 MiB");
    expect_pass(&host, "rest", "answered `no end of line`");
}

#[test]
fn tls_begins_as_servers_want_it() {
    let mail = crate::support::mail::exim();
    let address = SocketAddr::from(([127, 0, 0, 1], mail.port));
    let keys = "starttls = \"smtp\"\ntls-ca = \"ca.pem\"\nsend = \"EHLO x\\r\\n\"\nexpect = \"AUTH PLAIN\"";
    let config = patient(&check("mail", address, keys));
    let host = host().file("ca.pem", &mail.ca).config(&config).start();
    let found = expect_pass(&host, "mail", "answered `250-mail.test Hello x");
    assert_eq!(found["outcome"]["details"]["tls-version"], "1.3", "{found}");
}

#[test]
fn conditions_judge_the_phases_of_a_connection() {
    let web = target::http().status(200).start();
    let config = [
        at("tcp", "phases", web.address, "fail = [\"resolve > 5s\", \"connect > 5s\"]"),
        at("tcp", "at-once", web.address, "warn = \"connect >= 0s\""),
    ];
    let host = host().config(&config.concat()).start();
    expect_pass(&host, "phases", "connected");
    let found = host.until_run("at-once");
    assert_eq!(found["state"], "warn", "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains("connect is ")), "{found}");
}
