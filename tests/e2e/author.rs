//! What an author does, from an empty folder to the endpoint: a new project, its build, its tests,
//! and the file dropped into the folder of a running server.

use std::path::Path;

use crate::support::host::host;
use crate::support::program::{Ended, command, finish, run, run_in};
use crate::support::target;

/// Builds a project. What Rust's projects have in common is compiled once for all of them.
fn build(dir: &Path, project: &str) -> Ended {
    let mut build = command();
    build.current_dir(dir).args(["plugin", "build", project, "--quick"]);
    build.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("author"));
    finish(&mut build, "")
}

/// New, build, test, drop, and see it in `/health`.
#[track_caller]
fn from_nothing_to_the_endpoint(language: &str) {
    let scratch = tempfile::tempdir().expect("a folder");
    let dir = scratch.path();
    let made = run_in(dir, &["plugin", "new", "depth", "--lang", language]).expect(0);
    assert!(made.out.contains("wellcheck plugin build depth"), "{}", made.out);

    let built = build(dir, "depth").expect(0);
    assert!(built.out.contains("depth.wasm"), "{}", built.out);
    assert!(built.out.contains("can ask for: HTTP"), "{}", built.out);

    // What a test used is known from its tape, and every fault of its request is noticed.
    let tested = run_in(dir, &["plugin", "test", "depth", "--faults"]).expect(0);
    assert!(tested.out.contains(" faults noticed"), "{}", tested.out);
    assert!(!tested.out.contains("0 of 0 faults noticed"), "{}", tested.out);

    // The first run of the README: settings and a grant by hand.
    let target = target::http().status(200).body("7\n").start();
    let once = |settings: &str, grant: &str| {
        run_in(dir, &["run", "depth/depth.wasm", "--settings", settings, "--grant", grant])
    };
    let grant = format!("http={}", target.url(""));
    let settings = format!("{{\"url\": \"{}\", \"limit\": 5}}", target.url("/depth"));
    assert!(once(&settings, &grant).expect(2).out.contains("7 is above 5"));
    // The schema that the kit made refuses what does not fit.
    let refused = once("{\"url\": \"ftp://a\", \"limits\": 5}", &grant).expect(3);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("limits") && said.contains("url"), "{said}");

    let config = format!(
        "[[check]]\nname = \"depth\"\nplugin = \"depth\"\ninterval = \"500ms\"\n\
         settings = {{ url = \"{}\" }}\n[check.grants]\nhttp = [\"{}\"]\n",
        target.url("/depth"),
        target.url("")
    );
    let host = host().config(&config).start();
    let bytes = std::fs::read(dir.join("depth/depth.wasm")).expect("it was built");
    host.replace("plugins/depth.wasm", bytes);
    assert_eq!(host.until_state("depth", "pass")["message"], "7 is within 100");
    let outcome = host.until_run("depth")["outcome"].clone();
    assert_eq!(outcome["observations"][0]["value"], 7.0, "{outcome}");
    assert_eq!(host.health()["status"], "pass");
}

#[test]
fn a_check_in_rust_goes_from_nothing_to_the_endpoint() {
    from_nothing_to_the_endpoint("rust");
}

#[test]
fn a_check_in_javascript_goes_from_nothing_to_the_endpoint() {
    from_nothing_to_the_endpoint("javascript");
}

#[test]
fn a_project_is_made_where_nothing_is_and_says_what_to_do_next() {
    let scratch = tempfile::tempdir().expect("a folder");
    let dir = scratch.path();
    let listed = run(&["plugin", "new", "--list"]).expect(0).out;
    for line in listed.lines() {
        let language = line.split_whitespace().next().expect("a name");
        let made = run_in(dir, &["plugin", "new", "depth", "--lang", language, "--dir", language]);
        assert_eq!(made.expect(0).out.lines().count(), 3);
        check_project(&dir.join(language));
    }
    std::fs::write(dir.join("wat/mine"), "mine").expect("written");
    let refused = run_in(dir, &["plugin", "new", "depth", "--lang", "wat", "--dir", "wat"]);
    assert!(refused.expect(69).err.contains("nothing is written over"));
    let refused = run_in(dir, &["plugin", "new", "../up", "--lang", "wat"]).expect(64);
    assert!(refused.err.contains("`../up` is no name for a plugin"), "{}", refused.err);
    let refused = run_in(dir, &["plugin", "new", "depth", "--lang", "cobol"]).expect(64);
    assert!(refused.err.contains("typescript"), "{}", refused.err);
    assert!(!dir.join("depth").exists());
}

/// Every project has these, whatever its language.
#[track_caller]
fn check_project(folder: &Path) {
    for name in
        ["README.md", "plugin.toml", "depth.toml", "test.toml", ".gitignore", "wit/check.wit"]
    {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!text.contains("{{"), "`{}` has a placeholder left", path.display());
    }
}

#[test]
fn a_missing_tool_is_said_with_the_commands_that_get_it() {
    let scratch = tempfile::tempdir().expect("a folder");
    let dir = scratch.path();
    for (language, says) in [
        ("rust", "https://rustup.rs"),
        ("python", "pip install -r requirements.txt"),
        ("javascript", "npm install"),
        ("typescript", "esbuild is missing"),
    ] {
        run_in(dir, &["plugin", "new", "depth", "--lang", language, "--dir", language]).expect(0);
        let mut bare = command();
        bare.current_dir(dir).args(["plugin", "build", language]);
        bare.env("PATH", dir).env("WELLCHECK_TOOLCHAINS", dir.join("none"));
        let refused = finish(&mut bare, "").expect(69);
        assert!(refused.err.contains(says), "`{says}`: {}", refused.err);
        assert!(refused.err.contains("get it with: "), "{}", refused.err);
    }
}

#[test]
fn a_mistake_in_the_source_is_said_in_the_compilers_words() {
    let scratch = tempfile::tempdir().expect("a folder");
    let dir = scratch.path();
    for (language, source) in [("rust", "src/lib.rs"), ("typescript", "plugin.ts")] {
        run_in(dir, &["plugin", "new", "depth", "--lang", language, "--dir", language]).expect(0);
        std::fs::write(dir.join(language).join(source), "oops(;\n").expect("written");
        let refused = build(dir, language).expect(65);
        assert!(refused.err.contains("oops(;"), "its own words: {}", refused.err);
        assert!(refused.err.contains("`depth` was not built; mend"), "{}", refused.err);
        assert!(!dir.join(language).join("depth.wasm").exists());
    }
}
