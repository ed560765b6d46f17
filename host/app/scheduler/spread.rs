//! What follows when something else is seen of a check: groups, what depends on it, and those who wait
//! for it or whose start-up phase it ends.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use wellcheck_core::id::CheckName;
use wellcheck_core::time::Now;

use super::slot::Slot;
use super::{Scheduler, Urgency, find};

impl Scheduler {
    /// What is seen of a check may have changed: what follows from that. Returns whether it changed
    /// what is seen of a group.
    pub(super) fn changed(&mut self, index: usize, now: Now) -> bool {
        let mut open = vec![index];
        let mut groups = false;
        // Nothing depends on itself, so that this comes to an end.
        while let Some(index) = open.pop() {
            for name in self.spread(index, now) {
                groups |= self.groups.get(name.as_str()).is_some();
                let Some(dependents) = self.dependents.get(&name) else { continue };
                // What many depend on is asked once for all of them: it may be a large group.
                let mut ill = HashMap::new();
                for dependent in dependents.clone() {
                    if self.reblock(dependent, &mut ill, now) {
                        open.push(dependent);
                    }
                }
            }
        }
        groups
    }

    /// Tells the groups around a check, and those who wait for it, what is seen of it. Returns the
    /// checks and groups of which something else is seen than before.
    pub(super) fn spread(&mut self, index: usize, now: Now) -> Vec<CheckName> {
        let slot = &mut self.slots[index];
        let state = Arc::clone(&slot.state);
        let seen = Some(slot.seen());
        let moved = std::mem::replace(&mut slot.shown, seen) != slot.shown;
        // A first run may end a phase without a change of state.
        let own = moved || slot.starting;
        let slots = &self.slots;
        let name = &state.spec.name;
        let groups = self.groups.ran(name.as_str(), moved, &|name| find(slots, name), now.wall);
        if !groups.is_empty() {
            self.publish.mark(Urgency::Transition);
        }
        if own {
            self.go_on(index, now);
        }
        let mut all = groups;
        all.extend(moved.then(|| name.clone()));
        for name in &all {
            let Some(mut pending) = self.pending.remove(name) else { continue };
            pending.iter().for_each(|index| self.go_on(*index, now));
            pending.retain(|index| self.slots[*index].pending().any(|other| other == name));
            if !pending.is_empty() {
                self.pending.insert(name.clone(), pending);
            }
        }
        all
    }

    /// Lets a check begin that waited for others, or ends its start-up phase.
    pub(super) fn go_on(&mut self, index: usize, now: Now) {
        let slot = &self.slots[index];
        if !slot.waits.is_empty() {
            let waits = self.waits(&slot.waits);
            let slot = &mut self.slots[index];
            if waits != slot.waits {
                slot.waits = waits;
                self.publish.mark(Urgency::Transition);
                // After a pause it begins by itself.
                if slot.goes(now) && slot.paused.is_none() {
                    // Many may have waited for the same, and do not all run at once.
                    let due = slot.first(now);
                    slot.due = Some(due);
                    self.queue.push(Reverse((due, slot.id)));
                }
            }
        } else if slot.starting && self.has_started(slot) {
            let slot = &mut self.slots[index];
            slot.starting = false;
            slot.show(now);
            self.publish.mark(Urgency::Transition);
            if slot.running.is_none() && slot.due.is_some() {
                slot.due = slot.next(now);
                self.queue.extend(slot.due.map(|due| Reverse((due, slot.id))));
            }
        }
    }

    /// Those of the names that have not been healthy yet. A group without members is.
    pub(super) fn waits(&self, names: &[CheckName]) -> Vec<CheckName> {
        names.iter().filter(|name| !self.is_healthy(name.as_str())).cloned().collect()
    }

    /// Whether a check or group is as it should be, also in maintenance: a group of which every
    /// member is aside has no state of its own, so that its members are asked.
    pub(super) fn is_healthy(&self, name: &str) -> bool {
        match self.groups.get(name) {
            Some(group) if group.maintenance => {
                group.spec.members.iter().all(|member| self.is_healthy(member.name.as_str()))
            }
            Some(group) => group.spec.members.is_empty() || group.state.is_healthy(),
            None => find(&self.slots, name).is_some_and(|check| check.state.is_healthy()),
        }
    }

    /// A check that never ran has not started, however its group is.
    pub(super) fn has_started(&self, slot: &Slot) -> bool {
        if slot.last.is_none() {
            return false;
        }
        match &slot.spec.start.with {
            Some(group) => self.is_healthy(group.as_str()),
            None => slot.state.state.is_healthy(),
        }
    }
}
