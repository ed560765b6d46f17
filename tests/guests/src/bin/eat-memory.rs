//! Takes and touches memory until there is none, which is a trap.
//!
//! A good host gives no more than its limit, and has the memory back after the run.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct EatMemory;

impl Plugin for EatMemory {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("eat-memory", "1.0.0", "takes all the memory there is")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        let mut eaten = Vec::new();
        loop {
            eaten.push(vec![1_u8; 1 << 20]);
            std::hint::black_box(&eaten);
        }
    }
}

wellcheck_plugin::export!(EatMemory);
