//! Plugins that the server fetches: locked, verified, kept, and run while their source comes and
//! goes.

use std::path::Path;
use std::time::Duration;

use super::support::desk::{Desk, hash, push};
use super::support::guests::guest;
use super::support::host::{Builder, host};
use super::support::program::{command, finish};
use super::support::registry::{Registry, Signer};
use super::support::target;
use super::support::wait::until;

/// A server with one plugin from elsewhere.
fn server(source: &str, more: &str) -> Builder {
    let config = format!(
        "[[plugin]]\nname = \"queue\"\nsource = \"{source}\"\n{more}\n[[check]]\nname = \"orders\"\nplugin = \"queue\"\ninterval = \"100ms\"\n[check.grants]\nhttp = \"http://127.0.0.1:1\"\n"
    );
    host().own_cache().config(&config)
}

#[test]
fn the_server_runs_what_a_source_leads_to_and_goes_on_without_it() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("team/queue:1");
    let digest = push(&desk, "wants-little", &source)["digest"].clone();
    let host = server(&source, "").start();
    host.until_run("orders");
    let plugins = host.json("/api/v1/status")["plugins"].clone();
    assert_eq!(plugins[0]["fetched"]["source"], source.as_str());
    assert_eq!(plugins[0]["fetched"]["digest"], digest);
    assert_eq!(plugins[0]["fetched"]["locked"], false);
    // The registry goes, and a restart finds the file in the cache.
    registry.stop();
    let host = host.restart();
    host.until_run("orders");
    let notes = host.until_noted("the kept `sha256:");
    assert!(notes.contains("is it running?"), "{notes}");
    // It comes back, and the note goes.
    registry.resume();
    until("no note", || match host.notes() {
        notes if notes.is_empty() => Ok(()),
        notes => Err(notes),
    });
}

#[test]
fn a_source_that_is_not_there_yet_holds_its_checks_and_nothing_else() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    push(&desk, "minimal", &source);
    registry.stop();
    let host = server(&source, "").guest("echo").start();
    host.until_ready();
    let check = host.until("orders", "a reason", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("cannot be fetched"))
    });
    assert_eq!(check["state"], "unknown", "{check}");
    host.until("echo", "a run", |check| check["outcome"].is_object());
    registry.resume();
    host.until_state("orders", "pass");
}

#[test]
fn a_new_version_behind_a_tag_comes_with_a_reload_or_with_the_interval() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let version =
        |name: &str| push(&desk, name, &source)["version"].as_str().expect("a version").to_owned();
    let first = version("minimal");
    let host = server(&source, "").start();
    host.until_version("orders", &first);
    let second = version("echo");
    assert_ne!(first, second, "two guests of the same version tell nothing");
    host.signal(rustix::process::Signal::HUP);
    host.until_version("orders", &second);
    // And by itself.
    let host = server(&source, "interval = \"1s\"\n").start();
    host.until_version("orders", &second);
    version("minimal");
    host.until_version("orders", &first);
}

#[test]
fn a_lock_pins_what_runs_whatever_the_tag_leads_to() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let old = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let builder = server(&source, "");
    let dir = builder.path().to_owned();
    let lock = |args: &[&str]| {
        let mut command = command();
        command.current_dir(&dir).args(["plugin", "lock"]).args(args);
        command.env("WELLCHECK_CACHE", dir.join("cache"));
        finish(&mut command, "")
    };
    let ended = lock(&["--check"]).expect(65);
    assert!(ended.err.contains("wellcheck plugin lock"), "{}", ended.err);
    assert!(lock(&[]).expect(0).out.contains(&old));
    lock(&["--check"]).expect(0);
    let new = push(&desk, "echo", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = builder.start();
    host.until_run("orders");
    let notes = host.until_noted("leads to");
    assert!(
        notes.contains(&old) && notes.contains(&new) && notes.contains("--update queue"),
        "{notes}"
    );
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["digest"], old.as_str());
    assert_eq!(fetched["locked"], true);
    // Without a cache, the locked file is fetched although the tag leads elsewhere.
    let ended = lock(&["--check"]).expect(65);
    assert!(ended.out.contains(&format!("{old} -> {new}")), "{}", ended.out);
    let ended = lock(&["--update", "nothing"]).expect(65);
    assert!(ended.err.contains("there are: `queue`"), "{}", ended.err);
    // The lock changes, and the server follows by itself.
    lock(&["--update", "queue"]).expect(0);
    until("the new file runs", || {
        let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
        let is_new = fetched["digest"] == new.as_str() && host.notes().is_empty();
        if is_new { Ok(()) } else { Err(fetched.to_string()) }
    });
    // A lock that cannot be read is not passed over.
    std::fs::write(dir.join("plugins.lock"), "version = 1\n[[plugin]]\nname = 3\n")
        .expect("a file");
    host.until_noted("the configuration on disk has 1 problem");
}

#[test]
fn a_locked_file_is_fetched_although_its_tag_has_moved() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let old = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let builder = server(&source, "");
    let mut locking = command();
    locking.current_dir(builder.path()).args(["plugin", "lock"]);
    // Into another cache than that of the server.
    finish(locking.env("WELLCHECK_CACHE", desk.path("cache")), "").expect(0);
    push(&desk, "echo", &source);
    let host = builder.start();
    host.until_run("orders");
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["digest"], old.as_str());
}

#[test]
fn a_kept_file_that_was_changed_is_fetched_again() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = server(&source, "").start();
    host.until_run("orders");
    let kept = host.dir().join(format!("cache/fetched/{}.wasm", &digest["sha256:".len()..]));
    std::fs::write(&kept, guest("echo")).expect("it is ours");
    registry.stop();
    let host = host.restart();
    let check = host.until("orders", "a reason", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("cannot be fetched"))
    });
    assert_eq!(check["state"], "unknown");
    registry.resume();
    host.until_state("orders", "pass");
    assert_eq!(hash(&std::fs::read(&kept).expect("it is there")), digest);
}

#[test]
fn a_kept_file_that_goes_stops_nothing_and_is_fetched_again_by_a_reload() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = server(&source, "").start();
    host.until_state("orders", "pass");
    let kept = host.dir().join(format!("cache/fetched/{}.wasm", &digest["sha256:".len()..]));
    std::fs::remove_file(&kept).expect("it is ours");
    // Longer than from one look at the disk to the next but one.
    for _ in 0..20 {
        let check = host.next_run("orders");
        assert_eq!(check["state"], "pass", "{check}");
    }
    host.signal(rustix::process::Signal::HUP);
    until("the file", || match std::fs::read(&kept) {
        Ok(bytes) if hash(&bytes) == digest => Ok(()),
        other => Err(format!("{:?}", other.map(|bytes| bytes.len()))),
    });
    host.until_state("orders", "pass");
}

#[test]
fn a_key_that_is_no_longer_named_stops_what_it_vouched_for() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let (ours, others) = (Signer::new(), Signer::new());
    let file = desk.path("queue.wasm");
    std::fs::write(&file, guest("minimal")).expect("a file");
    let signature = ours.sign(&file).to_string_lossy().into_owned();
    let source = registry.source("queue:1");
    desk.run(&["plugin", "push", "queue.wasm", &source, "--sign-with", &signature]).expect(0);
    let host = server(&source, &format!("key = \"{}\"\n", ours.key)).start();
    host.until_state("orders", "pass");
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["signed_by"], ours.key.as_str());
    let text = std::fs::read_to_string(host.dir().join("wellcheck.toml")).expect("it is there");
    host.configure(&text.replace(&ours.key, &others.key));
    host.until("orders", "held", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("by a key that is not named"))
    });
    host.configure(&text);
    host.until_state("orders", "pass");
}

#[test]
fn files_of_the_folder_must_be_signed_where_that_is_asked_for() {
    let (signer, desk) = (Signer::new(), Desk::new());
    let config = format!("[plugins]\nkeys = [\"{}\"]\nrequire-signed = true\n", signer.key);
    let host = host().config(&config).guest("minimal").start();
    host.until_ready();
    let note = host.until_noted("is not signed");
    assert!(note.contains("`minimal.wasm.minisig` beside it"), "{note}");
    // The signature may come later than the file.
    std::fs::write(desk.path("minimal.wasm"), guest("minimal")).expect("a file");
    let signature = signer.sign(&desk.path("minimal.wasm"));
    let text = std::fs::read_to_string(signature).expect("it was written");
    host.write("plugins/minimal.wasm.minisig", &text);
    host.until_state("minimal", "pass");
    // It is over this file alone.
    host.replace("plugins/minimal.wasm", guest("older-minor"));
    let note = host.until_noted("not the one that was signed");
    assert!(note.contains("goes on"), "{note}");
    // And where nobody asks any more, everything is loaded.
    host.configure("");
    until("no note", || match host.notes() {
        notes if notes.is_empty() => Ok(()),
        notes => Err(notes),
    });
}

#[test]
fn a_file_with_the_name_of_a_fetched_plugin_is_not_used() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].clone();
    let host = server(&source, "").plugin("queue", &guest("trap")).start();
    host.until_state("orders", "pass");
    let status = host.json("/api/v1/status");
    assert_eq!(status["plugins"][0]["fetched"]["digest"], digest);
    let problems = status["configuration"]["problems"].to_string();
    assert!(problems.contains("`queue.wasm` of the plugins folder"), "{problems}");
    // Dropping it cannot refuse a reload.
    let ended = host.ask("GET", "/api/v1/status", &[]);
    assert_eq!(ended.json()["configuration"]["applied"], true);
}

#[test]
fn validate_fetches_only_when_asked_to() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let config = |digest: &str| {
        format!(
            "[[plugin]]\nname = \"queue\"\nsource = \"{source}\"\n{digest}\n[[check]]\nname = \"orders\"\nplugin = \"queue\"\n"
        )
    };
    desk.write("wellcheck.toml", &config(""));
    let cache = desk.path("cache");
    let env: &[(&str, &Path)] = &[("WELLCHECK_CACHE", &cache)];
    desk.run_with(env, &["validate"]).expect(0);
    let ended = desk.run_with(env, &["validate", "--fetch"]).expect(65);
    assert!(ended.err.contains("wellcheck.toml:1:1") && ended.err.contains("404"), "{}", ended.err);
    push(&desk, "minimal", &source);
    desk.run_with(env, &["validate", "--fetch"]).expect(0);
    desk.write("wellcheck.toml", &config(&format!("digest = \"sha256:{}\"", "1".repeat(64))));
    let ended = desk.run_with(env, &["validate", "--fetch"]).expect(65);
    assert!(ended.err.contains("expected `sha256:1111"), "{}", ended.err);
}

#[test]
fn a_fetch_that_hangs_delays_nobody() {
    let silent = target::http().silent().start();
    let host = server(&format!("oci://{}/queue:1", silent.address), "").guest("minimal").start();
    assert!(host.started_in < Duration::from_secs(15), "{:?}", host.started_in);
    host.until_state("minimal", "pass");
    let check = host.check("orders");
    assert_eq!(check["state"], "unknown", "{check}");
    let message = check["message"].as_str().unwrap_or_default();
    assert!(message.contains("being fetched"), "{check}");
}
