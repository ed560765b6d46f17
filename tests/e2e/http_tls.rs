//! The kind `http` and everything that can be wrong with TLS, each with its reason.

use std::process::{Command, Stdio};

use crate::support::certificates::{Authority, Pair};
use crate::support::checks::{check, expect_failure, expect_pass, observation, timed};
use crate::support::host::host;
use crate::support::listener::{listener, silent};
use crate::support::nginx::Nginx;
use crate::support::servers::{Server, folder, free_port, program};

const SERVE: &str = "location / { return 200 fine; }";
const CA: &str = "tls-ca = \"ca.pem\"\n";

#[test]
fn chains_are_judged_by_what_they_lead_to() {
    let authority = Authority::new();
    let serve = |pair: &Pair| Nginx::start_tls(pair, SERVE);
    let whole = serve(&authority.chained(&[0, 1]));
    let disordered = serve(&authority.chained(&[0, 2, 1]));
    let incomplete = serve(&authority.chained(&[0]));
    let self_signed = serve(&Authority::self_signed(&["localhost", "127.0.0.1"]));
    let expired = serve(&authority.issue(&["localhost"], (2020, 2021)));
    let config = [
        check("http", "whole", &whole.https("/"), CA),
        check("http", "disordered", &disordered.https("/"), CA),
        check("http", "incomplete", &incomplete.https("/"), CA),
        check("http", "self-signed", &self_signed.https("/"), CA),
        check("http", "anyone", &expired.https("/"), "tls-verify = false"),
        check(
            "http",
            "anyone-in-time",
            &expired.https("/"),
            "tls-verify = false\ncertificate-days-fail = 3",
        ),
        check(
            "http",
            "soon",
            &whole.https("/"),
            &format!("{CA}certificate-days = 3650\ncertificate-days-fail = 3"),
        ),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect_pass(&host, "whole", "answered 200");
    expect_pass(&host, "disordered", "answered 200");
    expect_pass(&host, "soon", "answered 200");
    let says = "ends with a certificate of `CN=wellcheck test intermediate`, which was not sent";
    expect_failure(&host, "incomplete", "tls-incomplete", says);
    expect_failure(&host, "self-signed", "tls-untrusted", "is self-signed");
    let anyone = expect_pass(&host, "anyone", "answered 200");
    assert!(observation(&anyone, "certificate-days-left").is_some_and(|d| d < 0.0), "{anyone}");
    let says = "days ago (expected at least 3)";
    expect_failure(&host, "anyone-in-time", "unexpected-value", says);
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(
        &authority.good(),
        "ssl_client_certificate cert.pem; ssl_verify_client on; ssl_verify_depth 3;
        location / { return 200 $ssl_client_s_dn; }",
    );
    let ours = authority.issue(&["probe"], (2020, 2180));
    let both = format!("{}{}", ours.certificate, ours.key);
    let ssl = openssl(&authority, &["-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem"]);
    let other = Authority::self_signed(&["localhost", "127.0.0.1"]);
    let config = [
        check(
            "http",
            "shown",
            &nginx.https("/"),
            &format!("{CA}tls-client-certificate = \"our.pem\"\ntls-client-key = \"our.key\""),
        ),
        check(
            "http",
            "one-file",
            &nginx.https("/"),
            &format!("{CA}tls-client-certificate = \"both.pem\""),
        ),
        check("http", "missing", &nginx.https("/"), CA),
        timed("http", "demanded", &ssl.1, "3s", CA),
        timed(
            "http",
            "unwelcome",
            &ssl.1,
            "3s",
            &format!("{CA}tls-client-certificate = \"other.pem\""),
        ),
        timed(
            "http",
            "welcome",
            &ssl.1,
            "3s",
            &format!("{CA}tls-client-certificate = \"both.pem\""),
        ),
    ]
    .concat();
    let host = host()
        .config(&config)
        .file("ca.pem", authority.pem())
        .file("our.pem", &ours.certificate)
        .file("our.key", &ours.key)
        .file("both.pem", both)
        .file("other.pem", format!("{}{}", other.certificate, other.key))
        .start();
    expect_pass(&host, "shown", "answered 200");
    expect_pass(&host, "one-file", "answered 200");
    // nginx shakes hands all the same, and says it in HTTP.
    expect_failure(&host, "missing", "unexpected-status", "answered 400");
    expect_failure(&host, "demanded", "tls-client-certificate", "wants a client certificate");
    let says = "wants a client certificate that it accepts";
    expect_failure(&host, "unwelcome", "tls-client-certificate", says);
    expect_pass(&host, "welcome", "answered 200");
}

#[test]
fn handshakes_that_lead_nowhere_have_their_reason() {
    let authority = Authority::new();
    let old = Nginx::start_tls(
        &authority.good(),
        &format!("ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; {SERVE}"),
    );
    let stalled = silent();
    let breaking = listener(|stream| {
        let mut hello = [0; 100];
        std::io::Read::read_exact(stream, &mut hello)
    });
    let mail = crate::support::listener::says(b"220 mail.example.com ESMTP\r\n");
    let at =
        |listener: &crate::support::listener::Listener| format!("https://{}/", listener.address);
    let config = [
        check("http", "old", &old.https("/"), CA),
        timed("http", "stalled", &at(&stalled), "700ms", CA),
        check("http", "breaking", &at(&breaking), CA),
        check("http", "mail", &at(&mail), CA),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect_failure(&host, "old", "tls-version", "speaks neither TLS 1.2 nor TLS 1.3");
    expect_failure(&host, "stalled", "timeout", "shaking hands (TLS)");
    expect_failure(&host, "breaking", "closed", "during the TLS handshake");
    expect_failure(&host, "mail", "tls", "does not speak TLS on this port");
}

#[test]
fn a_redirect_to_another_host_is_not_shown_the_client_certificate() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(
        &authority.good(),
        "ssl_client_certificate cert.pem; ssl_verify_client optional; ssl_verify_depth 3;
        location / { return 200 \"<$ssl_client_verify>\"; }
        location = /within { return 302 https://localhost:{PORT}/; }
        location = /away { return 302 https://127.0.0.1:{PORT}/; }",
    );
    let ours = authority.issue(&["probe"], (2020, 2180));
    let keys = |body: &str| {
        format!("{CA}tls-client-certificate = \"our.pem\"\nexpect-body = \"<{body}>\"")
    };
    let config = [
        check("http", "direct", &nginx.https("/"), &keys("SUCCESS")),
        check("http", "within", &nginx.https("/within"), &keys("SUCCESS")),
        check("http", "away", &nginx.https("/away"), &keys("NONE")),
    ]
    .concat();
    let pem = format!("{}{}", ours.certificate, ours.key);
    let host = host().config(&config).file("ca.pem", authority.pem()).file("our.pem", pem).start();
    for name in ["direct", "within", "away"] {
        expect_pass(&host, name, "answered 200");
    }
}

/// A server of OpenSSL's that answers requests for a page, and its URL.
fn openssl(authority: &Authority, arguments: &[&str]) -> (Server, String) {
    let dir = folder("openssl");
    let pair = authority.good();
    for (name, text) in
        [("cert.pem", &pair.certificate), ("key.pem", &pair.key), ("ca.pem", &authority.pem())]
    {
        std::fs::write(dir.join(name), text).expect("a file");
    }
    let port = free_port();
    let mut command = Command::new(program(&["openssl"], &["/usr/bin"], "openssl"));
    command.args(["s_server", "-www", "-quiet", "-cert", "cert.pem", "-key", "key.pem"]);
    command.args(["-accept", &port.to_string()]).args(arguments).stdin(Stdio::null());
    let server = Server::start(&command, &dir, "TERM", port);
    (server, format!("https://localhost:{port}/"))
}
