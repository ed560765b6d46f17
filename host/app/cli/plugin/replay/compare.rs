//! Whether an outcome says what a recorded one said.
//!
//! What counts: status, reason, message, observations, parts and details. How long the run took and
//! what it printed do not. In the world of a record the clock stands while a plugin computes, so that
//! times that it measured itself may be a little off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Units of observations that are times, and how many of them are a second.
const TIMES: &[(&str, f64)] = &[("s", 1.0), ("ms", 1e3), ("us", 1e6), ("µs", 1e6), ("ns", 1e9)];

/// How much a time may be off: a part of it, or so many seconds. On a busy machine a plugin that
/// computes between two looks at the clock was held up when it was recorded, and is not now.
const TOLERANCE: (f64, f64) = (0.1, 0.5);

/// Something that is not as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// For people.
    pub(super) what: String,
    /// As recorded; `None` where there was none.
    pub(super) before: Option<String>,
    /// As it is now; `None` where there is none.
    pub(super) after: Option<String>,
}

/// Every difference between two outcomes, as the API has them.
pub(super) fn compare(before: &Value, after: &Value) -> Vec<Difference> {
    let (old, new) = (facts(before), facts(after));
    let names: BTreeSet<&(usize, String)> = old.keys().chain(new.keys()).collect();
    let mut differences = Vec::new();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if is_same(before.copied(), after.copied()) {
            continue;
        }
        let text = |value: &&Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let what = name.1.clone();
        differences.push(Difference { what, before: before.map(text), after: after.map(text) });
    }
    differences
}

/// What an outcome says, by name and in the order in which it is shown.
fn facts(outcome: &Value) -> BTreeMap<(usize, String), &Value> {
    let mut facts = BTreeMap::new();
    for (at, key) in ["status", "reason", "message"].into_iter().enumerate() {
        if let Some(value) = outcome.get(key).filter(|value| !value.is_null()) {
            facts.insert((at, key.to_owned()), value);
        }
    }
    let list = |key: &str| outcome.get(key).and_then(Value::as_array).into_iter().flatten();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    for part in list("parts") {
        put(&mut facts, 3, format!("part {}", name(part)), part);
    }
    for one in list("observations") {
        let labels = match &one["labels"] {
            Value::Object(labels) => Value::Object(labels.clone()).to_string(),
            _ => String::new(),
        };
        put(&mut facts, 4, format!("observation {}{labels}", name(one)), one);
    }
    for (name, value) in outcome.get("details").and_then(Value::as_object).into_iter().flatten() {
        put(&mut facts, 5, format!("detail {name}"), value);
    }
    facts
}

/// Two of the same name are told apart by their number.
fn put<'a>(
    facts: &mut BTreeMap<(usize, String), &'a Value>,
    order: usize,
    name: String,
    value: &'a Value,
) {
    let mut key = (order, name.clone());
    let mut number = 1;
    while facts.contains_key(&key) {
        number += 1;
        key.1 = format!("{name} ({number})");
    }
    facts.insert(key, value);
}

fn is_same(before: Option<&Value>, after: Option<&Value>) -> bool {
    if before == after {
        return true;
    }
    let (Some(before), Some(after)) = (before, after) else { return false };
    let unit = before["unit"].as_str().unwrap_or_default();
    let Some((_, per_second)) = TIMES.iter().find(|(name, _)| *name == unit) else { return false };
    let (Some(old), Some(new)) = (before["value"].as_f64(), after["value"].as_f64()) else {
        return false;
    };
    let (part, seconds) = TOLERANCE;
    let rest = |value: &Value| {
        let mut value = value.clone();
        value["value"] = Value::Null;
        value
    };
    (old - new).abs() <= (old.abs() * part).max(seconds * per_second) && rest(before) == rest(after)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(message: &str, value: f64, unit: &str) -> Value {
        json!({
            "status": "fail", "fault": false, "reason": "plugin", "message": message, "duration_ms": 3.0,
            "observations": [{ "name": "n", "value": value, "unit": unit, "labels": { "a": "b" } }],
            "parts": [{ "name": "p", "status": "pass", "message": "" }],
            "details": { "d": "text" }, "log": ["line"],
        })
    }

    #[test]
    fn what_is_said_counts_and_how_long_it_took_does_not() {
        let before = outcome("m", 1.0, "B");
        let mut after = before.clone();
        after["duration_ms"] = json!(99.0);
        after["log"] = json!([]);
        assert_eq!(compare(&before, &after), []);
        let differences = compare(&before, &outcome("other", 2.0, "B"));
        let what: Vec<&str> = differences.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(what, ["message", "observation n{\"a\":\"b\"}"]);
        assert_eq!(differences[0].before.as_deref(), Some("m"));
        assert_eq!(differences[0].after.as_deref(), Some("other"));
    }

    #[test]
    fn measured_times_may_be_a_little_off() {
        let before = outcome("m", 1.0, "s");
        assert_eq!(compare(&before, &outcome("m", 1.09, "s")), []);
        assert_eq!(compare(&before, &outcome("m", 1.6, "s")).len(), 1);
        assert_eq!(compare(&outcome("m", 10.0, "ms"), &outcome("m", 55.0, "ms")), []);
        assert_eq!(compare(&outcome("m", 10.0, "B"), &outcome("m", 10.5, "B")).len(), 1);
    }

    #[test]
    fn what_came_and_what_went_is_named() {
        let before = outcome("m", 1.0, "B");
        let mut after = before.clone();
        after["parts"] = json!([{ "name": "q", "status": "pass", "message": "" }]);
        let differences = compare(&before, &after);
        assert_eq!((differences[0].what.as_str(), &differences[0].after), ("part p", &None));
        assert_eq!((differences[1].what.as_str(), &differences[1].before), ("part q", &None));
        assert_eq!(compare(&json!("nonsense"), &json!({ "status": "pass" })).len(), 1);
    }
}
