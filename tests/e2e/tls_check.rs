//! The kind `tls`: each way in which a handshake or a certificate is wrong has a reason of its own,
//! against OpenSSL, and STARTTLS against servers that people run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::certificates::{Authority, Pair};
use crate::support::checks::{at, expect_failure, expect_pass, observation};
use crate::support::databases::postgres;
use crate::support::host::host;
use crate::support::listener::{hangs_up, listener, says, silent};
use crate::support::mail::{dovecot, exim, slapd};
use crate::support::servers::{Server, folder, free_address, free_port, program};

/// `openssl s_server` with a certificate and what else it is told.
struct OpenSsl {
    _server: Server,
    port: u16,
}

fn openssl(pair: &Pair, args: &[&str]) -> OpenSsl {
    let dir = folder("openssl");
    write(&dir, pair);
    let port = free_port();
    let mut command = Command::new(program(&["openssl"], &["/usr/bin"], "openssl"));
    command.args(["s_server", "-quiet", "-cert", "cert.pem", "-cert_chain", "cert.pem"]);
    command.args(["-key", "key.pem", "-accept", &format!("127.0.0.1:{port}")]).args(args);
    OpenSsl { _server: Server::start(&command, &dir, "TERM", port), port }
}

fn write(dir: &Path, pair: &Pair) {
    std::fs::write(dir.join("cert.pem"), &pair.certificate).expect("a file");
    std::fs::write(dir.join("key.pem"), &pair.key).expect("a file");
}

impl OpenSsl {
    fn check(&self, name: &str, keys: &str) -> String {
        at("tls", name, format!("localhost:{}", self.port), keys)
    }
}

const CA: &str = "tls-ca = \"ca.pem\"\naddress-family = \"ipv4\"\n";

fn detail<'a>(check: &'a Value, name: &str) -> &'a str {
    check["outcome"]["details"][name].as_str().unwrap_or_default()
}

#[test]
fn every_defect_of_a_certificate_has_a_reason_and_its_days_are_told() {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    let good = openssl(&authority.good(), &[]);
    let expired = openssl(&authority.issue(&names, (2015, 2020)), &[]);
    let early = openssl(&authority.issue(&names, (2150, 2160)), &[]);
    let named = openssl(&authority.issue(&["a.example"], (2020, 2180)), &[]);
    let own = openssl(&Authority::self_signed(&names), &[]);
    let (whole, leaf) = authority.issue_below_another();
    let (whole, incomplete) = (openssl(&whole, &[]), openssl(&leaf, &[]));
    let config = [
        good.check("good", CA),
        good.check("untrusted", "address-family = \"ipv4\""),
        expired.check("expired", CA),
        early.check("early", CA),
        named.check("named", CA),
        named.check("other-name", &format!("{CA}tls-server-name = \"a.example\"")),
        own.check("own", CA),
        whole.check("whole", CA),
        incomplete.check("incomplete", CA),
        expired.check("unverified", "tls-verify = false"),
    ];
    let host = host().file("ca.pem", authority.pem()).config(&config.concat()).start();
    let good = expect_pass(&host, "good", "TLS 1.3, and `CN=rcgen self signed cert` with ");
    assert!(observation(&good, "certificate-days-left").is_some_and(|days| days > 50_000.0));
    assert!(observation(&good, "tls").is_some_and(|seconds| seconds > 0.0), "{good}");
    assert!(detail(&good, "certificate-issuer").contains("wellcheck test root"), "{good}");
    expect_failure(&host, "untrusted", "tls-untrusted", "leads to no trusted root");
    let expired = expect_failure(&host, "expired", "tls-expired", "days ago");
    assert!(observation(&expired, "certificate-days-left").is_some_and(|days| days < -2_000.0));
    expect_failure(&host, "early", "tls-not-yet-valid", "is not valid before");
    expect_failure(&host, "named", "tls-wrong-name", "is for `a.example`, expected `localhost`");
    expect_pass(&host, "other-name", "TLS 1.3");
    expect_failure(&host, "own", "tls-untrusted", "is self-signed");
    expect_pass(&host, "whole", "TLS 1.3");
    expect_failure(
        &host,
        "incomplete",
        "tls-incomplete",
        "ends with a certificate of `CN=wellcheck test middle`, which was not sent",
    );
    let unverified = host.until_run("unverified");
    assert_eq!(unverified["state"], "warn", "{unverified}");
    let message = unverified["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("the certificate expired ") && message.contains("days ago"),
        "{message}"
    );
}

#[test]
fn every_defect_of_a_handshake_has_a_reason() {
    let authority = Authority::new();
    let pair = authority.good();
    let old = openssl(&pair, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    let middle = openssl(&pair, &["-tls1_2"]);
    let demands = openssl(&pair, &["-Verify", "1", "-verify_return_error"]);
    let demands_12 = openssl(&pair, &["-Verify", "1", "-verify_return_error", "-tls1_2"]);
    let asks = openssl(&pair, &["-verify", "1"]);
    let (silent, rude, plain) = (silent(), hangs_up(), says(b"220 mail.example.com ESMTP\r\n"));
    // A record that promises more than it holds, and nothing after it.
    let stalls = listener(|stream| {
        std::io::Write::write_all(stream, b"\x16\x03\x03\x40\x00\x02")?;
        std::io::Read::read(stream, &mut [0; 4096])?;
        std::io::Read::read(stream, &mut [0; 4096]).map(drop)
    });
    let soon = format!("{CA}timeout = \"700ms\"\n");
    let on = |name, address: SocketAddr| at("tls", name, address, &soon);
    let free = free_address();
    let config = [
        old.check("old", CA),
        middle.check("middle", CA),
        middle.check("minimum", &format!("{CA}minimum-version = \"1.3\"")),
        middle.check("exact", &format!("{CA}expect-version = \"1.2\"")),
        demands.check("demands", CA),
        demands_12.check("demands-12", CA),
        asks.check("asks", CA),
        on("silent", silent.address),
        on("stalls", stalls.address),
        on("rude", rude.address),
        on("plain", plain.address),
        on("refused", free),
    ];
    let host = host().file("ca.pem", authority.pem()).config(&config.concat()).start();
    expect_failure(&host, "old", "tls-version", "speaks neither TLS 1.2 nor TLS 1.3");
    expect_pass(&host, "middle", "TLS 1.2");
    expect_failure(&host, "minimum", "tls-version", "speaks TLS 1.2 (expected at least 1.3)");
    expect_pass(&host, "exact", "TLS 1.2");
    for name in ["demands", "demands-12"] {
        let found =
            expect_failure(&host, name, "tls-client-certificate", "wants a client certificate");
        assert!(observation(&found, "certificate-days-left").is_some(), "{found}");
    }
    expect_pass(&host, "asks", "TLS 1.3");
    for name in ["silent", "stalls"] {
        expect_failure(&host, name, "timeout", "timed out after 700ms while shaking hands (TLS)");
    }
    expect_failure(&host, "rude", "closed", "during the TLS handshake");
    expect_failure(&host, "plain", "tls", "does not speak TLS on this port");
    expect_failure(&host, "refused", "refused", &free.to_string());
}

#[test]
fn days_issuer_and_fingerprint_are_judged() {
    let authority = Authority::new();
    let soon = openssl(&authority.issue_for_days(10), &[]);
    let zeros = "00:".repeat(31) + "00";
    let config = [
        soon.check("standard", CA),
        soon.check("enough", &format!("{CA}certificate-days = 7")),
        soon.check("warns", &format!("{CA}certificate-days = 30\ncertificate-days-fail = 5")),
        soon.check("fails", &format!("{CA}certificate-days-fail = 12")),
        soon.check("issuer", &format!("{CA}certificate-days = 1\nexpect-issuer = \"test root\"")),
        soon.check("other-issuer", &format!("{CA}expect-issuer = \"Let's Encrypt\"")),
        soon.check("pinned", &format!("{CA}expect-fingerprint = \"{zeros}\"")),
    ];
    let host = host().file("ca.pem", authority.pem()).config(&config.concat()).start();
    for (name, wanted) in [("standard", 14), ("warns", 30)] {
        let found = host.until_run(name);
        assert_eq!(found["state"], "warn", "{found}");
        let says = format!("days left (expected at least {wanted})");
        assert!(found["message"].as_str().is_some_and(|m| m.contains(&says)), "{found}");
    }
    expect_pass(&host, "enough", "days left");
    expect_failure(&host, "fails", "unexpected-value", "days left (expected at least 12)");
    expect_pass(&host, "issuer", "TLS 1.3");
    expect_failure(&host, "other-issuer", "unexpected-value", "(expected `Let's Encrypt`)");
    let pinned = expect_failure(&host, "pinned", "unexpected-value", "has the fingerprint ");
    // The one that it has passes.
    let message = pinned["message"].as_str().unwrap_or_default();
    let found = message.split("fingerprint ").nth(1).and_then(|rest| rest.split(' ').next());
    let found = found.expect("a fingerprint").to_uppercase();
    host.configure(&soon.check(
        "pinned-well",
        &format!("{CA}expect-fingerprint = \"{found}\"\ncertificate-days = 1"),
    ));
    host.until_state("pinned-well", "pass");
}

#[test]
fn servers_are_asked_for_tls_in_their_own_words() {
    let (mail, boxes, directory, database) = (exim(), dovecot(), slapd(), postgres());
    let on = |name: &str, port: u16, dialect: &str, ca: &str| {
        let keys = format!("starttls = \"{dialect}\"\ntls-ca = \"{ca}.pem\"");
        at("tls", name, format!("127.0.0.1:{port}"), &keys)
    };
    let direct = |name: &str, port: u16, ca: &str| {
        at("tls", name, format!("127.0.0.1:{port}"), &format!("tls-ca = \"{ca}.pem\""))
    };
    let config = [
        on("smtp", mail.port, "smtp", "mail"),
        on("imap", boxes.port, "imap", "boxes"),
        on("ldap", directory.port, "ldap", "directory"),
        on("postgres", database.port, "postgres", "database"),
        on("untrusted", mail.port, "smtp", "boxes"),
        direct("smtps", mail.tls_port, "mail"),
        direct("imaps", boxes.tls_port, "boxes"),
        direct("ldaps", directory.tls_port, "directory"),
        on("wrong-words", mail.port, "imap", "mail"),
    ];
    let host = host()
        .file("mail.pem", &mail.ca)
        .file("boxes.pem", &boxes.ca)
        .file("directory.pem", &directory.ca)
        .file("database.pem", &database.ca)
        .config(&config.concat())
        .start();
    for name in ["smtp", "imap", "ldap", "postgres", "smtps", "imaps", "ldaps"] {
        expect_pass(&host, name, "TLS 1.3");
    }
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_failure(&host, "wrong-words", "protocol", "does not speak IMAP");
}

/// What servers say that are not here: pop3, ftp and xmpp; and what servers say that do not want to.
#[test]
fn a_server_that_does_not_begin_with_tls_says_so() {
    type Talk = &'static [(&'static [u8], &'static [u8])];
    // What is said, each time after what is waited for.
    let cases: &[(&str, &str, Talk, &str, &str)] = &[
        ("smtp-none", "smtp", &[(b"", b"220 a\r\n"), (b"EHLO", b"250 a\r\n"), (b"STARTTLS", b"502 5.5.1 no\r\n")], "tls", "does not begin with TLS: it answered `502 5.5.1 no`"),
        ("smtp-busy", "smtp", &[(b"", b"421 too busy\r\n")], "query", "answered the connection with `421 too busy`"),
        ("imap-none", "imap", &[(b"", b"* OK hi\r\n"), (b"STARTTLS", b"* 1 EXISTS\r\na2 BAD no such thing\r\n")], "tls", "it answered `BAD no such thing`"),
        ("pop-none", "pop3", &[(b"", b"+OK hi\r\n"), (b"STLS", b"-ERR no\r\n")], "tls", "it answered `-ERR no`"),
        ("ldap-none", "ldap", &[(b"1466.20037", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00")], "tls", "LDAP result 2"),
        ("postgres-none", "postgres", &[(b"\x04\xd2\x16\x2f", b"N")], "tls", "it answered `N`"),
        ("ftp-none", "ftp", &[(b"", b"220-hi\r\n220 ho\r\n"), (b"AUTH TLS", b"530 no\r\n")], "query", "answered `AUTH TLS` with `530 no`"),
        ("xmpp-none", "xmpp", &[(b"<stream", b"<?xml version='1.0'?><stream:stream><stream:features><mechanisms/></stream:features>")], "tls", "</stream:features>"),
        ("early", "smtp", &[(b"", b"220 a\r\n"), (b"EHLO", b"250-a\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"220 go\r\n250 injected\r\n")], "protocol", "said something before TLS began"),
        // They agree, and then hang up on the handshake.
        ("pop-agrees", "pop3", &[(b"", b"+OK hi\r\n"), (b"STLS", b"+OK begin\r\n"), (b"\x16\x03", b"")], "closed", "during the TLS handshake"),
        ("ftp-agrees", "ftp", &[(b"", b"220 hi\r\n"), (b"AUTH TLS", b"234 begin\r\n"), (b"\x16\x03", b"")], "closed", "during the TLS handshake"),
        ("xmpp-agrees", "xmpp", &[(b"<stream", b"<stream:stream><stream:features><starttls xmlns='x'/></stream:features>"), (b"<starttls", b"<proceed xmlns='x'/>"), (b"\x16\x03", b"")], "closed", "during the TLS handshake"),
    ];
    let talking = |talk: Talk| {
        listener(move |stream| {
            for (wanted, said) in talk {
                let mut heard = Vec::new();
                let mut piece = [0; 1024];
                while !wanted.is_empty() && !heard.windows(wanted.len()).any(|w| w == *wanted) {
                    match std::io::Read::read(stream, &mut piece)? {
                        0 => return Ok(()),
                        count => heard.extend_from_slice(&piece[..count]),
                    }
                }
                std::io::Write::write_all(stream, said)?;
            }
            if talk.last().is_some_and(|(wanted, _)| *wanted == b"\x16\x03") {
                return Ok(());
            }
            std::io::Read::read(stream, &mut [0; 64]).map(drop)
        })
    };
    let listeners: Vec<_> = cases.iter().map(|case| talking(case.2)).collect();
    let config: String = cases
        .iter()
        .zip(&listeners)
        .map(|((name, dialect, ..), listener)| {
            at(
                "tls",
                name,
                listener.address,
                &format!("starttls = \"{dialect}\"\ntimeout = \"2s\""),
            )
        })
        .collect();
    let host = host().config(&config).start();
    for (name, _, _, reason, says) in cases {
        expect_failure(&host, name, reason, says);
    }
}
