//! Has a schema that refers to others: on this machine's network, and in its files.
//!
//! A good host reads no schema from elsewhere: it refuses the file, and asks nobody.

guests::with_schema!(
    "schema-remote",
    r#"{
        "type": "object",
        "properties": {
            "a": { "$ref": "http://127.0.0.1:1/schema.json" },
            "b": { "$ref": "file:///etc/passwd" },
            "c": { "$dynamicRef": "https://schema.example.com/x#node" }
        }
    }"#
);
