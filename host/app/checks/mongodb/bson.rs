//! As much of BSON as a few commands and the top level of their answers take.
//!
//! A document is its length, elements (type, name, value) and a NUL. Nested documents are stepped
//! over by their length, so that depth costs nothing, and a value of a type that we do not know ends
//! the search.

use serde_json::Value as Json;

/// A document that is being written.
#[derive(Debug, Default)]
pub(super) struct Document(Vec<u8>);

impl Document {
    /// `{ name: 1, $db: database }`.
    pub(super) fn command(name: &str, database: &str) -> Self {
        Self::default().integer(name, 1).text("$db", database)
    }

    fn element(mut self, kind: u8, name: &str, value: &[&[u8]]) -> Self {
        self.0.push(kind);
        self.0.extend(name.as_bytes());
        self.0.push(0);
        self.0.extend(value.concat());
        self
    }

    pub(super) fn integer(self, name: &str, value: i32) -> Self {
        self.element(0x10, name, &[&value.to_le_bytes()])
    }

    pub(super) fn boolean(self, name: &str, value: bool) -> Self {
        self.element(0x08, name, &[&[u8::from(value)]])
    }

    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.element(0x02, name, &[&length(value.len() + 1), value.as_bytes(), &[0]])
    }

    pub(super) fn binary(self, name: &str, value: &[u8]) -> Self {
        self.element(0x05, name, &[&length(value.len()), &[0], value])
    }

    pub(super) fn document(self, name: &str, value: Self) -> Self {
        self.element(0x03, name, &[&value.finish()])
    }

    pub(super) fn finish(self) -> Vec<u8> {
        [&length(self.0.len() + 5)[..], &self.0, &[0]].concat()
    }
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).expect("commands are short").to_le_bytes()
}

/// Whether these bytes are one document, as far as its frame tells.
pub(super) fn is_document(bytes: &[u8]) -> bool {
    let Some((head, _)) = bytes.split_first_chunk() else { return false };
    bytes.len() >= 5
        && usize::try_from(i32::from_le_bytes(*head)) == Ok(bytes.len())
        && bytes.last() == Some(&0)
}

/// The top level of a document that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a>(pub(super) &'a [u8]);

/// An element of the types that matter here, others in bytes.
type Element<'a> = (u8, &'a [u8]);

impl<'a> Answer<'a> {
    /// The first element of that name.
    fn find(self, wanted: &str) -> Option<Element<'a>> {
        let mut rest = self.0.get(4..self.0.len().checked_sub(1)?)?;
        while let Some((kind, tail)) = rest.split_first() {
            let end = tail.iter().position(|byte| *byte == 0)?;
            let (name, tail) = (&tail[..end], &tail[end + 1..]);
            let (value, tail) = tail.split_at_checked(size(*kind, tail)?)?;
            if name == wanted.as_bytes() {
                return Some((*kind, value));
            }
            rest = tail;
        }
        None
    }

    pub(super) fn boolean(self, name: &str) -> Option<bool> {
        match self.find(name)? {
            (0x08, [value]) => Some(*value != 0),
            _ => None,
        }
    }

    /// A whole number of 32 bits, in whichever type it comes.
    pub(super) fn integer(self, name: &str) -> Option<i32> {
        let (kind, value) = self.find(name)?;
        match kind {
            0x10 => Some(i32::from_le_bytes(value.try_into().ok()?)),
            0x12 => i32::try_from(i64::from_le_bytes(value.try_into().ok()?)).ok(),
            0x01 => {
                let number = f64::from_le_bytes(value.try_into().ok()?);
                #[expect(clippy::cast_possible_truncation, reason = "it is compared afterwards")]
                Some(number as i32).filter(|whole| f64::from(*whole) == number)
            }
            _ => None,
        }
    }

    pub(super) fn text(self, name: &str) -> Option<&'a [u8]> {
        match self.find(name)? {
            (0x02, value) => value.get(4..value.len().checked_sub(1)?),
            _ => None,
        }
    }

    pub(super) fn binary(self, name: &str) -> Option<&'a [u8]> {
        match self.find(name)? {
            (0x05, value) => value.get(5..),
            _ => None,
        }
    }

    /// `ok: 1`, in whichever type it comes.
    pub(super) fn is_ok(self) -> bool {
        self.integer("ok") == Some(1) || self.boolean("ok") == Some(true)
    }
}

impl Answer<'_> {
    /// As JSON, as far as its types are known here and not nested too deep.
    pub(super) fn to_json(self) -> Json {
        Json::Object(self.members(0).collect())
    }

    fn members(self, depth: usize) -> impl Iterator<Item = (String, Json)> {
        let end = self.0.len().saturating_sub(1);
        let mut rest = self.0.get(4..end).unwrap_or_default();
        std::iter::from_fn(move || {
            let (kind, tail) = rest.split_first()?;
            let end = tail.iter().position(|byte| *byte == 0)?;
            let (name, tail) = (&tail[..end], &tail[end + 1..]);
            let (value, tail) = tail.split_at_checked(size(*kind, tail)?)?;
            rest = tail;
            Some((String::from_utf8_lossy(name).into_owned(), value_json(*kind, value, depth)))
        })
    }
}

/// Deepest nesting of documents that is read.
const MAX_DEPTH: usize = 16;

fn value_json(kind: u8, value: &[u8], depth: usize) -> Json {
    let eight = || value.first_chunk().copied().unwrap_or_default();
    match kind {
        0x01 => f64::from_le_bytes(eight()).into(),
        0x02 => {
            let text = value.get(4..value.len().saturating_sub(1)).unwrap_or_default();
            String::from_utf8_lossy(text).into()
        }
        0x03 | 0x04 if depth < MAX_DEPTH => {
            let members = Answer(value).members(depth + 1);
            if kind == 0x04 {
                Json::Array(members.map(|(_, value)| value).collect())
            } else {
                Json::Object(members.collect())
            }
        }
        0x08 => (value.first() == Some(&1)).into(),
        0x10 => value.first_chunk().map_or(Json::Null, |four| i32::from_le_bytes(*four).into()),
        // Dates are milliseconds.
        0x09 | 0x11 | 0x12 => i64::from_le_bytes(eight()).into(),
        _ => Json::Null,
    }
}

/// How many bytes a value takes.
fn size(kind: u8, bytes: &[u8]) -> Option<usize> {
    let announced = || {
        let number = i32::from_le_bytes(*bytes.first_chunk()?);
        usize::try_from(number).ok()
    };
    match kind {
        // Undefined and null, the smallest and the largest key.
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        // A number, a date, a timestamp, a long number.
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        0x02 => announced()?.checked_add(4).filter(|size| *size >= 5),
        0x03 | 0x04 => announced().filter(|size| *size >= 5),
        0x05 => announced()?.checked_add(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        Document::default()
            .boolean("isWritablePrimary", true)
            .document("topologyVersion", Document::default().integer("ok", 0).text("x", "y"))
            .text("setName", "rs0")
            .binary("payload", b"r=abc")
            .integer("code", 18)
            .element(0x01, "ok", &[&1.0_f64.to_le_bytes()])
            .finish()
    }

    #[test]
    fn the_smallest_command_has_the_bytes_of_the_specification() {
        let bytes = Document::default().text("hello", "world").finish();
        assert_eq!(bytes, b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00");
    }

    #[test]
    fn what_is_written_is_found_at_the_top_level() {
        let bytes = sample();
        assert!(is_document(&bytes));
        let answer = Answer(&bytes);
        assert_eq!(answer.boolean("isWritablePrimary"), Some(true));
        assert_eq!(answer.text("setName"), Some(&b"rs0"[..]));
        assert_eq!(answer.binary("payload"), Some(&b"r=abc"[..]));
        assert_eq!(answer.integer("code"), Some(18));
        assert!(answer.is_ok(), "the inner `ok` is another one");
        assert_eq!(answer.text("x"), None, "inner documents are not looked at");
        assert_eq!(answer.text("code"), None, "another type");
    }

    #[test]
    fn a_document_is_read_as_json() {
        let bytes = sample();
        let expected = serde_json::json!({
            "isWritablePrimary": true, "topologyVersion": { "ok": 0, "x": "y" }, "setName": "rs0",
            "payload": null, "code": 18, "ok": 1.0,
        });
        assert_eq!(Answer(&bytes).to_json(), expected);
        let deep =
            (0..40).fold(Document::default(), |inner, _| Document::default().document("a", inner));
        assert!(Answer(&deep.finish()).to_json().to_string().len() < 120);
    }

    #[test]
    fn broken_documents_are_searched_without_a_panic() {
        let good = sample();
        let look = |bytes: &[u8]| {
            let answer = Answer(bytes);
            answer.to_json();
            for name in ["ok", "setName", "payload", "code", "none", ""] {
                let _ = (answer.boolean(name), answer.integer(name), answer.text(name));
                let _ = (answer.binary(name), answer.is_ok());
            }
        };
        for end in 0..good.len() {
            look(&good[..end]);
            assert!(!is_document(&good[..end]), "{end}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 2, 5, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                look(&bytes);
            }
        }
    }
}
