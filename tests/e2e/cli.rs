//! The commands other than `serve`, as scripts and people use them.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::guests::{example_path, guest, guest_path};
use crate::support::host::{host, write};
use crate::support::program::{Ended, command, finish, run, run_in};
use crate::support::redact::{self, check_snapshot};
use crate::support::target;

fn echo() -> String {
    guest_path("echo").to_string_lossy().into_owned()
}

#[track_caller]
fn run_echo(settings: &str) -> Ended {
    run(&["run", &echo(), "--settings", settings])
}

#[test]
fn run_answers_as_monitoring_plugins_do() {
    let cases = [
        (r#"{"status": "pass", "message": "fine"}"#, 0, "pass: fine ["),
        (r#"{"status": "warn", "message": "hm"}"#, 1, "warn: hm ["),
        (r#"{"status": "fail", "message": "down"}"#, 2, "fail (plugin): down ["),
        (r#"{"fault": "inconclusive", "message": "?"}"#, 3, "unknown (inconclusive): ? ["),
    ];
    for (settings, code, says) in cases {
        let ended = run_echo(settings).expect(code);
        assert!(ended.out.starts_with(says), "{}", ended.out);
    }
}

#[test]
fn run_takes_settings_from_a_flag_a_file_or_standard_input() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "settings.json", r#"{"status": "warn"}"#);
    run_in(dir.path(), &["run", &echo(), "--settings", "@settings.json"]).expect(1);
    let mut program = command();
    program.args(["run", &echo(), "--settings", "@-"]);
    finish(&mut program, r#"{"status": "fail"}"#).expect(2);
    run(&["run", &echo()]).expect(0);
}

#[test]
fn run_ends_with_3_where_it_cannot_tell() {
    let module = guest_path("core-module").to_string_lossy().into_owned();
    let wrong: &[(&[&str], &str)] = &[
        (&["run"], "required"),
        (&["run", &echo(), "--nonsense"], "unexpected argument"),
        (&["run", "/nowhere.wasm"], "cannot read `/nowhere.wasm`"),
        (&["run", &echo(), "--settings", "{"], "the settings are not JSON"),
        (&["run", &echo(), "--settings", "[1]"], "the settings are not a JSON object"),
        (&["run", &echo(), "--settings", "@/nowhere"], "cannot read the settings"),
        (&["run", &echo(), "--settings", r#"{"status": 7}"#], "the settings do not fit the plugin"),
        (&["run", &echo(), "--timeout", "5"], "expected a duration with a unit"),
        (&["run", &module], "core module"),
        (&["run", "no-such-check"], "there is no check `no-such-check`"),
    ];
    for (args, says) in wrong {
        let ended = run(args).expect(3);
        assert!(ended.err.contains(says), "{args:?}: `{says}`: {}", ended.err);
        assert_eq!(ended.out, "", "{args:?}");
    }
}

#[test]
fn run_keeps_to_its_timeout() {
    let sleep = guest_path("sleep").to_string_lossy().into_owned();
    let args = ["run", &sleep, "--settings", r#"{"ms": 60000}"#, "--timeout", "200ms"];
    let ended = run(&args).expect(3);
    assert!(ended.out.starts_with("unknown (timeout): wall time of "), "{}", ended.out);
}

#[test]
fn run_prints_everything_that_the_run_left() {
    let settings = r#"{"status": "warn", "message": "m", "observations": [{"name": "depth", "value": 1.5, "unit": "B", "labels": {"queue": "a"}}], "parts": [{"name": "p", "status": "fail", "message": "broken"}], "details": {"server": "x"}}"#;
    let text = run_echo(settings).expect(1).out;
    for line in ["  fail p: broken\n", "  depth{queue=a} = 1.5B\n", "  server: x\n"] {
        assert!(text.contains(line), "`{line}`: {text}");
    }
    let json = run(&["run", &echo(), "--settings", settings, "--json"]).expect(1).json();
    assert_eq!((&json["status"], &json["fault"]), (&json!("warn"), &json!(false)));
    assert_eq!(json["observations"][0]["labels"]["queue"], "a");
    assert_eq!(json["parts"][0]["status"], "fail");
    let print = guest_path("print").to_string_lossy().into_owned();
    let text = run(&["run", &print, "--settings", r#"{"text": "a line\n"}"#]).expect(0).out;
    assert!(text.contains("  | a line\n"), "{text}");
}

#[test]
fn run_runs_a_check_of_the_configuration() {
    let target = target::http().status(503).start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = format!(
        "[[check]]\nname = \"web\"\nkind = \"http\"\nurl = \"{}\"\n[[check]]\nname = \"echo\"\nplugin = \"echo\"\nsettings = {{ status = \"warn\" }}\n",
        target.url("/")
    );
    write(dir.path(), "wellcheck.toml", config);
    write(dir.path(), "plugins/echo.wasm", crate::support::guests::guest("echo"));
    let ended = run_in(dir.path(), &["run", "web"]).expect(2);
    assert!(ended.out.starts_with("fail (unexpected-status): answered 503"), "{}", ended.out);
    run_in(dir.path(), &["run", "echo"]).expect(1);
    let ended = run_in(dir.path(), &["run", "shop"]).expect(3);
    assert!(ended.err.contains("(checks: echo, web;"), "{}", ended.err);
    let ended = run_in(dir.path(), &["run", "web", "--settings", "{}"]).expect(3);
    assert!(ended.err.contains("go with a plugin file"), "{}", ended.err);
}

#[test]
fn run_keeps_compiled_code_where_the_configuration_says() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = "[plugins]\ncache = \"compiled\"\n[[check]]\nname = \"echo\"\nplugin = \"echo\"\n";
    write(dir.path(), "wellcheck.toml", config);
    write(dir.path(), "plugins/echo.wasm", crate::support::guests::guest("echo"));
    let mut program = command();
    program.current_dir(dir.path()).env_remove("WELLCHECK_CACHE").args(["run", "echo"]);
    finish(&mut program, "").expect(0);
    let files = std::fs::read_dir(dir.path().join("compiled")).expect("the folder is made");
    assert!(files.flatten().any(|f| f.file_name().to_string_lossy().ends_with(".code")));
}

#[test]
fn inspect_shows_what_each_check_wants_is_granted_and_uses() {
    let target = target::http().status(200).start();
    let dir = TempDir::new().expect("a folder");
    let config = format!(
        "[[check]]\nname = \"allowed\"\nplugin = \"http-get\"\nsettings = {{ url = \"{url}\" }}\n\
         [check.grants]\nhttp = \"{origin}\"\nenv = \"PATH\"\n\
         [[check]]\nname = \"denied\"\nplugin = \"http-get\"\nsettings = {{ url = \"{url}\" }}\n",
        url = target.url("/"),
        origin = target.url("")
    );
    write(dir.path(), "wellcheck.toml", config);
    write(dir.path(), "plugins/http-get.wasm", guest("http-get"));
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let args =
        ["plugin", "inspect", &path("plugins/http-get.wasm"), "--config", &path("wellcheck.toml")];
    let text = run(&args).expect(0).out;
    let origin = target.url("");
    for says in [
        "grants of check `allowed` (one run: pass: answered 200".to_owned(),
        format!("granted  http = \"{origin}\""),
        "granted  env = \"PATH\"".to_owned(),
        format!("used     http = \"GET {origin}\""),
        "used     env = \"PATH (offered)\"".to_owned(),
        "grants of check `denied` (one run: unknown: no grant for".to_owned(),
    ] {
        assert!(text.contains(&says), "`{says}`: {text}");
    }
    let json = run(&[&args[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(json["checks"][0]["used"][0]["value"], format!("GET {origin}"));
    assert_eq!(json["checks"][1]["used"][0]["denied"], true, "{json}");
}

#[test]
fn inspect_shows_what_a_plugin_says_of_itself_and_costs() {
    let text = run(&["plugin", "inspect", &echo()]).expect(0).out;
    for says in [
        "echo",
        "1.2.3",
        "answers what its settings say",
        "wellcheck:check 0.1",
        "blake3:",
        "sha256:",
        "not signed",
        "http://localhost/echo",
        "wanted  http = \"http://127.0.0.1:1\"",
        "not granted: to show what a want looks like",
        "imports:",
        "settings:",
    ] {
        assert!(text.contains(says), "`{says}`: {text}");
    }
    let json = run(&["plugin", "inspect", &echo(), "--json"]).expect(0).json();
    assert_eq!((&json["name"], &json["version"]), (&json!("echo"), &json!("1.2.3")));
    assert_eq!(json["contract"], "0.1");
    assert_eq!(json["wants"][0]["grant"], "http");
    assert_eq!(json["settings_schema"]["type"], "object");
    assert!(json["imports"].as_array().is_some_and(|list| !list.is_empty()));
    for cost in ["compile_ms", "load_ms", "run_ms", "memory"] {
        assert!(json["cost"][cost].is_number(), "{cost}: {json}");
    }
}

#[test]
fn inspect_says_why_a_file_is_no_plugin() {
    let cases = [
        ("core-module", "the file is a core module, not a component"),
        ("wrong-world", "exports no `wellcheck:check/checker`"),
        ("other-line", "0.2"),
    ];
    for (guest, says) in cases {
        let path = guest_path(guest).to_string_lossy().into_owned();
        let ended = run(&["plugin", "inspect", &path]).expect(65);
        assert!(ended.err.starts_with("error: "), "{}", ended.err);
        assert!(ended.err.contains(says), "`{says}`: {}", ended.err);
    }
    run(&["plugin", "inspect", "/nowhere.wasm"]).expect(65);
}

#[test]
fn status_shows_a_running_server_as_a_table() {
    let host = host()
        .config("[[check]]\nname = \"a-long-name\"\nplugin = \"echo\"\nsettings = { status = \"warn\", message = \"look here\" }\n")
        .guest("echo")
        .start();
    host.until_state("a-long-name", "warn");
    let url = format!("http://{}", host.address);
    let text = run(&["status", &url]).expect(0).out;
    check_snapshot("status", &redact::table(&text));
    let json = run(&["status", &url, "--json"]).expect(0).json();
    assert_eq!(json["checks"][0]["name"], "a-long-name");
    drop(host);
    let ended = run(&["status", &url]).expect(69);
    assert!(ended.err.starts_with(&format!("error: no answer from {url}")), "{}", ended.err);
}

#[test]
fn status_of_another_server_says_that_it_is_none() {
    let other = target::http().status(404).start();
    let ended = run(&["status", &other.url("/")]).expect(69);
    assert!(ended.err.contains("is this a wellcheck server?"), "{}", ended.err);
    let other = target::http().status(200).body("<html>").start();
    let ended = run(&["status", &other.url("/")]).expect(69);
    assert!(ended.err.contains("something else than a list of checks"), "{}", ended.err);
}

#[test]
fn a_mistyped_log_level_is_refused() {
    let ended = run(&["serve", "--log", "banana"]).expect(64);
    assert!(ended.err.contains("`banana` is no level"), "{}", ended.err);
}

#[test]
fn healthcheck_ends_with_0_or_1() {
    let healthcheck = |url: &str| run(&["healthcheck", "--url", url, "--timeout", "500ms"]);
    let (up, down) = (target::http().status(204).start(), target::http().status(503).start());
    assert_eq!(healthcheck(&up.url("/")).expect(0).out, "healthy: answered 204 No Content\n");
    let ended = healthcheck(&down.url("/")).expect(1);
    assert!(ended.err.starts_with("unhealthy: answered 503"), "{}", ended.err);
    let silent = target::http().silent().start();
    healthcheck(&silent.url("/")).expect(1);
    let gone = target::http().start();
    let url = gone.url("/");
    drop(gone);
    healthcheck(&url).expect(1);
    healthcheck("nonsense").expect(1);
    let hidden = healthcheck(&url.replace("://", "://probe:hunter2@")).expect(1).err;
    assert!(!hidden.contains("hunter2"), "{hidden}");
    run(&["healthcheck", "--nonsense"]).expect(1);
    let host = host().start();
    healthcheck(&format!("http://{}/readyz", host.address)).expect(0);
}

#[test]
fn kinds_are_listed_and_explained() {
    let text = run(&["kinds"]).expect(0).out;
    check_snapshot("kinds", &text);
    let text = run(&["kinds", "http"]).expect(0).out;
    check_snapshot("kinds_http", &text);
    let json = run(&["kinds", "--json"]).expect(0).json();
    assert_eq!(json[0]["name"], "http");
    let ended = run(&["kinds", "htpp"]).expect(64);
    assert!(ended.err.contains("did you mean `http`?"), "{}", ended.err);
}

#[test]
fn completions_and_the_manual_are_not_empty() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = run(&["completions", shell]).expect(0).out;
        assert!(text.contains("wellcheck") && text.contains("healthcheck"), "{shell}");
        assert!(text.len() > 1000, "{shell}");
    }
    let text = run(&["man"]).expect(0).out;
    assert!(text.contains(".TH wellcheck"), "{text}");
    for command in COMMANDS.iter().filter_map(|command| command.first()) {
        assert!(text.contains(command), "{command}");
    }
}

#[test]
fn a_new_token_lets_its_owner_in() {
    let ended = run(&["token", "deploy"]).expect(0);
    let token = ended.err.trim().strip_prefix("token (shown this once): ").expect("a token");
    assert!(!ended.out.contains(token), "only its hash goes into the configuration");
    let host = host().config(&ended.out).start();
    let bearer = format!("Bearer {token}");
    assert_eq!(host.ask("POST", "/-/reload", &[("Authorization", &bearer)]).code, 200);
    assert_ne!(run(&["token"]).expect(0).err, run(&["token"]).expect(0).err);
    let odd = run(&["token", "a \"quoted\"\nname", "--role", "view"]).expect(0);
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", &odd.out);
    run_in(dir.path(), &["validate"]).expect(0);
    run(&["token", "--role", "king"]).expect(64);
}

#[test]
fn validate_matches_settings_with_the_schemas_of_plugins() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = "[[check]]\nname = \"a\"\nplugin = \"json-number\"\nsettings = { url = \"x\", surplus = 1 }\n\
        [[check]]\nname = \"b\"\nplugin = \"absent\"\n";
    write(dir.path(), "wellcheck.toml", config);
    write(
        dir.path(),
        "plugins/json-number.wasm",
        std::fs::read(example_path("json-number")).expect("run `plugins/build`"),
    );
    let ended = run_in(dir.path(), &["validate"]).expect(65);
    for says in ["`pointer` is missing", "/url: ", "unknown key `surplus`", "there is no file"] {
        assert!(ended.err.contains(says), "`{says}`: {}", ended.err);
    }
    assert!(ended.err.contains("wellcheck.toml:5:1: warning: "), "{}", ended.err);
    let good = tempfile::tempdir().expect("a temporary folder");
    let dir = &good;
    write(
        dir.path(),
        "wellcheck.toml",
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"http://x\"\n",
    );
    let ended = run_in(dir.path(), &["validate"]).expect(0);
    assert!(ended.out.starts_with("valid: "), "{}", ended.out);
    let json = run_in(dir.path(), &["validate", "--json"]).expect(0).json();
    assert_eq!((&json["valid"], &json["problems"]), (&json!(true), &json!([])));
}

#[test]
fn validate_explains_every_key() {
    check_snapshot("explain", &run(&["validate", "--explain"]).expect(0).out);
}

/// Every command, for help and manual.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["run"],
    &["validate"],
    &["plugin"],
    &["plugin", "new"],
    &["plugin", "build"],
    &["plugin", "test"],
    &["plugin", "inspect"],
    &["plugin", "replay"],
    &["plugin", "bench"],
    &["plugin", "push"],
    &["plugin", "pull"],
    &["plugin", "lock"],
    &["schema"],
    &["push"],
    &["status"],
    &["check"],
    &["check", "run"],
    &["check", "pause"],
    &["check", "resume"],
    &["check", "records"],
    &["check", "record"],
    &["maintenance"],
    &["maintenance", "list"],
    &["maintenance", "start"],
    &["maintenance", "end"],
    &["healthcheck"],
    &["agent"],
    &["agent", "share"],
    &["agent", "share", "http-healthcheck"],
    &["kinds"],
    &["import"],
    &["token"],
    &["completions"],
    &["man"],
];

#[test]
fn the_help_of_every_command_is_as_it_was() {
    for args in COMMANDS {
        let name =
            if args.is_empty() { "help".to_owned() } else { format!("help_{}", args.join("_")) };
        let mut args = args.to_vec();
        args.push("--help");
        // Defaults that come from the environment are shown with it.
        let mut program = command();
        program.env_remove("WELLCHECK_CACHE").args(&args);
        check_snapshot(&name, &finish(&mut program, "").expect(0).out);
    }
}

#[test]
fn every_command_has_its_help_in_the_snapshots() {
    let help = run(&["--help"]).expect(0).out;
    let (_, rest) = help.split_once("Commands:\n").expect("a list of commands");
    let (list, _) = rest.split_once("\n\n").expect("and its end");
    for name in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let known = name == "help" || COMMANDS.iter().any(|command| command.first() == Some(&name));
        assert!(known, "`{name}` is missing in COMMANDS");
    }
}

#[test]
fn wrong_arguments_have_their_exit_code() {
    for args in
        [&["nonsense"][..], &["serve", "--nonsense"], &["validate", "x"], &["kinds", "a", "b"], &[]]
    {
        run(args).expect(64);
    }
    assert!(run(&["--version"]).expect(0).out.starts_with("wellcheck "));
}

#[test]
fn nothing_that_is_piped_has_escape_codes() {
    let dir = folder();
    let host = host().guest("minimal").start();
    host.until_state("minimal", "pass");
    let url = format!("http://{}", host.address);
    let commands: &[&[&str]] = &[
        &["--help"],
        &["run", "--help"],
        &["nonsense"],
        &["run", &echo()],
        &["plugin", "inspect", &echo()],
        &["status", &url],
        &["kinds", "http"],
        &["validate"],
        &["validate", "--explain"],
        &["man"],
    ];
    for args in commands {
        let ended = run_in(dir.path(), args);
        let all = ended.out + &ended.err;
        assert!(!all.contains('\u{1b}'), "{args:?}: {all:?}");
        assert!(!all.is_empty(), "{args:?}");
    }
    assert!(!host.log().contains('\u{1b}'), "{:?}", host.log());
}

#[test]
fn status_that_is_watched_through_a_pipe_has_no_escape_codes_either() {
    use std::io::{BufRead, BufReader};

    let host = host().guest("minimal").start();
    host.until_state("minimal", "pass");
    let mut program = command();
    program.args(["status", "--watch", &format!("http://{}", host.address)]);
    let mut child = program.stdout(std::process::Stdio::piped()).spawn().expect("started");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    // Two rounds of a headline, an empty line, the names of the columns and one check.
    let lines: Vec<String> = stdout.lines().take(9).map_while(Result::ok).collect();
    child.kill().expect("ours");
    child.wait().expect("ended");
    let text = lines.join("\n");
    assert!(text.matches("minimal").count() >= 2, "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn output_that_nobody_reads_to_the_end_is_no_error() {
    let mut program = command();
    program.args(["validate", "--explain"]).stdout(std::process::Stdio::piped());
    let mut child = program.stderr(std::process::Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", "[[check]]\nname = \"a\"\nkind = \"nonsense\"\n");
    dir
}

#[test]
fn every_file_of_the_configuration_counts_from_the_folder_that_it_stands_in() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = "[[check]]\nname = \"a\"\nplugin = \"echo\"\nsettings = { message = \"${file:note.txt}\" }\n";
    write(dir.path(), "etc/wellcheck.toml", config);
    write(dir.path(), "etc/note.txt", "found");
    write(dir.path(), "etc/plugins/echo.wasm", crate::support::guests::guest("echo"));
    let path = dir.path().join("etc/wellcheck.toml").to_string_lossy().into_owned();
    let json = run_in(Path::new("/"), &["run", "a", "--config", &path, "--json"]).expect(0).json();
    assert_eq!(json["message"], Value::from("[redacted]"), "it was read, and is a secret");
}
