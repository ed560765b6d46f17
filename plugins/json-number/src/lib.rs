//! The plugin `json-number`: holds a number of a JSON document against bounds.
//!
//! For what an application says of itself: the depth of a queue, the age of a backup, free space.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use wellcheck_plugin::http::Request;
use wellcheck_plugin::{Context, Description, Observation, Plugin, Range, Report, Stop, judge};

struct JsonNumber;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What to get.
    #[schemars(regex(pattern = "^https?://"))]
    url: String,
    /// Headers to send along.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Where the number is in the answer: a JSON Pointer.
    #[schemars(regex(pattern = "^(/.*)?$"))]
    pointer: String,
    /// What the number is called.
    #[serde(default = "value")]
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"))]
    name: String,
    /// Its unit: s, B, %, ...
    unit: Option<String>,
    /// The range outside of which it is a warning.
    warn: Option<Range>,
    /// The range outside of which it is a failure.
    fail: Option<Range>,
}

fn value() -> String {
    "value".to_owned()
}

impl Plugin for JsonNumber {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "holds a number of a JSON document against bounds",
        )
        .settings::<Settings>()
        .want("http", "the origin of `url`", "to get the document")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let body = fetch(&settings)?;
        let number = number(&body, &settings.pointer).map_err(Stop::Fail)?;
        Ok(report(number, settings))
    }
}

fn fetch(settings: &Settings) -> Result<Vec<u8>, Stop> {
    let mut request = Request::new("GET", &settings.url);
    for (name, value) in &settings.headers {
        request = request.header(name, value);
    }
    let answer = request.send()?;
    match answer.status {
        200..300 => Ok(answer.body),
        status => Err(Stop::fail(format!("the target answered {status}"))),
    }
}

fn number(body: &[u8], pointer: &str) -> Result<f64, String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|e| format!("the answer is not JSON: {e}"))?;
    let found = match document.pointer(pointer) {
        None => "nothing",
        Some(Value::Number(number)) => {
            return number.as_f64().ok_or_else(|| format!("{number} is out of range"));
        }
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "an array",
        Some(Value::Object(_)) => "an object",
    };
    Err(format!("found {found} at `{pointer}`, expected a number"))
}

fn report(number: f64, settings: Settings) -> Report {
    let Settings { name, unit, warn, fail, .. } = settings;
    let status = judge(number, warn, fail);
    let message = format!("{name} is {number}{}", unit.as_deref().unwrap_or(""));
    let mut observation = Observation::new(name, number).ranges(warn, fail);
    observation.unit = unit;
    Report::new(status, message).observe(observation)
}

wellcheck_plugin::export!(JsonNumber);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_wherever_it_is() {
        assert_eq!(number(br#"{"queues": [{"depth": 7}]}"#, "/queues/0/depth"), Ok(7.0));
        assert_eq!(number(b"-1.5e3", ""), Ok(-1500.0));
        assert_eq!(number(br#"{"a/b": {"m~n": 1}}"#, "/a~1b/m~0n"), Ok(1.0));
    }

    #[test]
    fn what_is_not_a_number_is_named() {
        let check = |body: &str, expected: &str| {
            assert_eq!(number(body.as_bytes(), "/n").unwrap_err(), expected)
        };
        check(r#"{"n": "7"}"#, "found a text at `/n`, expected a number");
        check(r#"{"n": [7]}"#, "found an array at `/n`, expected a number");
        check(r#"{"m": 7}"#, "found nothing at `/n`, expected a number");
        check("<html>", "the answer is not JSON: expected value at line 1 column 1");
    }

    #[test]
    fn the_report_carries_the_number_with_its_bounds() {
        let settings = r#"{"url": "http://x", "pointer": "", "name": "depth", "unit": "B", "warn": 10, "fail": "~:20"}"#;
        let report = report(15.0, serde_json::from_str(settings).unwrap());
        assert_eq!(report.status, wellcheck_plugin::Status::Warn);
        assert_eq!(report.message, "depth is 15B");
        assert_eq!(report.observations[0].warn.as_deref(), Some("10"));
        assert_eq!(report.observations[0].fail.as_deref(), Some("~:20"));
    }
}
