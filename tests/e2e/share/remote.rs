//! Questions about shares that another instance has.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    HEALTHY, OPERATE, TYPE, V1, V2, ask, check, code, configure, error, of, own, post, question,
};
use crate::configuration::tokens;
use crate::support::host::host;
use crate::support::program::run;
use crate::support::target;

fn environment(id: &str, agent: SocketAddr, token: &str) -> String {
    format!("[[environment]]\nid = \"{id}\"\nagent = \"http://{agent}\"\ntoken = \"{token}\"\n")
}

#[test]
fn a_question_about_another_environment_is_passed_on() {
    let target = target::http().status(200).start();
    let far = host().config(&(tokens() + &own("far") + &of(&target))).start();
    let near = host()
        .config(&(tokens() + &environment("far", far.address, "${FAR_TOKEN}")))
        .env("FAR_TOKEN", "token-of-operate")
        .start();
    let mut asked = question("8rvjpmeeyvwc", "/x", 200);
    asked["envZId"] = json!("far");
    for path in [V1, V2] {
        target.becomes(target::http().status(200));
        let ask = || post(&near, path, &OPERATE, &asked.to_string());
        let answer = ask();
        assert_eq!((answer.code, &*answer.body), (200, HEALTHY));
        assert_eq!(answer.header("content-type"), Some(TYPE));
        target.becomes(target::http().status(202));
        assert_eq!(ask().body, "{\"error\":\"unexpected status code; got '202', want '200'\"}\n");
    }
    assert_eq!(target.count(), 4);
    // The share is there, not here.
    asked["envZId"] = json!("");
    assert_eq!(error(&near, &asked), "share '8rvjpmeeyvwc' not found in agent");
    asked["envZId"] = json!("nowhere");
    assert_eq!(code(&ask(&near, &asked)), (401, "unknown-environment".to_owned()));
    let url = format!("http://{}", near.address);
    let passed = [
        "agent",
        "share",
        "health",
        "8rvjpmeeyvwc",
        "GET",
        "/",
        "202",
        "--environment",
        "far",
        "--token",
        "token-of-operate",
        "--url",
        &url,
    ];
    check(&run(&passed), 0, "healthy\n", "");
}

#[test]
fn what_is_passed_on_is_the_question_with_our_token_and_a_mark() {
    let agent = target::http().status(200).body("{\"healthy\": true}").start();
    let config = tokens() + &environment("far", agent.address, "far-canary-3c1d");
    let host = host().config(&config).start();
    let mut asked = question("abc", "/x", 204);
    asked["envZId"] = json!("far");
    asked["timeoutMs"] = json!(1500);
    assert_eq!(post(&host, V2, &OPERATE, &asked.to_string()).body, HEALTHY);
    let request = agent.requests().pop().expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with(&format!("POST {V2} HTTP/1.1\r\n")), "{head}");
    let head = head.to_lowercase();
    for header in [
        "x-token: far-canary-3c1d",
        "wellcheck-relayed: 1",
        "content-type: application/zrok.v1+json",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    assert!(!head.contains("token-of-operate"), "the asker's token stays here: {head}");
    assert_eq!(serde_json::from_str::<Value>(body).expect("JSON"), asked);
}

#[test]
fn an_agent_that_does_not_answer_well_is_a_bad_gateway() {
    let agent = target::http().status(200).start();
    let config = [
        tokens(),
        environment("odd", agent.address, "odd-canary-77aa"),
        environment("dead", "127.1.1.1:9090".parse().expect("an address"), "dead-canary-77aa"),
    ];
    let host = host().config(&config.concat()).start();
    let check = |id: &str| {
        let mut asked = question("abc", "/", 200);
        asked["envZId"] = json!(id);
        asked["timeoutMs"] = json!(1);
        let answer = ask(&host, &asked);
        assert_eq!((answer.code, &*answer.body), (502, "bad gateway; agent not reachable"));
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    };
    check("dead");
    host.until_logged("the agent cannot be asked: connection to `127.1.1.1:9090` refused");
    let elsewhere = "http://127.1.1.1:9090/";
    for behavior in [
        target::http().status(401).body("{\"error\": {\"message\": \"odd-canary-77aa\"}}"),
        target::http().status(502),
        target::http().status(302).header("Location", elsewhere),
        target::http().status(200).body("<html>odd-canary-77aa"),
        target::http().status(200).body("{\"error\": {}}"),
        target::http().status(200).body(&"x".repeat(100_000)),
        target::http().mirror(),
        target::http().garbage(),
        target::http().close_early(),
        target::http().silent(),
    ] {
        agent.becomes(behavior);
        check("odd");
    }
    let log = host.log();
    assert!(log.contains("answered 401: [redacted]"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn an_agent_that_echoes_the_token_does_not_give_it_away() {
    let body = "{\"error\": \"share 'far-canary-3c1d' not found \\u001b[2J\"}";
    let agent = target::http().status(200).body(body).start();
    let config = tokens() + &environment("far", agent.address, "far-canary-3c1d");
    let host = host().config(&config).start();
    let mut asked = question("abc", "/", 200);
    asked["envZId"] = json!("far");
    assert_eq!(error(&host, &asked), "share '[redacted]' not found \u{1b}[2J");
    let url = format!("http://{}", host.address);
    let args = [
        "agent",
        "share",
        "health",
        "abc",
        "GET",
        "/",
        "200",
        "--environment",
        "far",
        "--token",
        "token-of-operate",
        "--url",
        &url,
    ];
    let ended = run(&args);
    check(&ended, 1, "unhealthy; share '[redacted]' not found \\u{1b}[2J\n", "");
    for path in ["/api/v1/status", "/health", "/"] {
        assert!(!host.get(path).body.contains("canary"), "{path}");
    }
}

#[test]
fn a_question_is_passed_on_once_and_never_in_a_circle() {
    let (one, two) = (host().config(&tokens()).start(), host().config(&tokens()).start());
    configure(&one, &environment("far", two.address, "token-of-operate"));
    configure(&two, &environment("far", one.address, "token-of-operate"));
    let mut asked = question("abc", "/", 200);
    asked["envZId"] = json!("far");
    let began = Instant::now();
    let answer = ask(&one, &asked);
    assert_eq!((answer.code, &*answer.body), (502, "bad gateway; agent not reachable"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    two.until_logged("not passed on: the question has been passed on before");
    assert!(!one.log().contains("not passed on"), "it did not come back: {}", one.log());
    // Nor to itself.
    configure(&one, &environment("far", one.address, "token-of-operate"));
    assert_eq!(ask(&one, &asked).code, 502);
    one.until_logged("not passed on: the question has been passed on before");
}
