//! Whatever is imported: it ends, does not panic, and what comes out is sound.

use proptest::prelude::*;

use super::testing::{check_sound, file};
use super::{IMPORTS, Options, by_name};

/// The documented files, as lines to make other files of.
const FILES: &[(&str, &str, &str)] = &[
    ("blackbox", "blackbox.yml", include_str!("blackbox/documented.yml")),
    ("gatus", "config.yaml", include_str!("gatus/documented.yml")),
    ("kubernetes", "pod.yaml", include_str!("kubernetes/documented.yaml")),
    ("kuma", "kuma.json", include_str!("kuma/documented.json")),
    ("docker", "compose.yaml", include_str!("docker/compose.yaml")),
    ("docker", "Dockerfile", include_str!("docker/documented.Dockerfile")),
];

/// Values that stand where another was.
const VALUES: &[&str] = &[
    "",
    "~",
    "0",
    "-1",
    "99999999999999999999",
    "1e9",
    "''",
    "\"\\0\"",
    "[]",
    "{}",
    "[{}]",
    "x y",
    "\"${\"",
    "$",
    "0s",
    "9999h",
    "'%{}'",
    "\"\\u202e\"",
    "!!binary AA==",
    "\"a\\nb\"",
    "true",
];

fn check(format: &str, name: &str, text: &str) {
    let import = by_name(format).expect("a format");
    if let Ok(imported) = import.import(&file(name, text), &Options::default()) {
        check_sound(&imported.toml);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_answered(text in "(?s)[ -~\n\t$é]{0,200}") {
        for import in IMPORTS {
            for name in ["a.yaml", "Dockerfile"] {
                let _ = import.import(&file(name, &text), &Options::default());
            }
        }
    }

    #[test]
    fn files_without_some_lines_and_with_other_values_are_answered(
        which in 0..FILES.len(),
        left_out in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        changed in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(VALUES)), 0..6),
    ) {
        let (format, name, text) = FILES[which];
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (index, value) in changed {
            let line = index.get_mut(&mut lines);
            if let Some((key, _)) = line.split_once(": ") {
                *line = format!("{key}: {value}");
            }
        }
        for index in left_out {
            lines.remove(index.index(lines.len()));
        }
        check(format, name, &lines.join("\n"));
    }
}
