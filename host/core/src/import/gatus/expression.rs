//! Conditions of Gatus about JSON, as conditions of ours: what must hold there fails here when it
//! does not.
//!
//! Gatus compares texts; ours compare what JSON holds, so that a number in quotes is no number. What
//! is not there fails with `==` and holds with `!=`, in both.

use std::fmt::Write as _;

use super::text;
use crate::import::http::escaped;

/// The note that goes with the first of them.
pub(super) const JSON_NOTE: &str = "conditions on JSON compare what it holds: a number in quotes is a text, and no number (Gatus compares both as text)";

/// The condition that is met when a condition on the body does not hold.
pub(in crate::import) fn fails(left: &str, comparator: &str, right: &str) -> Option<String> {
    if text::varies(right) {
        return None;
    }
    let right = text::plain(right);
    let inner = |function: &str| {
        let begins = left.get(..function.len()).is_some_and(|l| l.eq_ignore_ascii_case(function));
        if begins { left[function.len()..].strip_suffix(')').map(str::trim) } else { None }
    };
    if let Some(inner) = inner("has(") {
        let path = path(inner)?;
        return Some(match (comparator, right.as_str()) {
            ("==", "true") | ("!=", "false") => format!("!has({path})"),
            ("==", "false") | ("!=", "true") => format!("has({path})"),
            _ => return None,
        });
    }
    if let Some(inner) = inner("len(") {
        let length: i64 = right.parse().ok()?;
        return Some(format!("{}.size() {} {length}", path(inner)?, opposite(comparator)));
    }
    let path = path(left)?;
    let guarded = |condition: String| match comparator {
        "!=" => format!("has({path}) && {condition}"),
        _ => condition,
    };
    if let Some(list) = right.strip_prefix("any(").and_then(|list| list.strip_suffix(')')) {
        let list: Vec<String> = list.split(',').map(|value| literal(value.trim())).collect();
        let list = list.join(", ");
        return match comparator {
            "==" => Some(format!("!({path} in [{list}])")),
            "!=" => Some(guarded(format!("{path} in [{list}]"))),
            _ => None,
        };
    }
    if let Some(glob) = right.strip_prefix("pat(").and_then(|glob| glob.strip_suffix(')')) {
        if glob.contains(['[', '\\']) {
            return None;
        }
        let matches = format!("string({path}).matches({})", quoted(&regex(glob)));
        return match comparator {
            "==" => Some(format!("!{matches}")),
            "!=" => Some(guarded(matches)),
            _ => None,
        };
    }
    if right.starts_with('[') || right.contains('(') {
        return None;
    }
    let value = literal(&right);
    let is_number = right.parse::<f64>().is_ok_and(f64::is_finite);
    match comparator {
        "==" | "!=" => Some(guarded(format!("{path} {} {value}", opposite(comparator)))),
        _ if is_number => Some(format!("{path} {} {value}", opposite(comparator))),
        _ => None,
    }
}

fn opposite(comparator: &str) -> &'static str {
    match comparator {
        "==" => "!=",
        "!=" => "==",
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        _ => "<",
    }
}

/// `[BODY].items[0].id` as `json.items[0].id`.
pub(in crate::import) fn path(left: &str) -> Option<String> {
    let begins = left.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("[BODY]"));
    let mut rest = if begins { &left[6..] } else { return None };
    if rest.is_empty() {
        return None;
    }
    let mut path = "json".to_owned();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            let _ = write!(path, "[{}]", index.parse::<u32>().ok()?);
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || !name.chars().all(fits) {
                return None;
            }
            let _ = write!(path, ".{name}");
            rest = &rest[end..];
        }
    }
    Some(path)
}

/// A value as conditions write it: a number, `true`, `false`, `null`, or a text.
fn literal(value: &str) -> String {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite)
        && value.chars().all(plain)
        && value.ends_with(|c: char| c.is_ascii_digit())
        && value.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
        && value.len() <= 18;
    match value {
        "true" | "false" | "null" => value.to_owned(),
        _ if is_number => value.to_owned(),
        _ => quoted(value.trim_matches('"')),
    }
}

/// A text in quotes.
pub(in crate::import) fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

fn regex(glob: &str) -> String {
    let mut regex = String::from("(?s)^");
    for c in glob.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            c => regex.push_str(&escaped(&c.to_string())),
        }
    }
    regex + "$"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_json_are_turned_around() {
        let cases = [
            ("[BODY].status", "==", "UP", Some("json.status != 'UP'")),
            ("[BODY].status", "!=", "DOWN", Some("has(json.status) && json.status == 'DOWN'")),
            ("[body].a.b[0].c", ">", "18", Some("json.a.b[0].c <= 18")),
            ("[BODY][1].ok", "==", "true", Some("json[1].ok != true")),
            ("[BODY].name", "==", "any(a, 2)", Some("!(json.name in ['a', 2])")),
            ("[BODY].name", "==", "pat(jo*)", Some("!string(json.name).matches('(?s)^jo.*$')")),
            ("len([BODY].items)", ">=", "3", Some("json.items.size() < 3")),
            ("has([BODY].errors)", "==", "false", Some("has(json.errors)")),
            ("has([BODY].data.id)", "==", "true", Some("!has(json.data.id)")),
            ("[BODY].v", "==", "it's", Some("json.v != 'it\\'s'")),
            ("[BODY].v", "==", "1.2.3", Some("json.v != '1.2.3'")),
            ("[BODY].v", "<", "abc", None),
            ("[BODY].v", "==", "$VAR", None),
            ("[BODY].v", "==", "[CONTEXT].x", None),
            ("[BODY].a b", "==", "1", None),
            ("[BODY]", "==", "1", None),
            ("[STATUS]", "==", "1", None),
        ];
        for (left, comparator, right, expected) in cases {
            assert_eq!(fails(left, comparator, right).as_deref(), expected, "{left}");
        }
    }
}
