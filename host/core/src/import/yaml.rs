//! YAML as a tree in which every value knows where it stands.
//!
//! The files come from anywhere, so that everything is bounded: depth, number of values, and what
//! anchors and aliases stand for (a short file can name its values a billion times over). A tag that
//! is not YAML's own is refused: it says that a value is something else than it looks like.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::context::shown;
use crate::config::problem::Problems;
use crate::config::tree::Place;
use crate::config::{MAX_FILE, Problem, SourceFile};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Most values of a file, keys included.
const MAX_VALUES: usize = 1_000_000;

/// Most documents of a file.
const MAX_DOCUMENTS: usize = 10_000;

/// Most values that everything with an anchor, and every alias, may stand for together.
const MAX_ALIASED: usize = 100_000;

/// Likewise, in bytes of text.
const MAX_ALIASED_BYTES: usize = 4 * 1024 * 1024;

/// Most problems of one file that are shown.
const MAX_PROBLEMS: usize = 100;

/// The key that adds the entries of other maps.
const MERGE: &str = "<<";

/// Where something stands; both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Mark {
    pub(super) fn place(self, file: &SourceFile) -> Place {
        Place { file: file.name.clone(), line: self.line, column: self.column }
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) mark: Mark,
}

/// A value. What a scalar means is for whoever reads it: most formats take `8080` for a text too.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `plain` without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    /// `!!binary`.
    Binary(Vec<u8>),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) node: Node,
}

impl Node {
    /// Nothing: `null`, `~`, or no text at all.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Any scalar but `null`.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// A boolean, also as YAML 1.1 wrote it.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// A whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }

    /// The entries of a map.
    pub(super) fn pairs(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.pairs()?.iter().find(|pair| pair.key == key).map(|pair| &pair.node)
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a text",
            Value::Binary(_) => "binary data",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads all documents of a file; those that are empty are left out.
pub(super) fn read(file: &SourceFile) -> Result<Vec<Node>, Vec<Problem>> {
    let mut builder = Builder {
        file,
        frames: Vec::new(),
        anchors: BTreeMap::new(),
        documents: Vec::new(),
        begun: 0,
        values: 0,
        bytes: 0,
        aliased: 0,
        aliased_bytes: 0,
        problems: Problems::at_most(MAX_PROBLEMS),
    };
    // What cannot be gone on from is the last problem.
    let _ = builder.read();
    if builder.problems.has_errors() {
        let mut problems = Problems::default();
        problems.append(builder.problems);
        return Err(problems.sorted());
    }
    Ok(builder.documents)
}

/// A list or map that is being read.
struct Frame {
    mark: Mark,
    anchor: usize,
    /// How many values and bytes had been read when it began.
    values: usize,
    bytes: usize,
    /// How deep what is in it goes.
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

/// A map so far.
#[derive(Default)]
struct OpenMap {
    pairs: Vec<Pair>,
    keys: BTreeSet<String>,
    /// The key whose value comes next.
    key: Option<(String, Mark)>,
    /// What `<<` adds.
    merged: Vec<Node>,
}

impl OpenMap {
    /// The next key or value; what is wrong with it is returned.
    fn add(&mut self, node: Node) -> Option<(Mark, String)> {
        let Some((key, mark)) = self.key.take() else {
            return self.add_key(node);
        };
        if key != MERGE {
            self.pairs.push(Pair { key, mark, node });
            return None;
        }
        let fits = match &node.value {
            Value::List(list) => list.iter().all(|node| node.pairs().is_some()),
            _ => node.pairs().is_some() || node.is_null(),
        };
        if fits {
            self.merged.push(node);
            return None;
        }
        Some((mark, format!("`<<` merges {} (expected a map or a list of maps)", node.kind())))
    }

    fn add_key(&mut self, node: Node) -> Option<(Mark, String)> {
        let mark = node.mark;
        let kind = node.kind();
        let Value::Scalar { text, .. } = node.value else {
            self.key = Some((String::new(), mark));
            return Some((mark, format!("a key is {kind} (expected a text)")));
        };
        let is_new = text == MERGE || self.keys.insert(text.clone());
        let problem =
            (!is_new).then(|| (mark, format!("the key `{}` is there twice", shown(&text))));
        self.key = Some((text, mark));
        problem
    }

    /// What is written wins over what is merged, and what is merged first over what comes later.
    fn close(mut self) -> Vec<Pair> {
        for pair in self.merged.into_iter().flat_map(mergeable) {
            if self.keys.insert(pair.key.clone()) {
                self.pairs.push(pair);
            }
        }
        self.pairs
    }
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    values: usize,
    bytes: usize,
    depth: usize,
}

struct Builder<'a> {
    file: &'a SourceFile,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    documents: Vec<Node>,
    /// How many documents have begun, those that are empty too.
    begun: usize,
    values: usize,
    bytes: usize,
    aliased: usize,
    aliased_bytes: usize,
    problems: Problems,
}

/// It has been said why reading cannot go on.
struct Stop;

impl Builder<'_> {
    fn stop(&mut self, mark: Mark, message: impl Into<String>) -> Stop {
        self.problems.error(&mark.place(self.file), message);
        Stop
    }

    fn read(&mut self) -> Result<(), Stop> {
        let whole = Mark::default();
        if self.file.text.len() > MAX_FILE {
            let limit = MAX_FILE / (1024 * 1024);
            return Err(self.stop(whole, format!("the file has more than {limit} MiB")));
        }
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        // Its own limits would say the same in other words.
        options.flow_nesting_limit = MAX_DEPTH * 2;
        options.block_nesting_limit = MAX_DEPTH * 2;
        let file = self.file;
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
        for next in Parser::new_from_str_with_options(text, options) {
            match next {
                Ok((event, span)) => self.event(event, &span)?,
                Err(error) => {
                    let marker = error.marker();
                    let mark = mark(marker.line(), marker.col());
                    return Err(
                        self.stop(mark, format!("not valid YAML: {}", shown(&error.info())))
                    );
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let mark = mark(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.begun += 1;
                if self.begun > MAX_DOCUMENTS {
                    let message = format!("the file holds more than {MAX_DOCUMENTS} documents");
                    return Err(self.stop(mark, message));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(mark, 1, text.len())?;
                let value = self.scalar(text.into_owned(), style, tag.as_deref(), mark);
                self.complete(Node { value, mark }, anchor, 1, 0)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), "seq", mark);
                self.open(mark, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), "map", mark);
                self.open(mark, anchor, Content::Map(OpenMap::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, mark: Mark, values: usize, bytes: usize) -> Result<(), Stop> {
        self.values += values;
        self.bytes += bytes;
        if self.values > MAX_VALUES {
            return Err(self.stop(mark, format!("the file holds more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    /// Counts what is copied because of an anchor or alias.
    fn count_aliased(&mut self, mark: Mark, values: usize, bytes: usize) -> Result<(), Stop> {
        self.aliased += values;
        self.aliased_bytes += bytes;
        if self.aliased > MAX_ALIASED || self.aliased_bytes > MAX_ALIASED_BYTES {
            let mebibytes = MAX_ALIASED_BYTES / (1024 * 1024);
            return Err(self.stop(
                mark,
                format!(
                    "anchors and aliases stand for more than {MAX_ALIASED} values or {mebibytes} \
                     MiB (write out what they stand for, or split the file)"
                ),
            ));
        }
        Ok(())
    }

    fn open(&mut self, mark: Mark, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.stop(mark, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let (values, bytes) = (self.values, self.bytes);
        self.count(mark, 1, 0)?;
        self.frames.push(Frame { mark, anchor, values, bytes, depth: 0, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        // The parser closes what it has opened.
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let value = match frame.content {
            Content::List(list) => Value::List(list),
            Content::Map(map) => Value::Map(map.close()),
        };
        let values = self.values - frame.values;
        let bytes = self.bytes - frame.bytes;
        let node = Node { value, mark: frame.mark };
        if frame.anchor > 0 {
            self.count_aliased(frame.mark, values, bytes)?;
            let anchored = Anchored { node: node.clone(), values, bytes, depth: frame.depth + 1 };
            self.anchors.insert(frame.anchor, anchored);
        }
        self.place(node, frame.depth + 1);
        Ok(())
    }

    /// A scalar, which may have an anchor.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        values: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        if anchor > 0 {
            let bytes = match &node.value {
                Value::Scalar { text, .. } => text.len(),
                Value::Binary(bytes) => bytes.len(),
                Value::List(_) | Value::Map(_) => 0,
            };
            self.count_aliased(node.mark, values, bytes)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), values, bytes, depth });
        }
        self.place(node, depth);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.stop(mark, "an alias stands within what it stands for"));
        };
        let (values, bytes, depth) = (anchored.values, anchored.bytes, anchored.depth);
        if self.frames.len() + depth > MAX_DEPTH {
            return Err(self.stop(mark, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.count_aliased(mark, values, bytes)?;
        self.count(mark, values, bytes)?;
        let node = self.anchors[&anchor].node.clone();
        self.place(node, depth);
        Ok(())
    }

    /// Puts a value where it belongs.
    fn place(&mut self, node: Node, depth: usize) {
        let Some(frame) = self.frames.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return;
        };
        frame.depth = frame.depth.max(depth);
        let problem = match &mut frame.content {
            Content::List(list) => {
                list.push(node);
                None
            }
            Content::Map(map) => map.add(node),
        };
        if let Some((mark, message)) = problem {
            self.problems.error(&mark.place(self.file), message);
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&Tag>, mark: Mark) -> Value {
        let plain = style == ScalarStyle::Plain;
        let Some(tag) = tag else { return Value::Scalar { text, plain } };
        match core_tag(tag).as_deref() {
            Some("binary") => {
                let compact: String = text.split_whitespace().collect();
                if let Ok(bytes) = STANDARD.decode(compact) {
                    return Value::Binary(bytes);
                }
                let message = "what is tagged `!!binary` is not base64";
                self.problems.error(&mark.place(self.file), message);
            }
            Some("str" | "!") => return Value::Scalar { text, plain: false },
            Some("int" | "float" | "bool" | "null" | "timestamp") => {}
            _ => self.tag(Some(tag), "str", mark),
        }
        Value::Scalar { text, plain }
    }

    /// Refuses a tag that is not the one that such a value has anyway.
    fn tag(&mut self, tag: Option<&Tag>, expected: &str, mark: Mark) {
        let Some(tag) = tag else { return };
        if core_tag(tag).is_some_and(|tag| tag == expected || tag == "!") {
            return;
        }
        let message = format!(
            "the tag `{}` is not understood (expected YAML's own tags, such as `!!str`; take it \
             out, or write what it stands for)",
            shown(&format!("{}{}", tag.original_handle(), tag.suffix()))
        );
        self.problems.error(&mark.place(self.file), message);
    }
}

/// What `<<` adds.
fn mergeable(node: Node) -> Vec<Pair> {
    match node.value {
        Value::Map(pairs) => pairs,
        Value::List(list) => list.into_iter().flat_map(mergeable).collect(),
        Value::Scalar { .. } | Value::Binary(_) => Vec::new(),
    }
}

/// The name of one of YAML's own tags; `!` for the one that only says "not plain".
fn core_tag(tag: &Tag) -> Option<Cow<'_, str>> {
    if matches!((tag.handle(), tag.suffix()), ("!", "") | ("", "!")) {
        return Some(Cow::Borrowed("!"));
    }
    tag.suffix_in_namespace("tag:yaml.org,2002:")
}

fn mark(line: usize, column_from_0: usize) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark { line: number(line), column: number(column_from_0 + 1) }
}

#[cfg(test)]
mod tests;
