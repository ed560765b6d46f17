//! Values in messages: short, in one line, with the unit that a fact has.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString};
use cel::common::value::Val;

use super::types::Type;
use crate::units::{count, show_size};

/// Longest text that is shown, in characters.
const MAX_TEXT: usize = 80;

/// A value, as far as it is shown.
pub(super) fn shown(value: &dyn Val, kind: &Type) -> String {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return quoted(text.inner());
    }
    if let Some(value) = value.downcast_ref::<CelBool>() {
        return value.inner().to_string();
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return match (kind, u64::try_from(*number.inner())) {
            (Type::Size, Ok(bytes)) => show_size(bytes),
            _ => number.inner().to_string(),
        };
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return match kind {
            Type::Duration => seconds(*number.inner()),
            _ => rounded(*number.inner(), 3),
        };
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return "null".to_owned();
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let length = list.inner().len();
        let mut shown: Vec<String> = list
            .inner()
            .iter()
            .take(3)
            .map(|item| self::shown(item.as_ref(), &Type::Any))
            .collect();
        if length > 3 {
            shown.push(format!("… {} in all", count(length, "item")));
        }
        return cut(&format!("[{}]", shown.join(", ")), 2 * MAX_TEXT);
    }
    // JSON shows itself, and is short.
    format!("{value:?}")
}

/// A number of seconds as people write it.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s.abs() < 1e-3 => format!("{}us", rounded(s * 1e6, 0)),
        s if s.abs() < 1.0 => format!("{}ms", rounded(s * 1e3, 1)),
        s if s.abs() < 120.0 => format!("{}s", rounded(s, 2)),
        s if s.abs() < 7_200.0 => format!("{}m", rounded(s / 60.0, 1)),
        s if s.abs() < 172_800.0 => format!("{}h", rounded(s / 3_600.0, 1)),
        s => format!("{}d", rounded(s / 86_400.0, 1)),
    }
}

/// A number with so many decimals at most.
pub(super) fn rounded(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_TEXT).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("\"{}\"", shown.escape_debug())
}

/// A text of so many characters at most, in one line.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String =
        text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
