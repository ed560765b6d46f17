//! Regular expressions of the configuration: one bound and one wording for all kinds.

use regex::bytes::{Regex, RegexBuilder};
use wellcheck_core::config::Problems;
use wellcheck_core::config::tree::Text;

/// Largest regular expression, compiled, in bytes.
const MAX_REGEX: usize = 1024 * 1024;

/// A regular expression that stands in `what`; reports one that is none.
pub(super) fn pattern(text: &Text, what: &str, problems: &mut Problems) -> Option<Regex> {
    let compiled = compile(&text.value).map_err(|why| {
        problems.error(&text.place, format!("{what}: `{}` {why}", text.shown()));
    });
    compiled.ok()
}

/// Likewise, for those who report themselves; the error completes "`TEXT` ...".
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern).size_limit(MAX_REGEX).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("is too large a regular expression: it takes more than {limit} bytes")
        }
        // The error is a picture of several lines; its last one says what is wrong.
        error => {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("is no regular expression: {why}")
        }
    })
}
