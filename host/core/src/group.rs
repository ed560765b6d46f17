//! Groups: from the states of members to one state.
//!
//! There is one rule. A group needs some of its members to be well, and its state is the best status
//! that so many of them have or better: where all are needed that is the worst of them, where one is
//! needed the best, and where two are needed the second best. A member in maintenance, or one that
//! does not count yet, is left out, and where shares are asked for they are shares of the rest.

use std::collections::BTreeMap;

use crate::check::Thresholds;
use crate::config::tree::Place;
use crate::id::CheckName;
use crate::status::Status;

/// Most members of one group.
pub const MAX_MEMBERS: usize = 100_000;

/// Groups inside groups, at most.
pub const MAX_DEPTH: usize = 8;

/// A group as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Unique among checks and groups.
    pub name: CheckName,
    /// Free text for people.
    pub title: Option<String>,
    /// For selecting groups.
    pub tags: Vec<String>,
    /// Further facts, for formats that show them.
    pub labels: BTreeMap<String, String>,
    /// Checks or groups, each once.
    pub members: Vec<Member>,
    /// How many of them must be well.
    pub needs: Needs,
    /// What a member is taken for of which nobody knows how it is.
    pub unknown: UnknownMember,
    /// How often in a row the members must argue for another state until the group has it. They do
    /// so each time that a run of a member has ended.
    pub thresholds: Thresholds,
    /// Where it stands.
    pub place: Place,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name of a check or a group.
    pub name: CheckName,
    /// How much it counts, 1 unless told otherwise, 0 to 1000.
    pub weight: u32,
}

/// How many members must be well, by their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Needs {
    /// Every one.
    #[default]
    All,
    /// So many, or all where there are fewer.
    AtLeast(u32),
    /// So many of a hundred, 1 to 100.
    Percent(u32),
}

/// What a member is taken for of which nobody knows how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownMember {
    /// It is not well.
    #[default]
    Unhealthy,
    /// It passes.
    Healthy,
    /// It is left out.
    LeftOut,
}

impl UnknownMember {
    /// Every choice, with its word in the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("unhealthy", Self::Unhealthy), ("healthy", Self::Healthy), ("left-out", Self::LeftOut)];
}

/// The members that count, by their status: how many there are, and what they weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// In the order of [`Status::ALL`].
    members: [usize; Status::ALL.len()],
    weights: [u64; Status::ALL.len()],
}

impl Count {
    /// A member more.
    pub fn add(&mut self, status: Status, weight: u32) {
        self.members[status as usize] += 1;
        self.weights[status as usize] += u64::from(weight);
    }

    /// A member less, which was added before.
    pub fn remove(&mut self, status: Status, weight: u32) {
        self.members[status as usize] -= 1;
        self.weights[status as usize] -= u64::from(weight);
    }

    /// Those that are as they should be, and all.
    pub fn healthy(&self) -> (usize, usize) {
        let healthy = Status::ALL.into_iter().filter(|status| status.is_healthy());
        (healthy.map(|status| self.members[status as usize]).sum(), self.members.iter().sum())
    }
}

impl GroupSpec {
    /// The status that these members argue for; `None` where there is none to ask.
    pub fn status(&self, count: &Count) -> Option<Status> {
        let Count { mut members, mut weights } = *count;
        let (pass, unknown) = (Status::Pass as usize, Status::Unknown as usize);
        match self.unknown {
            UnknownMember::Unhealthy => {}
            UnknownMember::Healthy => {
                members[pass] += std::mem::take(&mut members[unknown]);
                weights[pass] += std::mem::take(&mut weights[unknown]);
            }
            UnknownMember::LeftOut => (members[unknown], weights[unknown]) = (0, 0),
        }
        if members.iter().sum::<usize>() == 0 {
            return None;
        }
        let whole: u64 = weights.iter().sum();
        let needed = match self.needs {
            Needs::All => whole,
            Needs::AtLeast(n) => u64::from(n).min(whole),
            Needs::Percent(n) => (whole * u64::from(n)).div_ceil(100),
        };
        let mut sum = 0;
        let best = Status::ALL.into_iter().find(|status| {
            sum += weights[*status as usize];
            sum >= needed
        });
        // With no weight at all nothing is needed, and the first status is taken.
        Some(best.unwrap_or(Status::Fail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: Status = Status::Pass;
    const W: Status = Status::Warn;
    const U: Status = Status::Unknown;
    const F: Status = Status::Fail;

    fn group(needs: Needs, unknown: UnknownMember) -> GroupSpec {
        GroupSpec {
            name: CheckName::new("g").expect("a name"),
            title: None,
            tags: Vec::new(),
            labels: BTreeMap::new(),
            members: Vec::new(),
            needs,
            unknown,
            thresholds: Thresholds { failure: 1, within: None, success: 1 },
            place: Place::file("x"),
        }
    }

    fn count(members: &[(Status, u32)]) -> Count {
        let mut count = Count::default();
        members.iter().for_each(|(status, weight)| count.add(*status, *weight));
        count
    }

    fn of(needs: Needs, states: &[Status]) -> Option<Status> {
        let members: Vec<_> = states.iter().map(|state| (*state, 1)).collect();
        group(needs, UnknownMember::Unhealthy).status(&count(&members))
    }

    #[test]
    fn all_is_the_worst_any_the_best_and_two_the_second_best() {
        assert_eq!(of(Needs::All, &[P, W, P]), Some(W));
        assert_eq!(of(Needs::All, &[P, U, F]), Some(F));
        assert_eq!(of(Needs::AtLeast(1), &[F, F, P]), Some(P));
        assert_eq!(of(Needs::AtLeast(2), &[P, W, F]), Some(W));
        assert_eq!(of(Needs::AtLeast(2), &[P, U, F]), Some(U));
        assert_eq!(of(Needs::AtLeast(2), &[P, F, F]), Some(F));
        assert_eq!(of(Needs::AtLeast(9), &[P, P]), Some(P), "more than there are is all");
        assert_eq!(of(Needs::All, &[]), None);
    }

    #[test]
    fn shares_are_rounded_up() {
        assert_eq!(of(Needs::Percent(50), &[P, F, F]), Some(F), "half of three is two");
        assert_eq!(of(Needs::Percent(50), &[P, P, F]), Some(P));
        assert_eq!(of(Needs::Percent(34), &[P, F, F]), Some(F));
        assert_eq!(of(Needs::Percent(33), &[P, F, F]), Some(P));
        assert_eq!(of(Needs::Percent(100), &[P, W]), Some(W));
    }

    #[test]
    fn weights_count() {
        let needs = group(Needs::AtLeast(3), UnknownMember::Unhealthy);
        assert_eq!(needs.status(&count(&[(P, 3), (F, 1)])), Some(P));
        assert_eq!(needs.status(&count(&[(P, 1), (W, 2), (F, 5)])), Some(W));
        assert_eq!(needs.status(&count(&[(P, 1), (F, 5)])), Some(F));
        assert_eq!(needs.status(&count(&[(F, 0)])), Some(P), "nothing of weight is asked for");
    }

    #[test]
    fn what_nobody_knows_is_as_the_group_says() {
        let all = |unknown| group(Needs::All, unknown).status(&count(&[(P, 1), (U, 1)]));
        assert_eq!(all(UnknownMember::Unhealthy), Some(U));
        assert_eq!(all(UnknownMember::Healthy), Some(P));
        assert_eq!(all(UnknownMember::LeftOut), Some(P));
        let only = |unknown| group(Needs::All, unknown).status(&count(&[(U, 1)]));
        assert_eq!(only(UnknownMember::LeftOut), None);
    }

    #[test]
    fn who_is_added_and_removed_leaves_nothing() {
        let mut all = count(&[(P, 2), (F, 1), (W, 0)]);
        assert_eq!(all.healthy(), (2, 3));
        for (status, weight) in [(P, 2), (F, 1), (W, 0)] {
            all.remove(status, weight);
        }
        assert_eq!(all, Count::default());
    }

    proptest! {
        #[test]
        fn a_member_that_gets_worse_never_makes_a_group_better(
            mut states in proptest::collection::vec(proptest::sample::select(&Status::ALL[..]), 1..10),
            index in 0_usize..10, worse in proptest::sample::select(&Status::ALL[..]), n in 1_u32..10,
        ) {
            let index = index % states.len();
            let before = of(Needs::AtLeast(n), &states);
            states[index] = states[index].worst(worse);
            prop_assert!(of(Needs::AtLeast(n), &states) >= before);
        }
    }
}
