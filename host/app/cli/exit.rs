//! What the process ends with.

use std::ffi::OsString;
use std::process::ExitCode;

/// Shown below every command's help.
pub(super) const HELP: &str = "Exit codes:
  run                     0 pass, 1 warn, 2 fail, 3 unknown (also for wrong arguments)
  plugin replay           likewise; with --expect-same: 0 the recorded outcome, 1 another one
  healthcheck             0 healthy, 1 anything else
  agent share             0 healthy, 1 anything else (also for wrong arguments)
  plugin test             1 a test failed; else as everything else
  everything else         0 done, 64 wrong arguments, 65 bad configuration or plugin,
                          69 cannot start (port or folder), 70 a defect";

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit(pub(super) u8);

impl Exit {
    pub(super) const DONE: Self = Self(0);
    /// `healthcheck`: not healthy.
    pub(super) const UNHEALTHY: Self = Self(1);
    /// `plugin test`: a test failed.
    pub(super) const FAILED: Self = Self(1);
    /// `run`: a fault, or wrong arguments.
    pub(super) const UNKNOWN: Self = Self(3);
    pub(super) const USAGE: Self = Self(64);
    pub(super) const DATA: Self = Self(65);
    pub(super) const UNAVAILABLE: Self = Self(69);
    pub(super) const BUG: Self = Self(70);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// An error that ends the process, with its code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: anyhow::Error,
    pub(super) exit: Exit,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, exit: Exit::BUG }
    }
}

/// How a subcommand ends.
pub(super) type Ended = Result<Exit, Failure>;

/// Gives errors their code.
pub(super) trait OrExit<T> {
    /// With this code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { error: error.into(), exit })
    }
}

/// The code for wrong arguments: commands that run checks answer as monitoring plugins do.
pub(super) fn usage(arguments: &[OsString]) -> Exit {
    match arguments.get(1).and_then(|command| command.to_str()) {
        Some("run") => Exit::UNKNOWN,
        Some("healthcheck" | "agent") => Exit::UNHEALTHY,
        _ => Exit::USAGE,
    }
}
