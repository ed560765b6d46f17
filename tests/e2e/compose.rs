//! Composition: a middleware put around a plugin by `wac plug` makes a plugin that loads and runs.

use std::path::PathBuf;
use std::process::Command;

use crate::support::guests::{example_path, root};
use crate::support::host::host;
use crate::support::program::{Ended, run};
use crate::support::target::{self, Target};

/// `retry` around `json-number`.
fn composed(dir: &tempfile::TempDir) -> PathBuf {
    let wac = Command::new(root().join("plugins/toolchains")).args(["--path", "wac"]).output();
    let wac = String::from_utf8(wac.expect("the script runs").stdout).expect("a path");
    let out = dir.path().join("patient-number.wasm");
    let done = Command::new(wac.trim())
        .arg("plug")
        .arg(root().join("plugins/retry/retry.wasm"))
        .arg("--plug")
        .arg(example_path("json-number"))
        .arg("-o")
        .arg(&out)
        .output()
        .expect("wac is installed by `plugins/toolchains wac`");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

fn look(plugin: &std::path::Path, target: &Target, grant: &str) -> Ended {
    let settings = format!("{{\"url\": \"{}\", \"pointer\": \"/n\"}}", target.url("/"));
    run(&[
        "run",
        &plugin.display().to_string(),
        "--settings",
        &settings,
        "--grant",
        &format!("http={grant}"),
        "--json",
    ])
}

fn attempts(ended: &Ended) -> Option<f64> {
    let run = ended.json();
    let list = run["observations"].as_array()?;
    list.iter().find(|o| o["name"] == "attempts")?["value"].as_f64()
}

#[test]
fn a_middleware_asks_the_plugin_within_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plugin = composed(&dir);
    let target = target::http().status(503).times(2).status(200).body("{\"n\": 5}").start();
    let patient = look(&plugin, &target, &target.url("")).expect(0);
    assert_eq!(attempts(&patient), Some(3.0), "{}", patient.out);
    assert_eq!(target.count(), 3);

    let down = target::http().status(503).start();
    let patient = look(&plugin, &down, &down.url("")).expect(2);
    assert_eq!((attempts(&patient), down.count()), (Some(3.0), 3));
}

#[test]
fn the_whole_is_within_one_grant_and_says_what_both_want() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plugin = composed(&dir);
    let target = target::http().status(200).body("{\"n\": 5}").start();
    let denied = look(&plugin, &target, "http://127.0.0.1:1").expect(3);
    assert_eq!(denied.json()["reason"], "denied", "{}", denied.out);
    assert_eq!(target.count(), 0);

    let inspected = run(&["plugin", "inspect", &plugin.display().to_string(), "--json"]).expect(0);
    let about = inspected.json();
    assert_eq!(about["name"], "retry-json-number");
    assert_eq!(about["wants"][0]["grant"], "http");
    assert!(about["settings_schema"]["properties"]["pointer"].is_object(), "{about}");
}

#[test]
fn it_is_dropped_into_the_folder_like_any_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plugin = std::fs::read(composed(&dir)).expect("a component");
    let target = target::http().status(200).body("{\"n\": 5}").start();
    let config = format!(
        "[[check]]\nname = \"queue\"\nplugin = \"patient\"\nsettings = {{ url = \"{0}\", pointer = \"/n\" }}\n[check.grants]\nhttp = [\"{0}\"]\n",
        target.url("")
    );
    let host = host().config(&config).plugin("patient", &plugin).start();
    host.until_ready();
    assert_eq!(host.until_run("queue")["state"], "pass");
}

#[test]
fn a_half_by_itself_is_refused_by_what_it_lacks() {
    let half = root().join("plugins/retry/retry.wasm");
    let ended = run(&["run", &half.display().to_string()]).expect(3);
    assert!(ended.err.contains("imports `wellcheck:check/checker@0.1"), "{}", ended.err);
}
