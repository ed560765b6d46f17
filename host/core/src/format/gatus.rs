//! The statuses of endpoints as Gatus' API has them, with the last result of each.
//!
//! A check is an endpoint there, and the first group that it is directly within is its group; the two
//! together are its key. An array for many, an object for one. The code is always 200.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Format, Scope, Selection};
use crate::outcome::Outcome;
use crate::snapshot::{CheckState, Snapshot};
use crate::status::Status;
use crate::time::WallTime;

/// See the module.
#[derive(Debug)]
pub(super) struct Gatus;

impl Format for Gatus {
    fn name(&self) -> &'static str {
        "gatus"
    }

    fn summary(&self) -> &'static str {
        "statuses of endpoints as Gatus' API has them; always 200"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, _selection: &Selection<'_>) -> u16 {
        200
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let groups = groups(selection);
        let group = |check: &CheckState| groups.get(check.spec.name.as_str()).copied();
        let mut list = selection.checks.iter().map(|check| status(check, group(check)));
        let body = match selection.scope {
            Scope::One => list.next().as_ref().map(serde_json::to_vec),
            Scope::All | Scope::Group => None,
        };
        let body = body.unwrap_or_else(|| serde_json::to_vec(&list.collect::<Vec<_>>()));
        body.expect("these types have string keys and no floats")
    }
}

/// The check that Gatus' key names: `GROUP_NAME`, with an empty group where it is in none. Any group
/// that it is directly within will do.
pub fn by_key<'a>(snapshot: &'a Snapshot, key: &str) -> Option<&'a std::sync::Arc<CheckState>> {
    // No name has a `_`, and there is nothing else in it that a key would replace.
    let (group, name) = key.split_once('_')?;
    let check = snapshot.check(name)?;
    let within = |group: &str| {
        let group = snapshot.group(group);
        group.is_some_and(|group| group.spec.members.iter().any(|m| m.name.as_str() == name))
    };
    (group.is_empty() || within(group)).then_some(check)
}

/// The first group that each check is directly within. Of a choice of checks only those groups are
/// named that belong to it; where one is asked for by name, all are looked at, so that its key is
/// what it is among all.
fn groups<'a>(selection: &'a Selection<'_>) -> BTreeMap<&'a str, &'a str> {
    let mut groups = BTreeMap::new();
    if selection.checks.is_empty() {
        return groups;
    }
    let groups_of_it = match selection.scope {
        Scope::All => &selection.groups[..],
        Scope::One | Scope::Group => &selection.snapshot.groups[..],
    };
    for group in groups_of_it {
        for member in &group.spec.members {
            groups.entry(member.name.as_str()).or_insert(group.spec.name.as_str());
        }
    }
    groups
}

#[derive(Serialize)]
struct EndpointStatus<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    key: String,
    results: Vec<ResultOf<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    condition_results: Vec<Condition>,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<WallTime>,
}

#[derive(Serialize)]
struct Condition {
    condition: String,
    success: bool,
}

fn status<'a>(check: &'a CheckState, group: Option<&'a str>) -> EndpointStatus<'a> {
    let name = check.spec.name.as_str();
    EndpointStatus {
        name,
        group,
        key: format!("{}_{name}", group.unwrap_or_default()),
        results: result(check).into_iter().collect(),
    }
}

/// The last run, unless what is true now is that the check cannot run.
fn result(check: &CheckState) -> Option<ResultOf<'_>> {
    let last = check.current()?;
    let outcome = &last.run.outcome;
    let success = outcome.status().is_healthy();
    let message = outcome.message();
    let reason = outcome.reason();
    let error = match (outcome, reason) {
        // Where the text may not be told, its reason may.
        (_, Some(reason)) if message.is_empty() => reason.to_owned(),
        (Outcome::Faulted(_), Some(reason)) => format!("{reason}: {message}"),
        _ if message.is_empty() => outcome.status().to_string(),
        _ => message.to_owned(),
    };
    let report = match outcome {
        Outcome::Answered(report) => Some(report),
        Outcome::Faulted(_) => None,
    };
    let parts = report.map_or(&[][..], |report| &report.parts);
    let mut conditions: Vec<Condition> = parts
        .iter()
        .map(|part| Condition {
            condition: match part.message.as_str() {
                "" => part.name.clone(),
                text => format!("{}: {text}", part.name),
            },
            success: Status::from(part.status).is_healthy(),
        })
        .collect();
    if conditions.is_empty() && report.is_some() && !message.is_empty() {
        conditions.push(Condition { condition: message.to_owned(), success });
    }
    let observations = report.map_or(&[][..], |report| &report.observations);
    let code = observations.iter().find(|observation| observation.name == "status-code");
    Some(ResultOf {
        status: code.map(|code| code.value as u16).filter(|code| *code > 0),
        hostname: check.facts.target.as_deref().and_then(host),
        duration: check.duration().map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        errors: if success { Vec::new() } else { vec![error] },
        condition_results: conditions,
        success,
        timestamp: check.ran_at(),
    })
}

/// The host of a URL, or of a name with a port.
fn host(target: &str) -> Option<&str> {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    Some(host).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::testing::{check, group, ran, snapshot};
    use super::*;
    use crate::outcome::{Answer, FailReason, Observation, Part, Report};
    use crate::snapshot::{Facts, Item};

    fn of(selection: &Selection<'_>) -> Value {
        serde_json::from_slice(&Gatus.render(selection)).expect("JSON")
    }

    #[test]
    fn a_result_is_the_last_run() {
        let report = Report {
            observations: vec![Observation::new("status-code", 503.0, "")],
            ..Report::fail(FailReason::UnexpectedStatus, "answered 503")
        };
        let facts =
            Facts { target: Some("https://shop.example:8443/x".into()), port: 8443, plugin: None };
        let failed = CheckState {
            facts: Arc::new(facts),
            ..ran("shop", Outcome::Answered(report), Duration::from_millis(2))
        };
        let whole = snapshot([failed], [group("core", &["shop"], Status::Fail, (0, 1))]);
        let one = json!({
            "name": "shop",
            "group": "core",
            "key": "core_shop",
            "results": [{
                "status": 503,
                "hostname": "shop.example",
                "duration": 2_000_000,
                "errors": ["answered 503"],
                "conditionResults": [{ "condition": "answered 503", "success": false }],
                "success": false,
                "timestamp": "2023-11-14T22:13:20.000Z",
            }],
        });
        assert_eq!(of(&Selection::all(&whole)), json!([one]));
        let item = Item::Check(whole.check("shop").expect("it is there"));
        assert_eq!(of(&Selection::item(&whole, item)), one);
    }

    #[test]
    fn parts_are_conditions_and_a_fault_is_an_error() {
        let part = |name: &str, status, text: &str| Part {
            name: name.to_owned(),
            status,
            message: text.to_owned(),
        };
        let report = Report {
            parts: vec![part("a", Answer::Warn, "so-so"), part("b", Answer::Fail, "")],
            ..Report::new(Answer::Warn, "")
        };
        let warned = ran("w", Outcome::Answered(report), Duration::ZERO);
        let never = CheckState { last: None, ..check("n", Status::Unknown) };
        let whole = snapshot([check("f", Status::Unknown), never, warned], []);
        let body = of(&Selection::all(&whole));
        assert_eq!(body[0]["results"][0]["errors"], json!(["trap: message"]));
        assert_eq!(body[0]["key"], "_f");
        assert_eq!(body[1], json!({ "name": "n", "key": "_n", "results": [] }));
        let warned = &body[2]["results"][0];
        assert_eq!(warned["success"], true);
        assert_eq!(
            warned["conditionResults"],
            json!([
                { "condition": "a: so-so", "success": true },
                { "condition": "b", "success": false },
            ])
        );
    }

    #[test]
    fn a_key_is_group_and_name() {
        let groups =
            [group("x", &["a"], Status::Pass, (1, 1)), group("y", &[], Status::Pass, (0, 0))];
        let whole = snapshot([check("a", Status::Pass)], groups);
        for key in ["x_a", "_a"] {
            assert!(by_key(&whole, key).is_some(), "{key}");
        }
        for key in ["y_a", "a", "_b", "", "_", "x_a_", "x__a"] {
            assert!(by_key(&whole, key).is_none(), "{key}");
        }
    }

    #[test]
    fn hosts_are_found_in_urls_and_addresses() {
        let cases = [
            ("https://h.example/x:1", Some("h.example")),
            ("http://u:p@h:8080?q", Some("h")),
            ("[::1]:53", Some("::1")),
            ("postgres://[fe80::1]/db", Some("fe80::1")),
            ("10.0.0.5:5432", Some("10.0.0.5")),
            ("h", Some("h")),
            ("", None),
            ("http://", None),
        ];
        for (target, expected) in cases {
            assert_eq!(host(target), expected, "{target}");
        }
    }
}
