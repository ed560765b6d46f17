//! Counts its runs in a static.
//!
//! A good host gives every run a fresh instance, so it always says 1.

use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

static RUNS: AtomicU32 = AtomicU32::new(0);

struct LeakBetweenRuns;

impl Plugin for LeakBetweenRuns {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("leak-between-runs", "1.0.0", "counts its runs")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Report::pass(format!("run {runs} of this instance")).observe(("runs", f64::from(runs))))
    }
}

wellcheck_plugin::export!(LeakBetweenRuns);
