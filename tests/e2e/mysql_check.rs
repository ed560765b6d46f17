//! The kind `mysql` against a real MariaDB, and against servers that are none.

use std::io::{Read, Write};

use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
};
use crate::support::databases::{ENCODED, mariadb};
use crate::support::host::host;
use crate::support::listener::{Listener, listener};

fn url(rest: &str) -> String {
    format!("mysql://app:{ENCODED}@127.0.0.1:{}/{rest}", mariadb().port)
}

fn at(name: &str, url: &str, keys: &str) -> String {
    check("mysql", name, url, keys)
}

#[test]
fn a_login_and_a_query_pass() {
    let port = mariadb().port;
    let config = [
        at("plain", &url("shop?ssl-mode=disabled"), ""),
        at("standard", &url("shop"), ""),
        at("no-database", &format!("mariadb://app:{ENCODED}@127.0.0.1:{port}"), ""),
        at("guest", &format!("mysql://guest@127.0.0.1:{port}"), ""),
        at("named", &url("shop"), "query = \"SELECT DATABASE(), 2\"\nexpect = \"shop\""),
        at(
            "many",
            &url("shop"),
            "query = \"SELECT 0 AS n UNION SELECT 1 UNION SELECT 2\"\nexpect = \"0\"",
        ),
        at("long", &url("shop"), "query = \"SELECT REPEAT('x', 300)\""),
        at("nothing", &url("shop"), "query = \"DO 1\""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    let plain = expect_pass(&host, "plain", "answered `SELECT 1` (MariaDB 1");
    assert_eq!(plain["target"], format!("mysql://127.0.0.1:{port}/shop"));
    assert_eq!(plain["outcome"]["details"]["peer"], format!("127.0.0.1:{port}"));
    let version = plain["outcome"]["details"]["server-version"].as_str().unwrap_or_default();
    assert!(version.contains("MariaDB"), "{plain}");
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
    for name in ["no-database", "guest", "named", "many", "long", "nothing"] {
        expect_pass(&host, name, "answered");
    }
    expect_no_password(&host);
    let log = mariadb().log();
    let is_lost = |line: &&str| line.contains("Aborted connection") && line.contains("'guest'");
    assert_eq!(log.lines().find(is_lost), None, "it says goodbye");
}

#[test]
fn what_the_server_refuses_has_its_reason() {
    let port = mariadb().port;
    let config = [
        at("wrong-password", &format!("mysql://app:wrong@127.0.0.1:{port}/shop"), ""),
        at("no-password", &format!("mysql://app@127.0.0.1:{port}/shop?ssl-mode=disabled"), ""),
        at("not-mine", &url("mysql"), ""),
        at("no-table", &url("shop"), "query = \"SELECT * FROM nowhere\""),
        at("late-error", &url("shop"), "query = \"SELECT n, (SELECT 1 UNION SELECT n) FROM (SELECT 1 AS n UNION SELECT 2) AS t\""),
        at("other-value", &url("shop"), "query = \"SELECT CONCAT('ab', 'c')\"\nexpect = \"ab\""),
        at("null", &url("shop"), "query = \"SELECT NULL\"\nexpect = \"\""),
        at("no-row", &url("shop"), "query = \"SELECT 1 FROM DUAL WHERE 1 = 2\"\nexpect = \"1\""),
        at("too-large", &url("shop"), "query = \"SELECT REPEAT('x', 200000), REPEAT('x', 200000) UNION ALL SELECT REPEAT('y', 200000), REPEAT('y', 200000) UNION ALL SELECT REPEAT('z', 200000), REPEAT('z', 200000)\""),
        at("our-file", &url("shop"), "query = \"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE nowhere\""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "wrong-password", "login", "Access denied for user 'app'");
    expect_failure(&host, "no-password", "login", "(1045)");
    expect_failure(&host, "not-mine", "login", "(1044)");
    expect_failure(&host, "no-table", "query", "'shop.nowhere' doesn't exist (1146)");
    expect_failure(&host, "late-error", "query", "Subquery returns more than 1 row (1242)");
    expect_failure(&host, "other-value", "unexpected-value", "with `abc` (expected `ab`)");
    expect_failure(&host, "null", "unexpected-value", "with NULL");
    expect_failure(&host, "no-row", "unexpected-value", "without a value");
    expect_failure(&host, "too-large", "too-large", "more than 1 MiB");
    let file = host.until_run("our-file");
    assert_eq!(file["state"], "fail", "{file}");
    let refused = host.check("wrong-password");
    assert!(observation(&refused, "login").is_some_and(|seconds| seconds > 0.0), "{refused}");
    expect_no_password(&host);
}

#[test]
fn tls_is_used_and_judged_as_the_url_says() {
    let server = mariadb();
    let config = [
        at("required", &url("shop?ssl-mode=required"), ""),
        at("untrusted", &url("shop?ssl-mode=verify_identity"), ""),
        at("trusted", &url("shop?ssl-mode=verify_identity"), "tls-ca = \"ca.pem\""),
        at("judged", &url("shop"), "tls-verify = true"),
        at("named", &url("shop"), "tls-ca = \"ca.pem\"\ntls-server-name = \"other.example.com\""),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", &server.ca).start();
    let required = expect_pass(&host, "required", "answered");
    assert_eq!(required["outcome"]["details"]["tls-version"], "1.3", "{required}");
    assert!(observation(&required, "tls").is_some_and(|seconds| seconds > 0.0), "{required}");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    expect_pass(&host, "trusted", "answered");
    expect_failure(&host, "judged", "tls-untrusted", "");
    expect_failure(&host, "named", "tls-wrong-name", "");
}

/// A packet with its number.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[length, 0, 0, number], payload].concat()
}

/// The greeting of a MySQL without TLS, whose users log in as `plugin` says.
fn greeting(plugin: &str) -> Vec<u8> {
    let mut payload = b"\x0a8.4.6\0\x01\0\0\0abcdefgh\0".to_vec();
    // All capabilities but TLS.
    payload.extend([0xff, 0xf7, 45, 2, 0, 0xff, 0xdf, 21]);
    payload.extend([0; 10]);
    payload.extend(b"ij0123456789\0");
    payload.extend(plugin.as_bytes());
    payload.push(0);
    packet(0, &payload)
}

/// Says its pieces, each when it has heard something.
fn scripted(pieces: Vec<Vec<u8>>) -> Listener {
    listener(move |stream| {
        for piece in &pieces {
            stream.write_all(piece)?;
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer)?;
        }
        Ok(())
    })
}

#[test]
fn what_a_server_says_before_it_is_ready_is_told() {
    let caching = "caching_sha2_password";
    let full = scripted(vec![packet(0, b"\xff\x10\x04Too many connections")]);
    let fast = scripted(vec![
        greeting(caching),
        [packet(2, &[1, 3]), packet(3, &[0, 0, 0, 2, 0, 0, 0])].concat(),
        // One column, its description, the end, a row, the end.
        [
            packet(1, &[1]),
            packet(2, b"def"),
            packet(3, b"\xfe\0\0\x02\0"),
            packet(4, b"\x011"),
            packet(5, b"\xfe\0\0\x02\0"),
        ]
        .concat(),
    ]);
    let whole = scripted(vec![greeting(caching), packet(2, &[1, 4])]);
    let unknown =
        scripted(vec![greeting(caching), packet(2, b"\xfeclient_ed25519\0abcdefghij0123456789\0")]);
    let clear = scripted(vec![greeting(caching), packet(2, b"\xfemysql_clear_password\0")]);
    let file = scripted(vec![
        greeting(caching),
        packet(2, &[0, 0, 0, 2, 0, 0, 0]),
        packet(1, b"\xfb/etc/passwd"),
    ]);
    let endless = scripted(
        (0..20_u8)
            .map(|n| match n {
                0 => greeting(caching),
                n => packet(2 * n, b"\xfemysql_native_password\0abcdefghij0123456789\0"),
            })
            .collect(),
    );
    let bare = |listener: &Listener, rest: &str| {
        format!("mysql://app:{ENCODED}@{}/x{rest}", listener.address)
    };
    let config = [
        at("full", &bare(&full, ""), ""),
        at("fast", &bare(&fast, ""), "expect = \"1\""),
        at("whole", &bare(&whole, ""), ""),
        at("unknown", &bare(&unknown, ""), ""),
        at("clear", &bare(&clear, ""), ""),
        at("file", &bare(&file, ""), ""),
        at("endless", &bare(&endless, ""), ""),
        at("no-tls", &bare(&fast, "?ssl-mode=required"), ""),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_failure(&host, "full", "query", "Too many connections (1040)");
    expect_pass(&host, "fast", "answered `SELECT 1` (MySQL 8.4.6)");
    expect_failure(&host, "whole", "login", "over TLS only");
    expect_failure(&host, "unknown", "login", "it wants `client_ed25519`");
    expect_failure(&host, "clear", "login", "it wants `mysql_clear_password`");
    expect_failure(&host, "file", "protocol", "it asks for a local file");
    expect_failure(&host, "endless", "protocol", "a login without an end");
    expect_failure(&host, "no-tls", "tls", "does not offer TLS");
    expect_no_password(&host);
}

#[test]
fn mysql_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("mysql://app:{ENCODED}@{address}/x");
    each_way_to_misbehave("mysql", url, (b"\xff\xff\xff\0", b"yyyy"));
}

#[test]
fn rows_without_an_end_are_not_waited_for() {
    let endless = listener(|stream| {
        let mut buffer = [0; 1024];
        stream.write_all(&greeting("mysql_native_password"))?;
        let _ = stream.read(&mut buffer)?;
        stream.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0]))?;
        let _ = stream.read(&mut buffer)?;
        stream.write_all(
            &[packet(1, &[1]), packet(2, b"def"), packet(3, b"\xfe\0\0\x02\0")].concat(),
        )?;
        let row: Vec<u8> =
            (4..=u8::MAX).chain(0..4).flat_map(|number| packet(number, b"\x05hello")).collect();
        loop {
            stream.write_all(&row)?;
        }
    });
    let config = at("endless", &format!("mysql://app:{ENCODED}@{}/x", endless.address), "");
    let host = host().config(&config).start();
    expect_failure(&host, "endless", "too-large", "more than 1 MiB");
}

#[test]
fn conditions_judge_rows_and_columns() {
    let query = "query = \"SELECT 42 AS answer, 'text' AS word, NULL AS nothing UNION ALL SELECT 2, 'b', NULL\"\n";
    let keys = |keys: &str| format!("{query}{keys}");
    let config = [
        at(
            "holds",
            &url("shop"),
            &keys("fail = [\"value != 42\", \"rows != 2\", \"row.word != 'text'\", \"row.nothing != null\", \"!version.contains('MariaDB')\"]"),
        ),
        at("many", &url("shop"), &keys("fail = \"rows > 1\"")),
        at("value", &url("shop"), &keys("warn = \"row.answer >= 42\"")),
        at("nothing", &url("shop"), "query = \"DO 1\"\nfail = \"rows == 0\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "holds", "answered");
    expect_failure(&host, "many", "unexpected-value", "rows is 2 (fails when `rows > 1`)");
    let value = host.until_run("value");
    assert_eq!(value["message"], "row.answer is 42 (warns when `row.answer >= 42`)");
    expect_failure(&host, "nothing", "unexpected-value", "rows is 0");
}
