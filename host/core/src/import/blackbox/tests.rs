//! Modules of blackbox_exporter.

use super::*;
use crate::import::testing::{check_no_key_is_lost, file, made, refused, show};

const DOCUMENTED: &str = include_str!("documented.yml");

#[test]
fn every_documented_key_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Blackbox, "conf/blackbox.yml", DOCUMENTED)));
}

#[test]
fn no_key_is_lost_in_silence() {
    let file = file("blackbox.yml", DOCUMENTED);
    // These are off, or as they would be without them.
    let plain = |keys: &[String]| {
        let name = keys.join(".");
        !name.ends_with("http_2xx.http.tls_config.insecure_skip_verify")
            && !name.ends_with("smtp_starttls.tcp.ip_protocol_fallback")
            && !name.ends_with("modules.dns.dns.transport_protocol")
    };
    check_no_key_is_lost(&file, plain, |documents| import(documents, &file));
}

#[test]
fn the_smallest_modules_are_small() {
    let text =
        "modules:\n  http_2xx:\n    prober: http\n  tcp_connect: {prober: tcp, timeout: 1m30s}\n";
    let imported = made(&Blackbox, "b.yml", text);
    assert_eq!(
        imported.toml,
        "# Made from `b.yml` by `wellcheck import`.\n\n[[module]]\nname = \"http_2xx\"\nkind = \"http\"\n\n[[module]]\nname = \"tcp_connect\"\nkind = \"tcp\"\ntimeout = \"90s\"\n"
    );
}

#[test]
fn what_is_no_configuration_of_blackbox_exporter_is_refused() {
    let cases = [
        ("", "b.yml: error: the file is empty"),
        ("a: 1", "b.yml: error: there are no `modules`"),
        ("- 1", "b.yml:1:1: error: the file is a list (expected a map)"),
        ("modules: []", "b.yml:1:10: error: `modules` of the file is a list"),
        ("modules: {a: {}}", "b.yml:1:11: error: module `a` has no `prober`"),
        (
            "modules: {a: {prober: htpp}}",
            "module `a` has the prober `htpp` (expected one of http, ",
        ),
        ("modules: {a: {prober: http, timeout: 5}}", "1:29: error: `timeout` of module `a` is `5`"),
        ("modules: {a: {prober: http, http: 3}}", "module `a` is a text (expected a map)"),
        (
            "modules: {a: {prober: http, http: {valid_status_codes: [2xx]}}}",
            "holds no code from 100 to 999",
        ),
        ("modules: {}\n---\nmodules: {}", "b.yml:3:1: error: a second document begins here"),
    ];
    for (text, says) in cases {
        let problems = refused(&Blackbox, "b.yml", text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}

#[test]
fn what_was_read_is_sent_back_by_its_own_name_for_it() {
    let module = |steps: &str| {
        let text = format!("modules: {{a: {{prober: tcp, tcp: {{query_response: [{steps}]}}}}}}");
        made(&Blackbox, "b.yml", &text).toml
    };
    let captured = module(
        "{expect: '^PING (?P<who>\\S+) (\\d+)$', send: 'PONG ${who} $2 $$ ${none}$3.'}, {send: '$1'}",
    );
    assert!(captured.contains("PONG {{who}} {{2}} $ .\n"), "{captured}");
    // Without a pattern in its own step a text is sent as it stands.
    assert!(captured.contains("$1\n"), "{captured}");
    assert!(captured.contains("{ expect = '^PING (?P<who>\\S+) (\\d+)$' }"), "{captured}");
    // One text to send and one to wait for need no script.
    let simple = module("{send: PING}, {expect: PONG}");
    assert!(simple.contains("expect = \"PONG\"") && !simple.contains("script"), "{simple}");
    let bytes = module("{expect_bytes: 'a.b'}, {send: x}");
    assert!(bytes.contains("{ expect = 'a\\.b' }"), "{bytes}");
    // What looks like a reference of ours, or is no pattern here, ends what can be carried over.
    for odd in ["{send: 'a {{b}}'}, {send: c}", "{expect: '\\C+'}, {send: c}"] {
        let left = module(odd);
        assert!(!left.contains("send") && !left.contains("expect"), "{left}");
    }
}
