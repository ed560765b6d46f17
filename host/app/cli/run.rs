//! `wellcheck run`: one plugin file or one configured check, once, as monitoring plugins answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use tokio::time::Instant;
use wellcheck_core::check::What;
use wellcheck_core::condition::Judgement;
use wellcheck_core::config::Plugins;
use wellcheck_core::format::api;
use wellcheck_core::grant::Grants;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::outcome::{Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;
use wellcheck_core::units::count;
use wellcheck_wasm::{Plugin, Sandbox};

use super::exit::{Ended, Exit, OrExit};
use super::setup::{self, Where};
use super::table::paint;
use crate::checks::plugin::{Given, PluginChecker, Supplier};
use crate::checks::{Checker, RunContext};
use crate::keeper;
use crate::plugins::Loaded;
use crate::store::Store;

/// How long a load may take without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Run one plugin file or one configured check, once.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 pass, 1 warn, 2 fail, 3 unknown (the check itself is at fault, or the \
arguments are wrong).\n\nExamples:\n  wellcheck run plugins/deadlines.wasm --settings '{\"deadlines\": [{\"name\": \"tax\", \"date\": \"2030-01-31\"}]}'\n  \
wellcheck run plugins/json-number.wasm --settings @settings.json --grant http=https://api.example.com\n  wellcheck run shop --config wellcheck.toml"
)]
pub(super) struct Args {
    /// A plugin file (ending in .wasm), or the name of a check of the configuration
    #[arg(value_name = "FILE|CHECK")]
    what: String,
    /// A plugin's settings: a JSON object, @FILE, or @- for standard input
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// What a plugin may reach, such as http=https://api.example.com; may be repeated
    #[arg(long, value_name = "GRANT=VALUE")]
    grant: Vec<String>,
    /// Longest the run may take [default: 10s, or the check's own]
    #[arg(long, value_name = "DURATION", value_parser = setup::some_duration)]
    timeout: Option<Duration>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

pub(super) fn run(args: Args) -> Ended {
    let runtime = setup::runtime().map_err(|failure| unknown(failure.error))?;
    let run = runtime.block_on(outcome(&args)).or_exit(Exit::UNKNOWN)?;
    runtime.shutdown_background();
    if args.json {
        let json = String::from_utf8(api::run(&run)).expect("JSON is UTF-8");
        setup::print(&format!("{json}\n"))?;
    } else {
        setup::print(&show(&run))?;
    }
    Ok(match run.outcome.status() {
        Status::Pass => Exit(0),
        Status::Warn => Exit(1),
        Status::Fail => Exit(2),
        Status::Unknown => Exit::UNKNOWN,
    })
}

fn unknown(error: anyhow::Error) -> super::exit::Failure {
    super::exit::Failure { error, exit: Exit::UNKNOWN }
}

/// What is to be run.
struct Ready {
    check: CheckName,
    checker: Arc<dyn Checker>,
    timeout: Duration,
    judgement: Judgement,
    redactor: Redactor,
}

async fn outcome(args: &Args) -> anyhow::Result<Run> {
    let path = Path::new(&args.what);
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wasm"))
        || args.what.contains(std::path::MAIN_SEPARATOR);
    let ready = if is_file { file(args, path).await? } else { configured(args).await? };
    let context = RunContext {
        check: ready.check,
        deadline: Instant::now() + args.timeout.unwrap_or(ready.timeout),
        failures_in_a_row: 0,
        asked: ready.judgement.asked(),
    };
    let mut run = ready.checker.run(&context).await;
    ready.judgement.apply(&mut run);
    run.redact(&ready.redactor);
    Ok(run)
}

/// A plugin file by itself: settings and grants come from the command line.
async fn file(args: &Args, path: &Path) -> anyhow::Result<Ready> {
    let given = Given {
        settings: settings(args.settings.as_deref())?,
        grants: Arc::new(grants(&args.grant)?),
        limits: Arc::default(),
        secrets: Arc::default(),
        redactor: Redactor::default(),
    };
    let plugin = load(path, args.places.cache.clone(), &Plugins::default()).await?;
    let check = CheckName::new(plugin.name().as_str()).or_else(|_| CheckName::new("check"))?;
    let checker = plugin_checker(plugin, &given)?;
    Ok(Ready {
        check,
        checker,
        timeout: Duration::from_secs(10),
        judgement: Judgement::default(),
        redactor: given.redactor,
    })
}

fn plugin_checker(plugin: Plugin, given: &Given) -> anyhow::Result<Arc<dyn Checker>> {
    // One run by hand knows of no other check, begins with nothing kept, and keeps nothing.
    let supplier = Supplier { store: Store::new(None), standings: None };
    let checker = PluginChecker::new(&Loaded::new(plugin), given, &supplier);
    let checker = checker.map_err(|problems| {
        anyhow!("the settings do not fit the plugin: {}", problems.join("; "))
    })?;
    Ok(Arc::new(checker))
}

/// Loads one file, by the same steps as the server.
async fn load(path: &Path, cache: Option<PathBuf>, limits: &Plugins) -> anyhow::Result<Plugin> {
    let sandbox = setup::sandbox(cache, limits).map_err(|failure| failure.error)?;
    load_into(&sandbox, path).await
}

/// Loads one file into a sandbox; says so when that takes long.
pub(super) async fn load_into(sandbox: &Sandbox, path: &Path) -> anyhow::Result<Plugin> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    // A file that is run by hand may be called anything.
    let name = PluginName::new(&stem).or_else(|_| PluginName::new("plugin"))?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut loading = std::pin::pin!(sandbox.load(name, bytes));
    tokio::select! {
        loaded = &mut loading => return Ok(loaded?),
        () = tokio::time::sleep(PATIENCE) => {
            setup::complain(&format!("compiling `{}`; this is done once for each version", path.display()));
        }
    }
    Ok(loading.await?)
}

/// A check of the configuration.
async fn configured(args: &Args) -> anyhow::Result<Ready> {
    if args.settings.is_some() || !args.grant.is_empty() {
        bail!(
            "--settings and --grant go with a plugin file (`{}` is the name of a check; its settings stand in the configuration)",
            args.what
        );
    }
    let places = args.places.places().map_err(|failure| failure.error)?;
    let tools = args.places.tools(&places).map_err(|failure| failure.error)?;
    let first = keeper::read(&places, &tools).map_err(|problems| {
        setup::complain_about(&problems);
        anyhow!("the configuration cannot be used ({})", count(problems.len(), "problem"))
    })?;
    let registry = first.registry;
    let Some(spec) = registry.config.checks.iter().find(|spec| spec.name.as_str() == args.what)
    else {
        let names: Vec<&str> =
            registry.config.checks.iter().map(|spec| spec.name.as_str()).collect();
        bail!(
            "there is no check `{}` (checks: {}; a plugin's file ends in `.wasm`)",
            args.what,
            names.join(", ")
        );
    };
    let timeout = spec.timing.timeout;
    if let Some(why) = &spec.refused {
        bail!("check `{}` cannot run: {why}", spec.name);
    }
    let redactor = registry.config.redactor.clone();
    let checker = match &spec.what {
        What::Builtin { .. } => registry.builtin(&spec.name).context("the check has no checker")?,
        What::Plugin { plugin, settings, grants, limits } => {
            let config = &registry.config;
            let path = places.plugins.join(format!("{plugin}.wasm"));
            let cache = setup::cache(args.places.cache.clone(), config, &places);
            let loaded = load(&path, cache, &config.plugins).await?;
            plugin_checker(loaded, &Given::new(settings, grants, limits, config))?
        }
    };
    if checker.waits().is_some() {
        bail!(
            "check `{0}` looks at nothing, and waits for outcomes from outside (`wellcheck push {0}` brings one)",
            spec.name
        );
    }
    let check = spec.name.clone();
    let judgement = spec.judgement.clone();
    Ok(Ready { check, checker, timeout, judgement, redactor })
}

fn settings(given: Option<&str>) -> anyhow::Result<serde_json::Value> {
    let text = match given {
        None => "{}".to_owned(),
        Some("@-") => std::io::read_to_string(std::io::stdin())
            .context("reading settings from standard input")?,
        Some(text) => match text.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the settings `{path}`"))?,
            None => text.to_owned(),
        },
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).context("the settings are not JSON")?;
    if !value.is_object() {
        bail!("the settings are not a JSON object (expected for example {{\"warn\": 5}})");
    }
    Ok(value)
}

fn grants(given: &[String]) -> anyhow::Result<Grants> {
    let mut grants = Grants::default();
    for text in given {
        let expected = "expected for example http=https://api.example.com";
        let (kind, value) =
            text.split_once('=').ok_or_else(|| anyhow!("`{text}` is no grant ({expected})"))?;
        grants.add(kind, value).map_err(|why| anyhow!("{why} ({expected})"))?;
    }
    Ok(grants)
}

/// The outcome for people: the line that monitoring agents read, then what else there is.
fn show(run: &Run) -> String {
    let status = run.outcome.status();
    let reason = run.outcome.reason().map_or(String::new(), |reason| format!(" ({reason})"));
    let took = run.duration.as_secs_f64() * 1e3;
    let mut lines =
        vec![format!("{}{reason}: {} [{took:.1} ms]", paint(status, 0), run.outcome.message())];
    if let Outcome::Answered(report) = &run.outcome {
        for part in &report.parts {
            lines.push(format!(
                "  {} {}: {}",
                paint(part.status.into(), 0),
                part.name,
                part.message
            ));
        }
        for observation in &report.observations {
            let labels: Vec<String> =
                observation.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let unit = observation.unit.as_deref().unwrap_or("");
            lines.push(format!("  {}{labels} = {}{unit}", observation.name, observation.value));
        }
        for (name, text) in &report.details {
            lines.push(format!("  {name}: {text}"));
        }
    }
    lines.extend(run.log.lines.iter().map(|line| format!("  | {line}")));
    lines.extend(run.log.flags.iter().map(|flag| format!("  note: {flag}")));
    lines.join("\n") + "\n"
}
