//! Compiling a component, here or in a child process.
//!
//! A compiler that is fed by strangers can be made to work forever or to take all memory; wasmtime
//! counts neither as a vulnerability. So the program re-executes itself: the child puts limits on
//! itself, reads the component from stdin, writes the compiled code to stdout, and ends.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use wasmtime::Engine;
use wellcheck_core::limits::LoadLimits;

use crate::engine::{self, Code};
use crate::text;

/// Largest compiled code that is taken from a child, in bytes.
const MAX_ARTEFACT: u64 = 1 << 30;
/// How much is kept of what a child says on stderr.
const MAX_SAID: u64 = 4096;
/// The word by which a child is told to hurry.
const SOON: &str = "soon";
/// The word by which a child is told that a person waits for it.
const AWAITED: &str = "awaited";
/// How much slower than everything else a compiler may be.
const NICENESS: i32 = 10;

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In this process: no limits, and the memory that it took stays.
    InProcess,
    /// In a process of its own: `program` is run with `args` and two to four more, and hands all that
    /// follow `args` to [`compile_child`].
    Child {
        /// The program, which is this one.
        program: PathBuf,
        /// What makes it call [`compile_child`].
        args: Vec<OsString>,
        /// How much it gives way to everything else on the machine.
        urgency: Urgency,
    },
}

/// How much a compiler gives way to everything else on the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urgency {
    /// It is done behind a server, which must not become slower by it.
    #[default]
    Behind,
    /// A person waits for it: as urgent as any program. On a busy machine, giving way would make
    /// seconds minutes.
    Awaited,
}

/// Why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The component is not valid, or uses what is switched off.
    #[error("{0}")]
    Refused(String),
    /// It compiles, but this host cannot hold what came of it.
    #[error("the compiled code cannot be used: {0}")]
    Unusable(String),
    /// It takes too much CPU.
    #[error("compiling it takes more than {0:?} of CPU time")]
    Cpu(Duration),
    /// It takes too long.
    #[error("compiling it takes longer than {0:?}")]
    Wall(Duration),
    /// It takes too much memory.
    #[error("compiling it takes more than {} of memory", text::bytes(*.0 as usize))]
    Memory(u64),
    /// The compiler's process could not be started, or broke.
    #[error("the compiler's process failed: {0}")]
    Process(String),
}

impl Compiler {
    /// Compiles `component` to what `Component::deserialize` takes.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        component: Arc<[u8]>,
        limits: &LoadLimits,
        code: Code,
    ) -> Result<Vec<u8>, CompileError> {
        match self {
            Self::InProcess => {
                let engine = engine.clone();
                tokio::task::spawn_blocking(move || precompile(&engine, &component))
                    .await
                    .map_err(|error| CompileError::Process(error.to_string()))?
            }
            Self::Child { program, args, urgency } => {
                let how = (code == Code::Soon).then_some(SOON).into_iter();
                let how = how.chain((*urgency == Urgency::Awaited).then_some(AWAITED));
                child(program, args, &component, limits, how).await
            }
        }
    }
}

fn precompile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    engine.precompile_component(component).map_err(|error| refused(&error))
}

fn refused(error: &wasmtime::Error) -> CompileError {
    CompileError::Refused(text::cleaned(&format!("{error:#}"), 1024))
}

async fn child(
    program: &PathBuf,
    args: &[OsString],
    component: &[u8],
    limits: &LoadLimits,
    how: impl Iterator<Item = &'static str>,
) -> Result<Vec<u8>, CompileError> {
    let broken = |error: std::io::Error| CompileError::Process(error.to_string());
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    let mut child = Command::new(program)
        .args(args)
        .arg(limits.compile_cpu.as_secs().max(1).to_string())
        .arg(limits.compile_memory.to_string())
        .args(how)
        // Each thread and each arena of the allocator takes address space, which is limited.
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompileError::Process("it has no pipes".to_owned()));
    };

    let work = async {
        let feed = async {
            // A child that ends early closes its end, and says why on stderr.
            let _fed = stdin.write_all(component).await;
            drop(stdin);
        };
        let mut artefact = Vec::new();
        let mut said = Vec::new();
        let read = async {
            let mut output = stdout.take(MAX_ARTEFACT + 1);
            output.read_to_end(&mut artefact).await
        };
        let listen = async {
            let mut stderr = stderr;
            let kept = (&mut stderr).take(MAX_SAID).read_to_end(&mut said).await;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.and(kept)
        };
        let ((), read, heard) = tokio::join!(feed, read, listen);
        read.and(heard).map_err(broken)?;
        let status = child.wait().await.map_err(broken)?;
        Ok((status, artefact, said))
    };
    let ended = tokio::time::timeout(limits.compile_wall, work).await;
    let Ok(ended) = ended else {
        // Killed and reaped here; dropping it would leave the reaping to chance.
        if let Err(error) = child.kill().await {
            tracing::warn!("a compiler's process could not be killed: {error}");
        }
        return Err(CompileError::Wall(limits.compile_wall));
    };
    let (status, artefact, said) = ended?;
    let said = text::cleaned(String::from_utf8_lossy(&said).trim(), 1024);
    if status.success() {
        if artefact.len() as u64 > MAX_ARTEFACT {
            return Err(CompileError::Process("its output has no end".to_owned()));
        }
        return Ok(artefact);
    }
    Err(why(status, said, limits))
}

fn why(status: std::process::ExitStatus, said: String, limits: &LoadLimits) -> CompileError {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::Signal;

    let signal = status.signal().unwrap_or(0);
    if said.contains("memory allocation of") || said.contains("Cannot allocate memory") {
        return CompileError::Memory(limits.compile_memory);
    }
    if signal == Signal::XCPU.as_raw() || signal == Signal::KILL.as_raw() {
        return CompileError::Cpu(limits.compile_cpu);
    }
    match (status.code(), said.is_empty()) {
        (Some(REFUSED), false) => CompileError::Refused(said),
        (_, true) => CompileError::Process(status.to_string()),
        (_, false) => CompileError::Process(format!("{status}: {said}")),
    }
}

/// Exit code of a child whose component is at fault.
const REFUSED: i32 = 65;

/// The child's whole life: limits on itself, component from stdin, compiled code to stdout.
///
/// To be called first thing by the program that [`Compiler::Child`] names, with the arguments that
/// follow the ones given there. What it has to say goes to stderr.
pub fn compile_child(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let mut number = || args.next()?.to_str()?.parse::<u64>().ok();
    let (Some(cpu), Some(memory)) = (number(), number()) else {
        return say("expected two numbers: seconds of CPU time, bytes of memory", 64);
    };
    let how: Vec<OsString> = args.collect();
    let is_told = |word: &str| how.iter().any(|told| told == word);
    let code = if is_told(SOON) { Code::Soon } else { Code::Fast };
    let urgency = if is_told(AWAITED) { Urgency::Awaited } else { Urgency::Behind };
    if let Err(error) = limit_self(cpu, memory, urgency) {
        return say(&format!("cannot limit itself: {error}"), 70);
    }
    let mut component = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut component) {
        return say(&format!("cannot read the component: {error}"), 70);
    }
    let engine = match engine::compiling(code) {
        Ok(engine) => engine,
        Err(error) => return say(&format!("cannot start the compiler: {error:#}"), 70),
    };
    match precompile(&engine, &component) {
        Err(error) => say(&error.to_string(), REFUSED as u8),
        Ok(artefact) => {
            let mut out = std::io::stdout().lock();
            match out.write_all(&artefact).and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => say(&format!("cannot hand over the code: {error}"), 70),
            }
        }
    }
}

fn say(what: &str, code: u8) -> ExitCode {
    // The parent is gone if this fails.
    let _said = writeln!(std::io::stderr(), "{what}");
    ExitCode::from(code)
}

fn limit_self(cpu: u64, memory: u64, urgency: Urgency) -> std::io::Result<()> {
    let both = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::Core, both(0))?;
    // A second between the two: the signal of the first says what happened.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu), maximum: Some(cpu + 1) })?;
    setrlimit(Resource::As, both(memory))?;
    if urgency == Urgency::Behind {
        nice(NICENESS)?;
    }
    Ok(())
}
