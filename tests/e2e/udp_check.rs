//! The kind `udp` against targets that answer, refuse and stay silent.

use crate::support::checks::{expect_failure, expect_pass};
use crate::support::datagrams::{Datagrams, datagrams, nobody};
use crate::support::host::host;

fn at(name: &str, target: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"udp\"\ntarget = \"{target}\"\ninterval = \"10s\"\n\
         timeout = \"600ms\"\n{keys}\n"
    )
}

#[test]
fn datagrams_are_sent_and_answers_judged() {
    let echo = datagrams(|bytes| vec![bytes.to_vec()]);
    let deaf = datagrams(|_| Vec::new());
    let empty = datagrams(|_| vec![Vec::new()]);
    let large = datagrams(|_| vec![vec![b'x'; 65_507]; 3]);
    let on = |target: &Datagrams| target.address.to_string();
    let config = [
        at("text", &on(&echo), "send = \"ping\\n\"\nexpect = \"ing\\n\""),
        at("hex", &on(&echo), "send-hex = \"ff:00 FE\"\nexpect-hex = \"00fe\""),
        at(
            "facts",
            &on(&echo),
            "send = \"ping\"\nfail = [\"!answered\", \"body != 'ping'\", \"body.size != 4B\"]",
        ),
        at("no-fact", &on(&deaf), "wait = \"50ms\"\nfail = \"!answered\""),
        at("other", &on(&echo), "send = \"ping\"\nexpect = \"pong\""),
        at("empty", &on(&empty), "silence = \"fail\""),
        at("large", &on(&large), "send = \"a\"\nexpect = \"xxx\""),
        at("silent", &on(&deaf), "send = \"ping\"\nexpect = \"pong\""),
        at("silence-passes", &on(&deaf), "wait = \"50ms\""),
        at("silence-passes-at-the-end", &on(&deaf), "wait = \"1m\""),
        at("silence-fails", &on(&deaf), "silence = \"fail\""),
        at("refused", &nobody().to_string(), ""),
        at("unresolved", "name.invalid:1", ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "text", "answered `ping\\n`");
    expect_pass(&host, "hex", "answered");
    expect_pass(&host, "facts", "answered `ping`");
    expect_failure(&host, "no-fact", "unexpected-value", "answered is false");
    expect_failure(&host, "other", "unexpected-body", "the answer does not contain `pong`: `ping`");
    expect_pass(&host, "empty", "answered ``");
    expect_pass(&host, "large", "answered `xxx");
    expect_failure(&host, "silent", "timeout", "waiting for an answer from");
    let quiet = expect_pass(&host, "silence-passes", "nobody answered or refused");
    assert!(quiet["duration_ms"].as_f64().is_some_and(|ms| ms < 500.0), "{quiet}");
    expect_pass(&host, "silence-passes-at-the-end", "nobody answered or refused");
    expect_failure(&host, "silence-fails", "timeout", "waiting for an answer from");
    expect_failure(&host, "refused", "refused", "nobody listens there");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
}
