//! Has a schema with a short pattern that becomes a machine of 10^10 states.
//!
//! A good host bounds what a pattern compiles to, and refuses the file with the reason.

guests::with_schema!(
    "schema-regex-size",
    r#"{
        "type": "object",
        "properties": {
            "text": { "type": "string", "pattern": "^(((((\\w{100}){100}){100}){100}){100})$" }
        }
    }"#
);
