//! What the kind `http` expects of an answer.

use http::{HeaderName, StatusCode, Version};
use regex::bytes::Regex;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Value;
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_net::http::{Answer as Answered, Exchange};

use super::super::pattern::pattern;
use super::super::socket::shown;
use super::super::tls::Days;
use super::contains;

/// See the module.
pub(super) const KEYS: &[Key] = &[
    key(
        "expect-status",
        "\"200-299\", unless a condition is about `status`",
        "expect-status = [\"200-299\", 304]",
        "Codes and ranges of codes that pass; any other answer fails with `unexpected-status`.",
    ),
    key(
        "expect-body",
        "anything",
        "expect-body = \"ready\"",
        "Texts that the body must contain, each of them, or the check fails with `unexpected-body`.",
    ),
    key(
        "expect-body-matches",
        "anything",
        "expect-body-matches = '\"status\": *\"ok\"'",
        "Regular expressions that the body must match, each of them, anywhere in it.",
    ),
    key(
        "refuse-body",
        "nothing",
        "refuse-body = \"Exception\"",
        "Texts that the body must not contain, none of them, or the check fails with `unexpected-body`.",
    ),
    key(
        "refuse-body-matches",
        "nothing",
        "refuse-body-matches = '\"status\": *\"down\"'",
        "Regular expressions that the body must not match, none of them.",
    ),
    key(
        "expect-headers",
        "anything",
        "expect-headers = { Content-Type = \"^application/json\" }",
        "Headers that the answer must have, name and regular expression, or the check fails with `unexpected-header`; of several of one name, one must match.",
    ),
    key(
        "refuse-headers",
        "nothing",
        "refuse-headers = { X-Debug = \"\" }",
        "Headers that the answer must not have, name and regular expression: none of that name may match.",
    ),
    key(
        "expect-http-version",
        "any",
        "expect-http-version = [\"1.1\", \"2\"]",
        "The versions of HTTP that may answer: `1.0`, `1.1`, `2`; another fails with `protocol`.",
    ),
    key(
        "expect-tls",
        "either",
        "expect-tls = true",
        "Whether the answer, behind all redirects, must come over TLS, or must not; else the check fails with `tls`.",
    ),
];

/// What the answer must be.
#[derive(Debug)]
pub(in crate::checks) struct Expect {
    /// Inclusive ranges of status codes; empty if conditions judge it.
    status: Vec<(u16, u16)>,
    /// `status` for messages.
    shown: String,
    contains: Vec<String>,
    matches: Vec<Regex>,
    refused: Vec<String>,
    refused_matches: Vec<Regex>,
    headers: Vec<(HeaderName, Regex)>,
    refused_headers: Vec<(HeaderName, Regex)>,
    versions: Vec<Version>,
    tls: Option<bool>,
    days: Days,
}

/// Reads the keys.
pub(super) fn read(reader: &mut Reader, problems: &mut Problems) -> Expect {
    let (status, shown) = status(reader, problems);
    let texts = |reader: &mut Reader, key: &str, problems: &mut Problems| -> Vec<String> {
        reader.texts(key, problems).into_iter().map(|text| text.value).collect()
    };
    let contains = texts(reader, "expect-body", problems);
    let matches = patterns(reader, "expect-body-matches", problems);
    let refused = texts(reader, "refuse-body", problems);
    let refused_matches = patterns(reader, "refuse-body-matches", problems);
    let headers = header_patterns(reader, "expect-headers", problems);
    let refused_headers = header_patterns(reader, "refuse-headers", problems);
    let versions = versions(reader, problems);
    let tls = reader.boolean("expect-tls", problems);
    let days = Days::read(reader, problems);
    Expect {
        status,
        shown,
        contains,
        matches,
        refused,
        refused_matches,
        headers,
        refused_headers,
        versions,
        tls,
        days,
    }
}

fn status(reader: &mut Reader, problems: &mut Problems) -> (Vec<(u16, u16)>, String) {
    let mut status = Vec::new();
    let mut shown = Vec::new();
    let place = reader.place_of("expect-status");
    let listed = reader.list("expect-status");
    let given = listed.is_some();
    if listed.as_ref().is_some_and(Vec::is_empty) {
        problems.error(
            &place,
            format!(
                "`expect-status` of {} is an empty list (expected for example [\"200-299\", 304])",
                reader.what()
            ),
        );
    }
    for node in listed.unwrap_or_default() {
        let range = match &node.value {
            Value::Integer(code) => u16::try_from(*code).ok().map(|code| (code, code)),
            Value::String(text) => parse_range(&text.value),
            _ => None,
        };
        match range.filter(|(low, high)| 100 <= *low && low <= high && *high <= 999) {
            Some((low, high)) => {
                status.push((low, high));
                shown.push(if low == high { low.to_string() } else { format!("{low}-{high}") });
            }
            None => problems.error(
                &node.place,
                format!("`expect-status` of {} holds something else than codes (expected for example [\"200-299\", 304])", reader.what()),
            ),
        }
    }
    if status.is_empty() && (given || !reader.asked().has("status")) {
        status.push((200, 299));
        shown.push("200-299".to_owned());
    }
    (status, shown.join(", "))
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        Some((low, high)) => Some((low.trim().parse().ok()?, high.trim().parse().ok()?)),
        None => text.trim().parse().ok().map(|code| (code, code)),
    }
}

fn patterns(reader: &mut Reader, key: &str, problems: &mut Problems) -> Vec<Regex> {
    let texts = reader.texts(key, problems);
    let what = format!("`{key}` of {}", reader.what());
    texts.iter().filter_map(|text| pattern(text, &what, problems)).collect()
}

fn header_patterns(
    reader: &mut Reader,
    key: &str,
    problems: &mut Problems,
) -> Vec<(HeaderName, Regex)> {
    let mut list = Vec::new();
    for (name, text) in reader.text_table(key, problems) {
        let shown = name.escape_debug().to_string();
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            problems.error(&text.place, format!("`{shown}` is no name of a header"));
            continue;
        };
        let what = format!("`{shown}` in `{key}` of {}", reader.what());
        list.extend(pattern(&text, &what, problems).map(|regex| (header, regex)));
    }
    list
}

fn versions(reader: &mut Reader, problems: &mut Problems) -> Vec<Version> {
    const WORDS: &[(&str, Version)] =
        &[("1.0", Version::HTTP_10), ("1.1", Version::HTTP_11), ("2", Version::HTTP_2)];
    let what = reader.what().to_owned();
    let mut versions = Vec::new();
    for text in reader.texts("expect-http-version", problems) {
        match WORDS.iter().find(|(word, _)| *word == text.value) {
            Some((_, version)) => versions.push(*version),
            None => {
                let words = WORDS.iter().map(|(word, _)| *word);
                let list = wellcheck_core::config::problem::known("words", text.shown(), words);
                let shown = text.shown().escape_debug();
                let message =
                    format!("`expect-http-version` of {what}: unknown word `{shown}` {list}");
                problems.error(&text.place, message);
            }
        }
    }
    versions
}

/// `200 OK`.
pub(in crate::checks) fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

impl Expect {
    /// Whether the answer of `exchange` is as expected.
    pub(in crate::checks) fn judge(&self, exchange: &Exchange, answer: &Answered) -> Report {
        let named = named(answer.status);
        let code = answer.status.as_u16();
        let in_range = |(low, high): &(u16, u16)| (*low..=*high).contains(&code);
        if !self.status.is_empty() && !self.status.iter().any(in_range) {
            let message = format!("answered {named} (expected {})", self.shown);
            return Report::fail(FailReason::UnexpectedStatus, message);
        }
        let misfit = (self.connection(exchange, answer))
            .or_else(|| self.header(answer))
            .or_else(|| self.body(&answer.body, answer.truncated));
        if let Some((reason, why)) = misfit {
            return Report::fail(reason, format!("answered {named}, {why}"));
        }
        let mut report = Report::new(Answer::Pass, format!("answered {named}"));
        self.days.judge(exchange.certificate.as_ref(), &mut report);
        report
    }

    fn connection(&self, exchange: &Exchange, answer: &Answered) -> Option<(FailReason, String)> {
        let over_tls = exchange.url.scheme() == "https";
        match self.tls {
            Some(true) if !over_tls => {
                return Some((FailReason::Tls, "but without TLS (expected TLS)".to_owned()));
            }
            Some(false) if over_tls => {
                return Some((FailReason::Tls, "but over TLS (expected none)".to_owned()));
            }
            _ => {}
        }
        if self.versions.is_empty() || self.versions.contains(&answer.version) {
            return None;
        }
        let expected: Vec<String> = self.versions.iter().map(|v| format!("{v:?}")).collect();
        let expected = expected.join(" or ");
        Some((FailReason::Protocol, format!("but in {:?} (expected {expected})", answer.version)))
    }

    fn header(&self, answer: &Answered) -> Option<(FailReason, String)> {
        let all = |name: &HeaderName| answer.headers.get_all(name).iter();
        for (name, regex) in &self.headers {
            let mut values = all(name);
            if values.any(|value| regex.is_match(value.as_bytes())) {
                continue;
            }
            let why = match answer.headers.get(name) {
                None => format!("but has no header `{name}` (expected one that matches `{regex}`)"),
                Some(value) => format!(
                    "but its header `{name}` is `{}` (expected to match `{regex}`)",
                    shown(value.as_bytes())
                ),
            };
            return Some((FailReason::UnexpectedHeader, why));
        }
        for (name, regex) in &self.refused_headers {
            if let Some(value) = all(name).find(|value| regex.is_match(value.as_bytes())) {
                let found = shown(value.as_bytes());
                let why = format!(
                    "but its header `{name}` is `{found}` (expected none that matches `{regex}`)"
                );
                return Some((FailReason::UnexpectedHeader, why));
            }
        }
        None
    }

    fn body(&self, body: &[u8], truncated: bool) -> Option<(FailReason, String)> {
        let searched = if truncated { "the part of the body within its limit" } else { "the body" };
        let holds = |text: &&String| contains(body, text.as_bytes());
        let matches = |regex: &&Regex| regex.is_match(body);
        let why = if let Some(text) = self.contains.iter().find(|text| !holds(text)) {
            format!("but {searched} does not contain `{text}`")
        } else if let Some(regex) = self.matches.iter().find(|regex| !matches(regex)) {
            format!("but {searched} does not match `{regex}`")
        } else if let Some(text) = self.refused.iter().find(holds) {
            format!("but {searched} contains `{text}`")
        } else if let Some(regex) = self.refused_matches.iter().find(matches) {
            format!("but {searched} matches `{regex}`")
        } else {
            return None;
        };
        Some((FailReason::UnexpectedBody, why))
    }
}
