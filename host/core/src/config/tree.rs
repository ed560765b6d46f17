//! A configuration file as a tree in which every value knows where it stands.
//!
//! `${NAME}` in a string is replaced by the environment variable, `${file:PATH}` by the content of
//! the file (without the newline at its end), and `$${` is a literal `${`. Both happen on parsed
//! values, never on text, so that no value can change the structure. What came in that way is
//! remembered as a secret. In a sidecar, only some are replaced.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SourceFile;
use super::problem::Problems;
use crate::grant::EnvName;

/// Deepest nesting of tables and arrays.
const MAX_DEPTH: usize = 64;

/// A place in a file. Where a value stands does not make it another value: all places are equal.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// As shown to the user.
    pub file: Arc<str>,
    /// From 1; 0 for a file as a whole.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Place {
    /// A file as a whole.
    pub fn file(name: impl Into<Arc<str>>) -> Self {
        Self { file: name.into(), line: 0, column: 0 }
    }

    /// What problems are sorted by.
    pub fn order(&self) -> (&str, u32, u32) {
        (&self.file, self.line, self.column)
    }
}

impl PartialEq for Place {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// A string with its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// With `${...}` replaced.
    pub value: String,
    /// As it stands in the file, where that differs.
    pub written: Option<String>,
    /// Where it stands.
    pub place: Place,
}

impl Text {
    /// What may be shown: the text as it stands in the file.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.value)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A value as TOML knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    String(Text),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or time; kept as text.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(Table),
}

impl Value {
    /// What it is, for messages: `a string`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// As JSON, with `${...}` replaced.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::String(text) => Json::from(text.value.as_str()),
            Self::Integer(number) => Json::from(*number),
            // JSON has no NaN and no infinity.
            Self::Float(number) => Json::from(*number),
            Self::Boolean(value) => Json::from(*value),
            Self::Datetime(text) => Json::from(text.as_str()),
            Self::Array(list) => list.iter().map(|node| node.value.to_json()).collect(),
            Self::Table(table) => table.to_json(),
        }
    }
}

/// A table with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its entries by key.
    pub entries: BTreeMap<String, Entry>,
    /// Where it starts.
    pub place: Place,
}

/// An entry of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where its key stands.
    pub key: Place,
    /// Its value.
    pub node: Node,
}

impl Table {
    /// As a JSON object, with `${...}` replaced.
    pub fn to_json(&self) -> serde_json::Value {
        let pairs =
            self.entries.iter().map(|(key, entry)| (key.clone(), entry.node.value.to_json()));
        serde_json::Value::Object(pairs.collect())
    }
}

/// What `${...}` stands for. The caller does the I/O.
pub trait Lookup {
    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// A file's content.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// Which `${...}` of a file are replaced.
#[derive(Clone, Copy)]
pub(super) enum References<'a> {
    /// All.
    All,
    /// These variables of the environment, and nothing else: whoever can drop a sidecar must not be
    /// able to read the environment and the files of the host.
    Sidecar(&'a [EnvName]),
    /// None: `${...}` is text like any other.
    Literal,
}

impl References<'_> {
    /// Whether `${name}` may be replaced.
    fn admit(self, name: &str) -> Result<(), String> {
        let variables = match self {
            Self::All => return Ok(()),
            Self::Sidecar(variables) => variables,
            Self::Literal => &[],
        };
        if name.starts_with("file:") {
            return Err(format!(
                "`${{{}}}` stands in a sidecar (a sidecar reads no files; move the check to \
                 `wellcheck.toml`, or write `$${{` for a literal `${{`)",
                name.escape_debug()
            ));
        }
        if variables.iter().any(|variable| variable.as_str() == name) {
            return Ok(());
        }
        Err(format!(
            "`${{{name}}}` stands in a sidecar (a sidecar reads only the variables that `[plugins] \
             sidecar-grants` of `wellcheck.toml` names; this would allow it: `env = [\"{name}\"]`)"
        ))
    }
}

/// Reads one file. Syntax errors become problems, and what could be read is returned all the same.
pub(super) fn parse(
    file: &SourceFile,
    lookup: &dyn Lookup,
    references: References<'_>,
    secrets: &mut Vec<String>,
    problems: &mut Problems,
) -> Table {
    let lines = Lines::new(file);
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    for error in errors {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        problems.error(&place, format!("not valid TOML: {}", first_line(error.message())));
    }
    let mut builder = Builder { lines, lookup, references, secrets, problems };
    let mut table = builder.table(root.into_inner(), 0, 0);
    table.place = Place::file(file.name.clone());
    table
}

/// Reads a file of somebody's own, which means the same on every machine: `${...}` is text.
pub(crate) fn parse_literal(file: &SourceFile, problems: &mut Problems) -> Table {
    parse(file, &Nothing, References::Literal, &mut Vec::new(), problems)
}

/// Where there is nothing to look up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

impl Lookup for Nothing {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &str) -> Result<String, String> {
        Err("nothing is read here".to_owned())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Bytes between two counts of [`Lines`].
const STEP: usize = 1024;

/// Finds lines and columns, in a time that does not depend on how long the lines are.
struct Lines<'a> {
    file: Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
    /// How many characters begin before each multiple of [`STEP`].
    counts: Vec<usize>,
}

fn characters(bytes: &[u8]) -> usize {
    let begins = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    bytes.iter().filter(begins).count()
}

impl<'a> Lines<'a> {
    fn new(file: &'a SourceFile) -> Self {
        let after_newlines = file.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let starts = std::iter::once(0).chain(after_newlines.map(|(i, _)| i + 1)).collect();
        let mut counts = vec![0];
        let mut count = 0;
        for step in file.text.as_bytes().chunks(STEP) {
            count += characters(step);
            counts.push(count);
        }
        Self { file: file.name.clone(), text: &file.text, starts, counts }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let step = offset / STEP;
        self.counts[step] + characters(&self.text.as_bytes()[step * STEP..offset])
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let before = self.characters_before(offset).saturating_sub(self.characters_before(start));
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: number(line), column: number(before + 1) }
    }
}

struct Builder<'a> {
    lines: Lines<'a>,
    lookup: &'a dyn Lookup,
    references: References<'a>,
    secrets: &'a mut Vec<String>,
    problems: &'a mut Problems,
}

impl Builder<'_> {
    fn table(&mut self, table: DeTable<'_>, offset: usize, depth: usize) -> Table {
        let place = self.lines.place(offset);
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            // What the parser makes of a line that it does not understand.
            if key.get_ref().is_empty() {
                continue;
            }
            let key_place = self.lines.place(key.span().start);
            if let Some(node) = self.node(value, depth) {
                entries.insert(key.into_inner().into_owned(), Entry { key: key_place, node });
            }
        }
        Table { entries, place }
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
        let offset = value.span().start;
        let place = self.lines.place(offset);
        if depth >= MAX_DEPTH {
            self.problems.error(&place, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(self.text(text.into_owned(), &place)),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => {
                        self.problems.error(&place, "this number does not fit into 64 bits");
                        return None;
                    }
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => {
                    self.problems.error(&place, format!("`{}` is no number", number.as_str()));
                    return None;
                }
            },
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(value) => Value::Datetime(value.to_string()),
            DeValue::Array(list) => {
                Value::Array(list.into_iter().filter_map(|v| self.node(v, depth + 1)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, offset, depth + 1)),
        };
        Some(Node { value, place })
    }

    fn text(&mut self, written: String, place: &Place) -> Text {
        if matches!(self.references, References::Literal) || !written.contains("${") {
            return Text { value: written, written: None, place: place.clone() };
        }
        let mut value = String::new();
        let mut rest = written.as_str();
        while let Some(start) = rest.find("${") {
            if rest[..start].ends_with('$') {
                value.push_str(&rest[..start - 1]);
                value.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            value.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}') else {
                self.problems.error(place, "`${` without `}` (write `$${` for a literal `${`)");
                rest = "";
                break;
            };
            let name = &rest[start + 2..start + end];
            match self.reference(name) {
                Ok(found) => value.push_str(&found),
                Err(why) => self.problems.error(place, why),
            }
            rest = &rest[start + end + 1..];
        }
        value.push_str(rest);
        Text { value, written: Some(written), place: place.clone() }
    }

    fn reference(&mut self, name: &str) -> Result<String, String> {
        let found = if let Some(path) = name.strip_prefix("file:") {
            self.references.admit(name)?;
            let content = self
                .lookup
                .file(path)
                .map_err(|why| format!("cannot read `{path}` for `${{{name}}}`: {why}"))?;
            content.trim_end_matches(['\n', '\r']).to_owned()
        } else if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!(
                "`${{{}}}` names neither an environment variable nor a file (expected `${{NAME}}` \
                 or `${{file:PATH}}`; write `$${{` for a literal `${{`)",
                name.escape_debug()
            ));
        } else {
            self.references.admit(name)?;
            self.lookup.env(name).ok_or_else(|| {
                format!("the environment variable `{name}` is not set (needed for `${{{name}}}`)")
            })?
        };
        self.secrets.push(found.clone());
        Ok(found)
    }
}
