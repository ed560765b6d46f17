//! Judges everything that people get to see of a plugin: bounded, one line each, no control
//! characters, only finite numbers.

use wellcheck_core::limits::{KIB, RunLimits};
use wellcheck_core::outcome::{Observation, Outcome, Part, Report};
use wellcheck_wasm::{LoadError, Plugin, PluginRun};

use crate::host::CANARIES;

/// Longest text about a load that failed, in bytes.
const LOAD_ERROR: usize = 4 * KIB;
/// Longest name or label of a report, in bytes; the host decides which of the two it is.
const LABEL: usize = 256;
/// Longest line of a log, in bytes.
const LINE: usize = 2 * KIB;
/// Most flags of a report, with the line that counts the rest.
const FLAGS: usize = 33;
/// Longest word and longest line of a description, in bytes.
const WORD: usize = 64;
const SUMMARY: usize = KIB;
/// Longest text about something that a run asked for, and most of them.
const USE: usize = 4 * KIB;
const USES: usize = 256;
/// Most wants, and most details, of a description.
const LIST: usize = 64;

/// One line that a terminal, a page and a log all show as the same text, cut near `max` bytes.
#[track_caller]
pub(crate) fn text(text: &str, max: usize, what: &str) {
    // What was cut ends in a mark of three bytes.
    assert!(text.len() <= max + 3, "{what} has {} bytes (at most {max}): {text:?}", text.len());
    if let Some(bad) = text.chars().find(|c| hides(*c)) {
        panic!("{what} has {bad:?} in it: {text:?}");
    }
    assert!(!CANARIES.iter().any(|canary| text.contains(canary)), "{what} shows a secret: {text}");
}

/// Control characters and line ends, and what reorders or hides other characters.
fn hides(c: char) -> bool {
    let c = u32::from(c);
    let ranges: [(u32, u32); 9] = [
        (0, 0x1f),
        (0x7f, 0x9f),
        (0x200b, 0x200f),
        (0x2028, 0x2029),
        (0x202a, 0x202e),
        (0x2060, 0x2069),
        (0xfeff, 0xfeff),
        (0xfff9, 0xfffb),
        (0xe0000, 0xe007f),
    ];
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

pub(crate) fn load_error(error: &LoadError) {
    text(&error.message(), LOAD_ERROR, "the message");
    text(&error.to_string(), LOAD_ERROR, "the error");
    assert!(!error.message().is_empty());
}

pub(crate) fn plugin(plugin: &Plugin) {
    let description = plugin.description();
    text(&description.name, WORD, "the name");
    text(&description.version, WORD, "the version");
    text(&description.summary, SUMMARY, "the summary");
    assert!(description.wants.len() <= LIST && description.details.len() <= LIST);
    for want in &description.wants {
        text(&want.grant, WORD, "a wanted grant");
        text(&want.value, SUMMARY, "a wanted value");
        text(&want.why, SUMMARY, "a want's reason");
    }
    for (name, value) in &description.details {
        text(name, WORD, "the name of a detail");
        text(value, SUMMARY, "a detail");
    }
    for import in plugin.imports() {
        text(&import.to_string(), LABEL, "an import");
    }
}

/// What a plugin finds wrong with settings.
pub(crate) fn problems(problems: &[String]) {
    assert!(!problems.is_empty() && problems.len() <= 51, "{problems:#?}");
    for problem in problems {
        text(problem, LINE, "a problem of settings");
    }
}

pub(crate) fn run(done: &PluginRun, limits: &RunLimits) {
    match &done.run.outcome {
        Outcome::Answered(found) => report(found, limits),
        Outcome::Faulted(fault) => {
            text(&fault.message, limits.message_bytes, "the fault");
        }
    }
    assert!(done.run.used.len() <= USES, "{} uses", done.run.used.len());
    assert!(done.run.used.is_sorted(), "{:?}", done.run.used);
    for used in &done.run.used {
        text(&used.value, USE, "what was asked for");
    }
    let log = &done.run.log;
    // Each byte of a guest becomes at most eight when it is escaped.
    let whole: usize = log.lines.iter().map(String::len).sum();
    assert!(whole <= limits.log_bytes * 8 + LINE, "the log has {whole} bytes");
    for line in &log.lines {
        text(line, LINE, "a line of the log");
    }
    assert!(log.flags.len() <= FLAGS, "{:#?}", log.flags);
    for flag in &log.flags {
        text(flag, LINE, "a flag");
    }
}

fn report(report: &Report, limits: &RunLimits) {
    text(&report.message, limits.message_bytes, "the message");
    let most = limits.observations;
    assert!(report.observations.len() <= most, "{} observations", report.observations.len());
    assert!(report.parts.len() <= most, "{} parts", report.parts.len());
    assert!(report.details.len() <= most, "{} details", report.details.len());
    for (at, observation) in report.observations.iter().enumerate() {
        self::observation(observation);
        let same = |other: &Observation| {
            (&other.name, &other.labels) == (&observation.name, &observation.labels)
        };
        assert!(!report.observations[..at].iter().any(same), "{observation:?} is there twice");
    }
    for Part { name, message, .. } in &report.parts {
        text(name, LABEL, "the name of a part");
        text(message, limits.message_bytes, "the message of a part");
    }
    for (name, value) in &report.details {
        text(name, LABEL, "the name of a detail");
        text(value, limits.message_bytes, "a detail");
    }
}

fn observation(observation: &Observation) {
    let Observation { name, value, unit, labels, warn, fail } = observation;
    let plain = |name: &str| {
        name.len() <= WORD
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    assert!(plain(name), "{name:?} is no name");
    assert!(value.is_finite(), "`{name}` is {value}");
    if let Some(unit) = unit {
        text(unit, 16, "a unit");
        assert!(!unit.is_empty() && unit.len() <= 16, "{unit:?} is no unit");
    }
    assert!(labels.len() <= 16, "{} labels", labels.len());
    for (label, value) in labels {
        assert!(plain(label), "{label:?} is no label");
        text(value, LABEL, "a label");
    }
    for range in [warn, fail].into_iter().flatten() {
        text(range, LABEL, "a range");
        let known = |c: char| c.is_ascii_digit() || "@~:.-+eE".contains(c);
        assert!(!range.is_empty() && range.chars().all(known), "{range:?} is no range");
    }
}
