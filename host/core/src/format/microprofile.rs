//! The wire format of Eclipse MicroProfile Health: `status`, `checks`, and nothing else.
//!
//! Its clients may take the whole for the logical AND of its checks. So the checks are what the state
//! is made from: groups, and checks that are in none; members of a group are in its `data`. What is
//! in maintenance is `UP` and says so in its `data`; what does not count yet is left out. `unknown`
//! is `DOWN`, as the specification has it for a check that throws.
//!
//! Nothing to check is `UP`. While plugins that were there at the start are not decided, what is
//! expected is not installed yet, which is `DOWN` with the checks that there are.

use serde::Serialize;

use super::facts::{self, Facts};
use super::{Format, Scope, Selection};
use crate::snapshot::Item;

/// See the module.
#[derive(Debug)]
pub(super) struct MicroProfile;

impl Format for MicroProfile {
    fn name(&self) -> &'static str {
        "microprofile"
    }

    fn summary(&self) -> &'static str {
        "checks as servers of Eclipse MicroProfile answer them"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if up(selection) { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let check = |item: Item<'_>| item.in_maintenance() || item.state().is_healthy();
        let checks: Vec<Check<'_>> = facts::summands(selection)
            .into_iter()
            .map(|item| Check {
                name: item.name(),
                status: word(check(item)),
                data: facts::of(selection, item),
            })
            .collect();
        let body = Body { status: word(up(selection)), checks };
        serde_json::to_vec(&body).expect("these types have string keys and finite numbers")
    }
}

fn up(selection: &Selection<'_>) -> bool {
    let starting = selection.scope == Scope::All && selection.snapshot.setup.starting > 0;
    !starting && (selection.in_maintenance() || selection.status().is_healthy())
}

fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    checks: Vec<Check<'a>>,
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Facts::is_empty")]
    data: Facts<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Origin;
    use crate::format::testing::{check, failed, group, ran, snapshot};
    use crate::outcome::{Answer, Observation, Outcome, Part, Report};
    use crate::snapshot::{CheckState, GroupState, Setup, Snapshot};
    use crate::status::Status;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::time::Duration;

    fn body(selection: &Selection<'_>) -> Value {
        serde_json::from_slice(&MicroProfile.render(selection)).expect("JSON")
    }

    fn all(checks: Vec<CheckState>, groups: Vec<GroupState>) -> Value {
        body(&Selection::all(&snapshot(checks, groups)))
    }

    #[test]
    fn nothing_installed_is_up_and_not_yet_installed_is_down() {
        let mut snapshot = Snapshot::default();
        assert_eq!(body(&Selection::all(&snapshot)), json!({ "status": "UP", "checks": [] }));
        snapshot.setup = Arc::new(Setup { starting: 1, ..Setup::default() });
        let selection = Selection::all(&snapshot);
        assert_eq!(body(&selection), json!({ "status": "DOWN", "checks": [] }));
        assert_eq!(MicroProfile.code(&selection), 503);
    }

    #[test]
    fn the_whole_is_the_and_of_its_checks() {
        let mut aside = failed("aside");
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let mut dropped = check("dropped", Status::Unknown);
        Arc::make_mut(&mut dropped.spec).origin = Origin::Dropped;
        dropped.answered = false;
        let any = group("any", &["a", "b"], Status::Pass, (1, 2));
        let checks = vec![check("a", Status::Pass), failed("b"), aside, dropped];
        let body = all(checks, vec![any]);
        let words: Vec<(&Value, &Value)> = body["checks"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|check| (&check["name"], &check["status"]))
            .collect();
        assert_eq!(words, [(&json!("any"), &json!("UP")), (&json!("aside"), &json!("UP"))]);
        assert_eq!(body["status"], "UP");
        assert_eq!(body["checks"][1]["data"]["maintenance"], true);
        assert_eq!(body["checks"][1]["data"]["state"], "fail");
        assert_eq!(all(vec![check("a", Status::Unknown)], vec![])["status"], "DOWN");
    }

    #[test]
    fn data_are_plain_values_whatever_a_plugin_reports() {
        let observation = |label: &str, value| Observation {
            labels: vec![("queue".to_owned(), label.to_owned())],
            ..Observation::new("depth", value, "")
        };
        let report = Report {
            observations: vec![
                observation("orders", 3.0),
                observation("mails", 4.5),
                observation("mails", 5.0),
                Observation::new("age", 1.0, "s"),
            ],
            parts: vec![Part {
                name: "state".to_owned(),
                status: Answer::Warn,
                message: "late".to_owned(),
            }],
            details: vec![("state".to_owned(), "mine".to_owned())],
            ..Report::new(Answer::Pass, "")
        };
        let snapshot = snapshot(
            vec![ran("a", Outcome::Answered(report), Duration::from_micros(12_345))],
            vec![],
        );
        let one = Selection::item(&snapshot, snapshot.item("a").expect("it is there"));
        assert_eq!(
            body(&one)["checks"][0]["data"],
            json!({
                "state": "pass",
                "kind": "http",
                "durationMs": 12.345,
                "lastRun": "2023-11-14T22:13:20.000Z",
                "observation.depth{queue=orders}": 3.0,
                "observation.depth{queue=mails}": 4.5,
                "observation.age": 1.0,
                "part.state": "warn: late",
                "detail.state": "mine",
            })
        );
        let text = String::from_utf8(MicroProfile.render(&one)).expect("UTF-8");
        assert_eq!(text.matches("queue=mails").count(), 1, "a key is there once: {text}");
    }
}
