//! Text that a guest wrote, made fit to be shown: one line, no control characters, bounded.

use std::fmt::Write as _;

/// Escapes what a terminal, a log or a page could take for more than text, and cuts at `max` bytes.
///
/// Returns whether something was cut.
pub fn clean(text: &mut String, max: usize) -> bool {
    if text.len() <= max && !text.chars().any(is_unsafe) {
        return false;
    }
    let mut out = String::with_capacity(text.len().min(max) + 8);
    let mut cut = false;
    for c in text.chars() {
        let before = out.len();
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push(' '),
            c if is_unsafe(c) => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
        if out.len() > max {
            out.truncate(before);
            cut = true;
            break;
        }
    }
    if cut {
        out.push('…');
    }
    *text = out;
    cut
}

/// The same for a text that is not ours to change.
pub fn cleaned(text: &str, max: usize) -> String {
    let mut text = text.to_owned();
    clean(&mut text, max);
    text
}

/// Control characters, line separators, and what reorders or hides text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A number of bytes as people write it.
pub(crate) fn bytes(count: usize) -> String {
    const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if count >= size && count.is_multiple_of(size) {
            return format!("{} {unit}", count / size);
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_control_characters() {
        assert_eq!(cleaned("a\r\nb\tc\u{1b}[31m", 100), "a\\r\\nb c\\u{1b}[31m");
        assert_eq!(cleaned("a\u{202e}b\u{2028}c\u{85}", 100), "a\\u{202e}b\\u{2028}c\\u{85}");
        assert_eq!(cleaned("grün ✓", 100), "grün ✓");
    }

    #[test]
    fn cut_at_a_character() {
        let mut text = "ä".repeat(10);
        assert!(clean(&mut text, 5));
        assert_eq!(text, "ää…");
        let mut exact = "abc".to_owned();
        assert!(!clean(&mut exact, 3));
        let mut escaped = "a\n".to_owned();
        assert!(clean(&mut escaped, 2));
        assert_eq!(escaped, "a…");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(1000), "1000 bytes");
        assert_eq!(bytes(1 << 30), "1 GiB");
    }
}
