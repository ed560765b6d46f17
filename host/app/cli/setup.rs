//! What several subcommands need: places, the sandbox, logs, and where text goes.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use wellcheck_core::config::{Config, Plugins, Problem};
use wellcheck_core::import::{Options, nosana};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::units::{parse_duration, show_duration};
use wellcheck_net::http::Client;
use wellcheck_net::{Resolver, Tls};
use wellcheck_wasm::{Code, Compiler, NetTransport, Sandbox, SandboxOptions, Urgency};

use super::exit::{Exit, Failure, OrExit};
use crate::checks::Tools;
use crate::sources::{Places, plugins_dir};
use crate::store::Store;

const MAIN: &str = "wellcheck.toml";

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub(super) struct Where {
    /// The configuration file [default: wellcheck.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "WELLCHECK_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The plugins folder [default: plugins, beside the configuration file]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_PLUGINS")]
    pub(super) plugins: Option<PathBuf>,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    pub(super) cache: Option<PathBuf>,
}

impl Where {
    /// Finds the files.
    pub(super) fn places(&self) -> Result<Places, Failure> {
        let main = match &self.config {
            Some(path) if !path.exists() => {
                let error = anyhow::anyhow!("there is no configuration file `{}`", path.display());
                return Err(Failure { error, exit: Exit::DATA });
            }
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(MAIN)).filter(|path| path.exists()),
        };
        let base = base(main.as_deref());
        let plugins = match &self.plugins {
            Some(dir) => dir.clone(),
            None => main.as_deref().and_then(plugins_dir).unwrap_or_else(|| base.join("plugins")),
        };
        Ok(Places { main, plugins, jobs: Vec::new(), job_options: Options::default() })
    }

    /// What kinds share.
    pub(super) fn tools(&self, places: &Places) -> Result<Tools, Failure> {
        Tools::new(&base(places.main.as_deref())).or_exit(Exit::BUG)
    }
}

/// Job definitions beside the configuration.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Jobs {
    /// A Nosana job definition whose health checks are run; may be repeated
    #[arg(long, value_name = "FILE")]
    job: Vec<PathBuf>,
    /// Where an operation of a job runs [default: 127.0.0.1]; may be repeated
    #[arg(long, value_name = "OP=ADDRESS", requires = "job", value_parser = operation_host)]
    host: Vec<(String, String)>,
    /// From run to run until a job has started [default: 5s]
    #[arg(long, value_name = "DURATION", requires = "job", value_parser = interval)]
    startup_interval: Option<Duration>,
    /// From run to run of a job's checks afterwards [default: 30s]
    #[arg(long, value_name = "DURATION", requires = "job", value_parser = interval)]
    interval: Option<Duration>,
}

impl Jobs {
    /// Adds them to what is read.
    pub(super) fn join(&self, places: Places) -> Places {
        let standard = Options::default();
        let job_options = Options {
            hosts: self.host.iter().cloned().collect(),
            startup_interval: self.startup_interval.unwrap_or(standard.startup_interval),
            interval: self.interval.unwrap_or(standard.interval),
        };
        Places { jobs: self.job.clone(), job_options, ..places }
    }
}

fn operation_host(text: &str) -> Result<(String, String), String> {
    let pair = text.rsplit_once('=').filter(|(operation, _)| !operation.is_empty());
    let (operation, host) =
        pair.ok_or("expected the id of an operation, `=` and an address, such as web=10.0.0.7")?;
    nosana::host(host)?;
    Ok((operation.to_owned(), host.to_owned()))
}

/// A duration, as an argument has it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration with a unit, such as 5s".to_owned())
}

/// Likewise, and not none at all.
pub(super) fn some_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => duration(""),
        found => Ok(found),
    }
}

/// What `interval` and `startup-interval` may be.
fn interval(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(50)..=Duration::from_hours(7 * 24);
    let found = parse_duration(text).filter(|duration| range.contains(duration));
    found.ok_or_else(|| {
        let (first, last) = (show_duration(*range.start()), show_duration(*range.end()));
        format!("expected a duration with a unit, such as 5s, from {first} to {last}")
    })
}

/// What relative names in the configuration start from.
fn base(main: Option<&Path>) -> PathBuf {
    match main.and_then(Path::parent) {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// `--cache`, or else `[plugins] cache`, relative to the configuration file.
pub(super) fn cache(told: Option<PathBuf>, config: &Config, places: &Places) -> Option<PathBuf> {
    told.or_else(|| {
        let cache = config.plugins.cache.as_ref()?;
        Some(places.main.as_ref()?.parent()?.join(cache))
    })
}

/// The folder for compiled plugins: as told, or the user's.
pub(super) fn cache_dir(told: Option<PathBuf>) -> Option<PathBuf> {
    told.or_else(|| {
        let user = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(user.join("wellcheck").join("compiled"))
    })
}

/// The folder for plugins that are fetched: within the one that was told, or the user's.
pub(super) fn fetched_dir(told: Option<PathBuf>) -> Option<PathBuf> {
    match told {
        Some(dir) => Some(dir.join("fetched")),
        None => Some(cache_dir(None)?.parent()?.join("fetched")),
    }
}

/// `[store] path`, relative to the configuration file; or the user's own.
pub(super) fn store(config: &Config, places: &Places) -> Store {
    let configured = config.store.as_ref().map(|path| match places.main.as_deref() {
        Some(main) => main.parent().unwrap_or(Path::new("")).join(path),
        None => path.clone(),
    });
    let own = || {
        // What systemd's `StateDirectory=` gives.
        let given = absolute("STATE_DIRECTORY");
        let user = || {
            let state = absolute("XDG_STATE_HOME")
                .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
            Some(state.join("wellcheck"))
        };
        Some(given.or_else(user)?.join("store.db"))
    };
    Store::new(configured.or_else(own))
}

/// A folder that the environment names.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The sandbox of a command that a person waits for, with a way out for requests that grants allow.
pub(super) fn sandbox(cache: Option<PathBuf>, limits: &Plugins) -> Result<Sandbox, Failure> {
    sandbox_for(cache, limits, Code::Fast, Urgency::Awaited)
}

/// Likewise, for code that is fast or there soon, and for a server, which compiles behind its work.
pub(super) fn sandbox_for(
    cache: Option<PathBuf>,
    limits: &Plugins,
    code: Code,
    urgency: Urgency,
) -> Result<Sandbox, Failure> {
    let program = std::env::current_exe()
        .context("finding this program, which compiles plugins in a process of its own")
        .or_exit(Exit::BUG)?;
    let cache_dir = cache_dir(cache);
    let sandbox = Sandbox::new(SandboxOptions {
        cache_dir,
        compiler: Compiler::Child { program, args: vec![super::compile::NAME.into()], urgency },
        load: limits.load.clone(),
        // A check may be given as much, and none is known when a plugin describes itself.
        describe: RunLimits {
            cpu: limits.load.describe_cpu,
            memory: limits.host.max_memory,
            table_elements: limits.host.max_table_elements,
            ..RunLimits::default()
        },
        host: limits.host.clone(),
        // A resolver of its own: its sockets belong to the threads of the plugins.
        transport: Arc::new(NetTransport::new(
            Client::new(Resolver::from_system()),
            Tls::default(),
        )),
        code,
        ..SandboxOptions::default()
    })
    .or_exit(Exit::UNAVAILABLE)?;
    for note in sandbox.notes() {
        tracing::warn!("{note}");
    }
    Ok(sandbox)
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how. Logs go to standard error.
#[derive(Debug, Clone, Args)]
pub(super) struct Logs {
    /// What to log: error, warn, info, debug or trace, or MODULE=LEVEL,...
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "WELLCHECK_LOG", value_parser = levels)]
    pub(super) log: Targets,
    /// How logs look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

/// A word alone is a level, not a module that is to be logged and nothing else.
fn levels(text: &str) -> Result<Targets, String> {
    let expected = "expected error, warn, info, debug, trace or off, or MODULE=LEVEL,...";
    let words = text.split(',').filter(|part| !part.contains('='));
    match words.into_iter().find(|word| word.parse::<LevelFilter>().is_err()) {
        Some(word) => Err(format!("`{word}` is no level ({expected})")),
        None => text.parse().map_err(|error| format!("{error} ({expected})")),
    }
}

/// Starts to log.
pub(super) fn logs(logs: &Logs) {
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(logs.log.clone());
    match logs.log_format {
        LogFormat::Text => {
            let layer =
                fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
            registry.with(layer).init();
        }
        LogFormat::Json => {
            let layer = fmt::layer().json().with_writer(std::io::stderr);
            registry.with(layer).init();
        }
    }
}

/// Starts a runtime for a command that does one thing.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("wellcheck")
        .enable_all()
        .build()
        .context("starting threads")
        .or_exit(Exit::UNAVAILABLE)
}

/// Whether to color what goes to standard output.
pub(super) fn color() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes to standard output. A reader that has gone, as `head` does, ends the program quietly.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output").or_exit(Exit::BUG)
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
pub(super) fn complain(line: &str) {
    // Where even this cannot be written there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes problems to standard error, a line each.
pub(super) fn complain_about(problems: &[Problem]) {
    for problem in problems {
        complain(&problem.to_string());
    }
}

/// Waits, where there is no runtime.
pub(super) fn rest(duration: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting a timer")?;
    // Inside of the block: a timer is made where the runtime is known.
    runtime.block_on(async { tokio::time::sleep(duration).await });
    Ok(())
}
