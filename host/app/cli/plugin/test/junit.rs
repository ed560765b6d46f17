//! What came of tests, as the XML of JUnit, which every CI shows.
//!
//! A test file is a suite, a test a case of it, and each fault a case of a suite beside it: one that
//! was not noticed is a failure, one that is accepted is skipped with the reason.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use wellcheck_core::outcome::Run;
use wellcheck_wasm::cleaned;

use super::runner::{Broken, SuiteDone, TestDone, Verdict};

/// Longest text of a case.
const MAX_TEXT: usize = 64 << 10;

type Xml<'a> = Writer<&'a mut Vec<u8>>;

/// A case that is written.
struct Case<'a> {
    suite: &'a str,
    file: &'a str,
    line: u32,
    name: String,
    took: Duration,
    what: Told,
    log: Vec<String>,
}

/// What is told of it.
enum Told {
    Passed,
    /// A line, and all of it.
    Failed(String, String),
    Skipped(String),
}

/// The whole report.
pub(super) fn report(done: &[SuiteDone]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut xml = Writer::new_with_indent(&mut bytes, b' ', 2);
    let mut suites = Vec::new();
    for suite in done {
        let tests = suite.tests.iter().map(|test| of_test(suite, test)).collect();
        suites.push((suite.plugin.clone(), tests));
        let of_faults = |test| faults(suite, test);
        let faults: Vec<Case<'_>> = suite.tests.iter().flat_map(of_faults).collect();
        if !faults.is_empty() {
            suites.push((format!("{} faults", suite.plugin), faults));
        }
    }
    let all: Vec<&Case<'_>> = suites.iter().flat_map(|(_, cases): &(_, Vec<_>)| cases).collect();
    let numbers = numbers(&all);
    write_all(&mut xml, &suites, &numbers).context("writing the report")?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn of_test<'a>(suite: &'a SuiteDone, test: &TestDone) -> Case<'a> {
    let differences: Vec<String> = (test.differences.iter())
        .map(|d| format!("{}: expected {}, found {}", d.what, d.expected, d.found))
        .collect();
    let what = match differences.first() {
        None => Told::Passed,
        Some(first) => {
            let said = format!("it said: {}", said(&test.done.run));
            Told::Failed(first.clone(), [&differences[..], &[said]].concat().join("\n"))
        }
    };
    let missing = test.unanswered().map(|request| format!("no answer in its world: {request}"));
    let log = test.done.run.log.lines.iter().cloned().chain(missing).collect();
    let (name, took) = (test.name.clone(), test.done.took);
    Case { suite: &suite.plugin, file: &suite.file, line: test.line, name, took, what, log }
}

fn faults<'a>(suite: &'a SuiteDone, test: &TestDone) -> Vec<Case<'a>> {
    let of_fault = |broken: &Broken| {
        let what = match &broken.verdict {
            Verdict::Noticed => Told::Passed,
            Verdict::Accepted(why) => Told::Skipped(why.clone()),
            Verdict::Unnoticed => {
                let line = format!("not noticed: {}", broken.doc);
                Told::Failed(line, format!("it said: {}", said(&broken.run)))
            }
        };
        let name = format!("{}: {}: {}", test.name, broken.thing, broken.fault);
        let (file, line, took) = (&*suite.file, test.line, broken.took);
        Case { suite: &suite.plugin, file, line, name, took, what, log: Vec::new() }
    };
    test.faults.iter().map(of_fault).collect()
}

fn said(run: &Run) -> String {
    let reason = run.outcome.reason().map_or(String::new(), |reason| format!(" ({reason})"));
    format!("{}{reason}: {}", run.outcome.status(), run.outcome.message())
}

/// The attributes that a suite and the whole have.
fn numbers(cases: &[&Case<'_>]) -> [(&'static str, String); 5] {
    let failed = |case: &&&Case<'_>| matches!(case.what, Told::Failed(..));
    let skipped = |case: &&&Case<'_>| matches!(case.what, Told::Skipped(_));
    let took: Duration = cases.iter().map(|case| case.took).sum();
    [
        ("tests", cases.len().to_string()),
        ("failures", cases.iter().filter(failed).count().to_string()),
        ("errors", "0".to_owned()),
        ("skipped", cases.iter().filter(skipped).count().to_string()),
        ("time", seconds(took)),
    ]
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// What XML cannot hold is escaped; lines stay lines.
fn clean(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| cleaned(line, MAX_TEXT)).collect();
    lines.join("\n")
}

fn write_all(
    xml: &mut Xml<'_>,
    suites: &[(String, Vec<Case<'_>>)],
    all: &[(&'static str, String)],
) -> std::io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let attributes = all.iter().map(|(name, value)| (*name, value.as_str()));
    xml.create_element("testsuites").with_attributes(attributes).write_inner_content(|xml| {
        suites.iter().try_for_each(|(name, cases)| suite(xml, name, cases))
    })?;
    Ok(())
}

fn suite<W: Write>(xml: &mut Writer<W>, name: &str, cases: &[Case<'_>]) -> std::io::Result<()> {
    let numbers = numbers(&cases.iter().collect::<Vec<_>>());
    xml.create_element("testsuite")
        .with_attribute(("name", clean(name).as_str()))
        .with_attributes(numbers.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|xml| cases.iter().try_for_each(|case| one(xml, case)))?;
    Ok(())
}

fn one<W: Write>(xml: &mut Writer<W>, case: &Case<'_>) -> std::io::Result<()> {
    let element = xml
        .create_element("testcase")
        .with_attribute(("classname", clean(case.suite).as_str()))
        .with_attribute(("name", clean(&case.name).as_str()))
        .with_attribute(("file", clean(case.file).as_str()))
        .with_attribute(("line", case.line.to_string().as_str()))
        .with_attribute(("time", seconds(case.took).as_str()));
    if matches!(case.what, Told::Passed) && case.log.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        match &case.what {
            Told::Passed => {}
            Told::Skipped(why) => {
                let skipped = xml.create_element("skipped");
                skipped.with_attribute(("message", clean(why).as_str())).write_empty()?;
            }
            Told::Failed(line, text) => {
                let failure = xml.create_element("failure");
                failure
                    .with_attribute(("message", clean(line).as_str()))
                    .write_text_content(BytesText::new(&clean(text)))?;
            }
        }
        if !case.log.is_empty() {
            let log = clean(&case.log.join("\n"));
            xml.create_element("system-out").write_text_content(BytesText::new(&log))?;
        }
        Ok(())
    })?;
    Ok(())
}
