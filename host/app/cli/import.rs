//! `wellcheck import`: our configuration from the files of other tools.
//!
//! The configuration goes to standard output, so that it can be kept as it is; what could not be
//! carried over goes to standard error, each with its place.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use wellcheck_core::config::problem::known;
use wellcheck_core::config::{MAX_FILE, Problem, SourceFile};
use wellcheck_core::import::{IMPORTS, Import, Imported, Note, Options, by_name};
use wellcheck_core::units::{count, show_size};

use super::exit::{Ended, Exit, Failure, OrExit};
use super::setup;
use super::table::columns;
use crate::sources::{read_text, shown};

/// Make our configuration of the files of another tool.
#[derive(Debug, ClapArgs)]
#[command(arg_required_else_help = true, after_help = help())]
pub(super) struct Args {
    /// Whose files they are; see below
    format: String,
    /// The files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where something runs that the file only names: an operation, container or service
    #[arg(long = "host", value_name = "NAME=ADDRESS", value_parser = host)]
    hosts: Vec<(String, String)>,
    /// From run to run until a job has started, where the file does not say it
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = setup::some_duration)]
    startup_interval: Duration,
    /// From run to run afterwards, where the file does not say it
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = setup::some_duration)]
    interval: Duration,
    /// Print the configuration and the notes as JSON
    #[arg(long)]
    json: bool,
}

/// The formats, and what goes where.
fn help() -> String {
    let rows: Vec<Vec<String>> = IMPORTS
        .iter()
        .map(|import| vec![format!("  {}", import.name()), import.summary().to_owned()])
        .collect();
    format!(
        "Formats:\n{}\nThe configuration goes to standard output. What could not be carried over, or \
means something else here, goes to standard error, each with its place.\n\nExamples:\n  \
wellcheck import blackbox blackbox.yml > conf.d/probes.toml\n  \
wellcheck import kubernetes pod.yaml --host web=10.0.0.7 > conf.d/web.toml\n  \
kubectl get deploy,sts -o yaml | wellcheck import kubernetes - > conf.d/cluster.toml",
        columns(&rows)
    )
}

fn host(text: &str) -> Result<(String, String), String> {
    let pair =
        text.split_once('=').filter(|(name, address)| !name.is_empty() && !address.is_empty());
    let (name, address) = pair.ok_or("expected for example web=10.0.0.7")?;
    // It becomes a part of URLs.
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if !address.bytes().all(fits) {
        return Err("expected a name or an address, such as 10.0.0.7".to_owned());
    }
    Ok((name.to_owned(), address.to_owned()))
}

pub(super) fn run(args: &Args) -> Ended {
    let Some(import) = by_name(&args.format) else {
        let list = known("formats", &args.format, IMPORTS.iter().map(|import| import.name()));
        let error = anyhow::anyhow!("unknown format `{}` {list}", args.format.escape_debug());
        return Err(Failure { error, exit: Exit::USAGE });
    };
    let options = Options {
        hosts: args.hosts.iter().cloned().collect::<BTreeMap<_, _>>(),
        startup_interval: args.startup_interval,
        interval: args.interval,
    };
    let mut whole = Imported::default();
    let mut problems = Vec::new();
    for path in &args.files {
        match one(import, path, &options)? {
            Ok(imported) => {
                if !whole.toml.is_empty() {
                    whole.toml.push('\n');
                }
                whole.toml.push_str(&imported.toml);
                whole.notes.extend(imported.notes);
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        // Half of a configuration would be taken for a whole one.
        whole = Imported::default();
    }
    if args.json {
        setup::print(&json(&whole, &problems))?;
    } else {
        for note in &whole.notes {
            setup::complain(&format!("{}: note: {}", note.place, note.message));
        }
        setup::complain_about(&problems);
        if !problems.is_empty() {
            setup::complain(&count(problems.len(), "problem"));
        }
        setup::print(&whole.toml)?;
    }
    Ok(if problems.is_empty() { Exit::DONE } else { Exit::DATA })
}

/// One file; what cannot be read ends the program.
fn one(
    import: &dyn Import,
    path: &Path,
    options: &Options,
) -> Result<Result<Imported, Vec<Problem>>, Failure> {
    let (name, text) = if path == Path::new("-") {
        ("standard input".into(), standard_input())
    } else {
        (shown(path), read_text(path))
    };
    let text =
        text.map_err(|why| anyhow::anyhow!("cannot read `{name}`: {why}")).or_exit(Exit::DATA)?;
    Ok(import.import(&SourceFile { name, text }, options))
}

fn standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    let limited = std::io::stdin().lock().take(MAX_FILE as u64 + 1).read_to_end(&mut bytes);
    limited.map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err(format!("it is larger than {}", show_size(MAX_FILE as u64)));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn json(whole: &Imported, problems: &[Problem]) -> String {
    let note = |note: &Note| {
        serde_json::json!({
            "file": note.place.file, "line": note.place.line, "column": note.place.column,
            "message": note.message,
        })
    };
    let notes: Vec<serde_json::Value> = whole.notes.iter().map(note).collect();
    let toml = problems.is_empty().then_some(&whole.toml);
    let body = serde_json::json!({ "toml": toml, "notes": notes, "problems": problems });
    format!("{body}\n")
}
