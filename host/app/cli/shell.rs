//! `wellcheck completions` and `wellcheck man`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::{Ended, Exit, OrExit};
use super::setup;

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wellcheck completions bash > /usr/share/bash-completion/completions/wellcheck\n  \
wellcheck completions zsh > ~/.zfunc/_wellcheck"
)]
pub(super) struct Completions {
    /// Which one
    shell: Shell,
}

pub(super) fn completions(args: &Completions, mut command: Command) -> Ended {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "wellcheck", &mut text);
    setup::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::DONE)
}

/// The manual page, with every subcommand's.
pub(super) fn man(command: Command) -> Ended {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text).or_exit(Exit::BUG)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let man =
            clap_mangen::Man::new(sub.clone().bin_name(format!("wellcheck {}", sub.get_name())));
        man.render_synopsis_section(&mut text).or_exit(Exit::BUG)?;
        man.render_description_section(&mut text).or_exit(Exit::BUG)?;
        man.render_options_section(&mut text).or_exit(Exit::BUG)?;
    }
    setup::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::DONE)
}
