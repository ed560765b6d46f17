//! A new version of a plugin that wants more than is granted does not replace the one that runs.

use serde_json::Value;

use crate::support::guests::guest as bytes;
use crate::support::host::{Host, host};
use crate::support::wait::until;

/// What both versions want.
const MODEST: &str = "http = \"https://api.example.com\"\n";

/// What the second one wants besides, and how that is shown.
const MORE: &[(&str, &str)] = &[
    (
        "sockets = \"tcp://db.internal:5432\"\n",
        "check `x` does not grant `sockets = \"tcp://db.internal:5432\"` (to ask the database)",
    ),
    (
        "secrets = \"db-password\"\n",
        "check `x` does not grant `secrets = \"db-password\"` (to log in there)",
    ),
    (
        "dirs = { host = \"/tmp\", guest = \"/var/spool\" }\n",
        "check `x` does not grant `dirs = \"/var/spool\"` (to look around)",
    ),
    ("state = \"64KiB\"\n", "check `x` does not grant `state = \"64KiB\"` (to remember it all)"),
];

fn config(grants: &str) -> String {
    format!(
        "[[check]]\nname = \"x\"\nplugin = \"x\"\ninterval = \"100ms\"\n[check.grants]\n{grants}\n\
         [secrets]\ndb-password = \"canary-77aa\"\n"
    )
}

/// The plugin as the API shows it, once it is blocked.
#[track_caller]
fn blocked(host: &Host, waits_for: &[&str]) -> Value {
    until(&format!("blocked for {waits_for:?}"), || {
        let plugin = host.json("/api/v1/status")["plugins"][0].clone();
        let blocked: Vec<&str> =
            plugin["blocked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if plugin["newest"] == "blocked" && blocked == waits_for {
            Ok(plugin.clone())
        } else {
            Err(plugin.to_string())
        }
    })
}

#[test]
fn a_version_that_wants_more_than_is_granted_waits_until_that_is_granted() {
    let host = host().config(&config(MODEST)).plugin("x", &bytes("wants-little")).start();
    host.until_version("x", "1.0.0");
    host.replace("plugins/x.wasm", bytes("wants-more"));
    let all: Vec<&str> = MORE.iter().map(|(_, shown)| *shown).collect();
    let plugin = blocked(&host, &all);
    assert_eq!(plugin["running"]["version"], "1.0.0", "{plugin}");
    assert_eq!(plugin["problem"], Value::Null, "nothing is broken: {plugin}");
    let notes = host.notes();
    for shown in &all {
        assert!(notes.contains(shown), "`{shown}`: {notes}");
    }
    host.until_logged("waits for grants; the running one goes on");
    let check = host.next_run("x");
    assert_eq!(check["plugin"]["version"], "1.0.0", "{check}");
    assert_eq!(check["state"], "pass");
    assert_eq!(host.get("/health").code, 200);

    // Grant after grant; the file is not touched again.
    let mut grants = MODEST.to_owned();
    for granted in 0..MORE.len() {
        blocked(&host, &all[granted..]);
        assert_eq!(host.next_run("x")["plugin"]["version"], "1.0.0");
        grants.push_str(MORE[granted].0);
        host.configure(&config(&grants));
    }
    let check = host.until_version("x", "2.0.0");
    assert_eq!(check["state"], "pass", "{check}");
    let plugin = host.json("/api/v1/status")["plugins"][0].clone();
    assert_eq!(plugin["newest"], "running", "{plugin}");
    assert_eq!(plugin["running"]["version"], "2.0.0", "{plugin}");
    assert_eq!(host.notes(), "");
    assert!(!host.log().contains("canary-77aa"));
}

#[test]
fn it_waits_for_every_check_that_uses_it() {
    let all: String = MORE.iter().map(|(grant, _)| *grant).collect();
    let two = format!(
        "{}[[check]]\nname = \"y\"\nplugin = \"x\"\ninterval = \"100ms\"\n[check.grants]\n{MODEST}",
        config(&format!("{MODEST}{all}"))
    );
    let host = host().config(&two).plugin("x", &bytes("wants-little")).start();
    host.until_version("x", "1.0.0");
    host.until_version("y", "1.0.0");
    host.replace("plugins/x.wasm", bytes("wants-more"));
    let waits_for: Vec<String> =
        MORE.iter().map(|(_, shown)| shown.replace("check `x`", "check `y`")).collect();
    blocked(&host, &waits_for.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(host.next_run("x")["plugin"]["version"], "1.0.0");
    host.configure(&config(&format!("{MODEST}{all}")));
    host.until_version("x", "2.0.0");
}

#[test]
fn the_older_file_in_its_place_ends_the_waiting() {
    let host = host().config(&config(MODEST)).plugin("x", &bytes("wants-little")).start();
    host.until_version("x", "1.0.0");
    host.replace("plugins/x.wasm", bytes("wants-more"));
    host.until_noted("does not grant");
    host.replace("plugins/x.wasm", bytes("wants-little"));
    until("nothing waits", || match host.notes() {
        notes if notes.is_empty() => Ok(()),
        notes => Err(notes),
    });
    assert_eq!(host.next_run("x")["plugin"]["version"], "1.0.0");
}

#[test]
fn the_first_version_runs_whatever_it_wants_and_its_wants_grant_nothing() {
    let host = host().config(&config(MODEST)).plugin("x", &bytes("wants-more")).start();
    let check = host.until_version("x", "2.0.0");
    assert_eq!(check["state"], "pass");
    let wanted = check["grants"]["wanted"].as_array().expect("a list");
    let granted: Vec<bool> = wanted.iter().filter_map(|want| want["granted"].as_bool()).collect();
    assert_eq!(granted, [true, false, false, false, false], "{check}");
    assert_eq!(check["grants"]["granted"].as_array().map(Vec::len), Some(1), "{check}");
}
