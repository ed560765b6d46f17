//! Takes out of texts what differs from run to run; the one place where snapshots are redacted.

use std::sync::LazyLock;

use regex::Regex;

/// Pattern and what stands in its place, in their order.
const RULES: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
    // A column of a table is as wide as its widest duration.
    (r"\d+\.\d ms +", "[n] ms  "),
    ("TOOK +", "TOOK    "),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |pattern| Regex::new(pattern).expect("a pattern");
    RULES.iter().map(|(pattern, instead)| (compile(pattern), *instead)).collect()
});

/// A table of the terminal without times and durations.
pub(crate) fn table(text: &str) -> String {
    COMPILED.iter().fold(text.to_owned(), |text, (pattern, instead)| {
        pattern.replace_all(&text, *instead).into_owned()
    })
}

/// JSON without the version of this build.
pub(crate) fn version(text: &str) -> String {
    let ours = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    text.replace(&format!("\"releaseId\": {ours}"), "\"releaseId\": \"[version]\"")
        .replace(&format!("\"version\": {ours}"), "\"version\": \"[version]\"")
        .replace(&format!("build_info{{version={ours}"), "build_info{version=\"[version]\"")
}

/// Compares with the committed snapshot of that name; `INSTA_UPDATE=always` writes it anew.
#[track_caller]
pub(crate) fn check_snapshot(name: &str, found: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, found));
}
