//! Checks as the server runs them, beside bare clients that ask as often.
//!
//! Both sides are processes of their own, started anew for each round; the target counts.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::measure::{Pair, Threads, each, median};
use crate::process::Process;
use crate::roles::{self, Target};
use crate::serve::{self, Serve};
use crate::table::{self, Line, Unit};
use crate::{Bench, bare};

/// Before a window: what the start set in motion comes to rest.
const SETTLE: Duration = Duration::from_millis(700);

/// How many checks, how often, and how long they are watched.
struct Plan {
    checks: usize,
    interval: Duration,
    window: Duration,
}

/// As many runs a second as [`MANY`], since a run costs less the more of them share a wake-up.
const FEW: Plan =
    Plan { checks: 100, interval: Duration::from_millis(100), window: Duration::from_secs(3) };
const FEW_ROUNDS: usize = 3;

/// The window is the interval, so that each check runs once in it.
const MANY: Plan =
    Plan { checks: 10_000, interval: Duration::from_secs(10), window: Duration::from_secs(10) };

/// What a process did in a window.
struct Window {
    cpu: Duration,
    wall: Duration,
    runs: usize,
}

impl Window {
    fn each(&self) -> f64 {
        each(self.cpu, self.runs)
    }

    /// Percent of one core.
    fn share(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// Row `http-scheduled`.
pub(crate) async fn http(bench: &Bench) -> Result<Vec<Line>> {
    let mut rounds = Pair::default();
    for _ in 0..FEW_ROUNDS {
        rounds.ours.push(ours(bench, &FEW).await?.each());
        rounds.baseline.push(baseline(&FEW).await?.each());
    }
    bench.run_cost.set(median(&rounds.ours));
    let what = format!("one run of {} checks at {:?}", FEW.checks, FEW.interval);
    Ok(vec![Line::new("http-scheduled", what, Unit::CpuMicroseconds, rounds, None)])
}

/// Row `schedule`.
pub(crate) async fn schedule(bench: &Bench) -> Result<Vec<Line>> {
    let cost = match bench.run_cost.get() {
        Some(cost) => cost,
        None => ours(bench, &FEW).await?.each(),
    };
    let window = ours(bench, &MANY).await?;
    let bare = baseline(&MANY).await?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand runs")]
    let runs = Duration::from_secs_f64(cost * 1e-6 * window.runs as f64);
    let besides = window.share() - 100.0 * runs.as_secs_f64() / window.wall.as_secs_f64();
    let checks = format!("{} checks at {:?}", MANY.checks, MANY.interval);
    let all = Pair { ours: vec![window.share()], baseline: vec![bare.share()] };
    // 5 % for ten times as many.
    let goal = Some(table::Target::AtMost(0.5));
    Ok(vec![
        Line::new("schedule/all", checks, Unit::PercentOfCore, all, None),
        Line::new(
            "schedule/besides",
            format!("the same without {} runs at {cost:.1} us", window.runs),
            Unit::PercentOfCore,
            Pair::alone(vec![besides]),
            goal,
        ),
    ])
}

async fn ours(bench: &Bench, plan: &Plan) -> Result<Window> {
    let target = Target::start().await?;
    let interval = format!("{}ms", plan.interval.as_millis());
    let server = Serve::start(bench, &serve::checks(plan.checks, &interval, &target)).await?;
    let window = watch(&server.process, &target, plan).await?;
    let health = bare::get(server.address, "/health").await?;
    if health.status() != 200 {
        eprintln!("bench: not all checks passed in time: the machine is too busy");
    }
    server.stop().await?;
    Ok(window)
}

async fn baseline(plan: &Plan) -> Result<Window> {
    let target = Target::start().await?;
    let clients = roles::clients(plan.checks, plan.interval, &target).await?;
    let window = watch(&clients, &target, plan).await?;
    clients.stop().await?;
    Ok(window)
}

/// Waits until every check has run once, and then for a window.
async fn watch(process: &Process, target: &Target, plan: &Plan) -> Result<Window> {
    target.until_count(plan.checks).await?;
    sleep(SETTLE).await;
    let (count, cpu, began) = (target.count().await?, Threads::of(process.pid())?, Instant::now());
    sleep(plan.window).await;
    let wall = began.elapsed();
    let cpu = Threads::of(process.pid())?.since(&cpu);
    Ok(Window { cpu, wall, runs: target.count().await? - count })
}
