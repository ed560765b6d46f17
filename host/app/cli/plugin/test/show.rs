//! What came of tests, for people.

use std::fmt::{Arguments, Write as _};

use wellcheck_core::status::Status;
use wellcheck_core::units::count;
use wellcheck_wasm::cleaned;

use super::runner::{Broken, SuiteDone, TestDone, Verdict};
use crate::cli::table::{columns, paint};

/// Longest text in a cell.
const MAX_CELL: usize = 500;

/// A line for each test, and what is to be said about it.
pub(super) fn suite(done: &SuiteDone) -> String {
    let mut text = format!("{} ({})\n", done.plugin, done.file);
    let width = done.tests.iter().map(|test| test.name.chars().count()).max().unwrap_or(0).min(72);
    for test in &done.tests {
        text += &one(test, width);
    }
    for accept in &done.unneeded {
        put(
            &mut text,
            format_args!(
                "  note: nothing needs `{}` to be accepted ({})\n",
                accept.pattern, accept.place
            ),
        );
    }
    text
}

fn one(test: &TestDone, width: usize) -> String {
    let status = if test.passed() { Status::Pass } else { Status::Fail };
    let took = test.done.took.as_secs_f64() * 1e3;
    let faults = match test.faults.len() {
        0 => String::new(),
        all => format!("  {} of {}", noticed(&test.faults), count(all, "fault")) + " noticed",
    };
    let mut text = format!("  {} {:width$}  {took:6.1} ms{faults}\n", paint(status, 5), test.name);
    let differences = test.differences.iter().map(|difference| {
        vec![
            format!("        {}", cleaned(&difference.what, MAX_CELL)),
            format!("expected {}", cleaned(&difference.expected, MAX_CELL)),
            format!("found {}", cleaned(&difference.found, MAX_CELL)),
        ]
    });
    text += &columns(&differences.collect::<Vec<_>>());
    if !test.passed() {
        put(&mut text, format_args!("        it said: {}\n", said(test)));
        let lines = test.done.run.log.lines.iter().map(|line| format!("        | {line}\n"));
        text.extend(lines);
        let flags = test.done.run.log.flags.iter().map(|flag| format!("        note: {flag}\n"));
        text.extend(flags);
    }
    for request in test.unanswered() {
        put(
            &mut text,
            format_args!("        no answer in its world: {}\n", cleaned(&request, MAX_CELL)),
        );
    }
    text + &columns(&test.faults.iter().filter_map(fault).collect::<Vec<_>>())
}

fn put(text: &mut String, more: Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(more);
}

fn said(test: &TestDone) -> String {
    outcome(&test.done.run)
}

fn outcome(run: &wellcheck_core::outcome::Run) -> String {
    let reason = run.outcome.reason().map_or(String::new(), |reason| format!(" ({reason})"));
    format!("{}{reason}: {}", run.outcome.status(), run.outcome.message())
}

/// What is worth a line: what was not noticed, and what was taken for a defect of the check.
fn fault(broken: &Broken) -> Option<Vec<String>> {
    let Broken { thing, fault, doc, run, verdict, .. } = broken;
    let word = match verdict {
        Verdict::Unnoticed => "not noticed",
        Verdict::Accepted(_) => "accepted",
        Verdict::Noticed if broken.is_misread() => "a fault, expected a fail",
        Verdict::Noticed => return None,
    };
    let last = match verdict {
        Verdict::Accepted(why) => why.clone(),
        _ => outcome(run),
    };
    let name = format!("{}: {fault}", cleaned(thing, MAX_CELL));
    Some(vec![format!("        {word}"), name, (*doc).to_owned(), last])
}

fn noticed(faults: &[Broken]) -> usize {
    faults.iter().filter(|fault| fault.verdict == Verdict::Noticed).count()
}

/// The last line.
pub(super) fn summary(done: &[SuiteDone]) -> String {
    let tests = || done.iter().flat_map(|suite| &suite.tests);
    let all = tests().count();
    let passed = tests().filter(|test| test.passed()).count();
    let mut text = match all - passed {
        0 => format!("{} passed", count(all, "test")),
        failed => format!("{failed} of {} failed", count(all, "test")),
    };
    let faults = || tests().flat_map(|test| &test.faults);
    if faults().next().is_some() {
        let found = faults().filter(|fault| fault.verdict == Verdict::Noticed).count();
        let accepted =
            faults().filter(|fault| matches!(fault.verdict, Verdict::Accepted(_))).count();
        let misread = faults().filter(|fault| fault.is_misread()).count();
        put(&mut text, format_args!("; {found} of {} noticed", count(faults().count(), "fault")));
        if accepted > 0 {
            put(&mut text, format_args!(", {accepted} accepted"));
        }
        if misread > 0 {
            put(&mut text, format_args!(", {misread} taken for a defect of the check"));
        }
    }
    text + "\n"
}
