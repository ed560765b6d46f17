//! What a client gets that asks for it in its own way: formats by `Accept`, conditions, gzip.

use std::io::Read;
use std::process::Command;

use flate2::read::GzDecoder;
use wellcheck_core::format::FORMATS;

use crate::support::host::{Host, host};
use crate::support::http::{self, Answer};

/// Twenty checks that pass, so that a body is worth compressing, and one that fails if wanted.
fn start(with_fail: bool) -> Host {
    let echo = |name: &str, status: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\", message = \"it is {status}\" }}\n"
        )
    };
    let mut config: String = (0..20).map(|n| echo(&format!("check-{n:02}"), "pass")).collect();
    if with_fail {
        config += &echo("bad", "fail");
    }
    let host = host().config(&config).guest("echo").start();
    for n in 0..20 {
        host.until_state(&format!("check-{n:02}"), "pass");
    }
    if with_fail {
        host.until_state("bad", "fail");
    }
    host
}

const JSON: &str = "application/json";
const HEALTH: &str = "application/health+json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What is sent in `Accept`, and the media type and code of the answer.
const ACCEPTED: &[(&str, u16, &str)] = &[
    ("*/*", 200, HEALTH),
    ("application/health+json", 200, HEALTH),
    ("application/json", 200, JSON),
    ("Application/JSON; charset=utf-8", 200, JSON),
    ("text/plain; charset=utf-8", 200, TEXT),
    ("application/json;q=0.5, application/health+json", 200, HEALTH),
    ("application/health+json;q=0.5, application/json", 200, JSON),
    ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", 200, HEALTH),
    ("image/png, application/json;q=0.1", 200, JSON),
    ("nonsense", 200, HEALTH),
    ("", 200, HEALTH),
    ("text/plain;q=", 200, HEALTH),
    ("image/png", 406, JSON),
    ("application/health+json;v=\"a,b\";q=0, image/*", 406, JSON),
    ("*/*;q=0", 406, JSON),
];

#[test]
fn a_client_gets_the_format_that_it_accepts() {
    let host = start(false);
    for path in ["/health", "/health/check-07"] {
        for (accept, code, media_type) in ACCEPTED {
            let answer = host.ask("GET", path, &[("Accept", accept)]);
            let found = (answer.code, answer.header("content-type"));
            assert_eq!(found, (*code, Some(*media_type)), "{path}, {accept}");
            let vary = answer.header("vary").expect("it depends on something");
            assert!(vary.contains("accept"), "{path}, {accept}: {vary}");
        }
        for format in FORMATS {
            for kind in format.accepts() {
                let answer = host.ask("GET", path, &[("Accept", kind)]);
                let own = answer.header("content-type").expect("a media type");
                assert!(own == format.media_type() || own == JSON, "{kind}: {own}");
            }
        }
    }
    let lines = [("Accept", "image/png"), ("Accept", "application/json")];
    assert_eq!(host.ask("GET", "/health", &lines).header("content-type"), Some(JSON));
    let none = host.get("/health");
    assert_eq!(none.header("content-type"), Some(HEALTH));
    assert_eq!(none.header("vary"), Some("accept, accept-encoding"));
}

#[test]
fn a_format_by_its_name_wins_over_accept() {
    let host = start(false);
    let answer = host.ask("GET", "/health?format=text", &[("Accept", "application/json")]);
    assert_eq!((answer.code, answer.header("content-type")), (200, Some(TEXT)));
    assert_eq!(answer.header("vary"), Some("accept-encoding"), "`Accept` was not looked at");
    let genesis = host.ask("GET", "/health/status", &[("Accept", "text/plain")]);
    assert_eq!((genesis.code, genesis.header("content-type")), (200, Some(JSON)));
}

#[test]
fn what_nobody_can_serve_is_406_with_what_there_is() {
    let host = start(false);
    let answer = host.ask("GET", "/health", &[("Accept", "image/png")]);
    assert_eq!(answer.code, 406);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "not-acceptable");
    let listed = error["formats"].as_array().expect("a list");
    assert_eq!(listed.len(), FORMATS.len());
    for (format, entry) in FORMATS.iter().zip(listed) {
        assert_eq!(entry["format"], format.name());
        assert_eq!(entry["media-types"][0], format.media_type());
    }
}

#[test]
fn hostile_headers_are_answered_at_once() {
    let host = start(false);
    let bombs = [
        ",".repeat(30_000),
        "a/b;".repeat(7_000),
        "a/b;q=0.1,".repeat(3_000),
        format!("text/plain;x=\"{}", "\\\"".repeat(14_000)),
        "*/*;q=0,".repeat(3_500),
    ];
    for bomb in &bombs {
        for name in ["Accept", "Accept-Encoding", "If-None-Match"] {
            let answer = host.ask("GET", "/health", &[(name, bomb)]);
            assert!([200, 406].contains(&answer.code), "{name}: {}", answer.code);
        }
    }
}

/// Asks with curl: code and media type.
fn curl(host: &Host, path: &str, args: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"])
        .args(["--write-out", "\n%{http_code} %{content_type}"])
        .args(args)
        .arg(format!("http://{}{path}", host.address))
        .output()
        .expect("curl is installed (`apt-get install curl`)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, end) = text.rsplit_once('\n').expect("two parts");
    (end.to_owned(), body.to_owned())
}

#[test]
fn curl_negotiates_and_decompresses() {
    let host = start(false);
    let (plain, body) = curl(&host, "/health", &[]);
    assert_eq!(plain, format!("200 {HEALTH}"));
    assert!(body.len() >= 1024, "{}", body.len());
    let (end, compressed) = curl(&host, "/health", &["--compressed"]);
    assert_eq!((end, compressed), (plain, body));
    let (end, body) = curl(&host, "/health", &["--header", "Accept: text/plain, image/png"]);
    assert!(end.starts_with("200 text/plain"), "{end}: {body}");
    let (end, _) = curl(&host, "/health", &["--header", "Accept: image/png"]);
    assert_eq!(end, format!("406 {JSON}"));
    let (end, body) = curl(&host, "/health", &["--head"]);
    assert!(end.starts_with("200 "), "{end}");
    assert!(body.contains("etag: "), "{body}");
}

// ── Conditions ──────────────────────────────────────────────────────────────────────────────────

/// Headers, but the date.
fn headers(answer: &Answer) -> Vec<(String, String)> {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "date");
    headers
}

#[test]
fn what_is_known_already_is_not_sent_again() {
    let host = start(false);
    for path in ["/health", "/health?format=text", "/health/status", "/health/check-01"] {
        let first = host.get(path);
        let tag = first.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong one: {tag}");
        assert_eq!(host.get(path).header("etag"), Some(tag.as_str()), "{path}: it stays the same");
        let lists = [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", W/\"x,y\", {tag}"),
            "*".to_owned(),
        ];
        for list in &lists {
            for method in ["GET", "HEAD"] {
                let answer = host.ask(method, path, &[("If-None-Match", list)]);
                assert_eq!((answer.code, answer.body.as_str()), (304, ""), "{path}: {list}");
                for name in ["etag", "vary", "cache-control"] {
                    assert_eq!(answer.header(name), first.header(name), "{path}: {name}");
                }
            }
        }
        for list in ["\"other\"", "", "nonsense", tag.trim_matches('"')] {
            let answer = host.ask("GET", path, &[("If-None-Match", list)]);
            assert_eq!((answer.code, &answer.body), (200, &first.body), "{path}: {list}");
        }
    }
}

#[test]
fn another_format_has_another_tag() {
    let host = start(false);
    let tag = |path: &str| host.get(path).header("etag").expect("a tag").to_owned();
    assert_ne!(tag("/health"), tag("/health?format=text"));
    assert_eq!(tag("/health"), tag("/health?format=health%2Bjson"));
    assert_ne!(tag("/health/check-01"), tag("/health/check-02"));
}

#[test]
fn a_failure_is_never_hidden_by_a_condition() {
    let host = start(true);
    let answer = host.get("/health");
    assert_eq!((answer.code, answer.header("etag")), (503, None));
    let answer = host.ask("GET", "/health", &[("If-None-Match", "*")]);
    assert_eq!(answer.code, 503);
}

#[test]
fn a_change_changes_the_tag() {
    let host = start(false);
    let before = host.get("/health?format=genesis");
    let tag = before.header("etag").expect("a tag").to_owned();
    host.configure(
        "[[check]]\nname = \"check-00\"\nplugin = \"echo\"\nsettings = { message = \"new\" }\n",
    );
    host.until("check-00", "its new message", |check| check["message"] == "new");
    let answer = host.ask("GET", "/health?format=genesis", &[("If-None-Match", &tag)]);
    assert_eq!(answer.code, 200);
    assert_ne!(answer.header("etag"), Some(tag.as_str()));
}

// ── Gzip ────────────────────────────────────────────────────────────────────────────────────────

/// An answer with the bytes of its body.
fn ask(host: &Host, path: &str, header: &str) -> (Answer, Vec<u8>) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n");
    let bytes = http::raw(host.address, text.as_bytes()).expect("an answer");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let answer = Answer::take(&mut &bytes[..], true).expect("a head");
    (answer, bytes[end + 4..].to_vec())
}

#[test]
fn large_bodies_are_compressed_for_those_who_take_it() {
    let host = start(false);
    let (plain, body) = ask(&host, "/health", "Accept-Encoding: br, identity");
    assert_eq!(plain.header("content-encoding"), None);
    assert!(body.len() > 1024);
    let (first, compressed) = ask(&host, "/health", "Accept-Encoding: gzip, deflate, br");
    assert_eq!(first.header("content-encoding"), Some("gzip"));
    assert!(compressed.len() * 3 < body.len(), "{} of {}", compressed.len(), body.len());
    assert_eq!(first.header("content-length"), Some(compressed.len().to_string().as_str()));
    let mut decoded = Vec::new();
    GzDecoder::new(&compressed[..]).read_to_end(&mut decoded).expect("gzip");
    assert_eq!(decoded, body);
    for name in ["vary", "content-type", "cache-control"] {
        assert_eq!(first.header(name), plain.header(name), "{name}");
    }
    // Each coding has its own tag.
    let (tag, other) = (first.header("etag").expect("a tag"), plain.header("etag").expect("a tag"));
    assert_ne!(tag, other);
    let asked = |tag: &str, encoding: &str| {
        let headers = [("If-None-Match", tag), ("Accept-Encoding", encoding)];
        host.ask("GET", "/health", &headers).code
    };
    assert_eq!((asked(tag, "gzip"), asked(other, "identity")), (304, 304));
    assert_eq!((asked(other, "gzip"), asked(tag, "identity")), (200, 200));
    let head = host.ask("HEAD", "/health", &[("Accept-Encoding", "gzip, deflate, br")]);
    assert_eq!(headers(&head), headers(&first));
}

#[test]
fn small_bodies_and_those_who_refuse_get_it_as_it_is() {
    let host = start(false);
    let (small, _) = ask(&host, "/health/check-01?format=text", "Accept-Encoding: gzip");
    assert_eq!(small.header("content-encoding"), None);
    assert_eq!(small.header("vary"), Some("accept-encoding"), "it may grow");
    for refusal in ["gzip;q=0", "*;q=0", "identity, gzip;q=0.5", "br"] {
        let (answer, _) = ask(&host, "/health", &format!("Accept-Encoding: {refusal}"));
        assert_eq!(answer.header("content-encoding"), None, "{refusal}");
    }
}
