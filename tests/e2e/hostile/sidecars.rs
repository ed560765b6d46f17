//! Sidecars, by whoever can write to the plugins folder: each costs its own check, and nothing else.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::support::guests::guest as bytes;
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// What stands outside of the folder, and is quoted nowhere.
const OUTSIDE: &str = "canary-outside-19d3";

/// What a reload by the endpoint needs.
const TOKEN: &str = "example";
const TOKEN_HASH: &str = "sha256:50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c";

/// Puts something at the place of a sidecar, in the folder of the configuration.
type Put = fn(&Path, &Path);

/// What is put there, and what the problem says.
const UNREADABLE: &[(&str, Put, &str)] = &[
    (
        "latin",
        |sidecar, _| std::fs::write(sidecar, b"title = \"caf\xe9\"\n").expect("a file"),
        "cannot be read: the file is not UTF-8 text",
    ),
    (
        "huge",
        |sidecar, _| std::fs::write(sidecar, vec![b'\n'; 17 << 20]).expect("a file"),
        "cannot be read: the file has 17 MiB, more than the limit of 256 KiB",
    ),
    (
        "folder",
        |sidecar, _| std::fs::create_dir(sidecar).expect("a folder"),
        "cannot be read: the file is a folder (expected a regular file)",
    ),
    (
        "pipe",
        |sidecar, _| {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(CWD, sidecar, FileType::Fifo, mode, 0).expect("a FIFO");
        },
        "cannot be read: the file is a pipe (expected a regular file)",
    ),
    (
        "dangling",
        |sidecar, _| symlink("nowhere.toml", sidecar).expect("a link"),
        "cannot be read: the file is gone, or a link that leads nowhere",
    ),
    (
        "outside",
        |sidecar, dir| {
            std::fs::write(dir.join("outside.toml"), format!("{OUTSIDE} = 1\n")).expect("a file");
            symlink("../outside.toml", sidecar).expect("a link");
        },
        "cannot be read: the file is a link that leaves the plugins folder",
    ),
    (
        "absolute",
        |sidecar, dir| {
            std::fs::write(dir.join("absolute.toml"), format!("{OUTSIDE} = 1\n")).expect("a file");
            symlink(dir.join("absolute.toml"), sidecar).expect("a link");
        },
        "cannot be read: the file is a link that leaves the plugins folder",
    ),
    (
        "device",
        |sidecar, _| symlink("/dev/zero", sidecar).expect("a link"),
        "cannot be read: the file is a link that leaves the plugins folder",
    ),
];

/// Texts that are no good sidecars, and what a problem says.
fn greedy() -> Vec<(&'static str, String, &'static str)> {
    let many = (0..1_000).map(|number| format!("[[check]]\nname = \"many-{number}\"\n")).collect();
    let typos = (0..10_000).map(|number| format!("typo-{number:05} = 1\n")).collect();
    vec![
        ("many", many, "this sidecar holds 1000 checks (expected at most 16"),
        ("long", "interval = \"7d\"\ntimeout = \"24h\"\n".to_owned(), "more than the 10s of"),
        ("often", "interval = \"50ms\"\n".to_owned(), "is 50ms, less than 1s"),
        ("typos", typos, "… and 9980 more"),
        ("deep", "[".repeat(200_000), "not valid TOML"),
        ("name", format!("{} = 1\n", "k".repeat(200_000)), "unknown key `kkkkk"),
    ]
}

fn config(interval: &str) -> String {
    format!(
        "[[check]]\nname = \"steady\"\nplugin = \"minimal\"\ninterval = \"{interval}\"\n\
         [[token]]\nname = \"test\"\nrole = \"admin\"\nhash = \"{TOKEN_HASH}\"\n"
    )
}

/// The problems of the configuration, which is applied all the same.
#[track_caller]
fn problems(host: &Host) -> Vec<Value> {
    let configuration = host.json("/api/v1/status")["configuration"].clone();
    assert_eq!(configuration["applied"], true, "{configuration}");
    configuration["problems"].as_array().expect("a list").clone()
}

/// Its check is held, and its problem says this.
#[track_caller]
fn is_held(host: &Host, name: &str, says: &str) {
    let check = host.until(name, "held", |check| check["reason"] == "bad-settings");
    assert_eq!(check["state"], "unknown", "{check}");
    let message = check["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("its sidecar `plugins/{name}.toml` ")), "{check}");
    until(&format!("the problem of `{name}`: {says}"), || {
        let problems = problems(host);
        let file = format!("plugins/{name}.toml");
        let own: Vec<&Value> = problems.iter().filter(|p| p["file"] == file.as_str()).collect();
        assert!(own.len() <= 21, "{} problems", own.len());
        assert!(own.iter().all(|problem| problem.to_string().len() < 5_000), "{own:?}");
        let said =
            |problem: &&&Value| problem["message"].as_str().is_some_and(|m| m.contains(says));
        own.iter().find(said).map(|_| ()).ok_or_else(|| format!("{own:?}"))
    });
}

/// Others run, a changed configuration takes effect, and so does a reload.
#[track_caller]
fn others_go_on(host: &Host) {
    assert_eq!(host.next_run("steady")["state"], "pass");
    for interval in ["150ms", "250ms"] {
        host.configure(&config(interval));
        host.until("steady", interval, |check| check["timing"]["interval"] == interval);
    }
    let bearer = format!("Bearer {TOKEN}");
    host.configure(&config("350ms"));
    let answer = host.ask("POST", "/-/reload", &[("Authorization", &bearer)]);
    assert_eq!(answer.code, 200, "{answer:?}");
    assert_eq!(answer.json()["applied"], true, "{answer:?}");
    host.until("steady", "350ms", |check| check["timing"]["interval"] == "350ms");
    assert_eq!(host.next_run("steady")["state"], "pass");
}

#[track_caller]
fn quotes_nothing(host: &Host) {
    for path in ["/health", "/api/v1/status", "/api/v1/checks"] {
        let body = host.get(path).body;
        assert!(!body.contains(OUTSIDE), "{path}: {body}");
    }
    assert!(!host.log().contains(OUTSIDE), "{}", host.log());
}

#[test]
fn each_that_cannot_be_read_holds_its_own_check_from_the_start() {
    let mut builder = host().config(&config("200ms")).guest("minimal");
    for (name, put, _) in UNREADABLE {
        builder = builder.plugin(name, &bytes("minimal"));
        put(&builder.path().join(format!("plugins/{name}.toml")), builder.path());
    }
    let host = builder.start();
    assert!(host.started_in < Duration::from_secs(10), "{:?}", host.started_in);
    for (name, _, says) in UNREADABLE {
        is_held(&host, name, says);
    }
    assert_eq!(problems(&host).len(), UNREADABLE.len(), "{:?}", problems(&host));
    others_go_on(&host);
    quotes_nothing(&host);
    // Once it can be read, it counts.
    host.remove("plugins/dangling.toml");
    host.write("plugins/dangling.toml", "title = \"It is there\"\n");
    assert_eq!(host.until_state("dangling", "pass")["title"], "It is there");
}

#[test]
fn each_that_cannot_be_read_holds_its_own_check_while_the_server_runs() {
    let mut builder = host().config(&config("200ms")).guest("minimal");
    for (name, ..) in UNREADABLE {
        builder = builder.plugin(name, &bytes("minimal"));
    }
    let host = builder.start();
    for (name, put, says) in UNREADABLE {
        host.until_state(name, "pass");
        put(&host.dir().join(format!("plugins/{name}.toml")), host.dir());
        is_held(&host, name, says);
    }
    others_go_on(&host);
    quotes_nothing(&host);
}

#[test]
fn one_without_the_right_to_read_it_holds_its_own_check() {
    let builder = host().config(&config("200ms")).guest("minimal");
    let builder = builder.plugin("closed", &bytes("minimal"));
    let builder = builder.file("plugins/closed.toml", "title = \"open\"\n");
    let sidecar = builder.path().join("plugins/closed.toml");
    let rights = |mode| std::fs::set_permissions(&sidecar, PermissionsExt::from_mode(mode));
    rights(0).expect("the file is ours");
    // Root may read everything.
    let closed = std::fs::read(&sidecar).is_err();
    let host = builder.start();
    if closed {
        is_held(&host, "closed", "cannot be read: the file cannot be opened: Permission denied");
    }
    others_go_on(&host);
    rights(0o600).expect("the file is ours");
    assert_eq!(host.until_state("closed", "pass")["title"], "open");
}

#[test]
fn each_that_asks_for_too_much_holds_its_own_check() {
    let mut builder = host().config(&config("200ms")).guest("minimal");
    for (name, text, _) in greedy() {
        builder = builder.plugin(name, &bytes("minimal"));
        builder = builder.file(&format!("plugins/{name}.toml"), text);
    }
    let host = builder.start();
    assert!(host.started_in < Duration::from_secs(10), "{:?}", host.started_in);
    for (name, _, says) in greedy() {
        is_held(&host, name, says);
    }
    let mut names: Vec<&str> = greedy().iter().map(|(name, ..)| *name).collect();
    names.extend(["steady"]);
    names.sort_unstable();
    assert_eq!(host.names(), names, "one check each");
    others_go_on(&host);
}

#[test]
fn a_link_within_the_folder_is_a_sidecar() {
    let builder = host().config(&config("200ms")).guest("minimal");
    let builder = builder.plugin("linked", &bytes("minimal"));
    let builder = builder.file("plugins/data/linked.toml", "title = \"As a ConfigMap has it\"\n");
    symlink("data/linked.toml", builder.path().join("plugins/linked.toml")).expect("a link");
    let host = builder.start();
    assert_eq!(host.until_state("linked", "pass")["title"], "As a ConfigMap has it");
    host.replace("plugins/data/linked.toml", "title = \"Another\"\n");
    host.until("linked", "the new title", |check| check["title"] == "Another");
}
