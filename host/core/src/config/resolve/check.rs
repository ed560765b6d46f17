//! `[[check]]`: the keys that every check has, and what runs.

use super::Resolver;
use super::grants::Owned;
use super::sidecar::Owner;
use super::timing::Defaults;
use crate::check::{CheckSpec, STALE_AFTER, What};
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Text, Value};
use crate::id::{CheckName, PluginName};

const MAX_TITLE: usize = 200;

impl Resolver<'_> {
    pub(super) fn title(&mut self, reader: &mut Reader) -> Option<String> {
        reader.parsed("title", &mut self.problems, |text| one_line(&text.value))
    }

    /// Claims a name for a check or a group. Two of one name are a problem of the second.
    pub(super) fn claim(&mut self, noun: &str, name: &CheckName, place: &Place) -> bool {
        if let Some(first) = self.names.get(name) {
            let message =
                format!("a second {noun} is called `{name}` (the first stands at {first})");
            self.problems.error(place, message);
            return false;
        }
        self.names.insert(name.clone(), place.clone());
        self.claimed.push(name.clone());
        true
    }

    pub(super) fn check(
        &mut self,
        table: Table,
        defaults: &Defaults,
        owner: Owner<'_>,
    ) -> Option<CheckSpec> {
        let place = table.place.clone();
        let what = match table.entries.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => format!("check `{}`", name.shown().escape_debug()),
            _ => owner
                .plugin()
                .map_or("this check".to_owned(), |p| format!("the check of plugin `{p}`")),
        };
        let mut reader = Reader::new(what, table, &[keys::CHECK, keys::TIMING, keys::JUDGEMENT]);
        let named = reader.has("name");
        let name_place = reader.place_of("name");
        let mut name = reader.parsed("name", &mut self.problems, |t| {
            CheckName::new(&t.value).map_err(|e| e.to_string())
        });
        if !named {
            match owner.plugin() {
                None => reader.missing("name", &mut self.problems),
                Some(plugin) => match CheckName::new(plugin.as_str()) {
                    Ok(own) => name = Some(own),
                    Err(error) => self.problems.error(&place, error.to_string()),
                },
            }
        }
        let title = self.title(&mut reader);
        let enabled = reader.boolean("enabled", &mut self.problems).unwrap_or(true);
        let tags = reader.texts("tags", &mut self.problems).into_iter().map(|t| t.value).collect();
        let labels = self.labels(&mut reader);
        let maintenance = reader.boolean("maintenance", &mut self.problems).unwrap_or(false);
        let start = self.start(&mut reader);
        let uplink = reader.boolean("uplink", &mut self.problems).unwrap_or(false);
        let own_parents = reader.has("depends-on");
        let mut depends_on = self.names(&mut reader, "depends-on");
        let cron = self.cron(&mut reader);
        let own = self.timing_keys(&mut reader);
        if owner.plugin().is_some() {
            self.sidecar_timing(&own, start.interval, defaults, &reader);
        }
        let timing = self.timing(&own, defaults, &reader);
        let own = own.over(defaults);
        let facts = self.facts_of(&reader);
        let judgement = self.judgement(&mut reader, facts, timing.timeout);
        let shown = reader.what().to_owned();
        let what = self.what(reader, owner, defaults);
        if let (true, Some(What::Builtin { kind, settings })) = (enabled, &what) {
            let asked = judgement.asked();
            self.kinds.read(&shown, name.as_ref(), kind, settings, &asked, &mut self.problems);
        }
        let name = name?;
        if !own_parents && !uplink && !own.depends_on.contains(&name) {
            depends_on = own.depends_on.clone();
        }
        let first = self.claim("check", &name, &name_place);
        if !enabled || !first {
            return None;
        }
        Some(CheckSpec {
            name,
            title,
            tags,
            labels,
            timing,
            cron,
            start,
            depends_on,
            uplink,
            flapping: own.flapping.unwrap_or(true),
            stale_after: own.stale_after.unwrap_or(STALE_AFTER),
            maintenance,
            thresholds: own.thresholds(),
            on_fault: own.on_fault.unwrap_or_default(),
            judgement,
            what: what?,
            origin: owner.origin(),
            refused: None,
            place,
        })
    }

    /// What a check or a module runs; the reader's other keys have been taken.
    pub(super) fn what(
        &mut self,
        mut reader: Reader,
        owner: Owner<'_>,
        defaults: &Defaults,
    ) -> Option<What> {
        let kind_place = reader.place_of("kind");
        let plugin_place = reader.place_of("plugin");
        let kind = reader.text("kind", &mut self.problems);
        let has_plugin = reader.has("plugin");
        let mut plugin = reader.parsed("plugin", &mut self.problems, |text| {
            PluginName::new(&text.value).map_err(|e| e.to_string())
        });
        let is_plugin = |kind: &Text| kind.value == "plugin";
        if let Some(own) = owner.plugin() {
            if kind.as_ref().is_some_and(|kind| !is_plugin(kind)) {
                self.problems.error(
                    &kind_place,
                    format!("{} has a `kind` (a sidecar configures its own plugin)", reader.what()),
                );
            }
            if plugin.as_ref().is_some_and(|named| named != own) {
                self.problems.error(
                    &plugin_place,
                    format!(
                        "{} names another plugin (this is the sidecar of `{own}`)",
                        reader.what()
                    ),
                );
            }
            plugin = Some(own.clone());
        } else if let Some(kind) = kind {
            if !is_plugin(&kind) {
                if has_plugin {
                    self.problems.error(
                        &plugin_place,
                        format!(
                            "{} has both `kind = \"{}\"` and `plugin` (expected one of them)",
                            reader.what(),
                            kind.shown()
                        ),
                    );
                    return None;
                }
                for key in ["settings", "grants", "limits"] {
                    if reader.has(key) {
                        let place = reader.place_of(key);
                        self.problems.error(
                            &place,
                            format!("{} has `{key}`, which are for plugins (the keys of kind `{}` stand beside `kind`)", reader.what(), kind.shown()),
                        );
                        reader.take(key);
                    }
                }
                return Some(What::Builtin { kind, settings: reader.rest() });
            }
            if !has_plugin {
                reader.missing("plugin", &mut self.problems);
            }
        } else if !has_plugin {
            self.problems.error(
                reader.place(),
                format!(
                    "{} has neither `kind` nor `plugin` (for example: kind = \"http\")",
                    reader.what()
                ),
            );
            // What else stands there may belong to the kind that is missing.
            return None;
        }
        let settings = reader
            .table("settings", &mut self.problems)
            .map_or_else(|| serde_json::json!({}), |table| table.to_json());
        let what = reader.what().to_owned();
        let owned = match owner {
            Owner::Configuration => Owned::Configuration,
            Owner::Sidecar { .. } => Owned::Sidecar,
        };
        let (mut grants, places) = reader
            .table("grants", &mut self.problems)
            .map(|table| self.grants(&format!("`grants` of {what}"), table, owned))
            .unwrap_or_default();
        let ceiling = match owner {
            Owner::Configuration => None,
            Owner::Sidecar { allowed, .. } => {
                self.within(&what, &mut grants, &places, allowed);
                Some(&defaults.limits)
            }
        };
        let limits = match reader.table("limits", &mut self.problems) {
            None => defaults.limits.clone(),
            Some(table) => {
                self.run_limits(&format!("`limits` of {what}"), table, &defaults.limits, ceiling)
            }
        };
        reader.finish(&[], &mut self.problems);
        Some(What::Plugin { plugin: plugin?, settings, grants, limits })
    }
}

/// A short text for people.
pub(super) fn one_line(text: &str) -> Result<String, String> {
    if text.len() > MAX_TITLE || text.chars().any(char::is_control) {
        return Err(format!("expected at most {MAX_TITLE} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// The plugin that a check's table names, whether or not the rest of it is sound.
pub(super) fn plugin_named(table: &Table) -> Option<PluginName> {
    match &table.entries.get("plugin")?.node.value {
        Value::String(text) => PluginName::new(&text.value).ok(),
        _ => None,
    }
}
