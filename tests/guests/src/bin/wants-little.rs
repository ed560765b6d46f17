//! The first version of a plugin that `wants-more` replaces: wants one API, and does without.
//!
//! A good host runs it, whatever it wants; what it wants grants nothing.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct WantsLittle;

impl Plugin for WantsLittle {
    type Settings = Value;

    fn describe() -> Description {
        guests::modest("1.0.0")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("content"))
    }
}

wellcheck_plugin::export!(WantsLittle);
