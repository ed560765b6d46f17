//! Ranges of monitoring plugins: `10`, `10:`, `~:10`, `10:20`, `@10:20`.

/// The values that are as they should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    /// Whether values inside are the ones that are not as they should be.
    inside: bool,
}

impl Range {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (inside, text) = match text.trim().strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text.trim()),
        };
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        let (low, high) = match text.split_once(':') {
            None => (0.0, number(text)?),
            Some((low, high)) => {
                let low = match low {
                    "~" => f64::NEG_INFINITY,
                    "" => 0.0,
                    low => number(low)?,
                };
                (low, if high.is_empty() { f64::INFINITY } else { number(high)? })
            }
        };
        (low <= high && text != ":").then_some(Self { low, high, inside })
    }

    /// Whether a value is worth an alert.
    pub fn alerts(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value) == self.inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_alert_as_monitoring_plugins_say() {
        let cases: &[(&str, &[f64], &[f64])] = &[
            ("10", &[0.0, 10.0], &[-1.0, 10.1]),
            ("10:", &[10.0, 1e9], &[9.9]),
            ("~:10", &[-1e9, 10.0], &[10.1]),
            ("10:20", &[10.0, 20.0], &[9.0, 21.0]),
            ("@10:20", &[9.0, 21.0], &[10.0, 20.0]),
        ];
        for (text, good, bad) in cases {
            let range = Range::parse(text).expect(text);
            assert!(good.iter().all(|value| !range.alerts(*value)), "{text}");
            assert!(bad.iter().all(|value| range.alerts(*value)), "{text}");
        }
        for text in ["", ":", "@", "a", "20:10", "1:2:3", "nan", "inf:", "~"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
