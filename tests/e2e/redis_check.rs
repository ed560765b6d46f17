//! The kind `redis` against a real Redis, and against servers that are none.

use std::io::{Read, Write};

use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
    timed,
};
use crate::support::databases::{ENCODED, redis};
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn at(name: &str, url: &str, keys: &str) -> String {
    check("redis", name, url, keys)
}

#[test]
fn a_login_and_a_ping_pass() {
    let port = redis().port;
    let config = [
        at("plain", &format!("redis://:{ENCODED}@127.0.0.1:{port}"), ""),
        at("database", &format!("redis://default:{ENCODED}@127.0.0.1:{port}/3"), ""),
        at("guest", &format!("redis://guest:{ENCODED}@127.0.0.1:{port}"), ""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    let plain = expect_pass(&host, "plain", "answered PONG (Redis ");
    assert_eq!(plain["target"], format!("redis://127.0.0.1:{port}"));
    assert_eq!(plain["outcome"]["details"]["peer"], format!("127.0.0.1:{port}"));
    assert!(plain["outcome"]["details"]["server-version"].is_string(), "{plain}");
    for phase in ["response-time", "connect", "login", "query"] {
        assert!(
            observation(&plain, phase).is_some_and(|s| s > 0.0 && s < 10.0),
            "{phase}: {plain}"
        );
    }
    expect_pass(&host, "database", "answered PONG");
    let guest = expect_pass(&host, "guest", "answered PONG");
    assert_eq!(guest["message"], "answered PONG", "it may not ask what answers");
    expect_no_password(&host);
}

#[test]
fn what_the_server_refuses_has_its_reason() {
    let port = redis().port;
    let config = [
        at("wrong-password", &format!("redis://:wrong@127.0.0.1:{port}"), ""),
        at("no-password", &format!("redis://127.0.0.1:{port}"), ""),
        at("no-database", &format!("redis://:{ENCODED}@127.0.0.1:{port}/4242"), ""),
        at("no-right", &format!("redis://guest:{ENCODED}@127.0.0.1:{port}/1"), ""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "wrong-password", "login", "WRONGPASS");
    expect_failure(&host, "no-password", "login", "NOAUTH");
    expect_failure(&host, "no-database", "query", "DB index is out of range");
    expect_failure(&host, "no-right", "query", "NOPERM");
    expect_no_password(&host);
}

#[test]
fn tls_is_judged() {
    let server = redis();
    let (port, plain) = (server.tls_port, server.port);
    let url = format!("rediss://:{ENCODED}@127.0.0.1:{port}/0");
    let config = [
        at("trusted", &url, "tls-ca = \"ca.pem\""),
        at("untrusted", &url, ""),
        at("anyone", &url, "tls-verify = false"),
        at("named", &url, "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\""),
        // Redis waits for the end of the line that it takes this for.
        timed("redis", "no-tls", &format!("rediss://:{ENCODED}@127.0.0.1:{plain}/0"), "500ms", ""),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", &server.ca).start();
    let trusted = expect_pass(&host, "trusted", "answered PONG");
    assert_eq!(trusted["outcome"]["details"]["tls-version"], "1.3", "{trusted}");
    assert!(observation(&trusted, "tls").is_some_and(|seconds| seconds > 0.0), "{trusted}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "anyone", "answered PONG");
    expect_failure(&host, "named", "tls-wrong-name", "");
    expect_failure(&host, "no-tls", "timeout", "shaking hands (TLS)");
}

/// Says its pieces, each when it has heard something.
fn scripted(pieces: &'static [&'static str]) -> Listener {
    listener(move |stream| {
        let mut buffer = [0; 1024];
        for piece in pieces {
            let _ = stream.read(&mut buffer)?;
            stream.write_all(piece.as_bytes())?;
        }
        let _ = stream.read(&mut buffer)?;
        Ok(())
    })
}

#[test]
fn what_a_server_says_before_it_is_ready_is_told() {
    let loading = scripted(&["+OK\r\n", "-LOADING Redis is loading the dataset in memory\r\n"]);
    let orphan = scripted(&[
        "+OK\r\n",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    ]);
    let full = scripted(&["-ERR max number of clients reached\r\n"]);
    // Redis before version 6 repeats what it does not understand.
    let gossip = scripted(&[
        "-ERR unknown command `AUTH`, with args beginning with: `db-canary-5f1c/@#`, \r\n",
    ]);
    let strange = scripted(&["+OK\r\n", "+PENG\r\n"]);
    let short = scripted(&["+OK\r\n", "+PONG\r\n"]);
    let long = scripted(&["+OK\r\n", "+PONG\r\n", "$999999999999\r\nx"]);
    let list = scripted(&["*1000000000\r\n"]);
    let bare = |listener: &Listener| format!("redis://:{ENCODED}@{}", listener.address);
    let config = [
        at("loading", &bare(&loading), ""),
        at("orphan", &bare(&orphan), ""),
        at("full", &bare(&full), ""),
        at("gossip", &bare(&gossip), ""),
        at("strange", &bare(&strange), ""),
        at("short", &bare(&short), ""),
        at("long", &bare(&long), ""),
        at("list", &bare(&list), ""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "loading", "query", "LOADING Redis is loading");
    expect_failure(&host, "orphan", "query", "MASTERDOWN Link with MASTER is down");
    expect_failure(&host, "full", "query", "max number of clients reached");
    expect_failure(&host, "gossip", "login", "[redacted]");
    expect_failure(&host, "strange", "protocol", "answers PING with something else");
    expect_pass(&host, "short", "answered PONG");
    expect_pass(&host, "long", "answered PONG");
    expect_failure(&host, "list", "protocol", "does not speak the protocol of Redis");
    expect_no_password(&host);
}

#[test]
fn redis_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("redis://:{ENCODED}@{address}/0");
    each_way_to_misbehave("redis", url, (b"+", b"yyyy"));
}

#[test]
fn conditions_judge_what_info_says() {
    let url = format!("redis://:{ENCODED}@127.0.0.1:{}", redis().port);
    let config = [
        at(
            "holds",
            &url,
            "fail = [\"answer != 'PONG'\", \"info.role != 'master'\", \"info.connected_clients < 1\", \"info.maxmemory_policy == 'x'\", \"!version.startsWith(info.redis_version)\"]",
        ),
        at("clients", &url, "fail = \"info.connected_clients >= 1\""),
        at("other", &url, "warn = \"info.no_such_line == 1\""),
        at("guest", &format!("redis://guest:{ENCODED}@127.0.0.1:{}", redis().port), "fail = \"info.role != 'master'\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "holds", "answered PONG");
    expect_failure(&host, "clients", "unexpected-value", "info.connected_clients is ");
    let other = host.until_run("other");
    assert_eq!(
        other["message"],
        "info.no_such_line is not there (warns when `info.no_such_line == 1`)"
    );
    expect_failure(&host, "guest", "unexpected-value", "info.role is not there");
}
