//! Has a schema that refers to itself without ever looking at the value.
//!
//! A good host refuses it, or matches settings against it to a depth and no further.

guests::with_schema!(
    "schema-recursive",
    r##"{
        "allOf": [{ "$ref": "#" }, { "$ref": "#/$defs/a" }],
        "$defs": {
            "a": { "anyOf": [{ "$ref": "#/$defs/b" }, { "$ref": "#/$defs/b" }] },
            "b": { "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }] }
        }
    }"##
);
