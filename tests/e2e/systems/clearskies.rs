//! The two calls on the page of clearskies' health check: `services` that connect to something, and
//! a `callable` that decides.

use crate::support::checks::expect_no_password;
use crate::support::databases::{ENCODED, mariadb, postgres, redis};
use crate::support::host::{Host, host};
use crate::support::http::{self, Answer};
use crate::support::servers::free_port;
use crate::support::wait::until;

const SUCCESS: &str =
    r#"{"status":"success","error":"","data":{},"pagination":{},"input_errors":{}}"#;
const FAILURE: &str =
    r#"{"status":"failure","error":"","data":[],"pagination":{},"input_errors":{}}"#;
const NOT_FOUND: &str =
    r#"{"status":"client_error","error":"Not Found","data":[],"pagination":{},"input_errors":{}}"#;

/// The two places where every instance answers in these words.
const PATHS: [&str; 2] = ["/health-check", "/health?format=clearskies"];

/// A service: something that is logged in to, often.
fn service(name: &str, kind: &str, url: &str) -> String {
    format!("[[check]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\ninterval = \"1s\"\n")
}

/// PostgreSQL at this port.
fn cursor(port: u16) -> String {
    service("cursor", "postgres", &format!("postgres://app:{ENCODED}@127.0.0.1:{port}/postgres"))
}

fn orders() -> String {
    let port = mariadb().port;
    service("orders", "mysql", &format!("mysql://app:{ENCODED}@127.0.0.1:{port}/shop"))
}

fn cache() -> String {
    service("cache", "redis", &format!("redis://:{ENCODED}@127.0.0.1:{}/0", redis().port))
}

#[track_caller]
fn is(answer: &Answer, code: u16, body: &str) {
    assert_eq!((answer.code, answer.body.as_str()), (code, body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// Both places come to say this.
#[track_caller]
fn until_says(host: &Host, code: u16, body: &str) {
    for path in PATHS {
        until(&format!("{code} from {path}"), || match host.get(path) {
            answer if answer.code == code => {
                is(&answer, code, body);
                Ok(())
            }
            answer => Err(format!("{answer:?}")),
        });
    }
}

#[test]
fn a_service_that_is_not_there_fails_and_one_that_answers_succeeds() {
    let port = free_port();
    let host = host().config(&cursor(port)).start();
    let found = host.until_state("cursor", "fail");
    assert_eq!(found["reason"], "refused", "{found}");
    until_says(&host, 500, FAILURE);
    // Why it fails is known, and not told.
    let message = found["message"].as_str().expect("a message");
    assert!(message.contains(&port.to_string()), "{message}");
    for path in PATHS {
        let told: Vec<String> = host.get(path).headers.into_iter().map(|(_, text)| text).collect();
        let told = told.join("\n");
        for word in ["cursor", "refused", "postgres", &port.to_string()] {
            assert!(!told.contains(word), "`{word}` in {told}");
        }
    }
    expect_no_password(&host);

    host.configure(&cursor(postgres().port));
    host.until_state("cursor", "pass");
    until_says(&host, 200, SUCCESS);
}

#[test]
fn every_one_of_the_services_has_to_answer() {
    let endpoints = "[[endpoint]]\npath = \"/services\"\nformat = \"clearskies\"\nnames = [\"cursor\", \"orders\", \"cache\"]\n\
         [[endpoint]]\npath = \"/search\"\nformat = \"clearskies\"\nnames = [\"search\"]\n";
    let three = cursor(postgres().port) + &orders() + &cache() + endpoints;
    let absent = format!(
        "[[check]]\nname = \"search\"\nkind = \"tcp\"\ntarget = \"127.0.0.1:{}\"\ninterval = \"1s\"\n",
        free_port()
    );
    let host = host().config(&(three.clone() + &absent)).start();
    for (name, state) in
        [("cursor", "pass"), ("orders", "pass"), ("cache", "pass"), ("search", "fail")]
    {
        host.until_state(name, state);
    }
    is(&host.get("/services"), 200, SUCCESS);
    is(&host.get("/search"), 500, FAILURE);
    until_says(&host, 500, FAILURE);
    host.configure(&three.replace("[\"search\"]", "[\"cache\"]"));
    until_says(&host, 200, SUCCESS);
    is(&host.get("/search"), 200, SUCCESS);
    expect_no_password(&host);
}

#[test]
fn a_callable_decides_on_the_services_that_it_may_ask_for() {
    // As a plugin it asks for nothing but what it is granted.
    let callable = "[[check]]\nname = \"callable\"\nplugin = \"quorum\"\ninterval = \"1s\"\nfailure-threshold = 1\n\
         settings = { checks = [\"cursor\", \"cache\"], at-least = 2 }\n\
         [check.grants]\nchecks = [\"cursor\", \"cache\"]\nstate = \"4KiB\"\n\
         [[endpoint]]\npath = \"/callable\"\nformat = \"clearskies\"\nnames = [\"callable\"]\n";
    let config = |port| cursor(port) + &cache() + callable;
    let host = host().config(&config(free_port())).example("quorum").start();
    host.until_ready();
    host.until("callable", "what it says of both", |check| {
        check["message"] == "1 of 2 are healthy, expected 2 or more (not: cursor)"
    });
    is(&host.get("/callable"), 500, FAILURE);
    until_says(&host, 500, FAILURE);

    host.configure(&config(postgres().port));
    host.until_state("callable", "pass");
    is(&host.get("/callable"), 200, SUCCESS);
    until_says(&host, 200, SUCCESS);

    // One that may not ask cannot succeed.
    host.configure(
        &config(postgres().port).replace("checks = [\"cursor\", \"cache\"]\nstate", "state"),
    );
    host.until("callable", "denied", |check| check["reason"] == "denied");
    is(&host.get("/callable"), 500, FAILURE);
    until_says(&host, 500, FAILURE);
}

#[test]
fn a_callable_that_says_no_and_one_that_raises_are_the_same() {
    let named = |name: &str, plugin: &str, settings: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"{plugin}\"\nsettings = {settings}\n\
             [[endpoint]]\npath = \"/{name}\"\nformat = \"clearskies\"\nnames = [\"{name}\"]\n"
        )
    };
    let config = [
        named("yes", "echo", "{}"),
        named("no", "echo", "{ status = \"fail\", message = \"for a reason\" }"),
        named("raises", "trap", "{}"),
    ]
    .concat();
    let host = host().config(&config).guest("echo").guest("trap").start();
    for (name, state) in [("yes", "pass"), ("no", "fail")] {
        host.until_state(name, state);
    }
    host.until("raises", "a trap", |check| check["reason"] == "trap");
    is(&host.get("/yes"), 200, SUCCESS);
    is(&host.get("/no"), 500, FAILURE);
    is(&host.get("/raises"), 500, FAILURE);
}

#[test]
fn with_no_option_at_all_it_succeeds_while_the_configuration_is_sound() {
    let host = host().config("").start();
    until_says(&host, 200, SUCCESS);
    host.configure("[[check]]\nname = \"nothing-else\"\n");
    until_says(&host, 500, FAILURE);
    host.configure("# Repaired.\n");
    until_says(&host, 200, SUCCESS);
}

#[test]
fn other_methods_are_not_found_and_a_token_is_never_wanted() {
    let host = host().config("").start();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        is(&host.ask(method, "/health-check", &[]), 404, NOT_FOUND);
    }
    let posted = http::request(host.address, "POST", "/health-check", &[], "{\"a\":1}");
    is(&posted.expect("an answer"), 404, NOT_FOUND);
    // It is public, whatever somebody brings.
    for value in ["Bearer wrong", "Basic d3Jvbmc6", "nonsense"] {
        is(&host.ask("GET", "/health-check", &[("Authorization", value)]), 200, SUCCESS);
    }
    is(&host.get("/health-check?services=cursor&verbose=1"), 200, SUCCESS);
}
