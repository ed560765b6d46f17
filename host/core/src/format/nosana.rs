//! The endpoints of a Nosana job: an array with `opID`, `port`, `url` and `status` of each.
//!
//! Each top-level check or group is one exposed port. What it is called there comes from its labels
//! `op`, `port` and `url`, and else from what is known of it. Upstream a port is `OFFLINE` until its
//! checks have passed once, and `UNKNOWN` if it has none; both are so here.

use serde::Serialize;

use super::{Format, Selection, well_or_aside};
use crate::snapshot::Item;

/// See the module.
#[derive(Debug)]
pub(super) struct Nosana;

impl Format for Nosana {
    fn name(&self) -> &'static str {
        "nosana"
    }

    fn summary(&self) -> &'static str {
        "an array of endpoints with ONLINE, OFFLINE or UNKNOWN, as Nosana nodes keep for a job"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if well_or_aside(selection) { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let tree = selection.tree();
        let endpoints: Vec<Endpoint<'_>> =
            tree.iter().map(|item| endpoint(selection, *item)).collect();
        serde_json::to_vec(&endpoints).expect("these types have string keys and no floats")
    }
}

#[derive(Serialize)]
struct Endpoint<'a> {
    #[serde(rename = "opID")]
    op: &'a str,
    port: Port<'a>,
    url: &'a str,
    status: &'static str,
}

/// A number, or a range as it was written.
#[derive(Serialize)]
#[serde(untagged)]
enum Port<'a> {
    Number(u16),
    Text(&'a str),
}

fn endpoint<'a>(selection: &Selection<'_>, item: Item<'a>) -> Endpoint<'a> {
    let label = |name: &str| item.labels().get(name).map(String::as_str);
    let facts = match item {
        Item::Check(check) => Some(&check.facts),
        Item::Group(_) => None,
    };
    let port = match label("port") {
        Some(text) => text.parse().map_or(Port::Text(text), Port::Number),
        // The checks of a port look at that port.
        None => Port::Number(match item {
            Item::Check(check) => check.facts.port,
            Item::Group(group) => selection
                .members(group)
                .iter()
                .find_map(|member| match member {
                    Item::Check(check) => Some(check.facts.port).filter(|port| *port != 0),
                    Item::Group(_) => None,
                })
                .unwrap_or(0),
        }),
    };
    let target = facts.and_then(|facts| facts.target.as_deref());
    Endpoint {
        op: label("op").unwrap_or(item.name()),
        port,
        url: label("url").or(target).unwrap_or_default(),
        status: status(item),
    }
}

fn status(item: Item<'_>) -> &'static str {
    let is_known = match item {
        Item::Check(check) => check.counts(),
        Item::Group(group) => !group.spec.members.is_empty() && !group.maintenance,
    };
    match is_known {
        false => "UNKNOWN",
        true if item.state().is_healthy() => "ONLINE",
        true => "OFFLINE",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::testing::{check, group, snapshot};
    use super::*;
    use crate::snapshot::{CheckState, Facts, GroupState, Snapshot};
    use crate::status::Status;

    fn of(snapshot: &Snapshot) -> (u16, Value) {
        let selection = Selection::all(snapshot);
        let body = serde_json::from_slice(&Nosana.render(&selection)).expect("JSON");
        (Nosana.code(&selection), body)
    }

    fn labels(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn port(name: &str, members: &[&str], state: Status, pairs: &[(&str, &str)]) -> GroupState {
        let mut group = group(name, members, state, (0, members.len()));
        Arc::make_mut(&mut group.spec).labels = labels(pairs);
        group
    }

    #[test]
    fn the_keys_stand_in_their_order_and_come_from_labels() {
        let pairs = [("op", "web"), ("port", "8080"), ("url", "https://x.node.example")];
        let group = port("web-8080", &["web-8080-1"], Status::Pass, &pairs);
        let snapshot = snapshot([check("web-8080-1", Status::Pass)], [group]);
        let body = Nosana.render(&Selection::all(&snapshot));
        assert_eq!(
            String::from_utf8(body).expect("text"),
            r#"[{"opID":"web","port":8080,"url":"https://x.node.example","status":"ONLINE"}]"#
        );
    }

    #[test]
    fn without_labels_it_is_what_the_check_looks_at() {
        let facts = Facts { target: Some("http://h:81/".to_owned()), port: 81, plugin: None };
        let alone = CheckState { facts: Arc::new(facts.clone()), ..check("alone", Status::Warn) };
        let inside = CheckState { facts: Arc::new(facts), ..check("inside", Status::Fail) };
        let groups = [
            port("of", &["inside"], Status::Fail, &[]),
            port("range", &["inside"], Status::Fail, &[("port", "3000-3005")]),
        ];
        let (code, body) = of(&snapshot([alone, inside], groups));
        assert_eq!(code, 503);
        assert_eq!(
            body,
            json!([
                { "opID": "of", "port": 81, "url": "", "status": "OFFLINE" },
                { "opID": "range", "port": "3000-3005", "url": "", "status": "OFFLINE" },
                { "opID": "alone", "port": 81, "url": "http://h:81/", "status": "ONLINE" },
            ])
        );
    }

    #[test]
    fn it_is_offline_until_it_has_passed_and_unknown_where_there_is_nothing_to_know() {
        let pending = CheckState { last: None, ..check("a", Status::Unknown) };
        let mut aside = check("m", Status::Fail);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let mut resting = group("rests", &["m"], Status::Unknown, (0, 0));
        resting.maintenance = true;
        let mut bare = group("bare", &[], Status::Unknown, (0, 0));
        bare.asked = false;
        let starting = group("starts", &["a"], Status::Unknown, (0, 1));
        let mut alone = check("z", Status::Fail);
        alone.aside = Some(crate::snapshot::Aside::maintenance());
        let (code, body) = of(&snapshot([pending, aside, alone], [bare, resting, starting]));
        assert_eq!(code, 503);
        let list = body.as_array().expect("a list");
        let found: Vec<(&str, &str)> = list
            .iter()
            .map(|e| (e["opID"].as_str().expect("text"), e["status"].as_str().expect("text")))
            .collect();
        let expected =
            [("bare", "UNKNOWN"), ("rests", "UNKNOWN"), ("starts", "OFFLINE"), ("z", "UNKNOWN")];
        assert_eq!(found, expected);
    }
}
