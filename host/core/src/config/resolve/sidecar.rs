//! Sidecars and plugin files alone: checks that somebody may have dropped who may not touch
//! `wellcheck.toml`.
//!
//! So their problems never refuse the configuration: the check exists, does not run, and says why.
//! What a sidecar may grant itself, which limits it has, and what `${...}` it may use is decided by
//! `wellcheck.toml`.

use std::collections::BTreeMap;

use super::Resolver;
use super::timing::Defaults;
use crate::check::{CheckSpec, Origin, What};
use crate::config::SourceFile;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, References, Table};
use crate::grant::Grants;
use crate::id::{CheckName, PluginName};

/// Who wrote a check.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    Configuration,
    Sidecar { plugin: &'a PluginName, allowed: &'a Grants },
}

impl Owner<'_> {
    pub(super) fn plugin(&self) -> Option<&PluginName> {
        match self {
            Self::Configuration => None,
            Self::Sidecar { plugin, .. } => Some(plugin),
        }
    }

    pub(super) fn origin(self) -> Origin {
        match self {
            Self::Configuration => Origin::Configured,
            Self::Sidecar { .. } => Origin::Sidecar,
        }
    }
}

impl Resolver<'_> {
    /// The checks of `plugins/NAME.toml`. With a problem in it there is one check, which does not run.
    pub(super) fn sidecar(
        &mut self,
        plugin: &PluginName,
        file: &SourceFile,
        defaults: &Defaults,
        allowed: &Grants,
    ) -> Vec<CheckSpec> {
        let outer = std::mem::take(&mut self.problems);
        let names = self.names.clone();
        let named_checks = self.named_checks.len();
        let mut table = self.parse(file, References::Sidecar(&allowed.env));
        let owner = Owner::Sidecar { plugin, allowed };
        let several = table.entries.len() == 1 && table.entries.contains_key("check");
        let tables = match table.entries.remove("check") {
            Some(entry) if several => {
                let entries = [("check".to_owned(), entry)].into();
                let table = Table { entries, place: table.place.clone() };
                Reader::new("this file", table, &[keys::ROOT]).tables("check", &mut self.problems)
            }
            Some(entry) => {
                self.problems.error(&entry.key, "`[[check]]` stands beside other keys (a sidecar holds either the keys of one check, or a list of checks)");
                Vec::new()
            }
            None => vec![table],
        };
        let mut checks: Vec<CheckSpec> =
            tables.into_iter().filter_map(|table| self.check(table, defaults, owner)).collect();
        let found = std::mem::replace(&mut self.problems, outer);
        if found.has_errors() {
            self.names = names;
            self.named_checks.truncate(named_checks);
            checks = self.plain(plugin, defaults, Origin::Sidecar).into_iter().collect();
            for check in &mut checks {
                check.refused = Some(format!("its sidecar `{}` has problems", file.name));
            }
        }
        self.problems.append(found);
        checks
    }

    /// A check that runs `plugin` with every default.
    pub(super) fn plain(
        &mut self,
        plugin: &PluginName,
        defaults: &Defaults,
        origin: Origin,
    ) -> Option<CheckSpec> {
        let place = Place::file(format!("{plugin}.wasm"));
        let name = match CheckName::new(plugin.as_str()) {
            Ok(name) => name,
            Err(error) => {
                self.problems.warning(&place, format!("plugin `{plugin}` is no check by itself: {error} (name a check that uses it)"));
                return None;
            }
        };
        if let Some(first) = self.names.get(&name) {
            let message = format!(
                "plugin `{plugin}` is no check by itself, since another check has its name (at {first}); name a check that uses it"
            );
            self.problems.warning(&place, message);
            return None;
        }
        self.names.insert(name.clone(), place.clone());
        let table = Table { entries: BTreeMap::new(), place: place.clone() };
        let reader = Reader::new(String::new(), table, &[]);
        Some(CheckSpec {
            name,
            title: None,
            tags: Vec::new(),
            timing: self.timing(&Defaults::default(), defaults, &reader),
            thresholds: defaults.thresholds(),
            on_fault: defaults.on_fault.unwrap_or_default(),
            what: What::Plugin {
                plugin: plugin.clone(),
                settings: serde_json::json!({}),
                grants: Grants::default(),
                limits: defaults.limits.clone(),
            },
            origin,
            place,
            refused: None,
        })
    }
}
