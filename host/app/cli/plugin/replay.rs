//! `wellcheck plugin replay`: a plugin runs again in the world that a record is of, offline.

mod compare;
pub(super) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use wellcheck_core::config::Plugins;
use wellcheck_core::record::Record;
use wellcheck_wasm::{Asked, Plugin, PluginRun, Tape};

use self::compare::Difference;
use self::world::Laid;
use crate::cli::exit::{Ended, Exit, OrExit};
use crate::cli::given::GivenArgs;
use crate::cli::record;
use crate::cli::run::{exit, load_into, shown};
use crate::cli::setup;

/// Bytes of what the run in turn asks for that are noted: names matter here, not bodies.
const MOST_NOTED: usize = 1 << 20;

/// Exit code for an outcome that is not the recorded one.
const DIFFERS: Exit = Exit(1);

/// Run a plugin again in the world that a record is of.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Requests are answered as they were when the record was made, files and state are as they were, \
and so are the clock and random numbers; waiting takes no time, and nothing leaves the process. A request gets the first \
answer to the same method and URL that was not used yet; one without an answer finds its target unreachable.\n\nA record is made by \
`wellcheck run --record`, or by the server of each run of a plugin that fails (`wellcheck check record`). A secret \
is another one than it was. An outcome is the recorded one if it says the same; a time that was measured may be a tenth, or 0.5 s, off.\n\n\
Exit codes: 0 pass, 1 warn, 2 fail, 3 unknown (also for a record that cannot be used); with --expect-same: 0 the recorded \
outcome, 1 another one.\n\nExamples:\n  wellcheck plugin replay failure.json plugins/json-number.wasm\n  \
wellcheck plugin replay failure.json plugins/json-number.wasm --expect-same\n  \
wellcheck plugin replay failure.json plugins/json-number.wasm --set warn=900"
)]
pub(crate) struct Args {
    /// The record
    record: PathBuf,
    /// The plugin's file
    file: PathBuf,
    /// End with 1, and show how, if the outcome is not the recorded one
    #[arg(long)]
    expect_same: bool,
    #[command(flatten)]
    given: GivenArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    cache: Option<PathBuf>,
}

/// A run in the world of a record, and how it compares.
struct Replayed {
    done: PluginRun,
    /// Between the recorded outcome and this one.
    differences: Vec<Difference>,
    /// What there is to say besides: a line each.
    notes: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Ended {
    let runtime = setup::runtime()?;
    let replayed = runtime.block_on(replay(args)).or_exit(Exit::UNKNOWN)?;
    runtime.shutdown_background();
    let text = if args.json { json(&replayed) } else { show(&replayed) };
    setup::print(&text)?;
    Ok(match (args.expect_same, replayed.differences.is_empty()) {
        (true, true) => Exit::DONE,
        (true, false) => DIFFERS,
        (false, _) => exit(replayed.done.run.outcome.status()),
    })
}

async fn replay(args: &Args) -> anyhow::Result<Replayed> {
    let mut record = record::read(&args.record)?;
    let recorded = std::mem::take(&mut record.outcome);
    let sandbox = setup::sandbox(args.cache.clone(), &Plugins::default());
    let sandbox = sandbox.map_err(|failure| failure.error)?;
    let plugin = load_into(&sandbox, &args.file).await?;
    record.settings = args.given.settings(std::mem::take(&mut record.settings))?;
    let mut notes = told(&record, &plugin, &args.record);
    plugin.check_settings(&record.settings).map_err(|problems| {
        anyhow!("the settings do not fit the plugin: {}", problems.join("; "))
    })?;
    let world = Laid::out(&record, &args.given)?;
    notes.extend(world.notes.iter().cloned());
    let tape = Tape::new(MOST_NOTED);
    let replay = world.replay(&record)?.taped(tape.clone());
    let invocation = replay.invocation().clone();
    let (done, asked) = replay.run(&plugin).await;
    let now = tape.record(&plugin, &invocation, &done.run);
    notes.extend(requests(&record, &asked));
    notes.extend(things(&record, &now));
    let differences = compare::compare(&recorded, &now.outcome);
    Ok(Replayed { done, differences, notes })
}

/// What the record says of itself that whoever runs it should know.
fn told(record: &Record, plugin: &Plugin, path: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    let clean = |text: &str| wellcheck_wasm::cleaned(text, 200);
    if record.plugin.digest != plugin.digest() {
        let version = &plugin.description().version;
        let other = if record.plugin.name == plugin.name().as_str() {
            "another build of the plugin"
        } else {
            "another plugin"
        };
        notes.push(format!(
            "`{}` is of {other}: `{}` {}, and this is `{}` {version}",
            path.display(),
            clean(&record.plugin.name),
            clean(&record.plugin.version),
            plugin.name(),
        ));
    }
    notes.extend(
        record.gaps.iter().map(|gap| format!("the record lacks something: {}", clean(gap))),
    );
    notes
}

/// Requests without an answer, and answers without a request.
fn requests(record: &Record, asked: &[Asked]) -> Vec<String> {
    let clean = |method: &str, url: &str| wellcheck_wasm::cleaned(&format!("{method} {url}"), 300);
    let new = asked.iter().filter(|asked| asked.by.is_none()).map(|asked| {
        let request = clean(&asked.method, &asked.url);
        format!("it asked for something that the record has no answer for: `{request}`")
    });
    let used: BTreeSet<usize> = asked.iter().filter_map(|asked| asked.by).collect();
    let old = record.http.iter().enumerate().filter(|(at, _)| !used.contains(at));
    let old = old.map(|(_, exchange)| {
        let request = clean(&exchange.method, &exchange.url);
        format!("it no longer asked for something that is in the record: `{request}`")
    });
    new.chain(old).collect()
}

/// The same of files, checks and secrets.
fn things(record: &Record, now: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    let mut compare = |what: &str, old: BTreeSet<&String>, new: BTreeSet<&String>| {
        let clean = |name: &str| wellcheck_wasm::cleaned(name, 200);
        for name in new.difference(&old) {
            let name = clean(name);
            notes.push(format!("it asked for {what} that is not in the record: `{name}`"));
        }
        for name in old.difference(&new) {
            let name = clean(name);
            notes.push(format!("it no longer asked for {what} that is in the record: `{name}`"));
        }
    };
    compare("a file", record.files.keys().collect(), now.files.keys().collect());
    compare("a check", record.checks.keys().collect(), now.checks.keys().collect());
    compare("a secret", record.secrets.iter().collect(), now.secrets.iter().collect());
    notes
}

fn show(Replayed { done, differences, notes }: &Replayed) -> String {
    let mut text = shown::outcome(&done.run, Some(&done.used));
    let mut line = |line: String| text.push_str(&(line + "\n"));
    if differences.is_empty() {
        line("this is the recorded outcome".to_owned());
    } else {
        line("this is not the recorded outcome:".to_owned());
        for Difference { what, before, after } in differences {
            for (sign, value) in [('-', before), ('+', after)] {
                if let Some(value) = value {
                    line(format!("  {sign} {what}: {}", wellcheck_wasm::cleaned(value, 2000)));
                }
            }
        }
    }
    for note in notes {
        line(format!("note: {note}"));
    }
    text
}

fn json(Replayed { done, differences, notes }: &Replayed) -> String {
    let differences: Vec<Value> = differences
        .iter()
        .map(|one| json!({ "what": one.what, "recorded": one.before, "now": one.after }))
        .collect();
    let more: BTreeMap<&str, Value> = [
        ("same", differences.is_empty().into()),
        ("differences", differences.into()),
        ("notes", notes.as_slice().into()),
        ("used", shown::uses(&done.run.used)),
        ("cost", shown::costs(&done.used)),
    ]
    .into();
    shown::with(&done.run, &more.into_iter().collect::<Vec<_>>())
}
