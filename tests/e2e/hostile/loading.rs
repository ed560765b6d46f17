//! Files that are no good plugin, and the cache of compiled code (37 to 39, 41, 47, 49).

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::beside::{Setup, guest, idle};
use crate::support::guests::{guest as bytes, root};
use crate::support::host::{Host, host};
use crate::support::wait::{LIMIT, until, until_within};

/// Files that are refused, and what is said of each.
const WRONG: &[(&str, &[&str])] = &[
    ("core-module", &["the file is a core module, not a component", "`wasm-tools component new`"]),
    ("wrong-world", &["exports no `wellcheck:check/checker`", "found `other:thing/greeter@1.0.0`"]),
    ("missing-export", &["`wellcheck:check/checker@0.1.2` does not have export `run`"]),
    (
        "other-types",
        &["its `describe` is another function than", "expected `record` found `string`"],
    ),
    ("other-run", &["its `run` is another function than", "`wellcheck:check/checker@0.1.2`"]),
    (
        "unknown-import",
        &[
            "`wasi:nn/graph@0.2.0-rc-2024-10-28`",
            "`wellcheck:check/wishes@0.1.1`",
            "which this host does not offer",
        ],
    ),
    ("calls-later", &["`wellcheck:check/context@0.1.7`", "`of-later`"]),
    ("other-line", &["(0.1)", "found `wellcheck:check/checker@0.2.0`"]),
];

#[test]
fn case_37_each_wrong_file_is_refused_with_what_is_wrong() {
    for (plugin, says) in WRONG {
        let host = guest(plugin).is_refused(says[0]);
        let message = host.check("guest")["message"].as_str().unwrap_or_default().to_owned();
        for part in *says {
            assert!(message.contains(part), "{plugin}: `{part}`: {message}");
        }
        let health = host.health()["checks"]["guest"][0]["output"].to_string();
        assert!(health.contains("unknown: load: "), "{health}");
    }
}

#[test]
fn case_37_other_versions_of_the_line_run() {
    for (plugin, message) in [("older-minor", "from before"), ("later-minor", "from later")] {
        let beside = guest(plugin).run();
        beside.passes();
        assert_eq!(beside.check["message"], message);
    }
}

/// `echo` in version 1.2.3 under a check `x`.
fn running() -> Host {
    let host = host()
        .config("[[check]]\nname = \"x\"\nplugin = \"x\"\ninterval = \"100ms\"\n")
        .plugin("x", &bytes("echo"))
        .start();
    host.until_version("x", "1.2.3");
    host
}

/// The old version goes on, and it is said why.
#[track_caller]
fn goes_on(host: &Host, says: &str) {
    let notes = host.until_noted(says);
    assert!(notes.contains("; version 1.2.3 goes on"), "{notes}");
    let check = host.next_run("x");
    assert_eq!((&check["plugin"]["version"], &check["state"]), (&"1.2.3".into(), &"pass".into()));
    assert_eq!(host.get("/health").code, 200);
    let plugin = host.json("/api/v1/status")["plugins"][0].clone();
    assert_eq!(plugin["newest"], "broken", "{plugin}");
    assert!(plugin["problem"].as_str().is_some_and(|problem| problem.contains(says)), "{plugin}");
}

#[test]
fn case_37_a_wrong_file_does_not_replace_the_version_that_runs() {
    let host = running();
    for (plugin, says) in WRONG {
        host.replace("plugins/x.wasm", bytes(plugin));
        goes_on(&host, says[0]);
    }
    host.replace("plugins/x.wasm", bytes("minimal"));
    host.until_version("x", "1.0.0");
    assert_eq!(host.notes(), "");
}

fn random() -> Vec<u8> {
    (0..65_536_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Bytes that are no plugin, and what is said of them.
fn bad_bytes() -> Vec<(Vec<u8>, &'static str)> {
    let good = bytes("minimal");
    let mut garbled = good.clone();
    garbled[8..].fill(0xff);
    let mut long = good.clone();
    long.extend(random());
    vec![
        (Vec::new(), "the file is empty"),
        (b"\0as".to_vec(), "the file is incomplete"),
        (good[..good.len() / 2].to_vec(), "the file is incomplete"),
        (good[..good.len() - 1].to_vec(), "the file is incomplete"),
        (random(), "the file is not WebAssembly"),
        (b"MZ\x90\0 and so on".to_vec(), "the file is not WebAssembly"),
        (garbled, "the file is broken at byte"),
        (long, "the file is broken at byte"),
    ]
}

#[test]
fn case_38_bytes_that_are_no_plugin_are_refused_at_the_start() {
    for (bad, says) in bad_bytes() {
        // The file of the same name is written over before the start.
        guest("echo").with(|host| host.plugin("echo", &bad)).is_refused(says);
    }
}

#[test]
fn case_38_bytes_that_are_no_plugin_replace_nothing() {
    let host = running();
    for (bad, says) in bad_bytes() {
        host.replace("plugins/x.wasm", bad);
        goes_on(&host, says);
        host.replace("plugins/x.wasm", bytes("echo"));
        until("nothing is wrong any more", || match host.notes() {
            notes if notes.is_empty() => Ok(()),
            notes => Err(notes),
        });
    }
}

/// A value in kB of `/proc/PID/status`.
fn memory(host: &Host, name: &str) -> u64 {
    let path = format!("/proc/{}/status", host.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no `{name}`: {status}"))
}

#[test]
fn case_38_a_huge_file_is_not_read() {
    let setup = guest("echo").with(|builder| {
        let file = builder.path().join("plugins/echo.wasm");
        let file = std::fs::OpenOptions::new().write(true).open(file).expect("the guest");
        // As large as the disk likes, and empty.
        file.set_len(500 << 30).or_else(|_| file.set_len(5 << 30)).expect("a sparse file");
        builder
    });
    let host = setup.is_refused("GiB, more than the limit of 64 MiB");
    assert!(memory(&host, "VmHWM") < 400 * 1024, "{} kB", memory(&host, "VmHWM"));
    let limited = "[plugins.limits]\nfile-bytes = \"50KiB\"\n";
    guest("echo").config(limited).is_refused("more than the limit of 50 KiB");
}

#[test]
fn case_38_a_file_that_is_written_slowly_runs_when_it_is_whole() {
    let host = running();
    let whole = bytes("minimal");
    for part in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        // In place: the file is never whole meanwhile.
        host.write("plugins/x.wasm", &whole[..part]);
        goes_on(&host, "the file is incomplete");
    }
    host.write("plugins/x.wasm", &whole);
    host.until_version("x", "1.0.0");
    assert_eq!(host.notes(), "");
}

/// `minimal` with a cache of its own.
fn cached() -> Host {
    let host = guest("minimal").with(|host| host.own_cache()).start();
    assert_eq!(host.until_run("guest")["state"], "pass");
    host
}

/// The entries of a cache.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(cache).expect("the cache").flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|e| e == "code")).collect()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

#[test]
fn case_39_an_entry_that_is_not_what_was_written_is_compiled_anew_and_reported() {
    let mut host = cached();
    let cache = host.dir().join("cache");
    let [entry] = &entries(&cache)[..] else { panic!("one plugin") };
    assert_eq!(cache.metadata().expect("a folder").mode() & 0o777, 0o700);
    assert_eq!(entry.metadata().expect("a file").mode() & 0o777, 0o600);
    let good = std::fs::read(entry).expect("readable");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut long = good.clone();
    long.push(0);
    let bad = [
        flipped(0),
        flipped(40),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() / 2].to_vec(),
        good[..20].to_vec(),
        Vec::new(),
        long,
        // The code of another machine, in an entry as ours are.
        [&good[..32], &random()[..]].concat(),
    ];
    for bytes in bad {
        std::fs::write(entry, &bytes).expect("writable");
        host = host.restart();
        assert_eq!(host.until_run("guest")["state"], "pass");
        let log = host.until_logged("; compiled anew");
        assert!(log.contains("the cached code `"), "{log}");
        // The same source need not give the same code.
        until("the entry is written anew", || match std::fs::read(entry) {
            Ok(found) if found.len() > 32 && found != bytes => Ok(()),
            other => Err(format!("{:?}", other.map(|found| found.len()))),
        });
        host = host.restart();
        assert_eq!(host.until_run("guest")["state"], "pass");
        assert!(!host.log().contains("compiled anew"), "{}", host.log());
    }
}

#[test]
fn case_39_an_entry_of_somebody_else_is_not_believed() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    type Change<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let mut host = cached();
    let cache = host.dir().join("cache");
    let [entry] = &entries(&cache)[..] else { panic!("one plugin") };
    let good = std::fs::read(entry).expect("readable");
    let aside = host.dir().join("aside");
    let remove = |path: &Path| std::fs::remove_file(path).expect("it is there");
    let changes: Vec<Change<'_>> = vec![
        (
            "another installation's key",
            Box::new(|_| {
                let key = cache.join("key");
                std::fs::write(&key, [7; 32]).expect("writable");
            }),
        ),
        ("others may write it", Box::new(|entry| set_mode(entry, 0o666))),
        (
            "a link",
            Box::new(|entry| {
                std::fs::write(&aside, &good).expect("a file");
                remove(entry);
                std::os::unix::fs::symlink(&aside, entry).expect("a link");
            }),
        ),
        (
            "a FIFO",
            Box::new(|entry| {
                remove(entry);
                mknodat(CWD, entry, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
            }),
        ),
        (
            "a folder",
            Box::new(|entry| {
                remove(entry);
                std::fs::create_dir(entry).expect("a folder");
            }),
        ),
    ];
    for (what, change) in changes {
        change(entry);
        host = host.restart();
        assert_eq!(host.until_run("guest")["state"], "pass", "{what}");
        host.until_logged("; compiled anew");
    }
}

#[test]
fn case_39_a_cache_that_others_may_use_is_not_used() {
    let unused = |change: &dyn Fn(&Path), says: &str| {
        let builder = host().guest("minimal").own_cache();
        let cache = builder.path().join("cache");
        std::fs::create_dir(&cache).expect("a folder");
        set_mode(&cache, 0o700);
        change(&cache);
        let host = builder.start();
        host.until_state("minimal", "pass");
        let log = host.until_logged("is not used: ");
        assert!(log.contains(says), "`{says}`: {log}");
        if cache.is_dir() {
            assert_eq!(entries(&cache), Vec::<PathBuf>::new(), "{says}");
        }
    };
    unused(&|cache| set_mode(cache, 0o777), "others may use it (its mode is 777");
    unused(&|cache| set_mode(cache, 0o750), "others may use it (its mode is 750");
    let key = |cache: &Path| {
        std::fs::write(cache.join("key"), [1; 32]).expect("a file");
        set_mode(&cache.join("key"), 0o644);
    };
    unused(&key, "its key");
    let short = |cache: &Path| {
        std::fs::write(cache.join("key"), [1; 3]).expect("a file");
        set_mode(&cache.join("key"), 0o600);
    };
    unused(&short, "has 3 bytes (expected 32)");
    // Only root may give a folder away.
    if rustix::process::geteuid().is_root() {
        let away =
            |cache: &Path| std::os::unix::fs::chown(cache, Some(65_534), None).expect("root");
        unused(&away, "it belongs to the user 65534");
    }
}

/// No guest is known that makes the host panic. That a panic costs one run is shown where one can
/// be made: by a transport that panics under a plugin, and by a check that panics under the
/// scheduler. Both need panics to unwind, and this program to be built so.
#[test]
fn case_41_a_panic_of_the_host_is_a_fault_of_one_run() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("readable");
    for (file, test) in [
        ("host/wasm/tests/it/http.rs", "a_panic_of_the_host_is_a_fault_of_one_run"),
        ("host/app/scheduler/tests.rs", "a_check_that_panics_is_a_fault_and_the_others_go_on"),
    ] {
        assert!(read(file).contains(&format!("async fn {test}()")), "{file} has no test `{test}`");
    }
    assert!(!read("Cargo.toml").contains("panic ="), "a panic has to unwind");
}

/// Bombs beside each other: one check each.
fn bombs(limits: &str) -> Setup {
    let others = ["bomb-functions", "bomb-nesting"];
    let checks = others.map(|name| format!("[[check]]\nname = \"{name}\"\nplugin = \"{name}\"\n"));
    guest("bomb-function")
        .with(|host| others.into_iter().fold(host, |host, name| host.guest(name)))
        .config(&format!("{}[plugins.limits]\n{limits}\n", checks.concat()))
}

/// Waits until all three are refused, while the endpoint answers and the steady check runs.
#[track_caller]
fn all_refused(host: &Host, says: &str) {
    let mut worst = Duration::ZERO;
    let mut runs = std::collections::BTreeSet::new();
    until_within(4 * LIMIT, "all bombs are refused", || {
        let asked = Instant::now();
        let checks = ["guest", "bomb-functions", "bomb-nesting"].map(|name| host.check(name));
        worst = worst.max(asked.elapsed());
        let steady = host.check("steady");
        if steady["outcome"].is_object() {
            assert_eq!(steady["state"], "pass", "{steady}");
            runs.insert(steady["last_run"].to_string());
        }
        let refused = |check: &Value| {
            check["reason"] == "load" && check["message"].as_str().is_some_and(|m| m.contains(says))
        };
        if checks.iter().all(refused) { Ok(()) } else { Err(format!("{checks:?}")) }
    });
    assert!(worst < Duration::from_secs(2), "the endpoint took {worst:?}");
    assert!(runs.len() >= 5, "the steady check ran {} times meanwhile", runs.len());
    assert!(host.notes().contains(says), "{}", host.notes());
    host.until_ready();
    idle(host);
    // What compiles is another process, and gone.
    assert!(memory(host, "VmHWM") < 400 * 1024, "{} kB", memory(host, "VmHWM"));
    until("no process is left", || match children(host) {
        children if children.is_empty() => Ok(()),
        children => Err(children),
    });
}

/// The processes that a server has started and that are not gone.
pub(super) fn children(host: &Host) -> String {
    let tasks = format!("/proc/{}/task", host.pid().as_raw_nonzero());
    let tasks = std::fs::read_dir(tasks).expect("the process runs").flatten();
    // A thread may end meanwhile.
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok()).collect()
}

#[test]
fn case_47_what_compiles_for_ever_meets_the_limit_of_cpu() {
    let host = bombs("compile-cpu = \"2s\"").start();
    all_refused(&host, "compiling it takes more than 2s of CPU time");
}

#[test]
fn case_47_what_compiles_for_ever_meets_the_limit_of_time() {
    let host = bombs("compile-time = \"2s\"").start();
    all_refused(&host, "compiling it takes longer than 2s");
}

#[test]
fn case_47_what_compiles_to_too_much_meets_the_limit_of_memory() {
    let host = guest("bomb-function").config("[plugins.limits]\ncompile-memory = \"256MiB\"\n");
    host.is_refused("compiling it takes more than 256 MiB of memory");
}

#[test]
fn case_49_a_schema_that_is_too_much_is_refused() {
    for (plugin, says) in [
        ("schema-deep", "recursion limit exceeded"),
        ("schema-enum", "it is too large: 888927 bytes (at most 64 KiB)"),
        ("schema-recursive", "leads in a circle"),
        ("schema-regex-size", "or takes more than 512 KiB once compiled"),
        ("schema-remote", "leads out of the schema (expected `#/...`)"),
    ] {
        let began = Instant::now();
        let host = guest(plugin).is_refused("the settings schema is not usable: ");
        let message = host.check("guest")["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(says), "{plugin}: `{says}`: {message}");
        assert!(began.elapsed() < Duration::from_secs(15), "{plugin}: {:?}", began.elapsed());
    }
    let more = guest("schema-enum").config("[plugins.limits]\nschema-bytes = \"1MiB\"\n");
    more.run().passes();
}

#[test]
fn case_49_a_pattern_is_matched_in_linear_time() {
    let text = "a".repeat(40_000);
    let fits = guest("schema-regex").settings(&format!("text = \"{text}\"")).run();
    fits.passes();
    let bad = format!("text = \"{text}!\", other = \"{text}\", {} = 1", "x".repeat(40));
    let host = guest("schema-regex").settings(&bad).start();
    let check = host.until("guest", "held", |check| check["reason"] == "bad-settings");
    let message = check["message"].as_str().unwrap_or_default();
    assert!(message.contains("the settings do not fit plugin `schema-regex`"), "{message}");
    assert!(message.contains("/text") && message.contains("/other"), "{message}");
    assert!(message.len() < 2000, "{message}");
    assert_eq!(host.next_run("steady")["state"], "pass");
}
