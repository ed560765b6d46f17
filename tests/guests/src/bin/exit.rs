//! Leaves with exit code 0, which is no answer.
//!
//! A good host takes that for a trap, not for a pass.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct Exit;

impl Plugin for Exit {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("exit", "1.0.0", "exits instead of answering")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        std::process::exit(0)
    }
}

wellcheck_plugin::export!(Exit);
