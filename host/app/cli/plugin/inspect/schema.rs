//! The schema of a plugin's settings as a table: a line for each key, those within it indented.

use serde_json::{Map, Value};

use crate::cli::table::columns;

/// Most lines.
const MOST: usize = 300;

/// How deep tables in tables are followed.
const DEPTH: usize = 8;

/// Longest text of a cell, in bytes.
const MAX_CELL: usize = 200;

/// The table; empty where the schema names no key.
pub(super) fn table(schema: &Value) -> String {
    let mut rows = Vec::new();
    add(schema, schema, 1, &mut rows);
    if rows.is_empty() {
        return String::new();
    }
    let more = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    let head = ["  KEY", "TYPE", "DEFAULT", "BOUNDS", "WHAT"].map(str::to_owned).to_vec();
    rows.insert(0, head);
    let mut text: String =
        columns(&rows).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    if more > 0 {
        text.extend(["  ... and ", &more.to_string(), " more\n"]);
    }
    text
}

/// Adds the keys of an object.
fn add(root: &Value, schema: &Value, depth: usize, rows: &mut Vec<Vec<String>>) {
    if depth > DEPTH || rows.len() > MOST {
        return;
    }
    let schema = resolved(root, schema);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let of = resolved(root, of);
        let need = match of.get("default") {
            Some(value) => value.to_string(),
            None if required.contains(&name.as_str()) => "required".to_owned(),
            None => "-".to_owned(),
        };
        let what = ["description", "title"].iter().find_map(|key| of[key].as_str());
        let name = format!("{}{name}", "  ".repeat(depth));
        let cells =
            [name, kind(root, of, 0), need, bounds(root, of), what.unwrap_or("").to_owned()];
        rows.push(cells.map(|cell| cell_of(&cell)).to_vec());
        for inner in inner(root, of) {
            add(root, inner, depth + 1, rows);
        }
    }
}

/// The name keeps its place.
fn cell_of(text: &str) -> String {
    let indent = text.len() - text.trim_start_matches(' ').len();
    " ".repeat(indent) + &wellcheck_wasm::cleaned(text.trim_start_matches(' '), MAX_CELL)
}

/// What a value's own keys are in: itself, or the elements of its list.
fn inner<'a>(root: &'a Value, of: &'a Value) -> Vec<&'a Value> {
    let mut all = vec![of];
    all.extend(choices(of));
    let mut found = Vec::new();
    for one in all {
        let one = resolved(root, one);
        found.push(one);
        for key in ["items", "additionalProperties"] {
            found.extend(one.get(key).filter(|value| value.is_object()));
        }
    }
    found.retain(|value| resolved(root, value)["properties"].is_object());
    found
}

fn choices(of: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| of[key].as_array()).flatten()
}

/// What `$ref` points at, within the schema.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEPTH {
        let Some(reference) = schema["$ref"].as_str() else { break };
        match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

/// The type, in words.
fn kind(root: &Value, of: &Value, depth: usize) -> String {
    let of = resolved(root, of);
    if depth > 3 {
        return "...".to_owned();
    }
    if let Some(list) = of["enum"].as_array() {
        let words: Vec<String> = list.iter().take(16).map(Value::to_string).collect();
        return words.join(" | ");
    }
    if let Some(value) = of.get("const") {
        return value.to_string();
    }
    let alternatives: Vec<String> = choices(of).map(|one| kind(root, one, depth + 1)).collect();
    if !alternatives.is_empty() {
        return joined(alternatives);
    }
    let word = |word: &str| match word {
        "object" => match of.get("additionalProperties").filter(|value| value.is_object()) {
            Some(each) => format!("table of {}", kind(root, each, depth + 1)),
            None => "table".to_owned(),
        },
        "array" => match of.get("items") {
            Some(each) => format!("list of {}", kind(root, each, depth + 1)),
            None => "list".to_owned(),
        },
        "string" => match of["format"].as_str() {
            Some(format) => format!("string ({format})"),
            None => "string".to_owned(),
        },
        other => other.to_owned(),
    };
    match &of["type"] {
        Value::String(one) => word(one),
        Value::Array(several) => {
            joined(several.iter().filter_map(Value::as_str).map(word).collect())
        }
        _ if of["properties"].is_object() => "table".to_owned(),
        _ => "any".to_owned(),
    }
}

fn joined(mut words: Vec<String>) -> String {
    words.dedup();
    words.join(" or ")
}

/// What holds for values, in signs; of a list's elements too.
fn bounds(root: &Value, of: &Value) -> String {
    let mut list = own_bounds(of);
    for one in choices(of) {
        list.extend(own_bounds(resolved(root, one)));
    }
    if let Some(items) = of.get("items") {
        list.extend(
            own_bounds(resolved(root, items)).into_iter().map(|text| format!("each {text}")),
        );
    }
    list.dedup();
    if list.is_empty() { "-".to_owned() } else { list.join(", ") }
}

fn own_bounds(of: &Value) -> Vec<String> {
    const WORDS: &[(&str, &str)] = &[
        ("minimum", ">= "),
        ("exclusiveMinimum", "> "),
        ("maximum", "<= "),
        ("exclusiveMaximum", "< "),
        ("multipleOf", "multiple of "),
        ("minLength", "length >= "),
        ("maxLength", "length <= "),
        ("minItems", "count >= "),
        ("maxItems", "count <= "),
        ("minProperties", "keys >= "),
        ("maxProperties", "keys <= "),
        ("pattern", "matches "),
    ];
    let empty = Map::new();
    let of = of.as_object().unwrap_or(&empty);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let found = WORDS.iter().filter_map(|(key, word)| Some((word, of.get(*key)?)));
    found.map(|(word, value)| format!("{word}{}", text(value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_lines_and_those_within_are_indented() {
        let schema = json!({
            "type": "object",
            "required": ["url", "list"],
            "properties": {
                "url": { "type": "string", "pattern": "^https?://", "description": "What to ask." },
                "warn": { "type": ["number", "string"], "minimum": 0, "default": 5 },
                "mode": { "enum": ["a", "b"] },
                "list": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/one" } },
                "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            },
            "$defs": { "one": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string", "maxLength": 9 },
            } } },
        });
        let text = table(&schema);
        let expected = "  \
  KEY      TYPE              DEFAULT   BOUNDS              WHAT
  headers  table of string   -         -
  list     list of table     required  count >= 1
    name   string            required  length <= 9
  mode     \"a\" | \"b\"         -         -
  url      string            required  matches ^https?://  What to ask.
  warn     number or string  5         >= 0
";
        assert_eq!(text.trim(), expected.trim(), "{text}");
    }

    #[test]
    fn odd_schemas_are_tables_too() {
        for schema in [
            json!(true),
            json!({ "$ref": "#" }),
            json!({ "properties": { "a": { "$ref": "#" } } }),
            json!({ "properties": { "a": { "properties": { "b": 7 }, "enum": 5, "type": 5 } } }),
            json!({ "properties": { "a\u{1b}[0m": { "anyOf": [{ "$ref": "#/properties/a" }] } } }),
        ] {
            let text = table(&schema);
            assert!(text.lines().count() <= MOST + 2 && !text.contains('\u{1b}'), "{text}");
        }
    }
}
