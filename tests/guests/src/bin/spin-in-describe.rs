//! Never returns from `describe`, so that it cannot be loaded.
//!
//! A good host gives up on the file after its limit, and starts without it.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct SpinInDescribe;

impl Plugin for SpinInDescribe {
    type Settings = Value;

    fn describe() -> Description {
        loop {
            std::hint::black_box(());
        }
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("never seen"))
    }
}

wellcheck_plugin::export!(SpinInDescribe);
