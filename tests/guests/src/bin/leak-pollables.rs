//! Subscribes to the clock again and again and lets go of no handle; with `count` in its settings
//! that many times, and then passes.
//!
//! A good host ends the run at its limit of handles. What a run that ended has kept is gone with
//! its instance.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::clocks::monotonic_clock;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    count: Option<u64>,
}

struct LeakPollables;

impl Plugin for LeakPollables {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("leak-pollables", "1.0.0", "never drops a handle")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let count = settings.count.unwrap_or(u64::MAX);
        for _ in 0..count {
            std::mem::forget(monotonic_clock::subscribe_duration(3_600_000_000_000));
        }
        Ok(Report::pass(format!("{count} handles are left behind")))
    }
}

wellcheck_plugin::export!(LeakPollables);
