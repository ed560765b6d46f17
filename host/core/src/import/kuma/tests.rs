//! Monitors of Uptime Kuma.

use super::*;
use crate::import::testing::{check_no_key_is_lost, file, made, refused, show};

const DOCUMENTED: &str = include_str!("documented.json");

#[test]
fn every_documented_key_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Kuma, "data/backup.json", DOCUMENTED)));
}

#[test]
fn no_key_is_lost_in_silence() {
    let file = file("backup.json", DOCUMENTED);
    // What the page shows, what a login would be without it, and what is as it would be anyway.
    let passed_over = [
        "id",
        "path",
        "pathName",
        "parent",
        "childrenIDs",
        "weight",
        "includeSensitiveData",
        "color",
        "tag_id",
        "monitor_id",
        "auth",
        "authMethod",
        "version",
        "active",
        "interval",
        "ping_numeric",
        "mqttCheckType",
        "tlsCert",
        "tlsKey",
        "tlsCa",
        "andOr",
        "httpBodyEncoding",
        "jsonPathOperator",
        "dns_resolve_type",
    ];
    // The first has all keys that there are, most of which are empty or of other types.
    let of_others = [
        "hostname",
        "port",
        "forceInactive",
        "keyword",
        "upsideDown",
        "packetSize",
        "dns_resolve_server",
        "dns_last_result",
        "docker_container",
        "docker_host",
        "maintenance",
        "mqttTopic",
        "kafkaProducerBrokers",
        "conditions",
    ];
    let matters = |keys: &[String]| {
        let path = keys.join(".");
        let other = path.strip_prefix("monitorList.0.").is_some_and(|key| of_others.contains(&key));
        let passed = keys.iter().any(|key| passed_over.contains(&&**key));
        !other && !passed && path != "monitorList.4.expectedValue"
    };
    check_no_key_is_lost(&file, matters, |documents| import(documents, &file));
}

#[test]
fn lists_of_monitors_are_read_with_and_without_a_backup_around_them() {
    let monitor = r#"{"name": "A \ud83d\ude00", "type": "port", "hostname": "a", "port": 1}"#;
    let expected = "target = \"a:1\"\ninterval = \"1m\"\ntimeout = \"48s\"\n";
    for text in [
        format!("[{monitor}]"),
        format!(r#"{{"monitorList": [{monitor}]}}"#),
        format!(r#"{{"monitorList": {{"1": {monitor}}}}}"#),
        format!(r#"{{"monitors": [{monitor}]}}"#),
    ] {
        let toml = made(&Kuma, "a.json", &text).toml;
        assert!(toml.contains(expected) && toml.contains("A \u{1f600}"), "{text}: {toml}");
    }
}

#[test]
fn groups_in_themselves_are_no_members() {
    let text = r#"[
        {"id": 1, "name": "a", "type": "group", "parent": 2},
        {"id": 2, "name": "b", "type": "group", "parent": 1},
        {"id": 3, "name": "c", "type": "port", "hostname": "a", "port": 1, "parent": 1},
        {"id": 4, "name": "d", "type": "group", "parent": 4}
    ]"#;
    let toml = made(&Kuma, "a.json", text).toml;
    assert!(toml.ends_with("[[group]]\nname = \"a\"\nmembers = [\"c\"]\n"), "{toml}");
}

#[test]
fn what_is_no_export_is_refused() {
    let cases = [
        ("", "error"),
        ("{}", "there is no `monitorList`"),
        ("1", "the file is a text (expected a map)"),
        ("[1]", "monitor 1 is a text (expected a map)"),
        (r#"[{"name": "a"}]"#, "monitor `a` has no `name` or no `type`"),
        (
            r#"[{"name": "a", "type": "port", "hostname": "b", "port": 1, "interval": "x"}]"#,
            "`interval` of monitor `a` is `x` (expected seconds)",
        ),
    ];
    for (text, says) in cases {
        let problems = refused(&Kuma, "a.json", text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}
