//! How much less often a check runs that faults again and again.
//!
//! A plugin that traps at every run costs as much as a good one and tells nothing. After
//! [`PATIENCE`] faults of its own making in a row the pause before its next run doubles each time. It
//! is never taken out of service: the first run that is no such fault ends the pauses.

use std::time::Duration;

use crate::outcome::{FaultReason, Outcome};

/// Faults in a row from which on the pauses grow.
pub const PATIENCE: u32 = 5;

/// A pause is at most this many intervals.
const MAX_INTERVALS: u32 = 64;

/// A pause is at most this long, unless the interval itself is longer.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// The faults in a row of one check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    row: u32,
}

impl Faults {
    /// Takes in an outcome.
    pub fn observe(&mut self, outcome: &Outcome) {
        self.row = if is_own_fault(outcome) { self.row.saturating_add(1) } else { 0 };
    }

    /// How many there are in a row.
    pub fn row(self) -> u32 {
        self.row
    }

    /// From the end of the last run to the next one, where that is longer than the interval.
    pub fn pause(self, interval: Duration) -> Option<Duration> {
        pause(self.row, interval)
    }
}

/// Whether the plugin itself is why there is no answer. One that is not there, settings that do not
/// fit, a host without room and a plugin that finds the answer inconclusive do not count.
pub fn is_own_fault(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered(_) => false,
        Outcome::Faulted(fault) => matches!(
            fault.reason,
            FaultReason::Trap
                | FaultReason::Timeout
                | FaultReason::Limit
                | FaultReason::Denied
                | FaultReason::BadAnswer
                | FaultReason::Internal
        ),
    }
}

/// The pause after `faults` in a row: `interval` doubled once for the fifth and once more for each
/// further one, at most 64 intervals and at most an hour. Nothing where that is no longer than the
/// interval.
pub fn pause(faults: u32, interval: Duration) -> Option<Duration> {
    let doublings = faults.checked_sub(PATIENCE - 1)?;
    let factor = 1u32.checked_shl(doublings).unwrap_or(MAX_INTERVALS).min(MAX_INTERVALS);
    let pause = interval.saturating_mul(factor).min(MAX_PAUSE);
    (pause > interval).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Answer, Fault, Report};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_from_the_fifth_fault_on() {
        let pauses = (0..=12).map(|faults| pause(faults, SECOND).map_or(1, |p| p.as_secs()));
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(pause(u32::MAX, SECOND), Some(64 * SECOND));
    }

    #[test]
    fn a_pause_is_an_hour_at_most_unless_the_interval_is_longer() {
        let (minute, hour) = (60 * SECOND, 3600 * SECOND);
        assert_eq!(pause(9, minute), Some(32 * minute));
        assert_eq!(pause(10, minute), Some(hour));
        assert_eq!(pause(100, hour), None);
        assert_eq!(pause(100, 24 * hour), None);
    }

    #[test]
    fn faults_of_the_plugins_own_making_count_and_anything_else_ends_the_row() {
        let fault = |reason| Outcome::Faulted(Fault::new(reason, ""));
        let mut faults = Faults::default();
        for _ in 0..7 {
            faults.observe(&fault(FaultReason::Trap));
        }
        assert_eq!((faults.row(), faults.pause(SECOND)), (7, Some(8 * SECOND)));
        for other in [
            Outcome::Answered(Report::new(Answer::Fail, "")),
            fault(FaultReason::Inconclusive),
            fault(FaultReason::BadSettings),
        ] {
            let mut faults = faults;
            faults.observe(&other);
            assert_eq!(faults.row(), 0, "{other:?}");
        }
        let own = FaultReason::ALL.iter().filter(|reason| is_own_fault(&fault(**reason)));
        let words: Vec<&str> = own.map(|reason| reason.as_str()).collect();
        assert_eq!(words, ["trap", "timeout", "limit", "denied", "bad-answer", "internal"]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_the_interval_and_never_shrinks(
            faults in 0u32..1000, ms in 50u64..700_000_000
        ) {
            let interval = Duration::from_millis(ms);
            let now = pause(faults, interval).unwrap_or(interval);
            let next = pause(faults + 1, interval).unwrap_or(interval);
            prop_assert!(now >= interval && next >= now);
            prop_assert!(now <= interval * 64 && now <= MAX_PAUSE.max(interval));
        }
    }
}
