//! From a file to a [`Suite`]: every problem at once, each with its place.

use std::collections::BTreeMap;
use std::time::Duration;

use super::expect::{Expect, Number, Series};
use super::{Accept, Suite, Test, World, faults, keys, world};
use crate::condition::Range;
use crate::config::problem::{self, Problem, Problems};
use crate::config::reader::Reader;
use crate::config::tree::{self, Node, Place, Table, Value};
use crate::config::{MAX_FILE, SourceFile, grants_of_test};
use crate::grant::{GrantKind, Grants};
use crate::outcome::{FailReason, FaultReason};
use crate::status::Status;

/// Most tests of a file.
pub const MAX_TESTS: usize = 1_000;
/// Longest timeout of a test.
const MAX_TIMEOUT: Duration = Duration::from_hours(7 * 24);

/// What a file is read with.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// The words for why there is no answer, as the connector has them.
    pub failures: &'a [&'a str],
    /// Reads what `file` of an answer names: the content, or why not.
    pub beside: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("file", &self.file.name).finish_non_exhaustive()
    }
}

/// Reads a test file; nothing if there is an error in it.
pub fn read(reading: &Reading<'_>) -> (Option<Suite>, Vec<Problem>) {
    let mut problems = Problems::default();
    if reading.file.text.len() > MAX_FILE {
        let place = Place::file(reading.file.name.clone());
        problems.error(&place, format!("the file is longer than {MAX_FILE} bytes"));
        return (None, problems.sorted());
    }
    let root = tree::parse_literal(reading.file, &mut problems);
    let suite = suite(reading, root, &mut problems);
    let failed = problems.has_errors();
    (Some(suite).filter(|_| !failed), problems.sorted())
}

/// What tests get unless they say otherwise.
struct Base {
    settings: serde_json::Value,
    grants: Grants,
}

fn suite(reading: &Reading<'_>, root: Table, problems: &mut Problems) -> Suite {
    let mut reader = Reader::new("the test file", root, &[keys::FILE]);
    let plugin = reader.text("plugin", problems);
    let settings = reader.table("settings", problems);
    let grants = reader.table("grants", problems);
    let base = Base {
        settings: settings.map_or_else(|| serde_json::json!({}), |table| table.to_json()),
        grants: grants
            .map(|table| grants_of_test("the test file", table, problems))
            .unwrap_or_default(),
    };
    let accept = accepts(&mut reader, problems);
    let tables = reader.tables("test", problems);
    if tables.is_empty() && !problems.has_errors() {
        reader.missing("test", problems);
    }
    if tables.len() > MAX_TESTS {
        let message = format!("{} tests (expected at most {MAX_TESTS})", tables.len());
        problems.error(&tables[MAX_TESTS].place, message);
    }
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    let mut tests = Vec::new();
    for (index, table) in tables.into_iter().take(MAX_TESTS).enumerate() {
        let test = test(reading, index, table, &base, problems);
        if let Some(first) = names.insert(test.name.clone(), test.place.clone()) {
            let name = test.name.escape_debug();
            let message = format!(
                "a second test `{name}` (the first is at {first}; expected a name of its own for each)"
            );
            problems.error(&test.place, message);
        }
        tests.push(test);
    }
    reader.finish(&[], problems);
    Suite { plugin, tests, accept }
}

fn test(
    reading: &Reading<'_>,
    index: usize,
    table: Table,
    base: &Base,
    problems: &mut Problems,
) -> Test {
    let named = match table.entries.get("name").map(|entry| &entry.node.value) {
        Some(Value::String(text)) => Some(text.value.clone()).filter(|name| !name.is_empty()),
        _ => None,
    };
    let what = match &named {
        Some(name) => format!("test `{}`", name.chars().take(200).collect::<String>()),
        None => format!("test {}", index + 1),
    };
    let place = table.place.clone();
    let mut reader = Reader::new(what.clone(), table, &[keys::TEST]);
    match reader.text("name", problems) {
        Some(name) if name.value.chars().any(char::is_control) || name.value.len() > 300 => {
            problems.error(&name.place, format!("the name of {what} is no sentence (expected at most 300 characters, and no control characters)"));
        }
        Some(name) if name.value.is_empty() => {
            problems
                .error(&name.place, format!("the name of {what} is empty (expected a sentence)"));
        }
        Some(_) => {}
        None => reader.missing("name", problems),
    }
    let settings = merged(&base.settings, reader.table("settings", problems));
    let grants = match reader.table("grants", problems) {
        None => base.grants.clone(),
        Some(table) => {
            let given: Vec<String> = table.entries.keys().cloned().collect();
            on_top(&base.grants, grants_of_test(&what, table, problems), &given)
        }
    };
    let timeout = reader
        .duration("timeout", Duration::from_millis(1)..=MAX_TIMEOUT, problems)
        .unwrap_or(Duration::from_secs(10));
    let world = match reader.table("world", problems) {
        Some(table) => world::world(reading, &what, table, &grants, problems),
        None => World::default(),
    };
    if !reader.has("expect") {
        reader.missing("expect", problems);
    }
    let expect = match reader.table("expect", problems) {
        Some(table) => expect(&what, table, problems),
        None => Expect::default(),
    };
    let accept = accepts(&mut reader, problems);
    reader.finish(&[], problems);
    Test { name: named.unwrap_or(what), place, settings, grants, timeout, world, expect, accept }
}

fn merged(base: &serde_json::Value, own: Option<Table>) -> serde_json::Value {
    let mut settings = base.clone();
    if let (Some(all), Some(own)) = (settings.as_object_mut(), own) {
        for (key, entry) in &own.entries {
            all.insert(key.clone(), entry.node.value.to_json());
        }
    }
    settings
}

/// Each kind of grant that a test names takes the place of the file's.
fn on_top(base: &Grants, own: Grants, given: &[String]) -> Grants {
    let has = |kind: GrantKind| given.iter().any(|key| key == kind.as_str());
    let base = base.clone();
    Grants {
        http: if has(GrantKind::Http) { own.http } else { base.http },
        sockets: if has(GrantKind::Sockets) { own.sockets } else { base.sockets },
        dns: if has(GrantKind::Dns) { own.dns } else { base.dns },
        dirs: if has(GrantKind::Dirs) { own.dirs } else { base.dirs },
        env: if has(GrantKind::Env) { own.env } else { base.env },
        secrets: if has(GrantKind::Secrets) { own.secrets } else { base.secrets },
        checks: if has(GrantKind::Checks) { own.checks } else { base.checks },
        state: if has(GrantKind::State) { own.state } else { base.state },
    }
}

fn accepts(reader: &mut Reader, problems: &mut Problems) -> Vec<Accept> {
    let mut accepts = Vec::new();
    for (pattern, why) in reader.text_table("accept", problems) {
        let expected = "expected `THING: FAULT`, for example `GET http://queue.test/*: html`";
        let Some((_, fault)) = pattern.rsplit_once(": ") else {
            let shown = pattern.escape_debug();
            problems.error(&why.place, format!("`{shown}` is nothing to accept ({expected})"));
            continue;
        };
        let known = || faults::FAULTS.iter().map(|fault| fault.name);
        if !fault.contains('*') && !known().any(|name| name == fault) {
            let mut names: Vec<&str> = known().collect();
            names.sort_unstable();
            names.dedup();
            let list = problem::known("faults", fault, names);
            let shown = fault.escape_debug();
            problems.error(&why.place, format!("there is no fault `{shown}` {list}"));
            continue;
        }
        if why.value.trim().is_empty() {
            let shown = pattern.escape_debug();
            problems.error(&why.place, format!("`{shown}` is accepted without a reason (expected a text that says why it need not be noticed)"));
        }
        accepts.push(Accept { pattern, why: why.value, place: why.place });
    }
    accepts
}

fn expect(what: &str, table: Table, problems: &mut Problems) -> Expect {
    let what = format!("`expect` of {what}");
    let mut reader = Reader::new(what.clone(), table, &[keys::EXPECT]);
    let statuses = [Status::Pass, Status::Warn, Status::Fail, Status::Unknown];
    let status = reader.word("status", &statuses.map(|s| (s.as_str(), s)), problems);
    let reason = reader.parsed("reason", problems, |text| {
        let faults = FaultReason::ALL.iter().map(|reason| reason.as_str());
        let known = || faults.clone().chain(FailReason::ALL.iter().map(|reason| reason.as_str()));
        if known().any(|word| word == text.value) {
            return Ok(text.value.clone());
        }
        let hint = problem::did_you_mean(&text.value, known());
        let hint = hint.map_or_else(
            || "a plugin's faults have `bad-settings`, `inconclusive`, `internal`, `trap`, `timeout`, `limit` or `denied`, and its fails `plugin`".to_owned(),
            |word| format!("did you mean `{word}`?"),
        );
        Err(format!("unknown reason `{}` ({hint})", text.value.escape_debug()))
    });
    let message = reader.text("message", problems).map(|text| text.value);
    let observations = reader
        .table("observations", problems)
        .map(|table| numbers(&what, table, problems))
        .unwrap_or_default();
    let parts = reader.text_table("parts", problems).into_iter().filter_map(|(name, text)| {
        let known = [Status::Pass, Status::Warn, Status::Fail];
        let status = known.into_iter().find(|status| status.as_str() == text.value);
        if status.is_none() {
            let shown = text.value.escape_debug();
            problems.error(
                &text.place,
                format!(
                    "part `{}` of {what} is `{shown}` (expected `pass`, `warn` or `fail`)",
                    name.escape_debug()
                ),
            );
        }
        Some((name, status?))
    });
    let parts = parts.collect();
    let details = reader.text_table("details", problems);
    let details = details.into_iter().map(|(name, text)| (name, text.value)).collect();
    let requests = reader
        .has("requests")
        .then(|| reader.texts("requests", problems).into_iter().map(|text| text.value).collect());
    let state = reader.has("state").then(|| {
        let pairs = reader.text_table("state", problems).into_iter();
        pairs.map(|(key, text)| (key, text.value)).collect()
    });
    let expect = Expect { status, reason, message, observations, parts, details, requests, state };
    if expect.is_empty() && !problems.has_errors() {
        problems.error(
            reader.place(),
            format!("{what} expects nothing (for example: status = \"pass\")"),
        );
    }
    reader.finish(&[], problems);
    expect
}

fn numbers(what: &str, table: Table, problems: &mut Problems) -> Vec<(Series, Number)> {
    let mut list = Vec::new();
    for (name, entry) in table.entries {
        let shown = name.escape_debug();
        let Some(series) = Series::parse(&name) else {
            problems.error(&entry.key, format!("`{shown}` in `observations` of {what} is no name (expected `name` or `name{{label=\"text\"}}`)"));
            continue;
        };
        let Node { value, place } = entry.node;
        let number = match &value {
            Value::Integer(number) => Some(Number::Exactly(as_float(*number))),
            Value::Float(number) if number.is_finite() => Some(Number::Exactly(*number)),
            Value::String(text) => {
                Range::parse(&text.value).map(|range| Number::In(range, text.value.clone()))
            }
            _ => None,
        };
        match number {
            Some(number) => list.push((series, number)),
            None => problems.error(&place, format!("`{shown}` in `observations` of {what} is {} (expected a number, or a range such as \"0:60\")", value.kind())),
        }
    }
    list
}

/// A whole number as numbers are measured.
pub(super) fn as_float(number: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "what is measured is no more precise")]
    let number = number as f64;
    number
}
