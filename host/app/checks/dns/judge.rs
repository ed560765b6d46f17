//! Whether an answer is as expected.

use regex::bytes::Regex;
use wellcheck_core::outcome::{Answer, FailReason, Report};

use super::super::database::said;
use super::answer::Seen;

/// Which of the expected answers must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Each of them, whatever else is there.
    #[default]
    All,
    /// One of them.
    Any,
    /// Each of them and nothing else.
    Only,
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

impl Section {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Additional => "additional",
        }
    }

    fn of(self, seen: &Seen) -> &[String] {
        match self {
            Self::Answer => &seen.records,
            Self::Authority => &seen.authority,
            Self::Additional => &seen.additional,
        }
    }
}

/// What a regular expression says of the records of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// One of them matches.
    Some,
    /// Each of them matches.
    Each,
    /// None of them matches.
    None,
    /// At least one of them does not match, or there is none.
    NotEach,
}

/// What the answer must be.
#[derive(Debug, Default)]
pub(super) struct Expect {
    /// Codes that pass; empty for any.
    pub(super) codes: Vec<String>,
    /// Flags that must be set, and such that must not.
    pub(super) flags: Vec<(Flag, bool)>,
    /// How many answers there must be if the code is NOERROR.
    pub(super) least: usize,
    /// In the form of [`plain`].
    pub(super) answers: Vec<String>,
    pub(super) wanted: Wanted,
    pub(super) rules: Vec<(Rule, Section, Regex)>,
    pub(super) least_serial: Option<u32>,
}

/// A flag of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    of: fn(&Seen) -> bool,
}

/// Every flag, by the name that tools show.
pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "aa", of: |seen| seen.authoritative },
    Flag { name: "ad", of: |seen| seen.authenticated },
    Flag { name: "cd", of: |seen| seen.checking_disabled },
    Flag { name: "ra", of: |seen| seen.recursion_available },
    Flag { name: "rd", of: |seen| seen.recursion_desired },
    Flag { name: "tc", of: |seen| seen.truncated },
];

/// Data of a record, as it is compared: the dot at the end of names may be left out, and the quotes
/// of a text that is but one.
pub(super) fn plain(text: &str) -> String {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return if inner.contains("\" \"") { text.to_owned() } else { inner.to_owned() };
    }
    text.trim_end_matches('.').to_owned()
}

/// Whether data of a record is the expected text, which is in the form of [`plain`]. Names have no
/// case; texts in quotes have one.
fn is_expected(answer: &str, expected: &str) -> bool {
    let (is_text, answer) = (answer.starts_with('"'), plain(answer));
    if is_text { answer == expected } else { answer.eq_ignore_ascii_case(expected) }
}

impl Expect {
    pub(super) fn judge(&self, seen: &Seen) -> Report {
        match self.wrong(seen) {
            Some((reason, message)) => Report::fail(reason, message),
            None => Report::new(Answer::Pass, format!("answered {}", summary(seen))),
        }
    }

    fn wrong(&self, seen: &Seen) -> Option<(FailReason, String)> {
        if !self.codes.is_empty() && !self.codes.contains(&seen.code) {
            let message = format!("answered {} (expected {})", seen.code, self.codes.join(", "));
            return Some((FailReason::UnexpectedStatus, message));
        }
        let value = |message: String| Some((FailReason::UnexpectedValue, message));
        let shown = summary(seen);
        if let Some((flag, wanted)) =
            self.flags.iter().find(|(flag, wanted)| (flag.of)(seen) != *wanted)
        {
            let (is, should) = if *wanted { ("not set", "set") } else { ("set", "not set") };
            return value(format!(
                "answered {shown}, and the flag `{}` is {is} (expected {should})",
                flag.name
            ));
        }
        if seen.code == "NOERROR" && seen.count < self.least {
            return value(format!("answered {shown} (expected at least {})", self.least));
        }
        if let Some(message) = self.wrong_answers(seen) {
            return value(format!("answered {shown}, {message}"));
        }
        for (rule, section, regex) in &self.rules {
            let records = section.of(seen);
            let matches = |record: &&String| regex.is_match(record.as_bytes());
            let found = match rule {
                Rule::Some => (!records.iter().any(|record| matches(&record)))
                    .then(|| "has no record that matches".to_owned()),
                Rule::Each => records.iter().find(|record| !matches(record)).map(|record| {
                    format!("has `{}`, which does not match", said(record.as_bytes()))
                }),
                Rule::None => records
                    .iter()
                    .find(matches)
                    .map(|record| format!("has `{}`, which matches", said(record.as_bytes()))),
                Rule::NotEach => (!records.is_empty() && records.iter().all(|r| matches(&r)))
                    .then(|| "has only records that match".to_owned()),
            };
            if let Some(found) = found {
                let section = section.as_str();
                return value(format!(
                    "answered {}, and the section `{section}` {found} `{regex}`",
                    seen.code
                ));
            }
        }
        match (self.least_serial, seen.serial) {
            (Some(least), Some(serial)) if serial < least => {
                value(format!("the serial is {serial} (expected at least {least})"))
            }
            (Some(_), None) => value(format!("answered {shown}, without a serial")),
            _ => None,
        }
    }

    fn wrong_answers(&self, seen: &Seen) -> Option<String> {
        if self.answers.is_empty() {
            return None;
        }
        let is_there = |expected: &&String| seen.answers.iter().any(|a| is_expected(a, expected));
        if self.wanted == Wanted::Any {
            let none = !self.answers.iter().any(|expected| is_there(&expected));
            return none
                .then(|| format!("none of which is expected ({})", self.answers.join(", ")));
        }
        if let Some(missing) = self.answers.iter().find(|expected| !is_there(expected)) {
            return Some(format!("without `{missing}`"));
        }
        let known = |answer: &&String| self.answers.iter().any(|e| is_expected(answer, e));
        let further = seen.answers.iter().find(|answer| !known(answer));
        let further = further.filter(|_| self.wanted == Wanted::Only)?;
        Some(format!("of which `{}` is not expected", said(further.as_bytes())))
    }
}

/// Code and answers, for messages.
fn summary(seen: &Seen) -> String {
    let cut = if seen.truncated { ", cut" } else { "" };
    match seen.count {
        0 if seen.records.is_empty() => format!("{} with no answer{cut}", seen.code),
        0 => {
            let others = said(seen.records[0].replace('\t', " ").as_bytes());
            format!("{} with no answer of the type, but `{others}`{cut}", seen.code)
        }
        count => {
            let list = seen.answers.iter().take(10).map(String::as_str).collect::<Vec<_>>();
            let list = said(list.join(", ").as_bytes());
            let more = if count > 10 { ", …" } else { "" };
            let answers = if count == 1 { "answer" } else { "answers" };
            format!("{} with {count} {answers}{cut}: {list}{more}", seen.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(answers: &[&str]) -> Seen {
        Seen {
            answers: answers.iter().map(|text| (*text).to_owned()).collect(),
            count: answers.len(),
            records: answers.iter().map(|text| format!("a.example.\t60\tIN\tA\t{text}")).collect(),
            code: "NOERROR".to_owned(),
            ..Seen::default()
        }
    }

    fn expect(answers: &[&str], wanted: Wanted) -> Expect {
        let answers = answers.iter().map(|text| plain(text)).collect();
        Expect { answers, wanted, ..Expect::default() }
    }

    #[test]
    fn answers_are_compared_as_what_they_are() {
        let passes = |given: &[&str], wanted: &[&str], how| {
            expect(wanted, how).judge(&seen(given)).status == Answer::Pass
        };
        assert!(passes(&["192.0.2.1", "192.0.2.2"], &["192.0.2.1"], Wanted::All));
        assert!(!passes(&["192.0.2.1", "192.0.2.2"], &["192.0.2.1"], Wanted::Only));
        assert!(passes(&["192.0.2.1"], &["192.0.2.9", "192.0.2.1"], Wanted::Any));
        assert!(!passes(&["192.0.2.1"], &["192.0.2.9", "192.0.2.1"], Wanted::All));
        assert!(!passes(&["192.0.2.1"], &["192.0.2.9"], Wanted::Any));
        assert!(passes(&["10 Mail.example.com."], &["10 mail.EXAMPLE.com"], Wanted::Only));
        assert!(passes(&["\"v=spf1 -all\""], &["v=spf1 -all"], Wanted::Only));
        assert!(!passes(&["\"V=spf1 -all\""], &["v=spf1 -all"], Wanted::Only));
    }

    #[test]
    fn rules_look_at_one_some_or_all_records() {
        let judge = |rule, pattern: &str, answers: &[&str]| {
            let regex = Regex::new(pattern).expect("a regular expression");
            let rules = vec![(rule, Section::Answer, regex)];
            Expect { rules, ..Expect::default() }.judge(&seen(answers)).status == Answer::Pass
        };
        let two = ["192.0.2.1", "192.0.2.2"];
        assert!(judge(Rule::Some, r"\.1$", &two) && !judge(Rule::Some, r"\.3$", &two));
        assert!(judge(Rule::Each, "192", &two) && !judge(Rule::Each, r"\.1$", &two));
        assert!(judge(Rule::None, r"\.3$", &two) && !judge(Rule::None, r"\.1$", &two));
        assert!(judge(Rule::NotEach, r"\.1$", &two) && !judge(Rule::NotEach, "192", &two));
        assert!(judge(Rule::NotEach, "192", &[]) && !judge(Rule::Some, "192", &[]));
    }
}
