//! From all states to one.
//!
//! The aggregate is the worst state of what counts: the groups, and the checks that are in none.
//! With nothing to count it passes. `unknown` is not healthy: a check that cannot answer must not be
//! taken for one that passes.

use std::collections::BTreeSet;

use crate::id::CheckName;
use crate::snapshot::Item;
use crate::status::Status;
use crate::units::count;

/// The worst of all; `pass` where there are none.
pub fn worst(states: impl IntoIterator<Item = Status>) -> Status {
    states.into_iter().fold(Status::Pass, Status::worst)
}

/// The state of a selection of checks and groups.
pub fn status<'a>(items: impl IntoIterator<Item = Item<'a>>) -> Status {
    worst(items.into_iter().filter(|item| item.counts()).map(Item::state))
}

/// One line about a selection: `2 of 5 checks do not pass: a (fail: refused), ...`.
pub fn summary(items: &[Item<'_>]) -> String {
    const NAMED: usize = 10;
    if items.is_empty() {
        return "there is nothing to check".to_owned();
    }
    let (counted, others): (Vec<Item<'_>>, Vec<Item<'_>>) =
        items.iter().partition(|item| item.counts());
    // What is blocked by something else is no cause of its own.
    let is_blocked = |item: &Item<'_>| matches!(item, Item::Check(check) if check.is_blocked());
    let off = counted.iter().filter(|item| item.state() != Status::Pass);
    let (blocked, off): (Vec<&Item<'_>>, Vec<&Item<'_>>) = off.partition(|item| is_blocked(item));
    let named = off.iter().take(NAMED).map(|item| named(**item)).collect::<Vec<_>>().join(", ");
    let more = match off.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let groups = counted.iter().filter(|item| matches!(item, Item::Group(_))).count();
    let noun = match (groups, counted.len()) {
        (0, _) => "check",
        (groups, all) if groups == all => "group",
        _ => "check or group",
    };
    let plural = match noun {
        "check or group" => "checks and groups".to_owned(),
        noun => format!("{noun}s"),
    };
    let aside = others.iter().filter(|item| item.in_maintenance()).count();
    let blocked = match (off.len(), blocked.as_slice()) {
        (_, []) => String::new(),
        (0, all) => {
            let names: BTreeSet<&str> = all.iter().flat_map(|item| roots_of(item)).collect();
            let names = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            let verb = if all.len() == 1 { "is" } else { "are" };
            format!("; {} {verb} blocked by {names}", all.len())
        }
        (_, [_]) => "; 1 is blocked by what it depends on".to_owned(),
        (_, all) => format!("; {} are blocked by what they depend on", all.len()),
    };
    let all_blocked = off.is_empty() && !blocked.is_empty();
    let text = match (off.len(), counted.len()) {
        (0, n) if all_blocked => format!("no {noun} of {n} fails by itself"),
        (0, 0) if aside > 0 => "nothing counts".to_owned(),
        (0, 0) => "no check counts yet".to_owned(),
        (0, 1) => format!("the {noun} passes"),
        (0, n) => format!("all {n} {plural} pass"),
        (1, 1) => format!("the {noun} does not pass: {named}"),
        (1, n) => format!("1 of {n} {plural} does not pass: {named}"),
        (off, n) => format!("{off} of {n} {plural} do not pass: {named}{more}"),
    };
    let aside_text = match aside {
        0 => String::new(),
        1 => "; 1 is in maintenance".to_owned(),
        n => format!("; {n} are in maintenance"),
    };
    let dropped = |item: &&Item<'_>| matches!(item, Item::Check(check) if check.aside.is_none());
    let dropped = others.iter().filter(dropped).count();
    let uncounted = match dropped {
        0 => String::new(),
        1 => "; 1 plugin that nobody configured has not answered yet".to_owned(),
        n => format!("; {n} plugins that nobody configured have not answered yet"),
    };
    format!("{text}{blocked}{aside_text}{uncounted}")
}

fn roots_of<'a>(item: &Item<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let roots: &'a [CheckName] = match item {
        Item::Check(check) => &check.blocked_by,
        Item::Group(_) => &[],
    };
    roots.iter().map(CheckName::as_str)
}

fn named(item: Item<'_>) -> String {
    let (name, state) = (item.name(), item.state());
    match item {
        Item::Check(check) => match check.reason() {
            Some(reason) => format!("{name} ({state}: {reason})"),
            None => format!("{name} ({state})"),
        },
        Item::Group(group) => {
            let (healthy, all) = group.healthy;
            format!("{name} ({state}: {healthy} of {} healthy)", count(all, "member"))
        }
    }
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
