//! How measured times are spread: for runs in a row.

use std::time::Duration;

use serde_json::{Value, json};

/// Times, sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread(Vec<Duration>);

impl Spread {
    /// Of these times.
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many in a hundred are not above; zero where there is none.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// The least of them.
    pub(super) fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// All together.
    pub(super) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// In milliseconds.
    pub(super) fn json(&self) -> Value {
        json!({
            "min": ms(self.least()),
            "median": ms(self.percentile(50)),
            "p95": ms(self.percentile(95)),
            "p99": ms(self.percentile(99)),
        })
    }
}

/// Milliseconds, to a nanosecond.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e9).round() / 1e6
}

/// For people.
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let spread = Spread::new((1..=200).rev().map(Duration::from_millis).collect());
        let at = |percent| spread.percentile(percent).as_millis();
        assert_eq!((at(50), at(95), at(99), at(100)), (100, 190, 198, 200));
        assert_eq!(spread.least(), Duration::from_millis(1));
        let one = Spread::new(vec![Duration::from_secs(1)]);
        assert_eq!(one.percentile(50), one.percentile(99));
        assert_eq!(Spread::default().percentile(99), Duration::ZERO);
    }
}
