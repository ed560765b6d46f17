//! Calls itself until a stack is exhausted, which is a trap.
//!
//! A good host ends the run with a trap, and keeps its own stack.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct DeepRecursion;

impl Plugin for DeepRecursion {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("deep-recursion", "1.0.0", "recurses for ever")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass(descend(0).to_string()))
    }
}

wellcheck_plugin::export!(DeepRecursion);

fn descend(depth: u64) -> u64 {
    // What is kept until after the call keeps the compiler from making a loop of it.
    let kept = std::hint::black_box([depth; 8]);
    if depth == u64::MAX { 0 } else { descend(depth + 1) + std::hint::black_box(kept)[3] }
}
