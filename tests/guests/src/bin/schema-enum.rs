//! Has a schema of 900 KB: a list of a hundred thousand words.
//!
//! A good host bounds the size of a schema, and refuses the file with the reason.

guests::with_schema!("schema-enum", {
    let words: Vec<String> = (0..100_000).map(|n| format!("\"w{n}\"")).collect();
    format!(r#"{{"properties": {{"word": {{"enum": [{}]}}}}}}"#, words.join(","))
});
