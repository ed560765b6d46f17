//! Hostile configurations and targets, each against the real program.
//!
//! `tests/e2e/CASES.md` lists the cases and the tests that show what becomes of them; most stand
//! where their kind or their route is tested. Here stand those that concern every kind, the
//! configuration as a file, or very many checks.
//!
//! | file | cases |
//! | --- | --- |
//! | `configuration.rs` | names, values, sizes, files that change under the reader (15 to 18) |
//! | `clock.rs` | a wall clock that jumps (22) |
//! | `names.rs` | name servers, for every kind that resolves (23) |
//! | `answers.rs` | targets that misbehave, with and without TLS, for every kind (24, 25) |
//! | `many.rs` | thousands of checks: starting, ending, all targets down, some hanging (26, 28, 29) |

mod answers;
mod clock;
mod configuration;
mod kinds;
mod many;
mod names;

use crate::support::guests::root;

/// The cases that `tests/e2e/CASES.md` lists.
const CASES: &[u32] = &[14, 15, 16, 17, 18, 22, 23, 24, 25, 26, 27, 28, 29];

/// Where the tests of a name stand: `core::schedule::x` is the test `x` of
/// `host/core/src/schedule.rs`.
fn file(segments: &[&str]) -> String {
    let (folder, rest) = match segments {
        ["core", rest @ ..] => ("host/core/src", rest),
        ["app", rest @ ..] => ("host/app", rest),
        ["net", rest @ ..] => ("host/net/tests/net", rest),
        rest => ("tests/e2e", rest),
    };
    format!("{folder}/{}.rs", rest.join("/"))
}

#[test]
fn every_case_names_tests_that_exist() {
    let list = std::fs::read_to_string(root().join("tests/e2e/CASES.md")).expect("the list");
    for number in CASES {
        let begins = format!("| {number} |");
        let row = list.lines().find(|line| line.starts_with(&begins));
        let row = row.unwrap_or_else(|| panic!("case {number} is not in tests/e2e/CASES.md"));
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 4, "number, case, what a good host does, tests: {row}");
        let mut named = 0;
        for name in cells[3].split('`').skip(1).step_by(2) {
            if let Some(case) = name.strip_prefix("tests/cases/") {
                let expected = root().join("tests/cases").join(case).join("expected.txt");
                assert!(expected.exists(), "case {number} names `{name}`, which is not there");
            } else {
                let segments: Vec<&str> = name.split("::").collect();
                let (test, modules) = segments.split_last().expect("a name has a part");
                let path = file(modules);
                let text = std::fs::read_to_string(root().join(&path));
                let text = text.unwrap_or_else(|e| panic!("case {number}, `{name}`: {path}: {e}"));
                let found = text.split("test]").skip(1).any(|text| {
                    text.lines().take(4).any(|line| line.contains(&format!("fn {test}(")))
                });
                assert!(found, "case {number}: there is no test `{test}` in {path}");
            }
            named += 1;
        }
        assert!(named > 0, "case {number} names no test");
    }
}
