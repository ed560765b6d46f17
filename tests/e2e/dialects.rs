//! Clients of other systems, written from what is known of their formats, against the real program.
//!
//! They are strict: a key that the format does not have is an error, and so is a code that does not
//! fit the word.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::guests;
use crate::support::host::{Host, host};
use crate::support::http::Answer;

/// Checks of every state, groups around them, and one in maintenance; all decided. With `well`, only
/// what is well counts.
#[track_caller]
fn start(well: bool) -> Host {
    let echo = |name: &str, settings: &str, more: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ {settings} }}\n{more}\n"
        )
    };
    let depth = "message = \"fine\", observations = [{ name = \"depth\", value = 3 }]";
    let mut config = echo("good", depth, "");
    config += &echo("so-so", "status = \"warn\", message = \"half full\"", "");
    let moved = "status = \"fail\", message = \"being moved\"";
    config += &echo("aside", moved, "maintenance = true");
    if !well {
        config += &echo("bad", "status = \"fail\", message = \"it is down\"", "");
        config += &echo("lost", "fault = \"inconclusive\", message = \"who knows\"", "");
    }
    config += "[[group]]\nname = \"shop\"\nmembers = [\"good\", \"so-so\"]\n";
    config += "[[group]]\nname = \"city\"\nmembers = [\"shop\", \"aside\"]\n";
    let host = host().config(&config).guest("echo").start();
    let mut wanted = vec![("good", "pass"), ("so-so", "warn"), ("aside", "fail")];
    if !well {
        wanted.extend([("bad", "fail"), ("lost", "unknown")]);
    }
    for (name, state) in wanted {
        host.until(name, state, |check| check["state"] == state && check["outcome"].is_object());
    }
    host.until_ready();
    host
}

#[track_caller]
fn read<T: DeserializeOwned>(answer: &Answer) -> T {
    serde_json::from_str(&answer.body)
        .unwrap_or_else(|error| panic!("{error} in an answer {}: {}", answer.code, answer.body))
}

#[track_caller]
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(name).unwrap_or_else(|| panic!("no `{name}` in {answer:?}"))
}

// ── Spring Boot ────────────────────────────────────────────────────────────────────────────────

const V3: &str = "application/vnd.spring-boot.actuator.v3+json";
const V2: &str = "application/vnd.spring-boot.actuator.v2+json";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SpringStatus {
    Up,
    Down,
    OutOfService,
    Unknown,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpringV3 {
    status: SpringStatus,
    #[serde(default)]
    components: BTreeMap<String, SpringV3>,
    #[serde(default)]
    details: BTreeMap<String, Value>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpringV2 {
    status: SpringStatus,
    #[serde(default)]
    details: BTreeMap<String, Value>,
    #[serde(default)]
    groups: Vec<String>,
}

/// Spring's own table.
#[track_caller]
fn spring_code(status: SpringStatus, code: u16) {
    let expected = match status {
        SpringStatus::Down | SpringStatus::OutOfService => 503,
        SpringStatus::Up | SpringStatus::Unknown => 200,
    };
    assert_eq!(code, expected, "{status:?}");
}

#[track_caller]
fn spring(host: &Host, path: &str) -> SpringV3 {
    let answer = host.get(path);
    assert_eq!(header(&answer, "content-type"), V3, "{path}");
    let body: SpringV3 = read(&answer);
    spring_code(body.status, answer.code);
    body
}

#[test]
fn a_client_of_spring_boot_finds_components_and_groups() {
    let host = start(false);
    let all = spring(&host, "/actuator/health");
    assert_eq!(all.status, SpringStatus::Down);
    assert_eq!(all.groups, ["city", "shop"]);
    let names: Vec<&String> = all.components.keys().collect();
    assert_eq!(names, ["bad", "city", "lost"]);
    assert_eq!(all.components["lost"].status, SpringStatus::Unknown);
    let city = &all.components["city"];
    assert_eq!(city.components["aside"].status, SpringStatus::OutOfService);
    assert_eq!(city.components["shop"].components["so-so"].details["state"], "warn");
    assert_eq!(city.components["shop"].components["so-so"].status, SpringStatus::Up);

    assert_eq!(spring(&host, "/actuator/health/bad").status, SpringStatus::Down);
    assert_eq!(spring(&host, "/actuator/health/lost").status, SpringStatus::Unknown);
    assert_eq!(spring(&host, "/actuator/health/city/aside").status, SpringStatus::OutOfService);
    let good = spring(&host, "/actuator/health/city/shop/good");
    assert_eq!(good.status, SpringStatus::Up);
    assert_eq!(good.details["message"], "fine");
    assert_eq!(good.details["observation.depth"], 3.0);
    let shop = spring(&host, "/actuator/health/shop");
    assert_eq!(shop.components.keys().collect::<Vec<_>>(), ["good", "so-so"]);
    assert!(shop.groups.is_empty() && shop.details.is_empty());
}

#[test]
fn spring_boot_is_up_with_a_warning_and_without_what_is_in_maintenance() {
    let host = start(true);
    let all = spring(&host, "/actuator/health");
    assert_eq!(all.status, SpringStatus::Up);
    assert_eq!(all.components.keys().collect::<Vec<_>>(), ["city"]);
}

#[test]
fn spring_boots_second_version_is_for_those_who_ask_for_it() {
    let host = start(false);
    for path in ["/actuator/health", "/actuator/health/city"] {
        let answer = host.ask("GET", path, &[("Accept", V2)]);
        assert_eq!(header(&answer, "content-type"), V2);
        let body: SpringV2 = read(&answer);
        spring_code(body.status, answer.code);
        assert_eq!(body.groups.is_empty(), path.ends_with("city"));
        let within = body.details.into_values();
        let within: Vec<SpringV2> =
            within.map(|value| serde_json::from_value(value).expect("a component")).collect();
        assert!(within.len() >= 2, "{within:?}");
    }
    let json = host.ask("GET", "/actuator/health", &[("Accept", "application/json")]);
    assert_eq!(header(&json, "content-type"), "application/json");
    assert_eq!(json.body, host.get("/actuator/health").body);
}

#[test]
fn what_spring_boot_does_not_know_is_404_without_a_body() {
    let host = start(true);
    for path in ["absent", "good/absent", "shop/absent", "shop/aside", "city/good", "good/", "a//b"]
    {
        let answer = host.get(&format!("/actuator/health/{path}"));
        assert_eq!((answer.code, answer.body.as_str()), (404, ""), "{path}");
    }
    assert_eq!(host.ask("POST", "/actuator/health", &[]).code, 405);
    let head = host.ask("HEAD", "/actuator/health/good", &[]);
    assert_eq!((head.code, head.body.as_str()), (200, ""));
}

// ── MicroProfile ───────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum MicroStatus {
    Up,
    Down,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Micro {
    status: MicroStatus,
    checks: Vec<MicroCheck>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MicroCheck {
    name: String,
    status: MicroStatus,
    #[serde(default)]
    data: BTreeMap<String, MicroValue>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum MicroValue {
    Text(String),
    Flag(bool),
    Number(f64),
}

/// The code fits the word, and the word is the logical AND of the checks.
#[track_caller]
fn micro(host: &Host, path: &str) -> Micro {
    let answer = host.get(path);
    assert_eq!(header(&answer, "content-type"), "application/json", "{path}");
    let body: Micro = read(&answer);
    let up = body.status == MicroStatus::Up;
    assert_eq!(answer.code, if up { 200 } else { 503 }, "{path}");
    let all = body.checks.iter().all(|check| check.status == MicroStatus::Up);
    assert_eq!(up, all, "{path}: {body:?}");
    body
}

#[test]
fn a_client_of_microprofile_gets_the_and_of_all_checks() {
    let host = start(false);
    let all = micro(&host, "/health?format=microprofile");
    let words: Vec<(&str, MicroStatus)> =
        all.checks.iter().map(|check| (check.name.as_str(), check.status)).collect();
    let (up, down) = (MicroStatus::Up, MicroStatus::Down);
    assert_eq!(words, [("city", up), ("bad", down), ("lost", down)]);
    let one = micro(&host, "/health/good?format=microprofile");
    assert_eq!(one.checks[0].data["observation.depth"], MicroValue::Number(3.0));
    let aside = micro(&host, "/health/aside?format=microprofile");
    assert_eq!(aside.status, MicroStatus::Up);
    assert_eq!(aside.checks[0].data["maintenance"], MicroValue::Flag(true));
    assert_eq!(aside.checks[0].data["state"], MicroValue::Text("fail".to_owned()));
    assert_eq!(micro(&start(true), "/health?format=microprofile").status, MicroStatus::Up);
}

#[test]
fn microprofiles_probes_are_about_wellcheck_itself() {
    let host = start(false);
    for (path, names) in [
        ("/health/live", &["ping"][..]),
        ("/health/ready", &["ping", "configuration", "plugins", "shutdown"]),
        ("/health/started", &["ping", "configuration", "plugins", "shutdown"]),
    ] {
        let probe = micro(&host, path);
        assert_eq!(probe.status, MicroStatus::Up, "{path}: targets that fail are no matter");
        assert_eq!(probe.checks.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(host.ask("PUT", path, &[]).code, 405);
    }
}

#[test]
fn microprofile_is_down_while_plugins_compile() {
    let host = host().plugin("big", &guests::example("login-flow")).own_cache().start();
    let ready = host.until_code("/health/ready", 503);
    let body: Micro = read(&ready);
    assert_eq!(body.status, MicroStatus::Down);
    let down = body.checks.iter().filter(|check| check.status == MicroStatus::Down);
    assert_eq!(down.map(|check| check.name.as_str()).collect::<Vec<_>>(), ["plugins"]);
    let all = host.get("/health?format=microprofile");
    assert_eq!((all.code, all.body.as_str()), (503, "{\"status\":\"DOWN\",\"checks\":[]}"));
    assert_eq!(host.get("/health/started").code, 503);
    assert_eq!(host.get("/health/live").code, 200);
    assert_eq!(host.get("/health").code, 200, "nobody configured it");
}

// ── ASP.NET Core ───────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum NetStatus {
    Healthy,
    Degraded,
    Unhealthy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Net {
    status: NetStatus,
    total_duration: String,
    entries: BTreeMap<String, NetEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetEntry {
    data: BTreeMap<String, Value>,
    #[serde(default)]
    description: Option<String>,
    duration: String,
    #[serde(default)]
    exception: Option<String>,
    status: NetStatus,
    tags: Vec<String>,
}

#[track_caller]
fn time_span(text: &str) {
    let pattern = regex::Regex::new(r"^(\d+\.)?\d\d:\d\d:\d\d(\.\d{7})?$").expect("a pattern");
    assert!(pattern.is_match(text), "`{text}` is no time span of .NET");
}

#[track_caller]
fn net_code(status: NetStatus, code: u16) {
    assert_eq!(code, if status == NetStatus::Unhealthy { 503 } else { 200 }, "{status:?}");
}

#[test]
fn a_client_of_asp_net_reads_a_word() {
    let (bad, well) = (start(false), start(true));
    for (host, path, code, word) in [
        (&bad, "/health", 503, "Unhealthy"),
        (&well, "/health", 200, "Degraded"),
        (&well, "/health/good", 200, "Healthy"),
        (&well, "/health/aside", 200, "Degraded"),
        (&bad, "/health/lost", 503, "Unhealthy"),
    ] {
        let answer = host.get(&format!("{path}?format=aspnet"));
        assert_eq!((answer.code, answer.body.as_str()), (code, word), "{path}");
        assert_eq!(header(&answer, "content-type"), "text/plain");
    }
}

#[test]
fn health_checks_ui_reads_its_entries() {
    let host = start(false);
    let answer = host.get("/health?format=healthchecks-ui");
    assert_eq!(header(&answer, "content-type"), "application/json");
    let body: Net = read(&answer);
    net_code(body.status, answer.code);
    assert_eq!(body.status, NetStatus::Unhealthy);
    time_span(&body.total_duration);
    let names: Vec<&String> = body.entries.keys().collect();
    assert_eq!(names, ["aside", "bad", "city", "good", "lost", "shop", "so-so"]);
    for entry in body.entries.values() {
        time_span(&entry.duration);
        assert!(entry.tags.is_empty() && entry.data.contains_key("state"), "{entry:?}");
    }
    let entry = |name: &str| &body.entries[name];
    assert_eq!(entry("aside").status, NetStatus::Degraded);
    assert_eq!(entry("bad").description.as_deref(), Some("it is down"));
    assert_eq!(
        (entry("lost").status, entry("bad").exception.is_none()),
        (NetStatus::Unhealthy, true)
    );
    assert_eq!(entry("lost").exception.as_deref(), Some("who knows"));
    assert!(!answer.body.contains("null"), "nulls are left out: {}", answer.body);
}

// ── Consul ─────────────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConsulStatus {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Consul {
    aggregated_status: ConsulStatus,
    service: Option<ConsulService>,
    checks: Option<Vec<ConsulCheck>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ConsulService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    port: u16,
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ConsulCheck {
    node: String,
    #[serde(rename = "CheckID")]
    id: String,
    name: String,
    status: ConsulStatus,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
}

#[track_caller]
fn consul_code(status: ConsulStatus, code: u16) {
    let expected = match status {
        ConsulStatus::Passing => 200,
        ConsulStatus::Warning => 429,
        ConsulStatus::Critical | ConsulStatus::Maintenance => 503,
    };
    assert_eq!(code, expected, "{status:?}");
}

/// The service under both of its paths, and its word as text.
#[track_caller]
fn consul(host: &Host, name: &str) -> Consul {
    let by_name = host.get(&format!("/v1/agent/health/service/name/{name}"));
    let by_id = host.get(&format!("/v1/agent/health/service/id/{name}"));
    assert_eq!(header(&by_id, "content-type"), "application/json");
    assert_eq!((by_name.code, by_name.body), (by_id.code, format!("[{}]", by_id.body)));
    let body: Consul = read(&by_id);
    consul_code(body.aggregated_status, by_id.code);
    for path in ["name", "id"] {
        let path = format!("/v1/agent/health/service/{path}/{name}");
        let text = host.get(&format!("{path}?format=text"));
        assert_eq!(header(&text, "content-type"), "text/plain");
        let word: ConsulStatus = read(&Answer { body: format!("{:?}", text.body), ..text });
        assert_eq!(word, body.aggregated_status);
        let asked = host.ask("GET", &path, &[("Accept", "text/plain")]);
        assert_eq!(header(&asked, "content-type"), "text/plain");
    }
    body
}

#[test]
fn a_client_of_consul_reads_a_service_and_its_checks() {
    let host = start(false);
    for (name, status) in [
        ("good", ConsulStatus::Passing),
        ("so-so", ConsulStatus::Warning),
        ("bad", ConsulStatus::Critical),
        ("lost", ConsulStatus::Critical),
        ("aside", ConsulStatus::Maintenance),
        ("shop", ConsulStatus::Warning),
    ] {
        let found = consul(&host, name);
        assert_eq!(found.aggregated_status, status, "{name}");
        let service = found.service.expect("it is there");
        assert_eq!((service.id.as_str(), service.service.as_str()), (name, name));
        assert!(service.tags.is_empty() && service.meta.is_empty(), "{service:?}");
        assert_eq!((service.port, service.address.as_str()), (0, ""));
        let checks = found.checks.expect("it has some");
        let worst = checks.iter().map(|check| check.status).max();
        assert_eq!(worst, Some(status), "{name}: the client's own sum");
        for check in &checks {
            assert_eq!((check.service_id.as_str(), check.service_name.as_str()), (name, name));
            assert_eq!((check.node.as_str(), check.notes.as_str()), ("wellcheck", ""));
            assert_eq!(check.id, check.name, "it has no title");
            assert!(!check.output.is_empty());
        }
    }
    let answer = host.get("/health?format=consul");
    let all: Consul = read(&answer);
    consul_code(all.aggregated_status, answer.code);
    assert_eq!(all.service.map(|service| service.id), Some("wellcheck".to_owned()));
    assert_eq!(start(true).get("/health?format=consul-text").body, "warning");
}

#[test]
fn what_consul_does_not_know_is_404() {
    let host = start(true);
    let id = host.get("/v1/agent/health/service/id/absent");
    let body: Consul = read(&id);
    assert_eq!((id.code, body.aggregated_status), (404, ConsulStatus::Critical));
    assert!(body.service.is_none() && body.checks.is_none());
    let name = host.get("/v1/agent/health/service/name/absent");
    assert_eq!((name.code, name.body.as_str()), (404, "[]"));
    for (path, text) in
        [("name", "ServiceName absent Not Found"), ("id", "ServiceId absent not found")]
    {
        let answer = host.get(&format!("/v1/agent/health/service/{path}/absent?format=text"));
        assert_eq!((answer.code, answer.body.as_str()), (404, text));
    }
    let long = host.get(&format!("/v1/agent/health/service/id/{}?format=text", "x".repeat(5000)));
    assert!(long.code == 404 && long.body.len() < 200, "{}", long.body);
}
