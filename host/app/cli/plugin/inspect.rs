//! `wellcheck plugin inspect`: what a plugin says of itself, what it wants, is granted and uses, and
//! what it costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use tokio::time::Instant;
use wellcheck_core::config::Plugins;
use wellcheck_core::grant::{Grants, Use};
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::Run;
use wellcheck_core::redact::Redactor;
use wellcheck_core::units::{count, show_size};
use wellcheck_wasm::{Description, Invocation, Plugin, PluginRun, Supplies, Want};

use crate::checks::RunContext;
use crate::checks::plugin::{PluginChecker, Supplier};
use crate::cli::exit::{Ended, Exit, OrExit};
use crate::cli::setup::{self, Where};
use crate::cli::table::columns;
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
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

/// A plugin and what it costs.
struct Inspected {
    plugin: Plugin,
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
    let text = if args.json { json(&found) } else { show(&found) };
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
    Ok(Inspected { plugin, compile, load, run, checks })
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

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn show(Inspected { plugin, compile, load, run, checks }: &Inspected) -> String {
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
            "can ask for",
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
    if checks.is_empty() {
        text += "\ngrants (no check of the configuration uses it; a run without grants):\n";
        text += &grants(about, &Grants::default(), &run.run.used);
    }
    for Checked { check, grants: granted, run } in checks {
        let used = run.as_ref().map_or(&[][..], |run| &run.used);
        let outcome = match run {
            Ok(run) => format!("{}: {}", run.outcome.status(), run.outcome.message()),
            Err(problems) => format!("its settings do not fit: {}", problems.join("; ")),
        };
        text.push_str(
            &["\ngrants of check `", check.as_str(), "` (one run: ", &outcome, "):\n"].concat(),
        );
        text += &grants(about, granted, used);
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

/// Wanted, granted, used: a line each.
fn grants(about: &Description, granted: &Grants, used: &[Use]) -> String {
    let line = |word: &str, grant: &str, value: &str, note: &str| {
        vec![format!("  {word}"), format!("{grant} = \"{value}\""), note.to_owned()]
    };
    let mut rows = Vec::new();
    for Want { grant, value, why } in &about.wants {
        let state = match granted.covers(grant, value) {
            Ok(true) => "granted".to_owned(),
            Ok(false) => "not granted".to_owned(),
            Err(problem) => problem,
        };
        rows.push(line("wanted", grant, value, &format!("{state}: {why}")));
    }
    for (kind, value) in granted.list() {
        rows.push(line("granted", kind.as_str(), &value, ""));
    }
    for Use { kind, value, denied } in used {
        let word = if *denied { "denied" } else { "used" };
        rows.push(line(word, kind.as_str(), value, ""));
    }
    if rows.is_empty() {
        "  none wanted, none granted, none used\n".to_owned()
    } else {
        columns(&rows)
    }
}

fn pretty(schema: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(schema);
    value
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| schema.to_owned())
}

fn json(Inspected { plugin, compile, load, run, checks }: &Inspected) -> String {
    let about = plugin.description();
    let schema = about.settings_schema.as_deref().map(serde_json::from_str::<serde_json::Value>);
    let wants: Vec<_> = about
        .wants
        .iter()
        .map(
            |want| serde_json::json!({ "grant": want.grant, "value": want.value, "why": want.why }),
        )
        .collect();
    let used = |used: &[Use]| -> Vec<serde_json::Value> {
        let one = |u: &Use| serde_json::json!({ "grant": u.kind.as_str(), "value": u.value, "denied": u.denied });
        used.iter().map(one).collect()
    };
    let checks: Vec<_> = (checks.iter())
        .map(|Checked { check, grants, run }| {
            let granted: Vec<_> = (grants.list().iter())
                .map(|(kind, value)| serde_json::json!({ "grant": kind.as_str(), "value": value }))
                .collect();
            serde_json::json!({
                "check": check.as_str(),
                "granted": granted,
                "missing": (about.wants.iter())
                    .filter(|want| !grants.covers(&want.grant, &want.value).unwrap_or(false))
                    .map(|want| serde_json::json!({ "grant": want.grant, "value": want.value }))
                    .collect::<Vec<_>>(),
                "used": run.as_ref().map_or(Vec::new(), |run| used(&run.used)),
                "status": run.as_ref().ok().map(|run| run.outcome.status()),
                "message": run.as_ref().map_or_else(|p| p.join("; "), |r| r.outcome.message().to_owned()),
            })
        })
        .collect();
    let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let body = serde_json::json!({
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "contract": plugin.line(),
        "size": plugin.size(),
        "digest": format!("blake3:{}", plugin.digest()),
        "can_ask_for": plugin.import_summary(),
        "imports": plugin.imports().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "wants": wants,
        "used": used(&run.run.used),
        "checks": checks,
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
