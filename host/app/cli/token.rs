//! `wellcheck token`: makes a token, and the lines that let it in.

use clap::Args as ClapArgs;

use super::exit::{Ended, Exit, OrExit};
use super::setup;
use crate::digest::{hex, random_word, sha256};

/// Make a token for the routes that change something.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The token itself goes to standard error, once; nothing keeps it. The lines for the \
configuration go to standard output."
)]
pub(super) struct Args {
    /// Who it is for
    #[arg(default_value = "admin")]
    name: String,
    /// What it may do
    #[arg(long, default_value = "admin", value_parser = ["view", "operate", "admin"])]
    role: String,
}

pub(super) fn run(args: &Args) -> Ended {
    let word = random_word::<24>()
        .ok_or_else(|| anyhow::anyhow!("the system gives no random numbers"))
        .or_exit(Exit::UNAVAILABLE)?;
    let token = format!("wc_{word}");
    let name = serde_json::Value::from(args.name.as_str());
    let hash = hex(&sha256(token.as_bytes()));
    setup::complain(&format!("token (shown this once): {token}"));
    setup::print(&format!(
        "[[token]]\nname = {name}\nhash = \"sha256:{hash}\"\nrole = \"{}\"\n",
        args.role
    ))?;
    Ok(Exit::DONE)
}
