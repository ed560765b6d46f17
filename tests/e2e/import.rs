//! `wellcheck import`: from the files of other tools to a configuration that validates and runs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::host::write;
use crate::support::program::{command, finish, run, run_in};
use crate::support::redact::check_snapshot;
use crate::support::target;

/// Longest that an import may take here, where nothing is optimized and much else runs beside it.
const LIMIT: Duration = Duration::from_secs(30);

const GATUS: &str = "endpoints:
  - name: Website
    group: core
    url: https://${WEBSITE}/health
    interval: 30s
    conditions: [\"[STATUS] == 200\", \"[BODY] == pat(*up*)\", \"[BODY].status == UP\"]
  - name: Shop
    group: core
    url: http://127.0.0.1:1/
    client:
      timeout: 5s
      dns-resolver: udp://9.9.9.9:53
      oauth2: {token-url: 'http://127.0.0.1:1/', client-id: a, client-secret: b, scopes: [c]}
    conditions: [\"[STATUS] < 300\"]
    maintenance-windows: [{start: '07:30', duration: 40m, timezone: Europe/Berlin}]
  - {name: dns, url: 127.0.0.1, dns: {query-name: a.example, query-type: A}, conditions: ['[BODY] == 192.0.2.1', '[DNS_RCODE] == NOERROR']}
  - {name: mail, url: 'starttls://127.0.0.1:587', client: {insecure: true}, conditions: ['[CERTIFICATE_EXPIRATION] > 48h']}
  - {name: grpc, url: 'grpcs://127.0.0.1:9090', conditions: ['[BODY].status != NOT_SERVING']}
  - {name: feed, url: 'ws://127.0.0.1:1', body: hello, conditions: ['[BODY] == pat(a*b)']}
  - {name: udp, url: 'udp://127.0.0.1:7', body: a, conditions: ['[BODY] == pat(*a*)', '[BODY] == pat(*b*)']}
external-endpoints: [{name: backup, group: core, token: potato, heartbeat: {interval: 30m}}]
connectivity: {checker: {target: 1.1.1.1:53}}
maintenance: {start: '23:00', duration: 1h, every: [Monday]}
";

const POD: &str = "kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      startupProbe: {httpGet: {path: /started, port: 8080}, periodSeconds: 1}
      livenessProbe: {httpGet: {path: /live, port: 8080}}
";

const DOCKERFILE: &str = "FROM scratch
HEALTHCHECK --interval=10s CMD curl -f http://localhost:8080/ || exit 1
";

const BLACKBOX: &str = "modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}
  ping: {prober: icmp}
";

/// One of each type that has a kind.
const KUMA: &str = include_str!("../../host/core/src/import/kuma/documented.json");

#[test]
fn what_is_imported_validates() {
    let cases = [
        ("gatus", "config.yaml", GATUS, 9),
        ("kuma", "backup.json", KUMA, 21),
        ("kubernetes", "pod.yaml", POD, 2),
        ("docker", "Dockerfile", DOCKERFILE, 1),
    ];
    for (format, name, text, checks) in cases {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write(dir.path(), name, text);
        let imported = run_in(dir.path(), &["import", format, name]).expect(0);
        assert!(imported.out.starts_with(&format!("# Made from `{name}` by ")), "{}", imported.out);
        write(dir.path(), "wellcheck.toml", &imported.out);
        let mut program = command();
        program.current_dir(dir.path()).env("WEBSITE", "example.com").arg("validate");
        let validated = finish(&mut program, "").expect(0);
        assert_eq!(validated.out, format!("valid: {checks} checks\n"), "{}", validated.err);
    }
}

#[test]
fn modules_that_were_imported_validate() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let modules = "modules:
  dns: {prober: dns, dns: {query_name: a.example, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: [a], fail_if_none_matches_regexp: [b]}}}
  dot: {prober: dns, dns: {query_name: a.example, dns_over_tls: true, transport_protocol: tcp, tls_config: {insecure_skip_verify: true}, valid_rcodes: [NOERROR, NXDOMAIN]}}
  ping: {prober: icmp, icmp: {payload_size: 64, ttl: 5, dont_fragment: true}}
  grpc: {prober: grpc, grpc: {service: a, tls: true}}
  login: {prober: http, http: {oauth2: {client_id: a, client_secret: b, token_url: 'http://127.0.0.1:1/', endpoint_params: {audience: c}}, valid_http_versions: [HTTP/1.1], fail_if_not_ssl: true}}
  body: {prober: http, http: {body_file: body.txt, method: POST}}
  user: {prober: http, http: {basic_auth: {username: a, password_file: password.txt}}}
";
    write(dir.path(), "blackbox.yml", modules);
    write(dir.path(), "body.txt", "a");
    write(dir.path(), "password.txt", "b");
    let imported = run_in(dir.path(), &["import", "blackbox", "blackbox.yml"]).expect(0);
    assert_eq!(imported.out.matches("[[module]]").count(), 7, "{}", imported.out);
    write(dir.path(), "wellcheck.toml", &imported.out);
    let validated = run_in(dir.path(), &["validate"]).expect(0);
    assert_eq!(validated.out, "valid: 0 checks\n", "{}", validated.err);
}

#[test]
fn a_check_that_was_imported_runs() {
    let target = target::http().status(200).start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = target.url("").replace("http://127.0.0.1:", "");
    let pod = format!(
        "kind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{{name: web, livenessProbe: {{httpGet: {{port: {address}}}}}}}]}}\n"
    );
    write(dir.path(), "pod.yaml", pod);
    let imported = run_in(dir.path(), &["import", "kubernetes", "pod.yaml"]).expect(0);
    write(dir.path(), "wellcheck.toml", &imported.out);
    let ended = run_in(dir.path(), &["run", "web-liveness"]).expect(0);
    assert!(ended.out.starts_with("pass: "), "{}", ended.out);
}

#[test]
fn the_configuration_goes_to_standard_output_and_notes_go_to_standard_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "blackbox.yml", BLACKBOX);
    let ended = run_in(dir.path(), &["import", "blackbox", "blackbox.yml"]).expect(0);
    check_snapshot("import_blackbox", &format!("{}-----\n{}", ended.out, ended.err));
}

#[test]
fn standard_input_and_several_files_are_read() {
    let mut program = command();
    program.args(["import", "kubernetes", "-", "--host", "web=10.0.0.7"]);
    let ended = finish(&mut program, POD).expect(0);
    assert!(ended.out.contains("url = \"http://10.0.0.7:8080/live\"\n"), "{}", ended.out);
    assert!(ended.err.starts_with("standard input:5:7: note: "), "{}", ended.err);

    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "Dockerfile", DOCKERFILE);
    write(dir.path(), "Dockerfile.web", DOCKERFILE);
    let args = ["import", "docker", "Dockerfile", "Dockerfile.web"];
    let out = run_in(dir.path(), &args).expect(0).out;
    assert!(out.contains("name = \"container\"\n") && out.contains("name = \"web\"\n"), "{out}");
}

#[test]
fn json_has_the_configuration_and_every_note_with_its_place() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "config.yaml", GATUS);
    let json = run_in(dir.path(), &["import", "gatus", "config.yaml", "--json"]).expect(0).json();
    assert!(json["toml"].as_str().is_some_and(|toml| toml.contains("[[group]]")), "{json}");
    let left_out = json["notes"].as_array().expect("a list").iter().find(|note| note["line"] == 6);
    let notes = left_out.expect("a note about the conditions");
    assert_eq!((&notes["file"], &notes["column"]), (&Value::from("config.yaml"), &Value::from(37)));

    write(dir.path(), "config.yaml", "endpoints: 1");
    let json = run_in(dir.path(), &["import", "gatus", "config.yaml", "--json"]).expect(65).json();
    assert_eq!(json["toml"], Value::Null);
    assert_eq!(json["problems"][0]["line"], 1, "{json}");
}

#[test]
fn files_that_cannot_be_used_end_with_65_and_say_where() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "good.yaml", POD);
    write(dir.path(), "bad.yaml", "kind: Pod\nkind: Pod\na: !x\n");
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n".to_owned()
        + &(b'c'..b'z')
            .map(|c| {
                let (name, last) = (char::from(c), char::from(c - 1));
                format!("{name}: &{name} [*{last}, *{last}, *{last}, *{last}]\n")
            })
            .collect::<String>();
    write(dir.path(), "bomb.yaml", bomb);
    std::fs::write(dir.path().join("binary.yaml"), [0xff, 0xfe, 0]).expect("written");
    let cases: [(&[&str], &str); 5] = [
        (&["good.yaml", "bad.yaml"], "bad.yaml:2:1: error: the key `kind` is there twice"),
        (&["bad.yaml"], "bad.yaml:3:"),
        (&["bomb.yaml"], "anchors and aliases stand for more than 100000 values"),
        (&["missing.yaml"], "cannot read `missing.yaml`"),
        (&["binary.yaml"], "cannot read `binary.yaml`: it is not UTF-8 text"),
    ];
    for (files, says) in cases {
        let ended = run_in(dir.path(), &[&["import", "kubernetes"][..], files].concat()).expect(65);
        assert!(ended.err.contains(says), "`{says}` is not in: {}", ended.err);
        assert_eq!(ended.out, "", "{files:?}");
    }
}

#[test]
fn large_and_hostile_files_are_answered_in_good_time() {
    let many = 64 * 1024;
    let endpoint = "- {name: a, url: 'http://a', conditions: ['[STATUS] == 200']}\n";
    let cases = [
        ("gatus", "many.yaml", format!("endpoints:\n{}", endpoint.repeat(10_000))),
        ("gatus", "lines.yaml", "a\n".repeat(16 * many)),
        ("gatus", "blank.yaml", "\n".repeat(64 * many)),
        ("gatus", "text.yaml", format!("a: \"{}", "x".repeat(128 * many))),
        ("gatus", "keys.yaml", (0..2 * many).map(|n| format!("k{n}: 1\n")).collect()),
        ("kubernetes", "documents.yaml", "---\na\n".repeat(8 * many)),
        ("kubernetes", "anchors.yaml", "- &a b\n".repeat(2 * many)),
        ("blackbox", "nested.yaml", "[{a: ".repeat(8 * many)),
        ("docker", "Dockerfile", "FROM a AS b\nENV A=1 B=2\nHEALTHCHECK CMD curl $\n".repeat(many)),
        (
            "docker",
            "Dockerfile",
            format!("FROM a\nHEALTHCHECK CMD curl {}", "$A".repeat(16 * many)),
        ),
        ("docker", "Dockerfile", format!("FROM a\n{}", "HEALTHCHECK \\\n".repeat(8 * many))),
    ];
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (format, name, text) in cases {
        write(dir.path(), name, text);
        let started = Instant::now();
        let ended = run_in(dir.path(), &["import", format, name]);
        let took = started.elapsed();
        assert!(matches!(ended.code, 0 | 65), "{name}: {}", ended.err);
        assert!(took < LIMIT, "{name} took {took:?}");
        assert!(ended.err.len() < 4 * 1024 * 1024, "{name}: {} bytes of notes", ended.err.len());
    }
}

#[test]
fn wrong_arguments_end_with_64() {
    let cases: [(&[&str], &str); 6] = [
        (&["import"], "Formats:\n"),
        (&["import", "gatus"], "required"),
        (&["import", "gattus", "x"], "unknown format `gattus` (known formats: "),
        (&["import", "gatus", "x", "--host", "web"], "expected for example web=10.0.0.7"),
        (&["import", "gatus", "x", "--host", "web=a/b"], "expected a name or an address"),
        (&["import", "gatus", "x", "--interval", "5"], "expected a duration with a unit"),
    ];
    for (args, says) in cases {
        let ended = run(args).expect(64);
        assert!(ended.err.contains(says), "{args:?}: `{says}` is not in: {}", ended.err);
    }
}
