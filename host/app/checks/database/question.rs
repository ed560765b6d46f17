//! What to ask a database that has a query language, and what it must answer.

use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::outcome::FailReason;

use super::wire::{Trouble, brief, said};

/// Longest query, in bytes.
const MAX_QUERY: usize = 16 * 1024;

/// Longest part of a query that a message repeats, in bytes.
const MAX_SHOWN: usize = 60;

/// What to ask.
pub(in crate::checks) const QUERY_KEYS: &[Key] = &[
    key(
        "query",
        "\"SELECT 1\"",
        "query = \"SELECT count(*) FROM jobs WHERE stuck\"",
        "What to ask, at most 16 KiB; an answer of more than 1 MiB fails with `too-large`.",
    ),
    key(
        "expect",
        "anything",
        "expect = \"0\"",
        "The text that the first column of the first row must equal, or the check fails with `unexpected-value`.",
    ),
];

/// A query and what it must answer.
pub(in crate::checks) struct Question {
    pub(in crate::checks) text: String,
    /// The query for messages.
    shown: String,
    expect: Option<(String, String)>,
}

/// The first column of the first row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks) enum First {
    /// The query returned no row, or rows without columns.
    Nothing,
    /// An SQL NULL.
    Null,
    /// A value, as text.
    Value(Vec<u8>),
}

impl Question {
    /// Reads the keys.
    pub(in crate::checks) fn read(reader: &mut Reader, problems: &mut Problems) -> Option<Self> {
        let had = reader.has("query");
        let query = reader.parsed("query", problems, |text| {
            let value = text.value.trim();
            if value.is_empty() || value.contains('\0') || value.len() > MAX_QUERY {
                return Err("it is no query (expected a statement of at most 16 KiB)".to_owned());
            }
            Ok((value.to_owned(), shown(text.shown())))
        });
        let expect = reader.text("expect", problems);
        let expect = expect.map(|text| (shown(text.shown()), text.value));
        if had && query.is_none() {
            return None;
        }
        let (text, shown) = query.unwrap_or_else(|| ("SELECT 1".to_owned(), "SELECT 1".to_owned()));
        Some(Self { text, shown, expect })
    }

    /// Judges the answer of a server that calls itself `product`.
    pub(in crate::checks) fn judge(&self, first: &First, product: &str) -> Result<String, Trouble> {
        let answered = format!("answered `{}` ({product})", self.shown);
        let Some((shown, expected)) = &self.expect else { return Ok(answered) };
        let found = match first {
            First::Value(value) if value == expected.as_bytes() => return Ok(answered),
            First::Value(value) => format!("with `{}`", said(value)),
            First::Null => "with NULL".to_owned(),
            First::Nothing => "without a value".to_owned(),
        };
        let message = format!("answered `{}` {found} (expected `{shown}`)", self.shown);
        Err(Trouble::Answer(FailReason::UnexpectedValue, message))
    }
}

/// A configured text in one line and not too long.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    brief(&words.join(" "), MAX_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_compared_whole() {
        let expect = Some(("0".to_owned(), "0".to_owned()));
        let question = Question { text: String::new(), shown: "SELECT 0".to_owned(), expect };
        let judge = |first| question.judge(&first, "X 1");
        assert_eq!(judge(First::Value(b"0".to_vec())), Ok("answered `SELECT 0` (X 1)".to_owned()));
        for (first, says) in [
            (First::Value(b"00".to_vec()), "with `00` (expected `0`)"),
            (First::Null, "with NULL"),
            (First::Nothing, "without a value"),
        ] {
            let Err(Trouble::Answer(FailReason::UnexpectedValue, message)) = judge(first) else {
                panic!("{says}");
            };
            assert!(message.contains(says), "{message}");
        }
    }
}
