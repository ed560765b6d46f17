//! Conditions of Gatus, as far as our kinds have keys for them.
//!
//! Several conditions about the status are one set of codes: all of them must hold.

use std::net::IpAddr;
use std::time::Duration;

use crate::import::context::{Context, shown};
use crate::import::http::{BODY_NOTE, escaped, ranges};
use crate::import::timing;
use crate::import::write::Text;
use crate::import::yaml::Mark;

use super::{expression, text};

/// What the conditions of one endpoint come to.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    statuses: Vec<Condition>,
    /// The answer must come within it.
    pub(super) within: Option<(Duration, Mark)>,
    pub(super) contains: Vec<Text>,
    pub(super) matches: Vec<Text>,
    /// Conditions of ours, one of which must not be met.
    pub(super) fail: Vec<Text>,
    /// Whether nothing may answer.
    pub(super) unconnected: Option<Mark>,
    /// Where the first condition about the status stands.
    pub(super) status_mark: Option<Mark>,
}

/// A comparison with a number.
#[derive(Debug, Clone)]
struct Condition {
    comparator: &'static str,
    /// More than one with `any(...)`.
    values: Vec<i64>,
}

impl Condition {
    fn holds(&self, status: i64) -> bool {
        let first = self.values.first().copied().unwrap_or_default();
        match self.comparator {
            "==" => self.values.contains(&status),
            "!=" => !self.values.contains(&status),
            "<=" => status <= first,
            ">=" => status >= first,
            ">" => status > first,
            _ => status < first,
        }
    }
}

/// In the order in which Gatus looks for them.
const COMPARATORS: &[&str] = &["==", "!=", "<=", ">=", ">", "<"];

impl Conditions {
    /// The codes that meet all conditions; every code where there are none.
    pub(super) fn statuses(&self) -> Vec<(i64, i64)> {
        ranges(|status| self.statuses.iter().all(|condition| condition.holds(status)))
    }

    /// Takes one condition.
    pub(super) fn add(
        &mut self,
        condition: &str,
        mark: Mark,
        what: &str,
        context: &mut Context<'_>,
    ) {
        let split = COMPARATORS.iter().find_map(|comparator| {
            let (left, right) = condition.split_once(&format!(" {comparator} "))?;
            Some((left.trim(), *comparator, right.trim()))
        });
        let Some((left, comparator, right)) = split else {
            let message = format!(
                "`{}` of {what} is no condition (expected for example `[STATUS] == 200`)",
                shown(condition)
            );
            context.error(mark, message);
            return;
        };
        // `200 == [STATUS]` says the same.
        let turned = right.starts_with('[') && !left.starts_with('[');
        let (left, comparator, right) =
            if turned { (right, mirrored(comparator), left) } else { (left, comparator, right) };
        let taken = match left.to_ascii_uppercase().as_str() {
            "[STATUS]" => self.status(comparator, right, mark),
            "[CONNECTED]" => match (comparator, right) {
                ("==", "true") | ("!=", "false") => true,
                ("==", "false") | ("!=", "true") => {
                    self.unconnected = Some(mark);
                    true
                }
                _ => false,
            },
            "[RESPONSE_TIME]" => self.response_time(comparator, right, mark),
            "[BODY]" => self.body(comparator, right, mark, what, context),
            "[CERTIFICATE_EXPIRATION]" => self.certificate(comparator, right),
            "[IP]" => self.address(comparator, right),
            "[DNS_RCODE]" => {
                let how = if comparator == "==" { "!=" } else { "==" };
                let plain = right.bytes().all(|b| b.is_ascii_alphanumeric());
                let fits = plain && matches!(comparator, "==" | "!=");
                if fits {
                    self.fail(format!("code {how} '{right}'"));
                }
                fits
            }
            _ => self.json(left, comparator, right, mark, context),
        };
        if !taken {
            let why = reason(left);
            let message =
                format!("the condition `{}` of {what} is left out: {why}", shown(condition));
            context.note(mark, message);
        }
    }

    fn status(&mut self, comparator: &'static str, right: &str, mark: Mark) -> bool {
        let any = right.strip_prefix("any(").and_then(|list| list.strip_suffix(')'));
        let values: Option<Vec<i64>> = match (any, comparator) {
            (Some(list), "==" | "!=") => list.split(',').map(|n| n.trim().parse().ok()).collect(),
            _ => right.parse().ok().map(|n| vec![n]),
        };
        let Some(values) = values.or_else(|| wildcard(comparator, right)) else { return false };
        self.statuses.push(Condition { comparator, values });
        self.status_mark.get_or_insert(mark);
        true
    }

    fn response_time(&mut self, comparator: &str, right: &str, mark: Mark) -> bool {
        let milliseconds = right.parse().ok().map(Duration::from_millis);
        let Some(limit) = milliseconds.or_else(|| timing::parse(right)) else { return false };
        match comparator {
            "<" | "<=" => {
                if self.within.is_none_or(|(least, _)| limit < least) {
                    self.within = Some((limit, mark));
                }
            }
            ">" | ">=" => {
                let how = if comparator == ">" { "<=" } else { "<" };
                self.fail(format!("latency {how} {}", timing::show(limit)));
            }
            _ => return false,
        }
        true
    }

    fn fail(&mut self, condition: impl AsRef<str>) {
        self.fail.push(Text::literal(condition));
    }

    fn json(
        &mut self,
        left: &str,
        comparator: &str,
        right: &str,
        mark: Mark,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(fails) = expression::fails(left, comparator, right) else { return false };
        context.note_once(mark, expression::JSON_NOTE);
        self.fail(fails);
        true
    }

    /// Where the connection went, which is a detail of the run.
    fn address(&mut self, comparator: &str, right: &str) -> bool {
        let Ok(address) = right.parse::<IpAddr>() else { return false };
        let begin = match address {
            IpAddr::V4(address) => format!("'{address}:'"),
            IpAddr::V6(address) => format!("'[{address}]:'"),
        };
        match comparator {
            "==" => self.fail(format!("!detail.peer.startsWith({begin})")),
            "!=" => self.fail(format!("detail.peer.startsWith({begin})")),
            _ => return false,
        }
        true
    }

    fn body(
        &mut self,
        comparator: &str,
        right: &str,
        mark: Mark,
        what: &str,
        context: &mut Context<'_>,
    ) -> bool {
        let is_pattern = right.starts_with("pat(") && right.ends_with(')');
        let varies = text::varies(right) && !is_pattern;
        if comparator == "!=" && !right.starts_with('[') && !right.contains('(') && !varies {
            let pattern = format!("^\\s*{}\\s*$", escaped(&text::plain(right)));
            self.fail(format!("body.matches({})", expression::quoted(&pattern)));
            context.note_once(mark, BODY_NOTE);
            return true;
        }
        if comparator != "==" || right.starts_with('[') || varies {
            return false;
        }
        if let Some(list) = right.strip_prefix("any(").and_then(|list| list.strip_suffix(')')) {
            let any: Vec<String> = list.split(',').map(|text| escaped(text.trim())).collect();
            self.matches.push(Text::literal(format!("^\\s*(?:{})\\s*$", any.join("|"))));
        } else if let Some(glob) = right.strip_prefix("pat(").and_then(|p| p.strip_suffix(')')) {
            let inner = glob.strip_prefix('*').and_then(|glob| glob.strip_suffix('*'));
            match inner {
                _ if glob.is_empty() || glob.contains(['[', '\\']) => return false,
                // Such a pattern matches everything.
                None if glob == "*" => return true,
                Some("") => return true,
                Some(inner) if !inner.contains(['*', '?']) => {
                    self.contains.push(text::text(inner, mark, what, context));
                }
                // A variable's value would be taken for a part of the pattern.
                _ if text::varies(glob) => return false,
                _ => self.matches.push(Text::literal(as_regex(&text::plain(glob)))),
            }
        } else {
            self.matches.push(Text::literal(format!("^\\s*{}\\s*$", escaped(&text::plain(right)))));
        }
        context.note_once(mark, BODY_NOTE);
        true
    }

    fn certificate(&mut self, comparator: &str, right: &str) -> bool {
        let Some(least) = timing::parse(right) else { return false };
        let days = least.as_secs_f64() / 86_400.0;
        let how = match comparator {
            ">" => "<=",
            ">=" => "<",
            "<" => ">=",
            "<=" => ">",
            _ => return false,
        };
        let days = format!("{days:.3}");
        let days = days.trim_end_matches('0').trim_end_matches('.');
        self.fail(format!("certificate.days-left {how} {days}"));
        true
    }
}

fn mirrored(comparator: &'static str) -> &'static str {
    match comparator {
        "<=" => ">=",
        ">=" => "<=",
        ">" => "<",
        "<" => ">",
        same => same,
    }
}

/// `pat(2*)`: all codes that begin so.
fn wildcard(comparator: &str, right: &str) -> Option<Vec<i64>> {
    let glob = right.strip_prefix("pat(")?.strip_suffix(')')?;
    let digits = glob.trim_end_matches(['*', '?']);
    let fits = matches!(comparator, "==" | "!=")
        && !digits.is_empty()
        && digits.len() <= 3
        && digits.bytes().all(|b| b.is_ascii_digit());
    let tail = &glob[digits.len()..];
    let full = tail == "*" || digits.len() + tail.len() == 3 && !tail.contains('*');
    let codes = (100..=999).filter(|code: &i64| code.to_string().starts_with(digits));
    (fits && full).then(|| codes.collect())
}

/// Why there is no key for it.
fn reason(left: &str) -> &'static str {
    let upper = left.to_ascii_uppercase();
    let says = |word: &str| upper.contains(word);
    if says("[BODY].") || says("[BODY][") || upper.starts_with("LEN(") || upper.starts_with("HAS(")
    {
        "nothing here says the same of JSON; `fail` takes conditions on it"
    } else if says("[BODY]") {
        "nothing here says the same of a body; `fail` takes conditions on it"
    } else if says("[IP]") {
        "an address is compared with one address; `address-family` chooses among them"
    } else if says("[DOMAIN_EXPIRATION]") {
        "registries of domains are not asked; a plugin can do it"
    } else if says("[DNS_RCODE]") {
        "it is no name of a code"
    } else if says("[RESPONSE_TIME]") {
        "it is no duration (write a condition on `latency`)"
    } else if says("[CERTIFICATE_EXPIRATION]") {
        "it is no duration (write a condition on `certificate.days-left`)"
    } else if says("[CONNECTED]") {
        "it is neither true nor false (`invert` lets a check pass where nothing answers)"
    } else if says("[CONTEXT]") {
        "no check hands what it read to another"
    } else {
        "there is no key for it"
    }
}

/// A pattern with `*` and `?` as a regular expression for the whole body.
fn as_regex(glob: &str) -> String {
    // Slashes count for nothing there, in the pattern as in the body.
    let mut regex = String::from("(?s)^\\s*");
    for c in glob.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            c => regex.push_str(&escaped(&c.to_string())),
        }
    }
    regex + "\\s*$"
}
