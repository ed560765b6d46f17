//! What a sidecar cannot do to others: it is read as far as it is bounded, and holds its own check.

use super::*;
use crate::config::{
    MAX_SIDECAR, MAX_SIDECAR_CHECKS, MAX_SIDECAR_PROBLEMS, Problem, Severity, Unreadable,
};

fn checks(count: usize) -> String {
    (0..count).map(|number| format!("[[check]]\nname = \"c{number}\"\n")).collect()
}

/// The problems of a sidecar, which is held.
#[track_caller]
fn problems_of(main: &str, text: &str) -> Vec<Problem> {
    let (config, problems) = load(&sources(main, text), &Fake, &mut NoKinds);
    let config = config.expect("a sidecar's problems never refuse the configuration");
    let refused = find(&config, "side").refused.clone();
    assert_eq!(refused.as_deref(), Some("its sidecar `plugins/side.toml` has problems"));
    problems
}

#[test]
fn one_that_cannot_be_read_holds_its_own_check() {
    let plugin = |name: &str| PluginName::new(name).expect("a name");
    let unreadable = |name: &str| {
        let why = "it is not UTF-8 text".to_owned();
        (plugin(name), Err(Unreadable { name: format!("plugins/{name}.toml").into(), why }))
    };
    let mut sources = sources("[[check]]\nname = \"b\"\nplugin = \"side\"\n", "title = \"it\"\n");
    sources.sidecars.extend([unreadable("a"), unreadable("b")]);
    sources.plugins.extend([plugin("a"), plugin("b"), plugin("z")]);
    let (config, problems) = read(&sources);
    let config = config.expect("a sidecar's problems never refuse the configuration");
    let why = "its sidecar `plugins/a.toml` cannot be read: it is not UTF-8 text";
    assert_eq!(find(&config, "a").refused.as_deref(), Some(why));
    assert_eq!(find(&config, "a").origin, Origin::Sidecar);
    for name in ["b", "side", "z"] {
        assert_eq!(find(&config, name).refused, None, "{name}");
    }
    assert!(problems.contains("plugins/a.toml: error: cannot be read: it is not"), "{problems}");
    assert!(problems.contains("plugins/b.toml: error: cannot be read: it is not"), "{problems}");
    assert!(problems.contains("plugin `b` is no check by itself"), "{problems}");
}

#[test]
fn it_holds_few_checks() {
    let (config, problems) = read(&sources("", &checks(MAX_SIDECAR_CHECKS)));
    assert_eq!(problems, "");
    assert_eq!(config.expect("no problems").checks.len(), MAX_SIDECAR_CHECKS);
    let found = problems_of("", &checks(1_000));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].to_string(),
        "plugins/side.toml:33:1: error: this sidecar holds 1000 checks (expected at most 16; move the checks to `wellcheck.toml`)"
    );
    // Nothing keeps the names that it would have had.
    let mut both = sources("", &checks(17));
    let other = PluginName::new("z").expect("a name");
    both.sidecars.push((other.clone(), Ok(file("plugins/z.toml", &checks(2)))));
    both.plugins.push(other);
    let config = read(&both).0.expect("sidecars refuse nothing");
    assert_eq!(
        (find(&config, "c0").refused.as_ref(), find(&config, "c1").refused.as_ref()),
        (None, None)
    );
}

#[test]
fn its_runs_take_no_longer_and_come_no_more_often_than_those_of_others() {
    for (main, good) in [
        ("", "timeout = \"10s\"\ninterval = \"1s\"\n".replace("10s", "1s")),
        ("", "timeout = \"10s\"\n".to_owned()),
        ("", "interval = \"7d\"\n".to_owned()),
        ("[defaults]\ntimeout = \"20s\"\n", "timeout = \"20s\"\n".to_owned()),
        ("[defaults]\ninterval = \"100ms\"\n", "interval = \"100ms\"\n".to_owned()),
        ("[defaults]\ninterval = \"1m\"\n", "interval = \"1s\"\n".to_owned()),
    ] {
        let config = sidecar(main, &good).unwrap_or_else(|why| panic!("{good}: {why}"));
        assert!(find(&config, "side").timing.timeout.as_secs() <= 20);
    }
    for (main, bad, says) in [
        ("", "timeout = \"11s\"\n", "is 11s, more than the 10s of `[defaults]`"),
        ("", "interval = \"1d\"\ntimeout = \"24h\"\n", "is 1d, more than the 10s of `[defaults]`"),
        (
            "[defaults]\ntimeout = \"2s\"\n",
            "timeout = \"3s\"\n",
            "more than the 2s of `[defaults]`",
        ),
        (
            "",
            "interval = \"999ms\"\n",
            "`interval` of the check of plugin `side` is 999ms, less than 1s",
        ),
        ("[defaults]\ninterval = \"1m\"\n", "interval = \"50ms\"\n", "is 50ms, less than 1s"),
        ("[defaults]\ninterval = \"100ms\"\n", "interval = \"99ms\"\n", "is 99ms, less than 100ms"),
    ] {
        let problems = sidecar(main, bad).expect_err(bad);
        assert!(problems.contains(says), "`{says}`: {problems}");
        let configured = format!("{main}[[check]]\nname = \"a\"\nplugin = \"p\"\n{bad}");
        assert!(read(&sources(&configured, "")).0.is_some(), "{configured}");
    }
}

#[test]
fn its_problems_are_few_and_short() {
    let typos: String = (0..10_000).map(|number| format!("typo-{number:05} = 1\n")).collect();
    let found = problems_of("", &typos);
    assert_eq!(found.len(), MAX_SIDECAR_PROBLEMS + 1);
    let last = found.last().expect("some");
    assert_eq!((last.message.as_str(), last.place.line), ("… and 9980 more", 20));
    assert!(found.iter().all(|problem| problem.severity == Severity::Error), "{found:?}");
    for text in [
        "[\n".repeat(10_000),
        "[".repeat(MAX_SIDECAR),
        format!("{} = 1\n", "k".repeat(MAX_SIDECAR - 10)),
        format!("title = \"{}\"\n", "${A}".repeat(50_000)),
        format!("interval = \"{}\"\n", "\\u0007".repeat(40_000)),
        "[[check]]\n".repeat(5_000),
        "= 1\n".repeat(10_000),
    ] {
        let found = problems_of("", &text);
        let shown: usize = found.iter().map(|problem| problem.to_string().chars().count()).sum();
        assert!((1..=MAX_SIDECAR_PROBLEMS + 1).contains(&found.len()), "{}", found.len());
        assert!(shown <= 1_100 * found.len(), "{shown} characters");
    }
    // The configuration is told all of its own problems.
    let (config, problems) = read(&sources(&typos, ""));
    assert_eq!((config, problems.lines().count()), (None, 10_000));
}

#[test]
fn its_warnings_are_few_too() {
    let names: Vec<String> = (0..500).map(|number| format!("\"none-{number}\"")).collect();
    let text = format!("[grants]\nchecks = [{}]\n", names.join(", "));
    let main = "[plugins.sidecar-grants]\nchecks = \"*\"\n";
    let (config, problems) = read(&sources(main, &text));
    assert_eq!(find(&config.expect("warnings"), "side").refused, None);
    assert_eq!(problems.lines().count(), MAX_SIDECAR_PROBLEMS + 1, "{problems}");
    assert!(problems.contains("warning: … and 480 more\n"), "{problems}");
}

#[test]
fn a_long_line_has_its_columns() {
    let values = "é, ".repeat(1_000);
    let text =
        format!("tags = [\"{values}\"]\nsettings = {{ a = \"{values}\", interval = 1 }} x = 1\n");
    let found = problems_of("", &text);
    let column = "settings = { a = \"\", interval = 1 } ".len() + 3_000 + 1;
    assert_eq!((found[0].place.line, found[0].place.column as usize), (2, column), "{found:?}");
}
