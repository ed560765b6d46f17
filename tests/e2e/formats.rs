//! Every format over the states that matter, as snapshots: what goes over the wire, to the byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wellcheck_core::check::{CheckSpec, Origin, Thresholds, What};
use wellcheck_core::config::tree::Place;
use wellcheck_core::config::{Problem, Severity};
use wellcheck_core::endpoint::Detail;
use wellcheck_core::format::{FORMATS, Format, Options, Selection, api, by_name};
use wellcheck_core::grant::Grants;
use wellcheck_core::group::{Count, GroupSpec, Member, Needs, UnknownMember};
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Observation, Outcome, Part, Report, Run, RunLog,
};
use wellcheck_core::snapshot::{
    CheckState, Configuration, Facts, GroupState, Held, Item, Last, Newest, PluginFacts,
    PluginState, Setup, Snapshot,
};
use wellcheck_core::status::Status;
use wellcheck_core::time::WallTime;

use crate::support::guests::root;
use crate::support::redact::{self, check_snapshot};

/// 2023-11-14T22:13:20Z, and milliseconds after it.
const fn at(ms: i64) -> WallTime {
    WallTime(1_700_000_000_000 + ms)
}

fn plugin() -> Arc<PluginFacts> {
    Arc::new(PluginFacts {
        name: "queue".to_owned(),
        own_name: "queue-depth".to_owned(),
        version: "1.2.3".to_owned(),
        summary: "counts".to_owned(),
        digest: "d".repeat(64),
        size: 1234,
        line: "0.1".to_owned(),
        wants: vec![(
            "http".to_owned(),
            "https://api.example.com".to_owned(),
            "to read the queue".to_owned(),
        )],
        imports: vec!["HTTP", "log"],
    })
}

/// A check that has not run.
fn check(name: &str, origin: Origin) -> CheckState {
    let what = What::Plugin {
        plugin: PluginName::new("queue").expect("a name"),
        settings: serde_json::json!({}),
        grants: Grants::default(),
        limits: RunLimits::default(),
    };
    let name = CheckName::new(name).expect("a name");
    let spec = CheckSpec { origin, ..CheckSpec::new(name, what, Place::file("wellcheck.toml")) };
    let facts = Facts { target: None, port: 0, plugin: Some(plugin()) };
    CheckState::new(Arc::new(spec), Arc::new(facts), at(0))
}

/// A check whose last run had this outcome.
fn ran(name: &str, outcome: Outcome) -> CheckState {
    let state = outcome.status();
    let run = Run::new(outcome, Duration::from_micros(1_234_567));
    let last = Some(Arc::new(Last { run, at: at(500) }));
    CheckState { state, last, ..check(name, Origin::Configured) }
}

fn answered(name: &str, status: Answer, message: &str) -> CheckState {
    ran(name, Outcome::Answered(Report::new(status, message)))
}

fn held(name: &str, reason: FaultReason, message: &str) -> CheckState {
    let held = Some(Held { reason, message: message.to_owned() });
    CheckState { held, ..check(name, Origin::Dropped) }
}

/// Somebody works on its target.
fn aside(mut state: CheckState) -> CheckState {
    state.aside = Some(wellcheck_core::snapshot::Aside::maintenance());
    state
}

/// A group in the state that these members argue for.
fn group(name: &str, needs: Needs, members: &[(&str, Status)]) -> GroupState {
    let checked = |name: &str| CheckName::new(name).expect("a name");
    let member = |(name, _): &(&str, Status)| Member { name: checked(name), weight: 1 };
    let spec = GroupSpec {
        name: checked(name),
        title: Some(format!("The group {name}")),
        tags: vec!["core".to_owned()],
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        members: members.iter().map(member).collect(),
        needs,
        unknown: UnknownMember::Unhealthy,
        thresholds: Thresholds { failure: 1, within: None, success: 1 },
        place: Place::file("wellcheck.toml"),
    };
    let mut count = Count::default();
    members.iter().for_each(|(_, status)| count.add(*status, 1));
    let healthy = members.iter().filter(|(_, status)| status.is_healthy()).count();
    GroupState {
        state: spec.status(&count).expect("it has members"),
        spec: Arc::new(spec),
        since: at(0),
        asked: true,
        maintenance: false,
        healthy: (healthy, members.len()),
    }
}

/// A group that stands a failing member, and a group in a group.
fn grouped() -> Snapshot {
    let checks = vec![
        answered("a", Answer::Pass, "fine"),
        answered("b", Answer::Fail, "down"),
        answered("c", Answer::Warn, "half full"),
        answered("d", Answer::Pass, "fine"),
    ];
    let groups = vec![
        group("any", Needs::AtLeast(1), &[("a", Status::Pass), ("b", Status::Fail)]),
        group("inner", Needs::All, &[("c", Status::Warn)]),
        group("outer", Needs::All, &[("inner", Status::Warn), ("d", Status::Pass)]),
    ];
    Snapshot { groups: groups.into_iter().map(Arc::new).collect(), ..snapshot(checks, setup()) }
}

fn snapshot(mut checks: Vec<CheckState>, setup: Setup) -> Snapshot {
    checks.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    Snapshot {
        windows: [].into(),
        at: at(1000),
        started: at(-5000),
        checks: checks.into_iter().map(Arc::new).collect(),
        groups: Vec::new(),
        setup: Arc::new(setup),
    }
}

fn applied() -> Configuration {
    Configuration { read: at(-4000), applied: true, problems: Vec::new() }
}

fn setup() -> Setup {
    Setup { configuration: applied(), ..Setup::default() }
}

fn troubled() -> Setup {
    let place = Place { file: "wellcheck.toml".into(), line: 3, column: 7 };
    let problem = Problem { severity: Severity::Error, place, message: "unknown key".to_owned() };
    let state = |name: &str, running, newest| PluginState {
        name: name.to_owned(),
        running,
        newest,
        fetched: None,
    };
    Setup {
        configuration: Configuration { read: at(0), applied: false, problems: vec![problem] },
        plugins: vec![
            state("big", None, Newest::Loading("the plugin is being compiled".to_owned())),
            state("broken", Some(plugin()), Newest::Broken("read: the file is empty".to_owned())),
            state("new", None, Newest::Broken("validate: no component".to_owned())),
            state("queue", Some(plugin()), Newest::Running),
        ],
        notes: vec!["the file `X.wasm` is not used: \"quoted\" and <b>\u{1f600}</b>".to_owned()],
        starting: 1,
        ..Setup::default()
    }
}

/// A version that wants more than it is granted waits, and the one before it goes on.
fn blocked() -> Setup {
    let waits = vec!["env `TZ`".to_owned(), "http `https://b.example`".to_owned()];
    let newest = Newest::Blocked(waits);
    let plugin =
        PluginState { name: "queue".to_owned(), running: Some(plugin()), newest, fetched: None };
    Setup { plugins: vec![plugin], ..setup() }
}

fn full() -> CheckState {
    let observation = |queue: &str, value| Observation {
        labels: vec![("queue".to_owned(), queue.to_owned())],
        warn: Some("500".to_owned()),
        fail: Some("~:1000".to_owned()),
        ..Observation::new("depth", value, "")
    };
    let part = |name: &str, status, message: &str| Part {
        name: name.to_owned(),
        status,
        message: message.to_owned(),
    };
    let report = Report {
        observations: vec![
            observation("orders", 501.0),
            Observation::seconds("response-time", Duration::from_micros(1500)),
            observation("mails", 0.25),
        ],
        parts: vec![
            part("orders", Answer::Warn, "501 messages"),
            part("mails", Answer::Pass, "a \"quoted\" text"),
        ],
        details: vec![("server".to_owned(), "nginx/1.22".to_owned())],
        ..Report::new(Answer::Warn, "orders: 501 messages")
    };
    let log = RunLog {
        lines: vec!["a line".to_owned()],
        flags: vec!["2 observations were left out".to_owned()],
    };
    let state = ran("queue", Outcome::Answered(report));
    let mut spec = (*state.spec).clone();
    spec.title = Some("The \"queue\"".to_owned());
    spec.tags = vec!["core".to_owned(), "mq".to_owned()];
    let last = state.last.as_deref().expect("it ran").clone();
    let last = Last { run: Run { log, ..last.run }, ..last };
    let facts = Facts {
        target: Some("http://10.0.0.7:15672/api".to_owned()),
        port: 15672,
        plugin: Some(plugin()),
    };
    CheckState {
        spec: Arc::new(spec),
        facts: Arc::new(facts),
        last: Some(Arc::new(last)),
        row: 2,
        ..state
    }
}

/// Every state that a format must be able to show.
fn states() -> BTreeMap<&'static str, Snapshot> {
    let fault = |reason, message: &str| Outcome::Faulted(Fault::new(reason, message));
    let refused = Report::fail(FailReason::Refused, "connection to `10.0.0.5:5432` refused");
    BTreeMap::from([
        ("empty", snapshot(Vec::new(), setup())),
        (
            "pass",
            snapshot(
                vec![answered("a", Answer::Pass, "fine"), answered("b", Answer::Pass, "")],
                setup(),
            ),
        ),
        (
            "warn",
            snapshot(
                vec![answered("a", Answer::Pass, "fine"), answered("b", Answer::Warn, "half full")],
                setup(),
            ),
        ),
        (
            "fail",
            snapshot(
                vec![
                    answered("a", Answer::Pass, "fine"),
                    ran("db", Outcome::Answered(refused)),
                    answered("c", Answer::Warn, "half full"),
                ],
                setup(),
            ),
        ),
        (
            "fault",
            snapshot(
                vec![
                    ran("loop", fault(FaultReason::Timeout, "CPU budget of 250ms used up")),
                    ran("net", fault(FaultReason::Denied, "no grant for `http://10.0.0.1:80`")),
                ],
                setup(),
            ),
        ),
        ("pending", snapshot(vec![check("a", Origin::Configured)], setup())),
        (
            "held",
            snapshot(
                vec![
                    held("big", FaultReason::Compiling, "the plugin is being compiled"),
                    held("broken", FaultReason::Load, "read: the file is empty"),
                    answered("good", Answer::Pass, "fine"),
                ],
                troubled(),
            ),
        ),
        ("full", snapshot(vec![full()], setup())),
        (
            "maintenance",
            snapshot(
                vec![
                    answered("a", Answer::Pass, "fine"),
                    aside(answered("b", Answer::Fail, "down")),
                ],
                setup(),
            ),
        ),
        ("all in maintenance", snapshot(vec![aside(answered("b", Answer::Fail, "down"))], setup())),
        ("groups", grouped()),
        ("blocked", snapshot(vec![answered("queue", Answer::Pass, "3 messages")], blocked())),
    ])
}

/// Everything of a snapshot, and what is worth an answer of its own.
fn selections<'a>(name: &str, snapshot: &'a Snapshot) -> Vec<(String, Selection<'a>)> {
    let all = Selection::all(snapshot);
    let mut selections = vec![(name.to_owned(), all.clone())];
    let of = |item: &str| Selection::item(snapshot, snapshot.item(item).expect("it is there"));
    match (name, &snapshot.checks[..]) {
        ("full" | "pending", [one]) => {
            let one = Selection::item(snapshot, Item::Check(one));
            selections.push((format!("{name}, one check"), one));
        }
        ("maintenance", _) => {
            selections.push((format!("{name}, the check in maintenance"), of("b")));
        }
        ("groups", _) => {
            selections.push((format!("{name}, one that stands a failing member"), of("any")));
            selections.push((format!("{name}, one in which there is one"), of("outer")));
        }
        _ => {}
    }
    for (word, detail) in [("names", Detail::Names), ("nothing", Detail::None)] {
        if ["full", "groups"].contains(&name) {
            let told = all.clone().told(Options { detail, ..Options::default() });
            selections.push((format!("{name}, telling {word}"), told));
        }
    }
    selections
}

/// The body, with a line for each value where it is JSON.
fn shown(format: &dyn Format, body: &[u8]) -> String {
    let text = std::str::from_utf8(body).expect("UTF-8");
    if format.media_type().contains("json") { pretty(text) } else { text.to_owned() }
}

/// JSON with line breaks. Keys stay in their order, which is a part of the wire format.
fn pretty(json: &str) -> String {
    let _: Value = serde_json::from_str(json).expect("valid JSON");
    let mut text = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    let line = |depth| format!("\n{:1$}", "", 2 * depth);
    while let Some(c) = chars.next() {
        if quoted {
            text.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                text.push(c);
                if chars.next_if(|next| matches!(next, '}' | ']')).is_some() {
                    text.push(if c == '{' { '}' } else { ']' });
                } else {
                    depth += 1;
                    text += &line(depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                text += &line(depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                text += &line(depth);
            }
            ':' => text += ": ",
            c => {
                quoted = c == '"';
                text.push(c);
            }
        }
    }
    text
}

#[test]
fn every_format_has_a_snapshot_of_every_state() {
    for format in FORMATS {
        let mut blocks = Vec::new();
        for (name, snapshot) in &states() {
            for (title, selection) in selections(name, snapshot) {
                let body = shown(*format, &format.render(&selection));
                blocks.push(format!("── {title}: {} ──\n{body}\n", format.code(&selection)));
            }
        }
        let name = format.name().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        check_snapshot(&format!("format_{name}"), &redact::version(&blocks.join("\n")));
    }
}

#[test]
fn the_json_api_has_a_snapshot_of_every_state() {
    let pretty = |body: Vec<u8>| pretty(&String::from_utf8(body).expect("UTF-8"));
    let mut blocks = Vec::new();
    for (name, snapshot) in &states() {
        blocks.push(format!("── {name}: list ──\n{}\n", pretty(api::list(snapshot))));
        if ["full", "fault", "held"].contains(name) {
            let details = snapshot.checks.iter().map(|check| pretty(api::detail(check)));
            blocks.extend(details.map(|text| format!("── {name}: detail ──\n{text}\n")));
        }
        if ["empty", "held"].contains(name) {
            blocks.push(format!(
                "── {name}: status ──\n{}\n",
                pretty(api::status(snapshot, &api::Host::default()))
            ));
        }
    }
    check_snapshot("api", &redact::version(&blocks.join("\n")));
}

/// Where a format's own rules say otherwise than that `pass` and `warn` are healthy, and what.
fn exception(format: &str, state: &str) -> Option<bool> {
    match (format, state) {
        // Genesis has no healthy warning, and to Consul one is "too many requests".
        ("genesis" | "consul" | "consul-text", "warn" | "full" | "groups") => Some(false),
        // To Spring, `UNKNOWN` speaks against nothing.
        ("spring" | "spring-v2", "pending" | "fault") => Some(true),
        // These take what is in maintenance out of service.
        ("spring" | "spring-v2" | "consul" | "consul-text", "all in maintenance") => Some(false),
        // What is expected is not installed yet.
        ("microprofile", "held") => Some(false),
        _ => None,
    }
}

/// The codes of a format where all is well, and where it is not.
fn codes(format: &str) -> (u16, u16) {
    match format {
        "clearskies" | "kubernetes" => (200, 500),
        "prometheus" | "openmetrics" | "shields" | "gatus" => (200, 200),
        _ => (200, 503),
    }
}

/// Formats that do not name every check.
pub(crate) const BRIEF: &[&str] =
    &["aspnet", "clearskies", "consul-text", "kubernetes", "nagios", "shields"];

/// Formats that name every check, and keep to themselves what it says.
const WORDLESS: &[&str] = &["nosana", "prometheus", "openmetrics"];

#[test]
fn codes_and_words_of_the_formats_agree_on_what_is_healthy() {
    for (name, snapshot) in &states() {
        let selection = Selection::all(snapshot);
        let healthy = selection.status().is_healthy();
        for format in FORMATS {
            let expected = exception(format.name(), name).unwrap_or(healthy);
            let code = format.code(&selection);
            let (well, ill) = codes(format.name());
            let ill = match format.name() {
                "consul" | "consul-text" if selection.status() == Status::Warn => 429,
                _ => ill,
            };
            assert_eq!(code, if expected { well } else { ill }, "{name}: {}", format.name());
        }
        let body: Value = serde_json::from_slice(&FORMATS[0].render(&selection)).expect("JSON");
        assert_eq!(body["status"] != "fail", healthy, "{name}");
    }
}

#[test]
fn a_media_type_belongs_to_one_format() {
    let mut seen = BTreeMap::new();
    for format in FORMATS {
        for media_type in format.accepts() {
            assert_eq!(*media_type, media_type.to_ascii_lowercase(), "{}", format.name());
            assert!(!media_type.contains([';', ' ', '*']), "{media_type}");
            let other = seen.insert(*media_type, format.name());
            assert_eq!(other, None, "`{media_type}` is also of `{}`", format.name());
        }
    }
    assert_eq!(seen.get("application/json"), Some(&"health+json"), "the default");
}

#[test]
fn health_json_keeps_to_the_schema_of_the_draft() {
    let file = root().join("tests/e2e/schemas/health-json.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(file).expect("the schema"))
        .expect("the schema is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let mut checked = 0;
    for (name, snapshot) in &states() {
        for (title, selection) in selections(name, snapshot) {
            let body: Value = serde_json::from_slice(&FORMATS[0].render(&selection)).expect("JSON");
            let wrong: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{title}: {}\n{body:#}", wrong.join("\n"));
            // The draft ties the code to the word.
            let code = FORMATS[0].code(&selection);
            assert_eq!(body["status"] == "fail", (400..600).contains(&code), "{title}: {code}");
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} bodies");
    for wrong in [
        serde_json::json!({}),
        serde_json::json!({ "status": "fine" }),
        serde_json::json!({ "status": "pass", "output": "an error" }),
        serde_json::json!({ "status": "pass", "checks": { "a:b:c": [{ "status": "pass" }] } }),
        serde_json::json!({ "status": "pass", "checks": { "a": { "status": "pass" } } }),
        serde_json::json!({ "status": "pass", "checks": { "a": [{ "time": "yesterday" }] } }),
    ] {
        assert!(!validator.is_valid(&wrong), "the schema lets this pass: {wrong}");
    }
}

#[test]
fn a_thousand_checks_are_all_there_in_their_order() {
    let checks: Vec<CheckState> = (0..1000)
        .map(|n| {
            let status = [Answer::Pass, Answer::Warn, Answer::Fail][n % 3];
            answered(&format!("check-{n:04}"), status, &format!("message {n}"))
        })
        .collect();
    let snapshot = snapshot(checks, setup());
    let selection = Selection::all(&snapshot);
    let mut listing = 0;
    for format in FORMATS {
        let body = String::from_utf8(format.render(&selection)).expect("UTF-8");
        let name = format.name();
        assert_eq!(format.code(&selection), codes(name).1, "{name}");
        if BRIEF.contains(&name) {
            // They say one word about all of it, or name the first few.
            continue;
        }
        listing += 1;
        for n in [0, 1, 500, 999] {
            assert!(body.contains(&format!("check-{n:04}")), "{name}: {n}");
            let says = body.contains(&format!("message {n}"));
            assert!(says || n % 3 == 0 || WORDLESS.contains(&name), "{name}: {n}");
        }
    }
    assert!(listing >= 8, "only {listing} formats list the checks");
    let render = |name: &str| by_name(name).expect("a format").1.render(&selection);
    let health = render("health+json");
    assert!(health.len() < 300_000, "{} bytes", health.len());
    let health: Value = serde_json::from_slice(&health).expect("JSON");
    let names: Vec<&String> = health["checks"].as_object().expect("an object").keys().collect();
    assert_eq!(names.len(), 1000);
    assert!(names.is_sorted());
    let output = health["output"].as_str().expect("a line");
    assert!(output.starts_with("666 of 1000 checks do not pass: "), "{output}");
    assert!(output.ends_with(" and 656 more"), "{output}");
    let genesis: Value = serde_json::from_slice(&render("genesis")).expect("JSON");
    assert_eq!(genesis.as_array().map(Vec::len), Some(1000));
    let text = String::from_utf8(render("text")).expect("UTF-8");
    assert_eq!(text.lines().count(), 1001);
    let states: Vec<&str> = text.lines().skip(1).map(|line| &line[..4]).collect();
    assert!(states[..333].iter().all(|state| *state == "fail"), "worst first");
    let list: Value = serde_json::from_slice(&api::list(&snapshot)).expect("JSON");
    assert_eq!(list["checks"].as_array().map(Vec::len), Some(1000));
}
