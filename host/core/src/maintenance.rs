//! Maintenance windows: when somebody works on something, so that its state does not count.
//!
//! A window is for everything, or for the checks and groups that it names or that have one of its
//! tags; a group stands for all that is in it. It comes once or again and again, and always ends.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::config::tree::Place;
use crate::cron::Cron;
use crate::id::CheckName;
use crate::time::WallTime;

/// Longest that a window may last.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// One window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// What is done, for people.
    pub title: Option<String>,
    /// Checks and groups by name.
    pub names: Vec<CheckName>,
    /// Checks and groups with one of these tags. Without names and tags it is for everything.
    pub tags: Vec<String>,
    /// When it is open.
    pub when: When,
    /// Where it stands.
    pub place: Place,
}

/// When a window is open.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// From one moment until before another.
    Once(WallTime, WallTime),
    /// From each point of a cron expression, for so long.
    Again(Cron, Duration),
}

impl When {
    /// Until when it is open, if it is open now.
    pub fn until(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::Once(from, to) => (*from <= now && now < *to).then_some(*to),
            Self::Again(cron, duration) => {
                let end = later(cron.last(now)?, *duration);
                (now < end).then_some(end)
            }
        }
    }

    /// When it opens or closes next.
    pub fn next_change(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::Once(from, to) => [*from, *to].into_iter().find(|at| *at > now),
            Self::Again(cron, _) => [self.until(now), cron.next(now)].into_iter().flatten().min(),
        }
    }
}

fn later(at: WallTime, duration: Duration) -> WallTime {
    WallTime(at.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
}

/// The windows that are open at a moment, by what they are for: of many windows and many checks, the
/// one that a check is in is found without asking each.
#[derive(Debug, Default)]
pub struct Open<'a> {
    /// Those that end last come last.
    list: Vec<(&'a Window, WallTime)>,
    /// Places in the list.
    all: Option<usize>,
    names: HashMap<&'a str, usize>,
    tags: HashMap<&'a str, usize>,
}

impl<'a> Open<'a> {
    /// Those of the windows that are open.
    pub fn of(windows: impl Iterator<Item = &'a Window>, now: WallTime) -> Self {
        let mut list: Vec<(&Window, WallTime)> =
            windows.filter_map(|window| Some((window, window.when.until(now)?))).collect();
        list.sort_by_key(|(_, until)| *until);
        let mut open = Self::default();
        for (place, (window, _)) in list.iter().enumerate() {
            open.names.extend(window.names.iter().map(|name| (name.as_str(), place)));
            open.tags.extend(window.tags.iter().map(|tag| (tag.as_str(), place)));
            if window.names.is_empty() && window.tags.is_empty() {
                open.all = Some(place);
            }
        }
        Self { list, ..open }
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Of those that are for a check of that name, with those tags, in those groups (all around it),
    /// the one that ends last, and when that is.
    pub fn around(
        &self,
        name: &CheckName,
        tags: &[String],
        around: &Around,
    ) -> Option<(&'a Window, WallTime)> {
        let names = std::iter::once(name).chain(&around.names);
        let names = names.filter_map(|name| self.names.get(name.as_str()));
        let tags = tags.iter().chain(&around.tags);
        let tags = tags.filter_map(|tag| self.tags.get(tag.as_str()));
        let place = names.chain(tags).chain(&self.all).max()?;
        self.list.get(*place).copied()
    }
}

/// The groups around a check, and their tags.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Names of groups.
    pub names: BTreeSet<CheckName>,
    /// Tags of these groups.
    pub tags: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_window_that_comes_once_opens_and_closes() {
        let when = When::Once(WallTime(10), WallTime(20));
        let seen: Vec<_> = [9, 10, 19, 20].map(|t| when.until(WallTime(t)).is_some()).into();
        assert_eq!(seen, [false, true, true, false]);
        let next = |t| when.next_change(WallTime(t)).map(|at| at.0);
        assert_eq!([next(9), next(10), next(20)], [Some(10), Some(20), None]);
    }

    #[test]
    fn a_window_that_comes_again_is_open_for_so_long_after_each_point() {
        let cron = Cron::parse("0 3 * * *", None).expect("it is sound");
        let when = When::Again(cron, Duration::from_hours(2));
        let until = |t| when.until(WallTime(t)).map(|at| at.0);
        assert_eq!(until(3 * HOUR - 1), None);
        assert_eq!(until(3 * HOUR), Some(5 * HOUR));
        assert_eq!(until(5 * HOUR - 1), Some(5 * HOUR));
        assert_eq!(until(5 * HOUR), None);
        let next = |t| when.next_change(WallTime(t)).map(|at| at.0);
        assert_eq!(
            [next(0), next(3 * HOUR), next(5 * HOUR)].map(Option::unwrap_or_default),
            [3 * HOUR, 5 * HOUR, 27 * HOUR]
        );
    }

    #[test]
    fn a_window_is_for_what_it_names_for_what_is_within_and_for_tags() {
        let name = |text: &str| CheckName::new(text).expect("a name");
        let window = |names: &[&str], tags: &[&str]| Window {
            title: None,
            names: names.iter().map(|n| name(n)).collect(),
            tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            when: When::Once(WallTime(0), WallTime(1)),
            place: Place::file(""),
        };
        let around = Around {
            names: BTreeSet::from([name("web")]),
            tags: BTreeSet::from(["core".to_owned()]),
        };
        let covers = |window: Window| {
            let open = Open::of(std::iter::once(&window), WallTime(0));
            open.around(&name("a"), &["own".to_owned()], &around).is_some()
        };
        assert!(covers(window(&[], &[])) && covers(window(&["a"], &[])));
        assert!(covers(window(&["web"], &[])) && covers(window(&[], &["core"])));
        assert!(covers(window(&[], &["own"])) && !covers(window(&["b"], &["other"])));
    }

    #[test]
    fn of_several_windows_the_one_that_ends_last_is_told() {
        let window = |title: &str, tags: &[&str], end| Window {
            title: Some(title.to_owned()),
            names: Vec::new(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            when: When::Once(WallTime(0), WallTime(end)),
            place: Place::file(""),
        };
        let windows = [
            window("late", &["own"], 9),
            window("everything", &[], 5),
            window("other", &["other"], 20),
            window("early", &["own"], 3),
        ];
        let seen = |tags: &[&str], now| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let open = Open::of(windows.iter(), WallTime(now));
            let name = CheckName::new("a").expect("a name");
            let found = open.around(&name, &tags, &Around::default());
            found.and_then(|(window, _)| window.title.clone())
        };
        assert_eq!(seen(&["own"], 1).as_deref(), Some("late"));
        assert_eq!(seen(&[], 1).as_deref(), Some("everything"));
        assert_eq!((seen(&[], 5), seen(&["own"], 9)), (None, None), "they have ended");
    }
}
