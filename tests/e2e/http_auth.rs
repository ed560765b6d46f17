//! Who the kind `http` is to its target: credentials, tokens, cookies, and where they do not go.

use crate::support::checks::{check, expect_failure, expect_pass};
use crate::support::host::host;
use crate::support::nginx::Nginx;
use crate::support::target::{self, Target};
use crate::support::wait::until;

fn token(text: &str, expires: u32) -> String {
    format!(r#"{{"access_token": "{text}", "token_type": "bearer", "expires_in": {expires}}}"#)
}

fn oauth(server: &Target, more: &str) -> String {
    format!(
        "oauth2 = {{ token-url = \"{}\", client-id = \"pro:be\", client-secret = \"${{SECRET}}\"{more} }}\n",
        server.url("/token")
    )
}

#[test]
fn basic_and_bearer_arrive_and_stay_with_their_origin() {
    let other = target::http().mirror().start();
    let nginx = Nginx::start(&format!(
        "location / {{ return 200 \"<$http_authorization> <$http_cookie>\"; }}
        location = /away {{ return 302 {}; }}
        location = /away-with-body {{ return 307 {}; }}",
        other.url("/"),
        other.url("/")
    ));
    let basic = "basic = { username = \"probe\", password = \"${PASSWORD}\" }\n";
    let bearer = "bearer = \"${PASSWORD}\"\n";
    let config = [
        check("http", "basic", &nginx.url("/"), &format!("{basic}expect-body = \"<Basic cHJvYmU6Y2FuYXJ5LTc=>\"")),
        check("http", "bearer", &nginx.url("/"), &format!("{bearer}expect-body = \"<Bearer canary-7>\"")),
        check(
            "http",
            "cookies",
            &nginx.url("/"),
            "headers = { Cookie = \"z=0\" }\ncookies = { a = \"1\", b = \"${PASSWORD}\" }\nexpect-body = \"<z=0; a=1; b=canary-7>\"",
        ),
        check(
            "http",
            "away",
            &nginx.url("/away"),
            &format!("{bearer}cookies = {{ a = \"${{PASSWORD}}\" }}\nheaders = {{ X-Plain = \"stays\", X-Key = \"${{PASSWORD}}\" }}\nexpect-body = \"stays\"\nrefuse-body = \"canary\""),
        ),
        check("http", "body", &nginx.url("/away-with-body"), "body = \"a ${PASSWORD}\""),
        check("http", "plain-body", &nginx.url("/away-with-body"), "body = \"nothing\""),
    ]
    .concat();
    let host = host().env("PASSWORD", "canary-7").config(&config).start();
    for name in ["basic", "bearer", "cookies", "away", "plain-body"] {
        expect_pass(&host, name, "answered 200");
    }
    expect_failure(&host, "body", "redirect", "the body holds a secret");
    for request in other.requests() {
        assert!(!request.contains("canary"), "{request}");
    }
    for path in ["/health", "/api/v1/checks", "/metrics"] {
        assert!(!host.get(path).body.contains("canary"), "{path}");
    }
}

#[test]
fn a_token_is_asked_for_once_kept_and_dropped_by_a_401() {
    let tokens = target::http()
        .status(200)
        .body(&token("first", 3600))
        .status(200)
        .body(&token("second", 3600))
        .start();
    let api = target::http().status(200).times(3).status(401).status(200).start();
    let keys = oauth(&tokens, ", scopes = [\"a\", \"b\"], parameters = { audience = \"shop\" }");
    let config = check("http", "api", &api.url("/"), &keys)
        .replace("interval = \"10s\"", "interval = \"100ms\"")
        .replace("timeout = \"10s\"", "timeout = \"100ms\"");
    let host = host().env("SECRET", "canary%7").config(&config).start();
    expect_pass(&host, "api", "answered 200");
    until("six runs", || if api.count() >= 7 { Ok(()) } else { Err(api.count().to_string()) });
    let asked = tokens.requests();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"), "{asked:?}");
    // `pro%3Abe:canary%257`: each is encoded before they are joined.
    assert!(
        asked[0].contains("authorization: Basic cHJvJTNBYmU6Y2FuYXJ5JTI1Nw==\r\n"),
        "{asked:?}"
    );
    assert!(
        asked[0].ends_with("grant_type=client_credentials&scope=a+b&audience=shop"),
        "{asked:?}"
    );
    let seen: Vec<&str> = ["Bearer first", "Bearer second"]
        .into_iter()
        .filter(|text| api.requests().iter().any(|request| request.contains(text)))
        .collect();
    assert_eq!(seen, ["Bearer first", "Bearer second"]);
    let fourth = &api.requests()[3..5];
    assert!(
        fourth[0].contains("Bearer first") && fourth[1].contains("Bearer second"),
        "{fourth:?}"
    );
    assert_eq!(host.check("api")["state"], "pass");
}

#[test]
fn a_token_that_is_not_given_is_a_fail_with_its_reason() {
    let api = target::http().status(401).start();
    let refusing = target::http().status(401).body(r#"{"error": "invalid_client"}"#).start();
    let broken = target::http().status(503).start();
    let garbage = target::http().status(200).body("<html>").start();
    let injecting = target::http().status(200).body(&token(r"a\r\nX: y", 10)).start();
    let silent = target::http().silent().start();
    let good = target::http().status(200).body(&token("first", 3600)).start();
    let gone = target::http().start();
    let refused = oauth(&gone, "");
    drop(gone);
    let make = |name: &str, keys: &str| {
        check("http", name, &api.url("/"), keys).replace("timeout = \"10s\"", "timeout = \"700ms\"")
    };
    let config = [
        make("refusing", &oauth(&refusing, ", credentials = \"body\"")),
        make("broken", &oauth(&broken, "")),
        make("garbage", &oauth(&garbage, "")),
        make("injecting", &oauth(&injecting, "")),
        make("silent", &oauth(&silent, "")),
        make("gone", &refused),
        make("unwelcome", &oauth(&good, "")),
    ]
    .concat();
    let host = host().env("SECRET", "canary-7").config(&config).start();
    expect_failure(&host, "refusing", "login", "refuses a token (401, invalid_client)");
    expect_failure(
        &host,
        "broken",
        "unexpected-status",
        "answers the request for a token with 503",
    );
    expect_failure(&host, "garbage", "protocol", "something else than JSON");
    expect_failure(&host, "injecting", "protocol", "a token that cannot be sent");
    expect_failure(&host, "silent", "timeout", "asking `127.0.0.1` for a token");
    expect_failure(&host, "gone", "refused", "asking `127.0.0.1` for a token");
    expect_failure(&host, "unwelcome", "unexpected-status", "answered 401");
    until("only who had a token asked, and a new one asked once", || {
        let counts = (api.count(), good.count());
        if counts.0 == counts.1 { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    assert!(refusing.requests()[0].contains("client_id=pro%3Abe&client_secret=canary-7"));
}

#[test]
fn cookies_last_as_long_as_a_run() {
    let nginx = Nginx::start(
        "location = /login { add_header Set-Cookie 'session=fresh; Path=/; HttpOnly'; add_header Set-Cookie 'other=1; Path=/elsewhere'; return 302 /home; }
        location = /home { return 200 \"<$http_cookie>\"; }
        location = /plain { return 200 \"<$http_cookie>\"; }",
    );
    let config = [
        check("http", "login", &nginx.url("/login"), "expect-body = \"<session=fresh>\""),
        check(
            "http",
            "renewed",
            &nginx.url("/login"),
            "cookies = { session = \"stale\", a = \"1\" }\nexpect-body = \"<a=1; session=fresh>\"",
        ),
        check("http", "plain", &nginx.url("/plain"), "expect-body = \"<>\""),
    ]
    .concat();
    let host = host().config(&config).start();
    for name in ["login", "renewed", "plain"] {
        expect_pass(&host, name, "answered 200");
    }
}
