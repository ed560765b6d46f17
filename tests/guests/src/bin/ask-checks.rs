//! Asks for the checks that `names` in its settings lists, and tells in `details` what it learned.
//!
//! A good host answers for the granted ones; any other name makes the run a fault with the reason
//! `denied`, whether there is such a check or not.

use serde::Deserialize;
use wellcheck_plugin::checks::{self, Health};
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    names: Vec<String>,
}

struct AskChecks;

impl Plugin for AskChecks {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("ask-checks", "1.0.0", "asks for others").want(
            "checks",
            "*",
            "to ask for all of them",
        )
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut report = Report::pass("asked");
        for name in settings.names {
            let told = match checks::latest(&name) {
                Err(error) => format!("error: {error}"),
                Ok(standing) => format!(
                    "{}, reason {}, ran {}, {} observations: {}",
                    word(standing.state),
                    standing.reason.as_deref().unwrap_or("none"),
                    standing.age().map_or("never", |_| "before"),
                    standing.observations.len(),
                    standing.message,
                ),
            };
            report = report.detail(name, told);
        }
        Ok(report)
    }
}

wellcheck_plugin::export!(AskChecks);

fn word(state: Health) -> &'static str {
    match state {
        Health::Pass => "pass",
        Health::Warn => "warn",
        Health::Fail => "fail",
        Health::Unknown => "unknown",
    }
}
