//! How many checks run at once, by kind: what is due beyond that waits for its turn.

use std::collections::VecDeque;

use wellcheck_core::config::Runs;

/// The kinds that have a limit.
#[derive(Default)]
pub(super) struct Places {
    kinds: Vec<Kind>,
}

struct Kind {
    name: String,
    most: usize,
    running: usize,
    /// The numbers of checks that are due, in their order.
    waiting: VecDeque<u64>,
}

/// A place that a run has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(Option<String>);

impl Places {
    /// Takes over other limits; what runs goes on.
    pub(super) fn apply(&mut self, runs: &Runs) {
        let mut old = std::mem::take(&mut self.kinds);
        for (name, (most, _)) in &runs.kinds {
            let known = old.iter().position(|kind| kind.name == *name);
            let kept = known.map(|index| old.swap_remove(index));
            let (running, waiting) =
                kept.map_or((0, VecDeque::new()), |kind| (kind.running, kind.waiting));
            self.kinds.push(Kind { name: name.clone(), most: *most, running, waiting });
        }
        // Those who waited for a limit that is gone wait for nothing.
        for kind in old {
            self.kinds.push(Kind { most: usize::MAX, ..kind });
        }
    }

    /// A place for a run of a kind; without one the check waits for its turn.
    pub(super) fn take(&mut self, kind: &str, id: u64) -> Option<Place> {
        let Some(limited) = self.kinds.iter_mut().find(|limited| limited.name == kind) else {
            return Some(Place(None));
        };
        if limited.running >= limited.most {
            limited.waiting.push_back(id);
            return None;
        }
        limited.running += 1;
        Some(Place(Some(kind.to_owned())))
    }

    /// A run has ended.
    pub(super) fn free(&mut self, place: &Place) {
        let Some(name) = &place.0 else { return };
        if let Some(limited) = self.kinds.iter_mut().find(|limited| limited.name == *name) {
            limited.running = limited.running.saturating_sub(1);
        }
    }

    /// Offers the room that there is to those who wait, in their order. `goes` tells whether one of
    /// them still wants it; one that does not, such as a check that was removed, takes nobody's turn.
    pub(super) fn offer(&mut self, mut goes: impl FnMut(u64) -> bool) {
        for kind in &mut self.kinds {
            let mut room = kind.most.saturating_sub(kind.running);
            while room > 0
                && let Some(id) = kind.waiting.pop_front()
            {
                room -= usize::from(goes(id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wellcheck_core::config::tree::Place as InFile;

    use super::*;

    fn runs(most: usize) -> Runs {
        let kinds = [("exec".to_owned(), (most, InFile::file("")))];
        Runs { most: None, kinds: kinds.into() }
    }

    fn freed(places: &mut Places) -> Vec<u64> {
        let mut freed = Vec::new();
        places.offer(|id| {
            freed.push(id);
            true
        });
        freed
    }

    #[test]
    fn one_that_no_longer_wants_its_turn_leaves_it_to_the_next() {
        let mut places = Places::default();
        places.apply(&runs(1));
        let first = places.take("exec", 1).expect("there is room");
        assert_eq!((places.take("exec", 2), places.take("exec", 3)), (None, None));
        places.free(&first);
        let mut offered = Vec::new();
        places.offer(|id| {
            offered.push(id);
            id != 2
        });
        assert_eq!(offered, [2, 3]);
    }

    #[test]
    fn what_is_due_beyond_the_limit_waits_for_its_turn() {
        let mut places = Places::default();
        places.apply(&runs(1));
        assert_eq!(places.take("http", 7), Some(Place(None)), "no limit");
        let first = places.take("exec", 1).expect("there is room");
        assert_eq!((places.take("exec", 2), places.take("exec", 3)), (None, None));
        assert_eq!(freed(&mut places), [0; 0]);
        places.free(&first);
        assert_eq!(freed(&mut places), [2]);
    }

    #[test]
    fn a_higher_limit_frees_those_who_wait() {
        let mut places = Places::default();
        places.apply(&runs(1));
        let _first = places.take("exec", 1).expect("there is room");
        assert_eq!((places.take("exec", 2), places.take("exec", 3)), (None, None));
        places.apply(&runs(2));
        assert_eq!(freed(&mut places), [2]);
        let none = Runs { most: None, kinds: [].into() };
        places.apply(&none);
        assert_eq!(freed(&mut places), [3]);
    }
}
