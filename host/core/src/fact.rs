//! Facts: what a run found out, by name, for the conditions of a check.
//!
//! Each kind names its facts in a table of [`FactKey`]s, so that conditions are checked and
//! documented before anything runs. A run puts into its report what the conditions ask for
//! ([`Asked`]); observations of a report need no mention, they are facts by themselves.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A fact that a kind can find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactKey {
    /// As written in conditions: `status`, `certificate.days-left`. A name that ends in `.*`
    /// stands for every name that begins like that: `header.*`.
    pub name: &'static str,
    /// What its values are.
    pub shape: Shape,
    /// Meaning, and when it is there.
    pub doc: &'static str,
}

/// Shorthand for tables of facts.
pub const fn fact(name: &'static str, shape: Shape, doc: &'static str) -> FactKey {
    FactKey { name, shape, doc }
}

/// What values of a fact are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A number of seconds; conditions compare it with `500ms` and the like.
    Duration,
    /// A whole number of bytes; conditions compare it with `10KiB` and the like.
    Size,
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// Whatever JSON holds.
    Json,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "true or false",
            Self::Integer => "whole number",
            Self::Number => "number",
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Text => "text",
            Self::Texts => "texts",
            Self::Json => "JSON",
        })
    }
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number; sizes are bytes.
    Integer(i64),
    /// A number; durations are seconds.
    Number(f64),
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// JSON.
    Json(Arc<serde_json::Value>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<std::time::Duration> for Value {
    fn from(value: std::time::Duration) -> Self {
        Self::Number(value.as_secs_f64())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<String>> for Value {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

/// What a run found out, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found(Vec<(String, Value)>);

impl Found {
    /// Adds a fact.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rewrites every text, for redaction.
    pub(crate) fn rewrite(&mut self, rewrite: &impl Fn(&mut String)) {
        for (_, value) in &mut self.0 {
            match value {
                Value::Text(text) => rewrite(text),
                Value::Texts(texts) => texts.iter_mut().for_each(rewrite),
                Value::Json(json) => rewrite_json(Arc::make_mut(json), rewrite),
                Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => {}
            }
        }
    }

    /// Each name and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// The names of members stay. It is as deep as what read it lets it be.
fn rewrite_json(json: &mut serde_json::Value, rewrite: &impl Fn(&mut String)) {
    match json {
        serde_json::Value::String(text) => rewrite(text),
        serde_json::Value::Array(list) => {
            list.iter_mut().for_each(|item| rewrite_json(item, rewrite));
        }
        serde_json::Value::Object(object) => {
            object.values_mut().for_each(|item| rewrite_json(item, rewrite));
        }
        _ => {}
    }
}

/// The facts that the conditions of a check mention: a run need not find out others. A mention of
/// anything below `json` is a mention of `json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked(BTreeSet<String>);

impl Asked {
    /// Those names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `name` is asked for, or anything that begins with it and a `.`.
    pub fn has(&self, name: &str) -> bool {
        let below = |asked: &String| asked.strip_prefix(name).is_some_and(|r| r.starts_with('.'));
        self.0.contains(name) || self.0.iter().any(below)
    }

    /// Each name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_name_asks_for_it() {
        let asked = Asked::new(["json.a.b".to_owned(), "status".to_owned()]);
        assert!(asked.has("json") && asked.has("json.a") && asked.has("status"));
        assert!(!asked.has("js") && !asked.has("status.x") && !asked.has("body"));
    }
}
