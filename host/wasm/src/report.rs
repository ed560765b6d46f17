//! What a guest reported, made to keep to the contract: nothing here is believed.
//!
//! What cannot be shown is dropped or cut, and each such change is said in a flag. The status and
//! the order of what stays are the guest's.

use std::collections::HashSet;

use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Fault, Observation, Outcome, Part, Report};
use wellcheck_core::redact::Redactor;

use crate::range::is_range;
use crate::text;

/// Longest name of an observation or a label, in bytes.
const MAX_NAME: usize = 64;
/// Longest name of a part or a detail, and longest label, in bytes.
const MAX_LABEL: usize = 256;
/// Longest unit, in bytes.
const MAX_UNIT: usize = 16;
/// Most labels of one observation.
const MAX_LABELS: usize = 16;
/// Most flags of one report; the rest is counted.
const MAX_FLAGS: usize = 32;

/// The outcome as it may be shown, and what was changed. For whatever reports from outside of the
/// host, be it a guest or not.
pub fn clean(outcome: Outcome, limits: &RunLimits, redact: &Redactor) -> (Outcome, Vec<String>) {
    let mut cleaner = Cleaner { limits, redact, flags: Flags::default() };
    let outcome = match outcome {
        Outcome::Answered(report) => Outcome::Answered(cleaner.report(report)),
        Outcome::Faulted(Fault { reason, mut message }) => {
            cleaner.text(&mut message, limits.message_bytes, || "the message".to_owned());
            Outcome::Faulted(Fault { reason, message })
        }
    };
    (outcome, cleaner.flags.finish())
}

#[derive(Default)]
struct Flags {
    list: Vec<String>,
    more: usize,
}

impl Flags {
    fn add(&mut self, flag: String) {
        if self.list.len() < MAX_FLAGS {
            self.list.push(flag);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.list.push(format!("… and {} more", self.more));
        }
        self.list
    }
}

struct Cleaner<'a> {
    limits: &'a RunLimits,
    redact: &'a Redactor,
    flags: Flags,
}

impl Cleaner<'_> {
    fn report(&mut self, mut report: Report) -> Report {
        let limit = self.limits.observations;
        self.text(&mut report.message, self.limits.message_bytes, || "the message".to_owned());
        self.cap(&mut report.observations, limit, "observations");
        self.cap(&mut report.parts, limit, "parts");
        self.cap(&mut report.details, limit, "details");

        let mut seen = HashSet::new();
        report.observations.retain_mut(|observation| {
            let kept = self.observation(observation).and_then(|()| {
                match seen.insert((observation.name.clone(), observation.labels.clone())) {
                    true => Ok(()),
                    false => Err("it was reported before".to_owned()),
                }
            });
            if let Err(why) = &kept {
                let name = text::cleaned(&observation.name, MAX_NAME);
                self.flags.add(format!("observation `{name}` left out: {why}"));
            }
            kept.is_ok()
        });
        for Part { name, message, .. } in &mut report.parts {
            self.text(name, MAX_LABEL, || "the name of a part".to_owned());
            self.text(message, self.limits.message_bytes, || {
                format!("the message of part `{name}`")
            });
        }
        for (name, value) in &mut report.details {
            self.text(name, MAX_LABEL, || "the name of a detail".to_owned());
            self.text(value, self.limits.message_bytes, || format!("detail `{name}`"));
        }
        // They are shown as an object, in which a key stands once.
        let mut seen = HashSet::new();
        report.details.retain(|(name, _)| {
            let is_first = seen.insert(name.clone());
            if !is_first {
                self.flags.add(format!("detail `{name}` left out: it was reported before"));
            }
            is_first
        });
        report
    }

    fn observation(&mut self, observation: &mut Observation) -> Result<(), String> {
        let Observation { name, value, unit, labels, warn, fail } = observation;
        if !is_name(name) {
            return Err(format!(
                "a name is made of letters, digits, `-` and `_`, begins with a letter, and has at most {MAX_NAME} bytes"
            ));
        }
        if !value.is_finite() {
            return Err(format!("{value} is not a finite number"));
        }
        if labels.len() > MAX_LABELS {
            return Err(format!("it has {} labels (at most {MAX_LABELS})", labels.len()));
        }
        for at in 0..labels.len() {
            let label = &labels[at].0;
            if !is_name(label) {
                return Err(format!("its label `{}` is no name", text::cleaned(label, MAX_NAME)));
            }
            if labels[..at].iter().any(|(other, _)| other == label) {
                return Err(format!("its label `{label}` is there twice"));
            }
        }
        for (label, value) in labels {
            self.text(value, MAX_LABEL, || format!("label `{label}` of observation `{name}`"));
        }
        if let Some(text) = unit
            && (text.is_empty() || text::cleaned(text, MAX_UNIT) != *text)
        {
            if !text.is_empty() {
                self.flags.add(format!("unit of observation `{name}` left out: it is no unit"));
            }
            *unit = None;
        }
        for (which, bound) in [("warn", warn), ("fail", fail)] {
            if bound.as_deref().is_some_and(|text| !is_range(text)) {
                let text = text::cleaned(&bound.take().unwrap_or_default(), MAX_NAME);
                self.flags.add(format!(
                    "`{which}` of observation `{name}` left out: `{text}` is no range"
                ));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &mut String, max: usize, what: impl FnOnce() -> String) {
        self.redact.apply_to(text);
        if text::clean(text, max) {
            let limit = match max == self.limits.message_bytes {
                true => " (limit `message-bytes`)",
                false => "",
            };
            self.flags.add(format!("{} cut at {}{limit}", what(), text::bytes(max)));
        }
    }

    fn cap<T>(&mut self, list: &mut Vec<T>, limit: usize, what: &str) {
        if list.len() > limit {
            self.flags.add(format!(
                "{} {what} left out (at most {limit}: limit `observations`)",
                list.len() - limit
            ));
            list.truncate(limit);
        }
    }
}

/// Letters, digits, `-` and `_`, the first a letter.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use wellcheck_core::outcome::Answer;

    use super::*;

    fn cleaned(report: Report) -> (Report, Vec<String>) {
        let redact = Redactor::new(["hunter2"]);
        let (outcome, flags) = clean(Outcome::Answered(report), &RunLimits::default(), &redact);
        match outcome {
            Outcome::Answered(report) => (report, flags),
            Outcome::Faulted(fault) => panic!("a fault: {fault:?}"),
        }
    }

    fn report() -> Report {
        Report::new(Answer::Pass, "fine")
    }

    #[test]
    fn a_report_that_keeps_to_the_contract_stays_as_it_is() {
        let mut good = report();
        let mut depth = Observation::new("queue_depth", 5.0, "1/s");
        depth.labels = vec![("queue".to_owned(), "orders \"x\"".to_owned())];
        depth.warn = Some("@10:20".to_owned());
        let mut other = depth.clone();
        other.labels[0].1 = "mail".to_owned();
        good.observations = vec![depth, other];
        good.details = vec![("server".to_owned(), "nginx/1.22".to_owned())];
        assert_eq!(cleaned(good.clone()), (good, Vec::new()));
    }

    #[test]
    fn what_is_no_observation_is_left_out_and_flagged() {
        let mut bad = report();
        let named = |name: &str| Observation::new(name, 1.0, "");
        let mut twice = named("labels");
        twice.labels = vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())];
        bad.observations = vec![
            Observation::new("nan", f64::NAN, ""),
            Observation::new("inf", f64::INFINITY, ""),
            named(""),
            named("a b"),
            named("a\n\u{1b}[31m"),
            named("__name__"),
            named(&"x".repeat(65)),
            named("good"),
            named("good"),
            twice,
        ];
        let (report, flags) = cleaned(bad);
        assert_eq!(report.observations, [named("good")]);
        assert_eq!(flags.len(), 9, "{flags:#?}");
        assert!(flags.iter().all(|flag| !flag.contains(['\n', '\u{1b}'])), "{flags:#?}");
    }

    #[test]
    fn ranges_and_units_that_nobody_reads_are_left_out() {
        let mut bad = report();
        let mut hidden = Observation::new("b", 1.0, "s\u{202e}");
        hidden.labels = vec![("l".to_owned(), "x\u{202e}".to_owned())];
        let mut observation = Observation::new("a", 1.0, "a unit that is far too long");
        observation.warn = Some("more than 5".to_owned());
        observation.fail = Some("10:20".to_owned());
        bad.observations = vec![observation, hidden];
        let (report, flags) = cleaned(bad);
        let [observation, hidden] = report.observations.as_slice() else { panic!("{report:?}") };
        assert_eq!((&hidden.unit, hidden.labels[0].1.as_str()), (&None, "x\\u{202e}"));
        assert_eq!((&observation.unit, &observation.warn), (&None, &None));
        assert_eq!(observation.fail.as_deref(), Some("10:20"));
        assert_eq!(flags.len(), 3);
    }

    #[test]
    fn lists_and_texts_are_capped() {
        let mut long = report();
        long.message = "x".repeat(5000);
        long.observations = (0..100).map(|n| Observation::new(format!("n{n}"), 0.0, "")).collect();
        long.details = (0..65).map(|n| (format!("n{n}"), String::new())).collect();
        let (report, flags) = cleaned(long);
        assert_eq!(report.message.chars().count(), 1025);
        assert_eq!((report.observations.len(), report.details.len()), (64, 64));
        assert_eq!(
            flags,
            [
                "the message cut at 1 KiB (limit `message-bytes`)",
                "36 observations left out (at most 64: limit `observations`)",
                "1 details left out (at most 64: limit `observations`)",
            ]
        );
    }

    #[test]
    fn texts_are_one_line_and_hold_no_known_secret() {
        let mut bad = report();
        bad.message = "token hunter2\nrejected".to_owned();
        let part =
            Part { name: "a\u{1b}b".to_owned(), status: Answer::Pass, message: "hunter2".into() };
        bad.parts = vec![part];
        let (report, _) = cleaned(bad);
        assert_eq!(report.message, "token [redacted]\\nrejected");
        assert_eq!(report.parts[0].name, "a\\u{1b}b");
        assert_eq!(report.parts[0].message, "[redacted]");
    }

    #[test]
    fn a_detail_that_was_reported_before_is_left_out() {
        let mut twice = report();
        let detail = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        twice.details = vec![detail("a\n", "1"), detail("b", "2"), detail("a\\n", "3")];
        let (report, flags) = cleaned(twice);
        assert_eq!(report.details, [detail("a\\n", "1"), detail("b", "2")]);
        assert_eq!(flags, ["detail `a\\n` left out: it was reported before"]);
    }

    #[test]
    fn flags_are_bounded() {
        let mut bad = report();
        bad.observations = (0..64).map(|_| Observation::new("", 0.0, "")).collect();
        let (_, flags) = cleaned(bad);
        assert_eq!(flags.len(), MAX_FLAGS + 1);
        assert_eq!(flags[MAX_FLAGS], "… and 32 more");
    }
}
