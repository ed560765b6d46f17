//! What every import needs: notes and problems with their places, and maps of which nothing is lost.
//!
//! [`Fields`] knows which keys have been asked for. Those that nobody asked for become notes when it
//! is done, so that an import can forget a key but not lose it in silence.

use std::collections::BTreeSet;

use super::yaml::{Mark, Node, Pair, Value};
use super::{Imported, Note};
use crate::config::{Problem, Problems, SourceFile};

/// Most notes of one file; further ones are counted.
const MAX_NOTES: usize = 10_000;

/// Most problems of one file.
const MAX_PROBLEMS: usize = 100;

/// Longest piece of a file that is shown in a message, in characters.
const MAX_SHOWN: usize = 80;

/// A piece of the file, fit for a message on a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        short.push('…');
    }
    // Quotation marks need no escape between backticks.
    short.replace("\\\"", "\"").replace("\\'", "'")
}

/// What is said about a file.
#[derive(Debug)]
pub(super) struct Context<'a> {
    file: &'a SourceFile,
    notes: Vec<(Mark, String)>,
    left_out: usize,
    once: BTreeSet<&'static str>,
    problems: Problems,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a SourceFile) -> Self {
        Self {
            file,
            notes: Vec::new(),
            left_out: 0,
            once: BTreeSet::new(),
            problems: Problems::at_most(MAX_PROBLEMS),
        }
    }

    /// Something that could not be carried over, or means something else here.
    pub(super) fn note(&mut self, mark: Mark, message: impl Into<String>) {
        if self.notes.len() >= MAX_NOTES {
            self.left_out += 1;
        } else {
            self.notes.push((mark, message.into()));
        }
    }

    /// A note that says the same wherever it applies, and is made where it applies first.
    pub(super) fn note_once(&mut self, mark: Mark, message: &'static str) {
        if self.once.insert(message) {
            self.note(mark, message);
        }
    }

    /// What makes the file unusable.
    pub(super) fn error(&mut self, mark: Mark, message: impl Into<String>) {
        self.problems.error(&mark.place(self.file), message);
    }

    /// The file that is read.
    pub(super) fn file(&self) -> &'a SourceFile {
        self.file
    }

    /// The file's name without its folders.
    pub(super) fn base_name(&self) -> &'a str {
        base_name(&self.file.name)
    }

    /// What came of it; notes in the order of the file.
    pub(super) fn done(mut self, toml: String) -> Result<Imported, Vec<Problem>> {
        if self.problems.has_errors() {
            let mut problems = Problems::default();
            problems.append(self.problems);
            return Err(problems.sorted());
        }
        self.notes.sort_by_key(|(mark, _)| (mark.line, mark.column));
        if self.left_out > 0 {
            let last = self.notes.last().map(|(mark, _)| *mark).unwrap_or_default();
            self.notes.push((last, format!("… and {} more", self.left_out)));
        }
        let note = |(mark, message): (Mark, String)| Note { place: mark.place(self.file), message };
        Ok(Imported { toml, notes: self.notes.into_iter().map(note).collect() })
    }
}

/// A file's name without its folders.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// A map whose keys are taken one by one.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// For messages: ``endpoint `shop` ``.
    what: String,
    pairs: &'a [Pair],
    taken: Vec<bool>,
}

impl<'a> Fields<'a> {
    /// Reads `node`, which is `what`. Nothing is an empty map; anything else is a problem.
    pub(super) fn of(
        node: &'a Node,
        what: impl Into<String>,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let what = what.into();
        let pairs = match &node.value {
            Value::Map(pairs) => pairs.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                let found = node.kind();
                context.error(node.mark, format!("{what} is {found} (expected a map)"));
                return None;
            }
        };
        Some(Self { what, pairs, taken: vec![false; pairs.len()] })
    }

    /// What is read, for messages.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// An entry, unless its value is nothing.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Pair> {
        let index = self.pairs.iter().position(|pair| pair.key == key)?;
        self.taken[index] = true;
        let pairs: &'a [Pair] = self.pairs;
        Some(&pairs[index]).filter(|pair| !pair.node.is_null())
    }

    fn typed<T>(
        &mut self,
        key: &str,
        expected: &str,
        context: &mut Context<'_>,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Option<(T, Mark)> {
        let pair = self.take(key)?;
        let found = read(&pair.node);
        if found.is_none() {
            let kind = match pair.node.text() {
                Some(text) => format!("`{}`", shown(text)),
                None => pair.node.kind().to_owned(),
            };
            let what = &self.what;
            context.error(
                pair.node.mark,
                format!("`{key}` of {what} is {kind} (expected {expected})"),
            );
        }
        found.map(|value| (value, pair.mark))
    }

    /// A scalar.
    pub(super) fn text(&mut self, key: &str, context: &mut Context<'_>) -> Option<(&'a str, Mark)> {
        self.typed(key, "a text", context, |node| node.text())
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, key: &str, context: &mut Context<'_>) -> Option<(bool, Mark)> {
        self.typed(key, "true or false", context, Node::boolean)
    }

    /// A whole number.
    pub(super) fn integer(&mut self, key: &str, context: &mut Context<'_>) -> Option<(i64, Mark)> {
        self.typed(key, "a whole number", context, Node::integer)
    }

    /// A list, or one value in its place.
    pub(super) fn list(
        &mut self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Option<(&'a [Node], Mark)> {
        self.typed(key, "a list", context, |node| match &node.value {
            Value::List(list) => Some(list.as_slice()),
            Value::Scalar { .. } => Some(std::slice::from_ref(node)),
            _ => None,
        })
    }

    /// A list of texts, or one in its place.
    pub(super) fn texts(
        &mut self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Option<(Vec<(&'a str, Mark)>, Mark)> {
        let (list, mark) = self.list(key, context)?;
        let texts = list.iter().filter_map(|node| {
            if node.text().is_none() {
                let (what, kind) = (&self.what, node.kind());
                let message = format!("`{key}` of {what} holds {kind} (expected texts)");
                context.error(node.mark, message);
            }
            Some((node.text()?, node.mark))
        });
        let texts = texts.collect();
        Some((texts, mark))
    }

    /// A map within this one.
    pub(super) fn fields(
        &mut self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Option<(Fields<'a>, Mark)> {
        let pair = self.take(key)?;
        let what = format!("`{key}` of {}", self.what);
        Some((Fields::of(&pair.node, what, context)?, pair.mark))
    }

    /// Notes those of the keys that are there, with what to do about each.
    pub(super) fn leave_out(&mut self, keys: &[(&str, &str)], context: &mut Context<'_>) {
        for (key, why) in keys {
            if let Some(pair) = self.take(key) {
                let what = &self.what;
                context.note(pair.mark, format!("`{key}` of {what} is left out: {why}"));
            }
        }
    }

    /// Takes every entry whose value is as good as none.
    pub(super) fn pass_over(&mut self, is_none: impl Fn(&Node) -> bool) {
        for (pair, taken) in self.pairs.iter().zip(&mut self.taken) {
            *taken |= is_none(&pair.node);
        }
    }

    /// Notes all keys that nobody has asked for.
    pub(super) fn finish(self, context: &mut Context<'_>) {
        for (pair, taken) in self.pairs.iter().zip(&self.taken) {
            if !taken {
                let (key, what) = (shown(&pair.key), &self.what);
                context.note(
                    pair.mark,
                    format!("`{key}` of {what} is left out: this import does not know the key"),
                );
            }
        }
    }

    /// Every entry, of a map whose keys are names of the user's choice.
    pub(super) fn all(mut self) -> &'a [Pair] {
        self.taken.fill(true);
        self.pairs
    }
}
