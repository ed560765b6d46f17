//! Memory of the server: with nothing to do, and for each check that has run.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::measure::{Pair, resident};
use crate::roles::Target;
use crate::serve::{self, Serve};
use crate::table::{Line, Unit};
use crate::{Bench, bare};

const CHECKS: usize = 10_000;

/// What a start or a burst of runs set in motion comes to rest.
const SETTLE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) async fn run(bench: &Bench) -> Result<Vec<Line>> {
    let empty = Serve::start(bench, "").await?;
    sleep(SETTLE).await;
    let nothing = resident(empty.pid())?;
    empty.stop().await?;

    let target = Target::start().await?;
    let server = Serve::start(bench, &serve::checks(CHECKS, serve::NEVER, &target)).await?;
    target.until_count(CHECKS).await?;
    sleep(SETTLE).await;
    let all = resident(server.pid())?;
    // Asked for only now: its body would count.
    let health = bare::get(server.address, "/health").await?;
    ensure!(health.status() == 200, "not all checks passed");
    server.stop().await?;

    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let each = (all - nothing) / CHECKS as f64;
    let mib = |bytes: f64| Pair::alone(vec![bytes / 1024.0 / 1024.0]);
    let what = format!("RSS for each of {CHECKS} checks");
    Ok(vec![
        Line::new("memory/empty", "RSS without checks", Unit::Mebibytes, mib(nothing), None),
        Line::new(
            "memory/all",
            format!("RSS with {CHECKS} checks"),
            Unit::Mebibytes,
            mib(all),
            None,
        ),
        Line::new("memory/check", what, Unit::Bytes, Pair::alone(vec![each]), None),
    ])
}
