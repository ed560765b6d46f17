//! Answers with a message of 60 MB, or of as many bytes as its settings say.
//!
//! A good host refuses what is over its limit for one call, and cuts a message that is within it.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    #[serde(default = "default")]
    bytes: usize,
}

fn default() -> usize {
    60_000_000
}

struct BigResult;

impl Plugin for BigResult {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("big-result", "1.0.0", "answers at length")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("x".repeat(settings.bytes)))
    }
}

wellcheck_plugin::export!(BigResult);
