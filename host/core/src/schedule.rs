//! When a check is due next.
//!
//! Each check has a phase of its own, made from its name, and runs at `phase + n * interval`: checks
//! of one interval spread over it, whatever the order of the configuration, and a restart keeps the
//! spread. First runs do not wait for that: they are spread over a short start instead. Points that
//! were missed (a long run, a suspended machine) are skipped, never made up for.

use std::time::Duration;

use crate::check::Timing;
use crate::cron::Cron;
use crate::time::{Monotonic, Now};

/// First runs are spread over this much time, or the interval, if that is shorter.
pub const START_SPREAD: Duration = Duration::from_millis(600);

/// A number that stands for a check's place in its interval; derived from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Phase(pub u64);

impl Phase {
    /// The phase of a name: FNV-1a with a final mix, so that `web-1` and `web-2` lie apart. Stays
    /// the same from build to build.
    pub fn of(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(hash))
    }

    /// A point within `span`, by this phase.
    fn within(self, span: Duration) -> Duration {
        let nanos = u128::from(self.0) * span.as_nanos() / (u128::from(u64::MAX) + 1);
        Duration::from_nanos(u64::try_from(nanos).expect("a part of a span of days fits"))
    }
}

/// The finalizer of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// When a check that appears `now` runs first.
pub fn first_due(now: Monotonic, timing: &Timing, phase: Phase) -> Monotonic {
    now.after(phase.within(START_SPREAD.min(timing.interval)))
}

/// When a check whose run ended `now` runs again by a cron expression: its next point, and its jitter.
/// A step of the wall clock moves only the points after that.
pub fn next_point(now: Now, cron: &Cron, timing: &Timing, phase: Phase) -> Option<Monotonic> {
    let point = cron.next(now.wall)?;
    let wait = u64::try_from(point.0.saturating_sub(now.wall.0)).unwrap_or(0);
    let seed = Phase(mix(phase.0 ^ point.0.unsigned_abs()));
    let jitter = seed.within(timing.jitter);
    Some(now.monotonic.after(Duration::from_millis(wait)).after(jitter))
}

/// When a check whose run ended `now` runs again: the next point of its grid, and its jitter.
pub fn next_due(now: Monotonic, timing: &Timing, phase: Phase) -> Monotonic {
    let interval = timing.interval.as_nanos().max(1);
    let offset = phase.within(timing.interval).as_nanos();
    let now = now.0.as_nanos();
    let slot = if now < offset { 0 } else { (now - offset) / interval + 1 };
    let due = offset + slot * interval;
    let jitter =
        Phase(mix(phase.0 ^ u64::try_from(slot).unwrap_or(u64::MAX))).within(timing.jitter);
    let due = Duration::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
    Monotonic(due.saturating_add(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timing(interval_ms: u64, jitter_ms: u64) -> Timing {
        Timing {
            interval: Duration::from_millis(interval_ms),
            timeout: Duration::from_millis(interval_ms),
            jitter: Duration::from_millis(jitter_ms),
            retry: None,
        }
    }

    #[test]
    fn names_that_differ_by_one_letter_lie_apart() {
        let timing = timing(30_000, 0);
        let mut dues: Vec<_> = (0..1_000)
            .map(|n| next_due(Monotonic::default(), &timing, Phase::of(&format!("web-{n}"))))
            .collect();
        dues.sort();
        let widest = dues.windows(2).map(|pair| pair[1].since(pair[0])).max().expect("pairs");
        assert!(widest < Duration::from_millis(400), "a gap of {widest:?} of 30 s");
    }

    #[test]
    fn a_suspended_machine_does_not_catch_up() {
        let timing = timing(1_000, 0);
        let phase = Phase::of("a");
        let hour_later = Monotonic(Duration::from_secs(3_600));
        let due = next_due(hour_later, &timing, phase);
        assert!(due > hour_later && due.since(hour_later) <= timing.interval);
    }

    proptest! {
        #[test]
        fn due_is_later_and_within_an_interval_and_jitter(
            now_ms in 0u64..10_000_000, interval in 50u64..100_000, part in 0u64..=50, phase: u64,
        ) {
            let timing = timing(interval, interval * part / 100);
            let now = Monotonic(Duration::from_millis(now_ms));
            let due = next_due(now, &timing, Phase(phase));
            prop_assert!(due > now);
            prop_assert!(due.since(now) <= timing.interval + timing.jitter);
            let first = first_due(now, &timing, Phase(phase));
            prop_assert!(first >= now && first.since(now) <= START_SPREAD.min(timing.interval));
        }

        #[test]
        fn without_jitter_runs_are_one_interval_apart(
            now_ms in 0u64..10_000_000, interval in 50u64..100_000, phase: u64,
        ) {
            let timing = timing(interval, 0);
            let due = next_due(Monotonic(Duration::from_millis(now_ms)), &timing, Phase(phase));
            prop_assert_eq!(next_due(due, &timing, Phase(phase)).since(due), timing.interval);
        }

        #[test]
        fn next_due_is_monotone(
            now_ms in 0u64..1_000_000, later_ms in 0u64..1_000_000, interval in 50u64..10_000, phase: u64,
        ) {
            let timing = timing(interval, interval / 2);
            let at = |ms| next_due(Monotonic(Duration::from_millis(ms)), &timing, Phase(phase));
            prop_assert!(at(now_ms) <= at(now_ms + later_ms));
        }
    }
}
