//! Probes by the kinds that talk over a connection of their own.

use super::{ALWAYS, TLS, expect, metrics, names, probe, promtool, set};
use crate::support::certificates::Authority;
use crate::support::host::host;
use crate::support::listener::says;
use crate::support::nginx::Nginx;
use crate::support::servers::free_address;

/// What is told of every connection.
const TCP: &[&str] = &[
    "probe_dns_lookup_time_seconds",
    "probe_failed_due_to_regex",
    "probe_ip_addr_hash",
    "probe_ip_protocol",
];

/// What it measured, as far as it came to something.
const MEASURED: &[&str] = &["probe_observation"];

fn module(name: &str, keys: &str) -> String {
    format!("[[module]]\nname = \"{name}\"\nkind = \"tcp\"\ntargets = [\"127.0.0.0/8\"]\n{keys}\n")
}

#[test]
fn tcp_has_the_metrics_of_the_prober_of_that_name() {
    let mail = says(b"220 mail.example.com ESMTP\r\n");
    let authority = Authority::new();
    let nginx = Nginx::start_tls(&authority.good(), "location / { return 200 fine; }");
    let config = [
        module("mail", "expect = \"220 \""),
        module("news", "expect = \"200 \"\ntimeout = \"700ms\""),
        module("tls", "tls = true\ntls-ca = \"ca.pem\"\ntls-server-name = \"localhost\""),
    ];
    let host = host().config(&config.concat()).file("ca.pem", authority.pem()).start();
    let address = mail.address.to_string();

    let found = metrics(&host, "mail", &address);
    assert_eq!(names(&found), set(&[ALWAYS, TCP, MEASURED]));
    expect(
        &found,
        &[("probe_success", 1.0), ("probe_failed_due_to_regex", 0.0), ("probe_ip_protocol", 4.0)],
    );
    let other = metrics(&host, "news", &address);
    expect(&other, &[("probe_success", 0.0), ("probe_failed_due_to_regex", 1.0)]);

    let refused = metrics(&host, "mail", &free_address().to_string());
    expect(
        &refused,
        &[
            ("probe_success", 0.0),
            ("probe_failed_due_to_regex", 0.0),
            // It is known where nobody answered.
            ("probe_ip_protocol", 4.0),
            ("probe_ip_addr_hash", 3_668_918_509.0),
        ],
    );

    let tls = metrics(&host, "tls", &nginx.address.to_string());
    assert_eq!(names(&tls), set(&[ALWAYS, TCP, TLS, MEASURED]));
    expect(&tls, &[("probe_success", 1.0), ("probe_tls_version_info{version=\"TLS 1.3\"}", 1.0)]);
    let text = probe(&host, "tls", &nginx.address.to_string(), "&debug=true").body;
    for line in ["msg=\"resolved the target\"", "msg=connected", "msg=\"shook hands over TLS\""] {
        assert!(text.contains(line), "`{line}` in {text}");
    }
    for text in [found, other, refused, tls] {
        assert_eq!(promtool(&text), "", "{text}");
    }
}

#[test]
fn every_kind_that_talks_over_a_connection_probes_what_it_is_given() {
    let (mail, boxes, shell) = (
        crate::support::mail::exim(),
        crate::support::mail::dovecot(),
        crate::support::mail::sshd(),
    );
    let of = |kind: &str, keys: &str| module(kind, keys).replace("\"tcp\"", &format!("\"{kind}\""));
    let calls = "[[listen]]\nname = \"calls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"grpc\"\n";
    let config = [
        calls.to_owned(),
        of("smtp", "starttls = true\ntls-ca = \"mail.pem\""),
        of("imap", ""),
        of("ssh", ""),
        of("tls", "starttls = \"imap\"\ntls-ca = \"boxes.pem\""),
        of("grpc", "").replace("127.0.0.0/8", "127.0.0.1"),
    ];
    let host = host()
        .config(&config.concat())
        .file("mail.pem", &mail.ca)
        .file("boxes.pem", &boxes.ca)
        .start();
    let cases = [
        ("smtp", mail.port, set(&[ALWAYS, TCP, TLS, MEASURED])),
        ("imap", boxes.port, set(&[ALWAYS, TCP, MEASURED])),
        ("ssh", shell.port, set(&[ALWAYS, TCP, MEASURED])),
        ("tls", boxes.port, {
            let mut names = set(&[ALWAYS, TCP, TLS, MEASURED]);
            names.remove("probe_failed_due_to_regex");
            names
        }),
    ];
    for (name, port, expected) in cases {
        let found = metrics(&host, name, &format!("127.0.0.1:{port}"));
        assert_eq!(names(&found), expected, "{name}");
        expect(&found, &[("probe_success", 1.0)]);
        assert_eq!(promtool(&found), "", "{found}");
    }
    let address = host.listener_address("calls").to_string();
    let found = metrics(&host, "grpc", &address);
    assert_eq!(promtool(&found), "", "{found}");
    // Without a check everything is well.
    expect(
        &found,
        &[
            ("probe_success", 1.0),
            ("probe_grpc_ssl", 0.0),
            ("probe_grpc_status_code", 0.0),
            ("probe_grpc_healthcheck_response{serving_status=\"SERVING\"}", 1.0),
            ("probe_grpc_healthcheck_response{serving_status=\"NOT_SERVING\"}", 0.0),
        ],
    );
    // What the module does not name is not connected to.
    for name in ["smtp", "imap", "ssh", "tls", "grpc"] {
        let answer = probe(&host, name, "10.0.0.1:25", "");
        assert_eq!(answer.code, 403, "{name}: {}", answer.body);
    }
}
