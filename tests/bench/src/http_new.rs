//! One HTTP request over a new connection: the client of the built-in checks, beside bare hyper.
//!
//! Both run in this process, on one thread, a few at a time; the target is another process.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use tokio::time::Instant;
use url::Url;
use wellcheck_net::http::{Client, Redirects, Request};
use wellcheck_net::{Resolver, Tls};

use crate::bare;
use crate::measure::{each, in_turns, own_cpu, spread};
use crate::roles::Target;
use crate::table::{self, Line, Unit};

const ROUNDS: usize = 7;
const REQUESTS: usize = 4_000;
const AT_ONCE: usize = 8;

/// See the module.
pub(crate) async fn run() -> Result<Vec<Line>> {
    let target = Target::start().await?;
    let client = Client::new(Resolver::from_system());
    let requests =
        (0..REQUESTS).map(|index| request(&target, index)).collect::<Result<Vec<_>>>()?;

    let ours = async || {
        let before = own_cpu();
        let fetch = |index: usize| {
            let (client, request) = (&client, &requests[index]);
            async move {
                let deadline = Instant::now() + Duration::from_secs(10);
                let exchange = client.fetch(request, deadline).await;
                let answer = exchange.result.context("our client")?;
                ensure!(answer.status == 200, "our client got {}", answer.status);
                Ok(())
            }
        };
        spread(AT_ONCE, REQUESTS, fetch).await?;
        Ok(each(own_cpu() - before, REQUESTS))
    };
    let baseline = async || {
        let before = own_cpu();
        let fetch = |index: usize| {
            let address = target.address(index);
            async move {
                let answer = bare::get(address, "/health").await?;
                ensure!(answer.status() == 200, "the bare client got {}", answer.status());
                Ok(())
            }
        };
        spread(AT_ONCE, REQUESTS, fetch).await?;
        Ok(each(own_cpu() - before, REQUESTS))
    };
    let rounds = in_turns(ROUNDS, ours, baseline).await?;
    let (what, goal) = ("one request, new connection", Some(table::Target::Ratio(1.5)));
    Ok(vec![Line::new("http-new", what, Unit::CpuMicroseconds, rounds, goal)])
}

/// As the kind `http` makes it of a URL alone.
fn request(target: &Target, index: usize) -> Result<Request> {
    let url = format!("http://{}/health", target.address(index));
    let url = Url::parse(&url).context("the target's address makes no URL")?;
    let mut request = Request::new(Method::GET, url, Tls::default());
    request.redirects = Redirects::Follow(10);
    request.body_limit = 256 * 1024;
    Ok(request)
}
