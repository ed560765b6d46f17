//! Reports observations under names that no run used before, 60 a run or as many as `count` in its
//! settings says; with `labels = true` one name with ever new labels.
//!
//! A good host bounds how many names a check has over its life, drops what is beyond, and says so.

use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};
use wellcheck_plugin::{Context, Description, Observation, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    #[serde(default = "sixty")]
    count: u32,
    #[serde(default)]
    labels: bool,
}

fn sixty() -> u32 {
    60
}

struct NameChurn;

impl Plugin for NameChurn {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("name-churn", "1.0.0", "never uses a name twice")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let mut report = Report::pass("measured");
        for n in 0..settings.count {
            let name = format!("n{now}-{n}");
            report = report.observe(if settings.labels {
                Observation::new("same", f64::from(n)).label("name", name)
            } else {
                Observation::new(name, f64::from(n))
            });
        }
        Ok(report)
    }
}

wellcheck_plugin::export!(NameChurn);
