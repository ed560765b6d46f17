//! JSON in which every value knows where it stands.
//!
//! Files of other tools are as hostile as any input: depth and count of values are bounded, the
//! first syntax error ends the reading, and a name that stands twice in an object is a problem,
//! since two readers of such a file may see two different things. Numbers keep their text, and
//! members their order.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::tree::Place;
use crate::config::{MAX_FILE, Problems, SourceFile};

/// Deepest nesting of lists and objects.
pub(super) const MAX_DEPTH: usize = 64;

/// Most values in a file.
pub(super) const MAX_VALUES: usize = 500_000;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A value as JSON knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(String),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Node>),
    /// An object, in its order, each name once.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// What it is, for messages: `a string`, ...
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Boolean(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    /// The member of that name, of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.name == name).map(|member| &member.node)
    }

    /// The members of an object; none of anything else.
    pub(super) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// A string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// A whole number of up to nine digits, also where it is written as `8.0e1`.
    pub(super) fn whole(&self) -> Option<u32> {
        let Value::Number(text) = &self.value else { return None };
        if let Ok(number) = text.parse() {
            return Some(number);
        }
        let number: f64 = text.parse().ok()?;
        let whole = number.fract() == 0.0 && (0.0..1e9).contains(&number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        whole.then_some(number as u32)
    }

    /// As JSON on one line: members in their order, numbers as they were written.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(text) => out.push_str(text),
            Value::String(text) => out.push_str(&quoted(text)),
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(&member.name));
                    out.push(':');
                    member.node.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads JSON that stands in a text of the file; nothing where it is none.
pub(super) fn parse_text(text: &str, file: &SourceFile) -> Option<Node> {
    let inner = SourceFile { name: file.name.clone(), text: text.to_owned() };
    parse(&inner, &mut Problems::default())
}

/// Reads a file. What it is not able to read is a problem with its place; with a syntax error there
/// is no value.
pub(super) fn parse(file: &SourceFile, problems: &mut Problems) -> Option<Node> {
    let mut parser = Parser {
        file: file.name.clone(),
        text: &file.text,
        at: 0,
        seen: Cursor { offset: 0, line: 1, column: 1 },
        values: 0,
        problems,
    };
    if file.text.len() > MAX_FILE {
        let largest = crate::units::show_size(MAX_FILE as u64);
        parser.problems.error(&Place::file(file.name.clone()), format!("larger than {largest}"));
        return None;
    }
    parser.document().ok()
}

/// A syntax error, which is among the problems.
struct Stopped;

type Parsed<T> = Result<T, Stopped>;

/// A place in the text; places are asked for from front to back.
#[derive(Clone, Copy)]
struct Cursor {
    offset: usize,
    line: u32,
    column: u32,
}

struct Parser<'a> {
    file: Arc<str>,
    text: &'a str,
    at: usize,
    seen: Cursor,
    values: usize,
    problems: &'a mut Problems,
}

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Node> {
        self.blanks();
        let root = self.value(0)?;
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.unexpected("the end of the file"));
        }
        Ok(root)
    }

    fn place(&mut self, offset: usize) -> Place {
        let mut cursor = self.seen;
        if offset < cursor.offset {
            cursor = Cursor { offset: 0, line: 1, column: 1 };
        }
        for character in self.text[cursor.offset..offset].chars() {
            if character == '\n' {
                cursor.line = cursor.line.saturating_add(1);
                cursor.column = 1;
            } else {
                cursor.column = cursor.column.saturating_add(1);
            }
        }
        self.seen = Cursor { offset, ..cursor };
        Place { file: Arc::clone(&self.file), line: cursor.line, column: cursor.column }
    }

    fn stop(&mut self, offset: usize, message: &str) -> Stopped {
        let place = self.place(offset);
        self.problems.error(&place, message);
        Stopped
    }

    fn unexpected(&mut self, expected: &str) -> Stopped {
        let found = match self.text[self.at..].chars().next() {
            Some(character) => format!("`{}`", character.escape_debug()),
            None => "the end of the file".to_owned(),
        };
        self.stop(self.at, &format!("not valid JSON: found {found} (expected {expected})"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Node> {
        let place = self.place(self.at);
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.stop(self.at, &format!("more than {MAX_VALUES} values in one file")));
        }
        if depth > MAX_DEPTH {
            return Err(self.stop(self.at, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let value = match self.peek() {
            Some(b'{') => Value::Object(self.object(depth)?),
            Some(b'[') => Value::Array(self.array(depth)?),
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { value, place })
    }

    fn word(&mut self) -> Parsed<Value> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
        ];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn array(&mut self, depth: usize) -> Parsed<Vec<Node>> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            self.blanks();
            items.push(self.value(depth + 1)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Parsed<Vec<Member>> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        let mut names = HashSet::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a name in quotes"));
            }
            let place = self.place(self.at);
            let name = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            self.blanks();
            let node = self.value(depth + 1)?;
            if names.insert(name.clone()) {
                members.push(Member { name, place, node });
            } else {
                let name = super::shown(&name);
                self.problems.error(
                    &place,
                    format!("`{name}` stands twice in this object (expected each name once)"),
                );
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(members);
                }
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn number(&mut self) -> Parsed<String> {
        let start = self.at;
        let digits = |this: &mut Self| {
            let from = this.at;
            while matches!(this.peek(), Some(b'0'..=b'9')) {
                this.at += 1;
            }
            if this.at == from { Err(this.unexpected("a digit")) } else { Ok(()) }
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            digits(self)?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits(self)?;
        }
        Ok(self.text[start..self.at].to_owned())
    }

    fn string(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            text.push_str(&self.text[from..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.unexpected("an escape such as `\\n`")),
                None => return Err(self.stop(start, "not valid JSON: this string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.unexpected("one of `\"\\/bfnrtu`")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self, start: usize) -> Parsed<char> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            let second = self.hex()?;
            match second.checked_sub(0xdc00).filter(|low| *low < 0x400) {
                Some(low) => 0x1_0000 + ((first - 0xd800) << 10) + low,
                None => first,
            }
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| {
            self.stop(start, "not valid JSON: half of a surrogate pair is no character")
        })
    }

    /// Four hexadecimal digits behind the `u`.
    fn hex(&mut self) -> Parsed<u32> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("four hexadecimal digits"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Option<Node>, String) {
        let file = SourceFile { name: "job.json".into(), text: text.to_owned() };
        let mut problems = Problems::default();
        let node = parse(&file, &mut problems);
        (node, problems.sorted().iter().map(|problem| format!("{problem}\n")).collect())
    }

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let (_, problems) = read(text);
        assert!(problems.contains(says), "`{says}` is not in:\n{problems}");
    }

    #[test]
    fn every_value_knows_its_line_and_column_in_characters() {
        let (node, problems) = read("{\n  \"ä\": [1,\n    \"ö\", true]\n}");
        assert_eq!(problems, "");
        let node = node.expect("it is valid");
        let at = |node: &Node| (node.place.line, node.place.column);
        let list = node.get("ä").expect("a list");
        assert_eq!(at(&node), (1, 1));
        assert_eq!((node.members()[0].place.line, node.members()[0].place.column), (2, 3));
        assert_eq!(at(list), (2, 8));
        assert_eq!(list.items().iter().map(at).collect::<Vec<_>>(), [(2, 9), (3, 5), (3, 10)]);
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_stands() {
        for (text, says) in [
            (
                "",
                "job.json:1:1: error: not valid JSON: found the end of the file (expected a value)",
            ),
            ("{\"a\": 1,}", "job.json:1:9: error: not valid JSON: found `}` (expected a name"),
            ("[1 2]", "job.json:1:4: error: not valid JSON: found `2` (expected `,` or `]`)"),
            ("{\"a\" 1}", "job.json:1:6: error: not valid JSON: found `1` (expected `:`)"),
            ("[01]", "job.json:1:3: error: not valid JSON: found `1`"),
            ("[1.]", "job.json:1:4: error: not valid JSON: found `]` (expected a digit)"),
            ("[-]", "job.json:1:3: error: not valid JSON: found `]` (expected a digit)"),
            ("[1e]", "(expected a digit)"),
            ("[nul]", "job.json:1:2: error: not valid JSON: found `n` (expected a value)"),
            ("\"abc", "job.json:1:1: error: not valid JSON: this string does not end"),
            ("\"a\nb\"", "job.json:1:3: error: not valid JSON: found `\\n`"),
            ("\"\\x\"", "job.json:1:3: error: not valid JSON: found `x`"),
            ("\"\\u12g4\"", "(expected four hexadecimal digits)"),
            ("\"\\ud800\"", "job.json:1:2: error: not valid JSON: half of a surrogate pair"),
            ("\"\\ud800\\u0041\"", "half of a surrogate pair"),
            ("\u{feff}{}", "job.json:1:1: error: not valid JSON: found `\\u{feff}`"),
            ("{} // end", "job.json:1:4: error: not valid JSON: found `/` (expected the end"),
            ("{'a': 1}", "found `\\'` (expected a name in quotes)"),
        ] {
            check_refused(text, says);
            assert_eq!(read(text).0, None, "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_a_problem_and_the_rest_is_read() {
        let (node, problems) = read("{\"a\": 1,\n \"a\": 2, \"b\": {\"c\": 1, \"c\": 1}}");
        assert_eq!(problems.matches("stands twice").count(), 2, "{problems}");
        assert!(problems.starts_with("job.json:2:2: error: `a` stands twice"), "{problems}");
        assert_eq!(node.expect("it was read").to_text(), "{\"a\":1,\"b\":{\"c\":1}}");
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let deep = "[".repeat(100_000);
        check_refused(&deep, "job.json:1:66: error: nested deeper than 64 levels");
        let fits = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert!(read(&fits).0.is_some());
        let many = format!("[{}1]", "1,".repeat(MAX_VALUES));
        check_refused(&many, "more than 500000 values");
        let large = format!("\"{}\"", "x".repeat(MAX_FILE));
        check_refused(&large, "job.json: error: larger than 16 MiB");
    }

    #[test]
    fn numbers_are_whole_however_they_are_written() {
        for (text, whole) in
            [("80", Some(80)), ("8.0e1", Some(80)), ("80.5", None), ("-1", None), ("1e300", None)]
        {
            assert_eq!(read(text).0.expect("a number").whole(), whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_comes_back(text in "\\PC*", number: i64, flag: bool) {
            let value = serde_json::json!({
                "text": text, "list": [number, flag, null, 1.5], text.as_str(): { "in": text }
            });
            let written = serde_json::to_string_pretty(&value).expect("it is JSON");
            let (node, _) = read(&written);
            let again = node.expect("it is valid").to_text();
            let again: serde_json::Value = serde_json::from_str(&again).expect("it is JSON");
            prop_assert_eq!(again, value);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:0-9a-fnultrse\\\\.\\- \n\u{e4}]{0,60}") {
            let valid = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(read(&text).0.is_some(), valid, "{}", text);
        }
    }
}
