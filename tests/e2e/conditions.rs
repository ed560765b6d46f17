//! Conditions, budgets and bounds: over plugins' numbers, over a real nginx, in probes on demand and
//! from the command line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wellcheck_core::condition::{Conditions, Judgement, Rules, Severity};
use wellcheck_core::fact::{self, FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, Outcome, Report, Run};

use crate::support::host::{Host, host};
use crate::support::nginx::Nginx;
use crate::support::program::{command, finish};

/// A check of the guest that says what its settings say.
fn echo(name: &str, settings: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\ninterval = \"1s\"\nsettings = {{ {settings} }}\n{keys}\n"
    )
}

/// State, reason and message of the first run of each check.
#[track_caller]
fn expect(host: &Host, expected: &[(&str, &str, Value, &str)]) {
    for (name, state, reason, message) in expected {
        let found = host.until_run(name);
        let shown = (&found["state"], &found["reason"], &found["message"]);
        assert_eq!(shown, (&json!(state), reason, &json!(message)), "{found}");
    }
}

#[test]
fn conditions_judge_what_a_plugin_reports() {
    let depth = "status = \"pass\", message = \"fine\", observations = [{ name = \"queue-depth\", value = 120, unit = \"c\", fail = \"0:100\" }]";
    let config = [
        echo("plain", depth, ""),
        echo("fails", depth, "fail = \"observation.queue-depth > 100\""),
        echo(
            "warns",
            depth,
            "warn = [\"observation.queue-depth < 5\", \"observation.queue-depth > 100\"]",
        ),
        echo(
            "holds",
            depth,
            "fail = \"observation.queue-depth > 500\"\nwarn = \"message != 'fine'\"",
        ),
        echo("misses", depth, "fail = \"observation.lag > 5\""),
        echo("both", depth, "warn = \"true\"\nfail = \"detail.homepage != 'x'\""),
        echo("bounded", depth, "bounds = { queue-depth = { warn = \"0:100\", fail = \"~:200\" } }"),
        echo("own", depth, "own-bounds = true"),
        echo("inverted", depth, "invert = true"),
        echo("never", "status = \"fail\", message = \"it is shut\"", "invert = true"),
        echo("faults", "fault = \"inconclusive\"", "invert = true\nfail = \"true\""),
    ]
    .concat();
    let host = host().guest("echo").config(&config).start();
    let value = json!("unexpected-value");
    expect(
        &host,
        &[
            ("plain", "pass", json!(null), "fine"),
            (
                "fails",
                "fail",
                value.clone(),
                "observation.queue-depth is 120 (fails when `observation.queue-depth > 100`)",
            ),
            (
                "warns",
                "warn",
                value.clone(),
                "observation.queue-depth is 120 (warns when `observation.queue-depth > 100`)",
            ),
            ("holds", "pass", json!(null), "fine"),
            (
                "misses",
                "fail",
                value.clone(),
                "observation.lag is not there (fails when `observation.lag > 5`)",
            ),
            (
                "both",
                "fail",
                value.clone(),
                "detail.homepage is not there (fails when `detail.homepage != 'x'`)",
            ),
            ("bounded", "warn", value.clone(), "queue-depth is 120c (warns outside of `0:100`)"),
            ("own", "fail", value, "queue-depth is 120c (fails outside of `0:100`)"),
            ("inverted", "fail", json!("inverted"), "it passes and should not (`invert`): fine"),
            ("never", "pass", json!(null), "it fails as it should (`invert`): it is shut"),
        ],
    );
    let faulted = host.until_run("faults");
    assert_eq!(
        (&faulted["state"], &faulted["reason"]),
        (&json!("unknown"), &json!("inconclusive"))
    );
    // What judges a check is shown with it, and bounds with the observation.
    let bounded = host.check("bounded");
    let observation = &bounded["outcome"]["observations"][0];
    assert_eq!((&observation["warn"], &observation["fail"]), (&json!("0:100"), &json!("~:200")));
    let bounds = json!({ "bounds": { "queue-depth": { "warn": "0:100", "fail": "~:200" } } });
    assert_eq!(bounded["conditions"], bounds);
    assert_eq!(
        host.check("both")["conditions"],
        json!({ "warn": ["true"], "fail": ["detail.homepage != 'x'"] })
    );
    assert_eq!(host.check("plain").get("conditions"), None);
}

fn nginx() -> Nginx {
    Nginx::start(
        r#"
        location = /ok     { return 200 '{"status": "ok", "queue": 17}'; }
        location = /broken { return 503 'down for repair'; }
    "#,
    )
}

#[test]
fn conditions_judge_answers_of_a_real_server() {
    let nginx = nginx();
    let check = |name: &str, path: &str, keys: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"1s\"\n{keys}\n",
            nginx.url(path)
        )
    };
    let config = [
        check("holds", "/ok", "fail = [\"status != 200\", \"latency > 900ms\"]"),
        check("answers", "/ok", "warn = \"status == 200 && latency < 900ms\""),
        check("slow", "/ok", "latency-warn = \"1ms\"\nlatency-fail = \"990ms\"\nfail = \"observation.status-code != 200\""),
        check(
            "json",
            "/ok",
            "fail = [\"json.status != 'ok'\", \"json.queue > 100\", \"!body.contains('queue')\", \"has(certificate.days-left)\", \"header.content-type == ''\", \"has(header['x-none'])\"]\nwarn = \"json.queue > 10\"",
        ),
        check("no-json", "/broken", "expect-status = 503\nfail = \"json.status == 'x'\""),
        check("gone", "/broken", "expect-status = 200\nfail = \"status == 503\""),
    ]
    .concat();
    let host = host().config(&config).start();
    assert_eq!(host.until_run("holds")["state"], "pass");
    let found = host.until_run("answers");
    assert_eq!((&found["state"], &found["reason"]), (&json!("warn"), &json!("unexpected-value")));
    let message = found["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("status is 200, latency is "), "{found}");
    assert!(message.ends_with(" (warns when `status == 200 && latency < 900ms`)"), "{found}");
    // A run over a socket may be faster than a millisecond; then it passes.
    let slow = host.until_run("slow");
    let took = slow["duration_ms"].as_f64().expect("a number");
    assert_eq!(slow["state"] == "warn", took > 1.0, "{slow}");
    assert_ne!(slow["state"], "fail", "{slow}");
    let json = host.until_run("json");
    assert_eq!(json["state"], "warn", "{json}");
    assert_eq!(json["message"], "json.queue is 17 (warns when `json.queue > 10`)");
    let none = host.until_run("no-json");
    assert_eq!(none["message"], "json.status is not there (fails when `json.status == 'x'`)");
    // What fails already says so in its own words.
    let gone = host.until_run("gone");
    assert_eq!(gone["reason"], "unexpected-status", "{gone}");
}

#[test]
fn modules_have_conditions_and_the_command_line_asks_them() {
    let nginx = nginx();
    let config = format!(
        "[[module]]\nname = \"strict\"\nkind = \"http\"\ntargets = [\"127.0.0.0/8\"]\nfail = \"status == 200\"\n\
         [[module]]\nname = \"lenient\"\nkind = \"http\"\ntargets = [\"127.0.0.0/8\"]\nfail = \"status == 201\"\n\
         [[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\nwarn = \"status == 200\"\n",
        nginx.url("/ok")
    );
    let host = host().config(&config).start();
    for (module, success) in [("strict", "0"), ("lenient", "1")] {
        let target: String =
            url::form_urlencoded::byte_serialize(nginx.url("/ok").as_bytes()).collect();
        let answer = host.get(&format!("/probe?module={module}&target={target}"));
        assert_eq!(answer.code, 200, "{answer:?}");
        let line = format!("probe_success {success}");
        assert!(answer.body.lines().any(|own| own == line), "{}", answer.body);
    }
    let mut program = command();
    program.current_dir(host.dir()).args(["run", "web"]);
    let ended = finish(&mut program, "");
    assert_eq!(ended.code, 1, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("status is 200 (warns when `status == 200`)"), "{}", ended.out);
}

#[test]
fn a_condition_that_changes_takes_effect_with_the_next_run() {
    let report =
        "status = \"pass\", message = \"fine\", observations = [{ name = \"n\", value = 5 }]";
    let host = host().guest("echo").config(&echo("a", report, "")).start();
    host.until_state("a", "pass");
    host.configure(&echo("a", report, "fail = \"observation.n > 4\"\nfailure-threshold = 1"));
    let failed = host.until_state("a", "fail");
    assert_eq!(failed["message"], "observation.n is 5 (fails when `observation.n > 4`)");
    host.configure(&echo("a", report, "fail = \"observation.n > 5\"\nfailure-threshold = 1"));
    host.until_state("a", "pass");
}

/// What a condition shows of an answer is redacted like everything else, and so is the condition.
#[test]
fn secrets_do_not_show_in_what_conditions_say() {
    let config = "[[check]]\nname = \"a\"\nplugin = \"echo\"\nsettings = { status = \"pass\", message = \"${SECRET_WORD}\" }\nfail = \"message != '${SECRET_WORD}x'\"\n";
    let host = host().guest("echo").env("SECRET_WORD", "canary-5150").config(config).start();
    let found = host.until_run("a");
    assert_eq!(found["state"], "fail");
    assert!(!found.to_string().contains("canary-5150"), "{found}");
    let message = "message is \"[redacted]\" (fails when `message != '${SECRET_WORD}x'`)";
    assert_eq!(found["message"], message);
}

const FACTS: &[&[FactKey]] = &[&[
    fact("body", Shape::Text, ""),
    fact("json", Shape::Json, ""),
    fact("status", Shape::Integer, ""),
]];

fn judgement(condition: &str) -> Judgement {
    let mut rules = Rules::default();
    rules.written.fail.push(condition.to_owned());
    let added = rules.conditions.add(condition, condition, Severity::Fail, FACTS);
    added.unwrap_or_else(|mistake| panic!("`{condition}`: {mistake:?}"));
    rules.into()
}

fn run(facts: &[(&str, fact::Value)]) -> Run {
    let mut report = Report::new(Answer::Pass, "answered");
    for (name, value) in facts {
        report.found.put(*name, value.clone());
    }
    Run::new(Outcome::Answered(report), Duration::from_millis(20))
}

/// Conditions that do as much work as they may, over answers as large as they come. The
/// worst of them takes half a second here, without optimization.
#[test]
fn conditions_over_large_answers_take_bounded_time() {
    let answers = [
        format!("[{}0]", "0,".repeat(131_000)),
        format!("[{}{{}}]", "{\"a\":1},".repeat(32_000)),
        format!("{}{}", "[".repeat(120), "]".repeat(120)),
        format!("\"{}\"", "01".repeat(131_000)),
    ];
    let long = (0..60).map(|n| format!("i != {n}.5")).collect::<Vec<_>>().join(" && ");
    let conditions = [
        "json.all(i, i == 0)",
        &format!("json.all(i, {long})"),
        "json.all(i, i in json)",
        "json == json",
        "json.exists(i, i.a.b.c > 1)",
        "json.map(i, i)[0] == 1",
        "json.path('$..*').size() > 1",
        "json.path('$[?@.a==1]').all(i, i.a == 1)",
        "json.path('$[?count(@..*) > 1]').size() > 1",
        "json.all(i, json.size() > i)",
        r#"json.matches(r"[01]*1[01]{100}$")"#,
        r#"body.matches(r"([01]{8}|[0-9]{9}){8}x")"#,
        r#"body.matches(r"[01]*1[01]{100}x")"#,
        "json.all(i, body.contains('x'))",
        "body.lower().contains('x')",
    ];
    for answer in &answers {
        let json: Value = serde_json::from_str(answer).expect("JSON");
        let found = [("body", answer.as_str().into()), ("json", fact::Value::Json(json.into()))];
        for condition in conditions {
            let mut run = run(&found);
            let judgement = judgement(condition);
            let started = Instant::now();
            judgement.apply(&mut run);
            let took = started.elapsed();
            if took > Duration::from_millis(50) {
                let short: String = condition.chars().take(50).collect();
                eprintln!("{took:?} for `{short}` over {}…", &answer[..12]);
            }
            assert!(took < Duration::from_secs(10), "{took:?} for `{condition}`");
        }
    }
}

/// 3 us each and 80 us to compile one here, without optimization.
#[test]
fn asking_a_condition_is_cheap() {
    let judgement = judgement("status == 200 && latency < 1s");
    let mut runs = vec![run(&[("status", 503_i64.into())]); 5_000];
    let started = Instant::now();
    runs.iter_mut().for_each(|run| judgement.apply(run));
    let each = started.elapsed() / 5_000;
    eprintln!("{each:?} for each");
    assert!(runs.iter().all(|run| run.outcome.message() == "answered"));
    assert!(each < Duration::from_millis(1), "{each:?}");
    let started = Instant::now();
    let compiled =
        (0..200).filter(|n| judgement_of(&format!("status == {n} && latency < 1s")).is_some());
    assert_eq!(compiled.count(), 200);
    eprintln!("{:?} to compile one", started.elapsed() / 200);
}

fn judgement_of(condition: &str) -> Option<()> {
    Conditions::default().add(condition, condition, Severity::Fail, FACTS).ok()
}
