//! One configuration with everything that is hard to say, in every format: a group that stands a
//! failing member, a check in maintenance, a plugin that faults, and a check that has not ended its
//! first run.

use serde_json::Value;
use wellcheck_core::format::{FORMATS, Format};

use crate::support::host::{Host, host};
use crate::support::http::Answer;
use crate::support::prometheus::promtool;
use crate::support::target::{self, Target};

/// All of that, once it is so. `/well` is an endpoint for what is well.
#[track_caller]
fn start() -> (Host, Target) {
    let echo = |name: &str, status: &str, more: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\", message = \"{name} says | \\\"so\\\"\" }}\n{more}\n"
        )
    };
    let stalls = target::http().silent().start();
    let config = [
        echo("aside", "fail", "maintenance = true"),
        echo("bad", "fail", ""),
        echo("good", "pass", ""),
        "[[check]]\nname = \"faulty\"\nplugin = \"trap\"\n".to_owned(),
        format!(
            "[[check]]\nname = \"pending\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"60s\"\ntimeout = \"60s\"\n",
            stalls.url("/")
        ),
        "[[group]]\nname = \"one-of\"\nmembers = [\"good\", \"bad\"]\nhealthy = \"any\"\n"
            .to_owned(),
        "[[endpoint]]\npath = \"/well\"\nnames = [\"one-of\", \"aside\"]\n".to_owned(),
    ];
    let host = host().config(&config.concat()).guest("echo").guest("trap").start();
    for (name, state) in [("aside", "fail"), ("bad", "fail"), ("good", "pass")] {
        host.until_state(name, state);
    }
    host.until("faulty", "a trap", |check| check["reason"] == "trap");
    host.until("pending", "pending", |check| check["reason"] == "pending");
    host.until_ready();
    (host, stalls)
}

/// What a format makes of everything, of what is well, of the group, and of what is in maintenance:
/// the code and the word.
type Said = (u16, &'static str);

const EXPECTED: &[(&str, [Said; 4])] = &[
    ("health+json", [(503, "fail"), (200, "pass"), (200, "pass"), (200, "warn")]),
    (
        "genesis",
        [
            (503, "STANDBY DOWN ERROR UP STARTING UP"),
            (200, "STANDBY DOWN UP UP"),
            (200, "DOWN UP UP"),
            (200, "STANDBY"),
        ],
    ),
    ("spring", [(200, "UNKNOWN"), (200, "UP"), (200, "UP"), (503, "OUT_OF_SERVICE")]),
    ("spring-v2", [(200, "UNKNOWN"), (200, "UP"), (200, "UP"), (503, "OUT_OF_SERVICE")]),
    ("microprofile", [(503, "DOWN"), (200, "UP"), (200, "UP"), (200, "UP")]),
    ("aspnet", [(503, "Unhealthy"), (200, "Healthy"), (200, "Healthy"), (200, "Degraded")]),
    (
        "healthchecks-ui",
        [(503, "Unhealthy"), (200, "Healthy"), (200, "Healthy"), (200, "Degraded")],
    ),
    ("consul", [(503, "critical"), (200, "passing"), (200, "passing"), (503, "maintenance")]),
    ("consul-text", [(503, "critical"), (200, "passing"), (200, "passing"), (503, "maintenance")]),
    ("text", [(503, "unknown:"), (200, "pass:"), (200, "pass:"), (200, "in maintenance:")]),
    ("clearskies", [(500, "failure"), (200, "success"), (200, "success"), (200, "success")]),
    (
        "nosana",
        [
            (503, "ONLINE UNKNOWN OFFLINE OFFLINE"),
            (200, "ONLINE UNKNOWN"),
            (200, "ONLINE"),
            (200, "UNKNOWN"),
        ],
    ),
    ("kubernetes", [(500, "[+]one-of"), (200, "ok"), (200, "ok"), (200, "ok")]),
    ("nagios", [(503, "UNKNOWN:"), (200, "OK:"), (200, "OK:"), (200, "OK:")]),
    ("prometheus", [(200, "5"), (200, "3"), (200, "2"), (200, "1")]),
    ("openmetrics", [(200, "5"), (200, "3"), (200, "2"), (200, "1")]),
    ("shields", [(200, "unknown"), (200, "pass"), (200, "pass"), (200, "maintenance")]),
    (
        "gatus",
        [
            (200, "aside bad faulty good pending"),
            (200, "aside bad good"),
            (200, "bad good"),
            (200, "aside"),
        ],
    ),
];

/// Reads a body as its clients do, and returns what it comes to.
#[track_caller]
fn word(format: &dyn Format, answer: &Answer) -> String {
    let text = answer.body.as_str();
    if format.name() == "prometheus" {
        let said = promtool(text);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{text}");
    }
    if format.name() == "openmetrics" {
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
    if !format.media_type().contains("json") {
        if format.name().ends_with("metrics") || format.name() == "prometheus" {
            let is_check = |line: &&str| {
                line.starts_with("wellcheck_check_state{") && line.contains("state=\"pass\"")
            };
            return text.lines().filter(is_check).count().to_string();
        }
        let first = match format.name() {
            "text" => text.split_inclusive(':').next(),
            _ => text.split_whitespace().next(),
        };
        return first.unwrap_or_default().to_owned();
    }
    let body = answer.json();
    let joined = |list: &Value, key: &str| {
        let words = list.as_array().expect("an array").iter();
        words.map(|item| item[key].as_str().expect("text")).collect::<Vec<_>>().join(" ")
    };
    match format.name() {
        "genesis" => joined(&body, "STATUS"),
        "nosana" => joined(&body, "status"),
        "gatus" if body.is_object() => body["name"].as_str().expect("text").to_owned(),
        "gatus" => joined(&body, "name"),
        "consul" => body["AggregatedStatus"].as_str().expect("text").to_owned(),
        "shields" => body["message"].as_str().expect("text").to_owned(),
        _ => body["status"].as_str().expect("text").to_owned(),
    }
}

#[test]
fn every_format_says_it_in_its_own_words_and_with_its_own_code() {
    let (host, _stalls) = start();
    let mut wrong = Vec::new();
    for format in FORMATS {
        let name = format.name();
        let expected = EXPECTED.iter().find(|(known, _)| *known == name);
        let (_, expected) = expected.unwrap_or_else(|| panic!("nothing is expected of `{name}`"));
        let paths = ["/health", "/well", "/health/one-of", "/health/aside"];
        for (path, (code, says)) in paths.iter().zip(expected) {
            let path = format!("{path}?format={}", name.replace('+', "%2B"));
            let answer = host.get(&path);
            assert_eq!(answer.header("content-type"), Some(format.media_type()), "{path}");
            let found = (answer.code, word(*format, &answer));
            if found != (*code, (*says).to_owned()) {
                wrong.push(format!("{path}: {found:?} instead of {:?}", (code, says)));
            }
            // What does not ask for a body gets the same without it.
            let head = host.ask("HEAD", &path, &[]);
            assert_eq!((head.code, head.body.as_str()), (answer.code, ""), "{path}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn routes_of_their_own_say_the_same_as_the_formats() {
    let (host, _stalls) = start();
    for (path, format) in [
        ("/health/status", "genesis"),
        ("/health-check", "clearskies"),
        ("/actuator/health", "spring"),
        ("/healthz", "kubernetes"),
        ("/badge/status.json", "shields"),
        ("/api/v1/endpoints/statuses", "gatus"),
    ] {
        let (own, by_name) = (host.get(path), host.get(&format!("/health?format={format}")));
        assert_eq!((own.code, &own.body), (by_name.code, &by_name.body), "{path}");
    }
    for (path, format) in [
        ("/actuator/health/{}", "spring"),
        ("/badge/{}.json", "shields"),
        ("/v1/agent/health/service/id/{}", "consul"),
    ] {
        for name in ["one-of", "aside", "bad", "faulty", "pending"] {
            let own = host.get(&path.replace("{}", name));
            let by_name = host.get(&format!("/health/{name}?format={format}"));
            assert_eq!((own.code, &own.body), (by_name.code, &by_name.body), "{path} of {name}");
        }
    }
}

#[test]
fn spring_goes_down_a_group_by_its_path() {
    let (host, _stalls) = start();
    let status = |path: &str, code: u16| {
        let answer = host.get(&format!("/actuator/health{path}"));
        assert_eq!(answer.code, code, "{path}: {}", answer.body);
        answer.json()
    };
    let whole = status("", 200);
    assert_eq!(whole["status"], "UNKNOWN", "one that faults and one that has not ended");
    assert_eq!(whole["groups"], serde_json::json!(["one-of"]));
    let components = whole["components"].as_object().expect("components");
    let words: Vec<(&str, &str)> = components
        .iter()
        .map(|(name, component)| (name.as_str(), component["status"].as_str().expect("a word")))
        .collect();
    assert_eq!(
        words,
        [
            ("aside", "OUT_OF_SERVICE"),
            ("faulty", "UNKNOWN"),
            ("one-of", "UP"),
            ("pending", "UNKNOWN")
        ]
    );
    let group = status("/one-of", 200);
    assert!(
        group["components"]["good"]["details"]["detail.check"].is_string(),
        "all of it: {group}"
    );
    assert_eq!(
        (&group["status"], &group["components"]["bad"]["status"]),
        (&"UP".into(), &"DOWN".into())
    );
    assert_eq!(status("/one-of/bad", 503)["status"], "DOWN");
    assert_eq!(status("/one-of/good", 200)["status"], "UP");
    assert_eq!(status("/aside", 503)["status"], "OUT_OF_SERVICE");
    assert_eq!(status("/faulty", 200)["details"]["reason"], "trap");
    assert_eq!(status("/pending", 200)["details"]["reason"], "pending");
    for absent in ["/one-of/aside", "/one-of/faulty", "/one-of/good/bad", "/good/one-of"] {
        assert_eq!(host.get(&format!("/actuator/health{absent}")).code, 404, "{absent}");
    }
}
