//! Several guests in one server, a row each: what each of them comes to.

use serde_json::Value;

use super::beside::idle;
use crate::support::host::{Host, host};

/// A guest, and what comes of its first run.
pub(super) struct Row {
    plugin: &'static str,
    settings: String,
    grants: String,
    limits: &'static str,
    expect: Expect,
}

/// What comes of it; the texts are parts of what is shown.
pub(super) enum Expect {
    /// A fault: its reason and its message.
    Fault(&'static str, &'static str),
    /// It passes, and nothing was left out.
    Pass,
    /// It passes, and a flag says what was left out.
    Flag(&'static str),
    /// It passes, and the last line of its log says what was left out.
    Log(&'static str),
    /// It is not loaded.
    Refused(&'static str),
}

/// A guest with settings: the inside of `settings = { ... }`.
pub(super) fn row(plugin: &'static str, settings: &str, expect: Expect) -> Row {
    let settings = settings.to_owned();
    Row { plugin, settings, grants: String::new(), limits: "", expect }
}

impl Row {
    /// A line of `[check.limits]`.
    pub(super) fn limit(mut self, limits: &'static str) -> Self {
        self.limits = limits;
        self
    }

    /// A line of `[check.grants]`.
    pub(super) fn grant(mut self, grants: &str) -> Self {
        self.grants = grants.to_owned();
        self
    }

    fn matches(&self, check: &Value) -> bool {
        let outcome = &check["outcome"];
        let says = |text: &Value, part: &str| text.as_str().is_some_and(|t| t.contains(part));
        let any = |list: &Value, part: &str| {
            list.as_array().is_some_and(|list| list.iter().any(|text| says(text, part)))
        };
        match self.expect {
            Expect::Fault(reason, part) => {
                outcome["fault"] == true
                    && check["state"] == "unknown"
                    && check["reason"] == reason
                    && says(&check["message"], part)
            }
            Expect::Pass => check["state"] == "pass" && outcome["flags"].is_null(),
            Expect::Flag(part) => check["state"] == "pass" && any(&outcome["flags"], part),
            Expect::Log(part) => {
                let last = outcome["log"].as_array().and_then(|log| log.last());
                check["state"] == "pass" && last.is_some_and(|line| says(line, part))
            }
            Expect::Refused(part) => {
                check["state"] == "unknown"
                    && check["reason"] == "load"
                    && says(&check["message"], part)
            }
        }
    }
}

/// Runs every row once, as the checks `row-0`, `row-1` and so on, and looks at what came of it; all
/// that is wrong is said at once. `rest` is further configuration.
#[track_caller]
pub(super) fn all(rest: &str, rows: &[Row]) -> Host {
    let mut builder = host();
    let mut config = rest.to_owned();
    for (n, Row { plugin, settings, grants, limits, .. }) in rows.iter().enumerate() {
        builder = builder.guest(plugin);
        let check = format!(
            "\n[[check]]\nname = \"row-{n}\"\nplugin = \"{plugin}\"\ninterval = \"30s\"\n\
             timeout = \"30s\"\nsettings = {{ {settings} }}\n\
             [check.grants]\n{grants}\n[check.limits]\n{limits}\n"
        );
        config.push_str(&check);
    }
    let host = builder.config(&config).start();
    let mut wrong = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let check = host.until(&format!("row-{n}"), "run or refused", |check| {
            check["outcome"].is_object() || check["reason"] == "load"
        });
        if !row.matches(&check) {
            let Row { plugin, settings, limits, .. } = row;
            let (message, outcome) = (&check["message"], check["outcome"].to_string());
            let outcome: String = outcome.chars().take(600).collect();
            wrong.push(format!("{plugin} {{ {settings} }} {limits}: {message} {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    idle(&host);
    host
}
