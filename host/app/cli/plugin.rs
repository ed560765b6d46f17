//! `wellcheck plugin inspect`: what a plugin says of itself, needs, and costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use wellcheck_core::grant::Grants;
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::redact::Redactor;
use wellcheck_core::units::show_size;
use wellcheck_wasm::{Invocation, Plugin, PluginRun};

use super::exit::{Ended, Exit, OrExit};
use super::setup;
use super::table::columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(Inspect),
}

#[derive(Debug, Args)]
#[command(
    after_help = "The run that is measured has no settings and no grants; it shows what an instance \
costs, not what a check finds.\n\nExample:\n  wellcheck plugin inspect plugins/json-number.wasm"
)]
pub(super) struct Inspect {
    /// The plugin's file
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    cache: Option<PathBuf>,
}

pub(super) fn run(command: Command) -> Ended {
    let Command::Inspect(args) = command;
    let runtime = setup::runtime()?;
    let (plugin, run) = runtime.block_on(inspect(&args)).or_exit(Exit::DATA)?;
    runtime.shutdown_background();
    let text = if args.json { json(&plugin, &run) } else { show(&plugin, &run) };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

async fn inspect(args: &Inspect) -> anyhow::Result<(Plugin, PluginRun)> {
    let plugin = super::run::load(&args.file, args.cache.clone())
        .await
        .with_context(|| format!("`{}` is no plugin that can be used", args.file.display()))?;
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
        })
        .await;
    Ok((plugin, run))
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn show(plugin: &Plugin, run: &PluginRun) -> String {
    let about = plugin.description();
    let timings = plugin.timings();
    let compile = if timings.from_cache {
        "from the cache".to_owned()
    } else {
        milliseconds(timings.compile)
    };
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![
        row("name", about.name.clone()),
        row("version", about.version.clone()),
        row("summary", about.summary.clone()),
        row("contract", format!("wellcheck:check {}", plugin.line())),
        row("size", show_size(plugin.size() as u64)),
        row("digest", format!("blake3:{}", plugin.digest())),
        row(
            "uses",
            match plugin.import_summary().as_slice() {
                [] => "nothing".to_owned(),
                words => words.join(", "),
            },
        ),
        row("compile", compile),
        row("load", milliseconds(timings.total().saturating_sub(timings.compile))),
        row(
            "run",
            format!(
                "{}, {:.2} ms of CPU, {} of memory",
                milliseconds(run.run.duration),
                run.used.cpu.as_secs_f64() * 1e3,
                show_size(run.used.memory_peak as u64)
            ),
        ),
    ];
    for (name, text) in &about.details {
        rows.push(row(name, text.clone()));
    }
    let mut text = columns(&rows);
    if !about.wants.is_empty() {
        text += "\nwants to be granted:\n";
        let wants: Vec<Vec<String>> = about
            .wants
            .iter()
            .map(|want| vec![format!("  {} = \"{}\"", want.grant, want.value), want.why.clone()])
            .collect();
        text += &columns(&wants);
    }
    text += "\nimports:\n";
    text.extend(plugin.imports().iter().map(|import| format!("  {import}\n")));
    if let Some(schema) = &about.settings_schema {
        text += "\nsettings schema:\n";
        text += &pretty(schema);
        text += "\n";
    }
    text
}

fn pretty(schema: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(schema);
    value
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| schema.to_owned())
}

fn json(plugin: &Plugin, run: &PluginRun) -> String {
    let about = plugin.description();
    let timings = plugin.timings();
    let schema = about.settings_schema.as_deref().map(serde_json::from_str::<serde_json::Value>);
    let wants: Vec<_> = about
        .wants
        .iter()
        .map(
            |want| serde_json::json!({ "grant": want.grant, "value": want.value, "why": want.why }),
        )
        .collect();
    let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let body = serde_json::json!({
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "contract": plugin.line(),
        "size": plugin.size(),
        "digest": format!("blake3:{}", plugin.digest()),
        "uses": plugin.import_summary(),
        "imports": plugin.imports().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "wants": wants,
        "settings_schema": schema.and_then(Result::ok),
        "details": about.details.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "cost": {
            "from_cache": timings.from_cache,
            "compile_ms": ms(timings.compile),
            "load_ms": ms(timings.total().saturating_sub(timings.compile)),
            "run_ms": ms(run.run.duration),
            "run_cpu_ms": ms(run.used.cpu),
            "memory": run.used.memory_peak,
        },
    });
    format!("{body}\n")
}
