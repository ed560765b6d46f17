//! Prints and reports what would fool whoever reads a log: colours, cleared screens, forged lines,
//! carriage returns, links, reversed text, bytes that are no text.
//!
//! A good host shows each on one line of its own with every control character escaped, and no
//! line that seems to be its own.

use serde_json::Value;
use std::io::Write;
use wellcheck_plugin::{Context, Description, Plugin, Report, Status, Stop};

const TEXTS: &[&str] = &[
    "\u{1b}[2J\u{1b}[31mcleared and red",
    "harmless\r\nlevel=error msg=\"forged line\"",
    "hidden\rshown instead",
    "{\"level\":\"ERROR\",\"message\":\"forged record\"}",
    "\u{1b}]8;;http://127.0.0.1/\u{7}a link\u{1b}]8;;\u{7}",
    "\u{1b}]0;title of the window\u{7}",
    "\u{9b}31mred by one character",
    "\u{202e}desrever",
    "\u{2028}line separator\u{85}next line\u{0b}tab\u{0c}feed",
    "bell\u{7} backspace\u{8}\u{8}\u{8} nul\0 delete\u{7f}",
    "%s %n ${jndi:ldap://127.0.0.1/} {} {0}",
];

struct InjectLogs;

impl Plugin for InjectLogs {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("inject-logs", "1.0.0", "prints to deceive")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        let mut report = Report::pass(TEXTS.join("\n"));
        for (n, text) in TEXTS.iter().enumerate() {
            println!("{text}");
            eprintln!("{text}");
            report = report
                .part(format!("part-{n}"), Status::Pass, *text)
                .detail(format!("detail-{n}"), *text);
        }
        let _ = std::io::stdout().write_all(b"no text: \xff\xfe\xc3\x28\n");
        Ok(report)
    }
}

wellcheck_plugin::export!(InjectLogs);
