//! Has a schema whose patterns take a backtracking matcher years for the text
//! `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!`.
//!
//! A good host matches in linear time: it refuses such settings at once.

guests::with_schema!(
    "schema-regex",
    r#"{
        "type": "object",
        "properties": {
            "text": { "type": "string", "pattern": "^(a+)+$" },
            "other": { "type": "string", "pattern": "^(a|aa)*(a|aa)*(a|aa)*b$" }
        },
        "patternProperties": { "^((x+)*)*$": {} }
    }"#
);
