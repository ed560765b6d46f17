//! What a client gets that asks for this, over a table of our own.

use proptest::prelude::*;
use wellcheck_core::format::Selection;

use super::super::accept::MAX_RANGES;
use super::*;

struct Fake {
    name: &'static str,
    media_type: &'static str,
    accepts: &'static [&'static str],
}

impl Format for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        "for tests"
    }

    fn media_type(&self) -> &'static str {
        self.media_type
    }

    fn accepts(&self) -> &'static [&'static str] {
        self.accepts
    }

    fn render(&self, _selection: &Selection<'_>) -> Vec<u8> {
        Vec::new()
    }
}

const fn fake(
    name: &'static str,
    media_type: &'static str,
    accepts: &'static [&'static str],
) -> Fake {
    Fake { name, media_type, accepts }
}

const FAKES: &[&dyn Format] = &[
    &fake(
        "health+json",
        "application/health+json",
        &["application/health+json", "application/json"],
    ),
    &fake("genesis", "application/json", &[]),
    &fake("aspnet", "text/plain", &[]),
    &fake("text", "text/plain; charset=utf-8", &["text/plain"]),
    &fake("metrics", "text/plain; version=0.0.4; charset=utf-8", &[]),
    &fake("open", "application/openmetrics-text; version=1.0.0", &["application/openmetrics-text"]),
    &fake(
        "spring",
        "application/vnd.spring-boot.actuator.v3+json",
        &["application/vnd.spring-boot.actuator.v3+json"],
    ),
];

/// The name of the format and the media type that is sent instead of its own.
fn chosen(accept: &str) -> String {
    let table = table(FAKES);
    match best(&table, &Ranges::read([accept].into_iter())) {
        Verdict::Unasked => "unasked".to_owned(),
        Verdict::Nothing => "nothing".to_owned(),
        Verdict::Taken(kind) => match &kind.instead {
            Some(_) => format!("{} as plain JSON", FAKES[kind.format].name()),
            None => FAKES[kind.format].name().to_owned(),
        },
    }
}

#[test]
fn every_header_has_its_format() {
    let cases = [
        ("*/*", "health+json"),
        ("application/*", "health+json"),
        ("application/json", "health+json as plain JSON"),
        ("APPLICATION/JSON", "health+json as plain JSON"),
        ("application/json; charset=utf-8", "health+json as plain JSON"),
        ("application/health+json", "health+json"),
        ("application/health+json, application/json", "health+json"),
        ("application/json, text/plain, */*", "health+json as plain JSON"),
        ("text/plain", "text"),
        ("text/*", "text"),
        ("text/plain;version=0.0.4", "metrics"),
        ("text/plain; charset=utf-8", "text"),
        ("text/plain; charset=latin-1", "aspnet"),
        ("text/plain;version=\"0.0.4\";q=0.5", "metrics"),
        ("application/openmetrics-text", "open"),
        ("application/openmetrics-text; version=0.0.1", "nothing"),
        ("application/vnd.spring-boot.actuator.v3+json", "spring"),
        // Weights.
        ("text/plain;q=0.1, application/json;q=0.2", "health+json as plain JSON"),
        ("text/plain;q=0.2, application/json;q=0.1", "text"),
        ("text/plain; Q=0.2 , application/json;q=0.1", "text"),
        ("text/plain;q=0.001, */*;q=0", "text"),
        ("*/*, text/plain", "text"),
        ("text/plain, application/health+json", "text"),
        ("*/*;q=0.1, application/health+json;q=0", "health+json as plain JSON"),
        ("application/*;q=0, */*", "text"),
        ("*/*;q=0", "nothing"),
        ("text/html", "nothing"),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "health+json"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
            "open",
        ),
        // Malformed parts are as if they were not there.
        ("", "unasked"),
        (",,, ,", "unasked"),
        ("json", "unasked"),
        ("*/json", "unasked"),
        ("/, application/, /json", "unasked"),
        ("text/plain;q=", "unasked"),
        ("text/plain;q=2", "unasked"),
        ("text/plain;q=1.001", "unasked"),
        ("text/plain;q=0.1234", "unasked"),
        ("text/plain;q=-1", "unasked"),
        ("te xt/plain, text/html;q=x, application/json", "health+json as plain JSON"),
        // A comma in quotes separates nothing.
        ("text/plain;x=\"a, application/json;q=0\\\" \";q=0.5, text/html", "text"),
        ("text/plain;x=\"never closed, application/json", "text"),
    ];
    for (accept, expected) in cases {
        assert_eq!(chosen(accept), expected, "{accept}");
    }
}

#[test]
fn only_so_many_ranges_are_looked_at() {
    let many = vec!["text/html"; MAX_RANGES].join(",");
    assert_eq!(chosen(&format!("{many},application/json")), "nothing");
    let fewer = vec!["text/html"; MAX_RANGES - 1].join(",");
    assert_eq!(chosen(&format!("{fewer},application/json")), "health+json as plain JSON");
    assert_eq!(chosen(&",".repeat(100_000)), "unasked");
}

#[test]
fn several_lines_are_one_list() {
    let table = table(FAKES);
    let lines = ["text/html", "application/json;q=0.1", "text/plain"];
    let Verdict::Taken(kind) = best(&table, &Ranges::read(lines.into_iter())) else {
        panic!("one fits")
    };
    assert_eq!(FAKES[kind.format].name(), "text");
}

#[test]
fn our_own_formats_are_found_by_their_types() {
    let own = |accept: &str| match best(&TABLE, &Ranges::read([accept].into_iter())) {
        Verdict::Taken(kind) => FORMATS[kind.format].name(),
        _ => "none",
    };
    assert_eq!((own("*/*"), own("application/json")), ("health+json", "health+json"));
    assert_eq!(own("application/health+json"), "health+json");
    for format in FORMATS {
        for kind in format.accepts() {
            assert_eq!(own(kind), format.name(), "{kind}");
        }
    }
}

proptest! {
    #[test]
    fn no_header_is_too_strange(accept in "(?s).{0,200}") {
        chosen(&accept);
    }

    #[test]
    fn nor_is_one_that_looks_like_a_list(accept in "[a-z*/;,=q0-9.\" \\\\]{0,80}") {
        chosen(&accept);
    }

    #[test]
    fn what_weighs_more_wins(first in 1_u16..=1000, second in 1_u16..=1000) {
        prop_assume!(first != second);
        let weight = |n: u16| format!("{}.{:03}", n / 1000, n % 1000);
        let accept = format!("text/plain;q={},application/health+json;q={}", weight(first), weight(second));
        prop_assert_eq!(chosen(&accept), if first > second { "text" } else { "health+json" });
    }
}
