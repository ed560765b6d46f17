//! The kind `nats` against a real NATS with JetStream, and against servers that are none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::brokers::nats;
use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
    timed,
};
use crate::support::databases::{ENCODED, PASSWORD};
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn at(name: &str, url: &str, keys: &str) -> String {
    check("nats", name, url, keys)
}

/// A client of the tests, logged in.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect() -> Self {
        let stream = TcpStream::connect(("127.0.0.1", nats().port)).expect("it listens");
        let mut client = Self(BufReader::new(stream));
        client.line();
        client.say(&format!(
            "CONNECT {{\"verbose\":false,\"user\":\"app\",\"pass\":\"{PASSWORD}\"}}\r\n"
        ));
        client
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it hears");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it speaks");
        line
    }

    /// Asks JetStream, and waits for its answer.
    fn api(&mut self, what: &str, body: &str) {
        self.say(&format!(
            "SUB _INBOX.test 1\r\nUNSUB 1 1\r\nPUB $JS.API.{what} _INBOX.test {}\r\n{body}\r\n",
            body.len()
        ));
        assert!(self.line().starts_with("MSG _INBOX.test"), "an answer");
        let answer = self.line();
        assert!(!answer.contains("\"error\""), "{answer}");
    }
}

/// A stream with three messages, of which none was fetched.
fn orders() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let mut client = Client::connect();
        client.api("STREAM.CREATE.ORDERS", r#"{"name":"ORDERS","subjects":["orders.new"]}"#);
        for _ in 0..3 {
            client.say("PUB orders.new 5\r\nhello\r\n");
        }
        client.api(
            "CONSUMER.DURABLE.CREATE.ORDERS.billing",
            r#"{"stream_name":"ORDERS","config":{"durable_name":"billing","ack_policy":"explicit","deliver_policy":"all"}}"#,
        );
    });
}

#[test]
fn logins_round_trips_and_requests_pass() {
    orders();
    let url = format!("nats://app:{ENCODED}@127.0.0.1:{}", nats().port);
    // Somebody who answers.
    let mut responder = Client::connect();
    responder.say("SUB ping.me 7\r\nPING\r\n");
    assert_eq!(responder.line(), "PONG\r\n");
    std::thread::spawn(move || {
        loop {
            let line = responder.line();
            if line.starts_with("PING") {
                responder.say("PONG\r\n");
            } else if let Some(reply) = line.split_whitespace().nth(3) {
                responder.line();
                responder.say(&format!("PUB {reply} 4\r\npong\r\n"));
            } else if line.is_empty() {
                return;
            }
        }
    });
    let config = [
        at("plain", &url, "fail = \"!version.contains('.')\""),
        at("round", &url, "subject = \"health.wellcheck\""),
        at("request", &url, "request = \"ping.me\"\npayload = \"ping\"\nexpect = \"pong\""),
        at("other-answer", &url, "request = \"ping.me\"\nexpect = \"peng\""),
        at("nobody", &url, "request = \"nobody.here\""),
        at("jetstream", &url, "jetstream = true"),
        at("stream", &url, "stream = \"ORDERS\""),
        at("consumer", &url, "stream = \"ORDERS\"\nconsumer = \"billing\""),
        at(
            "facts",
            &url,
            "jetstream = true\nstream = \"ORDERS\"\nconsumer = \"billing\"\nrequest = \"ping.me\"\nfail = [             \"messages != 3\", \"bytes > 1MiB\", \"consumers != 1\", \"pending != 3\", \"ack-pending != 0\",              \"redelivered != 0\", \"streams != 1\", \"storage > 1MiB\", \"memory > 0B\", \"answer != 'pong'\"]",
        ),
        at("behind", &url, "stream = \"ORDERS\"\nconsumer = \"billing\"\nwarn = \"pending > 2\""),
        at("no-stream", &url, "stream = \"ABSENT\""),
        at("no-consumer", &url, "stream = \"ORDERS\"\nconsumer = \"absent\""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    let plain = expect_pass(&host, "plain", "answered PONG");
    assert!(
        plain["outcome"]["details"]["server-version"].as_str().is_some_and(|v| v.contains('.')),
        "{plain}"
    );
    for phase in ["response-time", "connect", "login"] {
        assert!(
            observation(&plain, phase).is_some_and(|s| s > 0.0 && s < 10.0),
            "{phase}: {plain}"
        );
    }
    expect_pass(&host, "round", "a message to `health.wellcheck` came back");
    expect_pass(&host, "request", "`ping.me` answered `pong`");
    expect_failure(&host, "other-answer", "unexpected-value", "does not contain `peng`: `pong`");
    expect_failure(&host, "nobody", "query", "nobody answers to `nobody.here`");
    expect_pass(&host, "jetstream", "JetStream answered");
    expect_pass(&host, "stream", "the stream `ORDERS` has 3 messages");
    expect_pass(&host, "consumer", "3 of 3 messages of `ORDERS` wait for `billing`");
    expect_pass(&host, "facts", "wait for `billing`");
    assert_eq!(host.until_run("behind")["state"], "warn");
    expect_failure(&host, "no-stream", "query", "stream not found");
    expect_failure(&host, "no-consumer", "query", "consumer not found");
    expect_no_password(&host);
}

#[test]
fn what_nats_refuses_has_its_reason() {
    let server = nats();
    let (port, tls) = (server.port, server.tls_port);
    let guest = format!("nats://guest:{ENCODED}@127.0.0.1:{port}");
    let token = format!("tls://{ENCODED}@127.0.0.1:{tls}");
    let config = [
        at("wrong-password", &format!("nats://app:wrong@127.0.0.1:{port}"), ""),
        at("no-password", &format!("nats://127.0.0.1:{port}"), ""),
        at("allowed", &guest, "subject = \"allowed.wellcheck\""),
        at("forbidden", &guest, "subject = \"orders.new\""),
        at("trusted", &token, "tls-ca = \"ca.pem\""),
        at("untrusted", &token, ""),
        at("named", &token, "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\""),
        at("anyone", &token, "tls-verify = false"),
        at("wants-tls", &format!("nats://{ENCODED}@127.0.0.1:{tls}"), ""),
        timed("nats", "no-tls", &format!("tls://app:{ENCODED}@127.0.0.1:{port}"), "500ms", ""),
    ]
    .concat();
    let host =
        host().env("WELLCHECK_LOG", "debug").config(&config).file("ca.pem", &server.ca).start();
    expect_failure(&host, "wrong-password", "login", "Authorization Violation");
    expect_failure(&host, "no-password", "login", "Authorization Violation");
    expect_pass(&host, "allowed", "came back");
    expect_failure(&host, "forbidden", "query", "Permissions Violation for Subscription");
    let trusted = expect_pass(&host, "trusted", "answered PONG");
    assert_eq!(trusted["outcome"]["details"]["tls-version"], "1.3", "{trusted}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_failure(&host, "named", "tls-wrong-name", "");
    expect_pass(&host, "anyone", "answered PONG");
    expect_failure(&host, "wants-tls", "tls", "write `tls://`");
    assert_eq!(host.until_run("no-tls")["state"], "fail");
    expect_no_password(&host);
}

/// Introduces itself, and then says this.
fn scripted(piece: &'static [u8]) -> Listener {
    listener(move |stream| {
        stream.write_all(b"INFO {\"version\":\"0\"}\r\n")?;
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"PING\r\n+OK\r\nPONG\r\n")?;
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(piece)?;
        let _ = stream.read(&mut [0; 1024])?;
        Ok(())
    })
}

#[test]
fn nats_servers_that_ramble_are_bounded() {
    let cases = [
        ("long", scripted(b"MSG a 1 99999999999999999999\r\n")),
        ("short", scripted(b"MSG\r\n")),
        ("head", scripted(b"HMSG a 1 50 5\r\nhello\r\n")),
        ("end", scripted(b"MSG a 1 5\r\nhelloxx")),
        ("info", scripted(b"INFO {\r\n")),
    ];
    let config: String = cases
        .iter()
        .map(|(name, listener)| {
            at(name, &format!("nats://{}", listener.address), "subject = \"a\"")
        })
        .collect();
    let host = host().config(&config).start();
    for (name, _) in &cases {
        expect_failure(&host, name, "protocol", "does not speak the protocol of NATS");
    }
}

#[test]
fn a_token_that_a_server_repeats_is_not_shown() {
    let gossip = scripted(b"-ERR 'never heard of db-canary-5f1c/@#'\r\n");
    let config = at("gossip", &format!("nats://{ENCODED}@{}", gossip.address), "subject = \"a\"");
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "gossip", "query", "never heard of [redacted]");
    expect_no_password(&host);
}

#[test]
fn nats_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("nats://app:{ENCODED}@{address}");
    each_way_to_misbehave("nats", url, (b"INFO {}\r\n", b"+OK\r\n"));
}
