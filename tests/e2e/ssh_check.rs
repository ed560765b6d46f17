//! The kind `ssh` against a real OpenSSH, and against servers that are none.

use std::net::SocketAddr;

use crate::support::checks::{at, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::listener::{floods, hangs_up, listener, says, silent};
use crate::support::mail::sshd;

#[test]
fn a_server_introduces_itself() {
    let target = format!("127.0.0.1:{}", sshd().port);
    let config = [
        at("ssh", "plain", &target, ""),
        at("ssh", "expected", &target, "expect = '^SSH-2\\.0-OpenSSH_\\d'"),
        at("ssh", "other", &target, "expect = 'dropbear'"),
    ];
    let host = host().config(&config.concat()).start();
    let plain = expect_pass(&host, "plain", "introduced itself as `SSH-2.0-OpenSSH_");
    let banner = plain["outcome"]["details"]["banner"].as_str().unwrap_or_default();
    assert!(banner.starts_with("SSH-2.0-OpenSSH_"), "{plain}");
    assert_eq!(plain["outcome"]["details"]["peer"], target, "{plain}");
    expect_pass(&host, "expected", "OpenSSH_");
    expect_failure(&host, "other", "unexpected-body", "does not match `dropbear`");
}

#[test]
fn what_else_listens_there_is_told_apart() {
    let chatty = says(b"welcome\r\nbe quiet\r\nSSH-2.0-other comments here\r\n");
    let first = says(b"SSH-1.5-old\n");
    let nothing = says(b"SSH-2.0-\r\n");
    let mail = floods(b"", b"220 mail.example.com ESMTP\r\n");
    let flood = floods(b"", b"x");
    let (silent, rude) = (silent(), hangs_up());
    let partial = listener(|stream| std::io::Write::write_all(stream, b"SSH-2.0-cut"));
    let on = |name, address: SocketAddr| at("ssh", name, address, "timeout = \"700ms\"");
    let config = [
        on("chatty", chatty.address),
        on("first", first.address),
        on("nothing", nothing.address),
        on("mail", mail.address),
        on("flood", flood.address),
        on("silent", silent.address),
        on("rude", rude.address),
        on("partial", partial.address),
    ];
    let host = host().config(&config.concat()).start();
    expect_pass(&host, "chatty", "introduced itself as `SSH-2.0-other comments here`");
    expect_failure(&host, "first", "protocol", "speaks SSH 1.5 (expected 2.0)");
    expect_failure(&host, "nothing", "protocol", "which names no software");
    expect_failure(&host, "mail", "protocol", "does not speak SSH");
    expect_failure(&host, "flood", "protocol", "does not speak SSH");
    expect_failure(&host, "silent", "timeout", "while waiting for the introduction of");
    expect_failure(&host, "rude", "closed", "closed the connection");
    expect_failure(&host, "partial", "closed", "closed the connection");
}
