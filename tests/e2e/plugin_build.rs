//! `wellcheck plugin build`: from source to a component that loads, and what is said when it is not.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;
use wellcheck_kit::metadata;

use crate::support::host::write;
use crate::support::program::{Ended, command, finish, run_in};

/// A new project in this language.
struct Fresh {
    dir: TempDir,
    folder: PathBuf,
}

fn fresh(language: &str) -> Fresh {
    let dir = tempfile::tempdir().expect("a temporary folder");
    run_in(dir.path(), &["plugin", "new", "sample", "--lang", language]).expect(0);
    let folder = dir.path().join("sample");
    Fresh { dir, folder }
}

impl Fresh {
    fn build(&self, more: &[&str]) -> Ended {
        run_in(&self.folder, &[&["plugin", "build"], more].concat())
    }

    /// Replaces a text of a file, which is in it.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "`{from}` is not in {text}");
        fs::write(path, text.replace(from, to)).expect("it can be written");
    }

    fn component(&self) -> PathBuf {
        self.folder.join("sample.wasm")
    }
}

#[test]
fn a_component_says_whose_it_is_and_has_no_names_for_debugging() {
    let project = fresh("wat");
    let toml =
        "name = \"sample\"\nversion = \"1.2.3\"\nsource = \"https://git.example.com/sample\"\n";
    write(&project.folder, "plugin.toml", toml);
    let out = project.build(&[]).expect(0).out;
    assert!(out.contains("KiB, contract 0.1: holds the time that a run is given"), "{out}");
    assert!(out.contains("imports: wellcheck:check/context@0.1."), "{out}");
    assert!(out.contains("took: build "), "{out}");
    let bytes = fs::read(project.component()).expect("it was written");
    let found = metadata::read(&bytes);
    assert_eq!(found.name.as_deref(), Some("sample"));
    assert_eq!(found.version.as_deref(), Some("1.2.3"));
    assert_eq!(found.source.as_deref(), Some("https://git.example.com/sample"));
    let names = project.build(&["--keep-names", "-o", "named.wasm"]).expect(0);
    assert!(names.out.starts_with("named.wasm\n"), "{}", names.out);
    let named = fs::read(project.folder.join("named.wasm")).expect("it was written");
    assert!(named.len() > bytes.len());
    assert_eq!(bytes, fs::read(project.component()).expect("the other stays as it was"));
    let ran = run_in(&project.folder, &["run", "sample.wasm"]).expect(0).out;
    assert!(ran.starts_with("pass: there is more than a second"), "{ran}");
}

#[test]
fn a_plugin_is_dropped_into_a_folder_and_told_as_json() {
    let project = fresh("wat");
    let plugins = project.dir.path().join("plugins");
    fs::create_dir(&plugins).expect("a folder");
    let into = plugins.to_string_lossy();
    let told = project.build(&["--into", &into, "--json", "--quick"]).expect(0).json();
    assert_eq!(told["name"], "sample");
    assert_eq!(told["language"], "wat");
    assert_eq!(told["files"][1], plugins.join("sample.wasm").to_string_lossy().as_ref());
    assert!(told["took"]["build_ms"].is_number(), "{told}");
    let size = fs::metadata(plugins.join("sample.wasm")).expect("it is there").len();
    assert_eq!(told["size"], size);
    // Nothing else is left there.
    assert_eq!(fs::read_dir(&plugins).expect("the folder").count(), 1);
    let ended = project.build(&["--into", "nowhere"]).expect(69);
    assert!(ended.err.contains("there is no folder `nowhere`"), "{}", ended.err);
}

#[test]
fn a_missing_tool_is_said_with_ways_to_get_it() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    for (language, tool) in [
        ("rust", "cargo"),
        ("python", "componentize-py"),
        ("javascript", "componentize-qjs"),
        ("c", "a C compiler for WebAssembly"),
        ("cpp", "a C compiler for WebAssembly"),
        ("go", "Go 1.24 or later"),
        ("zig", "Zig"),
    ] {
        let project = fresh(language);
        let mut build = command();
        build.args(["plugin", "build"]).current_dir(&project.folder).env("PATH", empty.path());
        build.env("WELLCHECK_TOOLCHAINS", empty.path()).env_remove("WASI_SDK_PATH");
        build.env("HOME", empty.path()).env_remove("CARGO");
        let ended = finish(&mut build, "").expect(69);
        assert!(ended.err.contains("needs more than what is installed"), "{}", ended.err);
        assert!(ended.err.contains(tool), "{language}: {}", ended.err);
        assert!(ended.err.contains("get it with: "), "{language}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[test]
fn a_broken_tool_is_told_in_its_own_words_with_what_to_do() {
    let tools = tempfile::tempdir().expect("a temporary folder");
    let zig = tools.path().join("zig");
    fs::write(&zig, "#!/bin/sh\necho 'LLVM ERROR: out of luck' >&2\nexit 3\n").expect("a tool");
    fs::set_permissions(&zig, fs::Permissions::from_mode(0o755)).expect("it can be run");
    for language in ["c", "zig"] {
        let project = fresh(language);
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        let mut build = command();
        build.args(["plugin", "build"]).current_dir(&project.folder).env("PATH", path);
        build.env_remove("WASI_SDK_PATH");
        let ended = finish(&mut build, "").expect(65);
        let said = ended.err.find("LLVM ERROR: out of luck").expect("the tool's own words");
        let ours = ended.err.find("failed (exit status: 3)").expect("our frame");
        assert!(said < ours, "{}", ended.err);
        assert!(ended.err.contains("`sample` was not built; mend `"), "{}", ended.err);
        assert!(!project.component().exists());
    }
}

#[test]
fn a_compile_error_is_the_compilers_own_and_leaves_the_last_component() {
    for (language, file, from, to, says) in [
        ("wat", "plugin.wat", "(call $remaining-ms)", "(call $remaining)", "plugin.wat:"),
        ("c", "plugin.c", "return wc_pass(", "return wc_passes(", "plugin.c:"),
        ("zig", "plugin.zig", "return wellcheck.pass(", "return wellcheck.passes(", "plugin.zig:"),
    ] {
        let project = fresh(language);
        fs::write(project.component(), "the last").expect("a file");
        project.edit(file, from, to);
        let ended = project.build(&[]).expect(65);
        assert!(ended.err.contains(says), "{language}: {}", ended.err);
        assert!(ended.err.contains("`sample` was not built"), "{language}: {}", ended.err);
        assert_eq!(fs::read(project.component()).expect("it is still there"), b"the last");
    }
}

#[test]
fn c_is_built_and_imports_what_its_code_calls() {
    let project = fresh("c");
    let told = project.build(&["--json"]).expect(0).json();
    let imports = told["imports"].as_array().expect("a list");
    assert!(imports.iter().all(|import| {
        let import = import.as_str().expect("a text");
        import.starts_with("wellcheck:check/http@")
            || import.starts_with("wellcheck:check/outcome@")
    }));
    assert!(told["size"].as_u64().expect("a number") < 100_000, "{told}");
}

#[test]
fn a_plugin_that_would_not_load_is_not_written() {
    let project = fresh("wat");
    project.edit("plugin.wat", "(i32.store (i32.const 0) (i32.const 1024))", "unreachable");
    let ended = project.build(&[]).expect(65);
    assert!(
        ended.err.contains("would not load, so it was not written: describe: "),
        "{}",
        ended.err
    );
    assert!(!project.component().exists());
    let project = fresh("wat");
    write(&project.folder, "plugin.wat", "(module)");
    let ended = project.build(&[]).expect(65);
    assert!(ended.err.contains("does not fit the contract"), "{}", ended.err);
}

#[test]
fn whatever_plugin_toml_says_is_a_problem_and_no_panic() {
    let long = format!("name = \"sample\"\nversion = \"{}\"", "9".repeat(2000));
    let large = format!("name = \"sample\"\n#{}", "x".repeat(100_000));
    for (text, says) in [
        ("name = ", "plugin.toml"),
        ("nam = \"sample\"", "unknown field `nam`"),
        ("name = \"../../etc/passwd\"", "`name = "),
        ("name = \"sample\"\nlanguage = \"cobol\"", "expected one of `rust`"),
        ("name = \"sample\"\nworld = \"flat\"", "expected one of `plugin`"),
        ("name = \"sample\"\nsource = \"not a url\"", "is no URL"),
        ("name = \"sample\"\nversion = \"a\\nb\"", "`version` is no line"),
        (&long, "`version` is no line"),
        (&large, "it has more than 65536 bytes"),
    ] {
        let project = fresh("wat");
        write(&project.folder, "plugin.toml", text);
        let ended = project.build(&[]).expect(65);
        assert!(ended.err.contains(says), "{text:.60}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
    let project = fresh("wat");
    fs::remove_file(project.folder.join("plugin.toml")).expect("it is there");
    fs::create_dir(project.folder.join("plugin.toml")).expect("a folder");
    assert!(project.build(&[]).expect(65).err.contains("it is no ordinary file"));
    let empty = tempfile::tempdir().expect("a temporary folder");
    let ended = run_in(empty.path(), &["plugin", "build", "/nowhere"]).expect(65);
    assert!(ended.err.contains("there is no folder `/nowhere`"), "{}", ended.err);
}

/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program whose lines are read as they come.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watching {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = command()
            .args(["plugin", "build", "--watch"])
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let (sender, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for pipe in pipes {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with this text, once for each time that it comes: two pipes have no order
    /// among them.
    #[track_caller]
    fn until(&mut self, text: &str) {
        if let Some(at) = self.seen.iter().position(|line| line.contains(text)) {
            self.seen.remove(at);
            return;
        }
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("`{text}` did not come ({error}): {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_watched_project_is_built_and_run_again_after_each_change() {
    use rustix::process::{Pid, Signal, kill_process};

    let project = fresh("wat");
    let mut watching = Watching::start(&project.folder, &["--run"]);
    watching.until("pass: there is more than a second");
    watching.until("waiting for the next change");
    project.edit("plugin.wat", "there is more than a second", "there is time enough for it");
    watching.until("changed: plugin.wat");
    watching.until("pass: there is time enough for it");
    watching.until("waiting for the next change");
    project.edit("plugin.wat", "(call $remaining-ms)", "(call $remaining)");
    watching.until("`sample` was not built");
    watching.until("waiting for the next change");
    project.edit("plugin.wat", "(call $remaining)", "(call $remaining-ms)");
    watching.until("pass: there is time enough for it");
    watching.until("waiting for the next change");
    write(&project.folder, "sample.toml", "settings = 5\n");
    watching.until("`settings` is no table");
    watching.until("waiting for the next change");
    let pid = Pid::from_child(&watching.child);
    kill_process(pid, Signal::INT).expect("it is there");
    let status = watching.child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{:#?}", watching.seen);
}
