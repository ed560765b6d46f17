//! What depends on what: which checks are blocked, and by whom.
//!
//! A check that is not healthy while something that it depends on is not either is no failure of its
//! own. What is named is the root: a parent that is blocked itself stands for its own parents.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use wellcheck_core::id::CheckName;
use wellcheck_core::time::{Monotonic, Now};

use super::slot::Slot;
use super::{Scheduler, Urgency};

/// A parent is asked again at most this often when a check fails.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// Of groups, when they were healthy for the last time; nothing for those that are.
pub(super) type Ill = HashMap<CheckName, Option<Monotonic>>;

impl Scheduler {
    /// Finds anew what blocks a check. Returns whether anything of it changed.
    /// `ill` keeps what was found out of those that others depend on as well.
    pub(super) fn reblock(&mut self, index: usize, ill: &mut Ill, now: Now) -> bool {
        let slot = &self.slots[index];
        let mut roots: BTreeSet<CheckName> = BTreeSet::new();
        let (mut offline, mut excused) = (false, false);
        for parent in &slot.spec.depends_on {
            let since = match ill.get(parent) {
                Some(since) => *since,
                None => {
                    let since = self.ill_since(parent.as_str(), now);
                    if self.groups.get(parent.as_str()).is_some() {
                        ill.insert(parent.clone(), since);
                    }
                    since
                }
            };
            let Some(healthy_at) = since else { continue };
            excused |= slot.turned > healthy_at;
            let other = self.place(parent.as_str()).map(|place| &self.slots[place]);
            offline |= other.is_some_and(Slot::is_cut_off);
            match other {
                Some(other) if !other.blocked.by.is_empty() => {
                    roots.extend(other.blocked.by.iter().cloned());
                    offline |= other.blocked.offline;
                }
                _ => {
                    roots.insert(parent.clone());
                }
            }
        }
        let same = roots.iter().eq(slot.blocked.by.iter()) && offline == slot.blocked.offline;
        if same {
            return false;
        }
        let roots: Arc<[CheckName]> = roots.into_iter().collect();
        let slot = &mut self.slots[index];
        let free = slot.block(roots, offline, excused, now);
        let ready = slot.held.is_none() && slot.paused.is_none() && slot.runner.is_some();
        if free && ready && slot.running.is_none() && slot.waits_for_others().is_none() {
            slot.due = Some(now.monotonic);
            self.queue.push(Reverse((now.monotonic, slot.id)));
        }
        self.publish.mark(Urgency::Transition);
        true
    }

    /// If a check or group is not as it should be: when it was for the last time. One that is not
    /// there blocks nothing.
    fn ill_since(&self, name: &str, now: Now) -> Option<Monotonic> {
        if let Some(group) = self.groups.get(name) {
            if !group.asked || group.state.is_healthy() {
                return None;
            }
            let members = group.spec.members.iter();
            let ill = members.filter_map(|member| self.ill_since(member.name.as_str(), now)).min();
            return Some(ill.unwrap_or_else(|| {
                let ago = u64::try_from(now.wall.0.saturating_sub(group.since.0)).unwrap_or(0);
                Monotonic(now.monotonic.0.saturating_sub(Duration::from_millis(ago)))
            }));
        }
        let slot = &self.slots[self.place(name)?];
        (!slot.is_well()).then_some(slot.healthy_at)
    }

    /// A check argues for a worse state: what it depends on is looked at now, so that the cause is
    /// known before the state changes. Once that is so, further failures ask nobody: what fails for
    /// long would have its parents run at its own pace.
    pub(super) fn ask_parents(&mut self, index: usize, now: Now) {
        let slot = &self.slots[index];
        if slot.tracker.state().is_healthy() && !slot.tracker.is_doubtful() {
            return;
        }
        if !slot.tracker.is_doubtful() && slot.failures > slot.spec.thresholds.failure + 1 {
            return;
        }
        for parent in slot.spec.depends_on.clone() {
            let Some(place) = self.place(parent.as_str()) else { continue };
            let other = &mut self.slots[place];
            let later = other.due.is_some_and(|due| due > now.monotonic);
            let fresh = now.monotonic.since(other.ended) < ASKED_AGAIN;
            let idle = other.running.is_none() && !other.queued;
            if later && idle && !fresh && other.is_well() && other.waits_for_others().is_none() {
                other.due = Some(now.monotonic);
                self.queue.push(Reverse((now.monotonic, other.id)));
            }
        }
    }
}
