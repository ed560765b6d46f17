//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod build;
mod inspect;
mod new;
mod test;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build a plugin from the source in a folder
    Build(build::Args),
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
    /// Make a folder with the source of a new plugin
    New(new::Args),
    /// Run a plugin's tests, each in a world of its own
    Test(test::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::New(args) => new::run(&args),
        Command::Test(args) => test::run(&args),
    }
}
