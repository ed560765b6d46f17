//! The step between us and a program of the kind `exec`: our own program in a process of its own,
//! which takes its limits upon itself and then becomes the other.
//!
//! Limits of a process are set by itself, and between `fork` and `exec` of a program with threads
//! there is little that may be done; so there is a step between, as for the compiler of plugins.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, Signal, getppid, setrlimit};

/// The word on the command line; what follows are [`Limits`] as [`Limits::args`] writes them, and
/// the program with its arguments.
pub(crate) const NAME: &str = "exec-program";

/// What its last line begins with when the program could not be started.
pub(super) const SAYS: &str = "wellcheck: ";

/// Its exit code where the program may not be run.
pub(super) const DENIED: u8 = 125;

/// Its exit code where the program cannot be run, as shells have it.
pub(super) const UNUSABLE: u8 = 126;

/// Its exit code where there is no such program, likewise.
pub(super) const ABSENT: u8 = 127;

/// What a program may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// Seconds of CPU time.
    pub(super) cpu: u64,
    /// Bytes of memory of its own.
    pub(super) memory: u64,
    /// Files at once.
    pub(super) files: u64,
    /// Processes of its user at once.
    pub(super) processes: Option<u64>,
    /// The folders one of which it must lie in; none is anywhere.
    pub(super) dirs: Vec<PathBuf>,
}

impl Limits {
    /// As they stand on the command line.
    pub(super) fn args(&self) -> Vec<OsString> {
        let Self { cpu, memory, files, processes, dirs } = self;
        let processes = processes.unwrap_or(0);
        let numbers = [u64::from(std::process::id()), *cpu, *memory, *files, processes];
        let mut args: Vec<OsString> = vec![NAME.into()];
        args.extend(numbers.map(|number| number.to_string().into()));
        args.push(dirs.len().to_string().into());
        args.extend(dirs.iter().map(|dir| dir.clone().into_os_string()));
        args
    }
}

/// Becomes the program. Returns only if that cannot be; then it has said why on standard error.
pub(crate) fn launch(args: &[OsString]) -> ExitCode {
    let mut args = args.iter();
    let mut number = || args.next()?.to_str()?.parse::<u64>().ok();
    let numbers = [(); 6].map(|()| number());
    let [Some(parent), Some(cpu), Some(memory), Some(files), Some(processes), Some(count)] =
        numbers
    else {
        return say("this is started by wellcheck itself, for checks of the kind `exec`", UNUSABLE);
    };
    let dirs: Vec<&OsString> = args.by_ref().take(usize::try_from(count).unwrap_or(0)).collect();
    let Some(program) = args.next() else { return say("there is no program", UNUSABLE) };
    if let Err(error) = limit_self(cpu, memory, files, processes) {
        return say(&format!("cannot limit itself: {error}"), UNUSABLE);
    }
    // It does not outlive the one who waits for it; and if that has gone already, nobody asks.
    let dies = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let is_orphan =
        getppid().is_none_or(|pid| u64::try_from(pid.as_raw_pid()).ok() != Some(parent));
    if dies.is_err() || is_orphan {
        return say("whoever started it has gone", UNUSABLE);
    }
    let shown = Path::new(program).display();
    let found = match std::fs::canonicalize(program) {
        Ok(found) => found,
        Err(error) => return say(&format!("cannot run `{shown}`: {error}"), code(&error)),
    };
    let within =
        |dir: &&OsString| std::fs::canonicalize(dir).is_ok_and(|dir| found.starts_with(dir));
    if !dirs.is_empty() && !dirs.iter().any(within) {
        let message =
            format!("`{shown}` is `{}`, outside of the `dirs` of `[exec]`", found.display());
        return say(&message, DENIED);
    }
    // Programs of several names look at the one that they were called by.
    let error = Command::new(&found).arg0(program).args(args).exec();
    say(&format!("cannot run `{shown}`: {error}"), code(&error))
}

fn code(error: &std::io::Error) -> u8 {
    match error.kind() {
        std::io::ErrorKind::NotFound => ABSENT,
        _ => UNUSABLE,
    }
}

fn say(what: &str, code: u8) -> ExitCode {
    // Nobody listens any more if this fails.
    let _said = writeln!(std::io::stderr(), "{SAYS}{what}");
    ExitCode::from(code)
}

fn limit_self(cpu: u64, memory: u64, files: u64, processes: u64) -> std::io::Result<()> {
    let both = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::Core, both(0))?;
    // A second between the two: the signal of the first says what happened.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu), maximum: Some(cpu + 1) })?;
    // What is written to, not what is reserved: many languages reserve far more than they use.
    setrlimit(Resource::Data, both(memory))?;
    setrlimit(Resource::Nofile, both(files))?;
    if processes > 0 {
        setrlimit(Resource::Nproc, both(processes))?;
    }
    Ok(())
}
