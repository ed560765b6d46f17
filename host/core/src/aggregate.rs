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

/// One line about a selection of checks: `2 of 5 checks do not pass: a (fail: refused), ...`.
pub fn summary(checks: &[Arc<CheckState>]) -> String {
    const NAMED: usize = 10;
    if checks.is_empty() {
        return "there is nothing to check".to_owned();
    }
    let (counted, others): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check.counts());
    let off: Vec<_> = counted.iter().filter(|check| check.state != Status::Pass).collect();
    let named = off.iter().take(NAMED).map(|check| match check.reason() {
        Some(reason) => format!("{} ({}: {reason})", check.spec.name, check.state),
        None => format!("{} ({})", check.spec.name, check.state),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match off.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let uncounted = match others.len() {
        0 => String::new(),
        1 => "; 1 plugin that nobody configured has not answered yet".to_owned(),
        n => format!("; {n} plugins that nobody configured have not answered yet"),
    };
    let text = match (off.len(), counted.len()) {
        (0, 0) => "no check counts yet".to_owned(),
        (0, 1) => "the check passes".to_owned(),
        (0, n) => format!("all {n} checks pass"),
        (1, 1) => format!("the check does not pass: {named}"),
        (1, n) => format!("1 of {n} checks does not pass: {named}"),
        (off, n) => format!("{off} of {n} checks do not pass: {named}{more}"),
    };
    format!("{text}{uncounted}")
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
