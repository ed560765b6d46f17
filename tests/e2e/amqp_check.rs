//! The kind `amqp` against a real RabbitMQ, and against brokers that are none.

use std::io::{Read, Write};

use crate::support::brokers::rabbitmq;
use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
};
use crate::support::databases::ENCODED;
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn at(name: &str, url: &str, keys: &str) -> String {
    check("amqp", name, url, keys)
}

#[test]
fn logins_virtual_hosts_and_queues_are_told() {
    let server = rabbitmq();
    let (port, tls) = (server.port, server.tls_port);
    let url = |vhost: &str| format!("amqp://app:{ENCODED}@127.0.0.1:{port}/{vhost}");
    let secured = format!("amqps://app:{ENCODED}@127.0.0.1:{tls}/shop");
    let config = [
        at(
            "plain",
            &url("shop"),
            "fail = \"!version.startsWith('3.') && !version.startsWith('4.')\"",
        ),
        at(
            "queue",
            &url("shop"),
            "queue = \"orders\"\nfail = [\"messages > 0\", \"consumers > 0\"]",
        ),
        at("unserved", &url("shop"), "queue = \"orders\"\nwarn = \"consumers < 1\""),
        at("no-queue", &url("shop"), "queue = \"absent\""),
        at("no-vhost", &url("absent"), ""),
        at("closed-vhost", &url("closed"), ""),
        at("wrong-password", &format!("amqp://app:wrong@127.0.0.1:{port}/shop"), ""),
        at("trusted", &secured, "tls-ca = \"ca.pem\"\nqueue = \"orders\""),
        at("untrusted", &secured, ""),
        at("other-name", &secured, "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\""),
    ]
    .concat();
    let host =
        host().env("WELLCHECK_LOG", "debug").config(&config).file("ca.pem", &server.ca).start();
    let plain = expect_pass(&host, "plain", "opened the virtual host `shop`");
    let version = plain["outcome"]["details"]["server-version"].as_str().expect("a version");
    assert!(version.contains('.'), "{plain}");
    let queue =
        expect_pass(&host, "queue", "the queue `orders` has 0 messages ready and 0 consumers");
    for phase in ["response-time", "connect", "login", "query"] {
        assert!(
            observation(&queue, phase).is_some_and(|s| s > 0.0 && s < 10.0),
            "{phase}: {queue}"
        );
    }
    assert_eq!(host.until_run("unserved")["state"], "warn");
    expect_failure(&host, "no-queue", "query", "NOT_FOUND - no queue 'absent' in vhost 'shop'");
    expect_failure(&host, "no-vhost", "query", "vhost absent not found");
    expect_failure(
        &host,
        "closed-vhost",
        "query",
        "access to vhost 'closed' refused for user 'app'",
    );
    expect_failure(&host, "wrong-password", "login", "ACCESS_REFUSED");
    let trusted = expect_pass(&host, "trusted", "the queue `orders`");
    assert!(trusted["outcome"]["details"]["tls-version"].is_string(), "{trusted}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_failure(&host, "other-name", "tls-wrong-name", "");
    expect_no_password(&host);
}

/// Says this to whoever introduces himself.
fn scripted(piece: &'static [u8]) -> Listener {
    listener(move |stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(piece)?;
        let _ = stream.read(&mut [0; 1024])?;
        Ok(())
    })
}

#[test]
fn brokers_that_ramble_are_bounded() {
    let cases = [
        ("version", scripted(b"AMQP\x00\x01\x00\x00"), "protocol", "does not speak AMQP 0-9-1"),
        ("huge", scripted(b"\x01\0\0\xff\xff\xff\xff"), "protocol", "does not speak AMQP 0-9-1"),
        (
            "end",
            scripted(b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\0"),
            "protocol",
            "does not speak AMQP 0-9-1",
        ),
        (
            "empty",
            scripted(b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce"),
            "protocol",
            "does not speak AMQP 0-9-1",
        ),
        (
            "no-password",
            scripted(b"\x01\0\0\0\0\0\x16\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x08EXTERNAL\xce"),
            "login",
            "it has no login by password (PLAIN), but EXTERNAL",
        ),
        (
            "close",
            scripted(b"\x01\0\0\0\0\0\x0e\0\x0a\0\x32\x01\x40\x03NO!\0\0\0\0\xce"),
            "query",
            "NO!",
        ),
    ];
    let config: String = cases
        .iter()
        .map(|(name, listener, ..)| at(name, &format!("amqp://{}/shop", listener.address), ""))
        .collect();
    let host = host().config(&config).start();
    for (name, _, reason, says) in &cases {
        expect_failure(&host, name, reason, says);
    }
}

#[test]
fn amqp_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("amqp://app:{ENCODED}@{address}/shop");
    // Heartbeats without end.
    each_way_to_misbehave("amqp", url, (b"", b"\x08\0\0\0\0\0\0\xce"));
}
