//! Health as Spring Boot's actuator shows it: components, and groups as components that have some.
//!
//! `pass` and `warn` are `UP`, since Spring has no warning: the detail `state` says `warn`. `fail` is
//! `DOWN`, and what is in maintenance `OUT_OF_SERVICE`. Those two answer 503 and the others 200, as
//! Spring's own table has it, and that includes `UNKNOWN`, which no other format takes for healthy:
//! whoever asks in Spring's words knows that table, and acts on the word. `codes = { unknown = 503 }`
//! of an `[[endpoint]]` changes it.
//!
//! A group may be in several groups. Its components are told where it comes first, and from then on
//! only its status, so that the body grows with the configuration and not with the paths through it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Format, Scope, Selection, facts};
use crate::endpoint::Detail;
use crate::snapshot::Item;
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct Spring;

impl Format for Spring {
    fn name(&self) -> &'static str {
        "spring"
    }

    fn summary(&self) -> &'static str {
        "components as Spring Boot's /actuator/health shows them"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.spring-boot.actuator.v3+json"
    }

    fn accepts(&self) -> &'static [&'static str] {
        &["application/vnd.spring-boot.actuator.v3+json"]
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        code(selection)
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        render(selection, "components")
    }
}

/// Spring's table.
pub(super) fn code(selection: &Selection<'_>) -> u16 {
    match whole(selection) {
        "DOWN" | "OUT_OF_SERVICE" => 503,
        _ => 200,
    }
}

/// The body, with the word that the version has for what is within a component.
pub(super) fn render(selection: &Selection<'_>, within: &'static str) -> Vec<u8> {
    let told = RefCell::default();
    let body = Body { selection, within, told: &told };
    serde_json::to_vec(&body).expect("these types have string keys and finite numbers")
}

fn whole(selection: &Selection<'_>) -> &'static str {
    if selection.in_maintenance() { "OUT_OF_SERVICE" } else { word(selection.status()) }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pass | Status::Warn => "UP",
        Status::Fail => "DOWN",
        Status::Unknown => "UNKNOWN",
    }
}

/// All of it.
#[derive(Clone, Copy)]
struct Body<'a> {
    selection: &'a Selection<'a>,
    within: &'static str,
    /// The groups whose components have been told.
    told: &'a RefCell<BTreeSet<&'a str>>,
}

impl<'a> Body<'a> {
    fn components(self, items: Vec<Item<'a>>) -> Components<'a> {
        Components { body: self, items }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.selection.tree();
        if let (Scope::One | Scope::Group, [item]) = (self.selection.scope, &items[..]) {
            return Component { body: *self, item: *item }.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", whole(self.selection))?;
        if !items.is_empty() {
            map.serialize_entry(self.within, &self.components(items))?;
        }
        let groups = self.selection.groups.iter();
        let groups: Vec<&str> = groups.map(|group| group.spec.name.as_str()).collect();
        if !groups.is_empty() {
            map.serialize_entry("groups", &groups)?;
        }
        map.end()
    }
}

struct Components<'a> {
    body: Body<'a>,
    items: Vec<Item<'a>>,
}

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.items.len()))?;
        for item in self.items.iter().copied() {
            map.serialize_entry(item.name(), &Component { body: self.body, item })?;
        }
        map.end()
    }
}

struct Component<'a> {
    body: Body<'a>,
    item: Item<'a>,
}

impl Serialize for Component<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { body, item } = *self;
        let status = if item.in_maintenance() { "OUT_OF_SERVICE" } else { word(item.state()) };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", status)?;
        match item {
            Item::Group(group) => {
                if body.told.borrow_mut().insert(group.spec.name.as_str()) {
                    let members = body.selection.members(group);
                    if !members.is_empty() {
                        map.serialize_entry(body.within, &body.components(members))?;
                    }
                }
            }
            Item::Check(_) if body.selection.options.detail == Detail::All => {
                map.serialize_entry("details", &facts::of(body.selection, item))?;
            }
            Item::Check(_) => {}
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Options;
    use crate::format::testing::{check, failed, group, snapshot};
    use crate::snapshot::Snapshot;
    use serde_json::{Value, json};
    fn told(snapshot: &Snapshot, detail: Detail) -> Value {
        let selection = Selection::all(snapshot).told(Options { detail, ..Options::default() });
        serde_json::from_slice(&Spring.render(&selection)).expect("JSON")
    }

    #[test]
    fn groups_are_components_that_have_some_and_are_listed() {
        let checks = vec![check("a", Status::Pass), failed("b"), check("c", Status::Warn)];
        let groups = vec![
            group("inner", &["b"], Status::Fail, (1, 1)),
            group("outer", &["a", "inner"], Status::Fail, (1, 2)),
        ];
        let snapshot = snapshot(checks, groups);
        assert_eq!(
            told(&snapshot, Detail::Names),
            json!({
                "status": "DOWN",
                "components": {
                    "outer": {
                        "status": "DOWN",
                        "components": {
                            "a": { "status": "UP" },
                            "inner": { "status": "DOWN", "components": { "b": { "status": "DOWN" } } },
                        },
                    },
                    "c": { "status": "UP" },
                },
                "groups": ["inner", "outer"],
            })
        );
        assert_eq!(told(&snapshot, Detail::None), json!({ "status": "DOWN" }));
        let all = told(&snapshot, Detail::All);
        assert_eq!(
            all["components"]["c"]["details"]["state"], "warn",
            "which Spring has no word for"
        );
        let inner = Selection::item(&snapshot, snapshot.item("inner").expect("it is there"));
        let inner: Value = serde_json::from_slice(&Spring.render(&inner)).expect("JSON");
        assert_eq!((&inner["status"], &inner["groups"]), (&json!("DOWN"), &Value::Null));
        assert_eq!(inner["components"]["b"]["details"]["message"], "message");
    }

    #[test]
    fn a_group_in_several_groups_tells_its_components_once() {
        // Without that, ten layers of ten groups would be ten thousand million components.
        let groups: Vec<_> = (0..8)
            .flat_map(|layer| (0..10).map(move |n| (layer, n)))
            .map(|(layer, n)| {
                let below: Vec<String> = match layer {
                    0 => vec!["a".to_owned()],
                    layer => (0..10).map(|n| format!("g{}-{n}", layer - 1)).collect(),
                };
                let below: Vec<&str> = below.iter().map(String::as_str).collect();
                group(&format!("g{layer}-{n}"), &below, Status::Pass, (1, 1))
            })
            .collect();
        let snapshot = snapshot(vec![check("a", Status::Pass)], groups);
        let body = Spring.render(&Selection::all(&snapshot));
        assert!(body.len() < 100_000, "{} bytes", body.len());
    }

    #[test]
    fn codes_are_springs_own() {
        let code =
            |status| Spring.code(&Selection::all(&snapshot(vec![check("a", status)], vec![])));
        let codes = Status::ALL.map(code);
        assert_eq!(codes, [200, 200, 200, 503], "of pass, warn, unknown and fail");
        let mut aside = check("a", Status::Pass);
        aside.aside = Some(crate::snapshot::Aside::maintenance());
        let snapshot = snapshot(vec![aside], vec![]);
        assert_eq!(Spring.code(&Selection::all(&snapshot)), 503);
        assert_eq!(told(&snapshot, Detail::All)["components"]["a"]["status"], "OUT_OF_SERVICE");
    }
}
