//! The benchmarks: what one operation costs, beside what it costs at least.
//!
//! `tests/bench/run` builds and starts this; the README beside it says what each row means. A row
//! measures the real program or one of its crates, and in turns with it a baseline that does the
//! same work with nothing around it. Helper processes (targets, bare servers, bare clients) are
//! this very program, started again with a role.
//!
//! To add a row: a file with a function, and one line in [`ROWS`].

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for people")]

mod bare;
mod bare_wasm;
mod load;
mod measure;
mod process;
mod roles;
mod serve;
mod table;

mod endpoint;
mod http_new;
mod memory;
mod plugin;
mod scheduled;
mod soak;
mod start;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use futures_util::future::LocalBoxFuture;

use crate::table::Line;

/// Longest that a row may take; something hangs then.
const ROW_LIMIT: Duration = Duration::from_mins(3);

/// What is no row: it takes minutes and runs by itself.
const SOAK: &str = "soak";

/// What the rows share.
struct Bench {
    /// The program that is measured.
    host: PathBuf,
    /// The folder of the example plugins.
    plugins: PathBuf,
    /// The folder of the guests.
    guests: PathBuf,
    /// Where compiled plugins stay from one start of this program to the next.
    work: PathBuf,
    /// Whether to measure a start without compiled plugins too.
    cold: bool,
    /// CPU of a scheduled run in microseconds, once a row has measured it.
    run_cost: Cell<Option<f64>>,
}

type Row = fn(&Bench) -> LocalBoxFuture<'_, Result<Vec<Line>>>;

/// Every row, in the order of the table.
const ROWS: &[(&str, Row)] = &[
    ("endpoint-100", |bench| Box::pin(endpoint::all(bench, "endpoint-100", 100, 20_000))),
    ("endpoint-1000", |bench| Box::pin(endpoint::all(bench, "endpoint-1000", 1_000, 4_000))),
    ("endpoint-one", |bench| Box::pin(endpoint::one(bench))),
    ("http-new", |_| Box::pin(http_new::run())),
    ("http-scheduled", |bench| Box::pin(scheduled::http(bench))),
    ("plugin-run", |bench| Box::pin(plugin::together(bench))),
    ("plugin-run-alone", |bench| Box::pin(plugin::alone(bench))),
    ("plugin-run-http", |bench| Box::pin(plugin::http(bench))),
    ("start-warm", |bench| Box::pin(start::run(bench))),
    ("memory", |bench| Box::pin(memory::run(bench))),
    ("schedule", |bench| Box::pin(scheduled::schedule(bench))),
];

/// Measures wellcheck beside bare baselines.
#[derive(Debug, Parser)]
struct Args {
    /// Rows to run, all of them without any; or `soak` alone, which is none of them
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// How long the soak goes on, in seconds
    #[arg(long, value_name = "N", env = "WELLCHECK_SOAK_SECONDS", default_value_t = soak::SECONDS,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Also measure a start that compiles every plugin (half a minute of CPU)
    #[arg(long)]
    cold: bool,
    /// The program to measure [default: `wellcheck` beside this program]
    #[arg(long, value_name = "FILE", env = "WELLCHECK_BENCH_HOST")]
    host: Option<PathBuf>,
    /// The folder of the example plugins
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    plugins: PathBuf,
    /// The folder of the built guests
    #[arg(long, value_name = "DIR", default_value = "target/guests/fixtures")]
    guests: PathBuf,
    /// Where compiled plugins are kept
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    work: PathBuf,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let ended = if args.next().as_deref() == Some(roles::WORD) {
        roles::play(args)
    } else {
        measure_rows(Args::parse())
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure_rows(args: Args) -> Result<()> {
    let soaks = args.rows.iter().any(|name| name == SOAK);
    if soaks && args.rows.len() > 1 {
        bail!("`{SOAK}` runs alone (it is no row: it takes minutes, and has a table of its own)");
    }
    let known: Vec<&str> = ROWS.iter().map(|(name, _)| *name).chain([SOAK]).collect();
    if let Some(unknown) = args.rows.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("unknown row `{unknown}` (known rows: {})", known.join(", "));
    }
    let host = match args.host {
        Some(host) => host,
        None => {
            std::env::current_exe().context("finding this program")?.with_file_name("wellcheck")
        }
    };
    // Servers are started in folders of their own.
    let host = host.canonicalize().with_context(|| format!("no program `{}`", host.display()))?;
    std::fs::create_dir_all(&args.work)
        .with_context(|| format!("cannot make the folder `{}`", args.work.display()))?;
    let work = args.work.canonicalize().context("finding the folder for compiled plugins")?;
    let bench = Bench {
        host,
        plugins: args.plugins,
        guests: args.guests,
        work,
        cold: args.cold,
        run_cost: Cell::new(None),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?;
    if soaks {
        return runtime.block_on(soak::run(&bench, args.seconds, args.json));
    }
    let mut lines = Vec::new();
    for (name, row) in ROWS {
        if !args.rows.is_empty() && !args.rows.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("bench: {name}");
        let done = async { tokio::time::timeout(ROW_LIMIT, row(&bench)).await };
        let found = runtime
            .block_on(done)
            .with_context(|| format!("row `{name}` did not end within {ROW_LIMIT:?}"))?
            .with_context(|| format!("row `{name}`"))?;
        lines.extend(found);
    }
    if args.json {
        println!("{}", table::json(&lines)?);
    } else {
        print!("{}", table::text(&lines));
    }
    Ok(())
}
