//! From all states to one.
//!
//! The aggregate is the worst state of the checks that count; with nothing to count it passes.
//! `unknown` is not healthy: a check that cannot answer must not be taken for one that passes.

use std::sync::Arc;

use crate::snapshot::CheckState;
use crate::status::Status;

/// The worst of all; `pass` where there are none.
pub fn worst(states: impl IntoIterator<Item = Status>) -> Status {
    states.into_iter().fold(Status::Pass, Status::worst)
}

/// The state of a selection of checks.
pub fn status(checks: &[Arc<CheckState>]) -> Status {
    worst(checks.iter().filter(|check| check.counts()).map(|check| check.state))
}

/// One line about a selection of checks: `2 of 5 checks are not healthy: a (fail: refused), ...`.
pub fn summary(checks: &[Arc<CheckState>]) -> String {
    const NAMED: usize = 10;
    let count = |n: usize| if n == 1 { "1 check".to_owned() } else { format!("{n} checks") };
    let off: Vec<&Arc<CheckState>> =
        checks.iter().filter(|check| check.counts() && check.state != Status::Pass).collect();
    if checks.is_empty() {
        return "there is nothing to check".to_owned();
    }
    if off.is_empty() {
        return match checks.len() {
            1 => "the check passes".to_owned(),
            n => format!("all {n} checks pass"),
        };
    }
    let names: Vec<String> = off
        .iter()
        .take(NAMED)
        .map(|check| match check.reason() {
            Some(reason) => format!("{} ({}: {reason})", check.spec.name, check.state),
            None => format!("{} ({})", check.spec.name, check.state),
        })
        .collect();
    let more = match off.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verb = if off.len() == 1 { "does" } else { "do" };
    format!("{} of {} {verb} not pass: {}{more}", off.len(), count(checks.len()), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn worst_is_the_same_in_any_order_and_grouping(
            a in proptest::collection::vec(proptest::sample::select(&Status::ALL[..]), 0..8),
            b in proptest::collection::vec(proptest::sample::select(&Status::ALL[..]), 0..8),
        ) {
            let whole = worst(a.iter().chain(&b).copied());
            prop_assert_eq!(whole, worst(b.iter().chain(&a).copied()));
            prop_assert_eq!(whole, worst([worst(a), worst(b)]));
        }
    }

    #[test]
    fn unknown_is_not_healthy_and_yields_to_fail() {
        assert_eq!(worst([]), Status::Pass);
        assert_eq!(worst([Status::Pass, Status::Warn]), Status::Warn);
        assert_eq!(worst([Status::Warn, Status::Unknown]), Status::Unknown);
        assert_eq!(worst([Status::Unknown, Status::Fail, Status::Pass]), Status::Fail);
    }
}
