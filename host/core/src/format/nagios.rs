//! What a monitoring plugin prints: a line with the state and its numbers, then a line for each
//! check and group, worst first.
//!
//! `STATE: text | 'label'=value[UOM];warn;crit;; ...`. Bounded, since readers cut what is longer, some
//! in the middle of a number. A `|` begins the numbers, so that no text may have one.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Format, Scope, Selection, remarks, well_or_aside};
use crate::outcome::{Observation, Outcome};
use crate::snapshot::{CheckState, Item};
use crate::status::Status;

/// Longest output, in bytes; what Nagios reads.
const MAX_OUTPUT: usize = 8 * 1024;

/// Longest part of it that is numbers.
const MAX_PERFDATA: usize = 4 * 1024;

/// Longest text on the first line, and on each other line, in characters.
const MAX_FIRST: usize = 400;
const MAX_LINE: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Nagios;

impl Format for Nagios {
    fn name(&self) -> &'static str {
        "nagios"
    }

    fn summary(&self) -> &'static str {
        "the output of a monitoring plugin, with performance data"
    }

    fn media_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if well_or_aside(selection) { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let told = match (selection.scope, &selection.checks[..]) {
            (Scope::One, [check]) if !check.message().is_empty() => check.message().to_owned(),
            _ => selection.summary(),
        };
        let (word, aside) = match selection.in_maintenance() {
            true => ("OK", "in maintenance: "),
            false => (word(selection.status()), ""),
        };
        let mut text = format!("{word}: {aside}{}", plain(&told, MAX_FIRST));
        let data = perfdata(selection);
        if !data.is_empty() {
            text.push_str(" | ");
            text.push_str(&data);
        }
        text.push('\n');
        if selection.scope != Scope::One {
            long_text(selection, &mut text);
        }
        text.into_bytes()
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "OK",
        Status::Warn => "WARNING",
        Status::Unknown => "UNKNOWN",
        Status::Fail => "CRITICAL",
    }
}

/// A text on one line that is no number's beginning.
fn plain(text: &str, max: usize) -> String {
    let mut chars = text.chars().map(|c| match c {
        '|' => '/',
        c if c.is_control() => ' ',
        c => c,
    });
    let mut plain: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        plain.push('…');
    }
    plain
}

fn long_text(selection: &Selection<'_>, text: &mut String) {
    let groups = selection.groups.iter().map(Item::Group);
    let mut items: Vec<Item<'_>> = groups.chain(selection.checks.iter().map(Item::Check)).collect();
    items.sort_by_key(|item| (item.in_maintenance(), std::cmp::Reverse(item.state())));
    for (index, item) in items.iter().enumerate() {
        let message = match item {
            Item::Check(check) => check.message().to_owned(),
            Item::Group(group) => group.message(),
        };
        let aside = remarks(*item);
        let message = plain(&message, MAX_LINE);
        let line = format!("[{}] {}: {aside}{message}", word(item.state()), item.name());
        // The last line has room to say how much is missing.
        if text.len() + line.len() > MAX_OUTPUT - 32 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "... and {} more", items.len() - index);
            return;
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// The time that each check took, and what it measured: as many as there is room for.
fn perfdata(selection: &Selection<'_>) -> String {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for check in &*selection.checks {
        let prefix = match selection.scope {
            Scope::One => String::new(),
            Scope::All | Scope::Group => format!("{}/", check.spec.name),
        };
        for (name, datum) in data(check) {
            let label = label(&format!("{prefix}{name}"));
            if text.len() + label.len() + datum.len() + 2 > MAX_PERFDATA {
                return text;
            }
            if seen.insert(label.clone()) {
                let space = if text.is_empty() { "" } else { " " };
                let _ = write!(text, "{space}{label}={datum}");
            }
        }
    }
    text
}

/// In quotes, with those of its own doubled, and without `=`.
fn label(text: &str) -> String {
    let text = plain(text, MAX_LINE).replace('=', "_").replace('\'', "''");
    format!("'{text}'")
}

/// Names and numbers of the last run.
fn data(check: &CheckState) -> Vec<(String, String)> {
    let Some(last) = check.current() else { return Vec::new() };
    let mut data = Vec::new();
    if let Some(duration) = check.duration() {
        let time = Observation::seconds("time", duration);
        data.extend(datum(&time).map(|datum| ("time".to_owned(), datum)));
    }
    if let Outcome::Answered(report) = &last.run.outcome {
        for observation in &report.observations {
            let mut name = observation.name.clone();
            for (label, value) in &observation.labels {
                let _ = write!(name, "/{label}:{value}");
            }
            data.extend(datum(observation).map(|datum| (name, datum)));
        }
    }
    data
}

/// `value[UOM];warn;crit`, without what is empty at the end.
fn datum(observation: &Observation) -> Option<String> {
    let (uom, factor) = uom(observation.unit.as_deref().unwrap_or_default());
    let value = number(observation.value * factor).unwrap_or_else(|| "U".to_owned());
    let uom = if value == "U" { "" } else { uom };
    let bound = |text: &Option<String>| range(text.as_deref()?, factor);
    let warn = bound(&observation.warn).unwrap_or_default();
    let crit = bound(&observation.fail).unwrap_or_default();
    Some(format!("{value}{uom};{warn};{crit}").trim_end_matches(';').to_owned())
}

/// The unit as it is known there, and what our numbers are multiplied with. An unknown one is none.
fn uom(unit: &str) -> (&'static str, f64) {
    const UNITS: &[(&str, &str, f64)] = &[
        ("s", "s", 1.0),
        ("ms", "ms", 1.0),
        ("us", "us", 1.0),
        ("µs", "us", 1.0),
        ("ns", "us", 1e-3),
        ("min", "s", 60.0),
        ("m", "s", 60.0),
        ("h", "s", 3600.0),
        ("d", "s", 86400.0),
        ("%", "%", 1.0),
        ("B", "B", 1.0),
        ("kB", "KB", 1.0),
        ("KB", "KB", 1.0),
        ("MB", "MB", 1.0),
        ("GB", "MB", 1e3),
        ("TB", "TB", 1.0),
        ("KiB", "B", 1024.0),
        ("MiB", "B", 1_048_576.0),
        ("GiB", "B", 1_073_741_824.0),
        ("c", "c", 1.0),
    ];
    let known = UNITS.iter().find(|(ours, _, _)| *ours == unit);
    known.map_or(("", 1.0), |(_, uom, factor)| (uom, *factor))
}

/// Digits, a point and a sign: there are no exponents there. `None` if it is too large for that.
fn number(value: f64) -> Option<String> {
    if !value.is_finite() || value.abs() >= 1e18 {
        return None;
    }
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Some(if text == "-0" { "0" } else { text }.to_owned())
}

/// A range with its numbers multiplied; `None` if it is none.
fn range(text: &str, factor: f64) -> Option<String> {
    let (inside, text) = match text.strip_prefix('@') {
        Some(text) => ("@", text),
        None => ("", text),
    };
    let bound = |text: &str| {
        let value: f64 = text.parse().ok()?;
        number(value * factor)
    };
    let (start, end) = text.split_once(':').unwrap_or(("", text));
    let start = match start {
        "" => String::new(),
        "~" => "~:".to_owned(),
        start => bound(start)? + ":",
    };
    let end = match end {
        "" if start.is_empty() => return None,
        "" => String::new(),
        end => bound(end)?,
    };
    Some(format!("{inside}{start}{end}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::testing::{check, group, ran, snapshot};
    use super::*;
    use crate::outcome::{Answer, Report};
    use crate::snapshot::Snapshot;

    fn of(selection: &Selection<'_>) -> String {
        String::from_utf8(Nagios.render(selection)).expect("text")
    }

    fn all(snapshot: &Snapshot) -> String {
        of(&Selection::all(snapshot))
    }

    fn measured(name: &str, message: &str, observations: Vec<Observation>) -> CheckState {
        let report = Report { observations, ..Report::new(Answer::Warn, message) };
        ran(name, Outcome::Answered(report), Duration::from_micros(1500))
    }

    #[test]
    fn numbers_stand_after_the_first_line_and_the_rest_below_worst_first() {
        let depth = Observation {
            labels: vec![("queue".to_owned(), "o'k=1 |".to_owned())],
            warn: Some("500".to_owned()),
            fail: Some("~:1e3".to_owned()),
            ..Observation::new("depth", 501.0, "messages")
        };
        let queue = measured("queue", "501 | messages\nand more", vec![depth]);
        let mut aside = check("m", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let whole = snapshot(
            [check("db", Status::Fail), queue, aside],
            [group("g", &["db"], Status::Fail, (0, 1))],
        );
        assert_eq!(
            all(&whole),
            "CRITICAL: 2 of 2 checks and groups do not pass: g (fail: 0 of 1 member healthy), queue (warn); 1 is in maintenance | 'db/time'=0.001s 'm/time'=0.001s 'queue/time'=0.0015s 'queue/depth/queue:o''k_1 /'=501;500;~:1000\n\
            [CRITICAL] g: 0 of 1 member healthy\n\
            [CRITICAL] db: message\n\
            [WARNING] queue: 501 / messages and more\n\
            [CRITICAL] m: in maintenance: message\n"
        );
    }

    #[test]
    fn one_check_says_its_own_message() {
        let whole = snapshot([measured("a", "half full", Vec::new())], []);
        let item = Item::Check(whole.check("a").expect("it is there"));
        assert_eq!(of(&Selection::item(&whole, item)), "WARNING: half full | 'time'=0.0015s\n");
    }

    #[test]
    fn units_are_mapped_and_ranges_scaled_with_them() {
        let cases = [
            ("s", 0.25, "0.25s"),
            ("µs", 3.0, "3us"),
            ("ns", 1500.0, "1.5us"),
            ("KiB", 2.0, "2048B"),
            ("GB", 1.5, "1500MB"),
            ("%", 99.5, "99.5%"),
            ("d", 2.0, "172800s"),
            ("messages", 7.0, "7"),
            ("s", 1e300, "U"),
            ("", -0.0, "0"),
        ];
        for (unit, value, expected) in cases {
            assert_eq!(datum(&Observation::new("x", value, unit)).as_deref(), Some(expected));
        }
        let bounded = Observation {
            warn: Some("@1:2".to_owned()),
            fail: Some("~:4".to_owned()),
            ..Observation::new("x", 1.0, "KiB")
        };
        assert_eq!(datum(&bounded).as_deref(), Some("1024B;@1024:2048;~:4096"));
        for (text, expected) in [
            ("10", Some("10")),
            ("10:", Some("10:")),
            ("~:", Some("~:")),
            (":10", Some("10")),
            ("@10:20", Some("@10:20")),
            ("1e3:", Some("1000:")),
            ("", None),
            (":", None),
            ("a", None),
            ("1:2:3", None),
            ("1|2", None),
            ("inf", None),
        ] {
            assert_eq!(range(text, 1.0).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn it_is_cut_between_lines_and_between_numbers() {
        let long = "x".repeat(1000);
        let checks = (0..1000).map(|n| measured(&format!("check-{n:04}"), &long, Vec::new()));
        let text = all(&snapshot(checks, []));
        assert!(text.len() <= MAX_OUTPUT, "{}", text.len());
        let (first, rest) = text.split_once('\n').expect("a line");
        assert!(first.ends_with('s') && first.len() < MAX_PERFDATA + 4 * MAX_FIRST, "{first}");
        let shown = rest.lines().filter(|line| line.starts_with("[WARNING] check-")).count();
        assert!(shown > 5);
        assert_eq!(rest.lines().last(), Some(&*format!("... and {} more", 1000 - shown)));
    }

    #[test]
    fn maintenance_is_ok() {
        let mut aside = check("m", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let whole = snapshot([aside], []);
        let item = Item::Check(whole.check("m").expect("it is there"));
        let selection = Selection::item(&whole, item);
        assert_eq!(of(&selection), "OK: in maintenance: message | 'time'=0.001s\n");
        assert_eq!(Nagios.code(&selection), 200);
    }

    /// A number of a line as readers take it apart.
    fn well_formed(perfdata: &str) -> bool {
        let mut rest = perfdata;
        loop {
            let Some(inner) = rest.strip_prefix('\'') else { return false };
            let mut end = None;
            let bytes = inner.as_bytes();
            let mut at = 0;
            while at < bytes.len() {
                match (bytes[at], bytes.get(at + 1)) {
                    (b'\'', Some(b'\'')) => at += 2,
                    (b'\'', _) => {
                        end = Some(at);
                        break;
                    }
                    _ => at += 1,
                }
            }
            let Some(end) = end else { return false };
            let Some(value) = inner[end + 1..].strip_prefix('=') else { return false };
            let (value, after) = value.split_once(' ').unwrap_or((value, ""));
            let digits = |c: char| c.is_ascii_digit() || "-.".contains(c);
            let first = value.split(';').next().unwrap_or("");
            let unit = first.trim_start_matches(digits);
            let is_known = ["", "s", "ms", "us", "%", "B", "KB", "MB", "TB", "c", "U"];
            if value.is_empty() || !is_known.contains(&unit) {
                return false;
            }
            if after.is_empty() {
                return true;
            }
            rest = after;
        }
    }

    proptest! {
        #[test]
        fn whatever_a_check_says_the_output_is_well_formed(
            message in ".{0,40}", name in ".{0,20}", label in ".{0,10}", text in ".{0,20}",
            unit in ".{0,4}", value in any::<f64>(), bound in "[@~0-9:.e|;' -]{0,10}",
        ) {
            let observation = Observation {
                labels: vec![(label, text)],
                warn: Some(bound.clone()),
                fail: Some(bound),
                ..Observation::new(name, value, &unit)
            };
            let whole = snapshot([measured("a", &message, vec![observation])], []);
            let text = all(&whole);
            prop_assert_eq!(text.matches('|').count(), 1);
            prop_assert_eq!(text.lines().count(), 2);
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
            let (first, _) = text.split_once('\n').expect("a line");
            let (_, data) = first.split_once(" | ").expect("numbers");
            prop_assert!(well_formed(data), "{}", data);
        }
    }
}
