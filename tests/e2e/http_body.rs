//! What the kind `http` makes of answers: compressed, refused, unending, and of what it sends.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::support::certificates::Authority;
use crate::support::checks::{check, expect_failure, expect_pass, observation, timed};
use crate::support::host::host;
use crate::support::listener::{Listener, answers, listener, read_head};
use crate::support::nginx::Nginx;
use crate::support::target;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes).expect("memory takes all");
    writer.finish().expect("memory takes all")
}

/// An answer in some encoding.
fn coded(name: &str, body: &[u8]) -> Listener {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    answers([head.as_bytes(), body].concat())
}

fn url(listener: &Listener) -> String {
    format!("http://{}/", listener.address)
}

#[test]
fn compressed_bodies_are_decoded_up_to_the_limit() {
    let nginx = Nginx::start(
        "gzip on; gzip_min_length 1; gzip_types *;
        location / { return 200 'hello hello hello hello hello hello'; }",
    );
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(b"hello").expect("memory");
    let zlib = coded("deflate", &zlib.finish().expect("memory"));
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
    raw.write_all(b"hello").expect("memory");
    let raw = coded("deflate", &raw.finish().expect("memory"));
    let brotli = coded("br", b"\x0b\x02\x80hello\x03");
    let bomb = coded("gzip", &gzip(&vec![b'x'; 256 * 1024 * 1024]));
    let garbage = coded("gzip", b"this is no gzip at all");
    let short = coded("gzip", &gzip(b"hello")[..20]);
    let other = coded("zstd", b"hello");
    let all = "compression = [\"gzip\", \"br\", \"deflate\"]\nexpect-body = \"hello\"\n";
    let config = [
        check(
            "http",
            "nginx",
            &nginx.url("/"),
            &format!("{all}expect-headers = {{ Content-Encoding = \"^gzip$\" }}"),
        ),
        check(
            "http",
            "plain",
            &nginx.url("/"),
            "expect-body = \"hello\"\nrefuse-headers = { Content-Encoding = \"\" }",
        ),
        check("http", "zlib", &url(&zlib), all),
        check("http", "raw", &url(&raw), all),
        check("http", "brotli", &url(&brotli), all),
        check(
            "http",
            "bomb",
            &url(&bomb),
            "compression = \"gzip\"\nbody-limit = \"64KiB\"\nexpect-body = \"xxx\"",
        ),
        check("http", "garbage", &url(&garbage), all),
        check("http", "short", &url(&short), all),
        check("http", "other", &url(&other), all),
    ]
    .concat();
    let host = host().config(&config).start();
    for name in ["nginx", "plain", "zlib", "raw", "brotli"] {
        expect_pass(&host, name, "answered 200 OK");
    }
    assert_eq!(observation(&host.check("nginx"), "body-size"), Some(35.0));
    let bomb = expect_pass(&host, "bomb", "answered 200 OK");
    assert_eq!(observation(&bomb, "body-size"), Some(65536.0));
    assert_eq!(bomb["outcome"]["details"]["body"], "cut at the limit");
    assert!(bomb["duration_ms"].as_f64().is_some_and(|ms| ms < 5_000.0), "{bomb}");
    expect_failure(&host, "garbage", "protocol", "is no `gzip`");
    expect_failure(&host, "short", "protocol", "ends before its `gzip` does");
    expect_failure(&host, "other", "protocol", "the encoding `zstd` (asked for gzip, br, deflate)");
}

#[test]
fn answers_are_refused_for_what_they_hold() {
    let nginx = Nginx::start(
        "location / { default_type application/json; add_header X-Debug on always; add_header X-Two a; add_header X-Two b; return 200 '{\"status\": \"down\"}'; }",
    );
    let make = |name: &str, keys: &str| check("http", name, &nginx.url("/"), keys);
    let config = [
        make("type", "expect-headers = { content-type = \"^application/json\" }"),
        make("other-type", "expect-headers = { Content-Type = \"^text/\" }"),
        make("no-header", "expect-headers = { X-None = \"\" }"),
        make("second", "expect-headers = { X-Two = \"^b$\" }"),
        make("debug", "refuse-headers = { X-Debug = \"\" }"),
        make("second-refused", "refuse-headers = { X-Two = \"^b$\" }"),
        make("not-refused", "refuse-headers = { X-Two = \"^c$\", X-None = \"\" }"),
        make("text", "refuse-body = [\"up\", \"down\"]"),
        make("pattern", "refuse-body-matches = '\"status\": *\"d'"),
        make("neither", "refuse-body = \"up\"\nrefuse-body-matches = \"^x\""),
        make("version", "expect-http-version = \"2\""),
        make("version-good", "expect-http-version = [\"1.1\", \"2\"]"),
        make("tls", "expect-tls = true"),
        make("no-tls", "expect-tls = false"),
    ]
    .concat();
    let host = host().config(&config).start();
    for name in ["type", "second", "not-refused", "neither", "version-good", "no-tls"] {
        expect_pass(&host, name, "answered 200 OK");
    }
    let header = "unexpected-header";
    expect_failure(
        &host,
        "other-type",
        header,
        "its header `content-type` is `application/json` (expected to match `^text/`)",
    );
    expect_failure(&host, "no-header", header, "has no header `x-none`");
    expect_failure(&host, "debug", header, "its header `x-debug` is `on`");
    expect_failure(&host, "second-refused", header, "its header `x-two` is `b`");
    expect_failure(&host, "text", "unexpected-body", "the body contains `down`");
    expect_failure(&host, "pattern", "unexpected-body", "the body matches `\"status\": *\"d`");
    expect_failure(&host, "version", "protocol", "but in HTTP/1.1 (expected HTTP/2.0)");
    expect_failure(&host, "tls", "tls", "but without TLS");
}

#[test]
fn a_body_is_sent_from_a_file() {
    let target = target::http().mirror().start();
    let config = [
        check(
            "http",
            "file",
            &target.url("/"),
            "body-file = \"ping.json\"\nexpect-body = '{\"ping\": 1}'",
        ),
        check(
            "http",
            "put",
            &target.url("/"),
            "body-file = \"ping.json\"\nmethod = \"PUT\"\nexpect-body = \"PUT / \"",
        ),
    ]
    .concat();
    let host = host().config(&config).file("ping.json", "{\"ping\": 1}").start();
    expect_pass(&host, "file", "answered 200");
    expect_pass(&host, "put", "answered 200");
    assert!(target.requests().iter().any(|r| r.starts_with("POST / ")), "{:?}", target.requests());
}

#[test]
fn a_redirect_to_plain_http_can_be_refused() {
    let authority = Authority::new();
    let plain = target::http().status(200).start();
    let nginx = Nginx::start_tls(
        &authority.good(),
        &format!("location / {{ return 302 {}; }}", plain.url("/")),
    );
    let ca = "tls-ca = \"ca.pem\"\n";
    let config = [
        check("http", "followed", &nginx.https("/"), ca),
        check("http", "refused", &nginx.https("/"), &format!("{ca}redirect-downgrade = false")),
        check("http", "ended-plain", &nginx.https("/"), &format!("{ca}expect-tls = true")),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect_pass(&host, "followed", "answered 200");
    expect_failure(&host, "refused", "redirect", "it leads from `https` to `http`");
    expect_failure(&host, "ended-plain", "tls", "but without TLS");
}

#[test]
fn targets_that_misbehave_in_other_ways_end_at_the_timeout() {
    let huge = answers(
        [b"HTTP/1.1 200 OK\r\nX-A: ".to_vec(), vec![b'a'; 1024 * 1024], b"\r\n\r\n".to_vec()]
            .concat(),
    );
    let many = answers(
        [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-A: b\r\n".repeat(500), b"\r\n".to_vec()].concat(),
    );
    let half = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec());
    let patient = listener(|stream| {
        read_head(stream)?;
        loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    let open = listener(|stream| {
        read_head(stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")?;
        read_head(stream).map(drop)
    });
    let chunks = answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx".to_vec(),
    );
    let smuggling =
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello".to_vec());
    let cases: [(&str, &Listener, &str); 6] = [
        ("huge", &huge, "too-large"),
        ("many", &many, "too-large"),
        ("half", &half, "closed"),
        ("patient", &patient, "timeout"),
        ("chunks", &chunks, "protocol"),
        ("smuggling", &smuggling, "protocol"),
    ];
    let mut config = check("http", "open", &url(&open), "expect-body = \"fine\"");
    for (name, listener, _) in &cases {
        config += &timed("http", name, &url(listener), "700ms", "");
    }
    let host = host().config(&config).start();
    expect_pass(&host, "open", "answered 200");
    for (name, _, reason) in &cases {
        let found = expect_failure(&host, name, reason, "");
        assert!(found["duration_ms"].as_f64().is_some_and(|ms| ms < 1_200.0), "{found}");
    }
}
