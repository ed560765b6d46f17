//! What is to run: every check of the configuration, joined with what can run it.
//!
//! Built when the configuration or the plugins change, and handed to the scheduler whole. A check
//! that cannot run (its plugin is missing, being compiled or broken, its settings do not fit) is an
//! entry all the same: it is held, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wellcheck_core::check::{CheckSpec, Origin, What};
use wellcheck_core::config::tree::{Table, Text};
use wellcheck_core::config::{Config, Kinds, Problem, Problems};
use wellcheck_core::fact::{Asked, FactKey};
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::outcome::FaultReason;
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::{Facts, Held, Newest};

use crate::checks::plugin::{Given, PluginChecker};
use crate::checks::{Checker, Tools};
use crate::plugins::{Plugins, User};

/// A configuration with its built-in checkers made.
pub(crate) struct Registry {
    /// As read.
    pub(crate) config: Arc<Config>,
    specs: Vec<Arc<CheckSpec>>,
    builtin: BTreeMap<CheckName, Arc<dyn Checker>>,
}

/// One check, ready to be scheduled.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<CheckSpec>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) runner: Runner,
    /// Removes secrets from what runs return.
    pub(crate) redactor: Redactor,
}

/// What runs a check.
#[derive(Clone)]
pub(crate) enum Runner {
    /// A checker; another version of it than before if the number differs.
    Ready(Arc<dyn Checker>, Version),
    /// Nothing, at present.
    Held(Held),
}

/// Tells whether the same thing still runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    /// The configuration alone decides.
    Builtin,
    /// The digest of the plugin's file.
    Plugin(String),
}

/// Makes the checkers of the built-in kinds while the configuration is read.
pub(crate) struct Builtin<'a> {
    tools: &'a Tools,
    checkers: BTreeMap<CheckName, Arc<dyn Checker>>,
}

impl<'a> Builtin<'a> {
    /// None yet.
    pub(crate) fn new(tools: &'a Tools) -> Self {
        Self { tools, checkers: BTreeMap::new() }
    }
}

impl Kinds for Builtin<'_> {
    fn facts(&self, kind: &str) -> &'static [&'static [FactKey]] {
        crate::checks::facts(kind)
    }

    fn read(
        &mut self,
        what: &str,
        name: Option<&CheckName>,
        kind: &Text,
        settings: &Table,
        asked: &Asked,
        problems: &mut Problems,
    ) {
        let checker =
            crate::checks::parse(what, kind, settings.clone(), asked, self.tools, problems);
        self.checkers.extend(name.cloned().zip(checker));
    }

    fn read_module(
        &mut self,
        what: &str,
        kind: &Text,
        settings: &Table,
        asked: &Asked,
        problems: &mut Problems,
    ) {
        let settings = settings.clone();
        crate::checks::parse_module(what, kind, settings, None, asked, self.tools, problems);
    }
}

impl Registry {
    /// Joins a configuration with the checkers that were made while it was read.
    pub(crate) fn new(config: Config, builtin: Builtin<'_>) -> Self {
        let specs = config.checks.iter().cloned().map(Arc::new).collect();
        Self { config: Arc::new(config), specs, builtin: builtin.checkers }
    }

    /// The checker of a built-in check.
    pub(crate) fn builtin(&self, name: &CheckName) -> Option<Arc<dyn Checker>> {
        self.builtin.get(name).cloned()
    }

    /// Settings that do not fit the plugin that runs: problems of the configuration, if it is to
    /// replace another one.
    ///
    /// A check that is the same in the one that runs was taken before its plugin was loaded; that
    /// it still does not fit is worth a warning, and must not hold up other changes.
    pub(crate) fn misfits(&self, plugins: &Plugins, running: &Self) -> Vec<Problem> {
        let mut problems = Problems::default();
        for spec in self.specs.iter().filter(|spec| spec.origin == Origin::Configured) {
            let same = |other: &&Arc<CheckSpec>| other.name == spec.name && other.what == spec.what;
            let is_old = running.specs.iter().any(|other| same(&other));
            if let What::Plugin { plugin, settings, .. } = &spec.what
                && let Some(loaded) = plugins.running(plugin)
                && let Err(list) = loaded.plugin.check_settings(settings)
            {
                for why in list {
                    let message = format!("check `{}`: {}", spec.name, misfit(plugin, &why));
                    if is_old {
                        problems.warning(&spec.place, message);
                    } else {
                        problems.error(&spec.place, message);
                    }
                }
            }
        }
        problems.sorted()
    }

    /// The checks that use a plugin.
    pub(crate) fn users(&self, name: &PluginName) -> Vec<User> {
        let users = self.specs.iter().filter_map(|spec| match &spec.what {
            What::Plugin { plugin, settings, grants, limits } if plugin == name => Some(User {
                check: spec.name.clone(),
                given: Given::new(settings, grants, limits, &self.config),
                timeout: spec.timing.timeout,
            }),
            _ => None,
        });
        users.collect()
    }

    /// The checks that may keep state, each with its plugin.
    pub(crate) fn keepers(&self) -> BTreeSet<(CheckName, PluginName)> {
        let keeps = |spec: &Arc<CheckSpec>| match &spec.what {
            What::Plugin { plugin, grants, .. } if grants.state > 0 => {
                Some((spec.name.clone(), plugin.clone()))
            }
            _ => None,
        };
        self.specs.iter().filter_map(keeps).collect()
    }

    /// Every check with what runs it now.
    pub(crate) fn entries(&self, plugins: &Plugins) -> Vec<Entry> {
        self.specs.iter().map(|spec| self.entry(spec, plugins)).collect()
    }

    fn entry(&self, spec: &Arc<CheckSpec>, plugins: &Plugins) -> Entry {
        let runner = match (&spec.refused, &spec.what) {
            (Some(why), _) => held(FaultReason::BadSettings, why.clone()),
            (None, What::Builtin { .. }) => {
                let checker = self.builtin.get(&spec.name).expect("made while it was read");
                Runner::Ready(Arc::clone(checker), Version::Builtin)
            }
            (None, What::Plugin { plugin, settings, grants, limits }) => {
                let given = Given::new(settings, grants, limits, &self.config);
                plugin_runner(plugin, &given, plugins)
            }
        };
        let facts = match &runner {
            Runner::Ready(checker, _) => checker.facts(),
            Runner::Held(_) => Facts::default(),
        };
        let redactor = self.config.redactor.clone();
        Entry { spec: Arc::clone(spec), facts: Arc::new(facts), runner, redactor }
    }
}

fn misfit(plugin: &PluginName, why: &str) -> String {
    format!("the settings do not fit plugin `{plugin}`: {why}")
}

fn held(reason: FaultReason, message: impl Into<String>) -> Runner {
    Runner::Held(Held { reason, message: message.into() })
}

/// Why no version of a plugin runs, given what its newest file is up to.
pub(crate) fn absent(name: &PluginName, newest: Option<&Newest>) -> Held {
    let (reason, message) = match newest {
        None => (FaultReason::Missing, format!("there is no plugin file `{name}.wasm`")),
        Some(Newest::Broken(why)) => (FaultReason::Load, why.clone()),
        Some(Newest::Blocked(grants)) => (FaultReason::Denied, grants.join("; ")),
        Some(Newest::Loading(step)) => (FaultReason::Compiling, step.clone()),
        Some(Newest::Running) => (FaultReason::Compiling, "it is being swapped in".to_owned()),
    };
    Held { reason, message }
}

fn plugin_runner(name: &PluginName, given: &Given, plugins: &Plugins) -> Runner {
    let Some(loaded) = plugins.running(name) else {
        return Runner::Held(absent(name, plugins.newest(name)));
    };
    match PluginChecker::new(loaded, given, plugins.supplier()) {
        Ok(checker) => {
            let version = Version::Plugin(loaded.facts.digest.clone());
            Runner::Ready(Arc::new(checker), version)
        }
        Err(list) => held(FaultReason::BadSettings, misfit(name, &list.join("; "))),
    }
}
