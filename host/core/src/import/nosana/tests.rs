//! What a job comes to, and what of it is refused.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::tree::{Lookup, Table, Text};
use crate::config::{Config, Kinds, Sources, load};
use crate::fact::Asked;
use crate::id::CheckName;

/// The example of the documentation page, as it stands there.
const DOCUMENTED: &str = r#"{
  "version": "0.1",
  "type": "container",
  "meta": {
    "trigger": "cli"
  },
  "ops": [
    {
      "type": "container/run",
      "id": "local-check",
      "args": {
        "cmd": [],
        "image": "my-local-image",
        "expose": [
          {
            "port": 8080,
            "health_checks": [
              {
                "type": "http",
                "path": "/health",
                "method": "GET",
                "expected_status": 200
              }
            ]
          }
        ]
      }
    }
  ]
}
"#;

/// Something of everything.
const RICH: &str = r##"{
  "version": "0.1",
  "type": "container",
  "meta": { "trigger": "dashboard", "system_requirements": { "required_vram": 6 } },
  "global": { "env": { "A": "b" }, "variables": { "path": "/x" } },
  "logistics": { "send": { "type": "api", "args": { "endpoint": "https://x" } } },
  "ops": [
    { "type": "container/create-volume", "id": "disk", "args": { "name": "data" },
      "execution": { "group": "first" } },
    {
      "type": "container/run",
      "id": "Model Server",
      "args": {
        "image": "vllm", "cmd": ["--port", "9000"], "gpu": true, "env": { "K": "v" },
        "resources": [
          { "type": "S3", "url": "https://s", "target": "/data", "IAM":
            { "REGION": "r", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s" } },
          { "type": "HF", "repo": "a/b", "target": "/hf" },
          { "__spread__": "%%ops.disk.results.resources%%" },
          "__remove-if-empty__"
        ],
        "expose": [
          {
            "port": 9000,
            "type": "api",
            "health_checks": [
              { "type": "http", "path": "/v1/models?all=1", "method": "GET", "expected_status": 200,
                "headers": { "X-Probe": "it's ${HOME} \"here\"" }, "continuous": true },
              { "type": "http", "path": "/embed", "method": "POST", "expected_status": 301,
                "body": { "b": [1, 2.50, null], "a": "${file:/etc/passwd}" }, "continuous": false },
              { "type": "http", "path": "/put", "method": "PUT", "expected_status": 2.0e2,
                "headers": { "content-type": "text/plain", "X-Empty": "" }, "body": "raw\ntext" },
              { "type": "http", "path": "", "method": "DELETE", "expected_status": 204,
                "body": "not sent" },
              { "type": "websocket", "expected_response": "hello \"you\"", "continuous": true }
            ]
          },
          9001,
          "9100-9105",
          { "port": "9200-9201", "health_checks": [
            { "type": "websocket", "expected_response": "", "continuous": false } ] },
          "%%ops.disk.results.expose%%",
          { "__spread__": "%%global.variables.ports%%" },
          { "port": 9300, "health_checks": [
            { "type": "http", "path": "%%global.variables.path%%", "method": "GET",
              "expected_status": 200, "headers": { "Authorization": "Bearer %%ops.disk.host%%" } } ] }
        ]
      },
      "execution": { "group": "second" }
    },
    {
      "type": "container/run", "id": "relay", "args": { "image": "relay", "expose": 7000 },
      "execution": { "group": "second", "depends_on": ["Model Server"] }
    },
    {
      "type": "container/run",
      "id": "model-server",
      "args": { "image": "ui", "expose": { "port": 8080, "type": "web", "health_checks": [
        { "type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": true }
      ] } },
      "execution": { "group": "second", "depends_on": ["relay"], "stop_if_dependent_stops": true }
    }
  ]
}
"##;

fn file(text: &str) -> SourceFile {
    SourceFile { name: "job.json".into(), text: text.to_owned() }
}

#[track_caller]
fn good(text: &str) -> Translated {
    match translate(&file(text), &Options::default()) {
        Ok(translated) => translated,
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn notes(translated: &Translated) -> String {
    let notes = translated.notes.iter();
    notes.map(|note| format!("{}: {}\n", note.place, note.message)).collect()
}

struct Nothing;

impl Lookup for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        Some("from the environment".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Ok("from a file".to_owned())
    }
}

/// Takes every setting, and remembers it.
#[derive(Default)]
struct Settings(Vec<(String, Table)>);

impl Kinds for Settings {
    fn read(
        &mut self,
        _: &str,
        name: Option<&CheckName>,
        _: &Text,
        settings: &Table,
        _: &Asked,
        _: &mut Problems,
    ) {
        self.0.push((name.map(ToString::to_string).unwrap_or_default(), settings.clone()));
    }
}

/// What the configuration makes of it.
#[track_caller]
fn loaded(toml: &str) -> (Config, Settings) {
    let main = Some(SourceFile { name: "wellcheck.toml".into(), text: toml.to_owned() });
    let mut settings = Settings::default();
    let (config, problems) = load(&Sources { main, ..Sources::default() }, &Nothing, &mut settings);
    assert_eq!(lines(&problems), "", "{toml}");
    (config.expect("there are no problems"), settings)
}

#[test]
fn the_documented_example_is_one_check_in_one_group() {
    let translated = good(DOCUMENTED);
    assert_eq!(notes(&translated), "");
    assert_eq!(
        translated.toml,
        r#"# Made from the Nosana job definition `job.json`.

# Operation "local-check", port 8080.
[[group]]
name = "local-check-8080"
title = "local-check, port 8080"
members = ["local-check-8080-1"]
healthy = "all"
labels = { op = "local-check", port = "8080", url = "http://127.0.0.1:8080" }

[[check]]
name = "local-check-8080-1"
title = "local-check, port 8080: http GET /health"
kind = "http"
url = "http://127.0.0.1:8080/health"
method = "GET"
expect-status = 200
redirects = 0
startup-interval = "5s"
interval = "30s"
timeout = "5s"
startup-with = "local-check-8080"
continuous = false
failure-threshold = 1
success-threshold = 1
"#
    );
    loaded(&translated.toml);
}

#[test]
fn a_rich_job_is_carried_over_as_a_person_would_write_it() {
    let translated = good(RICH);
    let shown = format!("{}\n--- notes ---\n{}", translated.toml, notes(&translated));
    insta::assert_snapshot!("rich_job", shown);
    assert_eq!(good(RICH), translated, "it is the same each time");
    let (config, settings) = loaded(&translated.toml);
    assert_eq!(config.groups.len(), 7);
    assert_eq!(config.checks.len(), 8);
    // Texts of the job are what they are: they name no variables and no files of ours.
    let shown = format!("{:?}", settings.0);
    assert!(shown.contains("${HOME}") && shown.contains("${file:/etc/passwd}"), "{shown}");
    let body = settings.0.iter().find(|(name, _)| name == "model-server-9000-2");
    let body = &body.expect("it is there").1.to_json()["body"];
    assert_eq!(body, r#"{"b":[1,2.50,null],"a":"${file:/etc/passwd}"}"#);
    for (name, place) in &translated.places {
        assert!(place.line > 0, "{name}");
    }
    assert_eq!(translated.operations, ["disk", "Model Server", "relay", "model-server"]);
}

#[test]
fn hosts_and_intervals_are_those_of_the_options() {
    let hosts = [("local-check".to_owned(), "::1".to_owned())].into();
    let options = Options {
        hosts,
        startup_interval: Duration::from_millis(100),
        interval: Duration::from_secs(90),
    };
    let translated = translate(&file(DOCUMENTED), &options).expect("it is good");
    for line in [
        "url = \"http://[::1]:8080/health\"",
        "url = \"http://[::1]:8080\" }",
        "startup-interval = \"100ms\"",
        "interval = \"90s\"",
        "timeout = \"100ms\"",
    ] {
        assert!(translated.toml.contains(line), "`{line}` is not in {}", translated.toml);
    }
    for host in ["a b", "http://x", "x:80", "a@b", "", "1.2.3.999", "x/y", "[::1", "-\u{e4}"] {
        let hosts = [("local-check".to_owned(), host.to_owned())].into();
        let problems = translate(&file(DOCUMENTED), &Options { hosts, ..Options::default() });
        let problems = lines(&problems.expect_err("it is no host"));
        assert!(problems.contains("is no host (expected a name or an address"), "{problems}");
    }
}

#[test]
fn an_empty_job_is_an_empty_configuration_with_a_note() {
    let translated = good(r#"{ "version": "0.1", "type": "container", "ops": [] }"#);
    assert_eq!(translated.toml, "# Made from the Nosana job definition `job.json`.\n");
    assert!(notes(&translated).contains("exposes no port"), "{}", notes(&translated));
}

/// A job with one operation, whose `args` are these.
fn with_args(args: &str) -> String {
    format!(
        "{{\"version\":\"0.1\",\"type\":\"container\",\"ops\":[\n{{\"type\":\"container/run\",\"id\":\"a\",\"args\":\n{args}}}]}}"
    )
}

fn with_expose(expose: &str) -> String {
    with_args(&format!("{{\"image\":\"i\",\"expose\":\n{expose}}}"))
}

fn with_check(check: &str) -> String {
    with_expose(&format!("[{{\"port\":80,\"health_checks\":[\n{check}]}}]"))
}

#[track_caller]
fn check_refused(text: &str, says: &[&str]) {
    let problems = match translate(&file(text), &Options::default()) {
        Ok(translated) => panic!("it was taken: {}", translated.toml),
        Err(problems) => lines(&problems),
    };
    for says in says {
        assert!(problems.contains(says), "`{says}` is not in:\n{problems}");
    }
    assert_eq!(problems.lines().count(), says.len(), "{problems}");
}

#[test]
fn what_the_schema_refuses_is_refused_where_it_stands() {
    check_refused("[]", &["job.json:1:1: error: the job is a list (expected an object)"]);
    check_refused(
        "{}",
        &[
            "job.json:1:1: error: the job has no `version`, which is required",
            "the job has no `type`",
            "the job has no `ops`",
        ],
    );
    check_refused(
        "{\"version\": 1,\n \"type\": \"vm\",\n \"ops\": {},\n \"color\": 1, \"opps\": []}",
        &[
            "job.json:1:13: error: `version` is a number (expected a string)",
            "job.json:2:10: error: `type` is \"vm\" (expected \"container\")",
            "job.json:3:9: error: `ops` is an object (expected a list)",
            "job.json:4:2: error: unknown property `color` (known properties: version, type,",
            "job.json:4:14: error: unknown property `opps` (did you mean `ops`?)",
        ],
    );
    check_refused(
        "{\"version\":\"0.1\",\"type\":\"container\",\"meta\":{\"trigger\":1,\"system_resources\":{\"a\":[]},\"x\":{}},\"global\":{\"gpu\":\"yes\",\"cpu\":1},\"logistics\":{\"send\":{\"type\":\"mail\"}},\"ops\":[]}",
        &[
            "`meta.trigger` is a number",
            "`meta.system_resources.a` is a list (expected a number or a string)",
            "`global.gpu` is a string (expected true or false)",
            "unknown property `global.cpu`",
            "`logistics.send.type` is \"mail\" (expected \"api\" or \"api-listen\")",
            "`logistics.send` has no `args`",
        ],
    );
    check_refused(
        "{\"version\":\"0.1\",\"type\":\"container\",\"ops\":[\n{\"type\":\"container/stop\",\"id\":\"a\",\"args\":{}},\n{\"type\":\"container/create-volume\",\"id\":\"b\",\"args\":{\"image\":\"x\"}},\n{\"id\":3},\n7]}",
        &[
            "job.json:2:9: error: `ops[0].type` is \"container/stop\" (expected \"container/run\" or",
            "unknown property `ops[1].args.image` (known properties: name)",
            "job.json:3:51: error: `ops[1].args` has no `name`",
            "`ops[2].id` is a number (expected a string)",
            "`ops[2]` has no `type`",
            "`ops[2]` has no `args`",
            "job.json:5:1: error: `ops[3]` is a number (expected an object)",
        ],
    );
    check_refused(
        &with_args(
            "{\"image\":1,\"cmd\":[1],\"gpu\":1,\"private\":\"\",\"env\":{\"A\":1},\"volumes\":[{\"name\":\"n\"}],\n\"resources\":[{\"type\":\"FTP\"},{\"type\":\"S3\",\"target\":\"t\",\"bucket\":\"b\",\"buckets\":[]},\"x\"],\"restart_policy\":\"never\",\"exposes\":1}",
        ),
        &[
            "job.json:3:10: error: `ops[0].args.image` is a number",
            "`ops[0].args.cmd[0]` is a number (expected a string)",
            "`ops[0].args.gpu`",
            "`ops[0].args.private`",
            "`ops[0].args.env.A` is a number",
            "`ops[0].args.volumes[0]` has no `dest`",
            "job.json:4:22: error: `ops[0].args.resources[0]` has no `type` of \"S3\", \"HF\" or \"Ollama\"",
            "`ops[0].args.resources[1]` has both `bucket` and `buckets`",
            "`ops[0].args.resources[2]` is a string",
            "`ops[0].args.restart_policy` is \"never\"",
            "unknown property `ops[0].args.exposes` (did you mean `expose`?)",
        ],
    );
}

#[test]
fn ports_and_ranges_are_what_they_must_be() {
    for (expose, says) in [
        ("0", "job.json:4:1: error: `0` is no port (expected a whole number from 1 to 65535"),
        ("65536", "`65536` is no port"),
        ("80.5", "`80.5` is no port"),
        ("-80", "`-80` is no port"),
        ("\"80\"", "`80` is no port"),
        ("\"3000-3000\"", "`3000-3000` is no port"),
        ("\"3005-3000\"", "`3005-3000` is no port"),
        ("\"3000-\"", "`3000-` is no port"),
        ("\"+1-3\"", "`+1-3` is no port"),
        ("\"1-65536\"", "`1-65536` is no port"),
        ("\"%%secrets.x%%\"", "`%%secrets.x%%` is no port"),
        ("true", "`ops[0].args.expose` is a boolean (expected a port"),
        ("[[80]]", "job.json:4:2: error: `ops[0].args.expose[0]` is a list (expected a port"),
        (
            "[80, 81,\n80]",
            "job.json:5:1: error: port 80 is exposed twice (the first stands at job.json:4:2)",
        ),
        (
            "[\"80-90\",\n85]",
            "job.json:5:1: error: port 85 overlaps 80-90, which stands at job.json:4:2",
        ),
        ("[85, \"80-90\"]", "port 80-90 overlaps 85"),
        ("[\"80-90\", \"90-95\"]", "port 90-95 overlaps 80-90"),
        (
            "[{\"port\":80,\"ports\":1}]",
            "unknown property `ops[0].args.expose[0].ports` (did you mean `port`?)",
        ),
        ("[{\"type\":\"web\"}]", "`ops[0].args.expose[0]` has no `port`"),
        (
            "[{\"port\":80,\"type\":\"grpc\"}]",
            "`ops[0].args.expose[0].type` is \"grpc\" (expected \"web\" or",
        ),
        ("[{\"__spread__\":\"x\"}]", "`ops[0].args.expose[0].__spread__` is no placeholder"),
        (
            "[{\"__spread__\":\"%%ops.a%%\",\"port\":1}]",
            "unknown property `ops[0].args.expose[0].port`",
        ),
        (
            "[{\"port\":80,\"health_checks\":{}}]",
            "`ops[0].args.expose[0].health_checks` is an object (expected a list)",
        ),
    ] {
        check_refused(&with_expose(expose), &[says]);
    }
    // Side by side is not one over the other.
    assert_eq!(good(&with_expose("[\"80-90\", \"91-95\", 96]")).places.len(), 3);
}

#[test]
fn health_checks_are_what_they_must_be() {
    let http = |more: &str| {
        with_check(&format!(
            "{{\"type\":\"http\",\"path\":\"/\",\"method\":\"GET\",\"expected_status\":200{more}}}"
        ))
    };
    good(&http(",\"continuous\":true,\"headers\":{},\"body\":null"));
    for (check, says) in [
        (
            http(",\"continuous\":\"yes\""),
            "`ops[0].args.expose[0].health_checks[0].continuous` is a string (expected true or false)",
        ),
        (
            http(",\"timeout\":1"),
            "unknown property `ops[0].args.expose[0].health_checks[0].timeout`",
        ),
        (
            http(",\"headers\":{\"A\":1}"),
            "health_checks[0].headers.A` is a number (expected a string)",
        ),
        (http(",\"headers\":{\"A b\":\"1\"}"), "`A b` is no name of a header"),
        (http(",\"headers\":{\"A\":\"1\\r\\nB: 2\"}"), "headers.A` holds a line break"),
        (http("").replace("200", "99"), "expected_status` is no code that a server can answer"),
        (http("").replace("200", "200.5"), "expected_status` is no code"),
        (http("").replace("200", "\"200\""), "expected_status` is a string (expected a number)"),
        (
            http("").replace("GET", "HEAD"),
            "method` is \"HEAD\" (expected \"GET\" or \"POST\" or \"PUT\" or \"DELETE\")",
        ),
        (
            http("").replace("\"/\"", "\"health\""),
            "path` is \"health\" (expected one that begins with `/`",
        ),
        (http("").replace("\"/\"", "\"@example.com/\""), "path` is \"@example.com/\""),
        (http("").replace("\"/\"", "\"/a b\""), "path` is \"/a b\""),
        (http("").replace("\"/\"", "\"0/\""), "path` is \"0/\""),
        (
            http("").replace("http", "grpc"),
            "job.json:5:9: error: `ops[0].args.expose[0].health_checks[0].type` is \"grpc\" (expected \"http\" or \"websocket\")",
        ),
        (
            with_check("{\"path\":\"/\"}"),
            "job.json:5:1: error: `ops[0].args.expose[0].health_checks[0]` has no `type`, which is required",
        ),
        (with_check("{\"type\":\"websocket\"}"), "has no `expected_response`, which is required"),
        (
            with_check("{\"type\":\"websocket\",\"expected_response\":\"x\",\"path\":\"/\"}"),
            "unknown property `ops[0].args.expose[0].health_checks[0].path`",
        ),
        (
            with_check("[]"),
            "`ops[0].args.expose[0].health_checks[0]` is a list (expected an object)",
        ),
    ] {
        check_refused(&check, &[says]);
    }
    check_refused(
        &with_check("{\"type\":\"http\"}"),
        &["has no `path`", "has no `method`", "has no `expected_status`"],
    );
}

/// Operations with these ids and executions, each with a check on port 80.
fn with_executions(operations: &[(&str, &str)]) -> String {
    let operations: Vec<String> = operations
        .iter()
        .map(|(id, execution)| {
            format!("\n{{\"type\":\"container/run\",\"id\":\"{id}\",\"args\":{{\"image\":\"i\",\"expose\":[{{\"port\":80,\"health_checks\":[{{\"type\":\"http\",\"path\":\"/\",\"method\":\"GET\",\"expected_status\":200}}]}}]}},\"execution\":{execution}}}")
        })
        .collect();
    format!("{{\"version\":\"0.1\",\"type\":\"container\",\"ops\":[{}]}}", operations.join(","))
}

#[test]
fn dependencies_lie_in_the_same_stage_and_lead_nowhere_in_a_circle() {
    for (operations, says) in [
        (
            vec![("a", "{}"), ("a", "{}")],
            vec![
                "job.json:3:30: error: a second operation is called `a` (the first stands at job.json:2:30)",
            ],
        ),
        (
            vec![("web", "{}"), ("b", "{\"depends_on\":[\"webb\"]}")],
            vec![
                "operation `b` depends on `webb`, and there is no such operation (did you mean `web`?)",
            ],
        ),
        (vec![("a", "{\"depends_on\":[\"a\"]}")], vec!["operation `a` depends on itself"]),
        (
            vec![("a", "{\"group\":\"x\"}"), ("b", "{\"group\":\"y\",\"depends_on\":[\"a\"]}")],
            vec!["operation `b` depends on `a`, which is in another `execution.group`"],
        ),
        (
            vec![("a", "{\"depends_on\":[\"b\"]}"), ("b", "{\"depends_on\":[\"a\"]}")],
            vec![
                "operation `a` waits for `b` in a circle",
                "operation `b` waits for `a` in a circle",
            ],
        ),
        (
            vec![("a", "{\"stop_if_dependent_stops\":true}")],
            vec!["`ops[0].execution` has `stop_if_dependent_stops` and no `depends_on`"],
        ),
        (
            vec![("a", "{\"depends_on\":\"b\",\"groups\":1}")],
            vec![
                "`ops[0].execution.depends_on` is a string (expected a list)",
                "unknown property `ops[0].execution.groups` (did you mean `group`?)",
            ],
        ),
    ] {
        check_refused(&with_executions(&operations), &says);
    }
    let chain = with_executions(&[
        ("a", "{\"group\":\"x\"}"),
        ("b", "{\"group\":\"x\",\"depends_on\":[\"a\"]}"),
        ("c", "{\"group\":\"x\",\"depends_on\":[\"b\",\"a\"]}"),
        ("d", "{\"group\":\"y\",\"depends_on\":[]}"),
    ]);
    let translated = good(&chain);
    let gates: Vec<&str> =
        translated.toml.lines().filter(|line| line.starts_with("start-after")).collect();
    assert_eq!(gates, ["start-after = [\"a-80\"]", "start-after = [\"b-80\", \"a-80\"]"]);
    let said = notes(&translated);
    assert!(said.contains("`execution.group` \"y\" begins when \"x\" has ended"), "{said}");
    loaded(&translated.toml);
}

#[test]
fn sizes_are_bounded() {
    let check = "{\"type\":\"websocket\",\"expected_response\":\"x\"}";
    let range = |last: u16| {
        with_expose(&format!("[{{\"port\":\"1-{last}\",\"health_checks\":[{check}]}}]"))
    };
    assert_eq!(good(&range(1000)).places.len(), 2000);
    check_refused(
        &range(1001),
        &[
            "job.json:4:10: error: with port 1-1001 of operation `a` the job has more than 1000 checks",
        ],
    );
    let ports: Vec<String> = (1..=1001).map(|port| port.to_string()).collect();
    check_refused(
        &with_expose(&format!("[{}]", ports.join(","))),
        &["with port 1001 of operation `a` the job has more than 1000 ports"],
    );
    assert_eq!(
        good(&with_expose("\"1-65535\"")).places.len(),
        1,
        "a range without checks is one group"
    );

    let wrong = vec!["true"; 5000].join(",");
    let problems = translate(&file(&with_expose(&format!("[{wrong}]"))), &Options::default());
    let problems = problems.expect_err("they are all wrong");
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].message, "… and 4900 more");

    let long = "x".repeat(201);
    check_refused(
        &with_expose("80").replace("\"id\":\"a\"", &format!("\"id\":\"{long}\"")),
        &["`ops[0].id` is longer than 200 bytes"],
    );
    let long = "日".repeat(66);
    let text = with_check(check).replace("\"id\":\"a\"", &format!("\"id\":\"{long}\""));
    loaded(&good(&text).toml);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_job_makes_it_panic_and_what_it_makes_can_be_read(
        edits in proptest::collection::vec((0..RICH.len(), "[\"{}\\[\\],:a0%-]{0,3}", 0_usize..4), 1..4),
    ) {
        let mut text = RICH.to_owned();
        for (at, with, cut) in edits {
            let end = (at + cut).min(text.len());
            if at <= end && text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &with);
            }
        }
        match translate(&file(&text), &Options::default()) {
            Ok(translated) => drop(loaded(&translated.toml)),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
