//! Prints lines of `bytes` bytes (0 unless its settings say so), `lines` of them or without end,
//! to both of its outputs in turn, and then passes.
//!
//! A good host keeps what its limits allow, of bytes and of lines, says that there was more, and
//! never makes the guest or itself wait for it; printing without end costs the CPU budget.

use serde::Deserialize;
use std::io::Write;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    bytes: usize,
    lines: Option<u64>,
}

struct FloodLogs;

impl Plugin for FloodLogs {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("flood-logs", "1.0.0", "prints without end")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let line = "x".repeat(settings.bytes) + "\n";
        let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
        let mut refused = 0_u32;
        for _ in 0..settings.lines.unwrap_or(u64::MAX) {
            // Whatever the outputs say: a flood does not mind.
            refused += u32::from(stdout.write_all(line.as_bytes()).is_err());
            refused += u32::from(stderr.write_all(line.as_bytes()).is_err());
        }
        let _ = stdout.flush();
        Ok(Report::pass("printed").detail("refused", refused.to_string()))
    }
}

wellcheck_plugin::export!(FloodLogs);
