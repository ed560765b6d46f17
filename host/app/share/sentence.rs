//! Failures of requests in the words of Go's HTTP client, which users of zrok know and grep for.
//!
//! Pure: what happened comes in, a text goes out. Where Go says more than we know (the bytes of a
//! malformed answer, our own port of a reset connection) its sentence ends earlier.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use wellcheck_core::time::WallTime;
use wellcheck_net::{Certificate, Failure, FailureKind};

/// What is known of a request that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) failure: &'a Failure,
    /// The host of the URL, IPv6 without brackets.
    pub(super) host: &'a str,
    /// The first address that was tried.
    pub(super) address: Option<SocketAddr>,
    /// What the server showed.
    pub(super) certificate: Option<&'a Certificate>,
    /// Whether the time that was given had passed.
    pub(super) is_late: bool,
    /// For certificates.
    pub(super) now: SystemTime,
}

/// An error as `client.Do` returns it: what was done, to which URL, and why it failed.
pub(super) fn of_request(method: &Method, url: &str, why: &str) -> String {
    format!("{} {}: {why}", operation(method.as_str()), quoted(url))
}

/// `GET` is `Get`: all but the first letter in lower case.
fn operation(method: &str) -> String {
    let mut text = method.to_ascii_lowercase();
    text.replace_range(..1, &method[..1]);
    text
}

/// Why an attempt failed.
pub(super) fn why(attempt: &Attempt<'_>) -> String {
    let Attempt { failure, host, address, .. } = *attempt;
    let dial = |why: &str| match address {
        Some(address) => format!("dial tcp {address}: {why}"),
        None => format!("dial tcp: {why}"),
    };
    let broken = |why: &str| format!("net/http: HTTP/1.x transport connection broken: {why}");
    let untrusted = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    if attempt.is_late {
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        return late.to_owned();
    }
    match failure.kind {
        FailureKind::Resolve => format!("dial tcp: lookup {host}: {}", lookup(&failure.message)),
        FailureKind::Refused => dial("connect: connection refused"),
        FailureKind::Unreachable => dial("connect: no route to host"),
        FailureKind::Timeout => dial("connect: connection timed out"),
        FailureKind::Local => dial(&failure.message),
        FailureKind::Closed if failure.message.contains("reset") => match address {
            Some(address) => format!("read tcp {address}: read: connection reset by peer"),
            None => "read: connection reset by peer".to_owned(),
        },
        FailureKind::Closed => "EOF".to_owned(),
        FailureKind::Protocol => broken("malformed HTTP response"),
        FailureKind::TooLarge => {
            let most = wellcheck_net::http::MAX_HEAD;
            broken(&format!("net/http: server response headers exceeded {most} bytes; aborted"))
        }
        FailureKind::TlsUntrusted | FailureKind::TlsIncomplete => {
            untrusted("certificate signed by unknown authority")
        }
        FailureKind::TlsExpired | FailureKind::TlsNotYetValid => untrusted(&format!(
            "certificate has expired or is not yet valid: {}",
            validity(attempt)
        )),
        FailureKind::TlsWrongName => untrusted(&names(host, attempt.certificate)),
        FailureKind::TlsClientCertificate => "remote error: tls: certificate required".to_owned(),
        FailureKind::TlsProtocol if failure.message.contains("does not speak TLS") => {
            "tls: first record does not look like a TLS handshake".to_owned()
        }
        FailureKind::TlsVersion => "remote error: tls: protocol version not supported".to_owned(),
        FailureKind::TlsProtocol => "remote error: tls: handshake failure".to_owned(),
        FailureKind::TlsOther
        | FailureKind::Request
        | FailureKind::Denied
        | FailureKind::Proxy
        | FailureKind::Redirect => failure.message.clone(),
    }
}

/// That there is no such name is about the target; that nobody says so is not.
fn lookup(message: &str) -> &'static str {
    let absent = ["does not exist in DNS", "has no A", "is not a valid name"];
    if absent.iter().any(|words| message.contains(words)) {
        "no such host"
    } else if message.contains("no name server answered") {
        "i/o timeout"
    } else {
        "server misbehaving"
    }
}

fn validity(attempt: &Attempt<'_>) -> String {
    let now = seconds(attempt.now);
    match attempt.certificate {
        Some(certificate) if attempt.now < certificate.not_before => {
            format!("current time {now} is before {}", seconds(certificate.not_before))
        }
        Some(certificate) => {
            format!("current time {now} is after {}", seconds(certificate.chain_not_after))
        }
        None => format!("current time {now}"),
    }
}

/// RFC 3339, in UTC and without fractions.
fn seconds(time: SystemTime) -> String {
    let ms = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_millis()).map_or(i64::MIN, std::ops::Neg::neg)
        }
    };
    let text = WallTime(ms).to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

fn names(host: &str, certificate: Option<&Certificate>) -> String {
    let all = certificate.map(|certificate| certificate.names.as_slice()).unwrap_or_default();
    let is_address = |name: &str| name.parse::<IpAddr>().is_ok();
    let wanted = is_address(host);
    let alike: Vec<&str> =
        all.iter().map(String::as_str).filter(|name| is_address(name) == wanted).collect();
    match (alike.is_empty(), wanted) {
        (false, _) => format!("certificate is valid for {}, not {host}", alike.join(", ")),
        (true, true) => {
            format!("cannot validate certificate for {host} because it doesn't contain any IP SANs")
        }
        (true, false) => {
            format!("certificate is not valid for any names, but wanted to match {host}")
        }
    }
}

/// A text in quotes as Go's `%q` writes it: nothing in it can break a line or a terminal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{c}' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '\u{b}' => write!(out, "\\v"),
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)),
            c if c.is_ascii() || is_printable(c) => write!(out, "{c}"),
            c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push('"');
    out
}

fn is_printable(c: char) -> bool {
    !c.is_whitespace() && c.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn certificate(names: &[&str]) -> Certificate {
        let made = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
        let mut certificate = Certificate::read(&[made.cert.der().clone()]).expect("X.509");
        certificate.names = names.iter().map(|name| (*name).to_owned()).collect();
        certificate.not_before = at(NOW - 1_000_000);
        certificate.not_after = at(NOW + 1_000_000);
        certificate.chain_not_after = at(NOW - 100_000);
        certificate
    }

    fn told(failure: &Failure, certificate: Option<&Certificate>, address: &str) -> String {
        why(&Attempt {
            failure,
            host: "shop.example",
            address: address.parse().ok(),
            certificate,
            is_late: false,
            now: at(NOW),
        })
    }

    #[track_caller]
    fn check(kind: FailureKind, message: &str, expected: &str) {
        let failure = Failure::new(kind, message);
        assert_eq!(told(&failure, Some(&certificate(&["a.example"])), "127.1.1.1:9090"), expected);
    }

    #[test]
    fn failures_read_as_those_of_go() {
        use FailureKind as K;
        for (kind, message, expected) in [
            (K::Refused, "", "dial tcp 127.1.1.1:9090: connect: connection refused"),
            (K::Unreachable, "", "dial tcp 127.1.1.1:9090: connect: no route to host"),
            (K::Timeout, "", "dial tcp 127.1.1.1:9090: connect: connection timed out"),
            (
                K::Local,
                "cannot open a connection",
                "dial tcp 127.1.1.1:9090: cannot open a connection",
            ),
            (
                K::Resolve,
                "`shop.example` does not exist in DNS",
                "dial tcp: lookup shop.example: no such host",
            ),
            (
                K::Resolve,
                "`shop.example` has no A or AAAA record",
                "dial tcp: lookup shop.example: no such host",
            ),
            (
                K::Resolve,
                "no name server answered for `shop.example`",
                "dial tcp: lookup shop.example: i/o timeout",
            ),
            (
                K::Resolve,
                "`shop.example` cannot be resolved: x",
                "dial tcp: lookup shop.example: server misbehaving",
            ),
            (K::Closed, "`x` closed the connection", "EOF"),
            (
                K::Closed,
                "`x` reset the connection",
                "read tcp 127.1.1.1:9090: read: connection reset by peer",
            ),
            (
                K::Protocol,
                "",
                "net/http: HTTP/1.x transport connection broken: malformed HTTP response",
            ),
            (
                K::TooLarge,
                "",
                "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted",
            ),
            (
                K::TlsUntrusted,
                "",
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            ),
            (
                K::TlsExpired,
                "",
                "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2023-11-14T22:13:20Z is after 2023-11-13T18:26:40Z",
            ),
            (
                K::TlsWrongName,
                "",
                "tls: failed to verify certificate: x509: certificate is valid for a.example, not shop.example",
            ),
            (K::TlsClientCertificate, "", "remote error: tls: certificate required"),
            (
                K::TlsProtocol,
                "`x` does not speak TLS on this port",
                "tls: first record does not look like a TLS handshake",
            ),
            (K::TlsProtocol, "", "remote error: tls: handshake failure"),
        ] {
            check(kind, message, expected);
        }
    }

    #[test]
    fn every_kind_of_failure_has_a_sentence() {
        for kind in FailureKind::ALL {
            let failure = Failure::new(*kind, "something");
            assert!(!told(&failure, None, "").is_empty(), "{kind}");
        }
    }

    #[test]
    fn whatever_fails_late_is_a_timeout() {
        let failure = Failure::new(FailureKind::Timeout, "timed out after 5s");
        let attempt = Attempt {
            failure: &failure,
            host: "x",
            address: None,
            certificate: None,
            is_late: true,
            now: at(NOW),
        };
        assert_eq!(
            why(&attempt),
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        );
    }

    #[test]
    fn certificates_for_others_and_for_later() {
        let failure = Failure::new(FailureKind::TlsWrongName, "");
        let told = |host, names: &[&str]| {
            let certificate = certificate(names);
            let attempt = Attempt {
                failure: &failure,
                host,
                address: None,
                certificate: Some(&certificate),
                is_late: false,
                now: at(NOW - 2_000_000),
            };
            (why(&attempt), validity(&attempt))
        };
        let (why, validity) = told("127.0.0.1", &["a.example"]);
        assert!(why.ends_with(
            "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
        ));
        assert_eq!(validity, "current time 2023-10-22T18:40:00Z is before 2023-11-03T08:26:40Z");
        let (why, _) = told("127.0.0.1", &["10.0.0.1", "::1", "a.example"]);
        assert!(why.ends_with("certificate is valid for 10.0.0.1, ::1, not 127.0.0.1"), "{why}");
        let (why, _) = told("b.example", &[]);
        assert!(why.ends_with("not valid for any names, but wanted to match b.example"), "{why}");
    }

    #[test]
    fn methods_and_urls_stand_before_the_reason() {
        for (method, operation) in [
            ("GET", "Get"),
            ("POST", "Post"),
            ("oPTIONS", "options"),
            ("delete", "delete"),
            ("PROPFIND", "Propfind"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(
                of_request(&method, "http://x/\"", "EOF"),
                format!("{operation} \"http://x/\\\"\": EOF")
            );
        }
    }

    #[test]
    fn quotes_are_those_of_go() {
        for (text, expected) in [
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}\0\u{1b}\u{7f}", r#""\a\b\f\n\r\t\v\x00\x1b\x7f""#),
            ("é€😀", "\"é€😀\""),
            ("\u{a0}\u{200b}\u{202e}\u{e0001}", r#""\u00a0\u200b\u202e\U000e0001""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
