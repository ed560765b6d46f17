//! The kind `http` against a real nginx, and against targets that misbehave.

use std::time::Duration;

use crate::support::certificates::Authority;
use crate::support::checks::{self, observation};
use crate::support::host::{Host, host};
use crate::support::nginx::Nginx;
use crate::support::target;

const TIMEOUT: Duration = Duration::from_millis(700);

/// A `[[check]]` of the kind `http`.
fn check(name: &str, url: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\ninterval = \"1s\"\ntimeout = \"{}ms\"\n{keys}\n",
        TIMEOUT.as_millis()
    )
}

/// What the first run of each check came to: state and message, or a part of it.
#[track_caller]
fn expect(host: &Host, expected: &[(&str, &str, &str)]) {
    for (name, state, says) in expected {
        let found = host.until_run(name);
        assert_eq!(found["state"], *state, "{found}");
        assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
    }
}

/// It fails for this reason, within its timeout.
#[track_caller]
fn expect_failure(host: &Host, name: &str, reason: &str, says: &str) {
    let found = checks::expect_failure(host, name, reason, says);
    let took = Duration::from_secs_f64(found["duration_ms"].as_f64().expect("a number") / 1e3);
    // It ends at its deadline; what is over that is the machine's.
    assert!(took <= TIMEOUT + Duration::from_millis(200), "it took {took:?}");
}

fn nginx() -> Nginx {
    Nginx::start(
        r#"
        location = /ok      { add_header X-Answer yes; return 200 '{"status": "ok", "queue": 17}'; }
        location = /created { return 201; }
        location = /gone    { return 410 'gone away'; }
        location = /broken  { return 503 'down for repair'; }
        location = /moved   { return 302 /ok; }
        location = /loop    { return 302 /loop; }
        location = /auth    { if ($http_authorization != 'Bearer letmein') { return 401; } return 200 welcome; }
        location = /agent   { return 200 $http_user_agent; }
        location = /post    { proxy_pass $self/inner; }
        location = /inner   { return 200 $request_method; }
        "#,
    )
}

#[test]
fn nginx_is_judged_by_status_and_body() {
    let nginx = nginx();
    let config = [
        check("ok", &nginx.url("/ok"), ""),
        check("gone", &nginx.url("/gone"), ""),
        check("gone-expected", &nginx.url("/gone"), "expect-status = [\"200-299\", 410]"),
        check("only-201", &nginx.url("/ok"), "expect-status = 201"),
        check("created", &nginx.url("/created"), "expect-status = 201"),
        check("contains", &nginx.url("/ok"), "expect-body = [\"queue\", \"17\"]"),
        check("lacks", &nginx.url("/ok"), "expect-body = \"topic\""),
        check("matches", &nginx.url("/ok"), "expect-body-matches = '\"queue\": *[0-9]+'"),
        check("mismatches", &nginx.url("/ok"), "expect-body-matches = '\"queue\": *[a-z]+'"),
        check("broken", &nginx.url("/broken"), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(
        &host,
        &[
            ("ok", "pass", "answered 200 OK"),
            ("gone", "fail", "answered 410 Gone (expected 200-299)"),
            ("gone-expected", "pass", "answered 410 Gone"),
            ("only-201", "fail", "answered 200 OK (expected 201)"),
            ("created", "pass", "answered 201 Created"),
            ("contains", "pass", "answered 200 OK"),
            ("lacks", "fail", "the body does not contain `topic`"),
            ("matches", "pass", "answered 200 OK"),
            ("mismatches", "fail", "the body does not match"),
            ("broken", "fail", "answered 503 Service Unavailable"),
        ],
    );
    assert_eq!(host.check("gone")["reason"], "unexpected-status");
    assert_eq!(host.check("lacks")["reason"], "unexpected-body");
    assert_eq!(host.check("mismatches")["reason"], "unexpected-body");
    let ok = host.check("ok");
    assert_eq!(observation(&ok, "status-code"), Some(200.0));
    assert_eq!(observation(&ok, "body-size"), Some(29.0));
    for phase in ["response-time", "connect", "first-byte"] {
        assert!(observation(&ok, phase).is_some_and(|s| s > 0.0 && s < 1.0), "{phase}: {ok}");
    }
    assert_eq!(ok["target"], nginx.url("/ok"));
    assert_eq!(ok["outcome"]["details"]["http-version"], "HTTP/1.1");
    assert_eq!(ok["outcome"]["details"]["peer"], nginx.address.to_string());
}

#[test]
fn method_headers_and_body_arrive_at_nginx() {
    let nginx = nginx();
    let config = [
        check("head", &nginx.url("/ok"), "method = \"HEAD\""),
        check("post", &nginx.url("/post"), "body = '{\"ping\": true}'\nexpect-body = \"POST\""),
        check("put", &nginx.url("/post"), "method = \"PUT\"\nbody = \"x\"\nexpect-body = \"PUT\""),
        check("bearer", &nginx.url("/auth"), "headers = { Authorization = \"Bearer letmein\" }"),
        check("nobody", &nginx.url("/auth"), ""),
        check("agent", &nginx.url("/agent"), "expect-body = \"wellcheck/\""),
        check(
            "own-agent",
            &nginx.url("/agent"),
            "headers = { User-Agent = \"probe\", X-Test = \"seen\" }\nexpect-body-matches = \"^probe$\"",
        ),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(
        &host,
        &[
            ("head", "pass", "answered 200"),
            ("post", "pass", "answered 200"),
            ("put", "pass", "answered 200"),
            ("bearer", "pass", "answered 200"),
            ("nobody", "fail", "answered 401"),
            ("agent", "pass", "answered 200"),
            ("own-agent", "pass", "answered 200"),
        ],
    );
    let log = nginx.access_log();
    assert!(log.contains("HEAD /ok HTTP/1.1|"), "{log}");
    assert!(log.contains(r#"POST /post HTTP/1.1|wellcheck/"#), "{log}");
    assert!(log.contains(r#"|{\"ping\": true}"#), "{log}");
    assert!(log.contains("GET /agent HTTP/1.1|probe|seen|"), "{log}");
}

#[test]
fn redirects_are_followed_or_kept_or_counted() {
    let nginx = nginx();
    let config = [
        check("followed", &nginx.url("/moved"), "expect-body = \"queue\""),
        check("kept", &nginx.url("/moved"), "redirects = 0\nexpect-status = 302"),
        check("loop", &nginx.url("/loop"), "redirects = 3"),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, &[("followed", "pass", "answered 200"), ("kept", "pass", "answered 302")]);
    expect_failure(&host, "loop", "redirect", "redirect");
    let followed = host.check("followed");
    assert_eq!(observation(&followed, "redirects"), Some(1.0));
    assert_eq!(followed["outcome"]["details"]["url"], nginx.url("/ok"));
}

#[test]
fn tls_and_http_2_with_a_root_of_our_own() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(&authority.good(), "location / { return 200 $server_protocol; }");
    let config = [
        check("auto", &nginx.https("/"), "tls-ca = \"ca.pem\"\nexpect-body = \"HTTP/2.0\""),
        check("two", &nginx.https("/"), "tls-ca = \"ca.pem\"\nhttp-version = \"2\""),
        check(
            "one",
            &nginx.https("/"),
            "tls-ca = \"ca.pem\"\nhttp-version = \"1.1\"\nexpect-body = \"HTTP/1.1\"",
        ),
        check("untrusted", &nginx.https("/"), ""),
        check("anyone", &nginx.https("/"), "tls-verify = false"),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect(
        &host,
        &[
            ("auto", "pass", "answered 200"),
            ("two", "pass", "answered 200"),
            ("one", "pass", "answered 200"),
            ("anyone", "pass", "answered 200"),
        ],
    );
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    let auto = host.check("auto");
    assert_eq!(auto["outcome"]["details"]["http-version"], "HTTP/2.0");
    assert!(observation(&auto, "tls").is_some_and(|seconds| seconds > 0.0), "{auto}");
    assert!(observation(&auto, "certificate-days-left").is_some_and(|days| days > 40_000.0));
    assert_eq!(auto["outcome"]["details"]["tls-version"], "1.3");
    let untrusted = host.check("untrusted");
    assert!(
        untrusted["outcome"]["details"]["certificate-issuer"].is_string(),
        "what was learnt before the failure is kept: {untrusted}"
    );
}

#[test]
fn certificates_warn_in_time_and_fail_with_their_reason() {
    let authority = Authority::new();
    let serve = |pair| Nginx::start_tls(&pair, "location / { return 200 fine; }");
    let soon = serve(authority.issue_for_days(10));
    let expired = serve(authority.issue(&["localhost"], (2020, 2021)));
    let early = serve(authority.issue(&["localhost"], (2150, 2160)));
    let other = serve(authority.issue(&["shop.example.com"], (2020, 2180)));
    let ca = "tls-ca = \"ca.pem\"\n";
    let config = [
        check("soon", &soon.https("/"), &format!("{ca}certificate-days = 14")),
        check("later", &soon.https("/"), &format!("{ca}certificate-days = 7")),
        check("expired", &expired.https("/"), ca),
        check("early", &early.https("/"), ca),
        check("other", &other.https("/"), ca),
        check("named", &other.https("/"), &format!("{ca}tls-server-name = \"shop.example.com\"")),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    expect(
        &host,
        &[
            ("soon", "warn", "days left (expected at least 14)"),
            ("later", "pass", "answered 200"),
            ("named", "pass", "answered 200"),
        ],
    );
    expect_failure(&host, "expired", "tls-expired", "");
    expect_failure(&host, "early", "tls-not-yet-valid", "");
    expect_failure(&host, "other", "tls-wrong-name", "");
    let days = observation(&host.check("soon"), "certificate-days-left").expect("a number");
    assert!((9.0..10.1).contains(&days), "{days}");
}

#[test]
fn each_way_to_fail_has_its_reason_inside_the_timeout() {
    let silent = target::http().silent().start();
    let trickle = target::http().trickle().start();
    let garbage = target::http().garbage().start();
    let closed = target::http().close_early().start();
    let circle = target::http().endless_redirects().start();
    let plain = nginx();
    let gone = target::http().start();
    let refused = gone.url("/");
    drop(gone);
    let config = [
        check("refused", &refused, ""),
        check("unresolved", "http://name.invalid/", ""),
        check("silent", &silent.url("/"), ""),
        check("trickle", &trickle.url("/"), ""),
        check("garbage", &garbage.url("/"), ""),
        check("closed", &closed.url("/"), ""),
        check("circle", &circle.url("/"), ""),
        check("no-tls", &plain.https("/"), ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_failure(&host, "refused", "refused", "refused");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
    expect_failure(&host, "silent", "timeout", "");
    expect_failure(&host, "trickle", "timeout", "");
    expect_failure(&host, "garbage", "protocol", "");
    expect_failure(&host, "closed", "closed", "");
    expect_failure(&host, "circle", "redirect", "10");
    expect_failure(&host, "no-tls", "tls", "");
    assert_eq!(host.get("/health").code, 503);
    assert_eq!(host.get("/livez").code, 200, "a target never makes wellcheck itself unhealthy");
}

#[test]
fn an_endless_body_is_cut_at_the_limit_and_judged() {
    let endless = target::http().endless_body().start();
    let config = [
        check("cut", &endless.url("/"), "body-limit = \"10KiB\"\nexpect-body = \"yyyy\""),
        check("lacks", &endless.url("/"), "body-limit = \"1MiB\"\nexpect-body = \"zzzz\""),
        check("none", &endless.url("/"), "body-limit = \"0B\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect(&host, &[("cut", "pass", "answered 200"), ("none", "pass", "answered 200")]);
    expect_failure(&host, "lacks", "unexpected-body", "within its limit");
    let cut = host.check("cut");
    assert_eq!(observation(&cut, "body-size"), Some(10_240.0));
    assert_eq!(cut["outcome"]["details"]["body"], "cut at the limit");
}

#[test]
fn a_proxy_is_used_only_when_configured() {
    let direct = target::http().status(200).start();
    let proxy = target::http().status(200).start();
    let config = [
        check("direct", &direct.url("/a"), ""),
        check("through", "http://shop.invalid/b", &format!("proxy = \"{}\"", proxy.url(""))),
    ]
    .concat();
    let host = host()
        .env("http_proxy", &proxy.url(""))
        .env("HTTP_PROXY", &proxy.url(""))
        .config(&config)
        .start();
    expect(&host, &[("direct", "pass", "answered 200"), ("through", "pass", "answered 200")]);
    assert!(direct.requests()[0].starts_with("GET /a HTTP/1.1\r\n"));
    assert!(
        proxy.requests().iter().all(|r| r.starts_with("GET http://shop.invalid/b HTTP/1.1\r\n")),
        "{:?}",
        proxy.requests()
    );
}

#[test]
fn every_run_opens_a_new_connection() {
    let target = target::http().status(200).header("Connection", "keep-alive").start();
    let config =
        check("a", &target.url("/"), "").replace("\"1s\"", "\"100ms\"").replace("700ms", "100ms");
    let host = host().config(&config).start();
    for _ in 0..3 {
        assert_eq!(host.next_run("a")["state"], "pass");
    }
    assert!(target.count() >= 3);
}
