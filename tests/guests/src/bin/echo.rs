//! Answers what its settings say, and tells in `details` what it was told of the run.
//!
//! A good host believes it.

use serde::Deserialize;
use std::collections::BTreeMap;
use wellcheck_plugin::{
    Context, Description, Fault, Observation, Plugin, Reason, Report, Status, Stop,
};

struct Echo;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    status: String,
    message: String,
    observations: Vec<Number>,
    parts: Vec<Part>,
    details: BTreeMap<String, String>,
    /// Answers a fault with this reason instead of a report.
    fault: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    name: String,
    value: f64,
    unit: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    warn: Option<String>,
    fail: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    name: String,
    status: String,
    #[serde(default)]
    message: String,
}

impl Plugin for Echo {
    type Settings = serde_json::Value;

    fn describe() -> Description {
        let mut description = Description::new("echo", "1.2.3", "answers what its settings say")
            .schema(
                r#"{
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "properties": { "status": { "enum": ["pass", "warn", "fail"] } }
                }"#,
            )
            .want("http", "http://127.0.0.1:1", "to show what a want looks like");
        description.details.push(("homepage".to_owned(), "http://localhost/echo".to_owned()));
        description
    }

    fn run(value: serde_json::Value, context: &Context) -> Result<Report, Stop> {
        let text = value.to_string();
        let settings: Settings = serde_json::from_value(value)
            .map_err(|error| Fault::bad_settings(error.to_string()))?;
        if let Some(reason) = settings.fault {
            let reason = match reason.as_str() {
                "bad-settings" => Reason::BadSettings,
                "inconclusive" => Reason::Inconclusive,
                _ => Reason::Internal,
            };
            return Err(Fault { reason, message: settings.message }.into());
        }
        let mut report = Report::new(status(&settings.status), settings.message)
            .detail("check", context.check())
            .detail("settings", text)
            .detail("remaining-ms", context.remaining().as_millis().to_string())
            .detail("failures-in-a-row", context.failures_in_a_row().to_string())
            .detail("traceparent", context.traceparent().unwrap_or_else(|| "none".to_owned()));
        report.details.extend(settings.details);
        for Number { name, value, unit, labels, warn, fail } in settings.observations {
            let labels = labels.into_iter().collect();
            report.observations.push(Observation { name, value, unit, labels, warn, fail });
        }
        for part in settings.parts {
            report = report.part(part.name, status(&part.status), part.message);
        }
        Ok(report)
    }
}

fn status(word: &str) -> Status {
    match word {
        "fail" => Status::Fail,
        "warn" => Status::Warn,
        _ => Status::Pass,
    }
}

wellcheck_plugin::export!(Echo);
