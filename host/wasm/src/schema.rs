//! The schema of a plugin's settings: a bounded validator, since the schema is the plugin's.
//!
//! Before it is compiled, the schema is walked once: references lead to a place within it and never
//! in a circle, so that its size with every reference written out is known and bounded. Patterns
//! are matched in linear time. Nothing is ever fetched.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, JsonType, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};
use wellcheck_core::limits::KIB;

use crate::text;

/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 48;
/// Most values of a schema with every reference written out.
const MAX_EXPANDED: usize = 20_000;
/// Most patterns of a schema with every reference written out.
const MAX_PATTERNS: usize = 64;
/// What one pattern may take once compiled.
const PATTERN_BYTES: usize = 512 * KIB;
/// Most problems that are reported of one settings object.
const MAX_PROBLEMS: usize = 50;
/// Deepest nesting of settings.
const MAX_SETTINGS_DEPTH: usize = 32;

/// Keywords whose values are data and not schemas.
const DATA: &[&str] = &["const", "enum", "default", "examples"];

/// Keywords whose values are schemas by names of somebody's choice.
const MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "dependentSchemas",
    "dependencies",
    "$defs",
    "definitions",
];

/// Why a schema is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// Too long, too deep, too much.
    #[error("it is too large: {0}")]
    TooLarge(String),
    /// A reference that leads out of the schema, in a circle, or nowhere.
    #[error("`{reference}` {why}")]
    Reference {
        /// As it stands there.
        reference: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another version of JSON Schema.
    #[error(
        "`$schema` is `{0}` (known: `https://json-schema.org/draft/2020-12/schema`, `http://json-schema.org/draft-07/schema#`)"
    )]
    Draft(String),
    /// Not a schema.
    #[error("at `{at}`: {why}")]
    Invalid {
        /// A JSON pointer.
        at: String,
        /// What is wrong.
        why: String,
    },
}

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema(Validator);

impl Schema {
    pub(crate) fn compile(source: &str, max_bytes: usize) -> Result<Self, SchemaError> {
        if source.len() > max_bytes {
            return Err(SchemaError::TooLarge(format!(
                "{} bytes (at most {})",
                source.len(),
                text::bytes(max_bytes)
            )));
        }
        let schema: Value = serde_json::from_str(source)
            .map_err(|error| SchemaError::Json(text::cleaned(&error.to_string(), 200)))?;
        let draft = draft(&schema)?;
        let mut walk = Walk { root: &schema, under: Vec::new(), values: 0, patterns: 0 };
        walk.schema(&schema, 0)?;
        jsonschema::options()
            .with_draft(draft)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES),
            )
            .should_validate_formats(false)
            .offline()
            .build(&schema)
            .map(Self)
            .map_err(|error| SchemaError::Invalid {
                at: text::cleaned(error.instance_path().as_str(), 200),
                why: invalid(&error),
            })
    }

    /// Every problem of the settings, with its place. Never repeats a value.
    pub(crate) fn check(&self, settings: &Value) -> Result<(), Vec<String>> {
        if depth(settings) > MAX_SETTINGS_DEPTH {
            return Err(vec![format!("nested more than {MAX_SETTINGS_DEPTH} deep")]);
        }
        let mut problems: Vec<String> =
            self.0.iter_errors(settings).take(MAX_PROBLEMS + 1).map(|e| problem(&e)).collect();
        if problems.len() > MAX_PROBLEMS {
            problems.truncate(MAX_PROBLEMS);
            problems.push("… and more".to_owned());
        } else {
            problems.sort();
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The validator says the same of a pattern that is none and of one that is too large.
fn invalid(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => format!(
            "the pattern is no regular expression, or takes more than {} once compiled",
            text::bytes(PATTERN_BYTES)
        ),
        _ => text::cleaned(&error.to_string(), 400),
    }
}

fn draft(schema: &Value) -> Result<Draft, SchemaError> {
    match schema.get("$schema") {
        None => Ok(Draft::Draft202012),
        Some(Value::String(uri)) => match uri.trim_end_matches('#') {
            "https://json-schema.org/draft/2020-12/schema" => Ok(Draft::Draft202012),
            "http://json-schema.org/draft-07/schema" => Ok(Draft::Draft7),
            other => Err(SchemaError::Draft(text::cleaned(other, 200))),
        },
        Some(_) => Err(SchemaError::Draft("not a text".to_owned())),
    }
}

/// Walks a schema as a validator would, with every reference written out.
struct Walk<'a> {
    root: &'a Value,
    /// The references that lead here.
    under: Vec<&'a str>,
    values: usize,
    patterns: usize,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, value: &'a Value, depth: usize) -> Result<(), SchemaError> {
        self.values += 1;
        if self.values > MAX_EXPANDED {
            return Err(SchemaError::TooLarge(format!(
                "more than {MAX_EXPANDED} values with every reference written out"
            )));
        }
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooLarge(format!("nested more than {MAX_DEPTH} deep")));
        }
        match value {
            Value::Object(object) => self.object(object, depth),
            Value::Array(list) => list.iter().try_for_each(|item| self.schema(item, depth + 1)),
            _ => Ok(()),
        }
    }

    fn object(&mut self, object: &'a Map<String, Value>, depth: usize) -> Result<(), SchemaError> {
        for (key, value) in object {
            match (key.as_str(), value) {
                ("$ref", Value::String(target)) => self.reference(target, depth)?,
                ("$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                    return Err(reference(
                        target,
                        "is a dynamic reference, which is not supported",
                    ));
                }
                ("$id", Value::String(id)) if depth > 0 => {
                    let why = "names a schema within the schema, which is not supported";
                    return Err(reference(id, why));
                }
                ("pattern", Value::String(_)) => self.pattern(1)?,
                (key, _) if DATA.contains(&key) => {}
                (key, Value::Object(schemas)) if MAPS.contains(&key) => {
                    if key == "patternProperties" {
                        self.pattern(schemas.len())?;
                    }
                    schemas.values().try_for_each(|schema| self.schema(schema, depth + 1))?;
                }
                _ => self.schema(value, depth + 1)?,
            }
        }
        Ok(())
    }

    fn reference(&mut self, target: &'a str, depth: usize) -> Result<(), SchemaError> {
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(reference(target, "leads out of the schema (expected `#/...`)"));
        };
        if !(pointer.is_empty() || pointer.starts_with('/')) {
            return Err(reference(target, "is no pointer (expected `#/...`)"));
        }
        if self.under.contains(&target) || pointer.is_empty() {
            return Err(reference(target, "leads in a circle"));
        }
        let decoded = pointer.replace("%25", "%").replace("%22", "\"").replace("%20", " ");
        let Some(found) = self.root.pointer(&decoded) else {
            return Err(reference(target, "leads nowhere"));
        };
        self.under.push(target);
        self.schema(found, depth + 1)?;
        self.under.pop();
        Ok(())
    }

    fn pattern(&mut self, count: usize) -> Result<(), SchemaError> {
        self.patterns += count;
        if self.patterns > MAX_PATTERNS {
            return Err(SchemaError::TooLarge(format!("more than {MAX_PATTERNS} patterns")));
        }
        Ok(())
    }
}

fn reference(target: &str, why: &'static str) -> SchemaError {
    SchemaError::Reference { reference: text::cleaned(target, 200), why }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Where, what was found, what was expected.
fn problem(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;

    let found = || match error.instance().as_ref() {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let what = match error.kind() {
        Kind::Type { kind } => format!("found {}, expected {}", found(), types(kind)),
        Kind::Required { property } => match property.as_str() {
            Some(name) => format!("`{name}` is missing"),
            None => format!("{property} is missing"),
        },
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("`{name}`")).collect();
            format!("unknown key{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
        }
        Kind::Enum { options } => format!("found {} that is none of {options}", found()),
        Kind::Constant { expected_value } => {
            format!("found {} other than {expected_value}", found())
        }
        Kind::Minimum { limit } => {
            format!("found a number that is too small, expected at least {limit}")
        }
        Kind::Maximum { limit } => {
            format!("found a number that is too large, expected at most {limit}")
        }
        Kind::ExclusiveMinimum { limit } => {
            format!("found a number that is too small, expected more than {limit}")
        }
        Kind::ExclusiveMaximum { limit } => {
            format!("found a number that is too large, expected less than {limit}")
        }
        Kind::MinLength { limit } => {
            format!("found a string that is too short, expected at least {limit} characters")
        }
        Kind::MaxLength { limit } => {
            format!("found a string that is too long, expected at most {limit} characters")
        }
        Kind::MinItems { limit } => format!("found too few items, expected at least {limit}"),
        Kind::MaxItems { limit } => format!("found too many items, expected at most {limit}"),
        Kind::Pattern { pattern } => format!("found a string that does not match `{pattern}`"),
        Kind::UniqueItems => "found an item twice, expected each once".to_owned(),
        Kind::PropertyNames { error } => {
            format!("a key is not allowed: {}", error.masked_with("it"))
        }
        Kind::FalseSchema => format!("found {}, expected nothing here", found()),
        _ => format!("found {} that does not match: {}", found(), error.masked_with("it")),
    };
    let at = error.instance_path().as_str();
    let at = if at.is_empty() { "/" } else { at };
    text::cleaned(&format!("{at}: {what}"), KIB)
}

fn types(kind: &TypeKind) -> String {
    let named = |json: JsonType| match json {
        JsonType::Null => "null",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    };
    match kind {
        TypeKind::Single(json) => named(*json).to_owned(),
        TypeKind::Multiple(set) => set.iter().map(named).collect::<Vec<_>>().join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(schema: &Value) -> Result<Schema, SchemaError> {
        Schema::compile(&schema.to_string(), 64 * KIB)
    }

    #[track_caller]
    fn check(schema: &Value, settings: &Value, expected: &[&str]) {
        let schema = compile(schema).expect("a schema");
        let problems = schema.check(settings).err().unwrap_or_default();
        assert_eq!(problems, expected);
    }

    fn example() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "url": {"type": "string", "pattern": "^https?://"},
                "warn": {"$ref": "#/$defs/limit"},
                "mode": {"enum": ["fast", "slow"]},
                "token": {"type": "string", "minLength": 20},
            },
            "required": ["url"],
            "additionalProperties": false,
            "$defs": {"limit": {"type": ["integer", "null"], "minimum": 0}},
        })
    }

    #[test]
    fn settings_that_match_have_no_problems() {
        check(&example(), &json!({"url": "http://x", "warn": 5, "mode": "fast"}), &[]);
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_value_is_repeated() {
        check(
            &example(),
            &json!({"url": 5, "warn": -1, "mode": "hunter2", "token": "hunter2", "colour": "hunter2"}),
            &[
                "/: unknown key `colour`",
                "/mode: found a string that is none of [\"fast\",\"slow\"]",
                "/token: found a string that is too short, expected at least 20 characters",
                "/url: found a number, expected a string",
                "/warn: found a number that is too small, expected at least 0",
            ],
        );
        check(
            &example(),
            &json!({"warn": "x"}),
            &["/: `url` is missing", "/warn: found a string, expected null or an integer"],
        );
    }

    #[test]
    fn no_keyword_repeats_a_value() {
        let schemas = [
            json!({"not": {"type": "string"}}),
            json!({"anyOf": [{"type": "number"}, {"minLength": 100}]}),
            json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
            json!({"allOf": [{"const": "a"}, {"pattern": "^z"}, {"maxLength": 1}]}),
            json!({"type": "array"}),
            json!({"if": true, "then": {"enum": [1]}}),
            json!(false),
        ];
        for schema in schemas {
            let problems = compile(&schema).expect("a schema").check(&json!("hunter2"));
            let problems = problems.expect_err("it does not match");
            assert!(!problems.iter().any(|p| p.contains("hunter2")), "{schema}: {problems:?}");
        }
        let list =
            compile(&json!({"uniqueItems": true, "contains": {"type": "null"}, "items": false}));
        let problems = list.expect("a schema").check(&json!(["hunter2", "hunter2"]));
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }

    #[track_caller]
    fn refused(schema: &Value, why: &str) {
        let error = compile(schema).expect_err("not a schema for us").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn references_stay_within_the_schema_and_end() {
        refused(&json!({"$ref": "https://example.com/x"}), "leads out of the schema");
        refused(&json!({"$ref": "file:///etc/passwd"}), "leads out of the schema");
        refused(&json!({"$ref": "#"}), "leads in a circle");
        refused(&json!({"properties": {"a": {"$ref": "#/properties/a"}}}), "leads in a circle");
        refused(
            &json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
            "leads in a circle",
        );
        refused(&json!({"$ref": "#/$defs/missing"}), "leads nowhere");
        refused(&json!({"$dynamicRef": "#meta"}), "dynamic reference");
        refused(&json!({"items": {"$id": "x", "$ref": "#/items"}}), "within the schema");
        refused(&json!({"$schema": "https://example.com/my-draft"}), "`$schema` is");
    }

    #[test]
    fn a_schema_that_doubles_with_each_reference_is_too_large() {
        let mut defs = Map::new();
        for n in 0..14 {
            let next = format!("#/$defs/n{}", n + 1);
            defs.insert(format!("n{n}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
        }
        defs.insert("n14".to_owned(), json!(true));
        refused(&json!({"$defs": defs, "$ref": "#/$defs/n0"}), "with every reference written out");
    }

    #[test]
    fn size_depth_and_patterns_are_bounded() {
        let mut deep = json!({});
        for _ in 0..60 {
            deep = json!({"items": deep});
        }
        refused(&deep, "nested more than");
        let mut deeper = String::new();
        for _ in 0..5000 {
            deeper.push_str("{\"not\":");
        }
        assert!(matches!(Schema::compile(&deeper, 64 * KIB), Err(SchemaError::Json(_))));
        refused(&json!({"description": "x".repeat(70_000)}), "bytes (at most 64 KiB)");
        let patterns: Vec<_> = (0..65).map(|n| json!({"pattern": format!("^{n}$")})).collect();
        refused(&json!({"allOf": patterns}), "patterns");
        refused(&json!({"pattern": "((a{1000}){1000}){1000}"}), "pattern");
        refused(&json!({"pattern": "(?=a)b"}), "pattern");
        refused(&json!({"type": "text"}), "type");
    }

    #[test]
    fn a_pattern_that_backtracks_elsewhere_is_linear_here() {
        let schema = compile(&json!({"pattern": "^(a+)+$"})).expect("a schema");
        let settings = json!(format!("{}b", "a".repeat(100_000)));
        let began = std::time::Instant::now();
        assert!(schema.check(&settings).is_err());
        assert!(began.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_property_called_like_a_keyword_is_a_property() {
        check(
            &json!({"properties": {"$ref": {"type": "string"}, "id": {"type": "string"}, "default": {"type": "number"}}}),
            &json!({"id": 5}),
            &["/id: found a number, expected a string"],
        );
        check(
            &json!({"const": {"$ref": "http://elsewhere"}}),
            &json!(5),
            &["/: found a number other than {\"$ref\":\"http://elsewhere\"}"],
        );
    }
}
