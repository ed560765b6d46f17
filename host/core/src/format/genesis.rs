//! The array of processes that the Genesis container endpoint (`/health/status`) answers with.
//!
//! Four upper-case keys in a fixed order; 200 if every process is healthy, else 503. `WARNING` is not
//! in the set of healthy states there, so that a warning answers 503 too. Groups follow the checks, as
//! processes without a port; where there are groups, they decide the code for their members.

use serde::Serialize;

use super::{Format, Selection};
use crate::outcome::{FaultReason, Outcome};
use crate::snapshot::{CheckState, GroupState, Item};
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct Genesis;

impl Format for Genesis {
    fn name(&self) -> &'static str {
        "genesis"
    }

    fn summary(&self) -> &'static str {
        "an array of processes, as the Genesis platform's /health/status answers"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        // A group decides for its members: one process that is down may be what it allows.
        let counted = selection.roots.iter().filter(|item| item.counts());
        let up = counted.map(|item| item.state()).all(|state| state == Status::Pass);
        let standby = selection.options.standby_is_healthy || !selection.has_maintenance();
        if up && standby && !selection.lacks() { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let checks = selection.checks.iter().map(|check| {
            process(Item::Check(check), check_state(check), check.message(), check.facts.port)
        });
        let groups = selection.groups.iter().map(|group| {
            let state = group_state(selection, group);
            process(Item::Group(group), state, &group.message(), 0)
        });
        let processes: Vec<Process<'_>> = checks.chain(groups).collect();
        serde_json::to_vec(&processes).expect("these types have string keys and no floats")
    }
}

fn process<'a>(item: Item<'a>, state: &'static str, message: &str, port: u16) -> Process<'a> {
    let message = match message {
        "" => String::new(),
        text => format!(";{text}"),
    };
    let status = if item.in_maintenance() { "STANDBY" } else { state };
    Process { name: item.name(), status, message, port }
}

#[derive(Serialize)]
struct Process<'a> {
    #[serde(rename = "PROCESS_NAME")]
    name: &'a str,
    #[serde(rename = "STATUS")]
    status: &'static str,
    #[serde(rename = "MESSAGE")]
    message: String,
    #[serde(rename = "PORT")]
    port: u16,
}

fn check_state(check: &CheckState) -> &'static str {
    match check.state {
        Status::Pass => "UP",
        Status::Warn => "WARNING",
        Status::Fail => "DOWN",
        Status::Unknown => match (&check.held, &check.last) {
            (Some(held), _)
                if matches!(held.reason, FaultReason::Compiling | FaultReason::Waiting) =>
            {
                "STARTING"
            }
            (Some(_), _) => "MISSING",
            (None, None) => "STARTING",
            (None, Some(last)) => match last.run.outcome {
                Outcome::Faulted(_) => "ERROR",
                Outcome::Answered(_) => "STARTING",
            },
        },
    }
}

fn group_state(selection: &Selection<'_>, group: &GroupState) -> &'static str {
    match group.state {
        Status::Pass => "UP",
        Status::Warn => "WARNING",
        Status::Fail => "DOWN",
        Status::Unknown => {
            let starts = |item: Item<'_>| match item {
                Item::Check(check) => check_state(check) == "STARTING",
                Item::Group(_) => false,
            };
            // Nobody knows, and nobody will before the last of them has started.
            match selection.members(group).into_iter().any(starts) || !group.asked {
                true => "STARTING",
                false => "ERROR",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, group, snapshot};
    use super::super::{Detail, Options};
    use super::*;
    use crate::snapshot::Snapshot;

    /// The code and `NAME STATUS` of each process.
    fn of(snapshot: &Snapshot, standby_is_healthy: bool) -> (u16, Vec<String>) {
        let told = |detail| Selection::all(snapshot).told(Options { detail, standby_is_healthy });
        let selection = told(Detail::All);
        let body: serde_json::Value =
            serde_json::from_slice(&Genesis.render(&selection)).expect("JSON");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let list = body.as_array().expect("an array").iter();
        let processes = list.map(|p| text(&p["PROCESS_NAME"]) + " " + &text(&p["STATUS"]));
        let code = Genesis.code(&selection);
        for detail in [Detail::Names, Detail::None] {
            assert_eq!(Genesis.code(&told(detail)), code, "whatever is told: {detail:?}");
        }
        (code, processes.collect())
    }

    fn aside(name: &str) -> CheckState {
        let mut check = check(name, Status::Fail);
        check.aside = Some(crate::snapshot::Aside::maintenance());
        check
    }

    #[test]
    fn maintenance_is_standby_which_is_healthy_or_not_as_it_is_set() {
        let alone = snapshot([check("a", Status::Pass), aside("m")], []);
        let processes = vec!["a UP".to_owned(), "m STANDBY".to_owned()];
        assert_eq!(of(&alone, true), (200, processes.clone()));
        assert_eq!(of(&alone, false), (503, processes));
        let members = group("g", &["a", "m"], Status::Pass, (1, 1));
        let inside = snapshot([check("a", Status::Pass), aside("m")], [members]);
        assert_eq!((of(&inside, true).0, of(&inside, false).0), (200, 503));
        let mut resting = group("g", &["m"], Status::Unknown, (0, 0));
        (resting.maintenance, resting.asked) = (true, false);
        let found = of(&snapshot([aside("m")], [resting]), true);
        assert_eq!(found, (200, vec!["m STANDBY".to_owned(), "g STANDBY".to_owned()]));
    }

    #[test]
    fn a_group_is_a_process_and_decides_for_its_members() {
        let checks = || [check("a", Status::Pass), check("b", Status::Fail)];
        let any = group("any", &["a", "b"], Status::Pass, (1, 2));
        let found = of(&snapshot(checks(), [any]), true);
        assert_eq!(found.0, 200);
        assert_eq!(found.1, ["a UP", "b DOWN", "any UP"]);
        let all = group("all", &["a", "b"], Status::Fail, (1, 2));
        assert_eq!(of(&snapshot(checks(), [all]), true).0, 503);
        let warned = snapshot([check("a", Status::Warn)], []);
        assert_eq!(of(&warned, true).0, 503, "a warning is not in the healthy set");
    }

    #[test]
    fn a_group_starts_with_its_members() {
        let pending = CheckState { last: None, ..check("p", Status::Unknown) };
        let checks = [pending, check("e", Status::Unknown)];
        let groups = [
            group("x", &["p", "e"], Status::Unknown, (0, 2)),
            group("y", &["e"], Status::Unknown, (0, 1)),
        ];
        let found = of(&snapshot(checks, groups), true);
        assert_eq!(
            found,
            (503, ["e ERROR", "p STARTING", "x STARTING", "y ERROR"].map(str::to_owned).to_vec())
        );
    }
}
