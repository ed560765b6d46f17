//! An outcome held against what a test expects.

use std::collections::BTreeMap;

use super::pattern::{matches, matches_request};
use crate::condition::Range;
use crate::outcome::{Observation, Outcome, Report, Run};
use crate::status::Status;

/// What should come of a run; what is `None` or not named may be anything.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Its status; a fault's is `unknown`.
    pub status: Option<Status>,
    /// Why.
    pub reason: Option<String>,
    /// A pattern.
    pub message: Option<String>,
    /// Some of what it measures.
    pub observations: Vec<(Series, Number)>,
    /// Some of its parts: name and status.
    pub parts: Vec<(String, Status)>,
    /// Some of its details: name and pattern.
    pub details: Vec<(String, String)>,
    /// All requests: patterns, in order.
    pub requests: Option<Vec<String>>,
    /// All that is kept: key and pattern.
    pub state: Option<BTreeMap<String, String>>,
}

/// A name with some of its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    name: String,
    labels: Vec<(String, String)>,
    /// As it stands in the file.
    written: String,
}

/// What a number should be.
#[derive(Debug, Clone)]
pub enum Number {
    /// This one.
    Exactly(f64),
    /// In a range, with its text.
    In(Range, String),
}

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// The run.
    pub run: &'a Run,
    /// Method and URL of each request.
    pub requests: &'a [(String, String)],
    /// All that is kept afterwards.
    pub state: &'a BTreeMap<String, Vec<u8>>,
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which key of `[test.expect]`, or which entry of it.
    pub what: String,
    /// As it stands in the file.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Series {
    /// Reads `name` or `name{label="text",...}`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let series = |name: &str, labels| Self {
            name: name.trim().to_owned(),
            labels,
            written: text.to_owned(),
        };
        let Some((name, rest)) = text.split_once('{') else {
            return (!text.trim().is_empty()).then(|| series(text, Vec::new()));
        };
        let mut rest = rest.trim().strip_suffix('}')?.trim();
        let mut labels = Vec::new();
        while !rest.is_empty() {
            let (label, after) = rest.split_once('=')?;
            let (value, after) = after.trim_start().strip_prefix('"')?.split_once('"')?;
            labels.push((label.trim().to_owned(), value.to_owned()));
            let after = after.trim_start();
            rest = after.strip_prefix(',').map_or(after, str::trim_start);
            if after == rest && !rest.is_empty() {
                return None;
            }
        }
        Some(series(name, labels))
    }

    fn is(&self, observation: &Observation) -> bool {
        observation.name == self.name
            && self.labels.iter().all(|label| observation.labels.contains(label))
    }
}

impl Number {
    fn is(&self, value: f64) -> bool {
        match self {
            // What a sum of tenths makes of one is still one.
            Self::Exactly(number) => (number - value).abs() <= 1e-9 * number.abs().max(1.0),
            Self::In(range, _) => !range.alerts(value),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Exactly(number) => number.to_string(),
            Self::In(_, text) => text.clone(),
        }
    }
}

impl Expect {
    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        let Self { status, reason, message, observations, parts, details, requests, state } = self;
        status.is_none()
            && reason.is_none()
            && message.is_none()
            && observations.is_empty()
            && parts.is_empty()
            && details.is_empty()
            && requests.is_none()
            && state.is_none()
    }

    /// What came that is not as expected, in the order of the keys.
    pub fn differences(&self, came: Came<'_>) -> Vec<Difference> {
        let mut found = Found(Vec::new());
        let outcome = &came.run.outcome;
        if let Some(status) = self.status {
            found.text("status", status.as_str(), outcome.status().as_str(), |a, b| a == b);
        }
        if let Some(reason) = &self.reason {
            found.text("reason", reason, outcome.reason().unwrap_or("none"), |a, b| a == b);
        }
        if let Some(message) = &self.message {
            found.text("message", message, outcome.message(), matches);
        }
        let nothing;
        let report = match outcome {
            Outcome::Answered(report) => report,
            Outcome::Faulted(_) => {
                nothing = Report::new(crate::outcome::Answer::Fail, "");
                &nothing
            }
        };
        self.in_report(report, &mut found);
        if let Some(requests) = &self.requests {
            found.requests(requests, came.requests);
        }
        if let Some(state) = &self.state {
            found.state(state, came.state);
        }
        found.0
    }

    fn in_report(&self, report: &Report, found: &mut Found) {
        for (series, number) in &self.observations {
            let here = report.observations.iter().filter(|observation| series.is(observation));
            let values: Vec<f64> = here.map(|observation| observation.value).collect();
            if !values.iter().any(|value| number.is(*value)) {
                let all: Vec<String> = values.iter().map(ToString::to_string).collect();
                let what = format!("observation `{}`", series.written);
                found.add(&what, number.shown(), or_none(all.join(", ")));
            }
        }
        for (name, status) in &self.parts {
            let part = report.parts.iter().find(|part| part.name == *name);
            let is = part.map_or("no such part", |part| Status::from(part.status).as_str());
            found.text(&format!("part `{name}`"), status.as_str(), is, |a, b| a == b);
        }
        for (name, pattern) in &self.details {
            let mut texts = report.details.iter().filter(|(detail, _)| detail == name);
            if !texts.clone().any(|(_, text)| matches(pattern, text)) {
                let is = texts.next().map_or("none", |(_, text)| text.as_str());
                found.add(&format!("detail `{name}`"), pattern.clone(), is.to_owned());
            }
        }
    }
}

/// The differences so far.
struct Found(Vec<Difference>);

impl Found {
    fn add(&mut self, what: &str, expected: String, found: String) {
        self.0.push(Difference { what: what.to_owned(), expected, found });
    }

    fn text(&mut self, what: &str, expected: &str, is: &str, same: impl Fn(&str, &str) -> bool) {
        if !same(expected, is) {
            self.add(what, expected.to_owned(), is.to_owned());
        }
    }

    fn requests(&mut self, expected: &[String], made: &[(String, String)]) {
        let same = expected.len() == made.len()
            && (expected.iter().zip(made))
                .all(|(pattern, (method, url))| matches_request(pattern, method, url));
        if !same {
            let made: Vec<String> = made.iter().map(|(m, url)| format!("{m} {url}")).collect();
            self.add("requests", or_none(expected.join(", ")), or_none(made.join(", ")));
        }
    }

    fn state(&mut self, expected: &BTreeMap<String, String>, kept: &BTreeMap<String, Vec<u8>>) {
        for key in expected.keys().chain(kept.keys().filter(|key| !expected.contains_key(*key))) {
            let is = kept.get(key).map(|bytes| String::from_utf8_lossy(bytes));
            let same = match (expected.get(key), &is) {
                (Some(pattern), Some(text)) => matches(pattern, text),
                _ => false,
            };
            if !same {
                let wanted = expected.get(key).map_or("nothing", String::as_str);
                let is = is.as_deref().unwrap_or("nothing");
                self.add(&format!("state `{key}`"), wanted.to_owned(), is.to_owned());
            }
        }
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::{Answer, Part};

    fn run() -> Run {
        let mut report = Report::new(Answer::Warn, "depth is 7");
        let mut depth = Observation::new("depth", 0.1 + 0.2, "");
        depth.labels.push(("queue".to_owned(), "a".to_owned()));
        report.observations.push(depth);
        report.parts.push(Part {
            name: "a".to_owned(),
            status: Answer::Pass,
            message: String::new(),
        });
        report.details.push(("server".to_owned(), "nginx 1".to_owned()));
        Run::new(Outcome::Answered(report), Duration::ZERO)
    }

    #[track_caller]
    fn check(expect: Expect, differences: &[(&str, &str, &str)]) {
        let state = BTreeMap::from([("last".to_owned(), b"7".to_vec())]);
        let requests = [("GET".to_owned(), "http://a.test/".to_owned())];
        let run = run();
        let came = Came { run: &run, requests: &requests, state: &state };
        let found = expect.differences(came);
        let found: Vec<_> = found.iter().map(|d| (&*d.what, &*d.expected, &*d.found)).collect();
        assert_eq!(found, differences);
    }

    fn number(series: &str, number: Number) -> Expect {
        let series = Series::parse(series).unwrap();
        Expect { observations: vec![(series, number)], ..Expect::default() }
    }

    #[test]
    fn what_is_not_named_may_be_anything() {
        check(Expect::default(), &[]);
        assert!(Expect::default().is_empty());
    }

    #[test]
    fn differences_say_both_sides() {
        let expect = Expect {
            status: Some(Status::Pass),
            reason: Some("plugin".to_owned()),
            message: Some("depth is *".to_owned()),
            parts: vec![("a".to_owned(), Status::Fail), ("b".to_owned(), Status::Pass)],
            details: vec![("server".to_owned(), "apache*".to_owned())],
            ..Expect::default()
        };
        check(
            expect,
            &[
                ("status", "pass", "warn"),
                ("reason", "plugin", "none"),
                ("part `a`", "fail", "pass"),
                ("part `b`", "pass", "no such part"),
                ("detail `server`", "apache*", "nginx 1"),
            ],
        );
    }

    #[test]
    fn numbers_are_found_by_name_and_labels() {
        let range = |text: &str| Number::In(Range::parse(text).unwrap(), text.to_owned());
        check(number("depth", Number::Exactly(0.3)), &[]);
        check(number("depth{queue=\"a\"}", range("0:1")), &[]);
        check(
            number("depth{queue=\"b\"}", range("0:1")),
            &[("observation `depth{queue=\"b\"}`", "0:1", "none")],
        );
        check(
            number("depth", range("1:")),
            &[("observation `depth`", "1:", "0.30000000000000004")],
        );
        for text in ["", "a{", "a{b}", "a{b=c}", "a{b=\"c\"d=\"e\"}"] {
            assert_eq!(Series::parse(text), None, "{text}");
        }
    }

    #[test]
    fn requests_and_state_are_all_there_is() {
        let requests = |list: &[&str]| Expect {
            requests: Some(list.iter().map(|text| (*text).to_owned()).collect()),
            ..Expect::default()
        };
        check(requests(&["GET http://a.test"]), &[]);
        check(requests(&[]), &[("requests", "none", "GET http://a.test/")]);
        let state = |pairs: &[(&str, &str)]| Expect {
            state: Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..Expect::default()
        };
        check(state(&[("last", "*")]), &[]);
        check(state(&[]), &[("state `last`", "nothing", "7")]);
        check(state(&[("last", "7"), ("a", "b")]), &[("state `a`", "b", "nothing")]);
    }
}
