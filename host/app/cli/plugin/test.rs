//! `wellcheck plugin test`: a plugin in scripted worlds, held against what its test file expects.
//!
//! | file | what |
//! | --- | --- |
//! | `find.rs` | from an argument to a test file and its plugin |
//! | `runner.rs` | runs of a plugin in the worlds of its tests, and in broken ones |
//! | `show.rs`, `json.rs`, `junit.rs` | what came of them, for people and programs |

mod find;
mod json;
mod junit;
mod runner;
mod show;

use std::cell::Cell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use wellcheck_core::config::{Plugins, Problem, SourceFile};
use wellcheck_core::record::Record;
use wellcheck_core::suite::{self, Reading, Suite, faults, keys};
use wellcheck_core::units::count;
use wellcheck_net::FailureKind;
use wellcheck_wasm::{Code, Urgency};

use self::find::Found;
use self::runner::SuiteDone;
use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::setup;
use crate::cli::validate;

/// Longest file that is read beside a test file, in bytes.
const MAX_BESIDE: u64 = 16 << 20;

/// Most bytes of all these files together: each mention of one is a copy of it.
const MAX_ALL_BESIDE: u64 = 256 << 20;

/// Run a plugin's tests, each in a world of its own.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 all passed, 1 a test did not (or a fault was neither noticed nor \
accepted), 64 wrong arguments, 65 a broken test file or plugin.\n\nExamples:\n  wellcheck plugin test\n  \
wellcheck plugin test plugins/json-number.wasm --faults\n  wellcheck plugin test queue/test.toml --junit report.xml\n  \
wellcheck plugin test --from record.json >> queue/test.toml",
    after_long_help = long_help()
)]
pub(crate) struct Args {
    /// Test files, plugins or folders of projects [default: the current folder]
    ///
    /// A test file ends in .toml. The tests of NAME.wasm are in NAME.test.toml or NAME/test.toml
    /// beside it, those of a folder in its test.toml; the plugin of a test file is what its key
    /// `plugin` says, or the one .wasm file that lies there.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Break what each passing test uses, one thing at a time, and list what is not noticed
    #[arg(long)]
    faults: bool,
    /// Run the tests whose names contain this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a report as JUnit does, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print a test made of the record of a run, and run nothing
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["files", "faults", "filter", "json", "junit"])]
    from: Option<PathBuf>,
    /// Take code that is there soon, as `wellcheck plugin build --quick` leaves it in the cache
    #[arg(long, hide = true)]
    quick: bool,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    cache: Option<PathBuf>,
}

/// Every key of a test file, and every fault.
fn long_help() -> String {
    let mut text = String::from(
        "Exit codes: 0 all passed, 1 a test did not (or a fault was neither noticed nor accepted), \
         64 wrong arguments, 65 a broken test file or plugin.\n\nThe keys of a test file:\n\n",
    );
    for section in keys::SECTIONS {
        text.extend([section.header, "\n  ", section.doc, "\n\n", &validate::keys(section.keys)]);
    }
    text += "What --faults breaks:\n\n";
    for fault in faults::FAULTS {
        text.extend(["  ", fault.name, ": ", fault.doc, "\n"]);
    }
    text
}

pub(crate) fn run(args: &Args) -> Ended {
    if let Some(record) = &args.from {
        setup::print(&of_record(record).or_exit(Exit::DATA)?)?;
        return Ok(Exit::DONE);
    }
    let here = [PathBuf::from(".")];
    let files = if args.files.is_empty() { &here[..] } else { &args.files[..] };
    let mut suites = read_all(files)?;
    if let Some(filter) = &args.filter {
        suites.iter_mut().for_each(|(_, suite)| suite.tests.retain(|t| t.name.contains(filter)));
        if suites.iter().all(|(_, suite)| suite.tests.is_empty()) {
            let error = anyhow!("no test has `{}` in its name", filter.escape_debug());
            return Err(Failure { error, exit: Exit::USAGE });
        }
    }
    let runtime = setup::runtime()?;
    // What was compiled a moment ago for whoever waits is not compiled again.
    let code = if args.quick { Code::Soon } else { Code::Fast };
    let cache = args.cache.clone();
    let sandbox = setup::sandbox_for(cache, &Plugins::default(), code, Urgency::Awaited)?;
    let mut done: Vec<SuiteDone> = Vec::new();
    for (found, suite) in suites.into_iter().filter(|(_, suite)| !suite.tests.is_empty()) {
        let path = found.plugin(suite.plugin.as_ref()).or_exit(Exit::DATA)?;
        let plugin = runtime.block_on(crate::cli::run::load_into(&sandbox, &path));
        let unusable = || format!("`{}` is no plugin that can be used", path.display());
        let plugin = plugin.with_context(unusable).or_exit(Exit::DATA)?;
        let suite_done = runtime.block_on(runner::suite(&plugin, suite, args.faults));
        let mut suite_done = suite_done.or_exit(Exit::UNAVAILABLE)?;
        suite_done.file = shown(&found.file);
        // Of tests that did not run nobody knows what they need.
        if args.filter.is_some() {
            suite_done.unneeded.clear();
        }
        if !args.json {
            setup::print(&show::suite(&suite_done))?;
        }
        done.push(suite_done);
    }
    runtime.shutdown_background();
    if args.json {
        setup::print(&json::suites(&done))?;
    } else {
        setup::print(&show::summary(&done))?;
    }
    if let Some(path) = &args.junit {
        let report = junit::report(&done).or_exit(Exit::BUG)?;
        let write = std::fs::write(path, report);
        write.with_context(|| format!("cannot write `{}`", path.display())).or_exit(Exit::DATA)?;
    }
    Ok(if done.iter().all(SuiteDone::is_well) { Exit::DONE } else { Exit::FAILED })
}

/// Reads every test file; all problems of all of them are said.
fn read_all(files: &[PathBuf]) -> Result<Vec<(Found, Suite)>, Failure> {
    let mut suites = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        let found = find::find(path).or_exit(Exit::DATA)?;
        let (suite, more) = read(&found.file).or_exit(Exit::DATA)?;
        problems.extend(more);
        suites.extend(suite.map(|suite| (found, suite)));
    }
    if problems.is_empty() {
        return Ok(suites);
    }
    setup::complain_about(&problems);
    let error = anyhow!("the tests cannot be run ({})", count(problems.len(), "problem"));
    Err(Failure { error, exit: Exit::DATA })
}

fn read(path: &Path) -> anyhow::Result<(Option<Suite>, Vec<Problem>)> {
    let cannot = || format!("cannot read `{}`", path.display());
    let text = String::from_utf8(bounded(path).with_context(cannot)?).with_context(cannot)?;
    let file = SourceFile { name: shown(path).into(), text };
    let words: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let room = Cell::new(MAX_ALL_BESIDE);
    let beside = |name: &str| {
        let bytes = bounded(&folder.join(name)).map_err(|error| format!("{error:#}"))?;
        let left = room.get().checked_sub(bytes.len() as u64).ok_or_else(|| {
            format!("the files of all tests have more than {MAX_ALL_BESIDE} bytes together")
        })?;
        room.set(left);
        Ok(bytes)
    };
    Ok(suite::read(&Reading { file: &file, failures: &words, beside: &beside }))
}

/// A file that somebody keeps beside a test, as far as it is one.
fn bounded(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        bail!("it is no file");
    }
    // What a file says of its size need not be so: those of `/proc` say nothing.
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BESIDE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BESIDE {
        let size = about.len().max(bytes.len() as u64);
        bail!("it has {size} bytes (expected at most {MAX_BESIDE})");
    }
    Ok(bytes)
}

/// `./test.toml` is `test.toml`.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

fn of_record(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the record `{}`", path.display());
    let bytes = bounded(path).with_context(cannot)?;
    let record: Record = serde_json::from_slice(&bytes).with_context(cannot)?;
    if record.format != wellcheck_core::record::FORMAT {
        bail!(
            "the record is of the form `{}`, and this program reads `{}`",
            record.format.escape_debug(),
            wellcheck_core::record::FORMAT
        );
    }
    let when = wellcheck_core::time::WallTime(record.began);
    let name = format!("check {} at {when}", record.check.escape_debug());
    Ok(suite::of_record(&record, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_a_test_are_bounded_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create(folder.path().join("large")).expect("it is ours");
        file.set_len(MAX_BESIDE).expect("it takes no room");
        let answers = |count: usize| {
            let answer = "[[test.world.http]]\nrequest = \"*\"\nfile = \"large\"\n";
            format!("[[test]]\nname = \"a\"\nexpect.status = \"pass\"\n{}", answer.repeat(count))
        };
        let path = folder.path().join("test.toml");
        for (count, expected) in [(1, None), (17, Some("bytes together"))] {
            std::fs::write(&path, answers(count)).expect("it is ours");
            let (suite, problems) = read(&path).expect("it can be read");
            assert_eq!(suite.is_some(), expected.is_none(), "{problems:?}");
            let why = problems.first().map(ToString::to_string).unwrap_or_default();
            assert!(why.contains(expected.unwrap_or_default()), "{why}");
        }
    }
}
