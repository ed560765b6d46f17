//! JSONPath: RFC 9535, without what makes its work grow faster than what it looks at.

use serde_json_path::JsonPath;

use super::token::shorten;

/// Longest JSONPath, in bytes.
const MAX_PATH: usize = 300;

/// A JSONPath whose work grows no faster than what it is asked of.
///
/// # Errors
/// When it is none, or would take more.
pub fn json_path(text: &str) -> Result<JsonPath, String> {
    let shown = shorten(text);
    if text.len() > MAX_PATH {
        return Err(format!("a JSONPath is at most {MAX_PATH} bytes long"));
    }
    let mut bare = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(own), c) if own == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) => {
                match c {
                    '[' | '(' => depth += 1,
                    ']' | ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                deepest = deepest.max(depth);
                bare.push(c);
            }
            _ => {}
        }
    }
    let refuse = |why: &str| Err(format!("the JSONPath `{shown}` {why}"));
    if deepest > 8 {
        return refuse("is nested more than 8 deep");
    }
    if bare.matches("..").count() > 1 {
        return refuse("has `..` more than once (once finds what is below already)");
    }
    if bare.matches('$').count() > 1 {
        return refuse("has a second `$` (a filter looks at `@`)");
    }
    if bare.contains(',') {
        return refuse("names several at once (expected one name, number, range, `*` or filter)");
    }
    if bare.contains("match(") || bare.contains("search(") {
        return refuse("calls `match` or `search` (`.exists(i, i.matches(r\"…\"))` does that)");
    }
    JsonPath::parse(text).map_err(|error| {
        format!(
            "`{shown}` is no JSONPath: {} at its character {}",
            error.message(),
            error.position() + 1
        )
    })
}
