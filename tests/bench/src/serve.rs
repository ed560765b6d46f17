//! The real `wellcheck serve`, on a free port, with a configuration of the row's making.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::Bench;
use crate::bare;
use crate::process::Process;
use crate::roles::Target;

/// Longest until every check has run.
const READY: Duration = Duration::from_mins(1);

/// An interval at which hardly any check of a thousand runs within a minute: the longest there is.
pub(crate) const NEVER: &str = "7d";

/// Checks of the kind `http`, spread over the addresses of a target.
pub(crate) fn checks(count: usize, interval: &str, target: &Target) -> String {
    let mut text = format!("[defaults]\ninterval = \"{interval}\"\n");
    for index in 0..count {
        let address = target.address(index);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[check]]\nname = \"check-{index}\"\nkind = \"http\"\nurl = \"http://{address}/health\"\n"
        );
    }
    text
}

/// A running server.
pub(crate) struct Serve {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
}

impl Serve {
    /// Starts with a configuration and no plugins.
    pub(crate) async fn start(bench: &Bench, config: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let path = folder.path().join("wellcheck.toml");
        std::fs::write(&path, config).context("writing the configuration")?;
        let (plugins, cache) = (folder.path().join("plugins"), folder.path().join("cache"));
        Self::start_in(bench, folder, Some(&path), &plugins, &cache).await
    }

    /// Starts with what is in these places.
    pub(crate) async fn start_in(
        bench: &Bench,
        folder: TempDir,
        config: Option<&Path>,
        plugins: &Path,
        cache: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(&bench.host);
        command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--log", "error"]).arg("--plugins").arg(plugins).arg("--cache").arg(cache);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let process = Process::start(&mut command).await?;
        let address = process
            .first_line
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("no address in `{}`", process.first_line))?;
        Ok(Self { process, address, _folder: folder })
    }

    /// Waits until all is well, which is after every check has run.
    pub(crate) async fn until_healthy(&self) -> Result<()> {
        let until = Instant::now() + READY;
        loop {
            let answer = bare::get(self.address, "/health").await?;
            if answer.status() == 200 {
                return Ok(());
            }
            if Instant::now() > until {
                let text = bare::get(self.address, "/health?format=text").await?;
                let text = String::from_utf8_lossy(text.body());
                let first: Vec<&str> = text.lines().take(5).collect();
                bail!("the checks are not well after {READY:?}: {}", first.join(" / "));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its number.
    pub(crate) const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}
