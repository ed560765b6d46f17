//! Conditions as people write them: what they find, and what is wrong with them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fact::{Found, Value};
use crate::outcome::{Answer, FailReason, Observation, Outcome, Report, Run};

const FACTS: &[FactKey] = &[
    fact("status", Shape::Integer, ""),
    fact("body", Shape::Text, ""),
    fact("body-size", Shape::Size, ""),
    fact("json", Shape::Json, ""),
    fact("header.*", Shape::Text, ""),
    fact("certificate.days-left", Shape::Number, ""),
    fact("certificate.names", Shape::Texts, ""),
    fact("http2", Shape::Boolean, ""),
    fact("absent", Shape::Integer, ""),
];

fn found() -> Found {
    let mut found = Found::default();
    found.put("status", 503_i64);
    found.put("body", "Service is starting\n");
    found.put("body-size", 20_480_i64);
    found.put("header.x-request-id", "abc");
    found.put("certificate.days-left", 12.5);
    found.put("certificate.names", vec!["a.example".to_owned(), "b.example".to_owned()]);
    found.put("http2", true);
    let json = json!({
        "status": "starting", "version": 3, "load": 0.75, "none": null, "days-left": 4,
        "items": [
            {"id": 1, "state": "ok", "tags": ["x"]},
            {"id": 2, "state": "bad"},
            {"id": 3, "state": "bad"},
            {"id": 4, "state": "ok"},
        ],
        "deep": {"in": {"a": [10, 20]}},
    });
    found.put("json", Value::Json(json.into()));
    found
}

fn run(found: Found) -> Run {
    let mut report = Report::new(Answer::Pass, "answered 503");
    report.found = found;
    report.observations = vec![
        Observation::new("queue-depth", 120.0, ""),
        Observation { fail: Some("10".to_owned()), ..Observation::new("errors", 11.0, "c") },
    ];
    report.details.push(("server version".to_owned(), "14.2".to_owned()));
    Run::new(Outcome::Answered(report), Duration::from_millis(2_400))
}

fn judgement(condition: &str) -> Judgement {
    let mut rules = Rules::default();
    rules.written.fail.push(condition.to_owned());
    let added = rules.conditions.add(condition, condition, Severity::Fail, &[FACTS]);
    added.unwrap_or_else(|mistake| panic!("`{condition}`: {mistake:?}"));
    rules.into()
}

fn judged(condition: &str, found: Found) -> Report {
    let mut run = run(found);
    judgement(condition).apply(&mut run);
    match run.outcome {
        Outcome::Answered(report) => report,
        Outcome::Faulted(fault) => panic!("{fault:?}"),
    }
}

#[track_caller]
fn check_met(condition: &str, says: &str) {
    let report = judged(condition, found());
    assert_eq!(report.status, Answer::Fail, "`{condition}`: {}", report.message);
    assert_eq!(report.reason, Some(FailReason::UnexpectedValue));
    assert_eq!(report.message, format!("{says} (fails when `{condition}`)"));
    assert_eq!(report.found, Found::default());
}

#[track_caller]
fn check_not_met(condition: &str) {
    let report = judged(condition, found());
    assert_eq!(report.status, Answer::Pass, "`{condition}`: {}", report.message);
    assert_eq!(report.message, "answered 503");
}

#[track_caller]
fn check_wrong(condition: &str, at: usize, says: &str) {
    let added = Conditions::default().add(condition, condition, Severity::Fail, &[FACTS]);
    let mistake = added.expect_err(condition);
    assert!(mistake.why.contains(says), "`{condition}`: {}", mistake.why);
    assert_eq!(mistake.at, at, "`{condition}`: {}", mistake.why);
}

#[test]
fn a_condition_that_is_met_says_fact_value_and_bound() {
    check_met("status >= 500", "status is 503");
    check_met("latency > 2s", "latency is 2.4s");
    check_met("status == 503 && latency > 1s", "status is 503, latency is 2.4s");
    check_met("body-size > 10KiB", "body-size is 20 KiB");
    check_met("body.contains('starting')", "body is \"Service is starting\\n\"");
    check_met("body.lower().startsWith('service')", "body is \"Service is starting\\n\"");
    check_met(r#"body.matches(r"st\w+ing")"#, "body is \"Service is starting\\n\"");
    check_met("certificate.days-left < 14", "certificate.days-left is 12.5");
    check_met(
        "'b.example' in certificate.names",
        r#"certificate.names is ["a.example", "b.example"]"#,
    );
    check_met("header.x-request-id != 'z'", "header.x-request-id is \"abc\"");
    check_met("header[\"x-request-id\"] != 'z'", "header.x-request-id is \"abc\"");
    check_met("observation.queue-depth > 100", "observation.queue-depth is 120");
    check_met("observation.queue-depth > 500ms", "observation.queue-depth is 120");
    check_met("detail[\"server version\"] == '14.2'", "detail.server version is \"14.2\"");
    check_met("message.contains('503')", "message is \"answered 503\"");
    check_met("http2", "http2 is true");
    check_met("json.status != 'ok'", "json.status is \"starting\"");
    check_met("json.status in ['starting', 'stopping']", "json.status is \"starting\"");
    check_met("json.items.size() > 3", "json.items.size() is 4");
    check_met("size(json.items) > 3", "size(json.items) is 4");
    check_met("json.items[1].state == 'bad'", "json.items[1].state is \"bad\"");
    check_met("json.days-left < 5", "json.days-left is 4");
    check_met("json[\"days-left\"] < 5", "json[\"days-left\"] is 4");
    check_met("json.deep.in.a == [10, 20]", "json.deep.in.a is [10,20]");
    check_met("[10, 20] == json.deep.in.a", "json.deep.in.a is [10,20]");
    check_met("20 in json.deep.in.a", "json.deep.in.a is [10,20]");
    check_met("json.deep.in.a.contains(20)", "json.deep.in.a is [10,20]");
    check_met("json.none == null", "json.none is null");
    check_met(
        "json.path(\"$.items[?@.state=='bad']\").size() > 1",
        "json.path(\"$.items[?@.state=='bad']\").size() is 2",
    );
    check_met("true", "its condition is met");
    check_met("has(json.deep.in)", "json.deep.in is {\"a\":[10,20]}");
    check_met("!has(json.deep.x.y)", "json.deep.x.y is not there");
    check_met("!has(absent)", "absent is not there");
    check_met("latency > 1s ? status > 200 : false", "latency is 2.4s, status is 503");
}

#[test]
fn loops_look_at_each_item_of_a_list() {
    let items = "json.items is [{\"id\":1,\"state\":\"ok\",\"tags\":[\"x\"]},{\"id\":2,\"state\":\"bad\"},{\"id\":3,\"state\":\"bad\"},{\"id\":4,\"state\":\"ok\"}]";
    check_met("!json.items.all(i, i.state == 'ok')", items);
    check_met("json.items.exists(i, i.state == 'bad' && i.id > 2)", items);
    check_met("json.items.exists_one(i, i.id == 4)", items);
    check_met("json.items.filter(i, i.state == 'bad').size() == 2", items);
    check_met("json.items.map(i, i.id * 2)[3] == 8", items);
    check_met("json.items.exists(i, has(i.tags))", items);
    check_met(r#"json.items.exists(i, i.state.matches(r"^b"))"#, items);
    check_met(
        "certificate.names.exists(n, n.endsWith('b.example'))",
        r#"certificate.names is ["a.example", "b.example"]"#,
    );
    check_not_met("json.items.all(i, has(i.tags))");
    check_not_met("json.deep.all(name, name != 'in') && true");
}

#[test]
fn a_large_text_that_is_looked_through_again_and_again_ends_the_budget() {
    let mut found = Found::default();
    found.put("body", "a".repeat(256 * 1024));
    let json = serde_json::Value::from(vec!["b"; 60_000]);
    found.put("json", Value::Json(json.into()));
    let report = judged("json.exists(i, body.contains(i))", found);
    let says = "the answer is too large to be judged (fails when `";
    assert!(report.message.starts_with(says), "{}", report.message);
}

#[test]
fn arithmetic_is_that_of_one_sort_of_number() {
    check_met("json.version * 2 == 6", "json.version is 3");
    check_met("json.load + 1 > 1.7", "json.load is 0.75");
    check_met("7 / 2 == 3.5", "its condition is met");
    check_met("status % 100 == 3", "status is 503");
    check_met("-status < 0", "status is 503");
    check_met("latency * 1000 > 2000s", "latency is 2.4s");
    check_met("latency / 1s > 2", "latency is 2.4s");
    check_met("json.version / 0 > 1000", "json.version is 3");
    check_not_met("1 - 1 == 1");
}

#[test]
fn what_is_not_there_counts_as_met_and_is_named() {
    check_met("json.stage == 'x'", "json.stage is not there");
    check_met("absent > 1", "absent is not there");
    check_met("header.x-other == 'a'", "header.x-other is not there");
    check_met("observation.none > 1", "observation.none is not there");
    check_met("json.items[9].id == 1", "json.items[9].id is not there");
    check_met("json.status.below == 1", "json.status.below is not there");
    check_met("json.status > 3", "json.status is \"starting\", which cannot be judged");
    check_met("json.status", "json.status is \"starting\", which cannot be judged");
    check_met(
        "json.items.all(i, i.id > 'a')",
        "json.items is [{\"id\":1,\"state\":\"ok\",\"tags\":[\"x\"]},{\"id\":2,\"state\":\"bad\"},{\"id\":3,\"state\":\"bad\"},{\"id\":4,\"state\":\"ok\"}], which cannot be judged",
    );
    check_not_met("has(json.stage) && json.stage == 'x'");
    check_not_met("has(absent) && absent > 1");
    check_not_met("has(json.a.b.c) && json.a.b.c > 1");
    check_not_met("has(json.status.a)");
    check_not_met("has(header.x-other)");
}

#[test]
fn without_json_nothing_below_it_is_there() {
    let report = judged("json.status == 'ok'", Found::default());
    assert_eq!(report.message, "json.status is not there (fails when `json.status == 'ok'`)");
    let report = judged("has(json.status)", Found::default());
    assert_eq!(report.status, Answer::Pass, "{}", report.message);
    let report = judged("json.path('$.a').size() > 0", Found::default());
    assert!(
        report.message.starts_with("json.path(\"$.a\").size() is not there"),
        "{}",
        report.message
    );
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    check_wrong(
        "statu == 1",
        0,
        "unknown fact `statu` (known facts: status, body, body-size, json, header.*, certificate.days-left, certificate.names, http2, absent, latency, message, observation.*, detail.*; did you mean `status`?)",
    );
    check_wrong("status == 1 && statu == 1", 15, "unknown fact");
    check_wrong(
        "status == \"200\"",
        0,
        "a number is compared with text (a number stands without quotes)",
    );
    check_wrong("200 < latency", 0, "written with its unit");
    check_wrong("certificate.days-left < 14d", 0, "and a number without");
    check_wrong("http2 == 'true'", 0, "stand without quotes");
    check_wrong("status", 0, "it is a number (expected a comparison, true or false)");
    check_wrong("status > 1 && body", 14, "text stands where true or false is expected");
    check_wrong("status.code == 1", 7, "`status` has no `code` (it is a whole number)");
    check_wrong("body + 'x' == 'y'", 0, "`+` does not go with text and text");
    check_wrong("body.matches('(')", 13, "is no pattern");
    check_wrong(r#"body.matches(r"\w{5000}")"#, 13, "is no pattern");
    check_wrong("body.matches(header.x)", 13, "a pattern is a text that stands there");
    check_wrong("json.path('$.[').size() > 0", 10, "is no JSONPath");
    check_wrong("json.path('$..a..b').size() > 0", 10, "more than once");
    check_wrong("body.path('$.a').size() > 0", 0, "goes with a fact of JSON");
    check_wrong("status.size() > 1", 0, "`size` does not go with a number");
    check_wrong("status in 'abc'", 0, "`in` looks into a list");
    check_wrong("'a' in body", 0, "has `.contains");
    check_wrong("status > 500 and http2", 13, "write `&&`");
    check_wrong("status >", 8, "ends too early");
    check_wrong("status > 500 status", 13, "`status` does not fit there");
    check_wrong("len(body) > 1", 0, "unknown function `len`");
    check_wrong("body.length() > 1", 5, "unknown function `length`");
    check_wrong("json.items.all(i.x == 1)", 11, "wants a name");
    check_wrong("json.items.all(status, status.x)", 15, "cannot be the name here");
    check_wrong("json.a.all(i, i.b.all(j, j == 1))", 14, "a loop stands within a loop");
    check_wrong("status-code == 200", 0, "unknown fact `status-code`");
    check_wrong("status == [1, 2]", 0, "a number is compared with a list");
    check_wrong("[1, 'a'] == json", 0, "a list holds text beside a number");
    check_wrong("!status", 1, "stands where true or false");
    check_wrong("body < 5", 0, "text is compared with a number");
}

#[test]
fn what_is_asked_for_are_the_kinds_own_facts() {
    let text = "status > 1 || json.a.b > 1 || latency > 1s || observation.x > 1 || header.a == 'b'";
    let asked = judgement(text).asked();
    let names: Vec<&str> = asked.iter().collect();
    assert_eq!(names, ["header.a", "json", "status"]);
    assert!(Judgement::default().asked().is_empty());
}

fn with(rules: impl FnOnce(&mut Rules)) -> Report {
    let mut own = Rules::default();
    own.written.invert = true; // So that it is not taken for nothing.
    rules(&mut own);
    let mut run = run(found());
    Judgement::from(own).apply(&mut run);
    match run.outcome {
        Outcome::Answered(report) => report,
        Outcome::Faulted(fault) => panic!("{fault:?}"),
    }
}

#[test]
fn budgets_and_bounds_warn_and_fail() {
    let report =
        with(|rules| rules.latency = [Some(Duration::from_secs(1)), Some(Duration::from_secs(2))]);
    assert_eq!((report.status, report.reason), (Answer::Fail, Some(FailReason::Slow)));
    assert_eq!(report.message, "latency is 2.4s (fails above 2s)");
    let report =
        with(|rules| rules.latency = [Some(Duration::from_secs(1)), Some(Duration::from_secs(3))]);
    assert_eq!((report.status, report.reason), (Answer::Warn, Some(FailReason::Slow)));
    let bound = |warn: &str, fail: &str| {
        let mut bound = Bound::default();
        bound.set(Severity::Warn, warn).expect("a range");
        bound.set(Severity::Fail, fail).expect("a range");
        bound
    };
    let report =
        with(|rules| rules.bounds.push(("queue-depth".to_owned(), bound("0:100", "~:200"))));
    assert_eq!(report.status, Answer::Warn);
    assert_eq!(report.message, "queue-depth is 120 (warns outside of `0:100`)");
    assert_eq!(report.observations[0].fail.as_deref(), Some("~:200"), "its bounds are shown");
    let report = with(|rules| rules.bounds.push(("depth".to_owned(), bound("0:1", "0:2"))));
    assert_eq!(report.message, "depth is not there (fails outside of `0:2`)");
    let report = with(|rules| rules.own_bounds = true);
    assert_eq!(report.message, "errors is 11c (fails outside of `10`)");
    let report = with(|_| {});
    assert_eq!(report.status, Answer::Pass, "the ranges that it brings along do not count unasked");
}

#[test]
fn pass_and_fail_change_places_and_faults_stay() {
    let mut rules = Rules { invert: true, ..Rules::default() };
    rules.written.invert = true;
    let judgement = Judgement::from(rules);
    let mut passed = run(Found::default());
    judgement.apply(&mut passed);
    assert_eq!(passed.outcome.reason(), Some("inverted"));
    assert_eq!(passed.outcome.message(), "it passes and should not (`invert`): answered 503");
    let mut failed = run(Found::default());
    failed.outcome = Outcome::Answered(Report::fail(FailReason::Refused, "nobody is there"));
    judgement.apply(&mut failed);
    assert_eq!(failed.outcome.reason(), None);
    assert_eq!(failed.outcome.message(), "it fails as it should (`invert`): nobody is there");
    let fault = crate::outcome::Fault::new(crate::outcome::FaultReason::Trap, "trapped");
    let mut faulted = Run { outcome: Outcome::Faulted(fault), ..run(Found::default()) };
    let before = faulted.clone();
    judgement.apply(&mut faulted);
    assert_eq!(faulted, before);
}

#[test]
fn an_outcome_that_fails_already_is_left_as_it_is() {
    let mut failed = run(found());
    failed.outcome = Outcome::Answered(Report::fail(FailReason::Refused, "nobody is there"));
    judgement("status >= 500").apply(&mut failed);
    assert_eq!(failed.outcome.message(), "nobody is there");
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "status",
        "json",
        "json.items",
        "latency",
        "body",
        "header.x-y",
        "observation.a",
        "i",
        "5",
        "2s",
        "10KiB",
        "1m30s",
        "'x'",
        "r\"[\"",
        "\"\\n\"",
        "(",
        ")",
        "[",
        "]",
        ".",
        ",",
        "==",
        "!=",
        "<",
        ">",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "?",
        ":",
        "in",
        "true",
        "null",
        "has(",
        ".all(i, ",
        ".exists(i, ",
        ".map(i, ",
        ".size()",
        ".matches(",
        ".path(",
        "'$..a'",
        "size(",
        "int(",
        "ä",
        "{",
        "}",
        "`",
        "\\",
        "=",
        "@",
        "#",
        "f_0",
        "h_0",
        "@result",
        "\n",
    ];
    prop_oneof![
        9 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_condition_and_no_answer_panics(words in proptest::collection::vec(word(), 0..40), space in any::<bool>()) {
        let text = words.join(if space { " " } else { "" });
        let mut conditions = Conditions::default();
        match conditions.add(&text, &text, Severity::Fail, &[FACTS]) {
            Err(mistake) => {
                prop_assert!(mistake.at <= text.len() && text.is_char_boundary(mistake.at));
                prop_assert!(!mistake.why.is_empty() && mistake.why.len() < 2_000, "{}", mistake.why);
            }
            Ok(()) => {
                let mut rules = Rules { conditions, ..Rules::default() };
                rules.written.fail.push(text);
                let mut run = run(found());
                Judgement::from(rules).apply(&mut run);
                prop_assert!(!run.outcome.message().contains('\n'));
            }
        }
    }
}

/// What is as deep and long as may be fits on a small stack.
#[test]
fn deep_conditions_fit_on_a_small_stack() {
    let deep = std::thread::Builder::new().stack_size(1 << 20).spawn(|| {
        let texts = [
            format!("{}status{} > 1", "(".repeat(12), ")".repeat(12)),
            format!("{}http2", "!".repeat(280)),
            format!("{}1 > 2", "-".repeat(280)),
            format!("{}1 > 2", "- ".repeat(280)),
            format!("json{} > 1", ".a".repeat(140)),
            format!("json{} > 1", "[0]".repeat(95)),
            format!("{}true", "true ? true : ".repeat(70)),
            format!("{}true", "true ? ".repeat(100)),
            vec!["status > 1"; 70].join(" && "),
            vec!["1"; 140].join(" + ") + " > 1",
            vec!["1"; 140].join(" == "),
            format!("{}1{} == 1", "[".repeat(12), "]".repeat(12)),
            "has(".repeat(12) + "json.a" + &")".repeat(12),
        ];
        for text in &texts {
            let mut conditions = Conditions::default();
            if conditions.add(text, text, Severity::Fail, &[FACTS]).is_ok() {
                let mut rules = Rules { conditions, ..Rules::default() };
                rules.written.fail.push(text.clone());
                let mut run = run(found());
                Judgement::from(rules).apply(&mut run);
            }
        }
    });
    deep.expect("a thread").join().expect("no panic");
}
