//! One JSON Schema for the whole configuration, for editors: made of the list of keys, so that it
//! says what the documentation says.
//!
//! The list has no types. What a key takes is what its example and its default are; where a list is
//! taken, one value is taken too, and `${...}` may stand for a number. What an editor accepts may
//! still be wrong: `wellcheck validate` knows all rules. Draft 7, which editors know.

use serde_json::{Map, Value, json};

use super::keys::{CHECK, JUDGEMENT, Key, SECTIONS, Section, TIMING};

/// What the schema says of one built-in kind.
#[derive(Debug, Clone)]
pub struct KindKeys {
    /// `http`
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Its own keys.
    pub keys: Vec<&'static Key>,
}

/// What the schema says of one plugin.
#[derive(Debug, Clone)]
pub struct PluginKeys {
    /// The file's name without `.wasm`.
    pub name: String,
    /// One line.
    pub summary: String,
    /// The schema of its settings.
    pub settings: Option<Value>,
}

/// Which file the schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// `wellcheck.toml`, and files of `conf.d`.
    Configuration,
    /// `plugins/NAME.toml`: the body of one check, or several as `[[check]]`.
    Sidecar,
}

/// The schema. Keys that nobody knows are refused but for a check's, which come from several places.
pub fn schema(file: For, kinds: &[KindKeys], plugins: &[PluginKeys]) -> Value {
    let check = check(kinds, plugins);
    let head = |title: &str, body: Value| {
        let mut schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": title,
        });
        merge(&mut schema, body);
        merge(&mut schema, json!({ "definitions": { "check": check.clone() } }));
        schema
    };
    let one = json!({ "$ref": "#/definitions/check" });
    match file {
        For::Sidecar => head(
            "What stands beside a plugin of wellcheck",
            json!({
                "if": { "required": ["check"] },
                "then": { "properties": { "check": { "type": "array", "items": one.clone() } } },
                "else": one,
            }),
        ),
        For::Configuration => {
            let mut root =
                json!({ "type": "object", "properties": {}, "additionalProperties": false });
            for section in SECTIONS.iter().filter(|section| !section.header.contains("check")) {
                place(&mut root, section);
            }
            let mut checks = json!({ "type": "array", "items": one });
            merge(&mut checks, json!({ "description": "A check." }));
            root["properties"]["check"] = checks;
            module(&mut root["properties"]["module"]["items"], &check);
            head("The configuration of wellcheck", root)
        }
    }
}

/// A module has its own keys, and those of its kind or plugin as a check has them.
fn module(module: &mut Value, check: &Value) {
    let own = module["properties"].take();
    let mut properties = check["properties"].clone();
    merge(&mut properties, own);
    *module = json!({ "type": "object", "properties": properties, "allOf": check["allOf"] });
}

/// Puts a section where its header says.
fn place(root: &mut Value, section: &Section) {
    let is_list = section.header.starts_with("[[");
    let path = section.header.trim_matches(['[', ']']);
    let mut at = root;
    for name in path.split('.') {
        at = &mut at["properties"][name];
        if !at.is_object() {
            *at = json!({});
        }
    }
    let mut table = object(section.keys.iter());
    // The names are the user's.
    if path == "secrets" {
        table = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    }
    // `[server]` and the like stand for themselves; what `[plugins]` says of `limits` is less.
    let description = json!({ "description": section.doc });
    merge(&mut table, description);
    *at = if is_list { json!({ "type": "array", "items": table }) } else { table };
}

fn check(kinds: &[KindKeys], plugins: &[PluginKeys]) -> Value {
    let common = CHECK.iter().chain(TIMING).chain(JUDGEMENT);
    let mut check =
        object(common.filter(|key| !["settings", "grants", "limits"].contains(&key.name)));
    check.as_object_mut().expect("a schema is an object").remove("additionalProperties");
    let properties = &mut check["properties"];
    for name in ["grants", "limits"] {
        let header = format!("[check.{name}]");
        let sections = SECTIONS.iter().find(|section| section.header == header);
        let section = sections.expect("both are documented");
        let mut table = object(section.keys.iter());
        merge(&mut table, json!({ "description": section.doc }));
        properties[name] = table;
    }
    // Some take a table besides a text.
    for name in ["http", "dirs"] {
        let header = format!("[[check.grants.{name}]]");
        if let Some(section) = SECTIONS.iter().find(|section| section.header == header) {
            let item = json!({ "anyOf": [{ "type": "string" }, object(section.keys.iter())] });
            let doc = properties["grants"]["properties"][name]["description"].clone();
            properties["grants"]["properties"][name] = json!({
                "description": doc,
                "anyOf": [item.clone(), { "type": "array", "items": item }],
            });
        }
    }
    properties["settings"] =
        json!({ "type": "object", "description": "For a plugin: its settings." });
    let described = |name: &str, doc: &str| json!({ "const": name, "description": doc });
    let mut names: Vec<Value> =
        kinds.iter().map(|kind| described(kind.name, kind.summary)).collect();
    names.push(described("plugin", "runs a component of the plugins folder"));
    let doc = properties["kind"]["description"].clone();
    properties["kind"] = json!({ "description": doc, "anyOf": names });
    if !plugins.is_empty() {
        let names = plugins.iter().map(|plugin| described(&plugin.name, &plugin.summary));
        let mut names: Vec<Value> = names.collect();
        // One that will be dropped later.
        names.push(json!({ "type": "string" }));
        let doc = properties["plugin"]["description"].clone();
        properties["plugin"] = json!({ "description": doc, "anyOf": names });
    }
    let when = |key: &str, name: &str, then: Value| {
        json!({
            "if": { "required": [key], "properties": { key: { "const": name } } },
            "then": then,
        })
    };
    let of_kinds = kinds.iter().map(|kind| {
        let mut own = object(kind.keys.iter().copied());
        own.as_object_mut().expect("a schema is an object").remove("additionalProperties");
        when("kind", kind.name, own)
    });
    let of_plugins = plugins.iter().filter_map(|plugin| {
        let mut settings = plugin.settings.clone()?;
        // What it refers to is within itself: with a name of its own it stays so.
        if let Some(settings) = settings.as_object_mut() {
            settings
                .entry("$id")
                .or_insert_with(|| json!(format!("urn:wellcheck:plugin:{}", plugin.name)));
        }
        Some(when("plugin", &plugin.name, json!({ "properties": { "settings": settings } })))
    });
    check["allOf"] = of_kinds.chain(of_plugins).collect();
    check
}

/// A table with these keys and no other.
fn object<'a>(keys: impl Iterator<Item = &'a Key>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        properties.insert(key.name.to_owned(), property(key));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(key: &Key) -> Value {
    let mut taken = Vec::new();
    for value in [example(key), default(key)].into_iter().flatten() {
        takes(&value, &mut taken);
    }
    let mut property = match taken.len() {
        0 => json!({}),
        1 => taken.remove(0),
        _ => json!({ "anyOf": taken }),
    };
    let default_text = match key.default {
        "" => String::new(),
        text => format!(" Default: {text}."),
    };
    merge(
        &mut property,
        json!({ "description": format!("{}{default_text}", key.doc), "examples": example(key).map(to_json) }),
    );
    property
}

fn example(key: &Key) -> Option<toml::Value> {
    let table: toml::Table = key.example.parse().ok()?;
    table.get(key.name).cloned()
}

fn default(key: &Key) -> Option<toml::Value> {
    let table: toml::Table = format!("value = {}", key.default).parse().ok()?;
    table.get("value").cloned()
}

fn takes(value: &toml::Value, taken: &mut Vec<Value>) {
    let mut add = |schema: Value| {
        if !taken.contains(&schema) {
            taken.push(schema);
        }
    };
    let or_variable = json!({ "type": "string", "pattern": "\\$\\{" });
    match value {
        toml::Value::String(text) => {
            add(json!({ "type": "string" }));
            // A share of something, or so many of so many: a plain number will do too.
            if text.ends_with('%') || text.contains(" of ") {
                add(json!({ "type": "number" }));
            }
        }
        toml::Value::Integer(_) | toml::Value::Float(_) => {
            add(json!({ "type": "number" }));
            add(or_variable);
        }
        toml::Value::Boolean(_) => {
            add(json!({ "type": "boolean" }));
            add(or_variable);
        }
        toml::Value::Datetime(_) => {}
        toml::Value::Array(list) => {
            let mut items = Vec::new();
            for item in list {
                takes(item, &mut items);
            }
            let items = match items.len() {
                0 => json!({}),
                1 => items.remove(0),
                _ => json!({ "anyOf": items }),
            };
            add(items.clone());
            add(json!({ "type": "array", "items": items }));
        }
        toml::Value::Table(_) => add(json!({ "type": "object" })),
    }
}

fn to_json(value: toml::Value) -> Value {
    serde_json::to_value(value).map_or(Value::Null, |value| json!([value]))
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from.into_iter().filter(|(_, value)| !value.is_null()));
    }
}
