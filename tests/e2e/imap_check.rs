//! The kind `imap` against a real Dovecot, and against servers that are none.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::support::checks::{at, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::listener::{floods, hangs_up, listener, says, silent};
use crate::support::mail::{PASSWORD, USER, dovecot};

const TLS: &str = "starttls = true\ntls-ca = \"ca.pem\"\n";

#[test]
fn a_server_of_mailboxes_is_greeted_and_logged_in_to() {
    let mail = dovecot();
    let target = format!("127.0.0.1:{}", mail.port);
    let direct = format!("127.0.0.1:{}", mail.tls_port);
    let login = format!("user = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    let wrong = format!("user = \"{USER}\"\npassword = \"{PASSWORD}-not\"\n");
    let config = [
        at("imap", "plain", &target, "expect = 'wellcheck test ready'"),
        at("imap", "other", &target, "expect = 'Cyrus'"),
        at("imap", "starttls", &target, TLS),
        at("imap", "direct", &direct, "tls = true\ntls-ca = \"ca.pem\"\n"),
        at("imap", "untrusted", &direct, "tls = true"),
        at("imap", "login", &target, &format!("{TLS}{login}")),
        at("imap", "wrong", &target, &format!("{TLS}{wrong}")),
        at("imap", "in-the-clear", &target, &login),
    ];
    let host = host().file("ca.pem", &mail.ca).config(&config.concat()).start();
    expect_pass(&host, "plain", "wellcheck test ready");
    expect_failure(&host, "other", "unexpected-body", "does not match `Cyrus`");
    let secured = expect_pass(&host, "starttls", "greeted");
    assert_eq!(secured["outcome"]["details"]["tls-version"], "1.3", "{secured}");
    expect_pass(&host, "direct", "greeted");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "login", "logged in");
    expect_failure(&host, "wrong", "login", "refused the login: NO [AUTHENTICATIONFAILED]");
    // Dovecot takes what does not leave the machine for safe.
    expect_pass(&host, "in-the-clear", "logged in");
    for name in host.names() {
        let text = host.check(&name).to_string() + &host.log();
        assert!(!text.contains(PASSWORD), "{name}: {text}");
    }
}

#[test]
fn servers_that_misbehave_fail_with_a_reason() {
    let (silent, rude) = (silent(), hangs_up());
    let flood = floods(b"* OK hi\r\n", b"* 1 EXISTS\r\n");
    let endless = floods(b"* OK ", b"x");
    let (web, bye) = (says(b"HTTP/1.1 400 Bad Request\r\n"), says(b"* BYE overloaded\r\n"));
    let none = listener(|stream| {
        stream.write_all(b"* OK hi\r\n")?;
        let _ = stream.read(&mut [0; 100])?;
        stream.write_all(b"* CAPABILITY IMAP4rev1\r\na1 OK done\r\n")?;
        stream.read(&mut [0; 100]).map(drop)
    });
    let refuses = listener(|stream| {
        stream.write_all(b"* OK hi\r\n")?;
        let _ = stream.read(&mut [0; 100])?;
        stream.write_all(b"a1 BAD what\r\n")?;
        stream.read(&mut [0; 100]).map(drop)
    });
    let soon = "timeout = \"700ms\"\n";
    let on =
        |name, address: SocketAddr, keys: &str| at("imap", name, address, &format!("{soon}{keys}"));
    let config = [
        on("silent", silent.address, ""),
        on("rude", rude.address, ""),
        on("flood", flood.address, ""),
        on("endless", endless.address, ""),
        on("web", web.address, ""),
        on("bye", bye.address, ""),
        on("none", none.address, "starttls = true"),
        on("refuses", refuses.address, ""),
    ];
    let host = host().config(&config.concat()).start();
    expect_failure(&host, "silent", "timeout", "while waiting for the greeting of");
    expect_failure(&host, "rude", "closed", "closed the connection");
    expect_failure(&host, "flood", "protocol", "does not speak IMAP");
    expect_failure(&host, "endless", "protocol", "a line of more than 8 KiB");
    expect_failure(&host, "web", "protocol", "does not speak IMAP");
    expect_failure(&host, "bye", "query", "answered the connection with `* BYE overloaded`");
    expect_failure(&host, "none", "tls", "does not offer STARTTLS");
    expect_failure(&host, "refuses", "query", "answered CAPABILITY with `BAD what`");
}
