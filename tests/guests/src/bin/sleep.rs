//! Sleeps for as long as its settings say, then passes.
//!
//! A good host ends the run at its wall time, and begins no other of this check meanwhile.

use serde::Deserialize;
use std::time::Duration;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    ms: u64,
}

struct Sleep;

impl Plugin for Sleep {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("sleep", "1.0.0", "sleeps, then passes")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        std::thread::sleep(Duration::from_millis(settings.ms));
        Ok(Report::pass(format!("slept {} ms", settings.ms)))
    }
}

wellcheck_plugin::export!(Sleep);
