//! The endpoint: CPU of the server for one answer, beside a bare server with the same answer ready.

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Response;
use http::header::DATE;

use crate::Bench;
use crate::bare;
use crate::load::{CONNECTIONS, Load};
use crate::measure::{Threads, each, in_turns};
use crate::roles::{Fixed, Target};
use crate::serve::{self, Serve};
use crate::table::{self, Line, Unit};

const ROUNDS: usize = 7;

/// The aggregate of `checks` checks, asked for `requests` times a round.
pub(crate) async fn all(
    bench: &Bench,
    name: &str,
    checks: usize,
    requests: usize,
) -> Result<Vec<Line>> {
    let what = format!("GET /health, {checks} checks");
    let goal = Some(table::Target::Ratio(1.2));
    compare(bench, name, what, checks, "/health", requests, goal).await
}

/// One check of a hundred.
pub(crate) async fn one(bench: &Bench) -> Result<Vec<Line>> {
    let (path, what) = ("/health/check-42", "GET /health/{check}".to_owned());
    compare(bench, "endpoint-one", what, 100, path, 20_000, None).await
}

async fn compare(
    bench: &Bench,
    name: &str,
    what: String,
    checks: usize,
    path: &str,
    requests: usize,
    goal: Option<table::Target>,
) -> Result<Vec<Line>> {
    let target = Target::start().await?;
    let server = Serve::start(bench, &serve::checks(checks, serve::NEVER, &target)).await?;
    server.until_healthy().await?;
    let answer = bare::get(server.address, path).await?;
    let fixed = Fixed::start(&answer).await?;
    same(&answer, &bare::get(fixed.address, path).await?)?;

    let length = answer.body().len();
    let mut to_ours = Load::new(server.address, path, length).await?;
    let mut to_fixed = Load::new(fixed.address, path, length).await?;
    let ours = async || round(&mut to_ours, server.pid(), requests).await;
    let baseline = async || round(&mut to_fixed, fixed.pid(), requests).await;
    let rounds = in_turns(ROUNDS, ours, baseline).await?;
    let what = format!("{what}, {length} bytes");
    Ok(vec![Line::new(name, what, Unit::CpuMicroseconds, rounds, goal)])
}

async fn round(load: &mut Load, pid: u32, requests: usize) -> Result<f64> {
    let before = Threads::of(pid)?;
    load.send(requests / CONNECTIONS).await?;
    Ok(each(Threads::of(pid)?.since(&before), requests))
}

/// Nothing may differ but the date.
fn same(ours: &Response<Bytes>, baseline: &Response<Bytes>) -> Result<()> {
    let headers = |answer: &Response<Bytes>| {
        let mut headers = answer.headers().clone();
        headers.remove(DATE);
        headers
    };
    let (ours_head, baseline_head) = (headers(ours), headers(baseline));
    ensure!(
        ours_head == baseline_head,
        "the baseline's headers differ: {baseline_head:?}, expected {ours_head:?}"
    );
    ensure!(ours.body() == baseline.body(), "the baseline's body differs");
    Ok(())
}
