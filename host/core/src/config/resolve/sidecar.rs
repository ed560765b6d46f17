//! Sidecars and plugin files alone: checks that somebody may have dropped who may not touch
//! `wellcheck.toml`.
//!
//! So their problems never refuse the configuration: the check exists, does not run, and says why.
//! What a sidecar may grant itself, which limits and timing it has, and what `${...}` it may use is
//! decided by `wellcheck.toml`. Its checks and its problems are few, however much it holds.

use std::collections::BTreeMap;

use super::Resolver;
use super::timing::Defaults;
use crate::check::{CheckSpec, Origin, What};
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::tree::{Place, References, Table};
use crate::config::{MAX_SIDECAR_CHECKS, MAX_SIDECAR_PROBLEMS, SourceFile, Unreadable, keys};
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
    /// The checks of `plugins/NAME.toml`. If it cannot be read or has a problem there is one check,
    /// which does not run.
    pub(super) fn sidecar(
        &mut self,
        plugin: &PluginName,
        file: &Result<SourceFile, Unreadable>,
        defaults: &Defaults,
        allowed: &Grants,
    ) -> Vec<CheckSpec> {
        let file = match file {
            Ok(file) => file,
            Err(Unreadable { name, why }) => {
                self.problems.error(&Place::file(name.clone()), format!("cannot be read: {why}"));
                let why = format!("its sidecar `{name}` cannot be read: {why}");
                return self.held(plugin, defaults, why).into_iter().collect();
            }
        };
        let bounded = Problems::at_most(MAX_SIDECAR_PROBLEMS);
        let outer = std::mem::replace(&mut self.problems, bounded);
        self.claimed.clear();
        let (named_checks, named) = (self.named_checks.len(), self.named.len());
        self.in_sidecar = true;
        let mut table = self.parse(file, References::Sidecar(&allowed.env));
        let owner = Owner::Sidecar { plugin, allowed };
        let several = table.entries.len() == 1 && table.entries.contains_key("check");
        let mut tables = match table.entries.remove("check") {
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
        if let Some(further) = tables.get(MAX_SIDECAR_CHECKS) {
            let found = tables.len();
            self.problems.error(&further.place, format!("this sidecar holds {found} checks (expected at most {MAX_SIDECAR_CHECKS}; move the checks to `wellcheck.toml`)"));
            tables.truncate(MAX_SIDECAR_CHECKS);
        }
        let mut checks: Vec<CheckSpec> =
            tables.into_iter().filter_map(|table| self.check(table, defaults, owner)).collect();
        self.in_sidecar = false;
        let found = std::mem::replace(&mut self.problems, outer);
        if found.has_errors() {
            for name in std::mem::take(&mut self.claimed) {
                self.names.remove(&name);
            }
            self.named_checks.truncate(named_checks);
            self.named.truncate(named);
            let why = format!("its sidecar `{}` has problems", file.name);
            checks = self.held(plugin, defaults, why).into_iter().collect();
        }
        self.problems.append(found);
        checks
    }

    /// In place of the checks of a sidecar, one that does not run.
    fn held(&mut self, plugin: &PluginName, defaults: &Defaults, why: String) -> Option<CheckSpec> {
        let check = self.plain(plugin, defaults, Origin::Sidecar)?;
        Some(CheckSpec { refused: Some(why), ..check })
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
        let what = What::Plugin {
            plugin: plugin.clone(),
            settings: serde_json::json!({}),
            grants: Grants::default(),
            limits: defaults.limits.clone(),
        };
        Some(CheckSpec {
            timing: self.timing(&Defaults::default(), defaults, &reader),
            thresholds: defaults.thresholds(),
            on_fault: defaults.on_fault.unwrap_or_default(),
            origin,
            ..CheckSpec::new(name, what, place)
        })
    }
}
