//! A record as a `[[test]]`: what happened at three in the morning as a test case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::record::{Answer, Blob, Exchange, Record, Reply};
use crate::time::WallTime;
use crate::units::{parse_duration, show_duration};

/// The world of a record and what came of it, as a person would write them.
pub fn of_record(record: &Record, name: &str) -> String {
    let mut out = String::from("[[test]]\n");
    line(&mut out, "name", &text(name));
    line(&mut out, "settings", &value(&record.settings));
    let grants: Vec<String> = (record.grants.iter())
        .map(|(kind, list)| format!("{} = {}", key(kind), grant(kind, list)))
        .collect();
    if !grants.is_empty() {
        line(&mut out, "grants", &braces(&grants));
    }
    line(&mut out, "timeout", &milliseconds(as_milliseconds(record.timeout)));
    for gap in &record.gaps {
        let _ = writeln!(out, "# The record lacks something: {}", gap.escape_debug());
    }
    out += "[test.world]\n";
    line(&mut out, "now", &text(&WallTime(record.began).to_string()));
    line(&mut out, "random", &text(&record.random));
    if record.failures_in_a_row > 0 {
        line(&mut out, "failures-in-a-row", &record.failures_in_a_row.to_string());
    }
    let env = record.env.iter().map(|(name, value)| (name, text(value)));
    table(&mut out, "env", env);
    let secrets = record.secrets.iter().map(|name| (name, text("put a value here")));
    table(&mut out, "secrets", secrets);
    table(&mut out, "state", record.state.iter().map(|(key, value)| (key, blob(value))));
    let files = record.files.iter().filter_map(|(path, file)| Some((path, blob(file.as_ref()?))));
    table(&mut out, "files", files);
    for exchange in &record.http {
        http(&mut out, exchange, &record.http);
    }
    for (name, standing) in &record.checks {
        let Some(standing) = standing else { continue };
        out += "[[test.world.check]]\n";
        line(&mut out, "name", &text(name));
        line(&mut out, "state", &text(&standing.state));
        if let Some(reason) = &standing.reason {
            line(&mut out, "reason", &text(reason));
        }
        line(&mut out, "message", &text(&standing.message));
        if let Some(age) = standing.age {
            line(&mut out, "age", &milliseconds(age));
        }
        let observations = standing.observations.iter();
        let values: BTreeMap<&String, String> =
            observations.map(|o| (&o.name, value(&Value::from(o.value)))).collect();
        table(&mut out, "observations", values.into_iter());
    }
    out += "# What came of it then; change it to what should have.\n[test.expect]\n";
    for key in ["status", "reason", "message"] {
        if let Some(Value::String(found)) = record.outcome.get(key) {
            line(&mut out, key, &text(found));
        }
    }
    let requests: Vec<String> =
        record.http.iter().map(|e| text(&format!("{} {}", e.method, e.url))).collect();
    line(&mut out, "requests", &format!("[{}]", requests.join(", ")));
    out
}

fn line(out: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{key} = {value}");
}

fn table<'a>(out: &mut String, name: &str, pairs: impl Iterator<Item = (&'a String, String)>) {
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{} = {v}", key(k))).collect();
    if !pairs.is_empty() {
        line(out, name, &braces(&pairs));
    }
}

fn braces(pairs: &[String]) -> String {
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

fn http(out: &mut String, exchange: &Exchange, all: &[Exchange]) {
    out.push_str("[[test.world.http]]\n");
    let Exchange { method, url, .. } = exchange;
    line(out, "request", &text(&format!("{method} {url}")));
    if all.iter().filter(|other| other.method == *method && other.url == *url).count() > 1 {
        line(out, "times", "1");
    }
    match &exchange.reply {
        Reply::Silence => line(out, "fail", "\"silence\""),
        Reply::Failure(failed) => {
            line(out, "delay", &milliseconds(failed.after));
            line(out, "fail", &text(&failed.kind));
        }
        Reply::Answer(answer) => answered(out, answer),
    }
}

fn answered(out: &mut String, answer: &Answer) {
    line(out, "status", &answer.status.to_string());
    let mut headers: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        headers.entry(name).or_default().push(text(value));
    }
    let values = headers.into_iter().map(|(name, list)| match &list[..] {
        [one] => (name, one.clone()),
        list => (name, format!("[{}]", list.join(", "))),
    });
    table(out, "headers", values);
    let body: Vec<u8> = answer.body.iter().flat_map(|chunk| &chunk.data.0).copied().collect();
    if !body.is_empty() {
        line(out, "body", &blob(&Blob(body)));
    }
    let waited: f64 = answer.body.iter().map(|chunk| chunk.after).sum();
    if answer.after + waited >= 1.0 {
        line(out, "delay", &milliseconds(answer.after + waited));
    }
    if let Some(broken) = &answer.broken {
        line(out, "broken", &text(&broken.kind));
    }
}

/// What is added to requests is not in a record, and folders are named as the plugin sees them.
fn grant(kind: &str, list: &[String]) -> String {
    let one = |text: &String| match kind {
        "http" => text.split(" (adds: ").next().unwrap_or_default().to_owned(),
        "dirs" => {
            let path = text.strip_suffix(" (write)").unwrap_or(text);
            let guest = path.rsplit_once(" as ").map_or(path, |(_, guest)| guest);
            let write = if path.len() < text.len() { " (write)" } else { "" };
            format!("{guest}{write}")
        }
        _ => text.clone(),
    };
    let texts: Vec<String> = list.iter().map(|found| self::text(&one(found))).collect();
    match (kind, &texts[..]) {
        ("state", [one]) => one.clone(),
        ("dirs", _) => format!(
            "[{}]",
            list.iter().map(one).map(|dir| folder(&dir)).collect::<Vec<_>>().join(", ")
        ),
        (_, texts) => format!("[{}]", texts.join(", ")),
    }
}

fn folder(dir: &str) -> String {
    match dir.strip_suffix(" (write)") {
        Some(path) => format!("{{ host = {0}, write = true }}", text(path)),
        None => text(dir),
    }
}

fn as_milliseconds(number: u64) -> f64 {
    Duration::from_millis(number).as_secs_f64() * 1e3
}

/// A duration, rounded up to a millisecond.
fn milliseconds(number: f64) -> String {
    let number = if number.is_finite() { number.clamp(0.0, 1e12) } else { 0.0 };
    let duration = Duration::from_secs_f64((number.ceil() / 1e3).max(0.0));
    let shown = show_duration(duration);
    let exact = parse_duration(&shown) == Some(duration);
    text(&if exact { shown } else { format!("{}ms", duration.as_millis()) })
}

fn blob(blob: &Blob) -> String {
    match std::str::from_utf8(&blob.0) {
        Ok(found) => text(found),
        Err(_) => format!("{{ base64 = {} }}", text(&STANDARD.encode(&blob.0))),
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text on one line, without escapes where it can be.
fn text(found: &str) -> String {
    let plain = !found.chars().any(|c| c.is_control() || c == '\'');
    if plain && found.contains(['"', '\\']) { format!("'{found}'") } else { quoted(found) }
}

fn quoted(found: &str) -> String {
    let mut out = String::from("\"");
    for c in found.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// JSON as TOML. There is no `null`: such a member is left out, and in a list it is an empty text.
fn value(json: &Value) -> String {
    match json {
        Value::Null => "\"\"".to_owned(),
        Value::Bool(found) => found.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(found) => text(found),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, member)| !member.is_null());
            let pairs: Vec<String> =
                kept.map(|(k, v)| format!("{} = {}", key(k), value(v))).collect();
            braces(&pairs)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;
    use crate::record::{Chunk, Failed, PluginId, Standing};
    use crate::suite::{Reading, read};

    fn record() -> Record {
        let exchange = |reply| Exchange {
            at: 0.0,
            method: "GET".to_owned(),
            url: "http://a.test/x?y='z'".to_owned(),
            headers: Vec::new(),
            body: Blob::default(),
            reply,
        };
        let answer = Answer {
            after: 61_001.2,
            status: 503,
            headers: vec![
                ("set-cookie".to_owned(), "a".to_owned()),
                ("set-cookie".to_owned(), "b\"".to_owned()),
            ],
            body: vec![Chunk { after: 0.5, data: "{\"a\": 1}\n\u{7f}".into() }],
            broken: None,
        };
        let broken = Failed { after: 2.0, kind: "closed".to_owned(), message: String::new() };
        let cut = Answer {
            body: vec![Chunk { after: 0.0, data: Blob(vec![0xff]) }],
            broken: Some(broken.clone()),
            ..Answer { status: 200, ..Answer::default() }
        };
        Record {
            format: crate::record::FORMAT.to_owned(),
            plugin: PluginId {
                name: "a".to_owned(),
                version: "1".to_owned(),
                digest: "0".to_owned(),
            },
            check: "a".to_owned(),
            began: 1_767_225_600_123,
            timeout: 90_061_001,
            failures_in_a_row: 2,
            settings: serde_json::json!({ "a b": [1, 2.5, null, true], "n": null, "t": "it's \\" }),
            limits: BTreeMap::new(),
            grants: BTreeMap::from([
                ("http".to_owned(), vec!["http://a.test (adds: authorization)".to_owned()]),
                ("dirs".to_owned(), vec!["/srv/x as /data (write)".to_owned(), "/etc".to_owned()]),
                ("state".to_owned(), vec!["4 KiB".to_owned()]),
            ]),
            random: "07".repeat(32),
            env: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]),
            state: BTreeMap::from([("k.1".to_owned(), Blob(vec![0xff, 0]))]),
            http: vec![
                exchange(Reply::Answer(answer)),
                exchange(Reply::Answer(cut)),
                exchange(Reply::Failure(broken)),
                exchange(Reply::Silence),
            ],
            files: BTreeMap::from([
                ("/data/a".to_owned(), Some("b".into())),
                ("/data/c".to_owned(), None),
            ]),
            checks: BTreeMap::from([(
                "db".to_owned(),
                Some(Standing {
                    state: "warn".to_owned(),
                    reason: None,
                    message: "m".to_owned(),
                    age: Some(1_500.0),
                    observations: Vec::new(),
                }),
            )]),
            secrets: vec!["key".to_owned()],
            clock_reads: 1,
            gaps: vec!["a body\nwas cut".to_owned()],
            outcome: serde_json::json!({ "status": "fail", "reason": "plugin", "message": "no \"x\"" }),
        }
    }

    #[test]
    fn a_record_is_a_test_that_reads_back() {
        let record = record();
        let written = of_record(&record, "it's three");
        let file = SourceFile { name: "a".into(), text: written.clone() };
        let beside = |_: &str| Err("no file".to_owned());
        let reading = Reading { file: &file, failures: &["closed"], beside: &beside };
        let (suite, problems) = read(&reading);
        let suite = suite.unwrap_or_else(|| panic!("{problems:?}\n{written}"));
        let test = &suite.tests[0];
        assert_eq!(test.name, "it's three");
        assert_eq!(test.settings, serde_json::json!({ "a b": [1, 2.5, "", true], "t": "it's \\" }));
        assert_eq!(test.timeout, Duration::from_millis(90_061_001));
        let world = &test.world;
        assert_eq!(world.now.unwrap().0, record.began);
        assert_eq!((world.random, world.failures_in_a_row), ([7; 32], 2));
        assert_eq!((&world.env, &world.state), (&record.env, &record.state));
        assert_eq!(world.files, BTreeMap::from([("/data/a".to_owned(), "b".into())]));
        assert_eq!(Some(&world.checks["db"]), record.checks["db"].as_ref());
        assert_eq!(test.grants.state, 4096);
        assert!(test.grants.dirs[0].write && test.grants.dirs[0].guest == "/data");
        let replies: Vec<_> = world.http.iter().map(|s| (s.times, &s.reply)).collect();
        assert_eq!(replies.len(), 4);
        assert!(replies.iter().all(|(times, _)| *times == Some(1)));
        let Reply::Answer(first) = replies[0].1 else { panic!("{written}") };
        assert_eq!((first.status, first.after, &first.headers[1].1[..]), (503, 61_002.0, "b\""));
        assert_eq!(first.body[0].data, "{\"a\": 1}\n\u{7f}".into());
        assert_eq!(test.expect.requests.as_ref().map(Vec::len), Some(4));
        assert_eq!(test.expect.message.as_deref(), Some("no \"x\""));
    }
}
