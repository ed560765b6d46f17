//! Fifty hostile behaviours of plugins, each against the real program.
//!
//! `tests/guests/CASES.md` lists them. Each has a test whose name begins with `case_` and its number;
//! the behaviour costs only its own check, which says why. While it happens the endpoint answers and
//! other checks run, and afterwards nothing of it is left (see `beside.rs`).
//!
//! | file | behaviours |
//! | --- | --- |
//! | `compute.rs` | loops, memory, tables, stack (1 to 9) |
//! | `answers.rs` | what a run returns (10 to 18) |
//! | `output.rs` | what it prints (19, 20) |
//! | `waiting.rs` | sleeping, leaking, requests without end (21 to 26, 44, 48) |
//! | `network.rs` | where it may not go (27 to 32, 35) |
//! | `ambient.rs` | the process around it, and what is left between runs (33, 34, 40, 42, 45, 46, 50) |
//! | `loading.rs` | files that are no good plugin, the cache (37 to 39, 41, 47, 49) |
//! | `folder.rs` | the plugins folder (36, 43) |
//! | `sidecars.rs` | sidecars that cannot be read, or ask for too much |
//! | `versions.rs` | a new version that wants more than is granted |

mod ambient;
mod answers;
mod beside;
mod compute;
mod folder;
mod loading;
mod network;
mod output;
mod shown;
mod sidecars;
mod table;
mod versions;
mod waiting;

use std::path::PathBuf;

use crate::support::guests::{fixtures, root};

/// How many behaviours `tests/guests/CASES.md` lists.
const CASES: u32 = 50;

/// The text of every file of this folder.
fn sources() -> String {
    let dir = root().join("tests/e2e/hostile");
    let files = std::fs::read_dir(dir).expect("this folder").flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("a source")).collect()
}

#[test]
fn every_case_has_a_test() {
    let sources = sources();
    let list = std::fs::read_to_string(root().join("tests/guests/CASES.md")).expect("the list");
    for number in 1..=CASES {
        let test = format!("#[test]\nfn case_{number:02}_");
        assert!(sources.contains(&test), "case {number} has no test (`fn case_{number:02}_...`)");
        assert!(list.contains(&format!("\n| {number} |")), "case {number} is not in CASES.md");
    }
}

#[test]
fn every_guest_is_built_and_used() {
    let sources = sources() + include_str!("../secrets.rs") + include_str!("../fetch.rs");
    for folder in ["src/bin", "core", "wat"] {
        let dir: PathBuf = root().join("tests/guests").join(folder);
        for file in std::fs::read_dir(&dir).expect("the guests").flatten() {
            let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(sources.contains(&format!("\"{name}\"")), "no test uses the guest `{name}`");
            let built = fixtures().join(format!("{name}.wasm"));
            assert!(built.exists(), "`{name}` is not built; run `plugins/build --guests`");
        }
    }
}
