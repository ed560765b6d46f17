//! `wellcheck schema`: what it says is checked against every configuration that this repository has.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::guests::root;
use crate::support::program::{run, run_in};

fn schema(args: &[&str]) -> Value {
    run(&[&["schema"], args].concat()).expect(0).json()
}

fn problems(schema: &Value, config: &str) -> Vec<String> {
    let table: toml::Table = config.parse().unwrap_or_else(|error| panic!("{error}: {config}"));
    let value = serde_json::to_value(table).expect("TOML has a form in JSON");
    let validator = jsonschema::draft7::new(schema).expect("the schema is one");
    let errors = validator.iter_errors(&value);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn fits(schema: &Value, name: &str, config: &str) {
    let problems = problems(schema, config);
    assert!(problems.is_empty(), "{name}: {problems:#?}\n{config}");
}

/// Every case of a configuration that has no problem.
fn good_cases() -> Vec<PathBuf> {
    let dir = root().join("tests/cases/config");
    let folders = std::fs::read_dir(dir).expect("the cases").flatten().map(|entry| entry.path());
    let is_good = |folder: &PathBuf| {
        let expected = std::fs::read_to_string(folder.join("expected.txt")).unwrap_or_default();
        expected.ends_with("exit 0\n") && folder.join("wellcheck.toml").exists()
    };
    folders.filter(is_good).collect()
}

#[test]
fn what_is_valid_fits_the_schema() {
    let schema = schema(&["--no-plugins"]);
    let cases = good_cases();
    assert!(cases.len() >= 5, "{cases:?}");
    for case in cases {
        let config = std::fs::read_to_string(case.join("wellcheck.toml")).expect("a file");
        fits(&schema, &case.display().to_string(), &config);
    }
    for kind in run(&["kinds", "--json"]).expect(0).json().as_array().expect("a list") {
        let example = kind["example"].as_str().expect("an example");
        fits(&schema, kind["name"].as_str().unwrap_or_default(), example);
    }
    let demo = std::fs::read_to_string(root().join("plugins/demo/wellcheck.toml"));
    fits(&schema, "the demo", &demo.expect("the demo's configuration"));
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is one");
    for block in readme.split("```toml\n").skip(1) {
        fits(&schema, "README.md", block.split("```").next().unwrap_or_default());
    }
}

#[test]
fn what_is_mistyped_does_not() {
    let schema = schema(&["--no-plugins"]);
    for config in [
        "[server]\nlisen = \"127.0.0.1:1\"",
        "[servers]\nlisten = \"127.0.0.1:1\"",
        "[server]\nmax-connections = true",
        "[[check]]\nname = \"a\"\nkind = \"htpp\"",
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = 5",
        "[[check]]\nname = \"a\"\nplugin = \"p\"\n[check.grants]\nhtpp = \"http://a\"",
        "[[check]]\nname = \"a\"\nplugin = \"p\"\n[check.limits]\nmemory = [true]",
        "[check]\nname = \"a\"",
    ] {
        assert!(!problems(&schema, config).is_empty(), "{config}");
    }
}

#[test]
fn every_key_is_in_it_with_its_meaning() {
    use wellcheck_core::config::keys::SECTIONS;

    let text = schema(&["--no-plugins"]).to_string();
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        // A secret's name is the user's; the others have sections of their own.
        if !["name", "settings", "grants", "limits"].contains(&key.name) {
            let doc = json!(key.doc).to_string();
            let doc = doc.trim_matches('"');
            assert!(text.contains(doc), "`{}` is not in the schema: {doc}", key.name);
        }
    }
}

#[test]
fn the_settings_of_plugins_are_in_it() {
    let plugins = root().join("plugins");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let schema = run_in(dir.path(), &["schema", "--plugins", &plugins.display().to_string()]);
    let schema = schema.expect(0).json();
    let check = |settings: &str| {
        let config =
            format!("[[check]]\nname = \"a\"\nplugin = \"json-number\"\nsettings = {settings}");
        problems(&schema, &config)
    };
    assert_eq!(check("{ url = \"http://a.test/\", pointer = \"/n\" }"), [] as [&str; 0]);
    assert!(!check("{ pointer = \"/n\" }").is_empty(), "`url` is missing");
    assert!(!check("{ url = 5, pointer = \"/n\" }").is_empty(), "`url` is a text");
    assert!(!check("{ url = \"http://a.test/\", ponter = \"/n\" }").is_empty(), "no such key");
    let text = schema.to_string();
    for name in ["json-number", "quorum", "deadlines", "token-expiry", "login-flow"] {
        assert!(text.contains(&format!("\"const\":\"{name}\"")), "`{name}` is not named");
    }
}

#[test]
fn a_sidecar_is_the_body_of_a_check_or_several() {
    let schema = schema(&["--no-plugins", "--for", "sidecar"]);
    fits(&schema, "one", "settings = { a = 1 }\ninterval = \"1m\"");
    fits(
        &schema,
        "several",
        "[[check]]\nname = \"a\"\n[[check]]\nname = \"b\"\n[check.grants]\nstate = \"4KiB\"",
    );
    assert!(!problems(&schema, "interval = true").is_empty());
    assert!(!problems(&schema, "[[check]]\ninterval = 5").is_empty());
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_said_and_left_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(dir.path().join("plugins")).expect("a folder");
    std::fs::write(dir.path().join("plugins/broken.wasm"), "no component").expect("a file");
    let ended = run_in(Path::new(dir.path()), &["schema"]).expect(0);
    assert!(ended.err.contains("`broken` is left out"), "{}", ended.err);
    ended.json();
}
