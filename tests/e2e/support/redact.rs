//! Takes out of texts what differs from run to run; the one place where snapshots are redacted.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Pattern and what stands in its place, in their order.
const RULES: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
    (r"(127\.0\.0\.1|localhost):\d{2,5}", "$1:[port]"),
    (r#""port":\s*\d+"#, r#""port":"[port]""#),
    (r"blake3:[0-9a-f]{64}", "blake3:[digest]"),
    (r#""digest":\s*"[0-9a-f]{64}""#, r#""digest":"[digest]""#),
    (r"\d+(\.\d+)? ?ms\b", "[n] ms"),
    (r#""(duration|compile|load|run|run_cpu)_ms":\s*[0-9.]+"#, r#""${1}_ms":"[n]""#),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |pattern| Regex::new(pattern).expect("a pattern");
    RULES.iter().map(|(pattern, instead)| (compile(pattern), *instead)).collect()
});

/// Without times, ports, digests, durations and this build's version.
pub(crate) fn text(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, instead) in COMPILED.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    text.replace(concat!("wellcheck ", env!("CARGO_PKG_VERSION")), "wellcheck [version]").replace(
        concat!(r#""releaseId":""#, env!("CARGO_PKG_VERSION"), '"'),
        r#""releaseId":"[version]""#,
    )
}

/// Likewise, and without the name of a temporary folder.
pub(crate) fn in_dir(dir: &Path, found: &str) -> String {
    text(&found.replace(&*dir.to_string_lossy(), "[dir]"))
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
