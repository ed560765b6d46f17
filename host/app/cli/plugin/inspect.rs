//! `wellcheck plugin inspect`: what a plugin says of itself, what it wants, is granted and uses, and
//! what it costs.

mod schema;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use tokio::time::Instant;
use wellcheck_core::config::Plugins;
use wellcheck_core::grant::Grants;
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::Run;
use wellcheck_core::redact::Redactor;
use wellcheck_core::units::count;
use wellcheck_kit::metadata::Metadata;
use wellcheck_wasm::{Invocation, Plugin, PluginRun, Supplies};

use crate::checks::RunContext;
use crate::checks::plugin::{PluginChecker, Supplier};
use crate::cli::exit::{Ended, Exit, OrExit};
use crate::cli::setup::{self, Where};
use crate::digest::{hex, sha256};
use crate::keeper;
use crate::plugins::{Loaded, User};
use crate::registry::Registry;
use crate::store::Store;

/// Show what a plugin says of itself, what it imports, and what it costs.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The run that is measured has no settings and no grants; it shows what an instance \
costs, not what a check finds. Each check of the configuration that uses the plugin is then run once \
with its own settings and grants, to show what it uses; such a run knows of no other check, begins \
with nothing kept, and keeps nothing.\n\nExamples:\n  wellcheck plugin inspect plugins/json-number.wasm\n  \
wellcheck plugin inspect plugins/json-number.wasm --config wellcheck.toml"
)]
pub(crate) struct Args {
    /// The plugin's file
    file: PathBuf,
    /// Print JSON, with the schema of the settings as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

/// A plugin and what it costs.
struct Inspected {
    plugin: Plugin,
    metadata: Metadata,
    sha256: String,
    signature: &'static str,
    compile: Duration,
    load: Duration,
    run: PluginRun,
    checks: Vec<Checked>,
}

/// A check that uses the plugin, and one run of it.
struct Checked {
    check: CheckName,
    grants: Arc<Grants>,
    run: Result<Run, Vec<String>>,
}

/// Most checks that are run to show what they use.
const MOST_CHECKS: usize = 16;

pub(crate) fn run(args: &Args) -> Ended {
    let runtime = setup::runtime()?;
    let found = runtime.block_on(inspect(args)).or_exit(Exit::DATA)?;
    runtime.shutdown_background();
    let text = if args.json { shown::json(&found) } else { shown::text(&found) };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// Loads the file twice, into a cache of its own: once with compiling, once without.
async fn inspect(args: &Args) -> anyhow::Result<Inspected> {
    let cache = tempfile::tempdir().context("making a folder for compiled code")?;
    let registry = registry(&args.places)?;
    let limits = registry.as_ref().map_or_else(Plugins::default, |r| r.config.plugins.clone());
    let sandbox = setup::sandbox(Some(cache.path().join("compiled")), &limits);
    let sandbox = sandbox.map_err(|failure| failure.error)?;
    let load = || crate::cli::run::load_into(&sandbox, &args.file);
    let unusable = || format!("`{}` is no plugin that can be used", args.file.display());
    let compile = load().await.with_context(unusable)?.timings().compile;
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("cannot read `{}`", args.file.display()))?;
    let metadata = wellcheck_kit::metadata::read(&bytes);
    let sha256 = hex(&sha256(&bytes));
    let plugin = load().await.with_context(unusable)?;
    let load = plugin.timings().total();
    let run = plugin
        .run(Invocation {
            check: CheckName::new("inspect")?,
            settings: "{}".into(),
            grants: Arc::new(Grants::default()),
            limits: Arc::new(RunLimits::default()),
            timeout: Duration::from_secs(5),
            failures_in_a_row: 0,
            traceparent: None,
            redact: Redactor::default(),
            supplies: Supplies::default(),
            tape: None,
        })
        .await;
    let mut checks = Vec::new();
    for user in registry.iter().flat_map(|r| r.users(plugin.name())).take(MOST_CHECKS) {
        checks.push(checked(&plugin, user).await);
    }
    let signature = signature(&args.file);
    Ok(Inspected { plugin, metadata, sha256, signature, compile, load, run, checks })
}

/// Whether somebody signed it: minisign's signatures stand beside the file.
fn signature(file: &Path) -> &'static str {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    if Path::new(&beside).is_file() { "signature beside it, not verified" } else { "not signed" }
}

/// The configuration, where there is one.
fn registry(places: &Where) -> anyhow::Result<Option<Registry>> {
    let places_of = places.places().map_err(|failure| failure.error)?;
    if places_of.main.is_none() && places.plugins.is_none() {
        return Ok(None);
    }
    let tools = places.tools(&places_of).map_err(|failure| failure.error)?;
    let first = keeper::read(&places_of, &tools).map_err(|problems| {
        setup::complain_about(&problems);
        anyhow!("the configuration cannot be used ({})", count(problems.len(), "problem"))
    })?;
    Ok(Some(first.registry))
}

/// Runs a check once, with its own grants. What it would keep is not kept.
async fn checked(plugin: &Plugin, user: User) -> Checked {
    let User { check, given, timeout } = user;
    let supplier = Supplier { store: Store::new(None), standings: None };
    let run = match PluginChecker::new(&Loaded::new(plugin.clone()), &given, &supplier) {
        Err(problems) => Err(problems),
        Ok(checker) => {
            let deadline = Instant::now() + timeout;
            let context = RunContext {
                check: check.clone(),
                deadline,
                failures_in_a_row: 0,
                asked: Arc::default(),
            };
            let mut run = checker.look(&context).await.run;
            run.redact(&given.redactor);
            Ok(run)
        }
    };
    Checked { check, grants: given.grants, run }
}
