//! The kind `exec`: runs a program and reads its answer as that of a monitoring plugin.
//!
//! Off unless `[exec]` turns it on: it is the one kind that runs what others wrote without a sandbox.
//! A program gets an argument list and no shell, an environment of its own, limits, and its time.
//!
//! | file | what |
//! | --- | --- |
//! | `exec/process.rs` | a program from its start to its end, with all that it starts |
//! | `exec/launch.rs` | the step between us and the program, in which it is limited |
//! | `exec/answer.rs` | what monitoring plugins write |

mod answer;
pub(crate) mod launch;
mod process;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::Signal;
use tokio::time::Instant;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::{Problems, Programs};
use wellcheck_core::fact::{FactKey, Shape, fact};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{
    Answer, FailReason, Fault, FaultReason, Outcome, Report, Run, RunLog,
};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_core::units::show_duration;

use self::launch::{ABSENT, DENIED, Limits, SAYS, UNUSABLE};
use self::process::{Done, ENDLESS, End, MAX_ERR, MAX_OUT, Program, Unstarted};
use super::{Checker, Kind, RunContext, Tools};

/// Most arguments, and most names in the environment.
const MOST: usize = 256;

/// Longest text that is given to a program in one piece, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Most lines of the standard error that are shown, and the longest, in bytes.
const MAX_LINES: usize = 64;
const MAX_LINE: usize = 1024;

const MIN_MEMORY: u64 = 1024 * 1024;
const MAX_MEMORY: u64 = 64 * 1024 * 1024 * 1024;
const MEMORY: u64 = 512 * 1024 * 1024;
const CPU: Duration = Duration::from_secs(10);
const FILES: u64 = 256;

const KEYS: &[Key] = &[
    key(
        "command",
        "",
        "command = [\"/usr/lib/nagios/plugins/check_http\", \"-H\", \"example.com\"]",
        "The program and its arguments, at most 255, each as it stands here: no shell reads them. The program is an absolute path, or a name in one of the `dirs` of `[exec]`. Whoever can list processes sees arguments; what is secret goes into `environment` or `stdin`.",
    ),
    key(
        "environment",
        "none",
        "environment = { PGPASSFILE = \"/etc/wellcheck/pgpass\" }",
        "Its environment, by name, besides PATH and LANG=C: nothing of our own reaches it.",
    ),
    key(
        "directory",
        "\"/\"",
        "directory = \"/var/lib/wellcheck\"",
        "Where it runs; an absolute path.",
    ),
    key("stdin", "nothing", "stdin = \"select 1\"", "What it reads, at most 64 KiB."),
    key(
        "cpu",
        "\"10s\"",
        "cpu = \"2s\"",
        "CPU time that it may use, 1s to 1h, in whole seconds; then it is stopped, a fault `limit`.",
    ),
    key(
        "memory",
        "\"512MiB\"",
        "memory = \"64MiB\"",
        "Memory of its own that each of its processes may have, 1MiB to 64GiB; it gets no more.",
    ),
    key("files", "256", "files = 64", "Files that it may have open at once, 8 to 65536."),
    key(
        "processes",
        "as many as the system lets it",
        "processes = 200",
        "Processes that its user may have at once, this server's among them, while it starts more, 1 to 100000; the system does not count those of root.",
    ),
];

const FACTS: &[FactKey] = &[
    fact("exit-code", Shape::Integer, "What it ended with: 0 to 3."),
    fact("output", Shape::Text, "What it wrote, at most 64 KiB."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Exec;

impl Kind for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn summary(&self) -> &'static str {
        "runs a program that answers as monitoring plugins do; off unless `[exec]` turns it on"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[exec]
enabled = true
dirs = ["/usr/lib/nagios/plugins"]

[[check]]
name = "disk"
kind = "exec"
command = ["check_disk", "-w", "20%", "-c", "10%", "-p", "/"]
"#
    }

    fn probes(&self) -> bool {
        false
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let place = reader.place_of("kind");
        let what = reader.what().to_owned();
        if !reader.has("command") {
            reader.missing("command", problems);
        }
        let command = command(reader, &tools.programs, problems);
        let environment = environment(reader, problems);
        let directory = reader.parsed("directory", problems, |text| {
            let path = PathBuf::from(&text.value);
            match path.is_absolute() && !text.value.contains('\0') {
                true => Ok(path),
                false => Err("this is no absolute path".to_owned()),
            }
        });
        let stdin = reader.parsed("stdin", problems, |text| match text.value.len() {
            0..=MAX_TEXT => Ok(text.value.clone().into_bytes()),
            _ => Err("it is longer than 64 KiB".to_owned()),
        });
        let limits = limits(reader, &tools.programs, problems);
        if !tools.programs.enabled {
            let message = format!(
                "{what} has the kind `exec`, which is off (`[exec] enabled = true` in `wellcheck.toml` lets checks run programs as the user of this process)"
            );
            problems.error(&place, message);
            return None;
        }
        let directory = directory.unwrap_or_else(|| PathBuf::from("/"));
        let program = Program { command: command?, environment, directory, stdin, limits };
        Some(Arc::new(ExecCheck { program }))
    }
}

/// The program and its arguments.
fn command(
    reader: &mut Reader,
    programs: &Programs,
    problems: &mut Problems,
) -> Option<Vec<OsString>> {
    let place = reader.place_of("command");
    let given = reader.has("command");
    let texts = reader.texts("command", problems);
    let mut wrong = |why: String| {
        problems.error(&place, format!("`command` of {}: {why}", reader.what()));
        None
    };
    let Some(first) = texts.first() else {
        return if given {
            wrong("it is empty (expected a program and its arguments)".to_owned())
        } else {
            None
        };
    };
    let length: usize = texts.iter().map(|text| text.value.len()).sum();
    if texts.len() > MOST || length > MAX_TEXT {
        return wrong(
            "it is too long (expected at most 255 arguments, and 64 KiB of them)".to_owned(),
        );
    }
    if texts.iter().any(|text| text.value.contains('\0')) {
        return wrong("no argument can hold a zero byte".to_owned());
    }
    let shown = first.shown().escape_debug().to_string();
    let path = Path::new(&first.value);
    let is_name = !first.value.contains('/') && !first.value.is_empty() && first.value != "..";
    let path = if path.is_absolute() {
        path.to_owned()
    } else if is_name && !programs.dirs.is_empty() {
        let mut found = programs.dirs.iter().map(|dir| dir.join(path));
        found.find(|path| path.is_file()).unwrap_or_else(|| programs.dirs[0].join(path))
    } else if is_name && programs.enabled {
        return wrong(format!(
            "`{shown}` is no absolute path (expected for example `/usr/lib/nagios/plugins/{shown}`, or `dirs` in `[exec]` where it is looked for)"
        ));
    } else if is_name {
        // What it lies in does not matter as long as nothing is run.
        return None;
    } else {
        return wrong(format!(
            "`{shown}` is no absolute path (expected for example `/usr/lib/nagios/plugins/check_http`)"
        ));
    };
    // Links are followed when it is run.
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    let within = |dir: &PathBuf| path.starts_with(dir);
    let may = programs.dirs.is_empty() || (plain && programs.dirs.iter().any(within));
    if !may {
        return wrong(format!("`{shown}` lies outside of the `dirs` of `[exec]`"));
    }
    let rest = texts.iter().skip(1).map(|text| OsString::from(&text.value));
    Some(std::iter::once(path.into_os_string()).chain(rest).collect())
}

fn environment(reader: &mut Reader, problems: &mut Problems) -> Vec<(String, String)> {
    let pairs = reader.text_table("environment", problems);
    let place = reader.place_of("environment");
    if pairs.len() > MOST {
        let message = format!("`environment` of {} has more than {MOST} names", reader.what());
        problems.error(&place, message);
    }
    for (name, text) in &pairs {
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        if !is_name || text.value.contains('\0') || text.value.len() > MAX_TEXT {
            let message = format!(
                "`{}` in `environment` of {} cannot be in an environment (expected a name without `=`, and at most 64 KiB without a zero byte)",
                name.escape_debug(),
                reader.what()
            );
            problems.error(&text.place, message);
        }
    }
    pairs.into_iter().map(|(name, text)| (name, text.value)).collect()
}

fn limits(reader: &mut Reader, programs: &Programs, problems: &mut Problems) -> Limits {
    let cpu = reader.duration("cpu", Duration::from_secs(1)..=Duration::from_hours(1), problems);
    let memory = reader.size("memory", MIN_MEMORY..=MAX_MEMORY, problems);
    let mut number = |key, range| {
        reader.integer(key, range, problems).and_then(|number| u64::try_from(number).ok())
    };
    let files = number("files", 8..=65_536);
    let processes = number("processes", 1..=100_000);
    Limits {
        cpu: cpu.unwrap_or(CPU).as_secs(),
        memory: memory.unwrap_or(MEMORY),
        files: files.unwrap_or(FILES),
        processes,
        dirs: programs.dirs.clone(),
    }
}

struct ExecCheck {
    program: Program,
}

impl Checker for ExecCheck {
    fn facts(&self) -> Facts {
        let path = self.program.command[0].to_string_lossy().into_owned();
        Facts { target: Some(path), port: 0, plugin: None }
    }

    fn run<'a>(&'a self, context: &'a RunContext) -> BoxFuture<'a, Run> {
        async move {
            let began = Instant::now();
            let mut log = RunLog::default();
            let outcome = match process::run(&self.program, context.deadline).await {
                Ok(done) => self.judge(&done, context, &mut log),
                Err(Unstarted::Crowded(why)) => faulted(FaultReason::Busy, why),
                Err(Unstarted::Broken(why)) => {
                    faulted(FaultReason::Load, format!("{} cannot be started: {why}", self.shown()))
                }
            };
            let (outcome, flags) =
                wellcheck_wasm::clean(outcome, &RunLimits::default(), &Redactor::default());
            log.flags.extend(flags);
            Run { outcome, duration: began.elapsed(), log, used: Vec::new() }
        }
        .boxed()
    }
}

fn faulted(reason: FaultReason, message: impl Into<String>) -> Outcome {
    Outcome::Faulted(Fault::new(reason, message))
}

impl ExecCheck {
    /// The program, for messages.
    fn shown(&self) -> String {
        format!("`{}`", self.program.command[0].to_string_lossy())
    }

    fn judge(&self, done: &Done, context: &RunContext, log: &mut RunLog) -> Outcome {
        let errors = String::from_utf8_lossy(&done.err.kept);
        let lines = errors.lines().filter(|line| !line.trim().is_empty());
        log.lines =
            lines.take(MAX_LINES).map(|line| wellcheck_wasm::cleaned(line, MAX_LINE)).collect();
        for (heard, what, limit) in
            [(&done.out, "its output", MAX_OUT), (&done.err, "its standard error", MAX_ERR)]
        {
            if heard.is_cut() {
                log.flags.push(format!(
                    "{what} cut at {} KiB of {} bytes",
                    limit / 1024,
                    heard.total
                ));
            }
        }
        if done.out.total > ENDLESS || done.err.total > ENDLESS {
            let message =
                format!("{} writes without end (at most {} MiB)", self.shown(), ENDLESS >> 20);
            return faulted(FaultReason::Limit, message);
        }
        let status = match &done.end {
            End::Ended(status) => *status,
            End::Asked | End::Killed => {
                let how = match &done.end {
                    End::Killed => "it did not end when it was asked to, and was killed",
                    _ => "it ended when it was asked to",
                };
                let message =
                    format!("{} took longer than the check's timeout ({how})", self.shown());
                return faulted(FaultReason::Timeout, message);
            }
        };
        match status.code() {
            Some(code @ 0..=3) => self.answer(code, &done.out.kept, context, log),
            Some(code) => self.broken(code, &errors),
            None => self.stopped(status),
        }
    }

    /// The answer of a monitoring plugin.
    fn answer(&self, code: i32, output: &[u8], context: &RunContext, log: &mut RunLog) -> Outcome {
        let output = String::from_utf8_lossy(output);
        let answer = answer::read(&output);
        log.flags.extend(answer.flags);
        let message = match answer.message.as_str() {
            "" => format!("{} ended with {code} and said nothing", self.shown()),
            message => message.to_owned(),
        };
        let status = match code {
            0 => Answer::Pass,
            1 => Answer::Warn,
            2 => Answer::Fail,
            _ => return faulted(FaultReason::Inconclusive, message),
        };
        let mut report = Report::new(status, message);
        report.reason = (status == Answer::Fail).then_some(FailReason::Plugin);
        report.observations = answer.observations;
        if !answer.long.is_empty() {
            report.details.push(("output".to_owned(), answer.long));
        }
        if !context.asked.is_empty() {
            report.found.put("exit-code", i64::from(code));
            if context.asked.has("output") {
                report.found.put("output", output.into_owned());
            }
        }
        Outcome::Answered(report)
    }

    /// It ended with something that is no answer.
    fn broken(&self, code: i32, errors: &str) -> Outcome {
        // What the step before the program says of itself.
        let said = errors.lines().rev().find_map(|line| line.strip_prefix(SAYS));
        let (reason, meaning) = match u8::try_from(code).unwrap_or_default() {
            DENIED if said.is_some() => (FaultReason::Denied, "it may not be run"),
            UNUSABLE => (FaultReason::Load, "it cannot be run"),
            ABSENT => (FaultReason::Missing, "there is no such program"),
            _ => {
                let message = format!(
                    "{} ended with {code} (expected 0 to 3, as monitoring plugins end)",
                    self.shown()
                );
                return faulted(FaultReason::BadAnswer, message);
            }
        };
        let message = match said {
            Some(said) => said.to_owned(),
            None => format!("{} ended with {code}, by which shells say: {meaning}", self.shown()),
        };
        faulted(reason, message)
    }

    /// It was ended by a signal.
    fn stopped(&self, status: ExitStatus) -> Outcome {
        let signal = status.signal().unwrap_or_default();
        if signal == Signal::XCPU.as_raw() {
            let message = format!(
                "{} used more than its {} of CPU time (limit `cpu`)",
                self.shown(),
                show_duration(Duration::from_secs(self.program.limits.cpu))
            );
            return faulted(FaultReason::Limit, message);
        }
        let name = match Signal::from_named_raw(signal) {
            Some(signal) => {
                format!(" ({})", format!("{signal:?}").replace("Signal::", "").replace('"', ""))
            }
            None => String::new(),
        };
        faulted(FaultReason::Trap, format!("{} was ended by signal {signal}{name}", self.shown()))
    }
}
