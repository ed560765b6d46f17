//! The job on the page about Nosana's health checks, with its server, and WebSocket beside it; asked
//! as a load balancer would do it, in the words of Nosana alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_tungstenite::tungstenite::{Message, accept};

use crate::support::host::{Builder, Host, host};
use crate::support::http::Answer;
use crate::support::listener::{Listener, listener};
use crate::support::node::Node;
use crate::support::servers::free_ports;
use crate::support::wait::until;

/// A WebSocket server that greets everybody with the text of the moment.
struct Greeter {
    listener: Listener,
    text: Arc<Mutex<String>>,
}

impl Greeter {
    fn says(text: &str) -> Self {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let said = Arc::clone(&text);
        let listener = listener(move |stream| {
            let Ok(mut socket) = accept(stream) else { return Ok(()) };
            let text = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = socket.send(Message::text(text));
            let _ = socket.close(None);
            // Until the other side has gone away.
            while socket.read().is_ok() {}
            Ok(())
        });
        Self { listener, text }
    }

    fn becomes(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn port(&self) -> u16 {
        self.listener.address.port()
    }
}

const GET: &str = r#"{ "type": "http", "path": "/health", "method": "GET", "expected_status": 200"#;

/// The health check of the page; with `more` behind its last property.
fn get(more: &str) -> String {
    format!("{GET}{more} }}")
}

fn greeted(more: &str) -> String {
    format!("{{ \"type\": \"websocket\", \"expected_response\": \"ready\"{more} }}")
}

/// An entry of `expose`.
fn port(port: &str, checks: &[String]) -> String {
    format!("{{ \"port\": {port}, \"health_checks\": [{}] }}", checks.join(", "))
}

/// The job of the page, with these ports.
fn job(expose: &[String]) -> String {
    format!(
        r#"{{
  "version": "0.1",
  "type": "container",
  "meta": {{
    "trigger": "cli"
  }},
  "ops": [
    {{
      "type": "container/run",
      "id": "local-check",
      "args": {{
        "cmd": [],
        "image": "my-local-image",
        "expose": [
          {}
        ]
      }}
    }}
  ]
}}
"#,
        expose.join(",\n          ")
    )
}

fn served(job: &str) -> Builder {
    host().file("job.json", job).arg("--job").arg("job.json")
}

/// The same job, looked at more often than Nosana does.
fn hurried(job: &str) -> Builder {
    let import =
        "[[import]]\njob = \"job.json\"\nstartup-interval = \"200ms\"\ninterval = \"200ms\"\n";
    host().config(import).file("job.json", job)
}

const CONTINUOUS: &str = ", \"continuous\": true";

fn ask(host: &Host) -> Answer {
    let answer = host.get("/health?format=nosana");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer
}

/// The status of each port. An endpoint that is `OFFLINE` turns the code, no other does.
#[track_caller]
fn ports(answer: &Answer) -> BTreeMap<u64, String> {
    let body = answer.json();
    let list = body.as_array().expect("an array").iter();
    let ports: BTreeMap<u64, String> = list
        .map(|endpoint| {
            assert_eq!(endpoint.as_object().map(serde_json::Map::len), Some(4), "{endpoint}");
            assert_eq!(endpoint["opID"], "local-check");
            let status = endpoint["status"].as_str().expect("a word").to_owned();
            (endpoint["port"].as_u64().expect("a number"), status)
        })
        .collect();
    let offline = ports.values().any(|status| status == "OFFLINE");
    assert_eq!(answer.code, if offline { 503 } else { 200 }, "{}", answer.body);
    ports
}

fn all(expected: &[(u16, &str)]) -> BTreeMap<u64, String> {
    expected.iter().map(|(port, status)| (u64::from(*port), (*status).to_owned())).collect()
}

#[track_caller]
fn until_ports(host: &Host, expected: &[(u16, &str)]) -> Answer {
    let wanted = all(expected);
    until(&format!("{wanted:?}"), || {
        let answer = ask(host);
        if ports(&answer) == wanted { Ok(answer) } else { Err(answer.body) }
    })
}

#[test]
fn a_job_comes_online_port_by_port() {
    let free = free_ports(5);
    let [web, first, last, closed, bare] = free[..] else { panic!("{free:?}") };
    let greeter = Greeter::says("hello, I am ready to serve");
    let other = Greeter::says("hello, I am busy");
    let (live, busy) = (greeter.port(), other.port());
    let job = job(&[
        port(&web.to_string(), &[get("")]),
        port(&format!("\"{first}-{last}\""), &[get("")]),
        port(&closed.to_string(), &[get("")]),
        bare.to_string(),
        port(&live.to_string(), &[greeted("")]),
        port(&busy.to_string(), &[greeted(CONTINUOUS)]),
    ]);
    let host = served(&job).start();
    // Nothing has run yet, so every port with checks is offline.
    let mut expected = [
        (web, "OFFLINE"),
        (first, "OFFLINE"),
        (last, "OFFLINE"),
        (closed, "OFFLINE"),
        (bare, "UNKNOWN"),
        (live, "OFFLINE"),
        (busy, "OFFLINE"),
    ];
    let before = ports(&ask(&host));
    assert_eq!(before.len(), expected.len(), "{before:?}");
    assert_eq!(before[&u64::from(bare)], "UNKNOWN");
    assert_eq!(before[&u64::from(web)], "OFFLINE");

    let node = Node::start(&[web, first, last]);
    for index in [0, 1, 2, 5] {
        expected[index].1 = "ONLINE";
    }
    let answer = until_ports(&host, &expected);
    let one = |port: u16, status: &str| {
        format!(
            r#"{{"opID":"local-check","port":{port},"url":"http://127.0.0.1:{port}","status":"{status}"}}"#
        )
    };
    let mut sorted = expected;
    // Groups come by their names.
    sorted.sort_by_key(|(port, _)| port.to_string());
    let whole: Vec<String> = sorted.iter().map(|(port, status)| one(*port, status)).collect();
    assert_eq!(answer.body, format!("[{}]", whole.join(",")));

    // One port by itself, in the same words.
    let alone = host.get(&format!("/health/local-check-{live}?format=nosana"));
    assert_eq!((alone.code, alone.body), (200, format!("[{}]", one(live, "ONLINE"))));
    // None of the checks that passed goes on, so that nobody notices what happens then.
    let runs = other.listener.count();
    drop(node);
    until("two more runs of one that goes on", || match other.listener.count() {
        count if count >= runs + 2 => Ok(()),
        count => Err(count.to_string()),
    });
    assert_eq!(ports(&ask(&host)), all(&expected));
}

#[test]
fn a_continuous_check_takes_its_port_offline_and_back() {
    let web = free_ports(1)[0];
    let greeter = Greeter::says("hello, I am busy");
    let live = greeter.port();
    let job = job(&[
        port(&web.to_string(), &[get(CONTINUOUS)]),
        port(&live.to_string(), &[greeted(CONTINUOUS)]),
    ]);
    let host = hurried(&job).start();
    until("three greetings", || match greeter.listener.count() {
        3.. => Ok(()),
        count => Err(count.to_string()),
    });
    let is =
        |web_status, live_status| until_ports(&host, &[(web, web_status), (live, live_status)]);
    is("OFFLINE", "OFFLINE");
    let node = Node::start(&[web]);
    is("ONLINE", "OFFLINE");
    greeter.becomes("ready");
    is("ONLINE", "ONLINE");
    drop(node);
    is("OFFLINE", "ONLINE");
    greeter.becomes("not now");
    is("OFFLINE", "OFFLINE");
    let _node = Node::start(&[web]);
    is("ONLINE", "OFFLINE");
    greeter.becomes("I am ready again");
    is("ONLINE", "ONLINE");
}

#[test]
fn a_port_needs_all_of_its_checks_and_those_that_do_not_go_on_keep_nobody() {
    let web = free_ports(1)[0];
    // Nosana's own runner would end with the first check that is not continuous.
    let absent = get("").replace("/health", "/absent").replace("200", "404");
    let checks = [absent.clone(), get(CONTINUOUS)];
    let host = hurried(&job(&[port(&web.to_string(), &checks)])).start();
    until_ports(&host, &[(web, "OFFLINE")]);
    let node = Node::start(&[web]);
    until_ports(&host, &[(web, "ONLINE")]);
    drop(node);
    until_ports(&host, &[(web, "OFFLINE")]);
    let _node = Node::start(&[web]);
    until_ports(&host, &[(web, "ONLINE")]);

    // Where one of them never passes, the other does not help.
    let never = absent.replace("404", "200");
    host.replace("job.json", job(&[port(&web.to_string(), &[get(""), never])]));
    until_ports(&host, &[(web, "OFFLINE")]);
    host.until_state(&format!("local-check-{web}-2"), "fail");
    host.until_state(&format!("local-check-{web}-1"), "pass");
    until_ports(&host, &[(web, "OFFLINE")]);
}

#[test]
fn a_range_without_checks_is_one_endpoint_that_nobody_knows_of() {
    let host = served(&job(&["\"3000-3005\"".to_owned(), port("4000", &[])])).start();
    let body = concat!(
        r#"[{"opID":"local-check","port":"3000-3005","url":"http://127.0.0.1:3000","status":"UNKNOWN"},"#,
        r#"{"opID":"local-check","port":4000,"url":"http://127.0.0.1:4000","status":"UNKNOWN"}]"#
    );
    let answer = ask(&host);
    assert_eq!((answer.code, answer.body.as_str()), (200, body));
}

#[test]
fn an_operation_that_waits_for_another_is_offline_until_then() {
    let (model, ui) = (Greeter::says("loading"), Greeter::says("ready"));
    let operation = |id: &str, greeter: &Greeter, execution: &str| {
        format!(
            r#"{{ "type": "container/run", "id": "{id}", "args": {{ "image": "i", "expose": [{}] }}, "execution": {execution} }}"#,
            port(&greeter.port().to_string(), &[greeted(CONTINUOUS)])
        )
    };
    let operations = [
        operation("model", &model, r#"{ "group": "run" }"#),
        operation("ui", &ui, r#"{ "group": "run", "depends_on": ["model"] }"#),
    ];
    let job = format!(
        r#"{{ "version": "0.1", "type": "container", "ops": [{}] }}"#,
        operations.join(",")
    );
    let host = hurried(&job).start();
    let until_both = |model_status: &str, ui_status: &str| {
        let wanted = [("model", &model, model_status), ("ui", &ui, ui_status)].map(
            |(id, greeter, status)| {
                let port = greeter.port();
                format!(
                    r#"{{"opID":"{id}","port":{port},"url":"http://127.0.0.1:{port}","status":"{status}"}}"#
                )
            },
        );
        let wanted = format!("[{}]", wanted.join(","));
        until(&wanted, || match ask(&host).body {
            body if body == wanted => Ok(()),
            body => Err(body),
        });
    };
    until("three greetings", || match model.listener.count() {
        3.. => Ok(()),
        count => Err(count.to_string()),
    });
    until_both("OFFLINE", "OFFLINE");
    assert_eq!(ui.listener.count(), 0, "nobody asked before its time");
    model.becomes("ready");
    until_both("ONLINE", "ONLINE");
    // Once is enough for the other.
    model.becomes("loading");
    until_both("OFFLINE", "ONLINE");
}
