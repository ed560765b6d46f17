//! From outcomes to a state: the only rule by which a state changes.
//!
//! The first outcome decides, whatever the thresholds. Then an outcome that is worse than the state
//! (or a change between `unknown` and `fail`, where neither is a recovery) must come
//! `failure` times in a row, and an outcome that is better and healthy `success` times.
//! An outcome that agrees with the state ends any row. Where `within` says so, the worse outcomes
//! need not come in a row: `failure` of the last `within` outcomes since the state was reached will
//! do.

use crate::check::Thresholds;
use crate::status::Status;

/// The state of one check, and how far it is from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tracker {
    /// `None` until the first outcome.
    state: Option<Status>,
    pull: Option<Pull>,
    /// Outcomes that pull in that direction: in a row, or of the recent ones.
    row: u32,
    /// The outcomes since the state was reached, 1 for one that pulls down; the newest is the lowest
    /// bit.
    recent: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    Worse,
    Better,
}

/// A state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What it was; `unknown` before the first outcome.
    pub from: Status,
    /// What it is now.
    pub to: Status,
    /// How many outcomes in a row led to it.
    pub consecutive: u32,
}

impl Tracker {
    /// What the host believes; `unknown` before the first outcome.
    pub fn state(&self) -> Status {
        self.state.unwrap_or_default()
    }

    /// Outcomes that argue for another state than the present one.
    pub fn row(&self) -> u32 {
        self.row
    }

    /// Whether outcomes argue for a worse state, and have not done so often enough.
    pub fn is_doubtful(&self) -> bool {
        self.row > 0 && self.pull == Some(Pull::Worse)
    }

    /// Takes one outcome. Returns the change of state that it completes, if any.
    pub fn observe(&mut self, status: Status, thresholds: Thresholds) -> Option<Change> {
        let Some(state) = self.state else {
            self.state = Some(status);
            return (status != Status::Unknown).then_some(Change {
                from: Status::Unknown,
                to: status,
                consecutive: 1,
            });
        };
        let pull = pull(state, status);
        let worse = pull == Some(Pull::Worse);
        self.recent = self.recent << 1 | u128::from(worse);
        if let Some(within) = thresholds.within
            && pull != Some(Pull::Better)
        {
            let mask = 1_u128.checked_shl(within).map_or(u128::MAX, |bit| bit - 1);
            self.row = (self.recent & mask).count_ones();
            self.pull = (self.row > 0).then_some(Pull::Worse);
            let enough = worse && self.row >= thresholds.failure;
            return if enough { self.turn(state, status) } else { None };
        }
        let Some(pull) = pull else {
            self.pull = None;
            self.row = 0;
            return None;
        };
        if self.pull == Some(pull) {
            self.row = self.row.saturating_add(1);
        } else {
            self.pull = Some(pull);
            self.row = 1;
        }
        let needed = match pull {
            Pull::Worse => thresholds.failure,
            Pull::Better => thresholds.success,
        };
        if self.row < needed {
            return None;
        }
        self.turn(state, status)
    }

    fn turn(&mut self, from: Status, to: Status) -> Option<Change> {
        let change = Change { from, to, consecutive: self.row };
        *self = Self { state: Some(to), ..Self::default() };
        Some(change)
    }
}

fn pull(state: Status, status: Status) -> Option<Pull> {
    if status == state {
        None
    } else if status.is_healthy() && status < state {
        Some(Pull::Better)
    } else {
        Some(Pull::Worse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: Status = Status::Pass;
    const W: Status = Status::Warn;
    const F: Status = Status::Fail;
    const U: Status = Status::Unknown;

    #[track_caller]
    fn check(failure: u32, success: u32, outcomes: &[Status], expected: &[Status]) {
        let mut tracker = Tracker::default();
        let states: Vec<Status> = outcomes
            .iter()
            .map(|status| {
                tracker.observe(*status, Thresholds { failure, within: None, success });
                tracker.state()
            })
            .collect();
        assert_eq!(states, expected);
    }

    #[test]
    fn the_first_outcome_decides() {
        check(3, 3, &[F], &[F]);
        check(3, 3, &[P], &[P]);
        check(3, 3, &[U, P], &[U, U]);
    }

    #[test]
    fn failures_must_come_in_a_row() {
        check(3, 1, &[P, F, F, P, F, F, F], &[P, P, P, P, P, P, F]);
    }

    #[test]
    fn faults_and_fails_pull_the_same_way_and_the_last_one_names_the_state() {
        check(3, 1, &[P, F, U, F], &[P, P, P, F]);
        check(3, 1, &[P, F, F, U], &[P, P, P, U]);
    }

    #[test]
    fn one_fault_is_no_recovery() {
        check(2, 1, &[F, U, F, U, U], &[F, F, F, F, U]);
    }

    #[test]
    fn recovery_needs_its_own_row() {
        check(1, 2, &[F, P, F, P, W], &[F, F, F, F, W]);
    }

    #[test]
    fn failures_need_not_come_in_a_row_where_some_of_many_will_do() {
        let thresholds = Thresholds { failure: 3, within: Some(5), success: 1 };
        let mut tracker = Tracker::default();
        let mut see = |status| {
            tracker.observe(status, thresholds);
            (tracker.state(), tracker.is_doubtful())
        };
        assert_eq!([P, F, P, F].map(|status| see(status).0), [P; 4]);
        assert_eq!(see(P), (P, true), "two of five");
        assert_eq!(see(F), (F, false), "three of five");
        assert_eq!(see(P), (P, false), "what was before the change is forgotten");
        assert_eq!([F, F, P, P, P].map(|status| see(status).0), [P; 5]);
        assert_eq!(see(F), (P, true), "the first of the two before is too old to count");
        assert_eq!([P, P, P, P].map(|status| see(status).1), [true; 4]);
        assert_eq!(see(P), (P, false));
    }

    #[test]
    fn a_change_says_from_to_and_how_many() {
        let thresholds = Thresholds { failure: 2, within: None, success: 1 };
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe(P, thresholds), Some(Change { from: U, to: P, consecutive: 1 }));
        assert_eq!(tracker.observe(F, thresholds), None);
        assert_eq!(tracker.row(), 1);
        assert_eq!(tracker.observe(F, thresholds), Some(Change { from: P, to: F, consecutive: 2 }));
    }

    fn statuses() -> impl Strategy<Value = Vec<Status>> {
        proptest::collection::vec(proptest::sample::select(&Status::ALL[..]), 0..60)
    }

    proptest! {
        #[test]
        fn thresholds_never_skip(outcomes in statuses(), failure in 1u32..6, success in 1u32..6) {
            let thresholds = Thresholds { failure, within: None, success };
            let mut tracker = Tracker::default();
            let mut differing = 0;
            for (index, status) in outcomes.iter().enumerate() {
                let before = tracker.state();
                differing = if *status == before { 0 } else { differing + 1 };
                let change = tracker.observe(*status, thresholds);
                if let Some(change) = change {
                    prop_assert_eq!(change.from, before);
                    prop_assert_eq!(change.to, *status);
                    prop_assert_eq!(tracker.state(), *status);
                    prop_assert_ne!(change.from, change.to);
                    if index > 0 {
                        prop_assert!(change.consecutive >= failure.min(success));
                        prop_assert!(differing >= change.consecutive);
                    }
                } else if index > 0 {
                    prop_assert_eq!(tracker.state(), before);
                }
            }
        }

        #[test]
        fn enough_equal_outcomes_always_decide(
            outcomes in statuses(), last in proptest::sample::select(&Status::ALL[..]),
            failure in 1u32..6, success in 1u32..6,
        ) {
            let thresholds = Thresholds { failure, within: None, success };
            let mut tracker = Tracker::default();
            for status in outcomes.into_iter().chain(std::iter::repeat_n(last, 6)) {
                tracker.observe(status, thresholds);
            }
            prop_assert_eq!(tracker.state(), last);
        }
    }
}
