//! Time as the core sees it: values that somebody else read from a clock.
//!
//! Schedules and thresholds use [`Monotonic`] only, so that a step of the wall clock moves nothing;
//! [`WallTime`] is for labels that people and other programs read.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Time by a clock that never steps, from a point that the caller chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// How long `self` is after `earlier`; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// `self`, later by `duration`.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Milliseconds since the Unix epoch, by the machine's wall clock. Shown as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(pub i64);

impl WallTime {
    /// The time of day in UTC: `22:13:20Z`.
    pub fn time_of_day(self) -> String {
        let timestamp = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        timestamp.strftime("%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp:.3}")
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For arithmetic.
    pub monotonic: Monotonic,
    /// For people.
    pub wall: WallTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_rfc_3339_with_milliseconds() {
        assert_eq!(WallTime(1_700_000_000_120).to_string(), "2023-11-14T22:13:20.120Z");
        assert_eq!(WallTime(1_700_000_000_120).time_of_day(), "22:13:20Z");
        assert_eq!(WallTime(i64::MAX).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
