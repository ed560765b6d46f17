//! The checks that wait for outcomes from outside, for those who bring them.
//!
//! Kept beside the configuration that runs: routes find here who may push to which check, and how
//! often. A check takes so many outcomes a second and no more, so that a flood costs little and the
//! scheduler has time for everything else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use wellcheck_core::id::CheckName;

use crate::checks::push::Takes;
use crate::server::is_same;

/// Outcomes that one check takes at once, and from then on each `PAUSE`.
const BURST: u32 = 20;

/// See [`BURST`].
const PAUSE: Duration = Duration::from_millis(100);

/// The checks as they are now; replaced as a whole.
pub(crate) type LivePassives = Arc<ArcSwap<Passives>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Passives {
    by_name: BTreeMap<CheckName, Arc<Passive>>,
    /// By the hash of a check's own token.
    by_hash: HashMap<[u8; 32], Arc<Passive>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Passive {
    pub(crate) name: CheckName,
    takes: Takes,
    /// When the last of the outcomes that were taken would have come, had they come evenly.
    spent: Mutex<Option<Instant>>,
}

impl Passive {
    /// Whether this is the hash of the check's own token.
    pub(crate) fn is_own(&self, hash: &[u8; 32]) -> bool {
        self.takes.own.is_some_and(|own| is_same(&own, hash))
    }

    /// Whether it takes one more outcome now.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let next = spent.map_or(now, |spent| spent.max(now)) + PAUSE;
        let fits = next.saturating_duration_since(now) <= PAUSE * BURST;
        if fits {
            *spent = Some(next);
        }
        fits
    }
}

impl Passives {
    /// What follows these when the configuration is another one. A check that stays goes on to count.
    pub(crate) fn following<'a>(
        &self,
        checks: impl Iterator<Item = (&'a CheckName, Takes)>,
    ) -> Self {
        let mut all = Self::default();
        for (name, takes) in checks {
            let same = self.by_name.get(name).filter(|old| old.takes == takes);
            let passive = same.cloned().unwrap_or_else(|| {
                Arc::new(Passive { name: name.clone(), takes, spent: Mutex::default() })
            });
            all.by_hash.extend(takes.own.map(|own| (own, Arc::clone(&passive))));
            all.by_name.insert(name.clone(), passive);
        }
        all
    }

    /// The check of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Passive>> {
        self.by_name.get(name)
    }

    /// The check whose own token has this hash. A table of hashes tells by its time at most how a
    /// hash begins, which nobody can choose; the whole of it is compared in constant time.
    pub(crate) fn owner(&self, hash: &[u8; 32]) -> Option<&Arc<Passive>> {
        self.by_hash.get(hash).filter(|passive| passive.is_own(hash))
    }

    /// Whether any check has a token of its own.
    pub(crate) fn has_own_tokens(&self) -> bool {
        !self.by_hash.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_some_at_once_and_then_some_a_second() {
        let name = CheckName::new("a").unwrap();
        let passives =
            Passives::default().following([(&name, Takes { own: Some([1; 32]) })].into_iter());
        let passive = passives.named("a").expect("it is there");
        let start = Instant::now();
        let taken = (0..1000).filter(|_| passive.has_room(start)).count();
        assert_eq!(taken, BURST as usize);
        assert!(!passive.has_room(start + PAUSE / 2));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| passive.has_room(later)).count(), 10);
        assert!(passives.owner(&[1; 32]).is_some() && passives.owner(&[2; 32]).is_none());
    }
}
