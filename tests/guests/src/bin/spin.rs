//! Never returns from a run, and never calls the host.
//!
//! A good host ends the run at its CPU budget.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct Spin;

impl Plugin for Spin {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("spin", "1.0.0", "never returns from a run")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        loop {
            std::hint::black_box(());
        }
    }
}

wellcheck_plugin::export!(Spin);
