//! Waits in the host for what never comes: the end of time, or with `what = "year"` the next year.
//! With `what = "nothing"` it waits for an empty list.
//!
//! A good host ends the run at its wall time, without any help of the guest; an empty list traps.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::clocks::monotonic_clock;
use wellcheck_plugin::bindings::wasi::io::poll;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    #[default]
    Never,
    Year,
    Nothing,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    what: What,
}

struct PollForever;

impl Plugin for PollForever {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("poll-forever", "1.0.0", "waits for ever")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let never = match settings.what {
            What::Never => monotonic_clock::subscribe_instant(u64::MAX),
            What::Year => monotonic_clock::subscribe_duration(365 * 24 * 3600 * 1_000_000_000),
            What::Nothing => {
                poll::poll(&[]);
                return Ok(Report::pass("nothing was ready"));
            }
        };
        poll::poll(&[&never]);
        Ok(Report::pass("the end of time has come"))
    }
}

wellcheck_plugin::export!(PollForever);
