//! Waits in the host in `describe` for what never comes, so that it cannot be loaded.
//!
//! A good host gives up on the file after its limit for that, and starts without it.

use serde_json::Value;
use wellcheck_plugin::bindings::wasi::clocks::monotonic_clock;
use wellcheck_plugin::bindings::wasi::io::poll;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct HangInDescribe;

impl Plugin for HangInDescribe {
    type Settings = Value;

    fn describe() -> Description {
        poll::poll(&[&monotonic_clock::subscribe_instant(u64::MAX)]);
        Description::new("hang-in-describe", "1.0.0", "is never heard")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("never seen"))
    }
}

wellcheck_plugin::export!(HangInDescribe);
