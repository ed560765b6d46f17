//! The command line: one enum, one file per subcommand.
//!
//! The only modules that write to standard output and name `anyhow`. To add a subcommand: a file
//! here with its arguments and a `run`, a line in `Command`, and its help in the snapshots.

mod agent;
mod check_url;
mod compile;
mod control;
mod exit;
mod fetching;
mod given;
mod import;
mod kinds;
mod plugin;
mod push;
mod record;
mod records;
mod remote;
mod run;
mod schema;
mod serve;
mod setup;
mod shell;
mod spread;
mod status;
mod table;
mod token;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, Parser, Subcommand};

use crate::checks::exec::launch;
use exit::Exit;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// A health-check host whose checks anyone can write.
///
/// It runs built-in checks beside WebAssembly components from a folder, and serves one aggregate
/// health endpoint in the formats that tools already understand.
#[derive(Debug, Parser)]
#[command(name = "wellcheck", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all checks again and again, and serve their health
    Serve(serve::Args),
    /// Run one plugin file or one configured check
    Run(run::Args),
    /// Look for problems in the configuration
    Validate(validate::Args),
    /// Print a JSON Schema of the configuration, for editors
    Schema(schema::Args),
    /// Make, build, test, look at and share plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Show the checks of a running server
    Status(status::Args),
    /// Run, pause and resume the checks of a running server, and see why they failed
    #[command(subcommand)]
    Check(control::Check),
    /// List, open and end the maintenance windows of a running server
    #[command(subcommand)]
    Maintenance(control::Maintenance),
    /// Push an outcome to a check of a running server that waits for such
    Push(push::Args),
    /// Ask a URL whether all is well, for HEALTHCHECK lines of containers
    Healthcheck(check_url::Args),
    /// Ask about shares, as zrok's agent does
    Agent(agent::Args),
    /// List the built-in kinds of checks, or explain one
    Kinds(kinds::Args),
    /// Make our configuration of the files of another tool
    Import(import::Args),
    /// Make a token for the routes that change something
    Token(token::Args),
    /// Print completions for a shell
    Completions(shell::Completions),
    /// Print the manual page
    Man,
    /// Compile a component from standard input; started by wellcheck itself
    #[command(name = compile::NAME, hide = true)]
    Compile(compile::Args),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Nothing else is done here: it happens at each run of such a check.
    if arguments.get(1).is_some_and(|word| word == launch::NAME) {
        return launch::launch(&arguments[2..]);
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && agent::is_asked(&arguments) {
                return agent::misused(&error).into();
            }
            // Where even this cannot be printed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() {
                exit::usage(&arguments).into()
            } else {
                Exit::DONE.into()
            };
        }
    };
    let ended = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Run(args) => run::run(args),
        Command::Validate(args) => validate::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Plugin(command) => plugin::run(command),
        Command::Status(args) => status::run(&args),
        Command::Check(command) => control::check(&command),
        Command::Maintenance(command) => control::maintenance(&command),
        Command::Push(args) => push::run(&args),
        Command::Healthcheck(args) => check_url::run(&args),
        Command::Agent(args) => agent::run(&args, Cli::command()),
        Command::Kinds(args) => kinds::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => shell::completions(&args, Cli::command()),
        Command::Man => shell::man(Cli::command()),
        Command::Compile(args) => return compile::run(args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            setup::complain(&format!("error: {:#}", failure.error));
            failure.exit.into()
        }
    }
}
