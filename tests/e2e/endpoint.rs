//! The endpoint: what is answered, in which format, and how the server ends.

use std::io::Write;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use wellcheck_core::format::FORMATS;

use crate::formats::BRIEF;
use crate::support::guests;
use crate::support::host::{Host, host};
use crate::support::http::{self, Answer};
use crate::support::target;

/// A pass, a warning and, if wanted, a fail; all decided.
#[track_caller]
fn start(with_fail: bool) -> Host {
    let echo = |name: &str, status: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\", message = \"is {status}\" }}\n"
        )
    };
    let mut config = echo("good", "pass") + &echo("so-so", "warn");
    if with_fail {
        config += &echo("bad", "fail");
    }
    let host = host().config(&config).guest("echo").start();
    host.until_state("good", "pass");
    host.until_state("so-so", "warn");
    if with_fail {
        host.until_state("bad", "fail");
    }
    host
}

#[test]
fn health_answers_200_while_all_is_well() {
    let host = start(false);
    let answer = host.get("/health");
    assert_eq!(answer.code, 200);
    assert_eq!(answer.header("content-type"), Some("application/health+json"));
    assert_eq!(answer.header("cache-control"), Some("max-age=30"), "the shortest interval");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let body = answer.json();
    assert_eq!(body["status"], "warn", "the worst of all");
    assert_eq!(body["output"], "1 of 2 checks does not pass: so-so (warn)");
    assert_eq!(body["version"], "1");
    assert!(body["releaseId"].is_string() && body["description"].is_string());
    let good = &body["checks"]["good"][0];
    assert_eq!(good["componentId"], "good");
    assert_eq!((&good["status"], &good["state"]), (&json!("pass"), &json!("pass")));
    assert_eq!(good["observedUnit"], "ms");
    assert!(good["observedValue"].is_number() && good["time"].is_string());
    assert_eq!(body["checks"]["so-so"][0]["output"], "is warn");
}

#[test]
fn health_answers_503_while_something_fails() {
    let host = start(true);
    let answer = host.get("/health");
    assert_eq!(answer.code, 503);
    assert_eq!(answer.json()["status"], "fail");
    assert_eq!(answer.json()["checks"]["bad"][0]["status"], "fail");
}

#[test]
fn every_format_is_served_by_its_name() {
    let host = start(false);
    for format in FORMATS {
        let answer = host.get(&format!("/health?format={}", format.name()));
        // To Consul, a warning is "too many requests".
        assert!([200, 429, 500, 503].contains(&answer.code), "{}: {answer:?}", format.name());
        assert_eq!(answer.header("content-type"), Some(format.media_type()));
        assert!(answer.body.contains("so-so") || BRIEF.contains(&format.name()), "{}", answer.body);
        let one = host.get(&format!("/health/good?format={}", format.name()));
        assert_eq!((one.code, one.header("content-type")), (200, Some(format.media_type())));
        assert!(!one.body.contains("so-so"), "{}", one.body);
    }
    assert_eq!(host.get("/health?format=health%2Bjson").code, 200);
}

#[test]
fn an_unknown_format_is_406_and_the_known_ones_are_listed() {
    let host = start(false);
    for path in ["/health?format=xml", "/health/good?format=xml", "/health?format="] {
        let answer = host.get(path);
        assert_eq!(answer.code, 406, "{path}");
        let message = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
        for format in FORMATS {
            assert!(message.contains(format.name()), "{message}");
        }
        assert_eq!(answer.json()["error"]["code"], "unknown-format");
    }
}

#[test]
fn one_check_has_its_own_health() {
    let host = start(true);
    let good = host.get("/health/good");
    assert_eq!((good.code, &good.json()["status"]), (200, &json!("pass")));
    assert_eq!(host.get("/health/so-so").code, 200);
    let bad = host.get("/health/bad");
    assert_eq!((bad.code, &bad.json()["status"]), (503, &json!("fail")));
    assert_eq!(bad.json()["checks"].as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn what_is_not_there_is_404_and_says_where_to_look() {
    let host = start(false);
    for path in ["/nowhere", "/health/", "/health/a/b", "/healthz/", "/api", "/api/v1/checks/"] {
        let answer = host.get(path);
        assert_eq!(answer.code, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "not-found", "{path}");
    }
    for path in ["/health/absent", "/api/v1/checks/absent"] {
        let answer = host.get(path);
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (404, &json!("unknown-check")));
    }
}

/// Every route that is read, but those of a check.
const READ: &[&str] = &[
    "/health",
    "/health/status",
    "/health/good",
    "/healthz",
    "/healthz/good",
    "/metrics",
    "/badge/status.json",
    "/livez/ping",
    "/api/v1/endpoints/statuses",
    "/api/v1/endpoints/_good/statuses",
    "/api/v1/endpoints/_good/health/badge.shields",
    "/livez",
    "/readyz",
    "/startupz",
    "/api/v1/checks",
    "/api/v1/checks/good",
    "/api/v1/status",
    "/",
];

#[test]
fn documented_routes_are_served() {
    let host = start(false);
    let source = std::fs::read_to_string(guests::root().join("host/app/server/mod.rs"));
    let source = source.expect("the module with the table of routes");
    let rows = source.lines().filter(|line| line.starts_with("//! | `"));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').filter(|text| text.contains('/')));
    let routes: Vec<&str> = words.map(|text| text.rsplit(' ').next().unwrap_or(text)).collect();
    assert!(routes.len() >= READ.len(), "{routes:?}");
    for route in routes {
        let name = match route {
            "/livez/{name}" | "/readyz/{name}" | "/startupz/{name}" => "ping",
            route if route.starts_with("/api/v1/endpoints/") => "_good",
            _ => "good",
        };
        let path = route.replace("{name}", name).replace("{rest}", "good").replace("{number}", "1");
        let answer = host.get(&path);
        assert_ne!(answer.code, 404, "{route}");
    }
}

#[test]
fn other_methods_are_405_with_what_is_allowed() {
    let host = start(false);
    for path in READ {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let answer = host.ask(method, path, &[]);
            assert_eq!(answer.code, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
    let answer = host.get("/-/reload");
    assert_eq!((answer.code, answer.header("allow")), (405, Some("POST")));
}

#[test]
fn head_answers_as_get_does_without_the_body() {
    let host = start(true);
    for path in READ.iter().chain(&["/nowhere", "/health?format=xml"]) {
        let (get, head) = (host.get(path), host.ask("HEAD", path, &[]));
        let headers = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| name != "date");
            headers
        };
        assert_eq!((head.code, headers(&head)), (get.code, headers(&get)), "{path}");
        assert_eq!(head.body, "", "{path}");
        let raw = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let bytes = http::raw(host.address, raw.as_bytes()).expect("an answer");
        assert!(bytes.ends_with(b"\r\n\r\n"), "{path}: nothing follows the head");
    }
}

#[test]
fn genesis_has_exactly_its_four_keys_in_their_order() {
    let host = start(true);
    let answer = host.get("/health/status");
    assert_eq!(answer.code, 503);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.body,
        concat!(
            r#"[{"PROCESS_NAME":"bad","STATUS":"DOWN","MESSAGE":";is fail","PORT":0},"#,
            r#"{"PROCESS_NAME":"good","STATUS":"UP","MESSAGE":";is pass","PORT":0},"#,
            r#"{"PROCESS_NAME":"so-so","STATUS":"WARNING","MESSAGE":";is warn","PORT":0}]"#
        )
    );
    assert_eq!(host.get("/health?format=genesis").body, answer.body);
    let target = target::http().status(200).start();
    let config =
        format!("[[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\n", target.url("/"));
    let host = crate::support::host::host().config(&config).start();
    host.until_state("web", "pass");
    let answer = host.get("/health/status");
    let port = target.address.port();
    assert_eq!(answer.code, 200);
    assert_eq!(
        answer.body,
        format!(
            r#"[{{"PROCESS_NAME":"web","STATUS":"UP","MESSAGE":";answered 200 OK","PORT":{port}}}]"#
        )
    );
}

#[test]
fn the_probes_answer_in_the_text_of_kubernetes() {
    let host = start(true);
    host.until_ready();
    for path in ["/livez", "/readyz", "/startupz"] {
        let answer = host.get(path);
        assert_eq!((answer.code, answer.body.as_str()), (200, "ok"), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let verbose = host.get("/livez?verbose");
    assert_eq!(verbose.body, "[+]ping ok\nlivez check passed\n");
    let verbose = host.get("/readyz?verbose");
    assert_eq!(
        verbose.body,
        "[+]ping ok\n[+]configuration ok\n[+]plugins ok\n[+]shutdown ok\nreadyz check passed\n"
    );
}

#[test]
fn probes_leave_out_what_is_excluded_and_warn_of_what_is_not_there() {
    let host = start(false);
    host.until_ready();
    let answer = host.get("/readyz?verbose&exclude=plugins&exclude=nonsense");
    assert_eq!(answer.code, 200);
    assert_eq!(
        answer.body,
        "[+]ping ok\n[+]configuration ok\n[+]plugins excluded: ok\n[+]shutdown ok\n\
         warn: some health checks cannot be excluded: no matches for \"nonsense\"\n\
         readyz check passed\n"
    );
}

#[test]
fn readyz_waits_for_the_plugins_that_were_there_at_the_start() {
    let host =
        host().plugin("big", &crate::support::guests::example("login-flow")).own_cache().start();
    let answer = host.until_code("/readyz", 500);
    assert!(answer.body.contains("[-]plugins failed: reason withheld\n"), "{}", answer.body);
    assert!(answer.body.ends_with("readyz check failed\n"), "{}", answer.body);
    assert_eq!(host.get("/readyz?exclude=plugins").code, 200);
    assert_eq!(host.get("/startupz").code, 500);
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn the_api_lists_checks_and_shows_one_with_its_last_outcome() {
    let host = host()
        .config(
            "[[check]]\nname = \"full\"\ntitle = \"All of it\"\ntags = [\"core\", \"db\"]\nplugin = \"echo\"\nsettings = { message = \"m\", observations = [{ name = \"depth\", value = 1.5, unit = \"B\", labels = { queue = \"a\" }, warn = \"10\" }], parts = [{ name = \"p\", status = \"warn\", message = \"hm\" }], details = { server = \"x\" } }\n",
        )
        .guest("echo")
        .start();
    host.until_state("full", "pass");
    let list = host.json("/api/v1/checks");
    assert_eq!((&list["status"], &list["summary"]), (&json!("pass"), &json!("the check passes")));
    let entry = &list["checks"][0];
    assert_eq!((&entry["name"], &entry["title"]), (&json!("full"), &json!("All of it")));
    assert_eq!((&entry["kind"], &entry["tags"]), (&json!("plugin"), &json!(["core", "db"])));
    assert_eq!(entry["plugin"]["version"], "1.2.3");
    assert_eq!(entry["outcome"], Value::Null, "the list is short");
    let check = host.check("full");
    let outcome = &check["outcome"];
    assert_eq!(
        outcome["observations"],
        json!([{ "name": "depth", "value": 1.5, "unit": "B", "labels": { "queue": "a" }, "warn": "10" }])
    );
    assert_eq!(outcome["parts"], json!([{ "name": "p", "status": "warn", "message": "hm" }]));
    assert_eq!(outcome["details"]["server"], "x");
    assert_eq!(check["timing"]["interval"], "30s");
    assert!(check["since"].is_string() && check["last_run"].is_string());
    let health = host.json("/health/full");
    assert_eq!(health["checks"]["full:depth"][0]["observedValue"], 1.5);
    let status = host.json("/api/v1/status");
    assert_eq!(status["checks"], 1);
    assert_eq!(status["configuration"]["applied"], true);
    assert_eq!(status["plugins"][0]["running"]["line"], "0.1");
}

#[test]
fn the_root_says_where_to_look() {
    let answer = start(false).get("/");
    assert_eq!(answer.code, 200);
    for path in ["/health", "/livez", "/readyz", "/api/v1/checks", "/-/reload"] {
        assert!(answer.body.contains(path), "{path}");
    }
}

#[test]
fn a_post_with_a_body_is_answered_without_reading_it() {
    let host = start(false);
    let body = "x".repeat(100_000);
    let answer = http::request(host.address, "POST", "/health", &[], &body).expect("an answer");
    assert_eq!(answer.code, 405);
    assert_eq!(host.get("/health").code, 200);
}

#[test]
fn a_huge_head_is_431_and_garbage_is_400() {
    let host = start(false);
    let long = "a".repeat(200_000);
    let answer = host.ask("GET", "/health", &[("X-Long", &long)]);
    assert_eq!(answer.code, 431);
    let many: String = (0..500).map(|n| format!("X-{n}: y\r\n")).collect();
    let raw = format!("GET /health HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    let bytes = http::raw(host.address, raw.as_bytes()).expect("an answer");
    assert!(bytes.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&bytes));
    for garbage in
        ["\x16\x03\x01\x02\x00", "hello\r\n\r\n", "GET /health\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        let bytes =
            http::raw(host.address, format!("{garbage}\r\n\r\n").as_bytes()).expect("an end");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.starts_with("HTTP/1.1 400 "), "{garbage:?}: {text}");
    }
    assert_eq!(host.get("/health").code, 200);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let host = start(false);
    let paths = ["/livez", "/health/good", "/nowhere", "/health/status", "/livez"];
    let mut raw: String =
        paths.iter().map(|p| format!("GET {p} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    raw += "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let bytes = http::raw(host.address, raw.as_bytes()).expect("answers");
    let mut rest = &bytes[..];
    let mut seen = Vec::new();
    while let Some(answer) = Answer::take(&mut rest, false) {
        seen.push((answer.code, answer.header("content-type").unwrap_or_default().to_owned()));
    }
    let text = "text/plain; charset=utf-8".to_owned();
    assert_eq!(
        seen,
        [
            (200, text.clone()),
            (200, "application/health+json".to_owned()),
            (404, "application/json".to_owned()),
            (503, "application/json".to_owned()),
            (200, text.clone()),
            (200, text)
        ]
    );
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let host = start(false);
    let bytes = http::raw(host.address, b"GET /livez HTTP/1.0\r\n\r\n").expect("an answer");
    assert!(bytes.starts_with(b"HTTP/1.0 200 ") || bytes.starts_with(b"HTTP/1.1 200 "));
    assert!(bytes.ends_with(b"ok"));
}

/// A request whose head is not complete when the signal comes is answered all the same.
#[track_caller]
fn ends_well(signal: Signal) {
    let mut host = start(false);
    let mut idle = http::connect(host.address).expect("a connection");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut open = http::connect(host.address).expect("a connection");
    open.write_all(b"GET /health HTTP/1.1\r\nHos").expect("sent");
    // The server has seen the connection once it answers on a later one.
    host.get("/livez");
    host.signal(signal);
    host.until_logged("stopping");
    open.write_all(b"t: x\r\n\r\n").expect("sent");
    let bytes = http::read_all(&mut open);
    let answer = Answer::take(&mut &bytes[..], false).expect("the open request is answered");
    assert_eq!(answer.code, 200);
    let status = host.ended();
    assert_eq!(status.code(), Some(0));
    assert!(http::connect(host.address).is_err(), "nobody listens any more");
    host.until_logged("stopped");
}

#[test]
fn sigterm_finishes_open_requests_and_exits_0() {
    ends_well(Signal::TERM);
}

#[test]
fn sigint_finishes_open_requests_and_exits_0() {
    ends_well(Signal::INT);
}

#[test]
fn a_connection_that_never_ends_is_cut_off_when_the_drain_is_over() {
    let mut host = host().config("[server]\ndrain = \"100ms\"\n").start();
    let mut open = http::connect(host.address).expect("a connection");
    open.write_all(b"GET /health HTTP/1.1\r\nHos").expect("sent");
    host.get("/livez");
    host.signal(Signal::TERM);
    assert_eq!(host.ended().code(), Some(0));
    host.until_logged("connections were still open");
}

#[test]
fn hanging_checks_do_not_hold_up_the_end() {
    let silent = target::http().silent().start();
    let config =
        format!("[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"{}\"\n", silent.url("/"));
    let mut host = host().config(&config).start();
    crate::support::wait::until("the target is being asked", || {
        if silent.count() > 0 { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let began = std::time::Instant::now();
    host.signal(Signal::TERM);
    assert_eq!(host.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let host = host().config("[server]\nmax-connections = 2\n").start();
    let mut first = http::connect(host.address).expect("a connection");
    let second = http::connect(host.address).expect("a connection");
    first.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    assert!(http::read_all(&mut first).ends_with(b"ok"));
    drop((first, second));
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn two_answers_of_one_moment_agree() {
    // Every format is a function of one snapshot: the code of the aggregate fits its body.
    let target = target::http().status(200).status(503).start();
    let config = format!(
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\nfailure-threshold = 1\n",
        target.url("/")
    );
    let host = host().config(&config).start();
    host.until_run("a");
    for _ in 0..200 {
        let answer = host.get("/health");
        let status = answer.json()["status"].clone();
        assert_eq!(answer.code == 200, status == "pass", "{}", answer.body);
        target.becomes(target::http().status(if answer.code == 200 { 503 } else { 200 }));
    }
}
