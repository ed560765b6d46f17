//! The kind `file`: what is there, what is not, and what must not be opened.

use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::checks::{expect, observation};
use crate::support::host::host;

fn file(name: &str, path: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{path}\"\ninterval = \"1h\"\ntimeout = \"20s\"\n{keys}\n"
    )
}

/// Makes a file as old as this.
fn age(host: &std::path::Path, path: &str, seconds: u64) {
    let file = std::fs::File::options().write(true).open(host.join(path)).expect("it is there");
    #[expect(clippy::disallowed_methods, reason = "files are as old as the wall clock says")]
    let then = SystemTime::now() - Duration::from_secs(seconds);
    file.set_modified(then).expect("its time can be set");
}

#[test]
fn age_size_number_and_room_are_observed() {
    let config = [
        file("dump", "data/db.dump", ""),
        file("folder", "data", ""),
        file("pattern", "data/*.lo?", ""),
        file("nothing-like-it", "data/*.zip", "exists = false"),
        file("lock", "data/lock", "exists = false"),
    ];
    let builder = host()
        .config(&config.concat())
        .file("data/db.dump", "x".repeat(5000))
        .file("data/a.log", "12345")
        .file("data/b.log", "123")
        .file("data/below/c.log", "1");
    age(builder.path(), "data/db.dump", 7200);
    age(builder.path(), "data/a.log", 3600);
    age(builder.path(), "data/b.log", 60);
    let host = builder.start();
    let near = |check: &Value, name: &str, expected: f64| {
        let found = observation(check, name).unwrap_or(f64::NAN);
        assert!((found - expected).abs() < 30.0, "{name} is {found}: {check}");
    };
    let dump = expect(&host, "dump", "pass", Value::Null, "4.9 KiB, 2h");
    assert_eq!(
        (observation(&dump, "size"), dump["target"].as_str()),
        (Some(5000.0), Some("data/db.dump"))
    );
    near(&dump, "age", 7200.0);
    assert_eq!(observation(&dump, "files"), None);
    for (name, least) in [("free", 1.0), ("free-percent", 0.001)] {
        assert!(observation(&dump, name).is_some_and(|free| free > least), "{name}: {dump}");
    }
    let folder = expect(&host, "folder", "pass", Value::Null, "3 files of 4.9 KiB, the newest ");
    assert_eq!(
        (observation(&folder, "files"), observation(&folder, "size")),
        (Some(3.0), Some(5008.0))
    );
    near(&folder, "age", 60.0);
    near(&folder, "oldest", 7200.0);
    let pattern = expect(&host, "pattern", "pass", Value::Null, "2 files of 8 B");
    near(&pattern, "oldest", 3600.0);
    expect(&host, "nothing-like-it", "pass", Value::Null, "there is no");
    expect(&host, "lock", "pass", Value::Null, "there is no `data/lock`");
}

#[test]
fn conditions_judge_numbers_and_texts() {
    let config = [
        file("small", "data/a.log", "fail = \"size < 10B\""),
        file("old", "data/a.log", "warn = [\"free < 1B\", \"age > 1h\"]"),
        file(
            "folder",
            "data",
            "fail = [\"files != 1\", \"oldest < 1h\", \"free-percent < 0\", \"type != 'folder'\", \"size > 1KiB\"]",
        ),
        file("mode", "data/a.log", "fail = \"mode.startsWith('0')\""),
    ];
    let builder = host().config(&config.concat()).file("data/a.log", "12345");
    age(builder.path(), "data/a.log", 7200);
    let host = builder.start();
    let says = "unexpected-value".into();
    expect(&host, "small", "fail", says, "size is 5 B (fails when `size < 10B`)");
    expect(&host, "old", "warn", "unexpected-value".into(), "(warns when `age > 1h`)");
    expect(&host, "folder", "pass", Value::Null, "1 file of 5 B");
    expect(&host, "mode", "fail", "unexpected-value".into(), "mode is \"0");
}

#[test]
fn what_is_not_there_or_not_as_it_should_be_fails() {
    let config = [
        file("absent", "nowhere/at-all", ""),
        file("below-a-file", "state/x", ""),
        file("no-match", "*.zip", ""),
        file("lock", "state", "exists = false"),
        file("content", "state", "expect = [\"rea\", \"dy\"]\nexpect-matches = '^re.dy$'"),
        file("text", "state", "expect = \"secret\""),
        file("regex", "state", "expect-matches = '^x'"),
        file("cut", "long", "expect = \"end\"\nread-limit = \"1KiB\""),
        file("of-folder", "plugins", "expect = \"a\""),
        file("loop", "circle", ""),
    ];
    let builder = host()
        .config(&config.concat())
        .file("state", "ready")
        .file("long", format!("{}end", "x".repeat(2000)));
    std::os::unix::fs::symlink("circle", builder.path().join("circle")).expect("a link");
    let host = builder.start();
    expect(&host, "absent", "fail", "absent".into(), "there is no `nowhere/at-all`");
    expect(&host, "below-a-file", "fail", "absent".into(), "there is no");
    expect(&host, "no-match", "fail", "absent".into(), "there is no `*.zip`");
    expect(&host, "lock", "fail", "unexpected-value".into(), "there is a `state`");
    expect(&host, "content", "pass", Value::Null, "5 B");
    expect(&host, "text", "fail", "unexpected-body".into(), "`state` does not contain `secret`");
    expect(&host, "regex", "fail", "unexpected-body".into(), "`state` does not match `^x`");
    expect(
        &host,
        "cut",
        "fail",
        "unexpected-body".into(),
        "the first 1 KiB of `long` does not contain",
    );
    expect(&host, "of-folder", "fail", "unexpected-body".into(), "no file that could be read");
    expect(&host, "loop", "fail", "unreachable".into(), "cannot look at `circle`");
}

#[test]
fn pipes_and_devices_are_not_opened() {
    let config = [
        file("pipe", "pipe", "expect = \"a\""),
        file("device", "/dev/zero", "expect = \"a\""),
        file("endless", "/proc/self/maps", "read-limit = \"100B\"\nexpect = \"-\""),
    ];
    let builder = host().config(&config.concat());
    let made = Command::new("mkfifo").arg(builder.path().join("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let host = builder.start();
    let pipe =
        expect(&host, "pipe", "fail", "unexpected-body".into(), "no file that could be read");
    assert!(pipe["duration_ms"].as_f64().is_some_and(|ms| ms < 5000.0), "{pipe}");
    expect(&host, "device", "fail", "unexpected-body".into(), "no file that could be read");
    expect(&host, "endless", "pass", Value::Null, "");
    assert_eq!(json!(host.names()), json!(["device", "endless", "pipe"]));
}
