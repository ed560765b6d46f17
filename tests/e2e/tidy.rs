//! Rules of the repository that no compiler checks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wellcheck_core::config::keys::{ROOT, SECTIONS};

use crate::support::guests::root;
use crate::support::program::run;

/// Longest source file, in lines.
const MAX_LINES: usize = 600;

/// Every Rust file below these folders, relative to the repository.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut files);
    }
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below it").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).expect("readable"))
    };
    files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).map(read).collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != "target" => walk(&path, files),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for (name, text) in sources(&["host", "tests"]) {
        // A module of a folder may begin with attributes of the whole crate.
        assert!(text.starts_with("//! "), "{name} does not begin with `//! `");
    }
}

#[test]
fn no_source_file_is_too_long() {
    for (name, text) in sources(&["host", "tests", "plugins"]) {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines (at most {MAX_LINES})");
    }
}

/// The files of `host` that name `word` outside of comments, but those below `allowed`.
fn strangers(word: &str, allowed: &str) -> Vec<String> {
    let names = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.contains(word)
    };
    sources(&["host"])
        .into_iter()
        .filter(|(name, text)| !name.starts_with(allowed) && text.lines().any(names))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn one_crate_names_wasmtime() {
    assert_eq!(strangers("wasmtime::", "host/wasm/"), Vec::<String>::new());
    assert_eq!(strangers("wasmtime_", "host/wasm/"), Vec::<String>::new());
}

#[test]
fn one_folder_names_the_database() {
    assert_eq!(strangers("rusqlite::", "host/app/store/"), Vec::<String>::new());
}

#[test]
fn one_module_names_the_server_of_hyper() {
    let mut found = strangers("hyper::server", "host/app/server/listen.rs");
    // Tests of the connector need a server to talk to.
    found.retain(|name| !name.contains("/tests/"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn two_modules_name_tonic() {
    // One that answers, and one that asks.
    for word in [" tonic::", "tonic_health::"] {
        let mut found = strangers(word, "host/app/server/grpc.rs");
        found.retain(|name| name != "host/app/checks/grpc.rs");
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn one_module_reads_the_wall_clock_and_only_the_command_line_names_anyhow() {
    // The kit is for the command line alone, and what tools say of their failures is only shown.
    let allowed = ["host/app/cli/", "host/app/checks/mod.rs", "host/kit/src/"];
    let found: Vec<String> = strangers("anyhow", "host/app/cli/")
        .into_iter()
        .filter(|name| !allowed.iter().any(|allowed| name.starts_with(allowed)))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_core_does_no_input_and_output() {
    for word in ["std::fs", "std::net::Tcp", "std::env", "tokio", "Instant::now", "SystemTime::now"]
    {
        let core: Vec<String> = sources(&["host/core/src"])
            .into_iter()
            .filter(|(_, text)| {
                text.lines().any(|line| line.split("//").next().unwrap_or_default().contains(word))
            })
            .map(|(name, _)| name)
            .collect();
        assert_eq!(core, Vec::<String>::new(), "`{word}`");
    }
}

#[test]
fn every_key_is_explained() {
    let explained = run(&["validate", "--explain"]).expect(0).out;
    for section in SECTIONS {
        let (_, rest) = explained
            .split_once(&format!("{}\n  {}", section.header, section.doc))
            .unwrap_or_else(|| panic!("`{}` is not explained", section.header));
        for key in section.keys {
            let entry = format!("\n  {}\n      {}\n", key.name, key.doc);
            assert!(rest.contains(&entry), "`{}` of `{}`", key.name, section.header);
            assert!(key.example.starts_with(key.name), "the example of `{}`", key.name);
            assert!(key.doc.ends_with('.'), "`{}`: {}", key.name, key.doc);
        }
    }
    for key in ROOT {
        let section = SECTIONS.iter().any(|section| section.header == key.example);
        assert!(section, "`{}` has no section", key.name);
    }
}

/// The lines of a document's code blocks.
fn code(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn what_the_readme_runs_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README.md");
    let mut commands = BTreeSet::new();
    for line in code(&readme) {
        let line = line.trim_start_matches("$ ");
        for word in line.split_whitespace().filter(|word| word.starts_with("./")) {
            let path = root().join(word.trim_end_matches([',', ';', '.', ':', ')']));
            assert!(path.exists(), "`{word}` of README.md is not there: {line}");
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if ["plugins/", "tests/", ".ci/"].iter().any(|folder| first.starts_with(folder)) {
            assert!(root().join(first).exists(), "`{first}` of README.md is not there");
        }
        if first == "wellcheck" || first.ends_with("/wellcheck") {
            commands.extend(words.next().filter(|word| !word.starts_with('-')).map(str::to_owned));
        }
    }
    for command in commands {
        run(&[&command, "--help"]).expect(0);
    }
}

#[test]
fn the_tests_and_files_that_the_architecture_names_exist() {
    let text = std::fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("readable");
    let table = text.split("## How do I add").nth(1).expect("the last section");
    let tests: String = sources(&["host", "tests"]).into_iter().map(|(_, text)| text).collect();
    let mut checked = 0;
    for row in table.lines().filter(|row| row.starts_with("| a ")) {
        let cells: Vec<&str> = row.split('|').collect();
        for name in code_spans(cells[4]) {
            assert!(tests.contains(&format!("fn {name}(")), "there is no test `{name}`");
            checked += 1;
        }
    }
    for path in code_spans(&text).filter(|span| span.starts_with("host/")) {
        if !path.contains("NAME") && !path.contains("v0_2") {
            assert!(root().join(path).exists(), "there is no `{path}`");
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} names were found");
}

/// What stands between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_reference_of_checks_is_what_the_program_says() {
    let said = run(&["kinds", "--markdown"]).expect(0).out;
    let path = root().join("host/CHECKS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &said).expect("it can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        said == written,
        "host/CHECKS.md is not up to date (its first line says how to make it)"
    );
}
