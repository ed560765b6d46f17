//! The world of a test, as its file says it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pattern::request;
use super::read::{Reading, as_float};
use super::{Scripted, World, keys};
use crate::config::moment;
use crate::config::problem::{self, Problems};
use crate::config::reader::Reader;
use crate::config::tree::{Node, Table, Value};
use crate::grant::Grants;
use crate::record::{Answer, Blob, Chunk, Failed, Measured, Reply, Standing};
use crate::status::Status;

/// Longest delay of an answer, and oldest run of another check.
const MAX_AGE: Duration = Duration::from_hours(24 * 365);
/// Most answers of one test.
const MAX_ANSWERS: usize = 1_000;

pub(super) fn world(
    reading: &Reading<'_>,
    what: &str,
    table: Table,
    grants: &Grants,
    problems: &mut Problems,
) -> World {
    let what = format!("`world` of {what}");
    let mut reader = Reader::new(what.clone(), table, &[keys::WORLD]);
    let texts = |reader: &mut Reader, key: &str, problems: &mut Problems| {
        let pairs = reader.text_table(key, problems).into_iter();
        pairs.map(|(name, text)| (name, text.value)).collect::<BTreeMap<_, _>>()
    };
    // TOML has dates of its own; both spellings mean the same.
    let now = match reader.peek("now") {
        Some(Value::Datetime(text)) => {
            let text = text.clone();
            let place = reader.place_of("now");
            reader.take("now");
            let read = moment(&text, None);
            read.map_err(|why| problems.error(&place, format!("`now` of {what}: {why}"))).ok()
        }
        _ => reader.parsed("now", problems, |text| moment(&text.value, None)),
    };
    let random = random(&what, &mut reader, problems);
    let failures = reader.integer("failures-in-a-row", 0..=i64::from(u32::MAX), problems);
    let env = texts(&mut reader, "env", problems);
    let secrets = texts(&mut reader, "secrets", problems);
    let state = blobs(&mut reader, "state", problems);
    let files = files(&what, &mut reader, grants, problems);
    let tables = reader.tables("http", problems);
    if tables.len() > MAX_ANSWERS {
        let message =
            format!("{what} has {} answers (expected at most {MAX_ANSWERS})", tables.len());
        problems.error(&tables[MAX_ANSWERS].place, message);
    }
    let answers = tables.into_iter().take(MAX_ANSWERS).enumerate();
    let http =
        answers.filter_map(|(index, table)| http(reading, &what, index, table, problems)).collect();
    let mut checks = BTreeMap::new();
    for table in reader.tables("check", problems) {
        let place = table.place.clone();
        if let Some((name, standing)) = check(&what, table, problems)
            && checks.insert(name.clone(), standing).is_some()
        {
            let name = name.escape_debug();
            problems.error(&place, format!("{what} says twice how check `{name}` is"));
        }
    }
    reader.finish(&[], problems);
    World {
        now,
        random,
        failures_in_a_row: failures.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        env,
        secrets,
        state,
        files,
        http,
        checks,
    }
}

fn random(what: &str, reader: &mut Reader, problems: &mut Problems) -> [u8; 32] {
    let mut seed = [0; 32];
    let Some(entry) = reader.take("random") else { return seed };
    let expected = "expected a number, or 64 hexadecimal digits";
    match entry.node.value {
        Value::Integer(number) => seed[..8].copy_from_slice(&number.to_le_bytes()),
        Value::String(text) => match crate::record::unhex(&text.value) {
            Some(bytes) => seed = bytes,
            None => {
                problems.error(&text.place, format!("`random` of {what} is no seed ({expected})"))
            }
        },
        other => {
            let message = format!("`random` of {what} is {} ({expected})", other.kind());
            problems.error(&entry.node.place, message);
        }
    }
    seed
}

/// A text, or `{ base64 = "..." }`.
fn blob(what: &str, node: Node, problems: &mut Problems) -> Option<Blob> {
    let expected = "expected a text, or `{ base64 = \"...\" }`";
    match node.value {
        Value::String(text) => return Some(Blob(text.value.into_bytes())),
        Value::Table(table) => {
            let only = table.entries.len() == 1;
            let text = match table.entries.get("base64").map(|entry| &entry.node.value) {
                Some(Value::String(text)) if only => Some(text),
                _ => None,
            };
            match text.and_then(|text| STANDARD.decode(&text.value).ok()) {
                Some(bytes) => return Some(Blob(bytes)),
                None => {
                    problems.error(&node.place, format!("{what} is not in base64 ({expected})"))
                }
            }
        }
        other => {
            problems.error(&node.place, format!("{what} is {} ({expected})", other.kind()));
        }
    }
    None
}

fn blobs(reader: &mut Reader, key: &str, problems: &mut Problems) -> BTreeMap<String, Blob> {
    let of = reader.what().to_owned();
    let table = reader.table(key, problems);
    let entries = table.map(|table| table.entries).unwrap_or_default().into_iter();
    entries
        .filter_map(|(name, entry)| {
            let what = format!("`{}` in `{key}` of {of}", name.escape_debug());
            Some((name, blob(&what, entry.node, problems)?))
        })
        .collect()
}

/// Files, each of which lies in a granted folder.
fn files(
    what: &str,
    reader: &mut Reader,
    grants: &Grants,
    problems: &mut Problems,
) -> BTreeMap<String, Blob> {
    let place = reader.place_of("files");
    let files = blobs(reader, "files", problems);
    for path in files.keys() {
        let shown = path.escape_debug();
        let below = grants.dirs.iter().any(|dir| {
            let folder = format!("{}/", dir.guest.trim_end_matches('/'));
            path.strip_prefix(&folder).is_some_and(|below| {
                !below.is_empty()
                    && below.split('/').all(|part| !matches!(part, "" | "." | ".."))
                    && !below.contains('\0')
            })
        });
        if !below {
            problems.error(&place, format!("the file `{shown}` of {what} lies in no granted folder (expected a plain path below one of `dirs` of `grants`, for example `dirs = [\"/data\"]` and `/data/queue.txt`)"));
        }
    }
    files
}

fn http(
    reading: &Reading<'_>,
    what: &str,
    index: usize,
    table: Table,
    problems: &mut Problems,
) -> Option<Scripted> {
    let what = format!("answer {} in {what}", index + 1);
    let mut reader = Reader::new(what.clone(), table, &[keys::HTTP]);
    if !reader.has("request") {
        reader.missing("request", problems);
    }
    let asked = reader.parsed("request", problems, |text| {
        let (method, url) = request(&text.value);
        if url == "*" || url.starts_with('*') || url.contains("://") && !url.contains(' ') {
            Ok((method.map(str::to_owned), url.to_owned()))
        } else {
            Err(format!(
                "`{}` is no request (expected a URL with or without a method before it, for example `GET http://queue.test/*`)",
                text.shown().escape_debug()
            ))
        }
    });
    let times = reader.integer("times", 1..=10_000, problems);
    let status = reader.integer("status", 100..=599, problems);
    let after = reader.duration("delay", Duration::ZERO..=MAX_AGE, problems);
    let after = after.unwrap_or_default().as_secs_f64() * 1e3;
    let mut headers = headers(&what, &mut reader, problems);
    let given: Vec<&str> = ["body", "json", "file"].into_iter().filter(|k| reader.has(k)).collect();
    if let [first, second, ..] = given[..] {
        let message = format!("{what} has `{first}` and `{second}` (expected one of them)");
        problems.error(&reader.place_of(second), message);
    }
    let body = body(reading, &what, &mut reader, &mut headers, problems);
    let word = |reader: &mut Reader, key: &str, problems: &mut Problems| {
        let words = reading.failures.iter().copied();
        reader.parsed(key, problems, |text| {
            let known = words.clone().chain((key == "fail").then_some("silence"));
            match known.clone().find(|word| *word == text.value) {
                Some(word) => Ok(word.to_owned()),
                None => {
                    let list = problem::known("words", text.shown(), known);
                    Err(format!("unknown word `{}` {list}", text.shown().escape_debug()))
                }
            }
        })
    };
    let failed = |kind: String, after: f64| Failed { after, kind, message: String::new() };
    let broken = word(&mut reader, "broken", problems);
    let reply = match word(&mut reader, "fail", problems) {
        Some(fail) => {
            let answers = ["status", "headers", "body", "json", "file", "broken"];
            let place = |key: &&str| reader.place_of(key).order() != reader.place().order();
            if let Some(key) = answers.iter().find(|key| place(key)) {
                let message = format!(
                    "{what} has `fail` and `{key}` (where there is no answer, there is no `{key}`)"
                );
                problems.error(&reader.place_of(key), message);
            }
            if fail == "silence" { Reply::Silence } else { Reply::Failure(failed(fail, after)) }
        }
        None => Reply::Answer(Answer {
            after,
            status: status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
            headers,
            body: if body.is_empty() { Vec::new() } else { vec![Chunk { after: 0.0, data: body }] },
            broken: broken.map(|kind| failed(kind, 0.0)),
        }),
    };
    reader.finish(&[], problems);
    let (method, url) = asked?;
    let times = times.and_then(|times| u32::try_from(times).ok());
    Some(Scripted { method, url, is_exact: false, times, reply })
}

fn headers(what: &str, reader: &mut Reader, problems: &mut Problems) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let table = reader.table("headers", problems);
    for (name, entry) in table.map(|table| table.entries).unwrap_or_default() {
        let shown = name.escape_debug().to_string();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let message = format!("`{shown}` in `headers` of {what} is no name of a header");
            problems.error(&entry.key, message);
            continue;
        }
        let list = match entry.node {
            Node { value: Value::Array(list), .. } => list,
            node => vec![node],
        };
        for Node { value, place } in list {
            match value {
                Value::String(text) if !text.value.chars().any(char::is_control) => {
                    headers.push((name.to_ascii_lowercase(), text.value));
                }
                Value::String(_) => problems.error(&place, format!("`{shown}` in `headers` of {what} has control characters (expected one line)")),
                other => problems.error(&place, format!("`{shown}` in `headers` of {what} is {} (expected a text, or a list of texts)", other.kind())),
            }
        }
    }
    headers
}

fn body(
    reading: &Reading<'_>,
    what: &str,
    reader: &mut Reader,
    headers: &mut Vec<(String, String)>,
    problems: &mut Problems,
) -> Blob {
    let mut found = Blob::default();
    if let Some(entry) = reader.take("body") {
        let what = format!("`body` of {what}");
        found = blob(&what, entry.node, problems).unwrap_or_default();
    }
    if let Some(entry) = reader.take("json") {
        found = Blob(entry.node.value.to_json().to_string().into_bytes());
        if !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
    }
    let file = reader.parsed("file", problems, |text| {
        let shown = text.shown().escape_debug();
        (reading.beside)(&text.value).map_err(|why| format!("cannot read `{shown}`: {why}"))
    });
    file.map_or(found, Blob)
}

fn check(what: &str, table: Table, problems: &mut Problems) -> Option<(String, Standing)> {
    let mut reader = Reader::new(format!("a check in {what}"), table, &[keys::CHECK]);
    for key in ["name", "state"] {
        if !reader.has(key) {
            reader.missing(key, problems);
        }
    }
    let name = reader.text("name", problems).map(|text| text.value);
    let statuses = [Status::Pass, Status::Warn, Status::Fail, Status::Unknown];
    let state = reader.word("state", &statuses.map(|s| (s.as_str(), s.as_str())), problems);
    let reason = reader.text("reason", problems).map(|text| text.value);
    let message = reader.text("message", problems).map(|text| text.value).unwrap_or_default();
    let age = reader.duration("age", Duration::ZERO..=MAX_AGE, problems);
    let mut observations = Vec::new();
    let table = reader.table("observations", problems);
    for (name, entry) in table.map(|table| table.entries).unwrap_or_default() {
        let value = match entry.node.value {
            Value::Integer(number) => as_float(number),
            Value::Float(number) if number.is_finite() => number,
            other => {
                let message = format!(
                    "`{}` in `observations` of {} is {} (expected a number)",
                    name.escape_debug(),
                    reader.what(),
                    other.kind()
                );
                problems.error(&entry.node.place, message);
                continue;
            }
        };
        observations.push(Measured { name, value, unit: None, labels: BTreeMap::new() });
    }
    reader.finish(&[], problems);
    let age = age.map(|age| age.as_secs_f64() * 1e3);
    let state = state?.to_owned();
    Some((name?, Standing { state, reason, message, age, observations }))
}
