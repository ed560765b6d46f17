//! Ranges in the notation of monitoring plugins, for settings and observations.

use crate::{Observation, Status};
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::str::FromStr;

/// Which values are as they should be: `10` (0 to 10), `10:` (10 or more), `~:10` (10 or less),
/// `10:20`, and `@10:20` for all but these. In settings a text or a plain number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    inverted: bool,
}

impl Range {
    /// Whether the value is as it should be. A value that is not a number never is.
    pub fn accepts(&self, value: f64) -> bool {
        !value.is_nan() && (self.low <= value && value <= self.high) != self.inverted
    }
}

/// The status of a value: `fail` outside of the range for that, else `warn` likewise, else `pass`.
pub fn judge(value: f64, warn: Option<Range>, fail: Option<Range>) -> Status {
    let outside = |range: Option<Range>| range.is_some_and(|range| !range.accepts(value));
    if outside(fail) {
        Status::Fail
    } else if outside(warn) {
        Status::Warn
    } else {
        Status::Pass
    }
}

impl Observation {
    /// Shows the ranges that [`judge`] held the value against.
    pub fn ranges(mut self, warn: Option<Range>, fail: Option<Range>) -> Self {
        self.warn = warn.map(|range| range.to_string());
        self.fail = fail.map(|range| range.to_string());
        self
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            let value = part.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| {
                format!("`{text}` is no range (for example `10`, `10:`, `~:10`, `10:20`, `@10:20`)")
            })
        };
        let (inverted, bounds) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (low, high) = match bounds.split_once(':') {
            None => (0.0, number(bounds)?),
            Some((low, high)) => (
                if low == "~" { f64::NEG_INFINITY } else { number(low)? },
                if high.is_empty() { f64::INFINITY } else { number(high)? },
            ),
        };
        if low > high {
            return Err(format!("the range `{text}` is empty: {low} is more than {high}"));
        }
        Ok(Self { low, high, inverted })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inverted {
            f.write_str("@")?;
        }
        match (self.low, self.high) {
            (f64::NEG_INFINITY, f64::INFINITY) => f.write_str("~:"),
            (f64::NEG_INFINITY, high) => write!(f, "~:{high}"),
            (low, f64::INFINITY) => write!(f, "{low}:"),
            (0.0, high) => write!(f, "{high}"),
            (low, high) => write!(f, "{low}:{high}"),
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text,
            other => return Err(de::Error::custom(format!("`{other}` is no range"))),
        };
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Range {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Range".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, inside: &[f64], outside: &[f64]) {
        let parsed: Range = range.parse().unwrap();
        assert_eq!(parsed.to_string(), range);
        for value in inside {
            assert!(parsed.accepts(*value), "{range} refuses {value}");
        }
        for value in outside {
            assert!(!parsed.accepts(*value), "{range} accepts {value}");
        }
    }

    #[test]
    fn the_examples_of_the_notation_mean_what_it_says() {
        check("10", &[0.0, 5.0, 10.0], &[-0.1, 10.1, f64::NAN]);
        check("10:", &[10.0, 1e9], &[9.9, -1.0]);
        check("~:10", &[-1e9, 10.0], &[10.1]);
        check("10:20", &[10.0, 20.0], &[9.9, 20.1]);
        check("@10:20", &[9.9, 20.1], &[10.0, 20.0, f64::NAN]);
        check("-5:-1.5", &[-5.0, -1.5], &[0.0]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", ":", "x", "1:x", "20:10", "nan", "inf", "1:2:3", "@"] {
            assert!(text.parse::<Range>().is_err(), "{text} is accepted");
        }
    }

    #[test]
    fn fail_wins_over_warn() {
        let range = |text: &str| text.parse().ok();
        assert_eq!(judge(5.0, range("10"), range("20")), Status::Pass);
        assert_eq!(judge(15.0, range("10"), range("20")), Status::Warn);
        assert_eq!(judge(25.0, range("10"), range("20")), Status::Fail);
        assert_eq!(judge(25.0, None, None), Status::Pass);
    }

    #[test]
    fn settings_take_a_text_or_a_number() {
        assert_eq!(serde_json::from_str::<Range>("10").unwrap(), "10".parse().unwrap());
        assert_eq!(serde_json::from_str::<Range>("\"1.5:\"").unwrap(), "1.5:".parse().unwrap());
        assert!(serde_json::from_str::<Range>("[1]").is_err());
    }
}
