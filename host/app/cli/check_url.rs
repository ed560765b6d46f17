//! `wellcheck healthcheck`: asks a URL, for containers that have no curl.

use std::time::Duration;

use clap::Args as ClapArgs;
use url::Url;

use super::exit::{Ended, Exit, OrExit};
use super::remote::get;
use super::setup;

/// Ask a URL whether all is well, for HEALTHCHECK lines of containers.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 for an answer from 200 to 299, 1 for anything else.\n\nExample:\n  \
HEALTHCHECK CMD [\"wellcheck\", \"healthcheck\", \"--url\", \"http://127.0.0.1:8080/readyz\"]"
)]
pub(super) struct Args {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz")]
    url: Url,
    /// Longest to wait
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = setup::duration)]
    timeout: Duration,
}

pub(super) fn run(args: &Args) -> Ended {
    let answer = get(&args.url, args.timeout).or_exit(Exit::UNHEALTHY)?;
    let status = answer.status;
    if status.is_success() {
        setup::print(&format!("healthy: answered {status}\n"))?;
        return Ok(Exit::DONE);
    }
    let body = String::from_utf8_lossy(&answer.body);
    setup::complain(&format!(
        "unhealthy: answered {status}: {}",
        body.lines().next().unwrap_or_default()
    ));
    Ok(Exit::UNHEALTHY)
}
