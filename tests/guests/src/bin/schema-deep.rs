//! Has a schema of five thousand levels, in 50 KB.
//!
//! A good host reads to a depth and no further, and refuses the file with the reason.

guests::with_schema!("schema-deep", {
    let levels = 5_000;
    format!("{}true{}", r#"{"items":"#.repeat(levels), "}".repeat(levels))
});
