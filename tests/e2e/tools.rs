//! Tools that people already run, against the real server: Prometheus and its linter, a monitoring
//! plugin, and clients that take each format by its word.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::host::{Host, host};
use crate::support::http::Answer;
use crate::support::program::{Ended, finish};
use crate::support::prometheus::{Prometheus, promtool};
use crate::support::servers;
use crate::support::target;

fn echo(name: &str, status: &str, more: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nfailure-threshold = 1\nsettings = {{ status = \"{status}\", message = \"is {status}\" }}\n{more}\n"
    )
}

/// Checks in these states, and whatever else the configuration says; all decided.
#[track_caller]
fn start(checks: &[(&str, &str)], more: &str) -> Host {
    let config: String = checks.iter().map(|(name, status)| echo(name, status, "")).collect();
    let config = config + more;
    let builder = host().config(&config);
    // A plugin that nobody uses would be a check by itself.
    let builder = if config.contains("\"echo\"") { builder.guest("echo") } else { builder };
    let host = builder.start();
    for (name, status) in checks {
        host.until_state(name, status);
    }
    host
}

// ── Prometheus ─────────────────────────────────────────────────────────────────────────────────

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A configuration with an observation, groups, and a check in maintenance.
fn measured() -> String {
    let settings = r#"status = "warn", message = "500 | \"messages\"", observations = [
        { name = "queue-depth", value = 500, unit = "messages", labels = { queue = "o\"r\\d\ners é😀", check-name = "x" }, warn = "400" },
        { name = "queue-depth", value = 7, unit = "messages", labels = { queue = "mails" } },
        { name = "free", value = 0.25 } ]"#;
    let settings = settings.replace('\n', " ");
    format!(
        "[[check]]\nname = \"queue\"\nplugin = \"echo\"\nlabels = {{ team = \"shop\" }}\nsettings = {{ {settings} }}\n{}[[group]]\nname = \"any\"\nmembers = [\"queue\", \"bad\"]\nhealthy = \"any\"\n",
        echo("aside", "fail", "maintenance = true")
    )
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let host = start(&[("good", "pass"), ("bad", "fail")], &measured());
    host.until_state("queue", "warn");
    for path in ["/metrics", "/health?format=prometheus", "/health/queue?format=prometheus"] {
        let answer = host.get(path);
        assert_eq!((answer.code, answer.header("content-type")), (200, Some(TEXT)), "{path}");
        let Ended { code, out, err } = promtool(&answer.body);
        assert_eq!((code, &*out, &*err), (0, "", ""), "{path}:\n{}", answer.body);
    }
    let broken = host.get("/metrics").body.replacen("\"} ", "\" ", 1);
    assert_ne!(promtool(&broken).code, 0, "it would have said something");
}

#[test]
fn metrics_come_in_the_text_that_is_asked_for_and_always_with_200() {
    let host = start(&[("bad", "fail")], "");
    let accept = |value| host.ask("GET", "/metrics", &[("Accept", value)]);
    let open = accept("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!((open.code, open.header("content-type")), (200, Some(OPENMETRICS)));
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
    assert_eq!(host.get("/health?format=openmetrics").header("content-type"), Some(OPENMETRICS));
    for value in ["*/*", "text/plain", "image/png", "application/openmetrics-text;version=9"] {
        let text = accept(value);
        assert_eq!((text.code, text.header("content-type")), (200, Some(TEXT)), "{value}");
        assert_eq!(text.header("vary"), Some("accept, accept-encoding"));
        assert!(!text.body.contains("# EOF"), "{}", text.body);
    }
    assert!(
        open.body
            .contains("wellcheck_check_state{check=\"bad\",kind=\"plugin\",state=\"fail\"} 1\n")
    );
    assert_eq!(host.ask("HEAD", "/metrics", &[]).code, 200);
    assert_eq!(host.ask("POST", "/metrics", &[]).code, 405);
}

#[test]
fn a_real_prometheus_collects_states_counts_and_observations() {
    let target = target::http().status(200).start();
    let web = format!(
        "[[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\ntimeout = \"50ms\"\nfailure-threshold = 1\n",
        target.url("/")
    );
    let host = start(&[("bad", "fail")], &(measured() + &web));
    host.until_state("queue", "warn");
    host.until_state("web", "pass");
    let prometheus = Prometheus::start(host.address);
    prometheus.until("up == 1");
    prometheus.until("wellcheck_check_state{check=\"web\",kind=\"http\",state=\"pass\"} == 1");
    // Only OpenMetrics tells the unit.
    let metadata = prometheus.api("/api/v1/metadata?metric=wellcheck_check_run_seconds");
    let told = &metadata["wellcheck_check_run_seconds"][0];
    assert_eq!(
        (&told["type"], &told["unit"]),
        (&json!("counter"), &json!("seconds")),
        "{metadata}"
    );
    let depth = prometheus.until("wellcheck_observation{name=\"queue-depth\"}");
    assert_eq!(depth.len(), 2, "{depth:?}");
    let of = |value: f64| &depth.iter().find(|(_, v)| *v == value).expect("its value").0;
    // What a plugin says is shown as it may be printed: without line breaks.
    assert_eq!(
        of(500.0)["queue"].as_str().map(|q| q.contains("o\"r\\") && q.contains("ers é😀")),
        Some(true)
    );
    assert_eq!((&of(500.0)["check_name"], &of(500.0)["unit"]), (&json!("x"), &json!("messages")));
    assert_eq!(of(7.0)["queue"], "mails");
    assert_eq!(prometheus.query("wellcheck_maintenance == 1")[0].0["check"], "aside");
    assert_eq!(prometheus.query("wellcheck_group_state{group=\"any\"} == 1")[0].0["state"], "warn");
    assert_eq!(prometheus.query("wellcheck_group_members{healthy=\"true\"}")[0].1, 1.0);
    assert_eq!(prometheus.query("wellcheck_config_last_reload_successful")[0].1, 1.0);
    assert_eq!(prometheus.query("wellcheck_build_info").len(), 1);
    let age =
        prometheus.query("time() - wellcheck_check_last_run_timestamp_seconds{check=\"web\"}");
    assert!((-1.0..60.0).contains(&age[0].1), "{age:?}");

    target.becomes(target::http().status(503));
    let failing = prometheus.until("wellcheck_check_state{check=\"web\",state=\"fail\"} == 1");
    assert_eq!(failing.len(), 1);
    let counted = "wellcheck_check_failures_total{check=\"web\",reason=\"unexpected-status\"} > 0";
    prometheus.until(counted);
    prometheus.until("rate(wellcheck_check_runs_total{check=\"web\",status=\"fail\"}[5s]) > 0");
    // Nothing was dropped: as many samples as were sent.
    let scraped = prometheus.query("scrape_samples_scraped")[0].1;
    let sent = host.get("/metrics").body;
    let sent = sent.lines().filter(|line| !line.starts_with('#')).count();
    assert!((scraped - sent as f64).abs() <= 1.0, "{scraped} of {sent}");
    assert_eq!(prometheus.query("up")[0].1, 1.0);
}

// ── A monitoring plugin ────────────────────────────────────────────────────────────────────────

#[track_caller]
fn check_http(host: &Host, path: &str) -> Ended {
    let dirs = ["/usr/lib/nagios/plugins"];
    let program = servers::program(&["check_http"], &dirs, "monitoring-plugins-basic");
    let mut command = Command::new(program);
    let port = host.address.port().to_string();
    finish(command.args(["-I", "127.0.0.1", "-p", &port, "-u", path]), "")
}

#[test]
fn check_http_tells_what_is_well_from_what_is_not() {
    let well = start(&[("good", "pass")], "");
    let ill = start(&[("good", "pass"), ("bad", "fail")], "");
    let paths = [
        ("/health", "503 Service Unavailable"),
        ("/health/status", "503 Service Unavailable"),
        ("/health?format=nagios", "503 Service Unavailable"),
        ("/health?format=nosana", "503 Service Unavailable"),
        ("/healthz", "500 Internal Server Error"),
        ("/health-check", "500 Internal Server Error"),
    ];
    for (path, says) in paths {
        let ended = check_http(&well, path).expect(0);
        assert!(ended.out.starts_with("HTTP OK: HTTP/1.0 200 OK"), "{path}: {}", ended.out);
        let ended = check_http(&ill, path).expect(2);
        assert!(ended.out.starts_with(&format!("HTTP CRITICAL: HTTP/1.0 {says}")), "{}", ended.out);
    }
    for path in ["/metrics", "/badge/status.json", "/api/v1/endpoints/statuses"] {
        check_http(&ill, path).expect(0);
    }
}

#[test]
fn the_output_of_a_monitoring_plugin_has_its_parts() {
    // A group takes what `bad` says, but not what `worse` says.
    let host = start(&[("bad", "fail"), ("worse", "fail")], &measured());
    host.until_state("queue", "warn");
    let answer = host.get("/health?format=nagios");
    assert_eq!(
        (answer.code, answer.header("content-type")),
        (503, Some("text/plain; charset=utf-8"))
    );
    let (first, long) = answer.body.split_once('\n').expect("a line");
    let (text, data) = first.split_once(" | ").expect("numbers");
    assert!(text.starts_with("CRITICAL: 2 of 2 checks and groups do not pass: "), "{text}");
    assert!(data.contains("'queue/queue-depth/queue:mails'=7"), "{data}");
    assert!(data.contains("=500;400"), "{data}");
    assert_eq!(answer.body.matches('|').count(), 1, "{}", answer.body);
    assert!(long.contains("[WARNING] queue: 500 / \"messages\"\n"), "{long}");
    let one = host.get("/health/queue?format=nagios");
    assert_eq!(one.code, 200);
    assert!(one.body.starts_with("WARNING: 500 / \"messages\" | 'time'="), "{}", one.body);
}

// ── Kubernetes ─────────────────────────────────────────────────────────────────────────────────

#[track_caller]
fn says(answer: &Answer, code: u16, body: &str) {
    assert_eq!((answer.code, &*answer.body), (code, body));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn healthz_answers_as_the_servers_of_kubernetes_do() {
    let well = start(&[("good", "pass")], &echo("aside", "fail", "maintenance = true"));
    says(&well.get("/healthz"), 200, "ok");
    let list = "[+]aside excluded: ok\n[+]good ok\nhealthz check passed\n";
    says(&well.get("/healthz?verbose"), 200, list);
    says(&well.get("/healthz/good"), 200, "ok");
    says(&well.get("/healthz/aside"), 200, "ok");

    let ill = start(&[("bad", "fail"), ("good", "pass")], "");
    let list = "[-]bad failed: reason withheld\n[+]good ok\nhealthz check failed\n";
    says(&ill.get("/healthz"), 500, list);
    says(&ill.get("/healthz?verbose=1"), 500, list);
    says(&ill.get("/healthz?exclude=bad"), 200, "ok");
    let list = "[+]bad excluded: ok\n[+]good excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nhealthz check passed\n";
    says(&ill.get("/healthz?verbose&exclude=bad&exclude=x&exclude=good"), 200, list);
    says(&ill.get("/healthz/bad"), 500, "internal server error: is fail\n");
    assert_eq!(ill.get("/healthz/absent").code, 404);

    let empty = start(&[], "");
    says(&empty.get("/healthz?verbose"), 200, "[+]ping ok\nhealthz check passed\n");
}

#[test]
fn wellcheck_itself_is_asked_piece_by_piece() {
    let host = start(&[("bad", "fail")], "");
    host.until_ready();
    for path in ["/livez/ping", "/readyz/ping", "/readyz/plugins", "/startupz/configuration"] {
        says(&host.get(path), 200, "ok");
    }
    for path in ["/livez/plugins", "/readyz/bad", "/readyz/"] {
        assert_eq!(host.get(path).code, 404, "{path}");
    }
}

// ── clearskies ─────────────────────────────────────────────────────────────────────────────────

/// The envelope as its own clients take it: five keys, in their order, and no others.
#[track_caller]
fn envelope(answer: &Answer) -> (String, Value) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body: serde_json::Map<String, Value> = serde_json::from_str(&answer.body).expect("JSON");
    let keys = ["status", "error", "data", "pagination", "input_errors"];
    let mut at = 0;
    for key in keys {
        let place = answer.body.find(&format!("\"{key}\":")).expect("the key");
        assert!(place >= at, "`{key}` in {}", answer.body);
        at = place;
    }
    assert_eq!(body.len(), keys.len(), "{}", answer.body);
    assert_eq!((&body["pagination"], &body["input_errors"]), (&json!({}), &json!({})));
    let status = body["status"].as_str().expect("text").to_owned();
    match status.as_str() {
        "success" => assert_eq!((answer.code, &body["error"]), (200, &json!(""))),
        "failure" => assert_eq!((answer.code, &body["error"]), (500, &json!(""))),
        "client_error" => assert_eq!((answer.code, &body["error"]), (404, &json!("Not Found"))),
        other => panic!("`{other}` is no status"),
    }
    (status, body["data"].clone())
}

#[test]
fn clearskies_clients_find_their_envelope() {
    let nothing = start(&[], "");
    assert_eq!(envelope(&nothing.get("/health-check")), ("success".to_owned(), json!({})));
    let well = start(&[("good", "pass"), ("so-so", "warn")], "");
    assert_eq!(envelope(&well.get("/health-check")), ("success".to_owned(), json!({})));
    assert_eq!(well.get("/health?format=clearskies").body, well.get("/health-check").body);
    let ill = start(&[("bad", "fail")], "");
    assert_eq!(envelope(&ill.get("/health-check")), ("failure".to_owned(), json!([])));
    assert!(!ill.get("/health-check").body.contains("is fail"), "no error is told");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ill.ask(method, "/health-check", &[]);
        assert_eq!(envelope(&answer), ("client_error".to_owned(), json!([])), "{method}");
    }
    assert_eq!(ill.ask("HEAD", "/health-check", &[]).code, 404);
}

// ── Genesis and Nosana ─────────────────────────────────────────────────────────────────────────

/// Name and status of each process, read as strictly as a monitor may.
#[track_caller]
fn processes(answer: &Answer) -> Vec<(String, String)> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE")]
    struct Process {
        process_name: String,
        status: String,
        message: String,
        #[expect(dead_code, reason = "it must be there, and fit")]
        port: u16,
    }
    let list: Vec<Process> = serde_json::from_str(&answer.body).expect("an array of processes");
    let known = ["UP", "WARNING", "DOWN", "STARTING", "ERROR", "MISSING", "STANDBY"];
    for process in &list {
        assert!(known.contains(&&*process.status), "{}", process.status);
        assert!(process.message.is_empty() || process.message.starts_with(';'));
    }
    list.into_iter().map(|process| (process.process_name, process.status)).collect()
}

#[test]
fn genesis_monitors_see_standby_and_groups() {
    let more = echo("aside", "fail", "maintenance = true")
        + "[[group]]\nname = \"any\"\nmembers = [\"good\", \"bad\"]\nhealthy = \"any\"\n";
    let host = start(&[("bad", "fail"), ("good", "pass")], &more);
    host.until_run("aside");
    let answer = host.until_code("/health/status", 200);
    let expected = [("aside", "STANDBY"), ("bad", "DOWN"), ("good", "UP"), ("any", "UP")];
    assert_eq!(processes(&answer), expected.map(|(n, s)| (n.to_owned(), s.to_owned())));
    let one = host.get("/health/bad?format=genesis");
    assert_eq!((one.code, processes(&one).len()), (503, 1));
}

#[test]
fn nosana_lists_each_port_with_its_status() {
    let more = "[[group]]\nname = \"web-8080\"\nmembers = [\"web-8080-1\", \"web-8080-2\"]\nlabels = { op = \"web\", port = \"8080\", url = \"https://web.node.example\" }\n\
        [[group]]\nname = \"bare\"\nmembers = []\nlabels = { op = \"web\", port = \"9000-9003\" }\n";
    let host = start(&[("web-8080-1", "pass"), ("web-8080-2", "pass"), ("bad", "fail")], more);
    let body = host.get("/health?format=nosana");
    assert_eq!((body.code, body.header("content-type")), (503, Some("application/json")));
    assert_eq!(
        body.body,
        concat!(
            r#"[{"opID":"web","port":"9000-9003","url":"","status":"UNKNOWN"},"#,
            r#"{"opID":"web","port":8080,"url":"https://web.node.example","status":"ONLINE"},"#,
            r#"{"opID":"bad","port":0,"url":"","status":"OFFLINE"}]"#
        )
    );
    assert_eq!(host.get("/health/web-8080?format=nosana").code, 200);
}

// ── Badges and Gatus ───────────────────────────────────────────────────────────────────────────

/// A badge as shields.io takes it, which refuses what it does not know.
#[track_caller]
fn badge(answer: &Answer) -> (String, String, String) {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Badge {
        schema_version: u8,
        label: String,
        message: String,
        color: String,
    }
    assert_eq!((answer.code, answer.header("content-type")), (200, Some("application/json")));
    let badge: Badge = serde_json::from_str(&answer.body).expect("a badge");
    assert_eq!(badge.schema_version, 1);
    assert!(!badge.message.is_empty());
    (badge.label, badge.message, badge.color)
}

#[test]
fn badges_are_drawn_for_all_and_for_one() {
    let host = start(&[("bad", "fail"), ("good", "pass")], "");
    let is = |label: &str, message: &str, color: &str| {
        (label.to_owned(), message.to_owned(), color.to_owned())
    };
    assert_eq!(badge(&host.get("/badge/status.json")), is("health", "fail", "red"));
    assert_eq!(badge(&host.get("/badge/good.json")), is("good", "pass", "brightgreen"));
    for path in ["/badge/absent.json", "/badge/good", "/badge/good.svg", "/badge/.json"] {
        assert_eq!(host.get(path).code, 404, "{path}");
    }
    let gatus = host.get("/api/v1/endpoints/_bad/health/badge.shields");
    assert_eq!(badge(&gatus), is("gatus", "down", "red"));
    assert_eq!(gatus.header("cache-control"), Some("no-cache, no-store, must-revalidate"));
    assert_eq!(gatus.header("expires"), Some("0"));
    assert_eq!(host.get("/api/v1/endpoints/bad/health/badge.shields").code, 404);
}

#[test]
fn endpoint_statuses_are_those_of_gatus() {
    let target = target::http().status(503).start();
    let more = format!(
        "[[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\nfailure-threshold = 1\n[[group]]\nname = \"core\"\nmembers = [\"web\"]\n",
        target.url("/health")
    );
    let host = start(&[("good", "pass")], &more);
    host.until_state("web", "fail");
    let all = host.json("/api/v1/endpoints/statuses");
    let keys: Vec<&Value> = all.as_array().expect("a list").iter().map(|e| &e["key"]).collect();
    assert_eq!(keys, ["_good", "core_web"]);
    let web = host.json("/api/v1/endpoints/core_web/statuses");
    assert_eq!(web, all[1]);
    assert_eq!((&web["name"], &web["group"]), (&json!("web"), &json!("core")));
    let result = &web["results"][0];
    assert_eq!((&result["success"], &result["status"]), (&json!(false), &json!(503)), "{web}");
    assert_eq!(result["hostname"], "127.0.0.1");
    assert!(result["duration"].as_u64().is_some_and(|ns| ns > 1000), "{web}");
    assert!(result["errors"][0].is_string() && result["timestamp"].is_string(), "{web}");
    let good = &host.json("/api/v1/endpoints/_good/statuses")["results"][0];
    assert_eq!((&good["success"], &good["errors"]), (&json!(true), &Value::Null));
    assert_eq!(good["conditionResults"], json!([{ "condition": "is pass", "success": true }]));
    assert_eq!(host.get("/api/v1/endpoints/core_good/statuses").code, 404);
}
