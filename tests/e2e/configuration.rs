//! The configuration: mistakes, reloads, secrets, tokens.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::host::{Host, host, write};
use crate::support::http::{self, Answer};
use crate::support::program::{Ended, command, run, run_in};
use crate::support::target;
use crate::support::wait::until;

const MISTAKES: &str = r#"[server]
listen = "here"
[defaults]
intervall = "1s"
[[check]]
name = "Shop"
kind = "htttp"
[[check]]
name = "api"
kind = "http"
url = "ftp://api"
timeout = "5 parsecs"
"#;

/// Where each of them stands, and what it says.
const FOUND: &[(&str, &str)] = &[
    ("wellcheck.toml:2:10: error: ", "`here` is no address with a port"),
    ("wellcheck.toml:4:1: error: ", "did you mean `interval`?"),
    ("wellcheck.toml:6:8: error: ", "`Shop` is not a name"),
    ("wellcheck.toml:7:8: error: ", "unknown kind `htttp` in check `Shop` (known kinds: "),
    ("wellcheck.toml:11:7: error: ", "`ftp://api` has the scheme `ftp`"),
    ("wellcheck.toml:12:11: error: ", "`timeout` of check `api` is \"5 parsecs\""),
];

fn folder(config: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", config);
    dir
}

#[track_caller]
fn check_problems(ended: &Ended) {
    assert_eq!(ended.code, 65, "{}", ended.err);
    for (place, says) in FOUND {
        let line = ended.err.lines().find(|line| line.starts_with(place));
        assert!(line.is_some_and(|line| line.contains(says)), "`{place}`: {}", ended.err);
    }
    assert_eq!(ended.err.matches(": error: ").count(), FOUND.len(), "{}", ended.err);
}

#[test]
fn mistakes_are_all_reported_at_once_with_their_places() {
    let dir = folder(MISTAKES);
    check_problems(&run_in(dir.path(), &["validate"]));
    check_problems(&run_in(dir.path(), &["serve", "--listen", "127.0.0.1:0"]));
    let json = run_in(dir.path(), &["validate", "--json"]).expect(65).json();
    assert_eq!(json["valid"], false);
    assert_eq!(
        (&json["problems"][0]["line"], &json["problems"][0]["column"]),
        (&json!(2), &json!(10))
    );
}

#[test]
fn five_mistakes_are_five_problems() {
    let dir = folder(
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"no\"\nredirects = 99\nbody-limit = \"1\"\nexpect-status = 7\nhttp-version = \"3\"\n",
    );
    let ended = run_in(dir.path(), &["serve", "--listen", "127.0.0.1:0"]).expect(65);
    let places: Vec<&str> = ended
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("wellcheck.toml:"))
        .filter_map(|line| line.split_once(": error: "))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places, ["4:7", "5:13", "6:14", "7:17", "8:16"], "{}", ended.err);
    assert!(ended.err.contains("the configuration cannot be used (5 problems)"), "{}", ended.err);
    assert_eq!(ended.out, "", "it did not start to listen");
}

#[test]
fn an_unknown_kind_is_answered_with_the_known_ones() {
    let dir = folder("[[check]]\nname = \"shop\"\nkind = \"htttp\"\nurl = \"http://x\"\n");
    let ended = run_in(dir.path(), &["validate"]).expect(65);
    assert!(ended.err.contains("did you mean `http`?"), "{}", ended.err);
}

#[test]
fn a_configuration_that_is_named_must_be_there() {
    let ended = run(&["serve", "--config", "/nowhere/wellcheck.toml"]).expect(65);
    assert_eq!(ended.err, "error: there is no configuration file `/nowhere/wellcheck.toml`\n");
}

fn up() -> target::Target {
    target::http().status(200).start()
}

fn check(name: &str, target: &target::Target) -> String {
    format!("[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\n", target.url("/"))
}

#[test]
fn a_refused_reload_leaves_the_old_configuration_running_and_every_place_says_so() {
    let target = up();
    let host = host().config(&check("a", &target)).start();
    host.until_state("a", "pass");
    host.configure(&(check("b", &target) + "intervall = \"1s\"\n"));
    let notes = host.until_noted("the configuration on disk has 1 problem and is not used");
    assert!(notes.contains("the one before it runs"), "{notes}");
    assert_eq!(host.names(), ["a"]);
    assert_eq!(host.get("/health").code, 200);
    let ready = host.get("/readyz?verbose");
    assert_eq!(ready.code, 200, "what runs is ready");
    assert!(
        ready.body.contains("warn: the configuration on disk was refused at "),
        "{}",
        ready.body
    );
    let status = host.json("/api/v1/status")["configuration"].clone();
    assert_eq!(status["applied"], false);
    let problem = &status["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&json!(5), &json!(1)));
    assert!(problem["message"].as_str().is_some_and(|m| m.contains("did you mean `interval`?")));
    host.until_logged("configuration refused; the one before it goes on");

    host.configure(&check("b", &target));
    host.until_state("b", "pass");
    assert_eq!(host.names(), ["b"]);
    assert_eq!(host.notes(), "");
    assert!(!host.get("/readyz?verbose").body.contains("warn:"));
    assert_eq!(host.json("/api/v1/status")["configuration"]["applied"], true);
}

#[test]
fn plugins_come_and_go_while_the_configuration_on_disk_is_refused() {
    let host = host().config("").guest("echo").start();
    host.until_state("echo", "pass");
    host.configure("nonsense");
    host.until_noted("is not used");
    host.write("plugins/minimal.wasm", crate::support::guests::guest("minimal"));
    host.until_state("minimal", "pass");
    host.remove("plugins/echo.wasm");
    until("echo is gone", || {
        let names = host.names();
        if names == ["minimal"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

#[test]
fn settings_that_do_not_fit_the_running_plugin_refuse_the_configuration() {
    let good = "[[check]]\nname = \"a\"\nplugin = \"echo\"\nsettings = { status = \"pass\" }\n";
    let host = host().config(good).guest("echo").start();
    host.until_state("a", "pass");
    host.configure(&good.replace("\"pass\"", "\"perfect\""));
    host.until_noted("is not used");
    assert_eq!(host.check("a")["state"], "pass");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    assert!(problems.contains("do not fit plugin `echo`"), "{problems}");
}

#[test]
fn a_check_that_never_fitted_does_not_hold_up_other_changes() {
    let misfit =
        "[[check]]\nname = \"a\"\nplugin = \"echo\"\nsettings = { status = \"perfect\" }\n";
    let host = host().config(misfit).guest("echo").start();
    let why = host.until("a", "bad settings", |check| check["reason"] == "bad-settings");
    assert_eq!(why["state"], "unknown");
    host.until_logged("the settings do not fit plugin `echo`");
    let target = up();
    host.configure(&(misfit.to_owned() + &check("b", &target)));
    host.until_state("b", "pass");
    let status = host.json("/api/v1/status")["configuration"].clone();
    assert_eq!(status["applied"], true);
    assert_eq!(status["problems"][0]["severity"], "warning");
}

#[test]
fn what_takes_a_restart_is_said() {
    let target = up();
    let host = host().config(&check("a", &target)).start();
    host.configure(&("[server]\nlisten = \"127.0.0.1:1\"\n".to_owned() + &check("b", &target)));
    host.until_state("b", "pass");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    assert!(problems.contains("takes a restart"), "{problems}");
}

#[test]
fn conf_d_is_read_without_a_main_file_too() {
    let target = up();
    let host = host().file("conf.d/a.toml", check("a", &target)).start();
    host.until_state("a", "pass");
}

#[test]
fn a_plugin_that_nobody_configured_counts_once_it_has_answered() {
    let target = up();
    let host = host().config(&check("a", &target)).guest("trap").start();
    host.until_state("a", "pass");
    host.until("trap", "a trap", |check| check["reason"] == "trap");
    host.until_logged("check=trap");
    let health = host.get("/health");
    assert_eq!(health.code, 200, "{}", health.body);
    let text = host.get("/health?format=text").body;
    assert!(text.contains("1 plugin that nobody configured has not answered yet"), "{text}");
}

#[test]
fn sighup_reads_the_configuration_again() {
    let target = up();
    let host = host().config(&check("a", &target)).start();
    host.until_state("a", "pass");
    host.configure(&check("b", &target));
    host.signal(Signal::HUP);
    host.until_logged("SIGHUP: reading the configuration again");
    host.until_state("b", "pass");
}

#[test]
fn a_changed_ca_file_is_read_again_on_sighup() {
    use crate::support::certificates::Authority;
    use crate::support::nginx::Nginx;

    let (right, wrong) = (Authority::new(), Authority::new());
    let nginx = Nginx::start_tls(&right.good(), "location / { return 200; }");
    let config = format!(
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"{}\"\ntls-ca = \"ca.pem\"\ninterval = \"100ms\"\n",
        nginx.https("/")
    );
    let host = host().config(&config).file("ca.pem", wrong.pem()).start();
    host.until_state("a", "fail");
    host.replace("ca.pem", right.pem());
    host.signal(Signal::HUP);
    host.until_state("a", "pass");
}

/// Three tokens; `view`, `operate` and `admin` name themselves.
pub(crate) fn tokens() -> String {
    use aws_lc_rs::digest::{SHA256, digest};

    let token = |role: &str| {
        let hash = digest(&SHA256, format!("token-of-{role}").as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[token]]\nname = \"{role}\"\nhash = \"sha256:{hash}\"\nrole = \"{role}\"\n")
    };
    ["view", "operate", "admin"].map(token).concat()
}

#[track_caller]
fn reload(host: &Host, authorization: Option<&str>) -> (u16, Answer) {
    let headers: Vec<(&str, &str)> =
        authorization.map(|a| ("Authorization", a)).into_iter().collect();
    let answer = host.ask("POST", "/-/reload", &headers);
    (answer.code, answer)
}

fn code(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}

#[test]
fn reload_over_http_needs_a_token_with_the_role_admin() {
    let host = host().config(&tokens()).start();
    let (status, answer) = reload(&host, None);
    assert_eq!((status, code(&answer)), (401, json!("no-token")));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    for wrong in ["Bearer nonsense", "Bearer ", "Basic dG9rZW4tb2YtYWRtaW4=", "token-of-admin"] {
        assert_eq!(reload(&host, Some(wrong)).0, 401, "{wrong}");
    }
    for small in ["view", "operate"] {
        let (status, answer) = reload(&host, Some(&format!("Bearer token-of-{small}")));
        assert_eq!((status, code(&answer)), (403, json!("role")));
        assert!(answer.body.contains("expected `admin`"), "{}", answer.body);
    }
    let (status, answer) = reload(&host, Some("Bearer token-of-admin"));
    assert_eq!((status, answer.json()), (200, json!({ "applied": true, "problems": [] })));
    assert_eq!(reload(&host, Some("bearer token-of-admin")).0, 200);
    assert!(!host.log().contains("token-of"), "{}", host.log());
}

#[test]
fn without_any_token_nothing_can_be_changed_over_http() {
    let host = host().start();
    for authorization in [None, Some("Bearer anything")] {
        let (status, answer) = reload(&host, authorization);
        assert_eq!((status, code(&answer)), (403, json!("no-token-configured")));
    }
}

#[test]
fn reload_over_http_answers_when_it_is_done() {
    let target = up();
    let host = host().config(&tokens()).start();
    let admin = Some("Bearer token-of-admin");
    host.configure(&(tokens() + &check("a", &target)));
    let (status, answer) = reload(&host, admin);
    assert_eq!(status, 200, "{answer:?}");
    host.until("a", "listed", |check| !check.is_null());
    host.configure(&(tokens() + "[[check]]\nname = \"b\"\n"));
    let (status, answer) = reload(&host, admin);
    assert_eq!((status, &answer.json()["applied"]), (422, &json!(false)));
    assert!(answer.body.contains("has neither `kind` nor `plugin`"), "{}", answer.body);
    assert_eq!(host.names(), ["a"]);
    host.configure(&check("a", &target));
    assert_eq!(reload(&host, admin).0, 200, "a new set of tokens, asked for with the old one");
    assert_eq!(reload(&host, admin).0, 403, "and now there is none");
}

#[test]
fn conf_d_adds_checks_and_tokens_only() {
    let target = up();
    let host = host()
        .config(&check("main", &target))
        .file("conf.d/10-b.toml", check("b", &target))
        .file("conf.d/.20-hidden.toml", "nonsense")
        .file("conf.d/30-readme.txt", "nonsense")
        .start();
    host.until_state("b", "pass");
    assert_eq!(host.names(), ["b", "main"]);
    host.write("conf.d/20-c.toml", check("c", &target));
    host.until_state("c", "pass");
    host.write("conf.d/20-c.toml", "[defaults]\ninterval = \"1s\"\n");
    host.until_noted("is not used");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    assert!(problems.contains("it belongs into `wellcheck.toml`"), "{problems}");
    host.remove("conf.d/20-c.toml");
    until("c is gone", || {
        let names = host.names();
        if names == ["b", "main"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
}

#[test]
fn a_check_that_is_not_enabled_does_not_exist() {
    let target = up();
    let config = check("on", &target) + &check("off", &target) + "enabled = false\n";
    let host = host().config(&config).start();
    host.until_state("on", "pass");
    assert_eq!(host.names(), ["on"]);
    host.configure(&config.replace("enabled = false", "enabled = true"));
    host.until_state("off", "pass");
}

#[test]
fn a_disabled_check_of_a_plugin_keeps_the_plugin_from_being_one_by_itself() {
    let config = "[[check]]\nname = \"x\"\nplugin = \"minimal\"\nenabled = false\n";
    let host = host().config(config).guest("minimal").guest("echo").start();
    host.until_state("echo", "pass");
    assert_eq!(host.names(), ["echo"]);
}

#[test]
fn a_secret_that_is_not_there_is_a_problem_with_its_place() {
    let dir = folder(
        "[[check]]\nname = \"a\"\nkind = \"http\"\nurl = \"http://x/\"\nbody = \"${NOT_SET_ANYWHERE}\"\nheaders = { A = \"${file:absent.txt}\", B = \"${oh no}\", C = \"$${literal}\", D = \"${open\" }\n",
    );
    let ended = run_in(dir.path(), &["validate"]).expect(65);
    for says in [
        ":5:8: error: the environment variable `NOT_SET_ANYWHERE` is not set",
        "cannot read `absent.txt`",
        "names neither an environment variable nor a file",
        "`${` without `}`",
    ] {
        assert!(ended.err.contains(says), "`{says}`: {}", ended.err);
    }
    assert!(!ended.err.contains("literal`"), "{}", ended.err);
}

#[test]
fn a_port_in_use_is_a_clear_line_and_exit_69() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = taken.local_addr().expect("it is bound").to_string();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ended = run_in(dir.path(), &["serve", "--listen", &address]).expect(69);
    assert_eq!(ended.out, "");
    let line = ended.err.lines().last().unwrap_or_default();
    assert!(line.starts_with(&format!("error: cannot listen on {address}")), "{}", ended.err);
    assert!(line.contains("in use") && line.contains("`--listen`"), "{}", ended.err);
}

#[test]
fn the_configuration_says_where_plugins_and_the_listener_are() {
    let host = host()
        .config("[plugins]\ndir = \"dropped\"\ncache = \"compiled\"\n")
        .file("dropped/minimal.wasm", crate::support::guests::guest("minimal"))
        .start();
    host.until_state("minimal", "pass");
    let dir = folder("[server]\nlisten = \"127.0.0.1:0\"\n");
    let mut program = command();
    program.current_dir(dir.path()).arg("serve").stdout(std::process::Stdio::piped());
    let mut child = program.stderr(std::process::Stdio::null()).spawn().expect("started");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    let read = std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line);
    let address = line.trim().strip_prefix("listening on http://").and_then(|a| a.parse().ok());
    let answer = address.map(|address| http::request(address, "GET", "/livez", &[], ""));
    child.kill().expect("ours");
    child.wait().expect("ended");
    read.expect("a line");
    assert_eq!(answer.expect("an address").expect("an answer").code, 200);
}

#[test]
fn a_plugins_folder_that_cannot_be_made_is_named_and_not_the_end() {
    let host = host().file("plugins", "a file").config("").start();
    let notes = host.until_noted("the plugins folder");
    assert!(notes.contains("cannot be read"), "{notes}");
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn log_lines_may_be_json() {
    let host = host().guest("minimal").arg("--log-format").arg("json").start();
    host.until_state("minimal", "pass");
    let log = host.until_logged("\"to\":\"pass\"");
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["timestamp"].is_string() && value["level"].is_string(), "{line}");
    }
}
