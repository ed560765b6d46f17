//! Conditions as tokens: what CEL knows, and durations, sizes and names with `-` besides.
//!
//! Bounded before anything else looks at them: length, number of tokens, nesting. What comes out
//! holds no character that means something else to CEL's own lexer.

use super::Mistake;
use crate::units::{parse_duration, parse_size};

/// Longest condition, in bytes.
pub(super) const MAX_LENGTH: usize = 1_000;

/// Most tokens of a condition.
const MAX_TOKENS: usize = 300;

/// Deepest nesting of parentheses and brackets.
const MAX_NESTING: usize = 12;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A name: letters, digits, `_`, and `-` between them.
    Name(String),
    /// A number, as written.
    Number(String),
    /// A duration, in seconds.
    Duration(f64),
    /// A size, in bytes.
    Size(i64),
    /// A text, without its quotes.
    Text(String),
    /// Anything else.
    Sign(&'static str),
}

/// A token, and where in the condition it begins and ends, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    /// Whether it is this sign.
    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(&self.kind, Kind::Sign(own) if *own == sign)
    }

    /// The name, if it is one.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ",", ".",
    "(", ")", "[", "]",
];

/// Splits a condition.
pub(super) fn split(text: &str) -> Result<Vec<Token>, Mistake> {
    if text.len() > MAX_LENGTH {
        let found = text.len();
        return Err(Mistake::new(
            0,
            format!("it is {found} bytes long (expected at most {MAX_LENGTH})"),
        ));
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if tokens.len() >= MAX_TOKENS {
            let why = format!("it is too long (expected at most {MAX_TOKENS} words and signs)");
            return Err(Mistake::new(at, why));
        }
        let after_dot = tokens.last().is_some_and(|token| token.is("."));
        let rest = &text[at..];
        let (kind, length) = match first {
            '"' | '\'' => quoted(rest, at, false)?,
            'r' if rest[1..].starts_with(['"', '\'']) => {
                let (kind, length) = quoted(&rest[1..], at + 1, true)?;
                (kind, length + 1)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = name_length(rest);
                (Kind::Name(rest[..length].to_owned()), length)
            }
            '0'..='9' if after_dot => {
                return Err(Mistake::new(at, "a name begins with a letter (write `[\"…\"]`)"));
            }
            '0'..='9' => number(rest, at)?,
            _ => sign(rest, at)?,
        };
        if let Kind::Sign(sign) = &kind {
            match *sign {
                "(" | "[" => {
                    open.push(*sign);
                    if open.len() > MAX_NESTING {
                        let why = format!("it is nested more than {MAX_NESTING} deep");
                        return Err(Mistake::new(at, why));
                    }
                }
                ")" | "]" => {
                    let wanted = if *sign == ")" { "(" } else { "[" };
                    if open.pop() != Some(wanted) {
                        return Err(Mistake::new(at, format!("`{sign}` closes nothing")));
                    }
                }
                _ => {}
            }
        }
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    if let Some(sign) = open.pop() {
        return Err(Mistake::new(text.len(), format!("a `{sign}` is not closed")));
    }
    if tokens.is_empty() {
        return Err(Mistake::new(0, "it is empty (expected for example `status >= 500`)"));
    }
    Ok(tokens)
}

/// A `-` belongs to a name if letters or digits stand on both of its sides.
fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut length = 0;
    while word(bytes.get(length))
        || (bytes.get(length) == Some(&b'-') && word(bytes.get(length + 1)))
    {
        length += 1;
    }
    length
}

fn number(text: &str, at: usize) -> Result<(Kind, usize), Mistake> {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count() + from;
    let mut end = digits(0);
    let whole = end;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    let unit = text[end..].find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len() - end);
    if unit == 0 {
        let shown = &text[..end];
        let fits = if end == whole {
            shown.parse::<i64>().is_ok()
        } else {
            shown.parse::<f64>().is_ok_and(f64::is_finite) && shown.len() <= 40
        };
        if !fits {
            return Err(Mistake::new(at, "the number is too large"));
        }
        return Ok((Kind::Number(shown.to_owned()), end));
    }
    let end = end + unit;
    let shown = &text[..end];
    if let Some(duration) = parse_duration(shown) {
        return Ok((Kind::Duration(duration.as_secs_f64()), end));
    }
    if let Some(size) = parse_size(shown).and_then(|size| i64::try_from(size).ok()) {
        return Ok((Kind::Size(size), end));
    }
    let why = format!(
        "`{}` is no number, duration or size (expected for example `5`, `0.5`, `500ms`, `1m30s`, `14d` or `10KiB`)",
        shorten(shown)
    );
    Err(Mistake::new(at, why))
}

fn quoted(text: &str, at: usize, raw: bool) -> Result<(Kind, usize), Mistake> {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, quote)| quote);
    let mut value = String::new();
    while let Some((index, c)) = chars.next() {
        if Some(c) == quote {
            return Ok((Kind::Text(value), index + 1));
        }
        if c != '\\' || raw {
            value.push(c);
            continue;
        }
        let wrong = || {
            let why = "a `\\` stands before something that it does not change (expected `\\\\`, `\\\"`, `\\'`, `\\n`, `\\r`, `\\t` or `\\u0000`; a pattern is best written as r\"…\")";
            Mistake::new(at + index, why)
        };
        value.push(match chars.next().map(|(_, c)| c) {
            Some(c @ ('\\' | '"' | '\'' | '`')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                let code = Some(digits).filter(|digits| digits.len() == 4);
                let code = code.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
                code.and_then(char::from_u32).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        });
    }
    Err(Mistake::new(at, "a text is not closed"))
}

fn sign(text: &str, at: usize) -> Result<(Kind, usize), Mistake> {
    if let Some(sign) = SIGNS.iter().find(|sign| text.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let first: String = text.chars().take(1).collect();
    let hint = match first.as_str() {
        "=" => " (write `==` to compare)",
        "&" => " (write `&&` for and)",
        "|" => " (write `||` for or)",
        "{" | "}" => " (a list is written `[1, 2]`)",
        _ => "",
    };
    Err(Mistake::new(at, format!("`{}` means nothing here{hint}", first.escape_debug())))
}

/// For messages.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(MOST).map(plain).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        split(text).expect("tokens").into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn durations_sizes_and_names_with_hyphens_are_tokens() {
        let name = |name: &str| Kind::Name(name.to_owned());
        assert_eq!(kinds("500ms"), [Kind::Duration(0.5)]);
        assert_eq!(kinds("1m30s"), [Kind::Duration(90.0)]);
        assert_eq!(kinds("10KiB"), [Kind::Size(10_240)]);
        assert_eq!(kinds("0.25"), [Kind::Number("0.25".to_owned())]);
        assert_eq!(kinds("days-left"), [name("days-left")]);
        assert_eq!(kinds("a - b"), [name("a"), Kind::Sign("-"), name("b")]);
        assert_eq!(kinds("a -1"), [name("a"), Kind::Sign("-"), Kind::Number("1".to_owned())]);
        assert_eq!(kinds(r#"'2s' "a\"b" r"\d""#).len(), 3);
        assert_eq!(kinds(r#"r"\d""#), [Kind::Text("\\d".to_owned())]);
        assert_eq!(kinds("r == 1")[0], name("r"));
    }

    #[test]
    fn mistakes_say_where_they_are() {
        let nested = "(".repeat(20);
        let cases = [
            ("", 0, "it is empty"),
            ("status = 1", 7, "write `==`"),
            ("a & b", 2, "write `&&`"),
            ("5 parsecs > 2x", 12, "`2x` is no number"),
            ("99999999999999999999 > 1", 0, "too large"),
            ("a == 'b", 5, "not closed"),
            (r#"a.matches("\d")"#, 11, "r\"…\""),
            ("(a", 2, "not closed"),
            ("a)", 1, "closes nothing"),
            (&nested, 12, "nested"),
            ("ä > 1", 0, "means nothing"),
        ];
        for (text, at, says) in cases {
            let mistake = split(text).expect_err(text);
            assert_eq!(mistake.at, at, "{text}: {}", mistake.why);
            assert!(mistake.why.contains(says), "{text}: {}", mistake.why);
        }
    }
}
