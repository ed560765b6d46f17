//! The plugin `{{name}}`: holds a number that a URL answers with against a limit.

use schemars::JsonSchema;
use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop, http};

struct Checker;

/// The settings; the host checks them against the schema that is made of this type.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// Answers with a number.
    #[schemars(regex(pattern = "^https?://"))]
    url: String,
    /// A number above it is a failure.
    #[serde(default = "hundred")]
    limit: f64,
}

fn hundred() -> f64 {
    100.0
}

impl Plugin for Checker {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "holds a number that a URL answers with against a limit";
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
            .settings::<Settings>()
            .want("http", "the origin of `url`", "to get the number")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let answer = http::get(settings.url)?.expect_status(200)?;
        let text: String = answer.text().trim().chars().take(40).collect();
        let value: f64 = text
            .parse()
            .map_err(|_| Stop::fail(format!("found `{text}`, expected a number")))?;
        let limit = settings.limit;
        let report = if value > limit {
            Report::fail(format!("{value} is above {limit}"))
        } else {
            Report::pass(format!("{value} is within {limit}"))
        };
        Ok(report.observe(("value", value)))
    }
}

wellcheck_plugin::export!(Checker);
