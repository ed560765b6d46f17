//! The kind `smtp` against a real Exim, and against servers that are none.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::support::checks::{at, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::listener::{floods, hangs_up, listener, says, silent};
use crate::support::mail::{PASSWORD, USER, exim};

const TLS: &str = "starttls = true\ntls-ca = \"ca.pem\"\n";

#[test]
fn a_mail_server_is_greeted_and_logged_in_to() {
    let mail = exim();
    let target = format!("127.0.0.1:{}", mail.port);
    let direct = format!("127.0.0.1:{}", mail.tls_port);
    let login = format!("user = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    let wrong = format!("user = \"{USER}\"\npassword = \"{PASSWORD}-not\"\n");
    let config = [
        at("smtp", "plain", &target, "expect = '^mail\\.test ESMTP Exim'"),
        at("smtp", "other", &target, "expect = 'Postfix'"),
        at("smtp", "starttls", &target, &format!("{TLS}certificate-days = 30\n")),
        at("smtp", "direct", &direct, "tls = true\ntls-ca = \"ca.pem\"\n"),
        at("smtp", "untrusted", &target, "starttls = true"),
        at("smtp", "login", &target, &format!("{TLS}{login}")),
        at("smtp", "wrong", &target, &format!("{TLS}{wrong}")),
        at("smtp", "in-the-clear", &target, &login),
    ];
    let host = host().file("ca.pem", &mail.ca).config(&config.concat()).start();
    let plain = expect_pass(&host, "plain", "greeted: `mail.test ESMTP Exim");
    assert_eq!(plain["outcome"]["details"]["peer"], target, "{plain}");
    expect_failure(&host, "other", "unexpected-body", "does not match `Postfix`");
    let secured = expect_pass(&host, "starttls", "greeted");
    assert_eq!(secured["outcome"]["details"]["tls-version"], "1.3", "{secured}");
    expect_pass(&host, "direct", "greeted");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "login", "logged in: `mail.test");
    expect_failure(&host, "wrong", "login", "refused the login: 535 Incorrect authentication data");
    // Exim offers no login there.
    expect_failure(&host, "in-the-clear", "login", "refused the login: 503 AUTH command used");
    for name in host.names() {
        let text = host.check(&name).to_string() + &host.log();
        assert!(!text.contains(PASSWORD), "{name}: {text}");
    }
}

#[test]
fn servers_that_misbehave_fail_with_a_reason() {
    let (silent, rude, flood) = (silent(), hangs_up(), floods(b"220 hi\r\n", b"250-x\r\n"));
    let endless = floods(b"220-", b"x");
    let ssh = says(b"SSH-2.0-OpenSSH_9.2\r\n");
    let busy = says(b"421 4.3.2 too busy\r\n");
    let mixed = says(b"220-one\r\n250 two\r\n");
    let none = listener(|stream| {
        stream.write_all(b"220 hi\r\n")?;
        let _ = stream.read(&mut [0; 100])?;
        stream.write_all(b"250-hi\r\n250 SIZE 10\r\n")?;
        stream.read(&mut [0; 100]).map(drop)
    });
    let echo = listener(|stream| {
        stream.write_all(b"220 hi\r\n")?;
        let _ = stream.read(&mut [0; 100])?;
        stream.write_all(b"250-hi\r\n250 AUTH LOGIN\r\n")?;
        for _ in 0..2 {
            let _ = stream.read(&mut [0; 100])?;
            stream.write_all(b"334 VXNlcm5hbWU6\r\n")?;
        }
        let mut line = [0; 100];
        let count = stream.read(&mut line)?;
        stream.write_all(b"535 what is ")?;
        stream.write_all(&line[..count])
    });
    let soon = "timeout = \"700ms\"\n";
    let on =
        |name, address: SocketAddr, keys: &str| at("smtp", name, address, &format!("{soon}{keys}"));
    let config = [
        on("silent", silent.address, ""),
        on("rude", rude.address, ""),
        on("flood", flood.address, ""),
        on("endless", endless.address, ""),
        on("ssh", ssh.address, ""),
        on("busy", busy.address, ""),
        on("mixed", mixed.address, ""),
        on("none", none.address, "starttls = true"),
        on("echo", echo.address, &format!("user = \"{USER}\"\npassword = \"{PASSWORD}\"")),
    ];
    let host = host().config(&config.concat()).start();
    expect_failure(&host, "silent", "timeout", "while waiting for the greeting of");
    expect_failure(&host, "rude", "closed", "closed the connection");
    expect_failure(&host, "flood", "protocol", "does not speak SMTP");
    expect_failure(&host, "endless", "protocol", "a line of more than 8 KiB");
    expect_failure(&host, "ssh", "protocol", "does not speak SMTP");
    expect_failure(&host, "busy", "query", "answered the connection with `421 4.3.2 too busy`");
    expect_failure(&host, "mixed", "protocol", "does not speak SMTP");
    expect_failure(&host, "none", "tls", "does not offer STARTTLS");
    let echo = expect_failure(&host, "echo", "login", "535 what is ").to_string();
    assert!(!echo.contains("bWFpbC1jYW5hcnkt"), "the password in another form: {echo}");
}
