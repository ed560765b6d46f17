//! The plugins folder, by whoever can write to it (36, 43).

use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::beside::{guest, idle};
use super::loading::children;
use crate::support::guests::guest as bytes;
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// However long the folder's content takes, somebody waits for the start.
const STARTED: Duration = Duration::from_secs(10);

#[track_caller]
fn says(notes: &str, all: &[&str]) {
    for says in all {
        assert!(notes.contains(says), "`{says}` is not in:\n{notes}");
    }
}

/// Health is JSON, and names in it are escaped.
#[track_caller]
fn shows_no_control_characters(host: &Host) {
    for path in ["/health", "/api/v1/status", "/api/v1/checks", "/health?format=text"] {
        let body = host.get(path).body;
        let odd: Vec<char> = body.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(odd.is_empty() && !body.contains('\u{202e}'), "{path}: {odd:?} {body}");
    }
}

#[test]
fn case_36_what_is_no_regular_file_beneath_the_folder_is_not_opened() {
    let outside = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(outside.path().join("echo.wasm"), bytes("echo")).expect("a file");
    let builder = host().guest("minimal").plugin("folder.wasm/inner", &bytes("minimal"));
    let builder = builder.plugin("sub/deeper", &bytes("minimal"));
    let folder = builder.path().join("plugins");
    let special = |name: &str, kind: FileType, device: u64| {
        mknodat(CWD, folder.join(name), kind, Mode::from_raw_mode(0o666), device)
    };
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, folder.join(name)).expect("a link");
    };
    special("pipe.wasm", FileType::Fifo, 0).expect("a FIFO");
    let _socket = UnixListener::bind(folder.join("socket.wasm")).expect("a socket");
    // Only root may make one.
    let has_device = special("zero.wasm", FileType::CharacterDevice, makedev(1, 5)).is_ok();
    link(&outside.path().join("echo.wasm"), "out.wasm");
    link(Path::new("../../../../../../../etc/passwd"), "passwd.wasm");
    link(Path::new("/dev/zero"), "dev.wasm");
    link(Path::new("/proc/self/exe"), "proc.wasm");
    link(Path::new("pipe.wasm"), "to-pipe.wasm");
    link(Path::new("loop.wasm"), "loop.wasm");
    link(Path::new("folder.wasm"), "to-folder.wasm");
    link(Path::new("sub/deeper.wasm"), "inside.wasm");
    let host = builder.start();
    assert!(host.started_in < STARTED, "{:?}", host.started_in);
    host.until_ready();
    host.until_state("minimal", "pass");
    // As a ConfigMap of Kubernetes has it.
    host.until_state("inside", "pass");
    let notes = host.notes();
    let leaves = "the file is a link that leaves the plugins folder";
    says(
        &notes,
        &[
            "plugin `pipe`: the file is a pipe (expected a regular file)",
            "plugin `to-pipe`: the file is a pipe (expected a regular file)",
            "plugin `socket`: the file is a socket (expected a regular file)",
            "plugin `dev`: the file is a device (expected a regular file)",
            &format!("plugin `out`: {leaves}"),
            &format!("plugin `passwd`: {leaves}"),
            &format!("plugin `proc`: {leaves}"),
            "plugin `loop`: ",
        ],
    );
    if has_device {
        says(&notes, &["plugin `zero`: the file is a device (expected a regular file)"]);
    }
    for silent in ["`folder`", "`to-folder`", "deeper", "inner"] {
        assert!(!notes.contains(silent), "{notes}");
    }
    assert!(!host.log().contains("root:"), "{}", host.log());
    assert_eq!(host.check("pipe")["reason"], "load");
    assert_eq!(host.get("/health").code, 200, "what nobody configured does not change the code");
    idle(&host);
}

#[test]
fn case_36_odd_names_are_named_and_not_used() {
    let builder = host().guest("minimal");
    let folder = builder.path().join("plugins");
    let long = format!("{}.wasm", "l".repeat(64));
    let names: &[&[u8]] = &[
        b"UPPER.wasm",
        b"space d.wasm",
        b"..wasm.wasm",
        b"..\\..\\x.wasm",
        b"%2e%2e%2fx.wasm",
        b"line\nbreak.wasm",
        b"red\x1b[31m.wasm",
        b"under_score.wasm",
        b"dot.ted.wasm",
        b"-dash.wasm",
        "right\u{202e}left.wasm".as_bytes(),
        b"latin\xe9.wasm",
        b"`quote`\".wasm",
        long.as_bytes(),
    ];
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(folder.join(name), bytes("minimal")).expect("a file");
    }
    let longest = "m".repeat(63);
    let host = builder.plugin(&longest, &bytes("minimal")).start();
    host.until_ready();
    host.until_state("minimal", "pass");
    host.until_state(&longest, "pass");
    let notes = host.notes();
    // One each, and none for what begins with a dot.
    let noted = names.iter().filter(|name| !name.starts_with(b".")).count();
    assert_eq!(notes.matches(" is not used: ").count(), noted, "{notes}");
    says(&notes, &["`line\\nbreak.wasm`", "`red\\u{1b}[31m.wasm`", "`right\\u{202e}left.wasm`"]);
    assert_eq!(notes.lines().count(), noted, "a note is a line: {notes}");
    shows_no_control_characters(&host);
    assert_eq!(host.names(), ["minimal", longest.as_str()]);
}

#[test]
fn case_36_ten_thousand_files_are_a_bounded_list() {
    let builder = host().plugin("aaa", &bytes("minimal"));
    let folder = builder.path().join("plugins");
    for number in 0..10_000 {
        std::fs::write(folder.join(format!("junk-{number:05}.wasm")), b"junk").expect("a file");
    }
    let steady = "[[check]]\nname = \"steady\"\nplugin = \"aaa\"\ninterval = \"100ms\"\n";
    let host = builder.config(steady).start();
    assert!(host.started_in < STARTED, "{:?}", host.started_in);
    host.until_state("steady", "pass");
    let began = Instant::now();
    host.until_ready();
    assert!(began.elapsed() < 3 * STARTED, "{:?}", began.elapsed());
    let status = host.json("/api/v1/status");
    assert_eq!(status["plugins"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(host.names().len(), 1_000, "`steady` and 999 that cannot be loaded");
    let notes = host.notes();
    says(
        &notes,
        &["the folder holds more than 1000 plugins", "and 8981 more files of the plugins"],
    );
    assert!(notes.len() < 256 * 1024, "{} bytes of notes", notes.len());
    assert_eq!(host.next_run("steady")["state"], "pass");
    // Looking at the folder is no work that anybody notices.
    let asked = Instant::now();
    assert_eq!(host.get("/health").code, 200);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    for number in 0..10_000 {
        host.remove(&format!("plugins/junk-{number:05}.wasm"));
    }
    until("they are forgotten", || match (host.names(), host.notes()) {
        (names, notes) if names == ["steady"] && notes.is_empty() => Ok(()),
        (names, notes) => Err(format!("{} names, {notes}", names.len())),
    });
    assert_eq!(host.next_run("steady")["state"], "pass");
}

#[test]
fn case_36_a_folder_that_vanishes_holds_its_checks_until_it_returns() {
    let host = guest("minimal").start();
    assert_eq!(host.until_run("guest")["state"], "pass");
    let (plugins, away) = (host.dir().join("plugins"), host.dir().join("away"));
    for _ in 0..2 {
        std::fs::rename(&plugins, &away).expect("a rename");
        for name in ["guest", "steady"] {
            let check = host.until(name, "held", |check| check["reason"] == "missing");
            assert_eq!(check["state"], "unknown");
            assert_eq!(check["message"], "there is no plugin file `minimal.wasm`");
        }
        assert!(host.notes().contains("cannot be read"), "{}", host.notes());
        assert_eq!(host.get("/health").code, 503, "what is configured counts");
        std::fs::rename(&away, &plugins).expect("a rename");
        host.until_state("guest", "pass");
        host.until_state("steady", "pass");
    }
    assert_eq!(host.notes(), "");
    // In its place comes what is no folder, and then the folder again.
    std::fs::rename(&plugins, &away).expect("a rename");
    mknodat(CWD, &plugins, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
    host.until("guest", "held", |check| check["reason"] == "missing");
    host.remove("plugins");
    std::fs::rename(&away, &plugins).expect("a rename");
    host.until_state("guest", "pass");
}

#[test]
fn case_36_a_file_that_is_replaced_while_it_is_loaded_is_the_newer_one() {
    let config = "[[check]]\nname = \"x\"\nplugin = \"x\"\ninterval = \"100ms\"\n\
                  [check.grants]\nhttp = \"http://127.0.0.1:1\"\n\
                  [plugins.limits]\ncompile-cpu = \"1s\"\n";
    let host = host().config(config).plugin("x", &bytes("bomb-functions")).start();
    host.until("x", "held", |check| check["reason"] == "compiling");
    host.replace("plugins/x.wasm", bytes("minimal"));
    host.until_version("x", "1.0.0");
    // What became of the older one changes nothing any more, when it is over.
    host.replace("plugins/x.wasm", bytes("echo"));
    host.until_version("x", "1.2.3");
    until("the older one is over", || match children(&host) {
        compilers if compilers.is_empty() => Ok(()),
        compilers => Err(compilers),
    });
    host.until_ready();
    assert_eq!(host.next_run("x")["plugin"]["version"], "1.2.3");
    assert_eq!(host.notes(), "");
    assert_eq!(host.json("/api/v1/status")["plugins"][0]["newest"], "running");
}

#[test]
fn case_43_of_two_files_with_one_name_the_first_is_used() {
    let host = host()
        .plugin("twice", &bytes("minimal"))
        .file("plugins/twice.WASM", bytes("echo"))
        .file("plugins/twice.Wasm", bytes("trap"))
        .start();
    host.until_version("twice", "1.0.0");
    let refused =
        |name: &str| format!("the file `{name}` is not used: `twice.wasm` has the same name");
    says(&host.notes(), &[&refused("twice.WASM"), &refused("twice.Wasm")]);
    assert_eq!(host.names(), ["twice"]);
    // The same after a restart, and when the one that is used is written anew.
    let host = host.restart();
    host.until_version("twice", "1.0.0");
    host.replace("plugins/twice.wasm", bytes("minimal"));
    host.until_ready();
    assert_eq!(host.next_run("twice")["plugin"]["version"], "1.0.0");
}

#[test]
fn case_43_a_plugin_takes_no_name_of_the_host() {
    let target = crate::support::target::http().status(200).start();
    let config = format!(
        "[[check]]\nname = \"http\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"200ms\"\n\
         [[check]]\nname = \"by-plugin\"\nplugin = \"http\"\ninterval = \"200ms\"\n",
        target.url("/")
    );
    let host = host()
        .config(&config)
        .plugin("http", &bytes("minimal"))
        .plugin("status", &bytes("minimal"))
        .plugin("live", &bytes("minimal"))
        .start();
    // The built-in kind is what it was, and the plugin runs where it is asked for as one.
    assert_eq!(host.until_state("http", "pass")["kind"], "http");
    assert!(target.count() > 0);
    assert_eq!(host.until_state("by-plugin", "pass")["kind"], "plugin");
    // Where the endpoint has pages of its own, no check of a plugin takes their place.
    host.until_ready();
    assert_eq!(host.names(), ["by-plugin", "http"]);
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    for name in ["status", "live"] {
        let why = format!("plugin `{name}` is no check by itself: `{name}` is a reserved name");
        assert!(problems.contains(&why), "`{why}`: {problems}");
    }
    assert_eq!(host.get("/health").code, 200);
}

#[test]
fn case_43_a_plugin_that_is_called_like_a_configured_check_does_not_replace_it() {
    let config = "[[check]]\nname = \"minimal\"\nplugin = \"echo\"\ninterval = \"200ms\"\n";
    let host = host().config(config).guest("minimal").guest("echo").start();
    let check = host.until_state("minimal", "pass");
    assert_eq!(check["plugin"]["name"], "echo", "{check}");
    host.until_ready();
    assert_eq!(host.names(), ["minimal"]);
    assert_eq!(host.next_run("minimal")["plugin"]["version"], "1.2.3");
}
