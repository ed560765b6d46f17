//! The sample on the page about Genesis' containers: eight services, and a port of its own for their
//! health.

use serde_json::Value;

use crate::support::host::{Host, host};
use crate::support::http::{self, Answer};
use crate::support::listener::{Listener, silent};
use crate::support::wait::until;

/// The processes of a platform, in their order.
const PROCESSES: [&str; 8] = [
    "genesis-auth-dataserver",
    "genesis-auth-manager",
    "genesis-auth-perms",
    "genesis-cluster",
    "genesis-consolidator",
    "genesis-evaluator",
    "genesis-notify",
    "genesis-router",
];

/// As `DaemonHealthPort` is: a port for this and nothing else.
const DAEMON: &str =
    "[[listen]]\nname = \"daemon\"\naddress = \"127.0.0.1:0\"\nroutes = [\"/health/status\"]\n";

/// Eight ports that somebody listens on, and the checks that look at them.
fn platform(maintenance: Option<&str>) -> (Vec<Listener>, String) {
    let listeners: Vec<Listener> = PROCESSES.iter().map(|_| silent()).collect();
    let checks = PROCESSES.iter().zip(&listeners).map(|(name, listener)| {
        let aside = if maintenance == Some(name) { "maintenance = true\n" } else { "" };
        format!(
            "[[check]]\nname = \"{name}\"\nkind = \"tcp\"\ntarget = \"{}\"\ninterval = \"1s\"\nfailure-threshold = 1\n{aside}",
            listener.address
        )
    });
    let config = checks.collect();
    (listeners, config)
}

fn daemon(host: &Host, path: &str) -> Answer {
    let address = host.listener_address("daemon");
    http::request(address, "GET", path, &[], "").expect("an answer")
}

/// What the daemon says, once it says this of this process.
#[track_caller]
fn until_process(host: &Host, name: &str, status: &str) -> Answer {
    until(&format!("`{name}` is `{status}`"), || {
        let answer = daemon(host, "/health/status");
        let body = answer.json();
        let mut list = body.as_array().expect("an array").iter();
        let is_so = list.any(|p| p["PROCESS_NAME"] == name && p["STATUS"] == status);
        if is_so { Ok(answer) } else { Err(answer.body) }
    })
}

/// Waits until every process has been looked at.
#[track_caller]
fn until_all_known(host: &Host) {
    for name in PROCESSES {
        host.until_run(name);
    }
}

/// The bytes that these processes must be: four keys in their order, and nothing between them.
fn written(processes: &Value) -> String {
    let one = |process: &Value| {
        format!(
            r#"{{"PROCESS_NAME":{},"STATUS":{},"MESSAGE":{},"PORT":{}}}"#,
            process["PROCESS_NAME"], process["STATUS"], process["MESSAGE"], process["PORT"]
        )
    };
    let list: Vec<String> = processes.as_array().expect("an array").iter().map(one).collect();
    format!("[{}]", list.join(","))
}

#[test]
fn eight_services_are_eight_processes_on_the_daemons_port() {
    let (mut listeners, config) = platform(None);
    let host = host().config(&(config + DAEMON)).start();
    until_all_known(&host);
    let answer = daemon(&host, "/health/status");
    assert_eq!((answer.code, answer.header("content-type")), (200, Some("application/json")));
    let body = answer.json();
    assert_eq!(answer.body, written(&body));
    let list = body.as_array().expect("an array");
    assert_eq!(list.len(), 8);
    for ((process, name), listener) in list.iter().zip(PROCESSES).zip(&listeners) {
        assert_eq!(process["PROCESS_NAME"], name);
        assert_eq!(process["STATUS"], "UP");
        assert_eq!(process["MESSAGE"], ";connected");
        assert_eq!(process["PORT"], listener.address.port());
    }
    let router = format!(
        r#"{{"PROCESS_NAME":"genesis-router","STATUS":"UP","MESSAGE":";connected","PORT":{}}}]"#,
        listeners[7].address.port()
    );
    assert!(answer.body.ends_with(&router), "{}", answer.body);
    assert_eq!(host.get("/health/status").body, answer.body);

    // One that goes down is enough.
    drop(listeners.remove(2));
    let answer = until_process(&host, "genesis-auth-perms", "DOWN");
    assert_eq!(answer.code, 503);
    let body = answer.json();
    assert_eq!(answer.body, written(&body));
    assert!(body[2]["MESSAGE"].as_str().is_some_and(|m| m.starts_with(';')), "{body}");
    let others = body.as_array().expect("an array").iter();
    assert_eq!(others.filter(|process| process["STATUS"] == "UP").count(), 7);
    assert_eq!(host.get("/health/status").code, 503);
}

#[test]
fn a_process_on_standby_is_healthy_unless_an_endpoint_says_otherwise() {
    let (mut listeners, config) = platform(Some("genesis-evaluator"));
    drop(listeners.remove(5));
    let strict = "[[endpoint]]\npath = \"/consul/status\"\nformat = \"genesis\"\nstandby = \"unhealthy\"\nlistener = \"daemon\"\n\
         [[endpoint]]\npath = \"/consul/primary\"\nformat = \"genesis\"\nstandby = \"unhealthy\"\nexclude = [\"genesis-evaluator\"]\n";
    let host = host().config(&(config + DAEMON + strict)).start();
    until_all_known(&host);
    let answer = until_process(&host, "genesis-evaluator", "STANDBY");
    assert_eq!(answer.code, 200);
    let list = answer.json();
    let states: Vec<&str> =
        list.as_array().expect("an array").iter().filter_map(|p| p["STATUS"].as_str()).collect();
    assert_eq!(states, ["UP", "UP", "UP", "UP", "UP", "STANDBY", "UP", "UP"]);
    let strict = daemon(&host, "/consul/status");
    assert_eq!((strict.code, strict.body), (503, answer.body));
    assert_eq!(host.get("/consul/status").code, 404, "it is the daemon's");
    let primary = daemon(&host, "/consul/primary");
    assert_eq!((primary.code, primary.json().as_array().map(Vec::len)), (200, Some(7)));
}

#[test]
fn a_warning_is_not_in_the_healthy_set_and_a_process_starts_before_it_is_up() {
    let target = crate::support::target::http().silent().start();
    let config = format!(
        "[[check]]\nname = \"genesis-fix\"\nplugin = \"echo\"\nsettings = {{ status = \"warn\", message = \"a session is down; \\\"in schedule\\\"\" }}\n\
         [[check]]\nname = \"genesis-slow\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"60s\"\ntimeout = \"60s\"\n",
        target.url("/")
    );
    let host = host().config(&(config + DAEMON)).guest("echo").start();
    let answer = until_process(&host, "genesis-fix", "WARNING");
    assert_eq!(answer.code, 503);
    let fix = r#"{"PROCESS_NAME":"genesis-fix","STATUS":"WARNING","MESSAGE":";a session is down; \"in schedule\"","PORT":0}"#;
    assert!(answer.body.starts_with(&format!("[{fix},")), "{}", answer.body);
    let slow = &answer.json()[1];
    assert_eq!(
        (&slow["STATUS"], &slow["PORT"]),
        (&"STARTING".into(), &target.address.port().into())
    );
    let alone = host.get("/health/genesis-fix?format=genesis");
    assert_eq!((alone.code, alone.body), (503, format!("[{fix}]")));
}

#[test]
fn the_daemons_port_has_this_route_and_nothing_else() {
    let host = host().config(DAEMON).start();
    let (main, daemons) = (host.first_line.clone(), host.listener("daemon"));
    assert_eq!(main, format!("listening on http://{}", host.address));
    assert!(daemons.starts_with("http://127.0.0.1:"), "{daemons}");
    assert_ne!(host.address, host.listener_address("daemon"));
    // Nothing runs, so nothing is unhealthy.
    let answer = daemon(&host, "/health/status");
    assert_eq!((answer.code, answer.body.as_str()), (200, "[]"));
    for path in [
        "/",
        "/health",
        "/health/",
        "/health/status/",
        "/health/status/x",
        "/livez",
        "/readyz",
        "/metrics",
        "/health-check",
        "/actuator/health",
        "/api/v1/checks",
        "/api/v1/status",
        "/probe?target=127.0.0.1",
        "//health/status",
        "/health/../health",
    ] {
        assert_eq!(daemon(&host, path).code, 404, "{path}");
    }
    let address = host.listener_address("daemon");
    for (method, path, code) in [
        ("POST", "/health/status", 405),
        ("POST", "/-/reload", 404),
        ("POST", "/api/v1/agent/share/http-healthcheck", 404),
        ("HEAD", "/health/status", 200),
    ] {
        let answer = http::request(address, method, path, &[], "").expect("an answer");
        assert_eq!(answer.code, code, "{method} {path}: {answer:?}");
    }
    assert_eq!(host.get("/livez").code, 200);
}
