//! `wellcheck plugin bench`: what a fresh instance of a plugin costs, measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use wellcheck_core::config::Plugins;
use wellcheck_core::outcome::Outcome;
use wellcheck_core::record::Record;
use wellcheck_core::status::Status;
use wellcheck_core::units::show_size;
use wellcheck_wasm::{Invocation, Plugin, Replay, Supplies};

use super::replay::world::{Laid, settings};
use crate::cli::exit::{Ended, Exit, OrExit};
use crate::cli::given::GivenArgs;
use crate::cli::record;
use crate::cli::run::{load_into, name_of};
use crate::cli::setup;
use crate::cli::spread::{Spread, milliseconds, ms};
use crate::cli::table::columns;

/// Loads with compiled code in the cache.
const LOADS: usize = 5;

/// Measure what a fresh instance of a plugin costs.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Each run is a fresh instance, as in the server. Wall times hold what the run waited for; with --record, \
nothing is waited for. The runs per second are those of one core, by CPU time.\n\nExamples:\n  \
wellcheck plugin bench plugins/deadlines.wasm --settings @settings.json\n  \
wellcheck plugin bench plugins/json-number.wasm --record failure.json --runs 1000"
)]
pub(crate) struct Args {
    /// The plugin's file
    file: PathBuf,
    #[command(flatten)]
    given: GivenArgs,
    /// How many runs are measured
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Longest that one run may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = setup::some_duration)]
    timeout: Duration,
    /// Run it in the world of a record, offline
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Measured {
    plugin: Plugin,
    compile: Duration,
    load: Spread,
    instantiate: Spread,
    wall: Spread,
    cpu: Spread,
    memory: usize,
    runs: usize,
    statuses: Vec<(Status, usize)>,
    /// The outcome that was worst, and how it read.
    worst: Option<(Status, String)>,
}

pub(crate) fn run(args: &Args) -> Ended {
    let runtime = setup::runtime()?;
    let measured = runtime.block_on(measure(args)).or_exit(Exit::DATA)?;
    runtime.shutdown_background();
    let text = if args.json { json(&measured) } else { show(&measured) };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// Loads the file into a cache of its own, a first time with compiling and then without; then runs
/// it, one run after the other.
async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let record = args.record.as_deref().map(record::read).transpose()?;
    let cache = tempfile::tempdir().context("making a folder for compiled code")?;
    let sandbox = setup::sandbox(Some(cache.path().join("compiled")), &Plugins::default());
    let sandbox = sandbox.map_err(|failure| failure.error)?;
    let load = || load_into(&sandbox, &args.file);
    let unusable = || format!("`{}` is no plugin that can be used", args.file.display());
    let mut plugin = load().await.with_context(unusable)?;
    let compile = plugin.timings().compile;
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        plugin = load().await.with_context(unusable)?;
        loads.push(plugin.timings().total());
    }

    let subject = Subject::new(args, record, &plugin)?;
    let (mut instantiate, mut wall, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut statuses) = (0, Status::ALL.map(|status| (status, 0)));
    let mut worst: Option<(Status, String)> = None;
    // The first run of a process finds nothing warm, and is not counted.
    for number in 0..=args.runs {
        let began = Instant::now();
        let done = subject.run(&plugin).await?;
        let took = began.elapsed();
        if number == 0 {
            continue;
        }
        let status = done.run.outcome.status();
        wall.push(took);
        cpu.push(done.used.cpu);
        instantiate.push(done.used.instantiate);
        memory = memory.max(done.used.memory_peak);
        statuses[status as usize].1 += 1;
        if worst.as_ref().is_none_or(|(before, _)| *before < status) {
            worst = Some((status, message(&done.run.outcome)));
        }
    }
    Ok(Measured {
        plugin,
        compile,
        load: Spread::new(loads),
        instantiate: Spread::new(instantiate),
        runs: wall.len(),
        wall: Spread::new(wall),
        cpu: Spread::new(cpu),
        memory,
        statuses: statuses.into_iter().filter(|(_, runs)| *runs > 0).collect(),
        worst,
    })
}

fn message(outcome: &Outcome) -> String {
    match outcome.reason() {
        Some(reason) => format!("({reason}) {}", outcome.message()),
        None => outcome.message().to_owned(),
    }
}

/// What runs, and in which world.
enum Subject {
    Here(Invocation),
    There(Box<Record>, Laid),
}

impl Subject {
    fn new(args: &Args, record: Option<Record>, plugin: &Plugin) -> anyhow::Result<Self> {
        let settings = settings(record.as_ref(), &args.given)?;
        plugin.check_settings(&settings).map_err(|problems| {
            let hint = if args.given.has_settings() { "" } else { " (`--settings` gives some)" };
            anyhow!("the settings do not fit the plugin{hint}: {}", problems.join("; "))
        })?;
        if let Some(mut record) = record {
            record.settings = settings;
            let laid = Laid::out(&record, &args.given)?;
            return Ok(Self::There(Box::new(record), laid));
        }
        let given = args.given.given()?;
        let names = given.grants.env.iter().map(|name| name.as_str());
        let env = names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        Ok(Self::Here(Invocation {
            check: name_of(plugin)?,
            settings: settings.to_string().into(),
            limits: given.limits,
            timeout: args.timeout,
            failures_in_a_row: 0,
            traceparent: None,
            redact: given.redactor,
            supplies: Supplies {
                env: env.collect(),
                secrets: given.secrets,
                ..Supplies::default()
            },
            grants: given.grants,
            tape: None,
        }))
    }

    async fn run(&self, plugin: &Plugin) -> anyhow::Result<wellcheck_wasm::PluginRun> {
        match self {
            Self::Here(invocation) => Ok(plugin.run(invocation.clone()).await),
            Self::There(record, laid) => {
                let replay: Replay = laid.replay(record)?;
                Ok(replay.run(plugin).await.0)
            }
        }
    }
}

impl Measured {
    /// How many runs one core would end in a second.
    fn per_second(&self) -> f64 {
        let sum = self.cpu.sum().as_secs_f64();
        if sum > 0.0 { self.runs as f64 / sum } else { 0.0 }
    }
}

fn show(measured: &Measured) -> String {
    let Measured { plugin, compile, load, instantiate, wall, cpu, memory, .. } = measured;
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let spread = |spread: &Spread| {
        format!(
            "median {}, p95 {}, p99 {}",
            milliseconds(spread.percentile(50)),
            milliseconds(spread.percentile(95)),
            milliseconds(spread.percentile(99))
        )
    };
    let counts: Vec<String> =
        measured.statuses.iter().map(|(status, runs)| format!("{runs} {status}")).collect();
    let mut rows = vec![
        row("plugin", format!("{} ({})", plugin.name(), show_size(plugin.size() as u64))),
        row("compile", format!("{}, once for each version", milliseconds(*compile))),
        row(
            "load",
            format!("{} with compiled code in the cache", milliseconds(load.percentile(50))),
        ),
        row("runs", format!("{}: {}", measured.runs, counts.join(", "))),
        row("instantiate", spread(instantiate)),
        row("wall", spread(wall)),
        row("CPU", spread(cpu)),
        row("memory", format!("{} at most", show_size(*memory as u64))),
        row("rate", format!("{:.0} runs per second on one core", measured.per_second())),
    ];
    if let Some((status, message)) = &measured.worst
        && *status != Status::Pass
    {
        rows.push(row("worst", format!("{status}: {message}")));
    }
    columns(&rows)
}

fn json(measured: &Measured) -> String {
    let Measured { plugin, compile, load, instantiate, wall, cpu, memory, .. } = measured;
    let statuses: serde_json::Map<String, Value> = (measured.statuses.iter())
        .map(|(status, runs)| (status.to_string(), (*runs).into()))
        .collect();
    let body = json!({
        "plugin": plugin.name().as_str(),
        "version": plugin.description().version,
        "digest": format!("blake3:{}", plugin.digest()),
        "size": plugin.size(),
        "compile_ms": ms(*compile),
        "load_ms": ms(load.percentile(50)),
        "runs": measured.runs,
        "statuses": statuses,
        "instantiate_ms": instantiate.json(),
        "wall_ms": wall.json(),
        "cpu_ms": cpu.json(),
        "memory": memory,
        "runs_per_second": (measured.per_second() * 10.0).round() / 10.0,
    });
    format!("{body}\n")
}
