//! `GET /probe` against real servers, in the words of blackbox_exporter, read by `promtool` and by a
//! real Prometheus.

mod guarded;
mod plugins;
mod sockets;

use std::collections::BTreeSet;

use crate::support::certificates::Authority;
use crate::support::host::{Host, host};
use crate::support::http::Answer;
use crate::support::nginx::Nginx;
use crate::support::prometheus::{self, Prometheus};
use crate::support::target;
use crate::support::wait::until;

/// A `[[module]]` of the kind `http` that may probe loopback.
fn module(name: &str, keys: &str) -> String {
    format!(
        "[[module]]\nname = \"{name}\"\nkind = \"http\"\ntargets = [\"127.0.0.0/8\", \"[::1]\"]\n{keys}\n"
    )
}

/// Asks for a probe.
#[track_caller]
fn probe(host: &Host, module: &str, target: &str, more: &str) -> Answer {
    host.get(&path(module, target, more))
}

fn path(module: &str, target: &str, more: &str) -> String {
    let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
    format!("/probe?module={module}&target={target}{more}")
}

/// A probe that was made, as text.
#[track_caller]
fn metrics(host: &Host, module: &str, target: &str) -> String {
    let answer = probe(host, module, target, "");
    assert_eq!(answer.code, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.body
}

/// The number of a series.
fn number(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|number| number.parse().expect("a number"))
}

#[track_caller]
fn expect(text: &str, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(number(text, series), Some(*value), "`{series}` in:\n{text}");
    }
}

/// The names of all families.
fn names(text: &str) -> BTreeSet<&str> {
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.collect()
}

/// What every probe tells.
const ALWAYS: &[&str] =
    &["probe_success", "probe_duration_seconds", "probe_timeout_seconds", "probe_outcome_info"];

/// What blackbox_exporter tells of every request over HTTP.
const HTTP: &[&str] = &[
    "probe_dns_lookup_time_seconds",
    "probe_failed_due_to_regex",
    "probe_http_content_length",
    "probe_http_duration_seconds",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_status_code",
    "probe_http_uncompressed_body_length",
    "probe_http_version",
    "probe_ip_addr_hash",
    "probe_ip_protocol",
];

/// Likewise over TLS.
const TLS: &[&str] = &[
    "probe_ssl_earliest_cert_expiry",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
    "probe_tls_cipher_info",
    "probe_tls_version_info",
];

fn set<'a>(lists: &[&[&'a str]]) -> BTreeSet<&'a str> {
    lists.concat().into_iter().collect()
}

/// What `promtool` says, which is nothing if it finds nothing.
#[track_caller]
fn promtool(metrics: &str) -> String {
    let ended = prometheus::promtool(metrics);
    ended.out + &ended.err
}

fn nginx() -> Nginx {
    Nginx::start(
        r#"
        location = /ok     { add_header Last-Modified "Wed, 21 Oct 2026 07:28:00 GMT"; return 200 '{"status": "ok"}'; }
        location = /broken { return 503 'down for repair'; }
        location = /moved  { return 302 /moved-again; }
        location = /moved-again { return 301 /ok; }
        "#,
    )
}

#[test]
fn what_cannot_be_probed_is_said_in_the_words_that_scrapers_know() {
    let host = host().config(&module("m", "")).start();
    let says = |path: &str, code: u16, body: &str| {
        let answer = host.get(path);
        assert_eq!((answer.code, answer.body.as_str()), (code, body), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    };
    says("/probe", 400, "Target parameter is missing\n");
    says("/probe?target=", 400, "Target parameter is missing\n");
    says("/probe?module=m", 400, "Target parameter is missing\n");
    says("/probe?module=nope&target=x", 400, "Unknown module \"nope\"\n");
    says("/probe?module=nope", 400, "Unknown module \"nope\"\n");
    says("/probe?module=a%22b%0A", 400, "Unknown module \"a\\\"b\\n\"\n");
    says("/probe?module=nope&module=m&target=x", 400, "Unknown module \"nope\"\n");
    let long = "x".repeat(3000);
    says(&path("m", &long, ""), 400, "Target parameter is longer than 2048 bytes\n");
    says(
        &path("m", "127.0.0.1", "&hostname=a%0Ab"),
        400,
        "Hostname parameter is no name of a host (expected at most 260 visible characters)\n",
    );
    for bad in ["soon", "-1", "NaN", "inf", "1e400"] {
        let headers = [("X-Prometheus-Scrape-Timeout-Seconds", bad)];
        let answer = host.ask("GET", "/probe?module=m&target=x", &headers);
        assert_eq!(answer.code, 400);
        let expected = format!(
            "Failed to parse timeout from Prometheus header: \"{bad}\" is no number of seconds\n"
        );
        assert_eq!(answer.body, expected);
    }
    assert_eq!(host.ask("POST", "/probe?module=m&target=x", &[]).code, 405);
}

#[test]
fn http_has_every_metric_of_blackbox_exporter() {
    let nginx = nginx();
    let config = [
        module("m", ""),
        module("strict", "expect-body = \"no such text\""),
        module("once", "redirects = 1"),
    ]
    .concat();
    let host = host().config(&config).start();

    let ok = metrics(&host, "m", &nginx.url("/ok"));
    let last_modified = "probe_http_last_modified_timestamp_seconds";
    assert_eq!(names(&ok), set(&[ALWAYS, HTTP, &[last_modified]]));
    expect(
        &ok,
        &[
            ("probe_success", 1.0),
            ("probe_timeout_seconds", 10.0),
            ("probe_outcome_info{status=\"pass\"}", 1.0),
            ("probe_failed_due_to_regex", 0.0),
            ("probe_http_content_length", 16.0),
            ("probe_http_uncompressed_body_length", 16.0),
            ("probe_http_redirects", 0.0),
            ("probe_http_ssl", 0.0),
            ("probe_http_status_code", 200.0),
            ("probe_http_version", 1.1),
            (last_modified, 1_792_567_680.0),
            ("probe_ip_protocol", 4.0),
            // FNV-1a over 127.0.0.1, as Go's library counts it.
            ("probe_ip_addr_hash", 3_668_918_509.0),
            ("probe_http_duration_seconds{phase=\"tls\"}", 0.0),
        ],
    );
    let mut sum = 0.0;
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        let series = format!("probe_http_duration_seconds{{phase=\"{phase}\"}}");
        sum += number(&ok, &series).unwrap_or_else(|| panic!("{series} in {ok}"));
    }
    let took = number(&ok, "probe_duration_seconds").expect("a number");
    assert!(0.0 < sum && sum <= took && took < 10.0, "{ok}");

    // Without a scheme, plain HTTP is meant.
    let bare = metrics(&host, "m", &format!("{}/ok", nginx.address));
    expect(&bare, &[("probe_success", 1.0), ("probe_http_status_code", 200.0)]);

    let broken = metrics(&host, "m", &nginx.url("/broken"));
    expect(
        &broken,
        &[
            ("probe_success", 0.0),
            ("probe_http_status_code", 503.0),
            ("probe_outcome_info{status=\"fail\",reason=\"unexpected-status\"}", 1.0),
            ("probe_failed_due_to_regex", 0.0),
        ],
    );

    let strict = metrics(&host, "strict", &nginx.url("/ok"));
    expect(&strict, &[("probe_success", 0.0), ("probe_failed_due_to_regex", 1.0)]);

    let moved = metrics(&host, "m", &nginx.url("/moved"));
    expect(
        &moved,
        &[("probe_success", 1.0), ("probe_http_redirects", 2.0), ("probe_http_status_code", 200.0)],
    );
    let once = metrics(&host, "once", &nginx.url("/moved"));
    expect(
        &once,
        &[("probe_success", 0.0), ("probe_http_redirects", 1.0), ("probe_http_status_code", 301.0)],
    );

    let chunked = target::http().header("Transfer-Encoding", "chunked").body("0\r\n\r\n").start();
    let chunked = metrics(&host, "m", &chunked.url("/"));
    expect(&chunked, &[("probe_success", 1.0), ("probe_http_content_length", -1.0)]);

    for text in [ok, broken, strict, moved, once] {
        assert_eq!(promtool(&text), "", "{text}");
    }
}

#[test]
fn what_does_not_come_to_an_answer_has_its_metrics_too() {
    let gone = target::http().start();
    let refused = gone.url("/");
    drop(gone);
    let host = host().config(&module("m", "")).start();
    let refused = metrics(&host, "m", &refused);
    assert_eq!(names(&refused), set(&[ALWAYS, HTTP]));
    expect(
        &refused,
        &[
            ("probe_success", 0.0),
            ("probe_outcome_info{status=\"fail\",reason=\"refused\"}", 1.0),
            ("probe_ip_protocol", 4.0),
            ("probe_http_status_code", 0.0),
            ("probe_http_version", 0.0),
            ("probe_http_content_length", 0.0),
        ],
    );
    let unresolved = metrics(&host, "m", "http://name.invalid/");
    assert_eq!(names(&unresolved), set(&[ALWAYS, HTTP]));
    expect(
        &unresolved,
        &[
            ("probe_success", 0.0),
            ("probe_outcome_info{status=\"fail\",reason=\"resolve\"}", 1.0),
            ("probe_ip_protocol", 0.0),
            ("probe_ip_addr_hash", 0.0),
        ],
    );
    // What makes no sense to the kind is a probe that did not succeed.
    for nonsense in ["http://[", "http://a b/", "http://"] {
        let answer = metrics(&host, "m", nonsense);
        expect(
            &answer,
            &[
                ("probe_success", 0.0),
                ("probe_outcome_info{status=\"unknown\",reason=\"bad-settings\"}", 1.0),
            ],
        );
        assert_eq!(promtool(&answer), "");
    }
    assert_eq!(promtool(&refused), "");
    assert_eq!(promtool(&unresolved), "");
}

#[test]
fn https_tells_what_the_certificate_and_the_handshake_say() {
    use aws_lc_rs::digest;
    use base64::Engine as _;

    let authority = Authority::new();
    let pair = authority.good();
    let first = pair.certificate.split("-----").nth(2).expect("PEM").replace(['\r', '\n'], "");
    let der = base64::engine::general_purpose::STANDARD.decode(first).expect("base64");
    let fingerprint: String = digest::digest(&digest::SHA256, &der)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let nginx = Nginx::start_tls(&pair, "location / { return 200 $server_protocol; }");
    let expired = authority.issue(&["localhost"], (2020, 2021));
    let expired = Nginx::start_tls(&expired, "location / { return 200 fine; }");
    let config = [
        module("m", "tls-ca = \"ca.pem\""),
        module("one", "tls-ca = \"ca.pem\"\nhttp-version = \"1.1\""),
    ]
    .concat();
    let host = host().config(&config).file("ca.pem", authority.pem()).start();

    let ok = metrics(&host, "m", &nginx.https("/"));
    assert_eq!(names(&ok), set(&[ALWAYS, HTTP, TLS]));
    expect(
        &ok,
        &[
            ("probe_success", 1.0),
            ("probe_http_ssl", 1.0),
            ("probe_http_version", 2.0),
            ("probe_ssl_earliest_cert_expiry", 6_626_966_400.0),
            ("probe_ssl_last_chain_expiry_timestamp_seconds", 6_626_966_400.0),
            ("probe_tls_version_info{version=\"TLS 1.3\"}", 1.0),
        ],
    );
    let line = |start: &str| {
        let found = ok.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no `{start}` in {ok}")).to_owned()
    };
    let cipher = line("probe_tls_cipher_info{cipher=\"TLS_");
    assert!(cipher.ends_with("} 1") && !cipher.contains("TLS13"), "{cipher}");
    let info = line("probe_ssl_last_chain_info{");
    for label in [
        format!("fingerprint_sha256=\"{fingerprint}\""),
        "issuer=\"CN=wellcheck test root\"".to_owned(),
        "subjectalternative=\"localhost\"".to_owned(),
        "subject=\"CN=rcgen self signed cert\"".to_owned(),
        "serialnumber=\"".to_owned(),
    ] {
        assert!(info.contains(&label), "`{label}` in {info}");
    }
    assert!(number(&ok, "probe_http_duration_seconds{phase=\"tls\"}").is_some_and(|s| s > 0.0));
    expect(&metrics(&host, "one", &nginx.https("/")), &[("probe_http_version", 1.1)]);

    // What a refused certificate says is told as well, so that an expiry is seen when it has come.
    let late = metrics(&host, "m", &expired.https("/"));
    expect(
        &late,
        &[
            ("probe_success", 0.0),
            ("probe_http_ssl", 0.0),
            ("probe_outcome_info{status=\"fail\",reason=\"tls-expired\"}", 1.0),
            ("probe_ssl_earliest_cert_expiry", 1_609_459_200.0),
        ],
    );
    assert!(!names(&late).contains("probe_tls_version_info"), "{late}");
    for text in [ok, late] {
        assert_eq!(promtool(&text), "", "{text}");
    }
}

#[test]
fn the_probe_ends_before_the_scraper_gives_up() {
    let target = target::http().start();
    let silent = target::http().silent().start();
    let config = [module("m", ""), module("short", "timeout = \"1s\"")].concat();
    let host = host().config(&config).start();
    let timeout = |module: &str, header: Option<&str>| {
        let headers = header.map(|text| ("X-Prometheus-Scrape-Timeout-Seconds", text));
        let headers: Vec<(&str, &str)> = headers.into_iter().collect();
        let answer = host.ask("GET", &path(module, &target.url("/"), ""), &headers);
        number(&answer.body, "probe_timeout_seconds").expect("a number")
    };
    assert_eq!(timeout("m", None), 10.0);
    assert_eq!(timeout("m", Some("2")), 1.5);
    assert_eq!(timeout("m", Some("10")), 9.5);
    assert_eq!(timeout("m", Some("10.5")), 10.0);
    assert_eq!(timeout("m", Some("60")), 10.0);
    assert_eq!(timeout("m", Some("0")), 10.0);
    assert_eq!(timeout("m", Some("0.5")), 10.0, "the module's own, as in blackbox_exporter");
    assert_eq!(timeout("short", Some("10")), 1.0);
    assert_eq!(timeout("short", Some("1.25")), 0.75);

    let headers = [("X-Prometheus-Scrape-Timeout-Seconds", "0.8")];
    let late = host.ask("GET", &path("m", &silent.url("/"), ""), &headers).body;
    expect(
        &late,
        &[
            ("probe_success", 0.0),
            ("probe_outcome_info{status=\"fail\",reason=\"timeout\"}", 1.0),
            ("probe_timeout_seconds", 0.3),
        ],
    );
    let took = number(&late, "probe_duration_seconds").expect("a number");
    assert!((0.29..0.8).contains(&took), "{took}");
}

#[test]
fn debug_shows_what_happened_and_hides_what_is_secret() {
    let nginx = nginx();
    let config = module(
        "m",
        "timeout = \"5s\"\nheaders = { X-Token = \"${TOKEN}\", Authorization = \"Bearer literal-canary\" }\nexpect-body = \"${TOKEN}\"",
    );
    let host = host().env("TOKEN", "canary-token").config(&config).start();
    let target = nginx.url("/moved").replace("http://", "http://me:canary-password@");
    let answer = probe(&host, "m", &target, "&debug=true");
    assert_eq!(answer.code, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = &answer.body;
    assert!(!text.contains("canary"), "{text}");
    let (log, rest) = text
        .strip_prefix("Logs for the probe:\n")
        .and_then(|rest| rest.split_once("\n\n\n\nMetrics that would have been returned:\n"))
        .unwrap_or_else(|| panic!("{text}"));
    let (metrics, module) =
        rest.split_once("\n\n\n\nModule configuration:\n").unwrap_or_else(|| panic!("{text}"));
    let shown = format!("module=m target={} ", nginx.url("/moved"));
    for line in log.lines() {
        assert!(line.starts_with(&shown), "{line}");
    }
    for part in [
        "level=info msg=\"the probe began\" kind=http timeout_seconds=5",
        "level=debug msg=\"resolved the target\" ip=127.0.0.1",
        "level=info msg=\"followed redirects\" redirects=2",
        "level=info msg=\"received an answer\" status_code=200",
        "level=error msg=\"the probe failed\" status=fail reason=unexpected-body",
    ] {
        assert!(log.contains(part), "`{part}` in {log}");
    }
    expect(metrics, &[("probe_success", 0.0), ("probe_failed_due_to_regex", 1.0)]);
    assert_eq!(promtool(&format!("{metrics}\n")), "");
    for part in ["name = \"m\"", "kind = \"http\"", "Authorization = \"[redacted]\"", "${TOKEN}"] {
        assert!(module.contains(part), "`{part}` in {module}");
    }
    // Only this word asks for it.
    assert!(probe(&host, "m", &target, "&debug=1").body.starts_with("# HELP "));
}

#[test]
fn the_scraper_chooses_the_format() {
    let target = target::http().start();
    let host = host().config(&module("m", "")).start();
    let path = path("m", &target.url("/"), "");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = host.ask("GET", &path, &[("Accept", accept)]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
    assert_eq!(number(&open.body, "probe_success"), Some(1.0));
    let text = host.ask("GET", &path, &[("Accept", "text/html, */*;q=0.1")]);
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!text.body.contains("# EOF"));
    assert_eq!(host.ask("HEAD", &path, &[]).code, 200);
}

#[test]
fn modules_follow_the_configuration_at_once() {
    let target = target::http().status(404).start();
    let host = host().config(&module("m", "")).start();
    expect(&metrics(&host, "m", &target.url("/")), &[("probe_success", 0.0)]);
    host.configure(&module("m", "expect-status = 404"));
    until("the new module", || {
        let answer = metrics(&host, "m", &target.url("/"));
        if number(&answer, "probe_success") == Some(1.0) { Ok(()) } else { Err(answer) }
    });
    host.configure("");
    until("no module", || match probe(&host, "m", &target.url("/"), "") {
        answer if answer.code == 400 => Ok(()),
        answer => Err(answer.body),
    });
    // The standard module is there all the same.
    assert_eq!(probe(&host, "http_2xx", &target.url("/"), "").code, 403);
}

#[test]
fn what_was_made_for_a_target_is_kept_for_a_while() {
    let authority = Authority::new();
    let nginx = Nginx::start_tls(&authority.good(), "location / { return 200 fine; }");
    let config = module("m", "tls-ca = \"ca.pem\"");
    let host = host().config(&config).file("ca.pem", authority.pem()).start();
    let probed = |path: &str| metrics(&host, "m", &nginx.https(path));
    expect(&probed("/a"), &[("probe_success", 1.0)]);
    // The file is read for each new target only.
    host.remove("ca.pem");
    expect(&probed("/a"), &[("probe_success", 1.0)]);
    let bad = ("probe_outcome_info{status=\"unknown\",reason=\"bad-settings\"}", 1.0);
    expect(&probed("/b"), &[("probe_success", 0.0), bad]);
    // What fails is not kept.
    host.write("ca.pem", authority.pem());
    expect(&probed("/b"), &[("probe_success", 1.0)]);
    for n in 0..256 {
        expect(&probed(&format!("/{n}")), &[("probe_success", 1.0)]);
    }
    host.remove("ca.pem");
    expect(&probed("/a"), &[("probe_success", 0.0), bad]);
    expect(&probed("/255"), &[("probe_success", 1.0)]);
}

#[test]
fn probes_are_bounded_and_delay_nobody_else() {
    let silent = target::http().silent().start();
    let quick = target::http().start();
    let host = host().config(&module("m", "timeout = \"1m\"")).start();
    let waited_for = silent.url("/");
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| metrics(&host, "m", &waited_for));
        }
        until("as many probes as may be", || match silent.count() {
            64 => Ok(()),
            count => Err(format!("{count}")),
        });
        let answer = probe(&host, "m", &quick.url("/"), "");
        assert_eq!((answer.code, answer.body.as_str()), (503, "Too many probes are under way\n"));
        assert_eq!(quick.count(), 0);
        assert_eq!(host.get("/livez").code, 200);
        // Closes what was left waiting.
        drop(silent);
    });
    expect(&metrics(&host, "m", &quick.url("/")), &[("probe_success", 1.0)]);
}

#[test]
fn a_real_prometheus_scrapes_probes() {
    let nginx = nginx();
    let host = host().config(&module("local", "")).start();
    let targets = [nginx.url("/broken"), nginx.url("/ok")];
    let config = format!(
        r#"
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: probe
    metrics_path: /probe
    params: {{ module: [local] }}
    static_configs: [ {{ targets: ["{}", "{}"] }} ]
    relabel_configs:
      - {{ source_labels: [__address__], target_label: __param_target }}
      - {{ source_labels: [__param_target], target_label: instance }}
      - {{ target_label: __address__, replacement: "{}" }}
  - job_name: refused
    metrics_path: /probe
    static_configs: [ {{ targets: ["{}"] }} ]
    params: {{ target: ["{}"] }}
"#,
        targets[0],
        targets[1],
        host.address,
        host.address,
        nginx.url("/ok"),
    );
    let prometheus = Prometheus::configured(&config);
    let found = |query: &str, wanted: usize| prometheus.until_series(query, "instance", wanted);
    let pair = |index: usize, value: &str| (targets[index].clone(), value.to_owned());
    assert_eq!(found("probe_success", 2), [pair(0, "0"), pair(1, "1")]);
    assert_eq!(found("probe_http_status_code", 2), [pair(0, "503"), pair(1, "200")]);
    assert_eq!(found("probe_timeout_seconds", 2), [pair(0, "0.5"), pair(1, "0.5")]);
    assert_eq!(found("up{job=\"probe\"}", 2), [pair(0, "1"), pair(1, "1")]);
    // A target that may not be probed is the scrape's own failure, and not the target's.
    let up = prometheus.until_series("up{job=\"refused\"}", "job", 1);
    assert_eq!(up, [("refused".to_owned(), "0".to_owned())]);
    let phases =
        prometheus.until_series("sum by (phase) (probe_http_duration_seconds)", "phase", 5);
    let phases: Vec<&str> = phases.iter().map(|(phase, _)| phase.as_str()).collect();
    assert_eq!(phases, ["connect", "processing", "resolve", "tls", "transfer"]);
}
