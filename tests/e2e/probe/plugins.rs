//! Modules that run a plugin.

use super::*;

#[test]
fn a_plugin_probes_what_it_is_given_and_its_observations_are_metrics() {
    let target = target::http().start();
    let other = target::http().start();
    let config = format!(
        r#"
[[module]]
name = "get"
plugin = "http-get"
target-setting = "url"
grants = {{ http = ["http://{address}"] }}
[[module]]
name = "Echo_1.0"
plugin = "echo"
[module.settings]
status = "warn"
message = "almost"
observations = [
  {{ name = "depth", value = 17.5, unit = "B", labels = {{ name = "orders", "a-b" = "c\"d" }} }},
  {{ name = "depth", value = 3 }},
]
[[module]]
name = "listed"
plugin = "http-get"
target-setting = "url"
grants = {{ http = ["http://{address}"] }}
targets = ["127.0.0.1:{port}", "queue.example.com"]
[[module]]
name = "missing"
plugin = "not-there"
[[module]]
name = "broken"
plugin = "echo"
settings = {{ status = "no such status" }}
"#,
        address = target.address,
        port = target.address.port(),
    );
    let host = host().guest("http-get").guest("echo").config(&config).start();
    host.until_ready();
    assert_eq!(host.names(), Vec::<String>::new(), "a module's plugin is not a check of its own");

    let get = metrics(&host, "get", &target.url("/x"));
    expect(&get, &[("probe_success", 1.0), ("probe_observation{name=\"status\"}", 200.0)]);
    assert!(target.requests()[0].starts_with("GET /x "), "{:?}", target.requests());

    let echo = metrics(&host, "Echo_1.0", "anything at all");
    expect(
        &echo,
        &[
            ("probe_success", 1.0),
            ("probe_outcome_info{status=\"warn\"}", 1.0),
            (
                "probe_observation{name=\"depth\",unit=\"B\",a_b=\"c\\\"d\",label_name=\"orders\"}",
                17.5,
            ),
            ("probe_observation{name=\"depth\"}", 3.0),
        ],
    );
    assert_eq!(names(&echo), set(&[ALWAYS, &["probe_observation"]]));

    // Its grants bind it, whatever the target; with a list, also the list.
    let denied = metrics(&host, "get", &other.url("/"));
    expect(
        &denied,
        &[
            ("probe_success", 0.0),
            ("probe_outcome_info{status=\"unknown\",reason=\"denied\"}", 1.0),
        ],
    );
    expect(&metrics(&host, "listed", &target.url("/")), &[("probe_success", 1.0)]);
    let answer = probe(&host, "listed", &other.url("/"), "");
    assert_eq!((answer.code, answer.body.contains("`targets`")), (403, true), "{answer:?}");
    assert_eq!(other.count(), 0);

    for (module, reason) in [("missing", "missing"), ("broken", "bad-settings")] {
        let series = format!("probe_outcome_info{{status=\"unknown\",reason=\"{reason}\"}}");
        expect(&metrics(&host, module, "x"), &[("probe_success", 0.0), (&series, 1.0)]);
    }
    for text in [get, echo, denied] {
        assert_eq!(promtool(&text), "", "{text}");
    }
    let debug = probe(&host, "Echo_1.0", "x", "&debug=true").body;
    assert!(
        debug.contains("status = \"[redacted]\"") && debug.contains("message=almost"),
        "{debug}"
    );
}
