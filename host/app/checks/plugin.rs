//! A check that a plugin runs: one of its components, with this check's settings and grants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::config::{Config, Records};
use wellcheck_core::grant::Grants;
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_wasm::{Invocation, Plugin, PluginRun, Standings, Supplies, Tape, Usage};

use super::{Checker, RunContext};
use crate::plugins::Loaded;
use crate::records::Noted;
use crate::store::Store;

/// What the configuration gives to a plugin for one check.
#[derive(Clone)]
pub(crate) struct Given {
    /// A JSON object.
    pub(crate) settings: serde_json::Value,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<RunLimits>,
    /// All secrets by name; the grants decide.
    pub(crate) secrets: Arc<BTreeMap<String, String>>,
    pub(crate) redactor: Redactor,
    /// What is kept of runs that fail.
    pub(crate) records: Records,
}

impl Given {
    /// What stands in the configuration.
    pub(crate) fn new(
        settings: &serde_json::Value,
        grants: &Grants,
        limits: &RunLimits,
        config: &Config,
    ) -> Self {
        Self {
            settings: settings.clone(),
            grants: Arc::new(grants.clone()),
            limits: Arc::new(limits.clone()),
            secrets: Arc::clone(&config.secrets),
            redactor: config.redactor.clone(),
            records: config.plugins.records,
        }
    }
}

/// What the process gives to every plugin that is granted it.
#[derive(Clone)]
pub(crate) struct Supplier {
    /// Where state is kept.
    pub(crate) store: Store,
    /// How other checks are; nothing where one check runs by itself.
    pub(crate) standings: Option<Arc<dyn Standings>>,
}

/// See the module.
pub(crate) struct PluginChecker {
    loaded: Loaded,
    settings: Arc<str>,
    given: Given,
    env: Arc<[(String, String)]>,
    supplier: Supplier,
}

impl PluginChecker {
    /// Binds a plugin to what a check gives it.
    ///
    /// # Errors
    /// Everything in which the settings do not fit the plugin's schema.
    pub(crate) fn new(
        loaded: &Loaded,
        given: &Given,
        supplier: &Supplier,
    ) -> Result<Self, Vec<String>> {
        loaded.plugin.check_settings(&given.settings)?;
        let names = given.grants.env.iter().map(|name| name.as_str());
        let env = names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        Ok(Self {
            loaded: loaded.clone(),
            settings: given.settings.to_string().into(),
            env: env.collect(),
            given: given.clone(),
            supplier: supplier.clone(),
        })
    }

    /// What it may reach.
    pub(crate) fn grants(&self) -> &Grants {
        &self.given.grants
    }

    /// The plugin that runs.
    pub(crate) fn plugin(&self) -> &Plugin {
        &self.loaded.plugin
    }

    /// Looks once; what the run wants to keep is not kept.
    pub(crate) async fn look(&self, context: &RunContext) -> PluginRun {
        self.look_noting(context, None).await.0
    }

    /// Looks once, and notes what the run sees on a tape, if there is one. Where the check's state
    /// may not be taken for empty and cannot be read, the plugin does not run, and the run is
    /// inconclusive.
    pub(crate) async fn look_noting(
        &self,
        context: &RunContext,
        tape: Option<Arc<Tape>>,
    ) -> (PluginRun, Option<Noted>) {
        let Self { loaded, settings, given, env, supplier } = self;
        let began = Instant::now();
        let left = || context.deadline.saturating_duration_since(Instant::now());
        let state = match given.grants.state {
            0 => Ok(Arc::default()),
            _ => supplier.store.state(&context.check, loaded.plugin.name(), left()).await,
        };
        let state = match state {
            Ok(state) => state,
            Err(why) => return (without_state(why, began.elapsed()), None),
        };
        let invocation = Invocation {
            check: context.check.clone(),
            settings: Arc::clone(settings),
            grants: Arc::clone(&given.grants),
            limits: Arc::clone(&given.limits),
            timeout: left().max(Duration::from_millis(1)),
            failures_in_a_row: context.failures_in_a_row,
            traceparent: None,
            redact: given.redactor.clone(),
            supplies: Supplies {
                env: Arc::clone(env),
                secrets: Arc::clone(&given.secrets),
                state,
                checks: supplier.standings.clone(),
            },
            tape: None,
        };
        let Some(tape) = tape else { return (loaded.plugin.run(invocation).await, None) };
        let noting = Invocation { tape: Some(Arc::clone(&tape)), ..invocation.clone() };
        let done = loaded.plugin.run(noting).await;
        let (plugin, run) = (loaded.plugin.clone(), done.run.clone());
        let noted = Noted { tape, plugin, invocation, run, bounds: given.records };
        (done, Some(noted))
    }

    /// Keeps what a run wants to keep.
    pub(crate) fn keep(&self, check: &CheckName, done: &mut PluginRun) {
        if let Some(state) = done.state.take() {
            self.supplier.store.keep(check, self.loaded.plugin.name(), Arc::new(state));
        }
    }
}

/// A run that ended before the plugin was asked.
fn without_state(why: String, duration: Duration) -> PluginRun {
    let outcome = Outcome::Faulted(Fault::new(FaultReason::Inconclusive, why));
    let run = Run::new(outcome, duration);
    PluginRun { run, used: Usage::default(), state: None }
}

impl Checker for PluginChecker {
    fn facts(&self) -> Facts {
        Facts { target: None, port: 0, plugin: Some(Arc::clone(&self.loaded.facts)) }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let mut done = self.look(context).await;
            self.keep(&context.check, &mut done);
            done.run
        }
        .boxed()
    }

    fn run_noting<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, (Run, Option<Noted>)> {
        async move {
            let Records { each, bytes, .. } = self.given.records;
            let tape = (each > 0).then(|| Tape::new(bytes));
            let (mut done, noted) = self.look_noting(context, tape).await;
            self.keep(&context.check, &mut done);
            (done.run, noted)
        }
        .boxed()
    }
}
