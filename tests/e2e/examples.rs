//! The example plugins as a user runs them: `[[check]]` with settings and grants against targets.

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::target::{self, Target};

/// A server with one check of an example.
#[track_caller]
fn start(example: &str, settings: &str, grants: &[&Target]) -> Host {
    let grants: Vec<String> = grants.iter().map(|target| format!("{:?}", target.url(""))).collect();
    let config = format!(
        "[[check]]\nname = \"check\"\nplugin = \"{example}\"\nsettings = {{ {settings} }}\n[check.grants]\nhttp = [{}]\n",
        grants.join(", ")
    );
    host().config(&config).example(example).start()
}

/// The check after its first run.
#[track_caller]
fn run(example: &str, settings: &str, grants: &[&Target]) -> Value {
    let host = start(example, settings, grants);
    host.until_ready();
    host.until_run("check")
}

#[track_caller]
fn check(found: &Value, state: &str, says: &str) {
    assert_eq!(found["state"], state, "{found}");
    assert!(found["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {found}");
}

/// Settings that do not fit: the check is held, and every problem is named.
#[track_caller]
fn check_refused(example: &str, settings: &str, says: &[&str]) {
    let host = start(example, settings, &[]);
    host.until_ready();
    let found = host.until("check", "held", |check| check["reason"] == "bad-settings");
    let message = found["message"].as_str().expect("a message");
    assert!(
        message.starts_with(&format!("the settings do not fit plugin `{example}`: ")),
        "{message}"
    );
    for says in says {
        assert!(message.contains(says), "`{says}` is not in: {message}");
    }
    assert_eq!(found["outcome"], Value::Null, "it never ran");
}

fn observation<'a>(check: &'a Value, name: &str) -> &'a Value {
    let list = check["outcome"]["observations"].as_array().expect("observations");
    list.iter().find(|o| o["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {check}"))
}

// ── json-number ────────────────────────────────────────────────────────────────────────────────

fn queue(depth: &str) -> Target {
    target::http().status(200).body(&format!("[{{\"messages\": {depth}}}]")).start()
}

fn depth_of(target: &Target, bounds: &str) -> String {
    format!("url = \"{}\", pointer = \"/0/messages\", name = \"depth\", {bounds}", target.url("/"))
}

#[test]
fn json_number_holds_a_number_against_its_bounds() {
    let bounds = "warn = 500, fail = \"~:1000\"";
    for (depth, state) in [("499", "pass"), ("501", "warn"), ("1001", "fail")] {
        let target = queue(depth);
        let found = run("json-number", &depth_of(&target, bounds), &[&target]);
        check(&found, state, &format!("depth is {depth}"));
        let number = observation(&found, "depth");
        assert_eq!(number["value"].to_string().trim_end_matches(".0"), depth);
        assert_eq!((&number["warn"], &number["fail"]), (&"500".into(), &"~:1000".into()));
    }
}

#[test]
fn json_number_fails_where_there_is_no_number() {
    let text = queue("\"many\"");
    check(&run("json-number", &depth_of(&text, "warn = 1"), &[&text]), "fail", "found a text at");
    let html = target::http().status(200).body("<html>").start();
    check(&run("json-number", &depth_of(&html, "warn = 1"), &[&html]), "fail", "is not JSON");
    let down = target::http().status(503).start();
    check(&run("json-number", &depth_of(&down, "warn = 1"), &[&down]), "fail", "answered 503");
    let closed = queue("1");
    let settings = depth_of(&closed, "warn = 1");
    let grant = closed.url("");
    drop(closed);
    let config = format!(
        "[[check]]\nname = \"check\"\nplugin = \"json-number\"\nsettings = {{ {settings} }}\ngrants = {{ http = {grant:?} }}\n"
    );
    let host = host().config(&config).example("json-number").start();
    let found = host.until_state("check", "fail");
    assert_eq!(found["outcome"]["fault"], false, "a target that is down is a fail: {found}");
}

#[test]
fn json_number_sends_its_headers() {
    let target = queue("1");
    let settings = depth_of(&target, "headers = { X-Test = \"yes\" }");
    check(&run("json-number", &settings, &[&target]), "pass", "depth is 1");
    let request = target.requests()[0].to_ascii_lowercase();
    assert!(request.contains("x-test: yes\r\n"), "{request}");
}

#[test]
fn json_number_refuses_settings_that_make_no_sense() {
    check_refused(
        "json-number",
        "url = \"ftp://x\", pointer = \"no-slash\", warn = true, surplus = 1",
        &["/url: ", "/pointer: ", "/warn: found a boolean", "unknown key `surplus`"],
    );
    check_refused("json-number", "", &["`url` is missing", "`pointer` is missing"]);
}

#[test]
fn json_number_without_its_grant_is_denied() {
    let target = queue("1");
    let found = run("json-number", &depth_of(&target, "warn = 1"), &[]);
    check(&found, "unknown", "no grant for");
    assert_eq!(found["reason"], "denied");
}

// ── login-flow ─────────────────────────────────────────────────────────────────────────────────

fn login(target: &Target, more: &str) -> String {
    format!(
        "login-url = \"{}\", url = \"{}\", credentials = {{ user = \"probe\", password = \"canary-password\" }}{more}",
        target.url("/login"),
        target.url("/me")
    )
}

fn with_token() -> target::Builder {
    target::http().status(200).body("{\"token\": \"canary-token\"}")
}

#[test]
fn login_flow_passes_when_the_token_works() {
    let target = with_token().status(200).body("hello probe").start();
    let found = run("login-flow", &login(&target, ", expect-text = \"probe\""), &[&target]);
    check(&found, "pass", "logged in, and the token works");
    let parts = found["outcome"]["parts"].as_array().expect("parts");
    let names: Vec<&Value> = parts.iter().map(|part| &part["name"]).collect();
    assert_eq!(names, ["login", "page"]);
    let requests = target.requests();
    assert!(requests[0].starts_with("POST /login "), "{}", requests[0]);
    assert!(requests[0].contains("canary-password"));
    assert!(requests[1].to_ascii_lowercase().contains("authorization: bearer canary-token"));
    assert!(!found.to_string().contains("canary"), "no credentials in any text: {found}");
}

#[test]
fn login_flow_fails_at_the_step_that_does_not_work() {
    let wrong = target::http().status(401).start();
    check(&run("login-flow", &login(&wrong, ""), &[&wrong]), "fail", "login: answered 401");
    let empty = target::http().status(200).body("{}").start();
    check(&run("login-flow", &login(&empty, ""), &[&empty]), "fail", "no token at `/token`");
    let useless = with_token().status(403).start();
    let found = run("login-flow", &login(&useless, ""), &[&useless]);
    check(&found, "fail", "page: answered 403, expected 200");
    assert!(!found.to_string().contains("canary"), "{found}");
}

#[test]
fn login_flow_refuses_settings_that_make_no_sense() {
    check_refused(
        "login-flow",
        "url = 7, encoding = \"xml\"",
        &[
            "/url: found a number",
            "/encoding: ",
            "`login-url` is missing",
            "`credentials` is missing",
        ],
    );
}

// ── metric-bound ───────────────────────────────────────────────────────────────────────────────

const PAGE: &str = "# HELP up whether\n# TYPE up gauge\nup 1\n\
    disk_free{mount=\"/\",host=\"a\"} 5e10\ndisk_free{mount=\"/var\",host=\"a\"} 100 1700000000\n";

fn disk_of(target: &Target, more: &str) -> String {
    format!("url = \"{}\", metric = \"disk_free\", unit = \"B\", {more}", target.url("/metrics"))
}

#[test]
fn metric_bound_holds_each_series_against_its_bounds() {
    let cases = [
        ("labels = { mount = \"/\" }, warn = \"200:\", fail = \"10:\"", "pass", 1),
        ("warn = \"200:\", fail = \"10:\"", "warn", 2),
        ("fail = \"200:\"", "fail", 2),
    ];
    for (settings, state, series) in cases {
        let target = target::http().status(200).body(PAGE).start();
        let found = run("metric-bound", &disk_of(&target, settings), &[&target]);
        check(&found, state, "disk_free");
        assert_eq!(found["outcome"]["parts"].as_array().map(Vec::len), Some(series), "{found}");
        assert_eq!(observation(&found, "disk_free")["labels"]["mount"], "/");
    }
}

#[test]
fn metric_bound_fails_where_the_metric_is_not() {
    let target = target::http().status(200).body("up 1\n").start();
    let found = run("metric-bound", &disk_of(&target, "warn = 1"), &[&target]);
    check(&found, "fail", "no `disk_free`");
    let down = target::http().status(500).start();
    check(&run("metric-bound", &disk_of(&down, "warn = 1"), &[&down]), "fail", "answered 500");
}

#[test]
fn metric_bound_refuses_settings_that_make_no_sense() {
    check_refused(
        "metric-bound",
        "url = \"x\", metric = \"1st\", labels = { a = 1 }",
        &["/url: ", "/metric: ", "/labels/a: found a number"],
    );
}

// ── deadlines ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn deadlines_says_in_time_what_runs_out() {
    let far = "{ name = \"far\", date = \"2199-01-01\" }";
    let past = "{ name = \"past\", date = \"2001-01-01\" }";
    let found = run("deadlines", &format!("deadlines = [{far}]"), &[]);
    check(&found, "pass", "far: ");
    let found = run("deadlines", &format!("deadlines = [{far}], warn-days = 999999"), &[]);
    check(&found, "warn", "days left");
    let found = run("deadlines", &format!("deadlines = [{far}, {past}]"), &[]);
    check(&found, "fail", "past: ran out");
    assert_eq!(found["outcome"]["parts"].as_array().map(Vec::len), Some(2));
    assert_eq!(observation(&found, "days-left")["unit"], "d");
}

#[test]
fn deadlines_refuses_settings_that_make_no_sense() {
    check_refused("deadlines", "", &["`deadlines` is missing"]);
    check_refused(
        "deadlines",
        "deadlines = [{ name = \"\", date = \"soon\" }], warn-days = -1, more = 1",
        &["/deadlines/0/name: ", "/deadlines/0/date: ", "/warn-days: ", "unknown key `more`"],
    );
    let no_day = "deadlines = [{ name = \"x\", date = \"2027-02-31\" }]";
    let found = run("deadlines", no_day, &[]);
    check(&found, "unknown", "is not a day of the calendar");
    assert_eq!(found["reason"], "bad-settings");
}

// ── token-expiry ───────────────────────────────────────────────────────────────────────────────

/// `{"alg":"none"}.{"exp":EXP}.x`, by hand: base64url of what has no need of padding.
fn token(exp: u64) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let encode = |text: &str| {
        let mut out = String::new();
        for group in text.as_bytes().chunks(3) {
            let bits = group.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte))
                << (8 * (3 - group.len()));
            for place in 0..=group.len() {
                out.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
            }
        }
        out
    };
    format!("{}.{}.x", encode("{\"alg\":\"none\"}"), encode(&format!("{{\"exp\":{exp}}}")))
}

fn in_hours(hours: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tokens are dated by the wall clock")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() + hours * 3600
}

#[test]
fn token_expiry_says_in_time_that_a_token_runs_out() {
    for (hours, state) in [(1000, "pass"), (48, "warn"), (2, "fail")] {
        let token = token(in_hours(hours));
        let found = run("token-expiry", &format!("token = \"{token}\""), &[]);
        check(&found, state, "the token is good for");
        assert!(observation(&found, "time-left")["value"].as_f64().is_some_and(|s| s > 3600.0));
        assert!(!found.to_string().contains(&token), "no token in any text: {found}");
    }
    let found = run("token-expiry", &format!("token = \"{}\"", token(1_000_000)), &[]);
    check(&found, "fail", "the token ran out");
}

#[test]
fn token_expiry_refuses_what_is_no_token() {
    check_refused(
        "token-expiry",
        "warn-hours = \"soon\", surplus = 1",
        &["`token` is missing", "/warn-hours: found a string", "unknown key `surplus`"],
    );
    let found = run("token-expiry", "token = \"abc\"", &[]);
    check(&found, "unknown", "is no JSON Web Token");
    assert_eq!(found["reason"], "bad-settings");
}

// ── quorum ─────────────────────────────────────────────────────────────────────────────────────

/// Three checks and one that decides on them; the targets are theirs.
fn replicas(targets: &[Target; 3], settings: &str, grants: &str) -> Host {
    let replicas: String = targets
        .iter()
        .zip(["a", "b", "c"])
        .map(|(target, name)| {
            format!(
                "[[check]]\nname = \"replica-{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"200ms\"\nfailure-threshold = 1\n",
                target.url("/")
            )
        })
        .collect();
    let config = format!(
        "{replicas}[[check]]\nname = \"check\"\nplugin = \"quorum\"\ninterval = \"200ms\"\nfailure-threshold = 1\n\
         settings = {{ checks = [\"replica-a\", \"replica-b\", \"replica-c\"], {settings} }}\n[check.grants]\n{grants}\n"
    );
    host().config(&config).example("quorum").start()
}

const MAY_ASK: &str = "checks = [\"replica-*\"]\nstate = \"4KiB\"";

#[test]
fn quorum_follows_the_checks_that_it_asks_for() {
    let targets = [(); 3].map(|()| target::http().status(200).start());
    let host = replicas(&targets, "at-least = 2", MAY_ASK);
    host.until_ready();
    let found = host.until_state("check", "pass");
    check(&found, "pass", "of 3 are healthy, 2 are enough");
    targets[0].becomes(target::http().status(500));
    let found = host.until("check", "one less", |c| {
        c["message"].as_str().is_some_and(|m| m.contains("not: replica-a"))
    });
    check(&found, "pass", "2 of 3 are healthy, 2 are enough (not: replica-a)");
    targets[1].becomes(target::http().status(500));
    let found = host.until_state("check", "fail");
    check(&found, "fail", "1 of 3 are healthy, expected 2 or more (not: replica-a, replica-b)");
    assert_eq!(observation(&found, "healthy")["value"], 1.0);
    assert_eq!(found["outcome"]["parts"][2]["status"], "pass");

    // What it remembers is there after a restart, when it says that it does not know yet.
    let healthy = found["outcome"]["details"]["last-healthy"].clone();
    assert!(healthy.as_str().is_some_and(|text| text.ends_with('Z')), "{found}");
    let host = host.restart();
    let found = host.until_state("check", "fail");
    assert_eq!(found["outcome"]["details"]["last-healthy"], healthy);
    let used = found["grants"]["used"].to_string();
    for value in ["replica-a", "replica-b", "replica-c", "read"] {
        assert!(used.contains(&format!("\"{value}\"")), "`{value}`: {used}");
    }
}

#[test]
fn quorum_of_checks_that_may_not_be_asked_is_denied() {
    let targets = [(); 3].map(|()| target::http().status(200).start());
    let host = replicas(&targets, "at-least = 2", "state = \"4KiB\"");
    let found = host.until("check", "denied", |check| check["reason"] == "denied");
    check(&found, "unknown", "this would allow it: `checks = [\"replica-");
}

#[test]
fn quorum_of_more_checks_than_there_are_is_a_mistake() {
    let targets = [(); 3].map(|()| target::http().status(200).start());
    let host = replicas(&targets, "at-least = 4", MAY_ASK);
    let found = host.until("check", "refused", |check| check["reason"] == "bad-settings");
    check(&found, "unknown", "4 of 3 checks can never be healthy");
}

#[test]
fn every_example_has_a_test_here() {
    let source = include_str!("examples.rs");
    let folders = std::fs::read_dir(crate::support::guests::root().join("plugins")).expect("there");
    for folder in folders.flatten().filter(|entry| entry.path().join("README.md").exists()) {
        let name = folder.file_name().to_string_lossy().into_owned();
        if !crate::support::guests::EXAMPLES.contains(&name.as_str()) {
            // The kits and the demonstration are no examples; half a plugin is tested in `compose.rs`.
            let others = ["kits", "demo", "bindings", "retry"];
            assert!(others.contains(&name.as_str()), "`{name}` has no test");
            continue;
        }
        assert!(source.contains(&format!("fn {}_", name.replace('-', "_"))), "`{name}`");
    }
}
