//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod bench;
mod inspect;
mod replay;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
    /// Run a plugin again in the world that a record is of
    Replay(replay::Args),
    /// Measure what a fresh instance of a plugin costs
    Bench(bench::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
