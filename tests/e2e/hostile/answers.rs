//! Cases 10 to 18: what a run returns.

use serde_json::Value;

use super::beside::guest;
use super::compute::{PATIENT, gives_its_memory_back};
use super::shown;
use super::table::{self, Expect, row};
use crate::support::host::Host;
use crate::support::wait::until;

const ONE_CALL: &str =
    "limit of 1 MiB for one call between plugin and host reached (limit `host-call-bytes`)";

fn observations(check: &Value) -> &[Value] {
    check["outcome"]["observations"].as_array().map_or(&[], Vec::as_slice)
}

fn flags(check: &Value) -> String {
    check["outcome"]["flags"].to_string()
}

/// The numbers of one check as `/health/NAME` shows them, by their names.
fn shown_numbers(host: &Host, check: &str) -> Vec<String> {
    let health = host.json(&format!("/health/{check}"));
    let checks = health["checks"].as_object().expect("an object");
    checks.keys().filter_map(|key| Some(key.split_once(':')?.1.to_owned())).collect()
}

#[test]
fn case_10_a_huge_message_is_refused() {
    let guest = guest("big-result").timing(PATIENT).limits("cpu = \"2s\"").run();
    guest.faults("limit", ONE_CALL);
    gives_its_memory_back(&guest.host);
}

#[test]
fn case_10_a_long_message_is_cut() {
    let guest = guest("big-result").settings("bytes = 100_000").run();
    guest.passes_with_a_flag("the message cut at 1 KiB (limit `message-bytes`)");
    let message = guest.check["message"].as_str().expect("a text");
    assert_eq!(message, "x".repeat(1024) + "…");
    shown::is_clean(&guest.host);
}

#[test]
fn case_11_a_pointer_out_of_bounds_is_a_bad_answer() {
    guest("bad-pointer").run().faults("bad-answer", "string pointer/length out of bounds");
}

#[test]
fn case_12_text_that_is_no_text_is_a_bad_answer() {
    let guest = guest("bad-utf8").run();
    guest.faults("bad-answer", "invalid utf-8");
    shown::is_clean(&guest.host);
    for page in ["/health", "/health/guest", "/api/v1/checks/guest"] {
        let body = guest.host.get(page).body;
        assert!(!body.contains('\u{fffd}'), "{page}: {body}");
    }
}

#[test]
fn case_13_a_status_that_does_not_exist_is_a_bad_answer() {
    guest("bad-status").run().faults("bad-answer", "unexpected discriminant: 77");
}

#[test]
fn case_13_an_option_that_does_not_exist_is_a_bad_answer() {
    guest("bad-option").run().faults("bad-answer", "invalid option discriminant");
}

#[test]
fn case_14_numbers_that_are_not_finite_are_left_out() {
    let guest = guest("not-finite").run();
    for name in ["nan", "infinite", "negative-infinite"] {
        guest.passes_with_a_flag(&format!("observation `{name}` left out: "));
    }
    let kept = observations(&guest.check);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["name"], &kept[0]["value"]), (&"one".into(), &1.0.into()));
    assert_eq!(shown_numbers(&guest.host, "guest"), ["one"]);
    shown::is_clean(&guest.host);
}

#[test]
fn case_15_far_too_many_observations_are_refused() {
    let guest = guest("huge-list").run();
    guest.faults("limit", ONE_CALL);
}

#[test]
fn case_15_what_one_call_cannot_carry_is_refused_and_what_it_can_is_cut() {
    let guest = guest("many-observations").settings("count = 200").run();
    guest.passes_with_a_flag("136 observations left out (at most 64: limit `observations`)");
    let names: Vec<_> = observations(&guest.check).iter().map(|o| o["name"].clone()).collect();
    let first: Vec<Value> = (0..64).map(|n| format!("n{n}").into()).collect();
    assert_eq!(names, first, "the first are kept, in their order");
    assert_eq!(shown_numbers(&guest.host, "guest").len(), 64);
    table::all("", &[row("many-observations", "", Expect::Fault("limit", ONE_CALL))]);
}

#[test]
fn case_16_one_text_ten_thousand_times_is_refused() {
    let guest = guest("same-text-again").run();
    guest.faults("limit", ONE_CALL);
    let took = guest.check["duration_ms"].as_f64().expect("a number");
    assert!(took < 500.0, "{took} ms: nothing of it is copied");
}

#[test]
fn case_17_names_that_break_things_are_left_out() {
    let guest = guest("bad-names").run();
    for name in ["", "two words", "line\\\\nbreak", "\\\\u{1b}[31mred", "__name__"] {
        guest.passes_with_a_flag(&format!("observation `{name}` left out: a name is made of"));
    }
    guest.passes_with_a_flag("observation `labelled` left out: its label `__name__` is no name");
    guest.passes_with_a_flag("… and ");
    let good = |text: &Value| {
        let text = text.as_str().expect("a text");
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    for observation in observations(&guest.check) {
        assert!(good(&observation["name"]), "{observation}");
        for label in observation["labels"].as_object().into_iter().flatten() {
            assert!(good(&label.0.as_str().into()), "{observation}");
        }
    }
    let shown = shown_numbers(&guest.host, "guest");
    assert_eq!(shown, ["good", "labelled", "le", "ranged"], "what is good is kept");
    shown::is_clean(&guest.host);
}

#[test]
fn case_17_a_name_of_a_megabyte_is_left_out() {
    let guest = guest("bad-names").settings("which = \"long\"").run();
    guest.passes_with_a_flag("xxx…` left out: a name is made of");
    assert_eq!(shown_numbers(&guest.host, "guest"), ["good"]);
    let whole = guest.check.to_string();
    assert!(whole.len() < 8192, "{} bytes", whole.len());
}

#[test]
fn case_17_what_is_there_twice_counts_once() {
    let guest = guest("bad-names").settings("which = \"duplicates\"").run();
    guest.passes_with_a_flag("observation `good` left out: it was reported before");
    guest.passes_with_a_flag("observation `depth` left out: it was reported before");
    guest.passes_with_a_flag("observation `twice` left out: its label `a` is there twice");
    guest.passes_with_a_flag("detail `detail` left out: it was reported before");
    let kept: Vec<_> = observations(&guest.check)
        .iter()
        .map(|o| (o["name"].clone(), o["value"].clone()))
        .collect();
    assert_eq!(kept, [("good".into(), 1.0.into()), ("depth".into(), 3.0.into())]);
    assert_eq!(guest.detail("detail"), "first");
    shown::is_clean(&guest.host);
}

const CHURN: &str =
    "limit of 256 distinct names over the life of the check reached (limit `observation-names`)";

#[test]
fn case_18_ever_new_names_end_at_the_limit_of_the_checks_life() {
    for settings in ["", "labels = true"] {
        let host = guest("name-churn").settings(settings).timing("interval = \"200ms\"").start();
        // Four runs of sixty are kept whole.
        let mut kept = 0;
        let mut last = Value::Null;
        let check = until("names are left out", || {
            let check = host.check("guest");
            if check["last_run"] != last && check["outcome"].is_object() {
                last = check["last_run"].clone();
                kept += observations(&check).len();
            }
            if flags(&check).contains(CHURN) { Ok(check) } else { Err(check.to_string()) }
        });
        assert_eq!(check["state"], "pass", "{check}");
        assert!(kept <= 256, "{kept} names");
        // From then on none of them is new enough.
        for _ in 0..2 {
            let check = host.next_run("guest");
            assert!(
                flags(&check).contains(&format!("60 observations left out: {CHURN}")),
                "{check}"
            );
            assert_eq!(observations(&check), &[] as &[Value], "{check}");
        }
        shown::is_clean(&host);
    }
}

#[test]
fn case_18_names_that_are_known_stay() {
    let host = guest("many-observations")
        .settings("count = 10")
        .limits("observation-names = 10")
        .timing("interval = \"200ms\"")
        .start();
    for _ in 0..5 {
        let check = host.next_run("guest");
        assert_eq!(observations(&check).len(), 10, "{check}");
        assert_eq!(flags(&check), "null", "{check}");
    }
}

#[test]
fn what_the_contract_allows_is_believed() {
    let guest = guest("echo").settings("status = \"warn\", message = \"half full\"").run();
    assert_eq!(guest.check["state"], "warn");
    assert_eq!(guest.check["message"], "half full");
    assert_eq!(guest.detail("check"), "guest");
    assert_eq!(guest.host.get("/health").code, 200, "a warning is healthy");
}

#[test]
fn a_fault_of_the_guests_own_is_one() {
    for reason in ["bad-settings", "inconclusive", "internal"] {
        let settings = format!("fault = \"{reason}\", message = \"cannot\\u001B[31m\\nsay\"");
        let guest = guest("echo").settings(&settings).run();
        guest.faults(reason, "cannot\\u{1b}[31m\\nsay");
        shown::is_clean(&guest.host);
    }
}

#[test]
fn lowered_limits_of_answers_hold_and_name_their_keys() {
    let cut = "the message cut at 100 bytes (limit `message-bytes`)";
    let few = "3 observations left out (at most 2: limit `observations`)";
    let names = "2 observations left out: limit of 3 distinct names over the life of the check reached (limit `observation-names`)";
    let host = table::all(
        "",
        &[
            row("big-result", "bytes = 101", Expect::Flag(cut)).limit("message-bytes = \"100B\""),
            row("big-result", "bytes = 100", Expect::Pass).limit("message-bytes = \"100B\""),
            row("many-observations", "count = 5", Expect::Flag(few)).limit("observations = 2"),
            row("many-observations", "count = 2", Expect::Pass).limit("observations = 2"),
            row("many-observations", "count = 5", Expect::Flag(names))
                .limit("observation-names = 3"),
        ],
    );
    assert_eq!(observations(&host.check("row-2")).len(), 2);
    assert_eq!(observations(&host.check("row-4")).len(), 3);
    let parts = (0..4).map(|n| format!("{{ name = \"p{n}\", status = \"pass\" }}"));
    let parts = format!("parts = [{}]", parts.collect::<Vec<_>>().join(", "));
    let few = "2 parts left out (at most 2: limit `observations`)";
    table::all("", &[row("echo", &parts, Expect::Flag(few)).limit("observations = 2")]);
}
