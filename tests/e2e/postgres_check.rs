//! The kind `postgres` against a real PostgreSQL, and against servers that are none.

use std::io::{Read, Write};

use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
};
use crate::support::databases::{ENCODED, postgres};
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn url(rest: &str) -> String {
    format!("postgres://app:{ENCODED}@127.0.0.1:{}/{rest}", postgres().port)
}

fn at(name: &str, url: &str, keys: &str) -> String {
    check("postgres", name, url, keys)
}

#[test]
fn a_login_and_a_query_pass() {
    let port = postgres().port;
    let config = [
        at("plain", &url("postgres?sslmode=disable"), ""),
        at("standard", &url("postgres"), ""),
        at("own-database", &format!("postgresql://postgres:{ENCODED}@localhost:{port}/x"), ""),
        at(
            "counted",
            &url("postgres"),
            "query = \"SELECT count(*) FROM pg_roles WHERE rolname = 'app'\"\nexpect = \"1\"",
        ),
        at(
            "several",
            &url("postgres"),
            "query = \"SELECT generate_series(7, 999), 'b'\"\nexpect = \"7\"",
        ),
        at(
            "two-statements",
            &url("postgres"),
            "query = \"SELECT 'a'; SELECT 'b'\"\nexpect = \"a\"",
        ),
        at("nothing", &url("postgres"), "query = \"SET search_path = public\""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    let plain = expect_pass(&host, "plain", "answered `SELECT 1` (PostgreSQL 1");
    assert_eq!(plain["target"], format!("postgres://127.0.0.1:{port}/postgres"));
    assert_eq!(plain["outcome"]["details"]["peer"], format!("127.0.0.1:{port}"));
    let version = plain["outcome"]["details"]["server-version"].as_str().unwrap_or_default();
    assert!(version.starts_with('1'), "{plain}");
    for phase in ["response-time", "connect", "login", "query"] {
        assert!(
            observation(&plain, phase).is_some_and(|s| s > 0.0 && s < 10.0),
            "{phase}: {plain}"
        );
    }
    assert_eq!(observation(&plain, "tls"), None, "{plain}");
    let standard = expect_pass(&host, "standard", "answered `SELECT 1`");
    assert_eq!(
        standard["outcome"]["details"]["tls-version"], "1.3",
        "TLS is used if it is offered"
    );
    for name in ["counted", "several", "two-statements", "nothing"] {
        expect_pass(&host, name, "answered `S");
    }
    // There is no such user, which a server does not tell from a wrong password.
    expect_failure(&host, "own-database", "login", "refused the login");
    expect_no_password(&host);
    assert!(postgres().log().contains("SSL enabled"), "{}", postgres().log());
}

#[test]
fn what_the_server_refuses_has_its_reason() {
    let port = postgres().port;
    let config = [
        at("wrong-password", &format!("postgres://app:wrong@127.0.0.1:{port}/postgres"), ""),
        at("no-password", &format!("postgres://app@127.0.0.1:{port}/postgres"), ""),
        at("no-database", &url("nowhere"), ""),
        at("no-table", &url("postgres"), "query = \"SELECT * FROM nowhere\""),
        at(
            "late-error",
            &url("postgres"),
            "query = \"SELECT 1 / (3 - n) FROM generate_series(1, 5) n\"",
        ),
        at("other-value", &url("postgres"), "query = \"SELECT 'ab' || 'c'\"\nexpect = \"ab\""),
        at("null", &url("postgres"), "query = \"SELECT NULL\"\nexpect = \"\""),
        at("no-row", &url("postgres"), "query = \"SELECT 1 WHERE false\"\nexpect = \"1\""),
        at(
            "too-large",
            &url("postgres"),
            "query = \"SELECT repeat('x', 1000) FROM generate_series(1, 5000)\"",
        ),
        at("wants-data", &url("postgres"), "query = \"COPY pg_roles FROM STDIN\""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(
        &host,
        "wrong-password",
        "login",
        "password authentication failed for user \"app\" (28P01)",
    );
    expect_failure(&host, "no-password", "login", "it wants a password, and `url` has none");
    expect_failure(&host, "no-database", "query", "database \"nowhere\" does not exist (3D000)");
    expect_failure(&host, "no-table", "query", "relation \"nowhere\" does not exist (42P01)");
    expect_failure(&host, "late-error", "query", "division by zero (22012)");
    expect_failure(&host, "other-value", "unexpected-value", "with `abc` (expected `ab`)");
    expect_failure(&host, "null", "unexpected-value", "with NULL");
    expect_failure(&host, "no-row", "unexpected-value", "without a value");
    expect_failure(&host, "too-large", "too-large", "more than 1 MiB");
    expect_failure(&host, "wants-data", "protocol", "unexpected message");
    let refused = host.check("wrong-password");
    assert!(observation(&refused, "login").is_some_and(|seconds| seconds > 0.0), "{refused}");
    expect_no_password(&host);
}

#[test]
fn tls_is_used_and_judged_as_the_url_says() {
    let server = postgres();
    let port = server.port;
    let other = format!("postgres://app:{ENCODED}@localhost:{port}/postgres");
    let config = [
        at("require", &url("postgres?sslmode=require"), ""),
        at("untrusted", &url("postgres?sslmode=verify-full"), ""),
        at("trusted", &url("postgres?sslmode=verify-full"), "tls-ca = \"ca.pem\""),
        at("judged", &url("postgres?sslmode=require"), "tls-verify = true"),
        at(
            "named",
            &format!("{other}?sslmode=verify-full"),
            "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\"",
        ),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", &server.ca).start();
    let require = expect_pass(&host, "require", "answered");
    assert_eq!(require["outcome"]["details"]["tls-version"], "1.3", "{require}");
    assert!(observation(&require, "tls").is_some_and(|seconds| seconds > 0.0), "{require}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "trusted", "answered");
    expect_failure(&host, "judged", "tls-untrusted", "");
    let named = expect_failure(&host, "named", "tls-wrong-name", "");
    assert!(named["outcome"]["details"]["certificate-subject"].is_string(), "{named}");
}

/// Answers a wish for TLS with `N`, and what follows with `answer`.
fn scripted(answer: Vec<u8>) -> Listener {
    listener(move |stream| {
        let mut request = [0; 8];
        stream.read_exact(&mut request)?;
        stream.write_all(b"N")?;
        let mut startup = [0; 512];
        let _ = stream.read(&mut startup)?;
        stream.write_all(&answer)?;
        let _ = stream.read(&mut startup)?;
        Ok(())
    })
}

/// A message of the server.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes())
}

#[test]
fn what_a_server_says_before_it_is_ready_is_told() {
    let starting = scripted(error("57P03", "the database system is starting up"));
    let full = scripted(error("53300", "sorry, too many clients already"));
    let kerberos = scripted(message(b'R', &7_u32.to_be_bytes()));
    let half = scripted(message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
    let gossip = scripted(error("28P01", "it is not db-canary-5f1c/@#"));
    let bare = |listener: &Listener, rest: &str| {
        format!("postgres://app:{ENCODED}@{}/x{rest}", listener.address)
    };
    let config = [
        at("starting", &bare(&starting, ""), ""),
        at("full", &bare(&full, ""), ""),
        at("kerberos", &bare(&kerberos, ""), ""),
        at("half", &bare(&half, ""), ""),
        at("gossip", &bare(&gossip, ""), ""),
        at("no-tls", &bare(&full, "?sslmode=require"), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "starting", "query", "the database system is starting up (57P03)");
    expect_failure(&host, "full", "query", "sorry, too many clients already (53300)");
    expect_failure(&host, "kerberos", "login", "unsupported authentication method");
    expect_failure(&host, "half", "closed", "closed the connection");
    expect_failure(&host, "gossip", "login", "it is not [redacted]");
    expect_failure(&host, "no-tls", "tls", "does not offer TLS");
    expect_no_password(&host);
}

#[test]
fn postgres_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("postgres://app:{ENCODED}@{address}/x");
    // No TLS, the login is fine, and then parameters for ever.
    let flood: (&[u8], &[u8]) = (b"NR\0\0\0\x08\0\0\0\0", b"S\0\0\0\x0aab\0cd\0");
    each_way_to_misbehave("postgres", url, flood);
}

#[test]
fn conditions_judge_rows_and_columns() {
    let query = "query = \"SELECT 41 + 1 AS answer, 'text' AS word, NULL AS nothing UNION ALL SELECT 2, 'b', NULL\"\n";
    let keys = |keys: &str| format!("{query}{keys}");
    let config = [
        at(
            "holds",
            &url("postgres"),
            &keys("fail = [\"value != 42\", \"rows != 2\", \"row.word != 'text'\", \"row.nothing != null\", \"!version.matches(r'^[0-9]')\", \"observation.query > 9s\"]"),
        ),
        at("many", &url("postgres"), &keys("fail = \"rows > 1\"")),
        at("value", &url("postgres"), &keys("fail = \"row.answer >= 42 && value > 40\"")),
        at("column", &url("postgres"), &keys("warn = \"row.other == 1\"")),
        at("none", &url("postgres"), "query = \"SELECT 1 WHERE false\"\nfail = \"value > 5\""),
        at(
            "password",
            &url("postgres"),
            &format!("query = \"SELECT '{}'\"\nfail = \"value != 'x'\"", crate::support::databases::PASSWORD),
        ),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "holds", "answered");
    expect_failure(&host, "many", "unexpected-value", "rows is 2 (fails when `rows > 1`)");
    let value = "row.answer is 42, value is 42 (fails when";
    expect_failure(&host, "value", "unexpected-value", value);
    let column = host.until_run("column");
    assert_eq!(column["message"], "row.other is not there (warns when `row.other == 1`)");
    expect_failure(&host, "none", "unexpected-value", "value is not there");
    expect_failure(&host, "password", "unexpected-value", "value is \"[redacted]\"");
    expect_no_password(&host);
}
