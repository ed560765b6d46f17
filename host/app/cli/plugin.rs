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
}

/// A plugin and what it costs.
struct Inspected {
    plugin: Plugin,
    compile: Duration,
    load: Duration,
    run: PluginRun,
}

pub(super) fn run(command: Command) -> Ended {
    let Command::Inspect(args) = command;
    let runtime = setup::runtime()?;
    let found = runtime.block_on(inspect(&args)).or_exit(Exit::DATA)?;
    runtime.shutdown_background();
    let text = if args.json { json(&found) } else { show(&found) };
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// Loads the file twice, into a cache of its own: once with compiling, once without.
async fn inspect(args: &Inspect) -> anyhow::Result<Inspected> {
    let cache = tempfile::tempdir().context("making a folder for compiled code")?;
    let sandbox = setup::sandbox(Some(cache.path().join("compiled"))).map_err(|f| f.error)?;
    let load = || super::run::load_into(&sandbox, &args.file);
    let unusable = || format!("`{}` is no plugin that can be used", args.file.display());
    let compile = load().await.with_context(unusable)?.timings().compile;
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
        })
        .await;
    Ok(Inspected { plugin, compile, load, run })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn show(Inspected { plugin, compile, load, run }: &Inspected) -> String {
    let about = plugin.description();
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
        row("compile", milliseconds(*compile)),
        row("load", milliseconds(*load)),
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

fn json(Inspected { plugin, compile, load, run }: &Inspected) -> String {
    let about = plugin.description();
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
            "compile_ms": ms(*compile),
            "load_ms": ms(*load),
            "run_ms": ms(run.run.duration),
            "run_cpu_ms": ms(run.used.cpu),
            "memory": run.used.memory_peak,
        },
    });
    format!("{body}\n")
}
