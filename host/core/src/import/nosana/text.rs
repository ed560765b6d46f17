//! Writes values as TOML, so that they come back as they were.

use std::fmt::Write;
use std::time::Duration;

/// A string. `${...}` in it stays what it is: a file of somebody else's names no variables of ours.
pub(super) fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${");
    let literal = |c: char| c != '\'' && !c.is_control();
    if text.contains(['"', '\\']) && text.chars().all(literal) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key: bare where that is allowed.
pub(super) fn key(text: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.bytes().all(bare) {
        return text.to_owned();
    }
    // Nothing is replaced in keys.
    quoted(text).replace("$${", "${")
}

/// A list of strings.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// A table in one line.
pub(super) fn inline<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, text)| format!("{} = {}", key(name), quoted(text))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A duration, exactly.
pub(super) fn duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("\"{}s\"", duration.as_secs())
    } else {
        format!("\"{}ms\"", duration.as_millis())
    }
}

/// The text without control characters, of at most so many bytes.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if out.len() + character.len_utf8() + '…'.len_utf8() > most {
            out.push('…');
            break;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_written_as_a_person_would() {
        for (text, written) in [
            ("plain", "\"plain\""),
            ("{\"ping\":true}", "'{\"ping\":true}'"),
            ("it's \"so\"", "\"it's \\\"so\\\"\""),
            ("a\nb\u{7f}", "\"a\\nb\\u007F\""),
            ("${HOME} $${X}", "\"$${HOME} $$${X}\""),
        ] {
            assert_eq!(quoted(text), written);
        }
        assert_eq!(key("X-Probe"), "X-Probe");
        assert_eq!(key("a b"), "\"a b\"");
        assert_eq!(duration(Duration::from_secs(90)), "\"90s\"");
        assert_eq!(duration(Duration::from_millis(250)), "\"250ms\"");
        assert_eq!(short("äöü", 6), "ä…");
        assert_eq!(short("a\nb", 20), "a b");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: String, name: String) {
            let line = format!("{} = {}", key(&name), quoted(&text));
            let table: toml::Table = line.parse().expect("it is TOML");
            let found = table[&name].as_str().expect("a string");
            // What the configuration makes of it.
            prop_assert_eq!(found.replace("$${", "${"), text);
        }
    }
}
