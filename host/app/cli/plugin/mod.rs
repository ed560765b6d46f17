//! `wellcheck plugin`: what authors and users of plugins do with them, one file per subcommand.

mod bench;
mod build;
mod inspect;
mod lock;
mod new;
mod pull;
mod push;
mod replay;
mod test;

use clap::Subcommand;

use super::exit::Ended;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a folder with the source of a new plugin
    New(new::Args),
    /// Build a plugin from the source in a folder
    Build(build::Args),
    /// Run a plugin's tests, each in a world of its own
    Test(test::Args),
    /// Show what a plugin says of itself, what it imports, and what it costs
    Inspect(inspect::Args),
    /// Run a plugin again in the world that a record is of
    Replay(replay::Args),
    /// Measure what a fresh instance of a plugin costs
    Bench(bench::Args),
    /// Push a plugin to a registry
    Push(push::Args),
    /// Fetch a plugin into the plugins folder
    Pull(pull::Args),
    /// Write plugins.lock: what each plugin's source leads to now
    Lock(lock::Args),
}

pub(super) fn run(command: Command) -> Ended {
    match command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Push(args) => push::run(&args),
        Command::Pull(args) => pull::run(&args),
        Command::Lock(args) => lock::run(&args),
    }
}
