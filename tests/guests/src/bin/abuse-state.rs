//! Keeps more than it may; `op` in its settings says how: `value` (one value of `bytes`, a
//! megabyte less a kilobyte unless given), `keys` (ten thousand small ones), `huge-key`,
//! `empty-key`, `grow` (one value, doubled until it is refused), or `churn` (sets and deletes
//! without end). It tells in `details` what the host said.
//!
//! A good host refuses what does not fit and changes nothing then; what fits is kept, and what
//! never ends costs the CPU budget. Keys count as well as values.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop, state};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    Value,
    Keys,
    HugeKey,
    EmptyKey,
    Grow,
    Churn,
}

#[derive(Deserialize)]
struct Settings {
    op: Op,
    #[serde(default = "nearly_a_megabyte")]
    bytes: usize,
}

/// What one call to the host can carry.
fn nearly_a_megabyte() -> usize {
    (1 << 20) - 1024
}

struct AbuseState;

impl Plugin for AbuseState {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("abuse-state", "1.0.0", "keeps too much").want(
            "state",
            "1KiB",
            "to keep more than that",
        )
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let report = Report::pass("tried");
        Ok(match settings.op {
            Op::Value => report.detail("set", told(state::set("v", vec![7; settings.bytes]))),
            Op::HugeKey => report.detail("set", told(state::set(&"k".repeat(settings.bytes), "v"))),
            Op::EmptyKey => report
                .detail("set", told(state::set("", "v")))
                .detail("get", told(state::get("")))
                .detail("delete", told(state::delete(""))),
            Op::Keys => {
                let kept = (0..10_000).take_while(|n| state::set(&format!("k{n}"), "").is_ok());
                let kept = kept.count();
                report.detail("kept", kept.to_string()).observe(("kept", kept as f64))
            }
            Op::Grow => {
                let mut bytes = 1;
                while bytes < settings.bytes && state::set("v", vec![7; bytes]).is_ok() {
                    bytes *= 2;
                }
                let left = state::get("v")?.map_or(0, |value| value.len());
                report.detail("refused", bytes.to_string()).detail("left", left.to_string())
            }
            Op::Churn => loop {
                // Refused or not: a flood does not mind.
                let _ = state::set("v", [7; 512]);
                let _ = state::delete("v");
            },
        })
    }
}

fn told<T>(result: Result<T, state::Error>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |_| "worked".to_owned())
}

wellcheck_plugin::export!(AbuseState);
