//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod inspect;
mod test;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
    /// Run a plugin's tests, each in a world of its own
    Test(test::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Test(args) => test::run(&args),
    }
}
