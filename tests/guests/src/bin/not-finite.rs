//! Reports one number and three that are none.
//!
//! A good host drops the three and says so.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct NotFinite;

impl Plugin for NotFinite {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("not-finite", "1.0.0", "observes NaN and infinities")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("observed")
            .observe(("one", 1.0))
            .observe(("nan", f64::NAN))
            .observe(("infinite", f64::INFINITY))
            .observe(("negative-infinite", f64::NEG_INFINITY)))
    }
}

wellcheck_plugin::export!(NotFinite);
