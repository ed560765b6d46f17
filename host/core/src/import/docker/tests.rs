//! Health checks of containers.

use super::*;
use crate::import::testing::{check_no_key_is_lost, file, made, refused, show};

const COMPOSE: &str = include_str!("compose.yaml");
const DOCKERFILE: &str = include_str!("documented.Dockerfile");

#[test]
fn every_documented_key_of_compose_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Docker, "shop/compose.yaml", COMPOSE)));
}

#[test]
fn every_option_of_a_dockerfile_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Docker, "documented.Dockerfile", DOCKERFILE)));
}

#[test]
fn no_key_of_a_health_check_is_lost_in_silence() {
    let file = file("compose.yaml", COMPOSE);
    let matters = |keys: &[String]| {
        let name = keys.join(".");
        let read = keys.iter().any(|key| matches!(key.as_str(), "healthcheck" | "depends_on"));
        // How compose itself waits; and what says the same as no health check at all.
        let plain =
            ["restart", "required", "off.healthcheck.interval", "inherited.healthcheck.interval"];
        read && !plain.iter().any(|end| name.ends_with(end))
    };
    let options = Options::default();
    check_no_key_is_lost(&file, matters, |documents| compose::import(documents, &file, &options));
}

/// What one line of a Dockerfile comes to: its check without timing, or the notes.
fn line(healthcheck: &str) -> String {
    let text = format!("FROM scratch\n{healthcheck}\n");
    let imported = made(&Docker, "Dockerfile", &text);
    match imported.toml.split_once("kind = \"http\"\n") {
        Some((_, check)) => check.to_owned(),
        None => imported.notes.iter().map(|note| format!("{}\n", note.message)).collect(),
    }
}

#[test]
fn defaults_are_those_of_docker() {
    let expected = "url = \"http://127.0.0.1/\"\nexpect-status = \"200-399\"\nredirects = 0\ninterval = \"30s\"\ntimeout = \"30s\"\nfailure-threshold = 3\nsuccess-threshold = 1\n";
    assert_eq!(line("HEALTHCHECK CMD curl -f http://localhost/ || exit 1"), expected);
    assert_eq!(line(r#"HEALTHCHECK CMD ["curl", "-f", "http://localhost/"]"#), expected);
    assert_eq!(
        line(r#"healthcheck cmd ["sh", "-c", "curl -f http://localhost/ || exit 1"]"#),
        expected
    );
}

#[test]
fn the_last_health_check_of_the_last_stage_counts() {
    let cases = [
        (
            "FROM a\nHEALTHCHECK CMD curl http://a/1\nHEALTHCHECK CMD curl http://a/2\n",
            "http://a/2",
        ),
        ("FROM a AS b\nHEALTHCHECK CMD curl http://a/1\nFROM B\n", "http://a/1"),
        ("FROM a AS b\nHEALTHCHECK CMD curl http://a/1\nFROM c\n", "is left out: the last one"),
        ("FROM a\nHEALTHCHECK CMD curl http://a/1\nHEALTHCHECK NONE\n", "is switched off"),
        ("FROM a\nRUN x\n", "there is no `HEALTHCHECK`"),
        ("# escape=`\nFROM a\nHEALTHCHECK `\n CMD curl http://a/1\n", "http://a/1"),
        ("FROM a\nHEALTHCHECK CMD curl http://a/1 \\", "http://a/1"),
    ];
    for (text, says) in cases {
        let shown = show(&made(&Docker, "Dockerfile", text));
        assert!(shown.contains(says), "{text}: `{says}` is not in:\n{shown}");
    }
}

#[test]
fn what_is_neither_kind_of_file_is_refused() {
    let cases = [
        ("Dockerfile", "", "there is no `FROM`"),
        ("Dockerfile", "HEALTHCHECK CMD x\nFROM a", "1:1: error: a `HEALTHCHECK` stands before"),
        ("Dockerfile", "FROM a\nHEALTHCHECK --interval=5 CMD x", "2:1: error: `--interval` is `5`"),
        ("Dockerfile", "FROM a\nHEALTHCHECK --retries=x CMD x", "`--retries` is `x`"),
        ("Dockerfile", "FROM a\nHEALTHCHECK --nonsense CMD x", "the option `--nonsense`"),
        (
            "Dockerfile",
            "FROM a\nHEALTHCHECK curl x",
            "goes on with `curl` (expected `CMD` or `NONE`)",
        ),
        ("compose.yaml", "", "the file is empty"),
        ("compose.yaml", "a: 1", "compose.yaml:1:1: error: there are no `services`"),
        ("x", "services: 1", "`services` is a text (expected a map)"),
        ("x", "services: {a: 1}", "service `a` is a text (expected a map)"),
        ("x", "services: {a: {healthcheck: {test: {}}}}", "is a map (expected a text or a list)"),
        ("x", "services: {a: {healthcheck: {test: [curl]}}}", "does not begin with `CMD`"),
        ("x", "services: {a: {healthcheck: {test: [[]]}}}", "holds a list (expected texts)"),
        ("x", "services: {a: {healthcheck: {retries: x}}}", "is `x` (expected a whole number)"),
        (
            "x",
            "services:\n  a: {healthcheck: {test: curl a}, depends_on: {b: {condition: service_healthy}}}\n  b: {healthcheck: {test: curl b}, depends_on: {a: {condition: service_healthy}}}\n",
            "services wait for each other in a circle",
        ),
    ];
    for (name, text, says) in cases {
        let problems = refused(&Docker, name, text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}
