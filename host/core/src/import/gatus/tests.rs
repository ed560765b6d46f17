//! Endpoints of Gatus.

use super::*;
use crate::import::testing::{check_no_key_is_lost, file, made, refused, show};

const DOCUMENTED: &str = include_str!("documented.yml");

#[test]
fn every_documented_key_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Gatus, "config/config.yaml", DOCUMENTED)));
}

#[test]
fn no_key_is_lost_in_silence() {
    let file = file("config.yaml", DOCUMENTED);
    // The alert is off, so that what it waits for does not count; what is on is so without being told.
    let matters = |keys: &[String]| {
        let name = keys.join(".");
        let on = ["maintenance.enabled", "external-endpoints.2.enabled"];
        (!name.starts_with("endpoints.0.alerts.1.") || name.ends_with("enabled"))
            && !on.contains(&&*name)
    };
    check_no_key_is_lost(&file, matters, |documents| import(documents, &file));
}

/// The checks that one endpoint with these conditions comes to, without its first lines.
#[track_caller]
fn conditions(list: &str) -> String {
    let text = format!("endpoints:\n  - name: a\n    url: https://a/\n    conditions: {list}\n");
    let imported = made(&Gatus, "c.yaml", &text);
    let (_, keys) = imported.toml.split_once("url = \"https://a/\"\n").expect("a check");
    let (keys, _) = keys.split_once("interval").expect("its timing");
    keys.to_owned()
}

#[test]
fn conditions_on_the_status_are_one_set_of_codes() {
    let cases = [
        (r#"["[STATUS] == 200"]"#, "expect-status = 200\n"),
        (r#"["[STATUS] < 300"]"#, "expect-status = \"100-299\"\n"),
        (
            r#"["[STATUS] >= 200", "[STATUS] <= 399", "[STATUS] != 301"]"#,
            "expect-status = [\"200-300\", \"302-399\"]\n",
        ),
        (r#"["[STATUS] == any(200, 429)"]"#, "expect-status = [200, 429]\n"),
        (r#"["[STATUS] == pat(2*)"]"#, "expect-status = \"200-299\"\n"),
        (r#"["[STATUS] == pat(20?)"]"#, "expect-status = \"200-209\"\n"),
        (r#"["[CONNECTED] == true"]"#, "expect-status = \"100-999\"\n"),
        (r#"["400 > [STATUS]"]"#, "expect-status = \"100-399\"\n"),
    ];
    for (list, expected) in cases {
        assert_eq!(conditions(list), expected, "{list}");
    }
}

#[test]
fn other_conditions_are_conditions_here() {
    let any = "expect-status = \"100-999\"\n";
    let cases = [
        (
            r#"["[STATUS] == 200", "[BODY].a == 1"]"#,
            "expect-status = 200\nfail = \"json.a != 1\"\n".to_owned(),
        ),
        (r#"["[RESPONSE_TIME] < 500"]"#, format!("{any}latency-fail = \"500ms\"\n")),
        (r#"["[RESPONSE_TIME] > 10"]"#, format!("{any}fail = \"latency <= 10ms\"\n")),
        (r#"["[CONNECTED] == false"]"#, format!("{any}invert = true\n")),
        (r#"["[IP] != ::1"]"#, format!("{any}fail = \"detail.peer.startsWith('[::1]:')\"\n")),
    ];
    for (list, expected) in cases {
        assert_eq!(conditions(list), expected, "{list}");
    }
}

#[test]
fn answers_of_name_servers_have_conditions() {
    let text = "endpoints: [{name: a, url: 9.9.9.9, dns: {query-name: b.c, query-type: A}, conditions: ['[BODY] == 1.2.3.4', '[DNS_RCODE] != NXDOMAIN', '[STATUS] == 1']}]";
    let imported = made(&Gatus, "c.yaml", text);
    for expected in [
        r"!answers.exists(a, a.matches('^\\s*1\\.2\\.3\\.4\\s*$'))",
        "code == 'NXDOMAIN'",
        "server = \"9.9.9.9\"",
    ] {
        assert!(imported.toml.contains(expected), "{expected}: {}", imported.toml);
    }
    assert!(imported.notes.iter().any(|note| note.message.contains("status")));
}

#[test]
fn variables_stay_references_and_dollars_stay_dollars() {
    let text = "endpoints:\n  - name: a\n    url: \"https://${HOST}/$$x\"\n    headers: {A: \"$B-$$C $${D}\", E: '$F\"'}\n    conditions: [\"[STATUS] == 200\"]\n";
    let toml = made(&Gatus, "c.yaml", text).toml;
    assert!(toml.contains("url = \"https://${HOST}/$x\"\n"), "{toml}");
    assert!(toml.contains("headers = { A = \"${B}-$C $${D}\", E = '${F}\"' }\n"), "{toml}");
}

#[test]
fn a_file_of_a_folder_may_have_no_endpoints() {
    for text in ["metrics: true", "alerting: {slack: {webhook-url: a}}", "suites: []"] {
        let imported = made(&Gatus, "global.yaml", text);
        assert!(imported.notes[0].message.starts_with("there are no `endpoints`"), "{text}");
    }
}

#[test]
fn what_is_no_configuration_of_gatus_is_refused() {
    let cases = [
        ("", "the file is empty"),
        ("a: 1", "there are no `endpoints`"),
        ("endpoints: {}", "`endpoints` of the file is a map (expected a list)"),
        ("endpoints: [1]", "c.yaml:1:13: error: endpoint 1 is a text (expected a map)"),
        ("endpoints: [{name: a}]", "endpoint `a` has no `url`"),
        ("endpoints: [{url: a}]", "endpoint 1 has no `name`"),
        ("endpoints: [{name: a, url: b, conditions: [c]}]", "`url` of endpoint `a` is `b`"),
        ("endpoints: [{name: a, url: http://b}]", "endpoint `a` has no `conditions`"),
        (
            "endpoints: [{name: a, url: http://b, conditions: [c]}]",
            "`c` of endpoint `a` is no condition",
        ),
        (
            "endpoints: [{name: a, url: http://b, conditions: ['[STATUS] > 999']}]",
            "no status meets all conditions of endpoint `a`",
        ),
        (
            "endpoints: [{name: a, url: http://b, interval: 1x, conditions: ['[STATUS] > 9']}]",
            "`interval` of endpoint `a` is `1x` (expected a duration",
        ),
    ];
    for (text, says) in cases {
        let problems = refused(&Gatus, "c.yaml", text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}

#[test]
fn windows_are_what_they_must_be() {
    let text =
        "maintenance: {start: '07:05', duration: 90m, every: [Sunday, Monday]}\nendpoints: []";
    let toml = made(&Gatus, "c.yaml", text).toml;
    assert!(toml.contains("cron = \"5 7 * * SUN,MON\"\nduration = \"90m\"\n"), "{toml}");
    let off = "maintenance: {enabled: false}\nendpoints: []";
    assert!(!made(&Gatus, "c.yaml", off).toml.contains("[[maintenance]]"));
    let cases = [
        ("start: 24:00, duration: 1h", "`start` of `maintenance` is 24:00"),
        ("start: 7, duration: 1h", "`start` of `maintenance` is 7"),
        ("start: '07:00'", "`maintenance` has no `duration`"),
        ("start: '07:00', duration: 25h", "`duration` of `maintenance` is not from 1s to 24h"),
        ("start: '07:00', duration: 1h, timezone: Mars/A", "`timezone` of `maintenance`: "),
        ("start: '07:00', duration: 1h, every: [Mon]", "`every` of `maintenance` holds `Mon`"),
    ];
    for (window, says) in cases {
        let text = format!("maintenance: {{{window}}}\nendpoints: []");
        let problems = refused(&Gatus, "c.yaml", &text);
        assert!(problems.contains(says), "{window}: `{says}` is not in:\n{problems}");
    }
}

#[test]
fn endpoints_of_one_name_become_checks_of_several() {
    let endpoint = "{name: A b, url: 'http://a', conditions: ['[STATUS] == 200']}";
    let text = format!("endpoints: [{}]", [endpoint; 3].join(", "));
    let toml = made(&Gatus, "c.yaml", &text).toml;
    for name in ["a-b", "a-b-2", "a-b-3"] {
        assert!(toml.contains(&format!("name = \"{name}\"\n")), "{toml}");
    }
}
