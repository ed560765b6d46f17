//! `wellcheck plugin build --watch`: builds and runs a plugin again after each change of its source.
//!
//! One sandbox serves all rounds. An error of a compiler, a plugin that would not load and a run that
//! fails are all things to show: only the user ends this.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use wellcheck_core::grant::Grants;
use wellcheck_kit::project::Project;
use wellcheck_kit::sources::Sources;
use wellcheck_wasm::{Plugin, Sandbox};

use super::{Args, Finished};
use crate::checks::RunContext;
use crate::checks::plugin::{Given, PluginChecker, Supplier};
use crate::cli::exit::{Ended, Exit, Failure};
use crate::cli::run::{name_of, shown};
use crate::cli::setup;
use crate::plugins::Loaded;
use crate::store::Store;

/// From look to look at the sources.
const LOOK: Duration = Duration::from_millis(100);

/// A look takes at most so much of the time: one part in this many.
const SHARE: u32 = 20;

/// Longest that a run may take, unless told.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Goes on until the user has enough of it.
pub(super) async fn watch(args: &Args, sandbox: &Sandbox) -> Ended {
    tokio::select! {
        never = rounds(args, sandbox) => never,
        ended = tokio::signal::ctrl_c() => {
            ended.map_err(anyhow::Error::from)?;
            Ok(Exit::DONE)
        }
    }
}

async fn rounds(args: &Args, sandbox: &Sandbox) -> Ended {
    loop {
        let began = Instant::now();
        let mut before = Sources::of(&args.dir);
        if let Err(failure) = round(args, sandbox).await {
            setup::complain(&format!("error: {:#}", failure.error));
        }
        before.adopt_new(&Sources::of(&args.dir));
        let took = began.elapsed().as_secs_f64();
        setup::complain(&format!(
            "{took:.1} s from change to outcome; waiting for the next change"
        ));
        let changed = next_change(&args.dir, before).await;
        setup::complain(&format!("\nchanged: {changed}"));
    }
}

/// Everything, once: the project may have become another one meanwhile.
async fn round(args: &Args, sandbox: &Sandbox) -> Result<(), Failure> {
    let project = super::open(args)?;
    let finished = super::finish(args, &project, sandbox).await?;
    super::publish(args, &project, &finished)?;
    after(args, &project, &finished).await
}

/// Waits until sources are others than `before`, and stay so for two looks. Says which.
async fn next_change(folder: &Path, before: Sources) -> String {
    let mut last = before.clone();
    loop {
        let began = Instant::now();
        let now = Sources::of(folder);
        let changed = now.changed_since(&before);
        if !changed.is_empty() && now == last {
            let names = changed
                .iter()
                .take(3)
                .map(|path| path.strip_prefix(folder).unwrap_or(path).display().to_string());
            return names.collect::<Vec<_>>().join(", ");
        }
        last = now;
        tokio::time::sleep(LOOK.max(began.elapsed() * SHARE)).await;
    }
}

/// What is wanted after a build: a run, the tests, or both.
pub(super) async fn after(
    args: &Args,
    project: &Project,
    finished: &Finished,
) -> Result<(), Failure> {
    if args.run {
        let text = outcome(args, project, &finished.plugin).await.map_err(|error| Failure {
            error: error.context("the plugin was built, but not run"),
            exit: Exit::DATA,
        })?;
        setup::print(&text)?;
    }
    if args.test {
        test(args, project).await?;
    }
    Ok(())
}

/// Runs the plugin once with what the command line gives, or else its sidecar.
async fn outcome(args: &Args, project: &Project, plugin: &Plugin) -> anyhow::Result<String> {
    let sidecar = project.sidecar()?;
    let mut usual = Grants::default();
    for (grant, value) in &sidecar.grants {
        let problem = |why| anyhow!("{}.toml: {why}", project.manifest.name);
        usual.add(grant, value).map_err(problem)?;
    }
    let given = Given {
        settings: args.given.settings(sidecar.settings)?,
        grants: Arc::new(args.given.grants(usual)?),
        ..args.given.given()?
    };
    let supplier = Supplier { store: Store::new(None), standings: None };
    let checker = PluginChecker::new(&Loaded::new(plugin.clone()), &given, &supplier);
    let checker = checker.map_err(|problems| {
        anyhow!(
            "the settings do not fit: {} (they stand in {}.toml, or give some with --set)",
            problems.join("; "),
            project.manifest.name
        )
    })?;
    let context = RunContext {
        check: name_of(plugin)?,
        deadline: tokio::time::Instant::now() + args.timeout.unwrap_or(TIMEOUT),
        failures_in_a_row: 0,
        asked: Arc::default(),
    };
    let mut found = checker.look(&context).await;
    found.run.redact(&given.redactor);
    Ok(shown::outcome(&found.run, Some(&found.used)))
}

/// Runs the project's tests, as `wellcheck plugin test` does, in a process of its own: what it says
/// is what it would say.
async fn test(args: &Args, project: &Project) -> Result<(), Failure> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = tokio::process::Command::new(program);
    command.args(["plugin", "test"]).arg(&project.folder).stdin(Stdio::null()).kill_on_drop(true);
    if args.quick || args.watch {
        command.arg("--quick");
    }
    if let Some(cache) = &args.cache {
        command.env("WELLCHECK_CACHE", cache);
    }
    let status = command.status().await.context("starting `wellcheck plugin test`")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure { error: anyhow!("its tests do not pass ({status})"), exit: Exit::DATA })
}
