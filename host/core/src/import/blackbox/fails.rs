//! What makes a probe of blackbox_exporter fail, as conditions of ours.

use super::http::LIMIT_NOTE;
use crate::condition::{Conditions, MAX_CONDITIONS, Severity};
use crate::fact::{FactKey, Shape, fact};
use crate::import::context::{Context, Fields, shown};
use crate::import::http::Request;
use crate::import::write::{Item, Text};
use crate::import::yaml::{Mark, Node};

/// What these conditions are over.
const FACTS: &[FactKey] = &[
    fact("body", Shape::Text, ""),
    fact("json", Shape::Json, ""),
    fact("header.*", Shape::Text, ""),
];

/// Reads the keys that say when a probe fails.
pub(super) fn read(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let what = fields.what().to_owned();
    let mut add = |text: String, mark: Mark, key: &str, context: &mut Context<'_>| {
        let compiled = Conditions::default().add(&text, &text, Severity::Fail, &[FACTS]);
        let why = match compiled {
            Ok(()) if request.fail.len() < MAX_CONDITIONS => {
                request.fail.push(Text::literal(&text));
                return;
            }
            Ok(()) => format!("a check has at most {MAX_CONDITIONS} conditions"),
            Err(mistake) => format!("`{}` is no condition here: {}", shown(&text), mistake.why),
        };
        context.note(mark, format!("`{key}` of {what} is left out: {why}"));
    };
    let tls = fields.boolean("fail_if_not_ssl", context).filter(|(fails, _)| *fails);
    let plain = fields.boolean("fail_if_ssl", context).filter(|(fails, _)| *fails);
    match (tls, plain) {
        (Some(_), None) => request.further.push(("expect-tls", Item::from(true))),
        (None, Some(_)) => request.further.push(("expect-tls", Item::from(false))),
        (Some((_, mark)), Some((_, other))) => {
            let why = "a probe that fails with TLS and without it never passes";
            context.note(mark, format!("`fail_if_not_ssl` of {what} is left out: {why}"));
            context.note(other, format!("`fail_if_ssl` of {what} is left out: {why}"));
        }
        (None, None) => {}
    }
    let of_json =
        [("fail_if_body_json_matches_cel", true), ("fail_if_body_json_not_matches_cel", false)];
    for (key, holds) in of_json {
        if let Some((text, mark)) = fields.text(key, context) {
            let text = over_json(text);
            add(if holds { text } else { format!("!({text})") }, mark, key, context);
            context.note_once(mark, LIMIT_NOTE);
        }
    }
    let key = "fail_if_body_matches_regexp";
    if let Some((patterns, _)) = fields.texts(key, context) {
        for (pattern, mark) in patterns {
            add(format!("body.matches({})", quoted(pattern)), mark, key, context);
            context.note_once(mark, LIMIT_NOTE);
        }
    }
    for (key, holds) in [("fail_if_header_matches", true), ("fail_if_header_not_matches", false)] {
        let Some((list, _)) = fields.list(key, context) else { continue };
        for node in list {
            if let Some(condition) = header(node, key, holds, context) {
                add(condition, node.mark, key, context);
            }
        }
    }
}

/// A header that is not there fails, unless it may be missing.
fn header(node: &Node, key: &str, holds: bool, context: &mut Context<'_>) -> Option<String> {
    let mut entry = Fields::of(node, format!("an entry of `{key}`"), context)?;
    let name = entry.text("header", context).map(|(name, _)| name.to_ascii_lowercase());
    let pattern = entry.text("regexp", context).map(|(pattern, _)| pattern);
    let missing = entry.boolean("allow_missing", context).is_some_and(|(missing, _)| missing);
    entry.finish(context);
    let (Some(name), Some(pattern)) = (name, pattern) else {
        context.error(node.mark, format!("an entry of `{key}` has no `header` or no `regexp`"));
        return None;
    };
    let name = quoted(&name);
    let not = if holds { "" } else { "!" };
    let matches = format!("{not}header[{name}].matches({})", quoted(pattern));
    Some(if missing { format!("has(header[{name}]) && {matches}") } else { matches })
}

/// `body` is the JSON there, and `json` here.
fn over_json(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut rest = text;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(c) = rest.chars().next() {
        let before = out.chars().next_back();
        let begins = quote.is_none() && !before.is_some_and(|c| word(c) || c == '.');
        if begins && let Some(after) = rest.strip_prefix("body").filter(|r| !r.starts_with(word)) {
            out.push_str("json");
            rest = after;
            continue;
        }
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(own), c) if own == c && before != Some('\\') => quote = None,
            _ => {}
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.trim().to_owned()
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_cel_is_our_json() {
        let cases = [
            ("body.a == 1", "json.a == 1"),
            ("'body.a' == body.body && !has(body.x)", "'body.a' == json.body && !has(json.x)"),
            ("somebody.a == body_", "somebody.a == body_"),
        ];
        for (text, expected) in cases {
            assert_eq!(over_json(text), expected);
        }
    }
}
