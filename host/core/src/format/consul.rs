//! The health of a service as a Consul agent answers for it.
//!
//! 200 passing, 429 where there is a warning, else 503. One check or one group is a service: a
//! group's members are its checks. All of it together is the service `wellcheck`, whose checks are
//! what the state is made from: groups, and checks that are in none. What does not count yet is left
//! out, so that the worst of the checks is what is said of the whole.
//!
//! `unknown` is `critical`. What is in maintenance is `maintenance`, which is 503 if there is nothing
//! else, as it is there.

use serde::Serialize;
use std::collections::BTreeMap;

use super::{Format, Scope, Selection, backing_off, facts};
use crate::endpoint::Detail;
use crate::snapshot::Item;
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct Consul;

impl Format for Consul {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn summary(&self) -> &'static str {
        "a service's checks as a Consul agent shows them; 429 for a warning"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        code(selection)
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let items = facts::summands(selection);
        let one = items.first().copied().filter(|_| selection.scope != Scope::All);
        let items = match one {
            Some(Item::Group(group)) => selection.members(group),
            _ => items,
        };
        let service = service(selection, one);
        let checks = items.into_iter().map(|item| check(selection, item, service.name)).collect();
        let body = Body { status: whole(selection), service, checks };
        serde_json::to_vec(&body).expect("these types have string keys")
    }
}

/// Consul's word for all of it.
pub(super) fn whole(selection: &Selection<'_>) -> &'static str {
    if selection.in_maintenance() { "maintenance" } else { word(selection.status()) }
}

/// Consul's code for all of it.
pub(super) fn code(selection: &Selection<'_>) -> u16 {
    match whole(selection) {
        "passing" => 200,
        "warning" => 429,
        _ => 503,
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "passing",
        Status::Warn => "warning",
        Status::Unknown | Status::Fail => "critical",
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "AggregatedStatus")]
    status: &'static str,
    #[serde(rename = "Service")]
    service: Service<'a>,
    #[serde(rename = "Checks")]
    checks: Vec<Check<'a>>,
}

#[derive(Serialize)]
struct Service<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Service")]
    name: &'a str,
    #[serde(rename = "Tags")]
    tags: &'a [String],
    #[serde(rename = "Meta")]
    meta: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "Port")]
    port: u16,
    #[serde(rename = "Address")]
    address: &'static str,
}

fn service<'a>(selection: &Selection<'_>, one: Option<Item<'a>>) -> Service<'a> {
    let all = one.filter(|_| selection.options.detail == Detail::All);
    let name = one.map_or("wellcheck", Item::name);
    let labels = all.into_iter().flat_map(|item| item.labels());
    Service {
        id: name,
        name,
        tags: all.map_or(&[], Item::tags),
        meta: labels.map(|(name, text)| (name.as_str(), text.as_str())).collect(),
        port: match all {
            Some(Item::Check(check)) => check.facts.port,
            _ => 0,
        },
        address: "",
    }
}

#[derive(Serialize)]
struct Check<'a> {
    #[serde(rename = "Node")]
    node: &'static str,
    #[serde(rename = "CheckID")]
    id: &'a str,
    #[serde(rename = "Name")]
    name: &'a str,
    #[serde(rename = "Status")]
    status: &'static str,
    #[serde(rename = "Notes")]
    notes: String,
    #[serde(rename = "Output")]
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    #[serde(rename = "ServiceName")]
    service_name: &'a str,
}

fn check<'a>(selection: &Selection<'_>, item: Item<'a>, service: &'a str) -> Check<'a> {
    let (notes, output) = match item {
        _ if selection.options.detail != Detail::All => (String::new(), String::new()),
        Item::Check(check) => (backing_off(check).unwrap_or_default(), check.message().to_owned()),
        Item::Group(group) => (String::new(), group.message()),
    };
    Check {
        node: "wellcheck",
        id: item.name(),
        name: item.title(),
        status: if item.in_maintenance() { "maintenance" } else { word(item.state()) },
        notes,
        output,
        service_id: service,
        service_name: service,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Origin;
    use crate::format::testing::{check, failed, group, snapshot};
    use serde_json::Value;
    use std::sync::Arc;

    fn body(selection: &Selection<'_>) -> Value {
        serde_json::from_slice(&Consul.render(selection)).expect("JSON")
    }

    #[test]
    fn a_warning_is_too_many_requests() {
        let code =
            |status| Consul.code(&Selection::all(&snapshot(vec![check("a", status)], vec![])));
        assert_eq!(Status::ALL.map(code), [200, 429, 503, 503]);
        let mut aside = check("a", Status::Pass);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let aside = snapshot(vec![aside], vec![]);
        let selection = Selection::all(&aside);
        assert_eq!((Consul.code(&selection), whole(&selection)), (503, "maintenance"));
    }

    #[test]
    fn a_group_is_a_service_and_its_members_are_the_checks() {
        let mut aside = failed("c");
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let checks = vec![check("a", Status::Pass), check("b", Status::Warn), aside];
        let snapshot = snapshot(checks, vec![group("g", &["a", "b", "c"], Status::Warn, (1, 3))]);
        let body = body(&Selection::item(&snapshot, snapshot.item("g").expect("it is there")));
        assert_eq!(body["AggregatedStatus"], "warning");
        assert_eq!(body["Service"]["ID"], "g");
        let words: Vec<&Value> =
            body["Checks"].as_array().expect("a list").iter().map(|c| &c["Status"]).collect();
        assert_eq!(words, ["passing", "warning", "maintenance"]);
        assert!(body["Checks"].as_array().expect("a list").iter().all(|c| c["ServiceID"] == "g"));
    }

    #[test]
    fn the_whole_is_the_worst_of_what_is_listed() {
        let mut dropped = check("dropped", Status::Unknown);
        Arc::make_mut(&mut dropped.spec).origin = Origin::Dropped;
        dropped.answered = false;
        let any = group("any", &["a", "b"], Status::Pass, (1, 2));
        let checks = vec![check("a", Status::Pass), failed("b"), dropped];
        let body = body(&Selection::all(&snapshot(checks, vec![any])));
        assert_eq!(body["AggregatedStatus"], "passing");
        let names: Vec<&Value> =
            body["Checks"].as_array().expect("a list").iter().map(|c| &c["CheckID"]).collect();
        assert_eq!(names, ["any"]);
        assert_eq!(body["Checks"][0]["Output"], "1 of 2 members healthy");
    }
}
