//! The JSON that HealthChecks UI and its operator poll from ASP.NET Core servers.
//!
//! Every group and every check is an entry, so that the page shows all of them; a check that fails in
//! a group that stands it is `Unhealthy` below a whole that is not. Durations are .NET time spans.
//! What a fault says stands in `exception`; where only names are told, the sentence that the original
//! writes in its place does.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::facts::{self, Facts};
use super::{Format, Selection, aspnet};
use crate::endpoint::Detail;
use crate::outcome::Outcome;
use crate::snapshot::{CheckState, Item};

/// See the module.
#[derive(Debug)]
pub(super) struct HealthChecksUi;

impl Format for HealthChecksUi {
    fn name(&self) -> &'static str {
        "healthchecks-ui"
    }

    fn summary(&self) -> &'static str {
        "entries for HealthChecks UI, which watches ASP.NET Core servers"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        aspnet::AspNet.code(selection)
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        // They run beside each other, so that all of them take as long as the longest.
        let longest = selection.checks.iter().filter_map(|check| check.duration()).max();
        let body = Body {
            status: aspnet::whole(selection),
            total_duration: time_span(longest.unwrap_or_default()),
            entries: Entries(selection),
        };
        serde_json::to_vec(&body).expect("these types have string keys and finite numbers")
    }
}

/// A duration as .NET writes it: `00:00:00.0123456`, with days where there are some, and without a
/// fraction where there is none.
fn time_span(duration: Duration) -> String {
    let (seconds, ticks) = (duration.as_secs(), duration.subsec_nanos() / 100);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60);
    let days = if days == 0 { String::new() } else { format!("{days}.") };
    let fraction = if ticks == 0 { String::new() } else { format!(".{ticks:07}") };
    format!("{days}{clock}{fraction}")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: &'static str,
    total_duration: String,
    entries: Entries<'a>,
}

struct Entries<'a>(&'a Selection<'a>);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let selection = self.0;
        let items = selection.groups.iter().map(Item::Group);
        let items = items.chain(selection.checks.iter().map(Item::Check));
        let mut map = serializer.serialize_map(None)?;
        for item in items {
            map.serialize_entry(item.name(), &entry(selection, item))?;
        }
        map.end()
    }
}

/// Nulls are left out.
#[derive(Serialize)]
struct Entry<'a> {
    data: Facts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    duration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<&'a str>,
    status: &'static str,
    tags: &'a [String],
}

fn entry<'a>(selection: &'a Selection<'_>, item: Item<'a>) -> Entry<'a> {
    let all = selection.options.detail == Detail::All;
    let (message, duration, exception) = match item {
        Item::Check(check) => (check.message().to_owned(), check.duration(), exception(check, all)),
        Item::Group(group) => (group.message(), None, None),
    };
    Entry {
        data: facts::of(selection, item).without("message"),
        description: Some(message).filter(|text| all && !text.is_empty()),
        duration: time_span(duration.unwrap_or_default()),
        exception,
        status: if item.in_maintenance() { "Degraded" } else { aspnet::word(item.state()) },
        tags: item.tags(),
    }
}

fn exception(check: &CheckState, all: bool) -> Option<&str> {
    match &check.current()?.run.outcome {
        Outcome::Faulted(_) if !all => Some("Exception Occurred."),
        Outcome::Faulted(fault) => Some(&fault.message),
        Outcome::Answered(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Options;
    use crate::format::testing::{check, failed, group, snapshot};
    use crate::status::Status;
    use serde_json::{Value, json};

    #[test]
    fn durations_are_written_as_dot_net_does() {
        let cases = [
            (Duration::ZERO, "00:00:00"),
            (Duration::from_nanos(12_345_678), "00:00:00.0123456"),
            (Duration::from_millis(10), "00:00:00.0100000"),
            (Duration::from_secs(3_661), "01:01:01"),
            (Duration::from_secs(90_061), "1.01:01:01"),
            (Duration::from_nanos(99), "00:00:00"),
        ];
        for (duration, text) in cases {
            assert_eq!(time_span(duration), text, "{duration:?}");
        }
        assert!(time_span(Duration::MAX).ends_with(".9999999"));
    }

    #[test]
    fn every_group_and_check_is_an_entry_and_nulls_are_left_out() {
        let any = group("any", &["a", "b"], Status::Pass, (1, 2));
        let snapshot = snapshot(vec![check("a", Status::Pass), failed("b")], vec![any]);
        let body = HealthChecksUi.render(&Selection::all(&snapshot));
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&body["status"], &body["totalDuration"]),
            (&json!("Healthy"), &json!("00:00:00.0010000"))
        );
        let words = ["any", "a", "b"].map(|name| body["entries"][name]["status"].clone());
        assert_eq!(words, ["Healthy", "Healthy", "Unhealthy"]);
        assert!(!body.to_string().contains("null"), "{body}");
    }

    #[test]
    fn what_a_fault_says_is_withheld_where_only_names_are_told() {
        let snapshot = snapshot(vec![check("a", Status::Unknown)], vec![]);
        let entry = |detail| {
            let options = Options { detail, ..Options::default() };
            let body = HealthChecksUi.render(&Selection::all(&snapshot).told(options));
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            body["entries"]["a"].clone()
        };
        assert_eq!(entry(Detail::All)["exception"], "message");
        let names = entry(Detail::Names);
        assert_eq!(names["exception"], "Exception Occurred.");
        assert_eq!(names["data"], json!({ "state": "unknown", "reason": "trap" }));
        assert_eq!(names["description"], Value::Null);
    }
}
