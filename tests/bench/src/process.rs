//! A process that we started: its first line says that it is there, and dropping it ends it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

/// Longest until the first line.
const START: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Process {
    child: Child,
    /// Helpers end when this does, also when this program was killed.
    _stdin: Option<ChildStdin>,
    _stdout: BufReader<ChildStdout>,
    pid: u32,
    /// When it was started.
    pub(crate) started: Instant,
    /// What it said first.
    pub(crate) first_line: String,
    /// How long that took.
    pub(crate) until_first_line: Duration,
}

impl Process {
    /// Starts it and waits for its first line.
    pub(crate) async fn start(command: &mut Command) -> Result<Self> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start `{program}`"))?;
        let pid = child.id().context("the process ended at once")?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().context("standard output is ours")?);
        let mut first_line = String::new();
        timeout(START, stdout.read_line(&mut first_line))
            .await
            .with_context(|| format!("`{program}` said nothing within {START:?}"))?
            .with_context(|| format!("reading from `{program}`"))?;
        let until_first_line = started.elapsed();
        if first_line.is_empty() {
            bail!("`{program}` ended: {}", child.wait().await.context("waiting for it")?);
        }
        Ok(Self {
            child,
            _stdin: stdin,
            _stdout: stdout,
            pid,
            started,
            first_line: first_line.trim_end().to_owned(),
            until_first_line,
        })
    }

    /// Its number.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("ending a process")
    }
}
