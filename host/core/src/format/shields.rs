//! The JSON that a badge of shields.io is drawn from (`https://img.shields.io/endpoint?url=...`).
//!
//! Only keys that are known there: others are refused. The code is always 200, since a badge that is
//! an error is drawn as one. Gatus' badge has words of its own.

use serde::Serialize;

use super::{Format, Selection};
use crate::outcome::Outcome;
use crate::snapshot::CheckState;
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct Shields;

impl Format for Shields {
    fn name(&self) -> &'static str {
        "shields"
    }

    fn summary(&self) -> &'static str {
        "what a badge of shields.io is drawn from; always 200"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, _selection: &Selection<'_>) -> u16 {
        200
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let label = match &selection.roots[..] {
            [one] if selection.is_of_one() => selection.find(one.name()).map(|item| item.title()),
            _ => None,
        };
        let (message, color) = if selection.in_maintenance() {
            ("maintenance", "blue")
        } else {
            match selection.status() {
                Status::Pass => ("pass", "brightgreen"),
                Status::Warn => ("warn", "yellow"),
                Status::Unknown => ("unknown", "lightgrey"),
                Status::Fail => ("fail", "red"),
            }
        };
        badge(label.unwrap_or("health"), message, color)
    }
}

/// What Gatus says of an endpoint: `up`, `down`, or `?` before it has a result.
pub fn gatus(check: &CheckState) -> Vec<u8> {
    let (message, color) = match check.last.as_ref().map(|last| &last.run.outcome) {
        None => ("?", "yellow"),
        Some(outcome) if outcome.status().is_healthy() => ("up", "brightgreen"),
        Some(Outcome::Answered(_)) => ("down", "red"),
        // Nobody knows whether it is down.
        Some(Outcome::Faulted(_)) => ("?", "yellow"),
    };
    badge("gatus", message, color)
}

fn badge(label: &str, message: &str, color: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Badge<'a> {
        schema_version: u8,
        label: &'a str,
        message: &'a str,
        color: &'a str,
    }
    serde_json::to_vec(&Badge { schema_version: 1, label, message, color })
        .expect("this type has string keys")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::testing::{check, group, snapshot};
    use super::*;
    use crate::snapshot::{Item, Snapshot};

    fn one(snapshot: &Snapshot, name: &str) -> Value {
        let item = snapshot.item(name).expect("it is there");
        let body = Shields.render(&Selection::item(snapshot, item));
        serde_json::from_slice(&body).expect("JSON")
    }

    #[test]
    fn a_badge_has_four_keys_and_no_others() {
        let whole = snapshot([check("a", Status::Fail)], []);
        let body = Shields.render(&Selection::all(&whole));
        assert_eq!(
            String::from_utf8(body).expect("text"),
            r#"{"schemaVersion":1,"label":"health","message":"fail","color":"red"}"#
        );
    }

    #[test]
    fn one_check_or_group_is_called_by_its_title_or_name() {
        let mut titled = check("a", Status::Warn);
        Arc::make_mut(&mut titled.spec).title = Some("The \"shop\"".to_owned());
        let mut aside = check("m", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let whole = snapshot([titled, aside], [group("g", &["a"], Status::Unknown, (0, 1))]);
        let found = |name| {
            let badge = one(&whole, name);
            (badge["label"].clone(), badge["message"].clone(), badge["color"].clone())
        };
        assert_eq!(found("a"), (json!("The \"shop\""), json!("warn"), json!("yellow")));
        assert_eq!(found("g"), (json!("g"), json!("unknown"), json!("lightgrey")));
        assert_eq!(found("m"), (json!("m"), json!("maintenance"), json!("blue")));
    }

    #[test]
    fn what_may_not_be_told_is_no_label() {
        let whole = snapshot([check("a", Status::Pass)], []);
        let Some(item @ Item::Check(_)) = whole.item("a") else { panic!("it is there") };
        let options =
            super::super::Options { detail: crate::endpoint::Detail::None, ..Default::default() };
        let body = Shields.render(&Selection::item(&whole, item).told(options));
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["label"], &body["message"]), (&json!("health"), &json!("pass")));
    }

    #[test]
    fn gatus_has_words_of_its_own() {
        let word = |check: &CheckState| {
            let body: Value = serde_json::from_slice(&gatus(check)).expect("JSON");
            assert_eq!(body["label"], "gatus");
            body["message"].as_str().expect("text").to_owned()
        };
        assert_eq!(word(&check("a", Status::Warn)), "up");
        assert_eq!(word(&check("a", Status::Fail)), "down");
        assert_eq!(word(&check("a", Status::Unknown)), "?");
        assert_eq!(word(&CheckState { last: None, ..check("a", Status::Unknown) }), "?");
    }
}
