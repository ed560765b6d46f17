//! The kind `mqtt` against a real mosquitto, and against brokers that are none.

use std::io::{Read, Write};

use crate::support::brokers::mosquitto;
use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
    timed,
};
use crate::support::databases::ENCODED;
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn at(name: &str, url: &str, keys: &str) -> String {
    check("mqtt", name, url, keys)
}

#[test]
fn logins_and_messages_to_oneself_pass() {
    let server = mosquitto();
    let url = format!("mqtt://app:{ENCODED}@127.0.0.1:{}", server.port);
    let tls = format!("mqtts://app:{ENCODED}@127.0.0.1:{}", server.tls_port);
    let config = [
        at("plain", &url, "fail = \"code != 0\""),
        at("named", &url, "client-id = \"probe-1\""),
        at("round", &url, "topic = \"health/wellcheck\""),
        at("surely", &url, "topic = \"health/surely\"\nqos = 1"),
        timed("mqtt", "forbidden", &url, "500ms", "topic = \"orders/new\""),
        at("wrong-password", &format!("mqtt://app:wrong@127.0.0.1:{}", server.port), ""),
        at("no-password", &format!("mqtt://127.0.0.1:{}", server.port), ""),
        at("trusted", &tls, "tls-ca = \"ca.pem\"\ntopic = \"health/tls\""),
        at("untrusted", &tls, ""),
        at("other-name", &tls, "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\""),
    ]
    .concat();
    let host =
        host().env("WELLCHECK_LOG", "debug").config(&config).file("ca.pem", &server.ca).start();
    let plain = expect_pass(&host, "plain", "answered PINGREQ");
    for phase in ["response-time", "connect", "login", "query"] {
        assert!(
            observation(&plain, phase).is_some_and(|s| s > 0.0 && s < 10.0),
            "{phase}: {plain}"
        );
    }
    expect_pass(&host, "named", "answered PINGREQ");
    expect_pass(&host, "round", "a message to `health/wellcheck` came back");
    expect_pass(&host, "surely", "a message to `health/surely` came back");
    // A broker that does not let it publish says nothing.
    expect_failure(&host, "forbidden", "timeout", "waiting for the answer");
    expect_failure(&host, "wrong-password", "login", "(code 5)");
    expect_failure(&host, "no-password", "login", "(code 5)");
    let trusted = expect_pass(&host, "trusted", "a message to `health/tls` came back");
    assert_eq!(trusted["outcome"]["details"]["tls-version"], "1.3", "{trusted}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_failure(&host, "other-name", "tls-wrong-name", "");
    expect_no_password(&host);
}

/// Says its pieces, each when it has heard something.
fn scripted(pieces: &'static [&'static [u8]]) -> Listener {
    listener(move |stream| {
        for piece in pieces {
            let _ = stream.read(&mut [0; 1024])?;
            stream.write_all(piece)?;
        }
        let _ = stream.read(&mut [0; 1024])?;
        Ok(())
    })
}

#[test]
fn every_refusal_has_its_words() {
    let code = |code: &'static [&'static [u8]]| scripted(code);
    let cases = [
        ("version", code(&[&[0x20, 2, 0, 1]]), "query", "version 3.1.1 (code 1)"),
        ("client", code(&[&[0x20, 2, 0, 2]]), "query", "`client-id` (code 2)"),
        ("gone", code(&[&[0x20, 2, 0, 3]]), "query", "not available (code 3)"),
        ("password", code(&[&[0x20, 2, 0, 4]]), "login", "(code 4)"),
        ("strange", code(&[&[0x20, 2, 0, 99]]), "query", "code 99"),
        (
            "refused",
            code(&[&[0x20, 2, 0, 0], &[0x90, 3, 0, 1, 0x80]]),
            "query",
            "refuses to subscribe to `a`",
        ),
        (
            "huge",
            code(&[&[0x20, 2, 0, 0], &[0x30, 0xff, 0xff, 0xff, 0x7f]]),
            "protocol",
            "does not speak MQTT",
        ),
        (
            "endless",
            code(&[&[0x20, 2, 0, 0], &[0x30, 0xff, 0xff, 0xff, 0xff]]),
            "protocol",
            "does not speak MQTT",
        ),
        (
            "cut",
            code(&[&[0x20, 2, 0, 0], &[0x32, 3, 0, 9, b'a']]),
            "protocol",
            "does not speak MQTT",
        ),
        ("short", code(&[&[0x20, 1, 0]]), "protocol", "does not speak MQTT"),
    ];
    let config: String = cases
        .iter()
        .map(|(name, listener, ..)| {
            at(name, &format!("mqtt://{}", listener.address), "topic = \"a\"")
        })
        .collect();
    let host = host().config(&config).start();
    for (name, _, reason, says) in &cases {
        expect_failure(&host, name, reason, says);
    }
}

#[test]
fn mqtt_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("mqtt://app:{ENCODED}@{address}");
    each_way_to_misbehave("mqtt", url, (b"\x20\x02\x00\x00", b"\x30\x02\x00\x00"));
}
