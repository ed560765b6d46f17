//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod inspect;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::Inspect(args) => inspect::run(&args),
    }
}
