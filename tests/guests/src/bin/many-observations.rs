//! Reports ten thousand numbers, or as many as its settings say.
//!
//! A good host refuses what is over its limit for one call; within it, it keeps the first and says
//! so.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    #[serde(default = "default")]
    count: u32,
}

fn default() -> u32 {
    10_000
}

struct ManyObservations;

impl Plugin for ManyObservations {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("many-observations", "1.0.0", "observes too much")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let report = Report::pass(format!("{} observations", settings.count));
        Ok((0..settings.count)
            .fold(report, |report, n| report.observe((format!("n{n}"), f64::from(n)))))
    }
}

wellcheck_plugin::export!(ManyObservations);
