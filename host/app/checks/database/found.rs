//! What the answer of a database is to conditions.

use serde_json::Value as Json;
use std::sync::Arc;
use wellcheck_core::fact::{FactKey, Shape, Value, fact};

use super::Link;
use super::question::First;

/// Facts of every database.
pub(in crate::checks) const SERVER_FACTS: &[FactKey] =
    &[fact("version", Shape::Text, "What the server says that its version is.")];

/// Facts of those with a query.
pub(in crate::checks) const QUERY_FACTS: &[FactKey] = &[
    fact("rows", Shape::Integer, "How many rows the query returned."),
    fact(
        "value",
        Shape::Json,
        "The first column of the first row: a number where it reads as one, `null`, or text. Not there without a row.",
    ),
    fact("row.*", Shape::Json, "A column of the first row by its name, likewise."),
];

/// Most columns that are kept of the first row.
const MAX_COLUMNS: usize = 256;

/// What a query returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks) struct Table {
    pub(in crate::checks) first: First,
    pub(in crate::checks) rows: i64,
    /// The first row: the name and the value of each column.
    pub(in crate::checks) row: Vec<(String, First)>,
}

impl Default for Table {
    fn default() -> Self {
        Self { first: First::Nothing, rows: 0, row: Vec::new() }
    }
}

impl Table {
    /// Counts a row, whose columns are kept if it is the first.
    pub(in crate::checks) fn add(&mut self, columns: impl FnOnce() -> Vec<(String, First)>) {
        self.rows += 1;
        if self.rows == 1 {
            self.row = columns();
            self.row.truncate(MAX_COLUMNS);
            self.first = self.row.first().map_or(First::Nothing, |(_, value)| value.clone());
        }
    }
}

impl Link<'_> {
    /// Remembers what a query returned.
    pub(in crate::checks) fn returned(&mut self, table: &Table) {
        if self.asked().is_empty() {
            return;
        }
        self.put("rows", table.rows);
        if let Some(value) = table.first.fact() {
            self.put("value", value);
        }
        if self.asked().has("row") {
            for (name, value) in &table.row {
                if let Some(value) = value.fact() {
                    self.put(&format!("row.{name}"), value);
                }
            }
        }
    }
}

impl First {
    fn fact(&self) -> Option<Value> {
        match self {
            Self::Nothing => None,
            Self::Null => Some(json(Json::Null)),
            Self::Value(bytes) => Some(json(typed(&String::from_utf8_lossy(bytes)))),
        }
    }
}

/// JSON as a fact.
pub(in crate::checks) fn json(value: Json) -> Value {
    Value::Json(Arc::new(value))
}

/// A number, where a text is one as it is usually written, or else the text.
pub(in crate::checks) fn typed(text: &str) -> Json {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0"
        || digits.starts_with("0.")
        || digits.starts_with(|first: char| matches!(first, '1'..='9'));
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if plain && text.len() <= 40 && text.chars().all(numeric) {
        if let Ok(whole) = text.parse::<i64>() {
            return whole.into();
        }
        let number = text.parse().ok().and_then(serde_json::Number::from_f64);
        if let Some(number) = number {
            return Json::Number(number);
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_reads_as_a_number_is_one() {
        for (text, value) in [
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("3.50", json!(3.5)),
            ("1e3", json!(1000.0)),
            ("007", json!("007")),
            ("1.2.3", json!("1.2.3")),
            ("", json!("")),
            ("1e999", json!("1e999")),
            ("inf", json!("inf")),
            ("2024-01-31", json!("2024-01-31")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }
}
