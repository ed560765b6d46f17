//! Configuration problems, by example: a folder in `tests/cases/config` is a test.
//!
//! `wellcheck validate` runs in it, and `expected.txt` holds what it writes and its exit code.
//! `UPDATE_CASES=1` writes that file anew, to be read before it is kept.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::guests::root;
use crate::support::program::{command, finish, run};

/// What `${CASE_SECRET}` stands for; no case may show it.
const SECRET: &str = "case-canary-90b1";

fn folders() -> Vec<PathBuf> {
    let dir = root().join("tests/cases/config");
    let entries = std::fs::read_dir(&dir).expect("the cases").flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn found(folder: &Path) -> String {
    let mut program = command();
    program.current_dir(folder).arg("validate").env("CASE_SECRET", SECRET);
    program.env("CASE_NUMBER", "42").env_remove("CASE_UNSET");
    let ended = finish(&mut program, "");
    assert!(!ended.err.contains(SECRET), "{}: {}", folder.display(), ended.err);
    format!("{}{}exit {}\n", ended.err, ended.out, ended.code)
}

#[test]
fn every_case_of_a_configuration_has_its_problems() {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for folder in folders() {
        let found = found(&folder);
        let file = folder.join("expected.txt");
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected && update {
            std::fs::write(&file, &found).expect("writable");
        } else if found != expected {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            wrong.push(format!("── {name}: expected ──\n{expected}── found ──\n{found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases differ (UPDATE_CASES=1 accepts them):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(folders().len() >= 15, "cases are missing");
}

#[test]
fn every_kind_is_documented_and_tested() {
    let kinds = run(&["kinds", "--json"]).expect(0).json();
    for kind in kinds.as_array().expect("a list") {
        let name = kind["name"].as_str().expect("a name");
        let text = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("summary").is_empty(), "`{name}` has no summary");
        for key in kind["keys"].as_array().expect("a list") {
            assert!(key["doc"].as_str().is_some_and(|doc| doc.ends_with('.')), "{key}");
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("wellcheck.toml"), text("example")).expect("a file");
        let ended = finish(command().current_dir(dir.path()).arg("validate"), "").expect(0);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("valid: 1 checks\n", ""), "{name}");
        let case = folders().iter().any(|folder| {
            folder
                .file_name()
                .is_some_and(|f| f.to_string_lossy().starts_with(&format!("kind-{name}")))
        });
        assert!(case, "`{name}` has no case `tests/cases/config/kind-{name}*`");
        let test = root().join(format!("tests/e2e/{name}_check.rs"));
        assert!(test.exists(), "`{name}` has no end-to-end tests in {}", test.display());
    }
}

#[test]
fn every_documented_key_is_read() {
    use wellcheck_core::config::keys::SECTIONS;

    let head = |header: &str| match header {
        "[[check]]" => "[[check]]\n".to_owned(),
        // Tables of a check stand below one.
        header if header.contains("check.") => {
            format!("[[check]]\nname = \"a\"\nplugin = \"p\"\n{header}\n")
        }
        header => format!("{header}\n"),
    };
    let kinds = run(&["kinds", "--json"]).expect(0).json();
    let mut cases: Vec<(String, String)> = Vec::new();
    for section in SECTIONS {
        for key in section.keys {
            cases.push((key.name.to_owned(), format!("{}{}\n", head(section.header), key.example)));
        }
    }
    for kind in kinds.as_array().expect("a list") {
        for key in kind["keys"].as_array().expect("a list") {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let table = format!(
                "[[check]]\nname = \"a\"\nkind = {}\n{}\n",
                kind["name"],
                text(&key["example"])
            );
            cases.push((text(&key["name"]), table));
        }
    }
    assert!(cases.len() >= 40, "{}", cases.len());
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (key, config) in cases {
        std::fs::write(dir.path().join("wellcheck.toml"), &config).expect("a file");
        let mut program = command();
        program.current_dir(dir.path()).arg("validate").env("API_TOKEN", "x");
        let ended = finish(&mut program, "");
        assert!(
            !ended.err.contains("unknown key"),
            "`{key}` is documented and not read: {}",
            ended.err
        );
        assert!(!ended.err.contains("not valid TOML"), "`{key}`: {config}{}", ended.err);
    }
}
