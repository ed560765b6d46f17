//! What a step takes from its answer for those behind it.

use http::HeaderName;
use regex::bytes::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;
use wellcheck_core::condition::json_path;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Table, Value as Node};
use wellcheck_net::http::Answer;

use super::super::http::found;
use super::super::pattern::pattern;
use super::template::is_name;

/// Most values of a step.
const MOST: usize = 32;

/// Longest value, in bytes.
const LONGEST: usize = 16 * 1024;

/// The keys of a value in `capture`.
const KEYS: &[&[Key]] = &[&[
    key("json", "", "json = \"$.token\"", "Where it stands in a body of JSON."),
    key("header", "", "header = \"Location\"", "The header that holds it."),
    key("cookie", "", "cookie = \"session\"", "The cookie that holds it."),
    key("regex", "all of it", "regex = \"id=([0-9]+)\"", "Which part: the first group, or all."),
]];

/// One value to take.
#[derive(Debug)]
pub(super) struct Capture {
    /// What it is called.
    pub(super) name: String,
    from: Place,
    part: Option<Regex>,
}

/// Where it stands.
#[derive(Debug)]
enum Place {
    Json(JsonPath, String),
    Header(HeaderName),
    Cookie(String),
    Body,
}

/// The names in `capture` of a step.
pub(super) fn names(step: &Table) -> Vec<String> {
    match step.entries.get("capture").map(|entry| &entry.node.value) {
        Some(Node::Table(table)) => table.entries.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Reads `capture` of a step.
pub(super) fn read(reader: &mut Reader, problems: &mut Problems) -> Vec<Capture> {
    let what = reader.what().to_owned();
    let place = reader.place_of("capture");
    let Some(table) = reader.table("capture", problems) else { return Vec::new() };
    if table.entries.len() > MOST {
        let message =
            format!("`capture` of {what} names {} values (at most {MOST})", table.entries.len());
        problems.error(&place, message);
    }
    let mut captures = Vec::new();
    for (name, entry) in table.entries {
        let shown = name.escape_debug().to_string();
        if !is_name(&name) {
            let message = format!(
                "`{shown}` in `capture` of {what} is no name (expected letters, digits, `-` and `_`)"
            );
            problems.error(&entry.key, message);
        }
        match entry.node.value {
            Node::Table(table) => {
                let what = format!("`{shown}` in `capture` of {what}");
                captures.extend(one(name, what, table, problems));
            }
            other => {
                let message = format!(
                    "`{shown}` in `capture` of {what} is {} (expected for example `{{ json = \"$.token\" }}`)",
                    other.kind()
                );
                problems.error(&entry.node.place, message);
            }
        }
    }
    captures
}

fn one(name: String, what: String, table: Table, problems: &mut Problems) -> Option<Capture> {
    let mut reader = Reader::new(what, table, KEYS);
    let places = ["json", "header", "cookie"];
    let present: Vec<&str> = places.into_iter().filter(|key| reader.has(key)).collect();
    let has_part = reader.has("regex");
    let json = reader.parsed("json", problems, |text| {
        let path = json_path(&text.value).map_err(|why| match text.written {
            None => format!("{why} (expected for example `$.token`)"),
            Some(_) => format!("`{}` is no JSONPath that is taken", text.shown()),
        })?;
        Ok(Place::Json(path, text.shown().to_owned()))
    });
    let header = reader.parsed("header", problems, |text| {
        HeaderName::from_bytes(text.value.as_bytes())
            .map(Place::Header)
            .map_err(|_| format!("`{}` is no name of a header", text.shown().escape_debug()))
    });
    let cookie = reader.text("cookie", problems).map(|text| Place::Cookie(text.value));
    let part = reader.text("regex", problems);
    let part_what = format!("`regex` of {}", reader.what());
    let part = part.and_then(|text| pattern(&text, &part_what, problems));
    if present.len() > 1 {
        let list: Vec<String> = present.iter().map(|key| format!("`{key}`")).collect();
        let message =
            format!("{} has {} (expected one of them)", reader.what(), list.join(" and "));
        problems.error(&reader.place_of(present[1]), message);
    }
    if present.is_empty() && !has_part {
        let message = format!(
            "{} says nowhere to take it from (expected `json`, `header`, `cookie` or `regex`)",
            reader.what()
        );
        problems.error(reader.place(), message);
    }
    reader.finish(&[], problems);
    let from = json.or(header).or(cookie);
    let from = if present.is_empty() { Place::Body } else { from? };
    Some(Capture { name, from, part })
}

impl Capture {
    /// Takes the value; the error says why there is none, and never what the answer holds.
    pub(super) fn take(
        &self,
        answer: &Answer,
        cookies: &[(String, String)],
    ) -> Result<String, String> {
        let name = &self.name;
        let (whole, place) = match &self.from {
            Place::Json(path, shown) => {
                let json = found::json(answer)
                    .ok_or_else(|| format!("the body is no JSON to take `{name}` from"))?;
                (json_text(path, shown, &json, name)?.into_bytes(), format!("`{shown}`"))
            }
            Place::Header(header) => {
                let value = answer.headers.get(header).ok_or_else(|| {
                    format!("there is no header `{header}` to take `{name}` from")
                })?;
                (value.as_bytes().to_vec(), format!("the header `{header}`"))
            }
            Place::Cookie(cookie) => {
                let value = cookies.iter().find(|(name, _)| name == cookie);
                let (_, value) = value.ok_or_else(|| {
                    format!("there is no cookie `{cookie}` to take `{name}` from")
                })?;
                (value.clone().into_bytes(), format!("the cookie `{cookie}`"))
            }
            Place::Body => (answer.body.to_vec(), "the body".to_owned()),
        };
        let part = match &self.part {
            None => whole,
            Some(regex) => {
                let captures = regex.captures(&whole);
                let part =
                    captures.as_ref().and_then(|found| found.get(1).or_else(|| found.get(0)));
                part.ok_or_else(|| format!("{place} does not match `{regex}` (for `{name}`)"))?
                    .as_bytes()
                    .to_vec()
            }
        };
        if part.len() > LONGEST {
            return Err(format!("the value for `{name}` is longer than 16 KiB"));
        }
        String::from_utf8(part).map_err(|_| format!("the value for `{name}` is no UTF-8 text"))
    }
}

fn json_text(path: &JsonPath, shown: &str, json: &Value, name: &str) -> Result<String, String> {
    let list = path.query(json);
    let value = match list.len() {
        0 => return Err(format!("there is nothing at `{shown}` to take `{name}` from")),
        1 => list.first().expect("there is one"),
        more => {
            return Err(format!("`{shown}` leads to {more} values (expected one, for `{name}`)"));
        }
    };
    let kind = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => return Ok(value.to_string()),
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Err(format!("`{shown}` is {kind} (expected a text or a number, for `{name}`)"))
}
