//! Panics, which a guest does by a message on stderr and a trap.
//!
//! A good host makes a fault of it, with the message.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct Trap;

impl Plugin for Trap {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("trap", "1.0.0", "panics")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        panic!("the guest panics on purpose")
    }
}

wellcheck_plugin::export!(Trap);
