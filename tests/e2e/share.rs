//! Shares, asked about as zrok's users do it: on the command line, over the API, and through another
//! instance.

mod command;
mod elsewhere;
mod remote;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::configuration::tokens;
use crate::support::certificates::Authority;
use crate::support::host::{Host, host, write};
use crate::support::http::{self, Answer};
use crate::support::nginx::Nginx;
use crate::support::program::{Ended, command, finish, run_in};
use crate::support::target::{self, Target};

const V1: &str = "/api/v1/agent/share/http-healthcheck";
const V2: &str = "/api/v2/agent/share/http-healthcheck";
const TYPE: &str = "application/zrok.v1+json";
const HEALTHY: &str = "{\"healthy\":true}\n";

/// The share of zrok's documentation whose target nobody listens at.
const DEAD: &str = "[[share]]\ntoken = \"2bfvnne6kb3c\"\ntarget = \"http://127.1.1.1:9090\"\n";
const REFUSED: &str = "failed to execute request: Get \"http://127.1.1.1:9090/\": dial tcp 127.1.1.1:9090: connect: connection refused";

fn share(token: &str, target: &str) -> String {
    format!("[[share]]\ntoken = \"{token}\"\ntarget = \"{target}\"\n")
}

/// A share whose target has no `/` at its end, as zrok keeps them.
fn of(target: &Target) -> String {
    share("8rvjpmeeyvwc", &format!("http://{}", target.address))
}

fn own(id: &str) -> String {
    format!("[agent]\nenvironment = \"{id}\"\n")
}

/// A question as the documentation has it.
fn question(share: &str, endpoint: &str, expected: u16) -> Value {
    json!({
        "envZId": "MxMbUXSANU",
        "shareToken": share,
        "httpVerb": "GET",
        "endpoint": endpoint,
        "expectedHttpResponse": expected
    })
}

#[track_caller]
fn post(host: &Host, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    http::request(host.address, "POST", path, headers, body).expect("an answer")
}

const OPERATE: [(&str, &str); 2] = [("X-TOKEN", "token-of-operate"), ("Content-Type", TYPE)];

#[track_caller]
fn ask(host: &Host, question: &Value) -> Answer {
    post(host, V1, &OPERATE, &question.to_string())
}

/// The error sentence of an answer.
#[track_caller]
fn error(host: &Host, question: &Value) -> String {
    let answer = ask(host, question);
    assert_eq!(answer.code, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    body["error"].as_str().unwrap_or_else(|| panic!("no error: {body}")).to_owned()
}

/// The code in an answer that is no verdict.
fn code(answer: &Answer) -> (u16, String) {
    (answer.code, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn healthcheck(dir: &std::path::Path, args: &[&str]) -> Ended {
    let all: Vec<&str> =
        ["agent", "share", "http-healthcheck"].iter().chain(args).copied().collect();
    run_in(dir, &all)
}

#[track_caller]
fn check(ended: &Ended, code: i32, out: &str, err: &str) {
    assert_eq!((ended.code, &*ended.out, &*ended.err), (code, out, err));
}

// ── The session of the documentation ─────────────────────────────────────────────────────────────

#[test]
fn the_documented_session_on_the_command_line() {
    let target = target::http().status(200).start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", of(&target) + DEAD);
    let ask = |args: &[&str]| healthcheck(dir.path(), args);
    check(&ask(&["8rvjpmeeyvwc", "GET", "/", "200"]), 0, "healthy\n", "");
    let alias = ["agent", "share", "health", "8rvjpmeeyvwc", "GET", "/", "200", "--timeout", "9s"];
    check(&run_in(dir.path(), &alias), 0, "healthy\n", "");

    target.becomes(target::http().status(202));
    let wrong = "unhealthy; unexpected status code; got '202', want '200'\n";
    check(&ask(&["8rvjpmeeyvwc", "GET", "/non-existent", "200"]), 1, wrong, "");

    let refused = format!("unhealthy; {REFUSED}\n");
    check(&ask(&["2bfvnne6kb3c", "GET", "/", "200"]), 1, &refused, "");
    let missing = "unhealthy; share 'x' not found in agent\n";
    check(&ask(&["x", "GET", "/", "200"]), 1, missing, "");
    let requests = target.requests();
    assert!(requests[2].starts_with("GET /non-existent HTTP/1.1\r\n"), "{requests:?}");
    assert_eq!(requests.len(), 3);
}

#[test]
fn the_documented_session_by_way_of_a_server() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target) + DEAD)).start();
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://{}", host.address);
    let ask = |args: &[&str]| {
        let mut program = command();
        program.current_dir(elsewhere.path()).args(["agent", "share", "http-healthcheck"]);
        program.args(args).args(["--url", &url]).env("WELLCHECK_TOKEN", "token-of-operate");
        finish(&mut program, "")
    };
    check(&ask(&["8rvjpmeeyvwc", "GET", "/", "200"]), 0, "healthy\n", "");
    let named = ["8rvjpmeeyvwc", "GET", "/", "200", "--environment", "MxMbUXSANU"];
    check(&ask(&named), 0, "healthy\n", "");
    target.becomes(target::http().status(202));
    let wrong = "unhealthy; unexpected status code; got '202', want '200'\n";
    check(&ask(&["8rvjpmeeyvwc", "GET", "/non-existent", "200"]), 1, wrong, "");
    let refused = format!("unhealthy; {REFUSED}\n");
    check(&ask(&["2bfvnne6kb3c", "GET", "/", "200"]), 1, &refused, "");

    let unknown = ["8rvjpmeeyvwc", "GET", "/", "200", "--environment", "other"];
    let failed = "[ERROR]: error performing healthcheck (answered 401: there is no environment `other` here)\n";
    check(&ask(&unknown), 1, "", failed);
    let wrong = ["8rvjpmeeyvwc", "GET", "/", "200", "--token", "wrong"];
    let failed =
        "[ERROR]: error performing healthcheck (answered 401: this token is not configured)\n";
    check(&ask(&wrong), 1, "", failed);
    let nowhere = ["x", "GET", "/", "200", "--url", "127.1.1.1:9090"];
    let ended = healthcheck(elsewhere.path(), &nowhere);
    let failed = "[ERROR]: error performing healthcheck (connection to `127.1.1.1:9090` refused)\n";
    check(&ended, 1, "", failed);
}

#[test]
fn the_documented_session_over_the_api_byte_for_byte() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target) + DEAD)).start();
    for path in [V1, V2] {
        target.becomes(target::http().status(200));
        let ask = |share: &str, endpoint: &str| {
            let body = question(share, endpoint, 200).to_string();
            let answer = post(&host, path, &OPERATE, &body);
            assert_eq!(answer.header("content-type"), Some(TYPE));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            (answer.code, answer.body)
        };
        assert_eq!(ask("8rvjpmeeyvwc", "/"), (200, HEALTHY.to_owned()));
        target.becomes(target::http().status(202));
        let wrong = "{\"error\":\"unexpected status code; got '202', want '200'\"}\n";
        assert_eq!(ask("8rvjpmeeyvwc", "/non-existent"), (200, wrong.to_owned()));
        let refused = format!("{{\"error\":{}}}\n", Value::from(REFUSED));
        assert_eq!(ask("2bfvnne6kb3c", "/"), (200, refused));
        let missing = "{\"error\":\"share 'x' not found in agent\"}\n";
        assert_eq!(ask("x", "/"), (200, missing.to_owned()));
    }
    let other = host.ask("GET", V1, &OPERATE);
    assert_eq!((other.code, other.header("allow")), (405, Some("POST")));
}

// ── Who may ask, and how ─────────────────────────────────────────────────────────────────────────

#[test]
fn only_a_token_that_may_run_checks_opens_the_route() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &of(&target))).start();
    let body = r#"{"shareToken": "8rvjpmeeyvwc", "expectedHttpResponse": 200}"#;
    let ask = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().chain([&("Content-Type", TYPE)]).copied().collect();
        post(&host, V1, &headers, body)
    };
    for (headers, expected) in [
        (&[][..], (401, "no-token")),
        (&[("X-TOKEN", "")], (401, "unknown-token")),
        (&[("X-TOKEN", "wrong")], (401, "unknown-token")),
        (&[("X-TOKEN", "Bearer token-of-operate")], (401, "unknown-token")),
        (
            &[("X-TOKEN", "wrong"), ("Authorization", "Bearer token-of-admin")],
            (401, "unknown-token"),
        ),
        (&[("Authorization", "Basic token-of-admin")], (401, "no-token")),
        (&[("X-TOKEN", "token-of-view")], (401, "role")),
    ] {
        let answer = ask(headers);
        assert_eq!(code(&answer), (expected.0, expected.1.to_owned()), "{headers:?}");
    }
    assert_eq!(target.count(), 0, "nobody was asked");
    for headers in [
        &[("X-TOKEN", "token-of-operate")][..],
        &[("x-token", "token-of-admin")],
        &[("Authorization", "Bearer token-of-operate")],
    ] {
        assert_eq!(ask(headers).body, HEALTHY, "{headers:?}");
    }
}

#[test]
fn without_tokens_nobody_may_ask() {
    let host = host().config(DEAD).start();
    let answer = ask(&host, &question("2bfvnne6kb3c", "/", 200));
    assert_eq!(code(&answer), (401, "no-token-configured".to_owned()));
}

#[test]
fn bodies_are_of_the_right_type_size_and_shape() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &of(&target))).start();
    let good = r#"{"shareToken": "8rvjpmeeyvwc", "expectedHttpResponse": 200, "new": [1]}"#;
    let typed = |media_type: &str, body: &str| {
        let answer =
            post(&host, V2, &[("X-TOKEN", "token-of-operate"), ("Content-Type", media_type)], body);
        (answer.code, answer.body)
    };
    for media_type in [TYPE, "application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(typed(media_type, good), (200, HEALTHY.to_owned()), "{media_type}");
    }
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/zrok.v2+json"]
    {
        assert_eq!(typed(media_type, good).0, 415, "{media_type}");
    }
    let without = post(&host, V2, &[("X-TOKEN", "token-of-operate")], good);
    assert_eq!(code(&without), (415, "media-type".to_owned()));
    let deep = "[".repeat(10_000);
    for (body, says) in [
        ("", "the body is no JSON"),
        ("{\"shareToken\": ", "the body is no JSON"),
        ("[]", "the body is a list (expected an object such as "),
        (&*deep, "the body is no JSON: recursion limit exceeded"),
        ("{\"timeoutMs\": \"1s\"}", "`timeoutMs` is a string (expected a number)"),
        ("{\"endpoint\": 7}", "`endpoint` is a number (expected a string)"),
        (
            "{\"expectedHttpResponse\": 200.5}",
            "`expectedHttpResponse` is 200.5 (expected an HTTP status, such as 200)",
        ),
    ] {
        let (code, found) = typed(TYPE, body);
        assert_eq!(code, 400, "{found}");
        let message =
            serde_json::from_str::<Value>(&found).expect("JSON")["error"]["message"].clone();
        assert!(message.as_str().is_some_and(|message| message.contains(says)), "{says}: {found}");
    }
    let huge = format!("{{\"endpoint\": \"/{}\"}}", "x".repeat(16 * 1024));
    assert_eq!(typed(TYPE, &huge).0, 413);
    assert_eq!(target.count(), 3, "only what was good was asked");
}

// ── What is asked ────────────────────────────────────────────────────────────────────────────────

#[test]
fn only_proxies_can_be_asked() {
    let modes = ["web", "tcpTunnel", "udpTunnel", "caddy", "drive", "socks", "vpn"];
    let shares = modes.map(|mode| {
        format!("[[share]]\ntoken = \"{mode}1\"\nbackend-mode = \"{mode}\"\ntarget = \"/srv\"\n")
    });
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &shares.concat())).start();
    for mode in modes {
        assert_eq!(
            error(&host, &question(&format!("{mode}1"), "/", 200)),
            format!("cannot perform http healthcheck on '{mode}' share '{mode}1'")
        );
    }
}

#[test]
fn verbs_go_out_as_they_are_unless_they_are_none() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &of(&target))).start();
    let asked = |verb: &str| {
        json!({
            "shareToken": "8rvjpmeeyvwc",
            "httpVerb": verb,
            "endpoint": "/a b?c=d#e",
            "expectedHttpResponse": 200
        })
    };
    for verb in ["", "GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "get"] {
        assert_eq!(ask(&host, &asked(verb)).body, HEALTHY, "{verb}");
        let request = target.requests().pop().expect("a request");
        let line = if verb.is_empty() { "GET" } else { verb };
        assert!(request.starts_with(&format!("{line} /a%20b?c=d HTTP/1.1\r\n")), "{request}");
        assert_eq!(
            request.to_lowercase().contains("content-length: 0"),
            ["POST", "PUT"].contains(&verb)
        );
        assert!(request.ends_with("\r\n\r\n"), "there is no body: {request}");
    }
    let sent = target.count();
    for (verb, why) in [
        ("G T", "net/http: invalid method \"G T\""),
        (
            "GET / HTTP/1.1\r\nX: y\r\n\r\nGET",
            "net/http: invalid method \"GET / HTTP/1.1\\r\\nX: y\\r\\n\\r\\nGET\"",
        ),
        ("CONNECT", "method \"CONNECT\" is not allowed"),
        ("TRACE", "method \"TRACE\" is not allowed"),
    ] {
        assert_eq!(error(&host, &asked(verb)), format!("failed to create request: {why}"));
    }
    assert_eq!(target.count(), sent);
}

#[test]
fn failures_of_a_target_read_as_those_of_go() {
    let silent = target::http().silent().start();
    let closing = target::http().close_early().start();
    let garbage = target::http().garbage().start();
    let config = [
        tokens(),
        share("silent", &format!("http://{}", silent.address)),
        share("closing", &format!("http://{}", closing.address)),
        share("garbage", &format!("http://{}", garbage.address)),
        share("nowhere", "http://nowhere.invalid:81/base"),
        share("v6", "http://[::1]:9"),
    ];
    let host = host().config(&config.concat()).start();
    let asked = |share: &str, verb: &str| {
        json!({
            "shareToken": share,
            "httpVerb": verb,
            "endpoint": "/",
            "expectedHttpResponse": 200,
            "timeoutMs": if share == "silent" { 150 } else { 0 }
        })
    };
    let began = Instant::now();
    assert_eq!(
        error(&host, &asked("silent", "POST")),
        format!(
            "failed to execute request: Post \"http://{}/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            silent.address
        )
    );
    assert!(began.elapsed() < Duration::from_secs(5), "`timeoutMs` counts: {:?}", began.elapsed());
    assert_eq!(
        error(&host, &asked("closing", "DELETE")),
        format!("failed to execute request: Delete \"http://{}/\": EOF", closing.address)
    );
    assert_eq!(
        error(&host, &asked("garbage", "GET")),
        format!(
            "failed to execute request: Get \"http://{}/\": net/http: HTTP/1.x transport connection broken: malformed HTTP response",
            garbage.address
        )
    );
    assert_eq!(
        error(&host, &asked("v6", "GET")),
        "failed to execute request: Get \"http://[::1]:9/\": dial tcp [::1]:9: connect: connection refused"
    );
    // Without a name server, nobody knows that there is no such name.
    let unknown = error(&host, &asked("nowhere", "GET"));
    assert!(
        unknown.starts_with(
            "failed to execute request: Get \"http://nowhere.invalid:81/base/\": dial tcp: lookup nowhere.invalid: "
        ) || unknown.contains("Client.Timeout"),
        "{unknown}"
    );
}

#[test]
fn certificates_are_judged_unless_the_share_says_otherwise() {
    let nginx = Nginx::start_tls(&Authority::new().good(), "location / { return 204; }");
    let target = nginx.https("");
    let config =
        [tokens(), share("judged", &target), share("trusting", &target) + "tls-verify = false\n"];
    let host = host().config(&config.concat()).start();
    let asked =
        |share: &str| json!({ "shareToken": share, "endpoint": "/", "expectedHttpResponse": 204 });
    assert_eq!(
        error(&host, &asked("judged")),
        format!(
            "failed to execute request: Get \"{target}/\": tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )
    );
    assert_eq!(ask(&host, &asked("trusting")).body, HEALTHY);
}

#[test]
fn the_body_of_an_answer_is_not_waited_for() {
    let target = target::http().endless_body().trickle().start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU") + &of(&target))).start();
    for _ in 0..2 {
        assert_eq!(ask(&host, &question("8rvjpmeeyvwc", "/", 200)).body, HEALTHY);
    }
}

#[test]
fn a_reload_changes_what_can_be_asked() {
    let target = target::http().status(200).start();
    let host = host().config(&(tokens() + &own("MxMbUXSANU"))).start();
    let asked = question("8rvjpmeeyvwc", "/", 200);
    assert_eq!(error(&host, &asked), "share '8rvjpmeeyvwc' not found in agent");
    configure(&host, &of(&target));
    assert_eq!(ask(&host, &asked).body, HEALTHY);
}

/// Adds to the tokens and the environment that [`question`] asks for, at once.
#[track_caller]
fn configure(host: &Host, more: &str) {
    host.configure(&(tokens() + &own("MxMbUXSANU") + more));
    let answer = host.ask("POST", "/-/reload", &[("Authorization", "Bearer token-of-admin")]);
    assert_eq!(answer.code, 200, "{}", answer.body);
}

#[test]
fn targets_that_stall_hold_up_nobody_else() {
    let silent = target::http().silent().start();
    let target = target::http().status(200).start();
    let stalls = share("stalls", &format!("http://{}", silent.address));
    let config = tokens() + &own("MxMbUXSANU") + &stalls + &of(&target);
    let host = host().config(&config).start();
    let mut asked = question("stalls", "/", 200);
    asked["timeoutMs"] = json!(60_000);
    let body = asked.to_string();
    let held: Vec<_> = (0..8)
        .map(|_| {
            use std::io::Write as _;
            let mut stream = http::connect(host.address).expect("a connection");
            let head = format!(
                "POST {V1} HTTP/1.1\r\nHost: x\r\nX-TOKEN: token-of-operate\r\nContent-Type: {TYPE}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    crate::support::wait::until("all of them wait", || match silent.count() {
        8 => Ok(()),
        count => Err(format!("{count}")),
    });
    assert_eq!(ask(&host, &question("8rvjpmeeyvwc", "/", 200)).body, HEALTHY);
    assert_eq!(host.get("/livez").code, 200);
    drop(held);
}
