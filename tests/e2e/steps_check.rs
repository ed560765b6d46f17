//! The kind `steps` against a small shop with a login.

use crate::support::checks::{expect_failure, expect_pass, observation};
use crate::support::host::host;
use crate::support::shop::{Shop, TOKEN};
use crate::support::target;

fn steps(name: &str, url: &str, steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!("[[check.step]]\n{step}\n")).collect();
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"steps\"\nurl = \"{url}/\"\ninterval = \"10s\"\ntimeout = \"5s\"\n{steps}\n"
    )
}

const LOGIN: &str = r#"
name = "login"
url = "/login"
body = '{"user": "probe", "password": "${PASSWORD}"}'
capture = { token = { json = "$.auth.token" }, expires = { json = "$.auth.expires" }, user = { header = "Location", regex = "users/([0-9]+)/" }, role = { regex = 'roles":\["(.)"' }, session = { cookie = "session" } }
"#;

const ITEM: &str = r#"
name = "item"
url = "/items/{{user}}?q={{token}}"
bearer = "{{ token }}"
expect-body = '"item": 42'
"#;

const ORDER: &str = r#"
url = "/orders"
headers = { Authorization = "Bearer {{token}}" }
body = '{"token": "{{token}}", "n": {{expires}}}'
expect-status = 201
"#;

#[test]
fn a_login_and_what_follows_share_what_was_captured() {
    let shop = Shop::start();
    let config = steps("shop", &shop.url(), &[LOGIN, ITEM, ORDER]);
    // The password has a quote in it: in JSON of one's own, one writes it as JSON has it.
    let host = host().env("PASSWORD", "pa\\\"ss").config(&config).start();
    let found = expect_pass(&host, "shop", "3 steps passed; the last one answered 201 Created");
    let parts = found["outcome"]["parts"].as_array().expect("parts");
    let names: Vec<&str> = parts.iter().filter_map(|part| part["name"].as_str()).collect();
    assert_eq!(names, ["login", "item", "step-3"]);
    for name in ["response-time", "login", "item", "step-3"] {
        assert!(observation(&found, name).is_some_and(|seconds| seconds > 0.0), "{name}: {found}");
    }
    assert_eq!(found["target"], shop.url());
    assert_eq!(shop.seen().len(), 3);
    for path in ["/health", "/api/v1/checks/shop", "/metrics"] {
        let body = host.get(path).body;
        assert!(!body.contains("t/o") && !body.contains("t%2Fo"), "{path}: {body}");
    }
    assert!(!host.log().contains("t/o"), "what was captured is nowhere: {TOKEN}");
}

#[test]
fn the_first_step_that_fails_ends_the_run_and_is_named() {
    let shop = Shop::start();
    let silent = target::http().silent().start();
    let bad = LOGIN.replace("${PASSWORD}", "guess");
    let brief = steps(
        "late",
        &shop.url(),
        &[
            &format!("name = \"hangs\"\nurl = \"{}\"", silent.url("/")),
            ITEM.split("bearer")
                .next()
                .expect("a part")
                .replace("/items/{{user}}?q={{token}}", "/slow")
                .as_str(),
        ],
    )
    .replace("5s", "700ms");
    let config = [
        steps("refused", &shop.url(), &[&bad, ITEM, ORDER]),
        brief,
        steps("second", &shop.url(), &[LOGIN, "url = \"/orders\"\nname = \"bare\"", ITEM]),
    ]
    .concat();
    let host = host().env("PASSWORD", "pa\\\"ss").config(&config).start();
    let refused = expect_failure(
        &host,
        "refused",
        "unexpected-status",
        "step `login` (1 of 3): answered 401 Unauthorized (expected 200-299)",
    );
    assert_eq!(refused["outcome"]["parts"].as_array().map(Vec::len), Some(1));
    expect_failure(&host, "late", "timeout", "step `hangs` (1 of 2): timed out after 700ms");
    let second = expect_failure(&host, "second", "unexpected-status", "step `bare` (2 of 3)");
    assert_eq!(second["outcome"]["parts"][0]["status"], "pass");
    assert!(!shop.seen().iter().any(|line| line.contains("/items") || line.contains("/slow")));
}

#[test]
fn what_cannot_be_captured_or_used_is_a_fail_of_its_step() {
    let shop = Shop::start();
    let login = |capture: &str| {
        let (head, _) = LOGIN.split_once("capture").expect("it captures");
        format!("{head}capture = {{ x = {capture} }}")
    };
    let one =
        |name: &str, capture: &str| steps(name, &shop.url(), &[&login(capture), "url = \"/slow\""]);
    let dots = |name: &str, capture: &str, then: &str| {
        let first = format!("url = \"/dots\"\ncapture = {{ x = {capture} }}");
        steps(name, &shop.url(), &[&first, then])
    };
    let config = [
        one("absent", "{ json = \"$.nowhere\" }"),
        one("many", "{ json = \"$.auth.roles[*]\" }"),
        one("null", "{ json = \"$.none\" }"),
        one("object", "{ json = \"$.auth\" }"),
        one("header", "{ header = \"X-None\" }"),
        one("cookie", "{ cookie = \"none\" }"),
        one("regex", "{ regex = \"nothing like it\" }"),
        one("no-text", "{ header = \"X-Bad\", regex = \"(?-u:a(.))\" }"),
        dots("no-json", "{ json = \"$\" }", "url = \"/slow\""),
        dots("path", "{ header = \"X-Dots\" }", "url = \"/items/{{x}}\""),
        dots(
            "line-break",
            "{ regex = \"(?s).*\" }",
            "url = \"/slow\"\nheaders = { X-A = \"{{x}}\" }",
        ),
    ]
    .concat();
    let host = host().env("PASSWORD", "pa\\\"ss").config(&config).start();
    for (name, says) in [
        ("absent", "answered 200 OK, but there is nothing at `$.nowhere` to take `x` from"),
        ("many", "`$.auth.roles[*]` leads to 2 values"),
        ("null", "`$.none` is null"),
        ("object", "`$.auth` is an object"),
        ("header", "there is no header `x-none`"),
        ("cookie", "there is no cookie `none`"),
        ("regex", "the body does not match"),
        ("no-text", "is no UTF-8 text"),
        ("no-json", "the body is no JSON"),
        ("path", "step `step-2` (2 of 2): the value of `x` would change the path"),
        ("line-break", "step `step-2` (2 of 2): a header cannot hold the value of `x`"),
    ] {
        expect_failure(&host, name, "unexpected-value", says);
    }
    assert!(!shop.seen().iter().any(|line| line.contains("/slow")), "{:?}", shop.seen());
}

#[test]
fn a_step_that_warns_makes_the_check_warn() {
    let authority = crate::support::certificates::Authority::new();
    let nginx = crate::support::nginx::Nginx::start_tls(
        &authority.issue_for_days(10),
        "location / { return 200 fine; }",
    );
    let config = steps(
        "soon",
        &nginx.https(""),
        &["url = \"/\"\ncertificate-days = 14\nname = \"soon\"", "url = \"/\""],
    )
    .replace("timeout", "tls-ca = \"ca.pem\"\ntimeout");
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    let found = host.until_run("soon");
    assert_eq!(found["state"], "warn", "{found}");
    assert!(
        found["message"].as_str().is_some_and(
            |m| m.contains("step `soon` (1 of 2): answered 200 OK; the certificate has")
        ),
        "{found}"
    );
    assert_eq!(found["outcome"]["parts"].as_array().map(Vec::len), Some(2), "{found}");
}

#[test]
fn a_step_is_judged_by_its_own_conditions() {
    let shop = Shop::start();
    let with = |step: &str, keys: &str| format!("{step}\n{keys}");
    let item = |keys: &str| with(ITEM, keys);
    let config = [
        steps("met", &shop.url(), &[LOGIN, &item("fail = \"json.item > 40\""), ORDER]),
        steps("warned", &shop.url(), &[LOGIN, &item("warn = \"json.item > 40\""), ORDER]),
        steps(
            "held",
            &shop.url(),
            &[LOGIN, &item("fail = [\"json.item < 40\", \"latency > 4s\"]"), ORDER],
        ),
        // What a condition is about needs no expectation besides.
        steps("code", &shop.url(), &["url = \"/orders\"\nfail = \"status != 403\""]),
        steps("whole", &shop.url(), &[LOGIN, ITEM, ORDER])
            .replace("timeout", "fail = \"steps > 2 && step == 'step-3'\"\ntimeout"),
    ]
    .concat();
    let host = host().env("PASSWORD", "pa\\\"ss").config(&config).start();
    let says = "step `item` (2 of 3): json.item is 42 (fails when `json.item > 40`)";
    let met = expect_failure(&host, "met", "unexpected-value", says);
    assert_eq!(met["outcome"]["parts"].as_array().map(Vec::len), Some(2));
    let warned = host.until_run("warned");
    assert_eq!(warned["state"], "warn", "{warned}");
    assert_eq!(warned["outcome"]["parts"].as_array().map(Vec::len), Some(3));
    expect_pass(&host, "held", "3 steps passed");
    expect_pass(&host, "code", "its one step answered 403");
    expect_failure(&host, "whole", "unexpected-value", "steps is 3");
}
