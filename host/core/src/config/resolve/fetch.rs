//! `[[plugin]]` and `[[registry]]`: plugins that are fetched, and who we are where they are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Resolver;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Text, Value};
use crate::config::{PluginSpec, RegistrySpec};
use crate::id::PluginName;
use crate::redact::MIN_REDACTED;
use crate::source::{Digest, PublicKey, Source, registry_host};

/// Most plugins that are fetched.
const MAX_PLUGINS: usize = 256;

/// Most keys in one list.
const MAX_KEYS: usize = 64;

impl Resolver<'_> {
    /// `[[plugin]]`, each name once.
    pub(super) fn fetched(&mut self, tables: Vec<Table>) -> Vec<PluginSpec> {
        if let Some(table) = tables.get(MAX_PLUGINS) {
            let message = format!("there are more than {MAX_PLUGINS} `[[plugin]]` tables");
            self.problems.error(&table.place, message);
            return Vec::new();
        }
        let mut specs: Vec<PluginSpec> = Vec::new();
        for table in tables {
            let Some(spec) = self.fetched_plugin(table) else { continue };
            match specs.iter().find(|other| other.name == spec.name) {
                Some(first) => {
                    let (name, at) = (&spec.name, &first.place);
                    let message = format!(
                        "a second `[[plugin]]` is called `{name}` (the first stands at {at})"
                    );
                    self.problems.error(&spec.place, message);
                }
                None => specs.push(spec),
            }
        }
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        specs
    }

    fn fetched_plugin(&mut self, table: Table) -> Option<PluginSpec> {
        let place = table.place.clone();
        let what = match table.entries.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => {
                let shown: String =
                    name.shown().chars().take(80).flat_map(char::escape_debug).collect();
                format!("`[[plugin]]` `{shown}`")
            }
            _ => "this `[[plugin]]`".to_owned(),
        };
        let mut reader = Reader::new(what, table, &[keys::PLUGIN]);
        for key in ["name", "source"] {
            if !reader.has(key) {
                reader.missing(key, &mut self.problems);
            }
        }
        let problems = &mut self.problems;
        let name = reader.parsed("name", problems, |text| {
            PluginName::new(&text.value).map_err(|error| error.to_string())
        });
        let source = reader.parsed("source", problems, |text| Source::parse(&text.value));
        let digest = reader.parsed("digest", problems, |text| Digest::parse(&text.value));
        let bounds = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
        let place_of_interval = reader.place_of("interval");
        let interval = reader.duration("interval", bounds, problems);
        let keys = self.keys("key", &mut reader);
        reader.finish(&[], &mut self.problems);
        let (name, source) = (name?, source?);
        if interval.is_some() && !source.may_change() {
            let message = format!(
                "`interval` of `[[plugin]]` `{name}` has no effect: its source names a digest, which leads to the same file for ever"
            );
            self.problems.warning(&place_of_interval, message);
        }
        Some(PluginSpec { name, source, digest, keys, interval, place })
    }

    /// Names that a file of the folder has as well. The configuration wins, and whoever dropped the file
    /// must not be able to refuse it.
    pub(super) fn in_both(&mut self, fetched: &[PluginSpec], dropped: &[PluginName]) {
        for PluginSpec { name, source, place, .. } in fetched {
            if dropped.contains(name) {
                let message = format!(
                    "plugin `{name}` comes from `{source}`, and the file `{name}.wasm` of the plugins folder has the same name and is not used (remove the one or the other)"
                );
                self.problems.error(place, message);
            }
        }
    }

    /// One public key or a list of them. An empty list would be no demand at all.
    pub(super) fn keys(&mut self, key: &str, reader: &mut Reader) -> Vec<PublicKey> {
        let is_there = reader.has(key);
        let texts = reader.texts(key, &mut self.problems);
        let mut found = Vec::new();
        for text in &texts {
            match PublicKey::parse(&text.value) {
                Ok(key) => found.push(key),
                Err(why) => {
                    let message = format!("`{key}` of {}: {why}", reader.what());
                    self.problems.error(&text.place, message);
                }
            }
        }
        let place = reader.place_of(key);
        if is_there && texts.is_empty() && !self.problems.has_error_at(&place) {
            let message = format!(
                "`{key}` of {} names no key (leave it out where none is to be asked for)",
                reader.what()
            );
            self.problems.error(&place, message);
        }
        if texts.len() > MAX_KEYS {
            let message = format!("`{key}` of {} holds more than {MAX_KEYS} keys", reader.what());
            self.problems.error(&place, message);
        }
        found
    }

    /// `[[registry]]`, each host once.
    pub(super) fn registries(&mut self, tables: Vec<Table>) -> Vec<RegistrySpec> {
        let mut hosts: BTreeMap<String, Place> = BTreeMap::new();
        let mut registries = Vec::new();
        for table in tables {
            let place = table.place.clone();
            let Some(registry) = self.registry(table) else { continue };
            match hosts.get(&registry.host) {
                Some(first) => {
                    let host = &registry.host;
                    let message = format!(
                        "a second `[[registry]]` has the host `{host}` (the first stands at {first})"
                    );
                    self.problems.error(&place, message);
                }
                None => {
                    hosts.insert(registry.host.clone(), place);
                    registries.push(registry);
                }
            }
        }
        registries
    }

    fn registry(&mut self, table: Table) -> Option<RegistrySpec> {
        let mut reader = Reader::new("`[[registry]]`", table, &[keys::REGISTRY]);
        if !reader.has("host") {
            reader.missing("host", &mut self.problems);
        }
        let host = reader.parsed("host", &mut self.problems, |text| registry_host(&text.value));
        let username = reader.text("username", &mut self.problems).map(|text| text.value);
        let password = reader.text("password", &mut self.problems);
        let token = reader.text("token", &mut self.problems);
        let place = reader.place().clone();
        let password = password.map(|text| self.never_shown("password", text));
        let token = token.map(|text| self.never_shown("token", text));
        reader.finish(&[], &mut self.problems);
        let both = token.is_some() && (username.is_some() || password.is_some());
        if both || username.is_some() != password.is_some() {
            let message =
                "`[[registry]]` needs `username` and `password`, or `token` and neither of them";
            self.problems.error(&place, message);
        }
        Some(RegistrySpec { host: host?, username, password, token })
    }

    /// A value that never gets into a message.
    fn never_shown(&mut self, key: &str, text: Text) -> String {
        self.hidden.push(text.value.clone());
        // One that cannot be read has its problem already.
        if text.value.is_empty() && !self.problems.has_error_at(&text.place) {
            let message = format!("`{key}` of `[[registry]]` is empty (expected a text)");
            self.problems.error(&text.place, message);
        } else if !text.value.is_empty() && text.value.len() < MIN_REDACTED {
            let message = format!(
                "`{key}` of `[[registry]]` is shorter than {MIN_REDACTED} bytes, so that it cannot be kept out of what is shown (expected a longer one)"
            );
            self.problems.warning(&text.place, message);
        }
        text.value
    }
}
