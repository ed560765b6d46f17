//! `wellcheck run`: one plugin file or one configured check, once or a few times, as monitoring
//! plugins answer.

mod repeat;
pub(super) mod shown;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args as ClapArgs, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use wellcheck_core::check::What;
use wellcheck_core::condition::Judgement;
use wellcheck_core::config::Plugins;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::outcome::Run;
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;
use wellcheck_core::units::count;
use wellcheck_wasm::{Plugin, Sandbox, Tape, Usage};

use self::repeat::Summary;
use self::state::StateFile;
use super::exit::{Ended, Exit, OrExit};
use super::given::GivenArgs;
use super::record;
use super::setup::{self, Where};
use crate::checks::plugin::{Given, PluginChecker, Supplier};
use crate::checks::{Checker, RunContext};
use crate::keeper;
use crate::plugins::Loaded;
use crate::records::Noted;
use crate::store::Store;

/// How long a load may take without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of bodies, files and state that are noted of a run by hand.
const MOST_NOTED: usize = 16 << 20;

/// Run one plugin file or one configured check.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 pass, 1 warn, 2 fail, 3 unknown (the check itself is at fault, or the \
arguments are wrong); of several runs, that of the worst.\n\nWhat a run is given besides settings and grants: secrets by \
--secret, variables of the environment by --grant env=NAME, what it kept before by --state with --grant state=64KiB.\n\n\
Examples:\n  wellcheck run plugins/deadlines.wasm --settings '{\"deadlines\": [{\"name\": \"tax\", \"date\": \"2030-01-31\"}]}'\n  \
wellcheck run plugins/json-number.wasm --settings @settings.json --set warn=500 --grant http=https://api.example.com\n  \
wellcheck run plugins/json-number.wasm --settings @settings.json --grant http=https://api.example.com --record failure.json\n  \
wellcheck run plugins/deadlines.wasm --settings @settings.json --repeat 20 --interval 100ms\n  \
wellcheck run shop --config wellcheck.toml"
)]
pub(super) struct Args {
    /// A plugin file (ending in .wasm), or the name of a check of the configuration
    #[arg(value_name = "FILE|CHECK")]
    what: String,
    #[command(flatten)]
    given: GivenArgs,
    /// What a plugin keeps from run to run: a JSON object in a file, read before and written after
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Longest the run may take [default: 10s, or the check's own]
    #[arg(long, value_name = "DURATION", value_parser = setup::some_duration)]
    timeout: Option<Duration>,
    /// Run so many times: a line each, then how they were spread
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// From the end of a run to the next one [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = setup::duration)]
    interval: Option<Duration>,
    /// Say where the time went
    #[arg(long)]
    timings: bool,
    /// Write what the run asked for and got, to be run again with `wellcheck plugin replay`; of
    /// several runs, the last that did not pass
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How the outcome is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    places: Where,
}

/// How an outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// As monitoring plugins do, with performance data.
    Nagios,
}

pub(super) fn run(args: Args) -> Ended {
    let runtime = setup::runtime().map_err(|failure| unknown(failure.error))?;
    let status = runtime.block_on(runs(&args)).or_exit(Exit::UNKNOWN)?;
    runtime.shutdown_background();
    Ok(exit(status))
}

/// What a run's status ends the process with.
pub(super) fn exit(status: Status) -> Exit {
    match status {
        Status::Pass => Exit(0),
        Status::Warn => Exit(1),
        Status::Fail => Exit(2),
        Status::Unknown => Exit::UNKNOWN,
    }
}

fn unknown(error: anyhow::Error) -> super::exit::Failure {
    super::exit::Failure { error, exit: Exit::UNKNOWN }
}

/// What is to be run.
struct Ready {
    check: CheckName,
    runner: Runner,
    timeout: Duration,
    judgement: Judgement,
    redactor: Redactor,
}

enum Runner {
    Kind(Arc<dyn Checker>),
    Plugin(Box<PluginChecker>, Store),
}

/// A run, and what is known of it besides.
pub(super) struct Done {
    pub(super) run: Run,
    /// Of a plugin.
    pub(super) used: Option<Usage>,
    pub(super) noted: Option<Noted>,
}

/// Runs it as often as is wanted, and prints what comes of it. Returns the worst status.
async fn runs(args: &Args) -> anyhow::Result<Status> {
    let format = if args.json { Format::Json } else { args.format };
    if args.repeat > 1 && format == Format::Nagios {
        bail!(
            "--repeat goes with the formats `text` and `json` (a monitoring plugin answers once)"
        );
    }
    let path = Path::new(&args.what);
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wasm"))
        || args.what.contains(std::path::MAIN_SEPARATOR);
    let ready = if is_file { file(args, path).await? } else { configured(args).await? };
    let state = ready.begin(args)?;

    let mut summary = Summary::default();
    let mut worst = Status::Pass;
    let mut failures = 0;
    let mut noted: Option<(Noted, bool)> = None;
    // Several runs that are interrupted are summed up all the same; one run ends as any program does.
    let mut interrupts = match args.repeat {
        1 => None,
        _ => Some(signal(SignalKind::interrupt()).context("watching for SIGINT")?),
    };
    for number in 0..args.repeat {
        if number > 0
            && let Some(interrupts) = &mut interrupts
            && !rest(args.interval.unwrap_or_default(), interrupts).await
        {
            break;
        }
        let mut done = ready.run(args, failures).await;
        let status = done.run.outcome.status();
        failures = if status == Status::Pass { 0 } else { failures + 1 };
        worst = worst.worst(status);
        let text = match format {
            Format::Json => shown::json(&done, args.timings),
            Format::Nagios => shown::nagios(&ready.check, &done.run),
            Format::Text if args.repeat > 1 => shown::line(&done.run) + "\n",
            Format::Text => shown::text(&done, args.timings),
        };
        setup::print(&text).map_err(|failure| failure.error)?;
        summary.count(&done);
        let passed = status == Status::Pass;
        if let Some(new) = done.noted.take()
            && (!passed || noted.as_ref().is_none_or(|(_, passed)| *passed))
        {
            noted = Some((new, passed));
        }
    }
    if args.repeat > 1 {
        let text = if format == Format::Json { summary.json() } else { summary.text() };
        setup::print(&text).map_err(|failure| failure.error)?;
    }
    if let (Runner::Plugin(checker, store), Some(state)) = (&ready.runner, state) {
        state.write(&ready.check, checker, store).await?;
    }
    if let Some(path) = &args.record {
        let (noted, _) = noted.context("the plugin was not run, so that there is no record")?;
        record::write(path, &noted.record())?;
    }
    Ok(worst)
}

/// Waits. Returns whether nobody has enough of it.
async fn rest(interval: Duration, interrupts: &mut Signal) -> bool {
    tokio::select! {
        biased;
        _ = interrupts.recv() => false,
        () = tokio::time::sleep(interval) => true,
    }
}

impl Ready {
    /// Takes in what was kept before.
    fn begin(&self, args: &Args) -> anyhow::Result<Option<StateFile>> {
        match &self.runner {
            Runner::Plugin(checker, store) => {
                let state = args.state.as_deref();
                state.map(|path| StateFile::read(path, &self.check, checker, store)).transpose()
            }
            Runner::Kind(_) if args.state.is_some() || args.record.is_some() => bail!(
                "--record and --state go with plugins (check `{}` is of a built-in kind)",
                self.check
            ),
            Runner::Kind(_) => Ok(None),
        }
    }

    async fn run(&self, args: &Args, failures_in_a_row: u32) -> Done {
        let context = RunContext {
            check: self.check.clone(),
            deadline: Instant::now() + args.timeout.unwrap_or(self.timeout),
            failures_in_a_row,
            asked: self.judgement.asked(),
        };
        let mut done = match &self.runner {
            Runner::Kind(checker) => {
                Done { run: checker.run(&context).await, used: None, noted: None }
            }
            Runner::Plugin(checker, _) => {
                let is_noted = args.record.is_some() || args.timings;
                let tape = is_noted.then(|| Tape::new(MOST_NOTED));
                let (mut found, noted) = checker.look_noting(&context, tape).await;
                checker.keep(&context.check, &mut found);
                Done { run: found.run, used: Some(found.used), noted }
            }
        };
        self.judgement.apply(&mut done.run);
        done.run.redact(&self.redactor);
        done
    }
}

/// A plugin file by itself: settings and grants come from the command line.
async fn file(args: &Args, path: &Path) -> anyhow::Result<Ready> {
    let given = args.given.given()?;
    let plugin = load(path, args.places.cache.clone(), &Plugins::default()).await?;
    let check = name_of(&plugin)?;
    Ok(Ready {
        check,
        runner: plugin_runner(plugin, &given)?,
        timeout: Duration::from_secs(10),
        judgement: Judgement::default(),
        redactor: given.redactor,
    })
}

/// What a check is called that is a plugin's file by itself.
pub(super) fn name_of(plugin: &Plugin) -> anyhow::Result<CheckName> {
    Ok(CheckName::new(plugin.name().as_str()).or_else(|_| CheckName::new("check"))?)
}

fn plugin_runner(plugin: Plugin, given: &Given) -> anyhow::Result<Runner> {
    // Runs by hand know of no other check, and what they keep is theirs.
    let store = Store::new(None);
    let supplier = Supplier { store: store.clone(), standings: None };
    let checker = PluginChecker::new(&Loaded::new(plugin), given, &supplier);
    let checker = checker.map_err(|problems| {
        anyhow!("the settings do not fit the plugin: {}", problems.join("; "))
    })?;
    Ok(Runner::Plugin(Box::new(checker), store))
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
    if !args.given.is_empty() {
        bail!(
            "--settings, --set, --grant and --secret go with a plugin file (`{}` is the name of a check; its settings stand in the configuration)",
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
    let runner = match &spec.what {
        What::Builtin { .. } => {
            Runner::Kind(registry.builtin(&spec.name).context("the check has no checker")?)
        }
        What::Plugin { plugin, settings, grants, limits } => {
            let config = &registry.config;
            let path = places.plugins.join(format!("{plugin}.wasm"));
            let cache = setup::cache(args.places.cache.clone(), config, &places);
            let loaded = load(&path, cache, &config.plugins).await?;
            plugin_runner(loaded, &Given::new(settings, grants, limits, config))?
        }
    };
    if let Runner::Kind(checker) = &runner
        && checker.waits().is_some()
    {
        bail!(
            "check `{0}` looks at nothing, and waits for outcomes from outside (`wellcheck push {0}` brings one)",
            spec.name
        );
    }
    let check = spec.name.clone();
    let judgement = spec.judgement.clone();
    Ok(Ready { check, runner, timeout, judgement, redactor })
}
