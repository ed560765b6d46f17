//! `wellcheck healthcheck`: asks a URL, for containers that have no curl.

use std::time::Duration;

use anyhow::Context;
use clap::Args as ClapArgs;
use http::Method;
use tokio::time::Instant;
use url::Url;
use wellcheck_core::units::parse_duration;
use wellcheck_net::http::{Answer, Client, Request};
use wellcheck_net::{Resolver, Tls};

use super::exit::{Ended, Exit, OrExit};
use super::setup;
use crate::sources::without_credentials;

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
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = |text: &str| parse_duration(text).ok_or("expected a duration with a unit, such as 5s"))]
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

/// Asks a URL, once.
pub(super) fn get(url: &Url, timeout: Duration) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(Resolver::from_system());
    let mut request = Request::new(Method::GET, url.clone(), Tls::default());
    request.body_limit = 64 * 1024 * 1024;
    let exchange = runtime.block_on(client.fetch(&request, Instant::now() + timeout));
    exchange
        .result
        .map_err(|failure| anyhow::anyhow!("{failure}"))
        .with_context(|| format!("no answer from {}", without_credentials(url.as_str())))
}
