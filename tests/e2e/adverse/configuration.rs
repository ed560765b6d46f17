//! Configurations that are meant to break their reader, and files that change under it.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::host::{Host, host, write};
use crate::support::program::run_in;
use crate::support::target;
use crate::support::wait::until;

fn folder(config: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", config);
    dir
}

/// What `validate` says of a configuration that cannot be used.
#[track_caller]
fn refused(config: &str) -> String {
    run_in(folder(config).path(), &["validate"]).expect(65).err
}

#[test]
fn names_that_only_look_alike_are_refused_and_the_letter_is_named() {
    let alike = [
        // Cyrillic o, a zero-width space, full width, o with and without a combining mark, a dash.
        ("sh\u{43e}p", "U+043E"),
        ("shop\u{200b}", "U+200B"),
        ("\u{ff53}hop", "U+FF53"),
        ("sh\u{f6}p", "U+00F6"),
        ("sho\u{308}p", "U+0308"),
        ("shop\u{2010}2", "U+2010"),
        ("SHOP", ""),
        ("shop ", ""),
    ];
    let mut config = String::new();
    for name in [("shop", "")].iter().chain(&alike) {
        writeln!(
            config,
            "[[check]]\nname = \"{}\"\nkind = \"tcp\"\ntarget = \"127.0.0.1:1\"",
            name.0
        )
        .expect("a string takes it");
    }
    let said = refused(&config);
    for (index, (name, letter)) in alike.iter().enumerate() {
        let place = format!("wellcheck.toml:{}:8: error: ", 4 * (index + 1) + 2);
        let line = said.lines().find(|line| line.starts_with(&place));
        let line = line.unwrap_or_else(|| panic!("`{name}` at {place}: {said}"));
        assert!(line.contains("is not a name") && line.contains(letter), "{line}");
    }
    assert_eq!(said.matches(": error: ").count(), alike.len(), "{said}");
}

#[test]
fn times_that_are_none_are_refused_with_what_is_allowed() {
    let mut config = String::new();
    let values = [
        "\"0s\"",
        "\"-1s\"",
        "\"1ns\"",
        "\"1000000000y\"",
        "\"1000000000000d\"",
        "\"99999999999999999999999999s\"",
        "\"1e300s\"",
        "\"nans\"",
        "\"infs\"",
        "\"\"",
        "nan",
        "inf",
        "-0.0",
        "9223372036854775807",
        "1e308",
    ];
    for (index, value) in values.iter().enumerate() {
        writeln!(
            config,
            "[[check]]\nname = \"c{index}\"\nkind = \"tcp\"\ntarget = \"127.0.0.1:1\"\ninterval = {value}"
        )
        .expect("a string takes it");
    }
    let said = refused(&config);
    for (index, value) in values.iter().enumerate() {
        let place = format!("wellcheck.toml:{}:12: error: ", 5 * (index + 1));
        assert!(said.lines().any(|line| line.starts_with(&place)), "{value} at {place}: {said}");
    }
    assert_eq!(said.matches(": error: ").count(), values.len(), "{said}");
}

/// Checks in the largest configuration of these tests; a build without optimization takes its time.
const MANY: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

fn many(count: usize) -> String {
    let mut config = String::new();
    for n in 0..count {
        writeln!(
            config,
            "[[check]]\nname = \"c-{n}\"\nkind = \"tcp\"\ntarget = \"h{n}.example.com:80\"\n"
        )
        .expect("a string takes it");
    }
    config
}

#[test]
fn very_many_checks_are_read() {
    let dir = folder(&many(MANY));
    let began = Instant::now();
    let ended = run_in(dir.path(), &["validate"]).expect(0);
    eprintln!("{MANY} checks were read in {:?}", began.elapsed());
    assert!(ended.out.contains(&format!("{MANY} checks")), "{}", ended.out);
}

#[test]
fn what_is_too_large_or_too_deep_is_refused_in_a_moment() {
    let deep = 100_000;
    for (what, config, says) in [
        ("a large file", format!("# {}\n", "x".repeat(16 << 20)), "16"),
        ("lists", format!("a = {}{}\n", "[".repeat(deep), "]".repeat(deep)), "nested deeper"),
        ("tables", format!("a = {}1{}\n", "{a=".repeat(deep), "}".repeat(deep)), "nested deeper"),
        ("a key", format!("a{} = 1\n", ".a".repeat(deep)), "recursion"),
        ("a header", format!("[{}a]\nb = 1\n", "a.".repeat(deep)), "recursion"),
    ] {
        let said = refused(&config);
        assert!(said.contains(says), "{what}: {said}");
        assert!(said.len() < 4_000, "{what} says {} bytes", said.len());
    }
}

fn check(name: &str, target: &target::Target) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"100ms\"\n",
        target.url("/")
    )
}

#[track_caller]
fn until_names(host: &Host, names: &[&str]) {
    until(&format!("checks {names:?}"), || {
        let found = host.names();
        if found == names { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

fn since(host: &Host, name: &str) -> Value {
    host.check(name)["since"].clone()
}

#[test]
fn a_file_that_is_cut_or_gone_leaves_what_runs_and_its_state() {
    let target = target::http().status(200).start();
    let one = check("a", &target);
    let host = host().config(&one).start();
    host.until_state("a", "pass");
    let began = since(&host, "a");
    let whole = one.clone() + &check("b", &target);
    // Written in place, and only half of it.
    for cut in [whole.len() - 25, whole.len() - 2] {
        host.write("wellcheck.toml", &whole[..cut]);
        host.signal(Signal::HUP);
        host.until_noted("is not used");
        assert_eq!(host.names(), ["a"]);
    }
    // Gone, and nothing readable in its place.
    host.remove("wellcheck.toml");
    host.signal(Signal::HUP);
    host.until_noted("is not used");
    assert_eq!(host.names(), ["a"]);
    std::fs::create_dir(host.dir().join("wellcheck.toml")).expect("a folder");
    host.signal(Signal::HUP);
    host.until_noted("is not used");
    assert_eq!(host.get("/health").code, 200);
    std::fs::remove_dir(host.dir().join("wellcheck.toml")).expect("it is empty");
    host.configure(&whole);
    until_names(&host, &["a", "b"]);
    assert_eq!(host.notes(), "");
    assert_eq!(since(&host, "a"), began, "the check went on all the while");
}

#[test]
fn a_pipe_in_place_of_the_file_is_not_waited_for() {
    let target = target::http().status(200).start();
    let host = host().config(&check("a", &target)).start();
    host.until_state("a", "pass");
    let path = host.dir().join("wellcheck.toml");
    host.remove("wellcheck.toml");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    host.signal(Signal::HUP);
    host.until_noted("is not used");
    assert_eq!(host.next_run("a")["state"], "pass");
    host.configure(&check("b", &target));
    until_names(&host, &["b"]);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("wellcheck.toml");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    run_in(dir.path(), &["validate"]).expect(65);
}

#[test]
fn a_link_that_is_swapped_as_kubernetes_does_takes_effect_whole() {
    let target = target::http().status(200).start();
    let builder = host();
    let dir = builder.path().to_owned();
    // `wellcheck.toml` leads to `..data/wellcheck.toml`, and `..data` to a folder with a date.
    let host = {
        let builder = builder
            .file("mount/..1/wellcheck.toml", check("a", &target))
            .file("mount/..1/conf.d/b.toml", check("b", &target))
            .file("mount/..2/wellcheck.toml", check("a", &target) + &check("c", &target))
            .file("mount/..2/conf.d/b.toml", check("d", &target));
        let mount = dir.join("mount");
        symlink("..1", mount.join("..data")).expect("a link");
        symlink("..data/wellcheck.toml", mount.join("wellcheck.toml")).expect("a link");
        symlink("..data/conf.d", mount.join("conf.d")).expect("a link");
        builder.arg("--config").arg("mount/wellcheck.toml").start()
    };
    until_names(&host, &["a", "b"]);
    host.until_state("a", "pass");
    let began = since(&host, "a");
    symlink("..2", dir.join("mount/..new")).expect("a link");
    std::fs::rename(dir.join("mount/..new"), dir.join("mount/..data")).expect("a rename");
    // No half of it is ever seen.
    until("the new folder is used", || {
        let names = host.names();
        assert!(names == ["a", "b"] || names == ["a", "c", "d"], "{names:?}");
        if names.len() == 3 { Ok(()) } else { Err(format!("{names:?}")) }
    });
    assert_eq!(since(&host, "a"), began);
}
