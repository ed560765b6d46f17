//! Takes typed values out of a table, and names what is wrong and what is left over.
//!
//! Every method returns `None` when the key is absent or its value is of no use; in the second case
//! a problem has been added, and the caller goes on with the default, so that one run finds all
//! problems.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::keys::Key;
use super::problem::{self, Problems};
use super::tree::{Entry, Node, Place, Table, Text, Value};
use crate::fact::Asked;
use crate::units::{parse_duration, parse_size, show_duration, show_size};

/// Reads one table.
#[derive(Debug)]
pub struct Reader {
    /// For messages: ``check `api` ``.
    what: String,
    table: Table,
    keys: &'static [&'static [Key]],
    /// Where the values stood that have been taken.
    taken: Vec<(String, Place)>,
    /// What the check's conditions are about.
    asked: Asked,
}

impl Reader {
    /// Starts to read `table`, which is `what` and may hold `keys`.
    pub fn new(what: impl Into<String>, table: Table, keys: &'static [&'static [Key]]) -> Self {
        Self { what: what.into(), table, keys, taken: Vec::new(), asked: Asked::default() }
    }

    /// The same, of a check whose conditions mention these facts: what they judge needs no
    /// expectation besides.
    #[must_use]
    pub fn asking(self, asked: Asked) -> Self {
        Self { asked, ..self }
    }

    /// The facts that the check's conditions mention.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Where the table starts.
    pub fn place(&self) -> &Place {
        &self.table.place
    }

    /// What is being read, for messages of the caller's own.
    pub fn what(&self) -> &str {
        &self.what
    }

    fn known(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys.iter().flat_map(|keys| keys.iter())
    }

    /// Where the value of `key` stands or stood, or the table, if it has none.
    pub fn place_of(&self, key: &str) -> Place {
        let present = self.table.entries.get(key).map(|entry| &entry.node.place);
        let taken = || self.taken.iter().find(|(name, _)| name == key).map(|(_, place)| place);
        present.or_else(taken).unwrap_or(&self.table.place).clone()
    }

    /// Whether the key is there and has not been taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.table.entries.contains_key(key)
    }

    /// The value of a key that has not been taken yet.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.table.entries.get(key).map(|entry| &entry.node.value)
    }

    /// The raw value.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        debug_assert!(self.known().any(|k| k.name == key), "`{key}` is not in the list of keys");
        let entry = self.table.entries.remove(key)?;
        self.taken.push((key.to_owned(), entry.node.place.clone()));
        Some(entry)
    }

    fn typed<T>(
        &mut self,
        key: &str,
        expected: &str,
        problems: &mut Problems,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<T> {
        let Node { value, place } = self.take(key)?.node;
        match read(value) {
            Ok(value) => Some(value),
            Err(value) => {
                let found = value.kind();
                problems.error(
                    &place,
                    format!("`{key}` of {} is {found} (expected {expected})", self.what),
                );
                None
            }
        }
    }

    /// A string.
    pub fn text(&mut self, key: &str, problems: &mut Problems) -> Option<Text> {
        self.typed(key, "a string", problems, |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A string that `parse` understands.
    pub fn parsed<T>(
        &mut self,
        key: &str,
        problems: &mut Problems,
        parse: impl FnOnce(&Text) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                problems.error(&text.place, format!("`{key}` of {}: {why}", self.what));
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        key: &str,
        words: &[(&'static str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        self.parsed(key, problems, |text| {
            let found = words.iter().find(|(word, _)| *word == text.value);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let list =
                    problem::known("words", text.shown(), words.iter().map(|(word, _)| *word));
                format!("unknown word `{}` {list}", text.shown())
            })
        })
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.typed(key, "true or false", problems, |value| match value {
            Value::Boolean(value) => Ok(value),
            other => Err(other),
        })
    }

    /// A whole number within bounds.
    pub fn integer(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
        problems: &mut Problems,
    ) -> Option<i64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let place = self.place_of(key);
        let number = self.typed(key, &expected, problems, |value| match value {
            Value::Integer(number) => Ok(number),
            other => Err(other),
        })?;
        if !range.contains(&number) {
            problems.error(
                &place,
                format!("`{key}` of {} is {number} (expected {expected})", self.what),
            );
            return None;
        }
        Some(number)
    }

    /// A duration within bounds.
    pub fn duration(
        &mut self,
        key: &str,
        range: RangeInclusive<Duration>,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let bounds =
            format!("from {} to {}", show_duration(*range.start()), show_duration(*range.end()));
        let expected = format!("a duration with a unit, such as \"30s\", {bounds}");
        self.unit_text(key, &expected, problems, parse_duration, |d| range.contains(d))
    }

    /// A size in bytes within bounds.
    pub fn size(
        &mut self,
        key: &str,
        range: RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let bounds = format!("from {} to {}", show_size(*range.start()), show_size(*range.end()));
        let expected = format!("a size with a unit, such as \"64KiB\", {bounds}");
        self.unit_text(key, &expected, problems, parse_size, |size| range.contains(size))
    }

    fn unit_text<T>(
        &mut self,
        key: &str,
        expected: &str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Option<T>,
        in_range: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let what = self.what.clone();
        let text = self.typed(key, expected, problems, |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })?;
        match parse(&text.value).filter(in_range) {
            Some(value) => Some(value),
            None => {
                let found = text.shown().escape_debug();
                problems.error(
                    &text.place,
                    format!("`{key}` of {what} is \"{found}\" (expected {expected})"),
                );
                None
            }
        }
    }

    /// One value or a list of them, as nodes.
    pub fn list(&mut self, key: &str) -> Option<Vec<Node>> {
        match self.take(key)?.node {
            Node { value: Value::Array(list), .. } => Some(list),
            node => Some(vec![node]),
        }
    }

    /// One string or a list of strings.
    pub fn texts(&mut self, key: &str, problems: &mut Problems) -> Vec<Text> {
        let mut texts = Vec::new();
        for node in self.list(key).unwrap_or_default() {
            match node.value {
                Value::String(text) => texts.push(text),
                other => problems.error(
                    &node.place,
                    format!("`{key}` of {} holds {} (expected strings)", self.what, other.kind()),
                ),
            }
        }
        texts
    }

    /// A table.
    pub fn table(&mut self, key: &str, problems: &mut Problems) -> Option<Table> {
        self.typed(key, "a table", problems, |value| match value {
            Value::Table(table) => Ok(table),
            other => Err(other),
        })
    }

    /// A table whose values are all strings: name and text, by name.
    pub fn text_table(&mut self, key: &str, problems: &mut Problems) -> Vec<(String, Text)> {
        let mut pairs = Vec::new();
        for (name, entry) in self.table(key, problems).map(|t| t.entries).unwrap_or_default() {
            match entry.node.value {
                Value::String(text) => pairs.push((name, text)),
                other => problems.error(
                    &entry.node.place,
                    format!(
                        "`{name}` in `{key}` of {} is {} (expected a string)",
                        self.what,
                        other.kind()
                    ),
                ),
            }
        }
        pairs
    }

    /// `[[key]]`: a list of tables; a single table counts as one.
    pub fn tables(&mut self, key: &str, problems: &mut Problems) -> Vec<Table> {
        let mut tables = Vec::new();
        for node in self.list(key).unwrap_or_default() {
            match node.value {
                Value::Table(table) => tables.push(table),
                other => problems.error(
                    &node.place,
                    format!("`{key}` of {} is {} (expected `[[{key}]]`)", self.what, other.kind()),
                ),
            }
        }
        tables
    }

    /// A key that must be there.
    pub fn missing(&self, key: &str, problems: &mut Problems) {
        let example = self.known().find(|k| k.name == key).map_or("", |k| k.example);
        problems
            .error(self.place(), format!("{} has no `{key}` (for example: {example})", self.what));
    }

    /// What is left of the table.
    pub fn rest(self) -> Table {
        self.table
    }

    /// Reports every key that nobody took, with the closest known one.
    pub fn finish(self, also_known: &'static [&'static [Key]], problems: &mut Problems) {
        for (key, entry) in &self.table.entries {
            let also = also_known.iter().flat_map(|keys| keys.iter());
            let known = self.known().chain(also).map(|k| k.name);
            let hint = match problem::did_you_mean(key, known.clone()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known keys: {}", known.collect::<Vec<_>>().join(", ")),
            };
            let key = key.escape_debug();
            problems.error(&entry.key, format!("unknown key `{key}` in {} ({hint})", self.what));
        }
    }
}
