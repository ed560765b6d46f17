//! What a plugin may reach: what its check's grants name, and nothing else.

use serde_json::Value;

use crate::support::guests::guest_path;
use crate::support::host::{Host, host};
use crate::support::program::run;
use crate::support::target::{self, Target};

#[track_caller]
fn start(settings: &str, grants: &str) -> Host {
    let config = format!(
        "[[check]]\nname = \"get\"\nplugin = \"http-get\"\ninterval = \"500ms\"\nsettings = {{ {settings} }}\n[check.grants]\nhttp = [{grants}]\n"
    );
    host().config(&config).guest("http-get").start()
}

#[track_caller]
fn check_denied(check: &Value, says: &str) {
    assert_eq!(check["state"], "unknown", "{check}");
    assert_eq!(check["reason"], "denied", "{check}");
    assert!(check["message"].as_str().is_some_and(|m| m.contains(says)), "`{says}`: {check}");
}

fn up() -> Target {
    target::http().status(200).body("hello").start()
}

#[test]
fn without_a_grant_a_request_is_denied_and_the_message_names_the_grant() {
    let target = up();
    let host = start(&format!("url = \"{}\"", target.url("/")), "");
    let check = host.until_run("get");
    check_denied(&check, &format!("this would allow it: `http = [\"{}\"]`", target.url("")));
    assert_eq!(target.count(), 0, "nothing arrived");
}

#[test]
fn the_grant_that_the_message_names_allows_it() {
    let target = up();
    let settings = format!("url = \"{}\"", target.url("/path?query"));
    let host = start(&settings, "");
    let message = host.until_run("get")["message"].as_str().expect("a message").to_owned();
    let grant = message.split_once("http = [").and_then(|(_, rest)| rest.split(']').next());
    let host = start(&settings, grant.expect("the message names it"));
    let check = host.until_state("get", "pass");
    assert_eq!(check["message"], "answered 200");
    assert_eq!(check["outcome"]["details"]["body"], "hello");
    assert!(target.requests()[0].starts_with("GET /path?query HTTP/1.1\r\n"));
}

#[test]
fn a_grant_is_for_its_scheme_host_and_port_alone() {
    let (target, other) = (up(), up());
    let grants = [
        other.url(""),
        format!("https://{}", target.address),
        "http://127.0.0.1".to_owned(),
        format!("http://localhost:{}", target.address.port()),
        format!("http://10.0.0.0/8:{}", target.address.port()),
    ];
    let grants = grants.map(|grant| format!("\"{grant}\"")).join(", ");
    let host = start(&format!("url = \"{}\"", target.url("/")), &grants);
    check_denied(&host.until_run("get"), "no grant for");
    assert_eq!(target.count() + other.count(), 0);
}

#[test]
fn a_network_allows_its_addresses() {
    let target = up();
    let grant = format!("\"http://127.0.0.0/8:{}\"", target.address.port());
    let host = start(&format!("url = \"{}\"", target.url("/")), &grant);
    host.until_state("get", "pass");
}

#[test]
fn a_name_that_resolves_to_loopback_needs_a_grant_for_the_address_too() {
    let target = up();
    let port = target.address.port();
    // Names below `localhost` are reserved for loopback, and resolve without any server.
    let name = "intranet.localhost";
    let settings = format!("url = \"http://{name}:{port}/\"");
    let host = start(&settings, &format!("\"http://{name}:{port}\""));
    check_denied(&host.until_run("get"), "which is at the private address");
    assert_eq!(target.count(), 0);
}

#[test]
fn localhost_means_loopback_by_its_name() {
    let target = up();
    let port = target.address.port();
    let settings = format!("url = \"http://localhost:{port}/\"");
    let host = start(&settings, "");
    let allow = format!("this would allow it: `http = [\"http://localhost:{port}\"]`");
    check_denied(&host.until_run("get"), &allow);
    let host = start(&settings, &format!("\"http://localhost:{port}\""));
    host.until_state("get", "pass");
    let host = start(&settings, &format!("\"http://127.0.0.1:{port}\""));
    check_denied(&host.until_run("get"), "no grant for");
}

#[test]
fn every_spelling_of_an_address_is_the_same_address() {
    let target = up();
    let port = target.address.port();
    for host_name in ["127.1", "0x7f.1", "2130706433"] {
        let settings = format!("url = \"http://{host_name}:{port}/\"");
        let host = start(&settings, "\"http://10.0.0.1\"");
        check_denied(&host.until_run("get"), "no grant for");
    }
    assert_eq!(target.count(), 0);
}

#[test]
fn a_redirect_leads_nowhere_that_is_not_granted() {
    let hidden = up();
    let target = target::http().status(302).header("Location", &hidden.url("/secret")).start();
    let settings = format!("url = \"{}\"", target.url("/"));
    let host = start(&settings, &format!("\"{}\"", target.url("")));
    let check = host.until_run("get");
    assert_eq!(check["message"], "answered 302", "plugins see redirects and follow none unasked");
    assert_eq!(hidden.count(), 0);
}

#[test]
fn a_denial_wins_over_what_the_guest_reports() {
    // The guest reports a fail when its request does not work; the user sees the denial.
    let target = up();
    let host = start(&format!("url = \"{}\"", target.url("/")), "");
    let check = host.until_run("get");
    check_denied(&check, "no grant for");
    assert_eq!(check["outcome"]["fault"], true);
    assert_eq!(check["outcome"]["status"], "unknown");
}

#[test]
fn requests_are_counted_and_bounded() {
    let target = up();
    let grant = format!("\"{}\"", target.url(""));
    let host = start(&format!("url = \"{}\", times = 100", target.url("/")), &grant);
    let check = host.until_run("get");
    assert_eq!(check["reason"], "limit", "{check}");
    assert!(target.count() <= 16 * 2, "{} requests arrived", target.count());
}

#[test]
fn the_command_line_grants_in_the_same_words() {
    let target = up();
    let path = guest_path("http-get").to_string_lossy().into_owned();
    let settings = format!("{{\"url\": \"{}\"}}", target.url("/"));
    let denied = run(&["run", &path, "--settings", &settings]).expect(3);
    assert!(denied.out.starts_with("unknown (denied): no grant for"), "{}", denied.out);
    let grant = format!("http={}", target.url(""));
    let allowed = run(&["run", &path, "--settings", &settings, "--grant", &grant]).expect(0);
    assert!(allowed.out.starts_with("pass: answered 200"), "{}", allowed.out);
    for wrong in ["http", "ftp=x", "http=ftp://x", "http=https://x/../path"] {
        let ended = run(&["run", &path, "--settings", &settings, "--grant", wrong]).expect(3);
        assert!(ended.err.contains("is no grant"), "{wrong}: {}", ended.err);
    }
}
