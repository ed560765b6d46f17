//! A check that a plugin runs: one of its components, with this check's settings and grants.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use wellcheck_core::grant::Grants;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::Run;
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_wasm::Invocation;

use super::{Checker, RunContext};
use crate::plugins::Loaded;

/// See the module.
pub(crate) struct PluginChecker {
    loaded: Loaded,
    /// A JSON object.
    settings: Arc<str>,
    grants: Arc<Grants>,
    limits: Arc<RunLimits>,
    redactor: Redactor,
}

impl PluginChecker {
    /// Binds a plugin to a check's settings and grants.
    ///
    /// # Errors
    /// Everything in which the settings do not fit the plugin's schema.
    pub(crate) fn new(
        loaded: &Loaded,
        settings: &serde_json::Value,
        grants: &Grants,
        redactor: &Redactor,
    ) -> Result<Self, Vec<String>> {
        loaded.plugin.check_settings(settings)?;
        Ok(Self {
            loaded: loaded.clone(),
            settings: settings.to_string().into(),
            grants: Arc::new(grants.clone()),
            limits: Arc::new(RunLimits::default()),
            redactor: redactor.clone(),
        })
    }
}

impl Checker for PluginChecker {
    fn facts(&self) -> Facts {
        Facts { target: None, port: 0, plugin: Some(Arc::clone(&self.loaded.facts)) }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let timeout = context.deadline.saturating_duration_since(Instant::now());
            self.loaded
                .plugin
                .run(Invocation {
                    check: context.check.clone(),
                    settings: Arc::clone(&self.settings),
                    grants: Arc::clone(&self.grants),
                    limits: Arc::clone(&self.limits),
                    timeout: timeout.max(Duration::from_millis(1)),
                    failures_in_a_row: context.failures_in_a_row,
                    traceparent: None,
                    redact: self.redactor.clone(),
                })
                .await
                .run
        }
        .boxed()
    }
}
