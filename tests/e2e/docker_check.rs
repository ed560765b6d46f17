//! The kind `docker` against a fake of the daemon's API on a Unix socket.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::checks::{expect_failure, expect_pass, observation};
use crate::support::docker::{Daemon, container, health};
use crate::support::host::host;

fn check(name: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"docker\"\ncontainer = \"{name}\"\nsocket = \"docker.sock\"\ninterval = \"10s\"\ntimeout = \"900ms\"\n{keys}\n"
    )
}

#[test]
fn a_container_is_what_the_daemon_says() {
    let builder = host();
    let mut killed = container("exited", Value::Null);
    killed["State"]["OOMKilled"] = true.into();
    let mut exited = container("exited", Value::Null);
    exited["State"]["ExitCode"] = 137.into();
    let starting = || container("running", health("starting", 0, ""));
    let unhealthy = container("running", health("unhealthy", 5, "curl: (7) no\u{1b}[31m way\n"));
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    let error = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    let flood =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n{}", "x".repeat(2_000_000));
    let containers: BTreeMap<&str, Value> = [
        ("healthy", container("running", health("healthy", 0, ""))),
        ("bare", container("running", Value::Null)),
        ("bare-refused", container("running", Value::Null)),
        ("none", container("running", health("none", 0, ""))),
        ("starting", starting()),
        ("starting-fine", starting()),
        ("starting-bad", starting()),
        ("unhealthy", unhealthy),
        ("paused", container("paused", health("healthy", 0, ""))),
        ("exited", exited),
        ("killed", killed),
        ("page", page.into()),
        ("error", error.into()),
        ("flood", flood.into()),
        ("garbage", "220 hello\r\n\r\n".into()),
        ("hangs", Value::Null),
    ]
    .into();
    let keys = |name: &str| match name {
        "bare-refused" => "without-health = \"fail\"",
        "starting-fine" => "while-starting = \"pass\"",
        "starting-bad" => "while-starting = \"fail\"",
        _ => "",
    };
    let names: Vec<&str> = containers.keys().copied().chain(["absent"]).collect();
    let config: String = names.iter().map(|name| check(name, keys(name))).collect();
    let _daemon = Daemon::start(&builder.path().join("docker.sock"), containers);
    let host = builder.config(&config).start();
    let healthy = expect_pass(&host, "healthy", "running and healthy");
    assert_eq!(observation(&healthy, "restarts"), Some(3.0));
    assert_eq!(healthy["outcome"]["details"]["image"], "nginx:1.27");
    assert_eq!(healthy["target"], "healthy");
    expect_pass(&host, "bare", "running; it has no health check");
    expect_pass(&host, "none", "running; it has no health check");
    expect_pass(&host, "starting-fine", "its health check has not decided yet");
    assert_eq!(host.until_run("starting")["state"], "warn");
    for (name, reason, says) in [
        ("bare-refused", "unexpected-value", "it has no health check"),
        ("starting-bad", "unexpected-value", "has not decided yet"),
        (
            "unhealthy",
            "unexpected-value",
            "running and unhealthy, after 5 failures in a row; it says `curl: (7) no\\u{1b}[31m way`",
        ),
        ("paused", "unexpected-value", "paused (expected running)"),
        ("exited", "unexpected-value", "exited with code 137"),
        ("killed", "unexpected-value", "ended for lack of memory"),
        ("absent", "unexpected-status", "there is no container `absent`"),
        ("error", "unexpected-status", "the daemon answered 500"),
        ("page", "protocol", "not what a daemon says"),
        ("garbage", "protocol", "does not answer in HTTP"),
        ("flood", "too-large", "more than 1 MiB"),
        ("hangs", "timeout", "timed out"),
    ] {
        expect_failure(&host, name, reason, says);
    }
}

#[test]
fn a_daemon_that_is_not_there_is_a_fail() {
    let builder = host();
    let left = builder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    let config = [
        check("absent", ""),
        check("left", "").replace("docker.sock", "left.sock"),
        check("file", "").replace("docker.sock", "wellcheck.toml"),
    ]
    .concat();
    let host = builder.config(&config).start();
    expect_failure(&host, "absent", "unreachable", "there is no socket");
    expect_failure(&host, "left", "refused", "nobody listens on the socket");
    expect_failure(&host, "file", "refused", "nobody listens on the socket");
}
