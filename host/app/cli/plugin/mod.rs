//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod inspect;
mod lock;
mod pull;
mod push;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
    /// Push a plugin to a registry
    Push(push::Args),
    /// Fetch a plugin into the plugins folder
    Pull(pull::Args),
    /// Write plugins.lock: what each plugin's source leads to now
    Lock(lock::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Pull(args) => pull::run(&args),
        Command::Lock(args) => lock::run(&args),
    }
}
