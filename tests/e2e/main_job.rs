//! The main job: drop a component in a folder, ask the endpoint.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::guests::{EXAMPLES, example, guest};
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// A dropped file is listed within this.
const LISTED: Duration = Duration::from_secs(2);

/// What health says of a check whose plugin is being compiled.
const COMPILING: &str = "unknown: compiling: the plugin is being compiled";

#[test]
fn an_empty_folder_without_configuration_serves_health_that_says_there_is_nothing_to_check() {
    let host = host().start();
    assert_eq!(host.first_line, format!("listening on http://{}", host.address));
    assert!(host.address.ip().is_loopback());
    let notes = host.until_noted("there is nothing to check");
    assert!(notes.contains("the plugins folder is empty"), "{notes}");
    let answer = host.get("/health");
    assert_eq!(answer.code, 200);
    assert_eq!(answer.json()["status"], "pass");
    assert!(host.dir().join("plugins").is_dir(), "the missing folder was made");
}

#[test]
fn a_dropped_plugin_is_listed_within_two_seconds_and_runs() {
    let host = host().start();
    host.until_noted("there is nothing to check");
    let dropped = Instant::now();
    host.write("plugins/fresh.wasm", guest("minimal"));
    host.until("fresh", "listed", |check| !check.is_null());
    let listed = dropped.elapsed();
    eprintln!("a dropped plugin was listed after {listed:?}");
    assert!(listed < LISTED, "listed after {listed:?}");
    let check = host.until_state("fresh", "pass");
    eprintln!("and had run after {:?}", dropped.elapsed());
    assert_eq!(check["plugin"]["version"], "1.0.0");
    assert_eq!(check["message"], "passes");
    assert_eq!(host.get("/health").code, 200);
}

#[test]
fn a_big_plugin_is_listed_as_compiling_while_others_go_on() {
    let host = host().guest("minimal").own_cache().start();
    host.until_state("minimal", "pass");
    let bytes = example("login-flow");
    let dropped = Instant::now();
    host.write("plugins/login-flow.wasm", bytes);
    host.until("login-flow", "listed", |check| !check.is_null());
    let listed = dropped.elapsed();
    eprintln!("a plugin of 18 MB was listed after {listed:?}");
    assert!(listed < LISTED, "listed after {listed:?}");
    let entry = until("the big plugin is being compiled", || {
        let entry = host.health()["checks"]["login-flow"][0].clone();
        let output = entry["output"].as_str().unwrap_or_default();
        if output == COMPILING { Ok(entry) } else { Err(entry.to_string()) }
    });
    assert_eq!(entry["state"], "unknown");
    assert_eq!(entry["reason"], "compiling");
    assert_eq!(host.notes(), "plugin `login-flow`: the plugin is being compiled");
    assert_eq!(host.get("/health").code, 200, "nobody configured it, so it does not count yet");
    host.write("plugins/another.wasm", guest("minimal"));
    host.until_state("another", "pass");
    assert_eq!(host.check("login-flow")["reason"], "compiling", "a small one does not wait for it");
}

/// A check that grants what the guest `echo` wants: another version never gets more than is granted.
const X_FOR_ECHO: &str =
    "[[check]]\nname = \"x\"\nplugin = \"x\"\n[check.grants]\nhttp = \"http://127.0.0.1:1\"\n";

#[test]
fn another_version_by_an_atomic_rename_runs() {
    let host = host().config(X_FOR_ECHO).plugin("x", &guest("minimal")).start();
    host.until_version("x", "1.0.0");
    host.replace("plugins/x.wasm", guest("echo"));
    let check = host.until_version("x", "1.2.3");
    assert_eq!(check["state"], "pass");
    host.replace("plugins/x.wasm", guest("minimal"));
    host.until_version("x", "1.0.0");
}

#[test]
fn another_version_written_over_the_old_one_runs() {
    let host = host().config(X_FOR_ECHO).plugin("x", &guest("minimal")).start();
    host.until_version("x", "1.0.0");
    host.write("plugins/x.wasm", guest("echo"));
    host.until_version("x", "1.2.3");
    host.write("plugins/x.wasm", guest("minimal"));
    host.until_version("x", "1.0.0");
}

#[test]
fn another_version_keeps_the_state_of_its_check() {
    let host = host().config(X_FOR_ECHO).plugin("x", &guest("minimal")).start();
    let before = host.until_version("x", "1.0.0");
    host.replace("plugins/x.wasm", guest("echo"));
    let after = host.until("x", "a run of the new version", |check| {
        check["plugin"]["version"] == "1.2.3" && check["last_run"] != before["last_run"]
    });
    assert_eq!((&after["state"], &after["since"]), (&before["state"], &before["since"]));
    let log = host.until_logged("check=x from=");
    assert_eq!(log.matches("check=x from=").count(), 1, "no transition by a new version");
}

/// What is written over a running plugin, and what `/health` says of it.
fn breakages() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = guest("echo");
    let random: Vec<u8> =
        (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    vec![
        ("truncated", good[..good.len() / 2].to_vec(), "the file is incomplete"),
        ("wrong world", guest("wrong-world"), "exports no `wellcheck:check/checker`"),
        ("core module", guest("core-module"), "the file is a core module, not a component"),
        ("empty", Vec::new(), "the file is empty"),
        ("random bytes", random, "the file is not WebAssembly"),
        ("another line", guest("other-line"), "0.2"),
    ]
}

#[test]
fn a_broken_version_leaves_the_old_one_running_and_health_says_what_is_wrong() {
    let host = host()
        .config("[[check]]\nname = \"x\"\nplugin = \"x\"\ninterval = \"100ms\"\n")
        .plugin("x", &guest("echo"))
        .start();
    host.until_version("x", "1.2.3");
    for (how, bytes, says) in breakages() {
        host.replace("plugins/x.wasm", bytes);
        let notes = host.until_noted(says);
        assert!(notes.contains("plugin `x`: "), "{how}: {notes}");
        assert!(notes.contains("; version 1.2.3 goes on"), "{how}: {notes}");
        let check = host.next_run("x");
        assert_eq!(check["plugin"]["version"], "1.2.3", "{how}");
        assert_eq!(check["state"], "pass", "{how}");
        assert_eq!(host.get("/health").code, 200, "{how}");
        let status = host.json("/api/v1/status");
        assert_eq!(status["plugins"][0]["newest"], "broken", "{how}");
        assert!(
            status["plugins"][0]["problem"].as_str().is_some_and(|p| p.contains(says)),
            "{how}"
        );
    }
    host.replace("plugins/x.wasm", guest("minimal"));
    host.until_version("x", "1.0.0");
    assert_eq!(host.notes(), "", "nothing is wrong any more");
}

#[test]
fn a_new_version_that_its_check_cannot_use_is_not_swapped_in() {
    let host = host()
        .config(
            "[[check]]\nname = \"x\"\nplugin = \"x\"\ninterval = \"100ms\"\nsettings = { status = \"warn\" }\n",
        )
        .plugin("x", &guest("echo"))
        .start();
    host.until_state("x", "warn");
    host.replace("plugins/x.wasm", guest("trap"));
    let notes = host.until_noted("its trial run for check `x` faulted: trap");
    assert!(notes.contains("the guest panics on purpose"), "{notes}");
    host.replace("plugins/x.wasm", example("json-number"));
    host.until_noted("the settings of check `x` do not fit it");
    assert_eq!(host.next_run("x")["plugin"]["version"], "1.2.3");
}

#[test]
fn a_removed_plugin_takes_its_check_with_it() {
    let host = host().guest("minimal").guest("echo").start();
    host.until_state("minimal", "pass");
    host.until_state("echo", "pass");
    host.remove("plugins/echo.wasm");
    until("the check is gone", || {
        let names = host.names();
        if names == ["minimal"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    assert_eq!(host.get("/health/echo").code, 404);
    assert!(!host.json("/api/v1/status")["plugins"].to_string().contains("echo"));
}

#[test]
fn a_sidecar_gives_settings_and_interval() {
    let sidecar = "interval = \"1s\"\ntitle = \"Echo, echo\"\nsettings = { status = \"warn\", message = \"as the sidecar says\" }\n";
    let host = host().guest("echo").file("plugins/echo.toml", sidecar).start();
    let check = host.until_state("echo", "warn");
    assert_eq!(check["message"], "as the sidecar says");
    assert_eq!(check["title"], "Echo, echo");
    assert_eq!(check["timing"]["interval"], "1s");
    host.next_run("echo");
    host.write("plugins/echo.toml", "settings = { status = \"fail\", message = \"changed\" }\n");
    assert_eq!(host.until_state("echo", "fail")["timing"]["interval"], "30s");
    host.remove("plugins/echo.toml");
    host.until_state("echo", "pass");
}

#[test]
fn a_sidecar_may_hold_several_checks_of_its_plugin() {
    let sidecar = "[[check]]\nname = \"one\"\nsettings = { message = \"1\" }\n[[check]]\nname = \"two\"\nsettings = { message = \"2\" }\n";
    let host = host().guest("echo").file("plugins/echo.toml", sidecar).start();
    assert_eq!(host.until_state("one", "pass")["message"], "1");
    assert_eq!(host.until_state("two", "pass")["message"], "2");
    assert_eq!(host.names(), ["one", "two"]);
}

#[test]
fn a_sidecar_with_mistakes_holds_only_its_own_check() {
    let host = host()
        .guest("minimal")
        .guest("echo")
        .file("plugins/echo.toml", "intervall = \"1s\"\n")
        .start();
    let check = host.until("echo", "held", |check| check["reason"] == "bad-settings");
    assert_eq!(check["state"], "unknown");
    assert_eq!(check["message"], "its sidecar `plugins/echo.toml` has problems");
    host.until_state("minimal", "pass");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].clone();
    assert_eq!(problems[0]["file"], "plugins/echo.toml");
    assert_eq!(problems[0]["line"], 1);
    assert!(
        problems[0]["message"].as_str().is_some_and(|m| m.contains("did you mean `interval`?"))
    );
    host.write("plugins/echo.toml", "interval = \"1s\"\n");
    host.until_state("echo", "pass");
}

fn granting(target: &str) -> String {
    format!("settings = {{ url = \"{target}/\" }}\n[grants]\nhttp = \"{target}\"\n")
}

#[test]
fn a_sidecar_cannot_grant_itself_anything() {
    let target = crate::support::target::http().status(204).start();
    let host =
        host().guest("http-get").file("plugins/http-get.toml", granting(&target.url(""))).start();
    let check = host.until("http-get", "held", |check| check["reason"] == "bad-settings");
    assert_eq!(check["state"], "unknown");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    assert!(problems.contains("grants itself"), "{problems}");
    assert!(problems.contains("sidecar-grants"), "{problems}");
    assert_eq!(target.count(), 0);
}

#[test]
fn a_sidecar_grants_within_what_the_configuration_allows_sidecars() {
    let target = crate::support::target::http().status(204).start();
    let port = target.address.port();
    let allowed =
        format!("[plugins]\nsidecar-grants = {{ http = \"http://127.0.0.0/8:{port}\" }}\n");
    let host = host()
        .config(&allowed)
        .guest("http-get")
        .file("plugins/http-get.toml", granting(&target.url("")))
        .start();
    assert_eq!(host.until_state("http-get", "pass")["message"], "answered 204");
    host.configure(&allowed.replace("127.0.0.0/8", "10.0.0.0/8"));
    host.until("http-get", "held", |check| check["reason"] == "bad-settings");
}

#[test]
fn the_implicit_check_disappears_when_the_configuration_names_the_plugin() {
    let host = host().guest("echo").config("").start();
    host.until_state("echo", "pass");
    host.configure("[[check]]\nname = \"named\"\nplugin = \"echo\"\n");
    host.until_state("named", "pass");
    assert_eq!(host.names(), ["named"]);
    host.configure("");
    host.until_state("echo", "pass");
    assert_eq!(host.names(), ["echo"]);
}

#[test]
fn two_checks_of_one_plugin_have_their_own_settings_and_states() {
    let host = host()
        .guest("echo")
        .config(
            "[[check]]\nname = \"good\"\nplugin = \"echo\"\nsettings = { message = \"fine\" }\n\
             [[check]]\nname = \"bad\"\nplugin = \"echo\"\nsettings = { status = \"fail\", message = \"broken\" }\n",
        )
        .start();
    assert_eq!(host.until_state("good", "pass")["message"], "fine");
    let bad = host.until_state("bad", "fail");
    assert_eq!(bad["message"], "broken");
    assert_eq!(bad["reason"], "plugin");
    assert_eq!(host.names(), ["bad", "good"]);
}

#[test]
fn what_cannot_be_a_plugin_is_refused_and_named_and_everything_else_runs() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let outside = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(outside.path().join("echo.wasm"), guest("echo")).expect("a file");
    let builder = host().guest("minimal").plugin("sub.wasm/inner", b"ignored");
    let folder = builder.path().join("plugins");
    let link = |to: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(to, folder.join(name)).expect("a link");
    };
    let big = std::fs::File::create(folder.join("big.wasm")).expect("a file");
    big.set_len(64 * 1024 * 1024 + 1).expect("a sparse file");
    mknodat(CWD, folder.join("pipe.wasm"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .expect("a pipe");
    link(&outside.path().join("echo.wasm"), "out.wasm");
    link(&folder.join("nowhere"), "dangling.wasm");
    link(std::path::Path::new("minimal.wasm"), "inside.wasm");
    let host = builder
        .plugin("Odd Name", &guest("minimal"))
        .plugin("-dash", &guest("minimal"))
        .plugin("tab\tand\u{1b}[31mred", &guest("minimal"))
        .plugin(".hidden", b"an editor's")
        .file("plugins/minimal.WASM", guest("echo"))
        .file("plugins/lonely.toml", "interval = \"1s\"")
        .file("plugins/Cargo.toml", "[workspace]")
        .file("plugins/README.md", "text")
        .start();
    host.until_ready();
    host.until_state("minimal", "pass");
    assert_eq!(host.until_state("inside", "pass")["plugin"]["version"], "1.0.0");
    let notes = host.notes();
    for says in [
        "plugin `big`: the file has 64 MiB, more than the limit of 64 MiB",
        "plugin `pipe`: the file is a pipe (expected a regular file)",
        "plugin `out`: the file is a link that leaves the plugins folder",
        "plugin `dangling`: the file is a link that leads nowhere",
        "the file `Odd Name.wasm` is not used: ",
        "the file `-dash.wasm` is not used: ",
        "the file `tab\\tand\\u{1b}[31mred.wasm` is not used: ",
        "the file `minimal.WASM` is not used: `minimal.wasm` has the same name",
        "the sidecar `lonely.toml` has no plugin `lonely.wasm` beside it",
    ] {
        assert!(notes.contains(says), "`{says}` is not in:\n{notes}");
    }
    for silent in ["hidden", "Cargo", "README", "sub", "inner"] {
        assert!(!notes.contains(silent), "{notes}");
    }
    assert_eq!(host.names(), ["big", "dangling", "inside", "minimal", "out", "pipe"]);
    assert_eq!(host.check("pipe")["reason"], "load");
    assert_eq!(host.get("/health").code, 200, "what nobody configured does not change the code");
}

#[test]
fn a_configured_check_whose_plugin_is_not_there_is_unknown_and_counts() {
    let host = host().config("[[check]]\nname = \"a\"\nplugin = \"absent\"\n").start();
    let check = host.until("a", "held", |check| check["reason"] == "missing");
    assert_eq!(check["message"], "there is no plugin file `absent.wasm`");
    assert_eq!(host.get("/health").code, 503);
    host.write("plugins/absent.wasm", guest("minimal"));
    host.until_state("a", "pass");
    assert_eq!(host.get("/health").code, 200);
}

/// The compiled code of every plugin that runs: file names and what tells one file from another.
fn entries(cache: &std::path::Path, host: &Host) -> Vec<(String, u64)> {
    use std::os::unix::fs::MetadataExt;

    let status = host.json("/api/v1/status");
    let plugins = status["plugins"].as_array().expect("a list");
    let mut digests =
        plugins.iter().map(|plugin| plugin["running"]["digest"].as_str().expect("it runs"));
    let files: Vec<_> = std::fs::read_dir(cache).expect("the cache").flatten().collect();
    let entry = |digest: &str| {
        let file = files.iter().find(|file| file.file_name().to_string_lossy().starts_with(digest));
        let file = file.expect("an entry of each plugin");
        // An entry that is written anew is another file.
        (digest.to_owned(), file.metadata().expect("metadata").ino())
    };
    digests.by_ref().map(entry).collect()
}

#[test]
fn the_second_start_with_all_examples_does_not_compile() {
    let builder = EXAMPLES.iter().fold(host(), |builder, name| builder.example(name));
    let cache = crate::support::program::shared_cache();
    let host = builder.start();
    host.until_ready();
    let before = entries(&cache, &host);
    assert_eq!(before.len(), EXAMPLES.len());
    let began = Instant::now();
    let host = host.restart();
    host.until_ready();
    let took = began.elapsed();
    eprintln!("stop, start and load all examples from the cache: {took:?}");
    assert_eq!(entries(&cache, &host), before, "nothing was written to the cache");
    assert!(took < Duration::from_secs(5), "compiling takes longer than {took:?}");
}

#[test]
fn a_poisoned_cache_entry_is_compiled_anew() {
    let host = host().guest("echo").own_cache().start();
    host.until_version("echo", "1.2.3");
    let cache = host.dir().join("cache");
    let entry = std::fs::read_dir(&cache)
        .expect("the cache")
        .flatten()
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|e| e == "code"))
        .expect("an entry");
    let good = std::fs::read(&entry).expect("readable");
    let mut poisoned = good.clone();
    let middle = poisoned.len() / 2;
    poisoned[middle] ^= 1;
    std::fs::write(&entry, &poisoned).expect("writable");
    let host = host.restart();
    let check = host.until_version("echo", "1.2.3");
    assert_eq!(check["state"], "pass");
    assert_ne!(std::fs::read(&entry).expect("readable"), poisoned, "it was written anew");
    host.until_logged("is not what was written");
}

#[test]
fn a_cache_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    let builder = host().guest("minimal").own_cache();
    let cache = builder.path().join("cache");
    std::fs::create_dir(&cache).expect("a folder");
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).expect("ours");
    let host = builder.start();
    host.until_state("minimal", "pass");
    host.until_logged("is not used");
    assert_eq!(std::fs::read_dir(&cache).expect("the cache").count(), 0);
}

#[test]
fn the_plugins_folder_may_vanish_and_return() {
    let host = host().guest("minimal").start();
    host.until_state("minimal", "pass");
    std::fs::rename(host.dir().join("plugins"), host.dir().join("away")).expect("a rename");
    until("the check is gone and the folder is named", || {
        let (names, notes) = (host.names(), host.notes());
        let gone = names.is_empty() && notes.contains("cannot be read");
        if gone { Ok(()) } else { Err(format!("{names:?} {notes}")) }
    });
    std::fs::rename(host.dir().join("away"), host.dir().join("plugins")).expect("a rename");
    host.until_state("minimal", "pass");
    assert_eq!(host.health()["notes"], json!(null));
}

#[test]
fn a_file_that_cannot_be_a_plugin_is_named_when_it_comes_and_forgotten_when_it_goes() {
    let host = host().config("").start();
    host.until_noted("there is nothing to check");
    host.write("plugins/Bad Name.wasm", b"anything");
    host.until_noted("the file `Bad Name.wasm` is not used");
    host.remove("plugins/Bad Name.wasm");
    until("the note is gone", || {
        let notes = host.notes();
        if notes.contains("Bad Name") { Err(notes) } else { Ok(()) }
    });
}
