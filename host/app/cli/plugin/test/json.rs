//! What came of tests, for programs.

use std::time::Duration;

use serde_json::{Value, json};
use wellcheck_core::format::api;
use wellcheck_core::outcome::Run;

use super::runner::{Broken, SuiteDone, TestDone, Verdict};

/// One JSON object for all test files.
pub(super) fn suites(done: &[SuiteDone]) -> String {
    let tests = || done.iter().flat_map(|suite| &suite.tests);
    let faults = || tests().flat_map(|test| &test.faults);
    let counted = |is: fn(&Verdict) -> bool| faults().filter(|f| is(&f.verdict)).count();
    let body = json!({
        "suites": done.iter().map(suite).collect::<Vec<_>>(),
        "passed": tests().filter(|test| test.passed()).count(),
        "failed": tests().filter(|test| !test.passed()).count(),
        "faults": {
            "all": faults().count(),
            "noticed": counted(|verdict| *verdict == Verdict::Noticed),
            "accepted": counted(|verdict| matches!(verdict, Verdict::Accepted(_))),
            "unnoticed": counted(|verdict| *verdict == Verdict::Unnoticed),
        },
    });
    format!("{body}\n")
}

fn suite(done: &SuiteDone) -> Value {
    json!({
        "file": done.file,
        "plugin": done.plugin,
        "tests": done.tests.iter().map(test).collect::<Vec<_>>(),
        "unneeded": done.unneeded.iter().map(|accept| &accept.pattern).collect::<Vec<_>>(),
    })
}

fn test(test: &TestDone) -> Value {
    let differences = test.differences.iter().map(|difference| {
        json!({
            "what": difference.what,
            "expected": difference.expected,
            "found": difference.found,
        })
    });
    json!({
        "name": test.name,
        "line": test.line,
        "passed": test.passed(),
        "took_ms": milliseconds(test.done.took),
        "differences": differences.collect::<Vec<_>>(),
        "unanswered": test.unanswered().collect::<Vec<_>>(),
        "outcome": outcome(&test.done.run),
        "faults": test.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}

fn fault(broken: &Broken) -> Value {
    let (verdict, why) = match &broken.verdict {
        Verdict::Noticed => ("noticed", None),
        Verdict::Accepted(why) => ("accepted", Some(why)),
        Verdict::Unnoticed => ("unnoticed", None),
    };
    json!({
        "thing": broken.thing,
        "fault": broken.fault,
        "doc": broken.doc,
        "verdict": verdict,
        "why": why,
        "misread": broken.is_misread(),
        "took_ms": milliseconds(broken.took),
        "outcome": outcome(&broken.run),
    })
}

fn outcome(run: &Run) -> Value {
    serde_json::from_slice(&api::run(run)).expect("our own JSON")
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
