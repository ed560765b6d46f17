//! The hidden subcommand in whose process plugins are compiled, under limits that it sets itself.

use std::ffi::OsString;
use std::process::ExitCode;

/// The word on the command line.
pub(super) const NAME: &str = "compile-component";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the sandbox hands over.
    limits: Vec<OsString>,
}

pub(super) fn run(args: Args) -> ExitCode {
    wellcheck_wasm::compile_child(args.limits)
}
