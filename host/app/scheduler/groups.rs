//! The states of groups: made from those of their members whenever one of these may have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wellcheck_core::group::GroupSpec;
use wellcheck_core::snapshot::{CheckState, GroupState, Item};
use wellcheck_core::status::Status;
use wellcheck_core::threshold::Tracker;
use wellcheck_core::time::WallTime;

/// Finds the state of a check by its name.
pub(super) type Find<'a> = &'a dyn Fn(&str) -> Option<&'a Arc<CheckState>>;

/// See the module.
#[derive(Default)]
pub(super) struct Groups {
    /// By name.
    list: Vec<Group>,
    /// The groups, by their places in the list, that a check or group is directly within.
    of: BTreeMap<String, Vec<usize>>,
    /// All of them, the inner ones first.
    order: Vec<usize>,
}

struct Group {
    tracker: Tracker,
    state: Arc<GroupState>,
}

impl Groups {
    /// Takes over the whole picture; a group that stays the same keeps its state.
    pub(super) fn apply(&mut self, specs: Vec<Arc<GroupSpec>>, find: Find<'_>, now: WallTime) {
        let mut old: BTreeMap<String, Group> = std::mem::take(&mut self.list)
            .into_iter()
            .map(|group| (group.state.spec.name.to_string(), group))
            .collect();
        self.list = specs
            .into_iter()
            .map(|spec| match old.remove(spec.name.as_str()) {
                Some(group) if same(&group.state.spec, &spec) => {
                    let state = GroupState { spec, ..(*group.state).clone() };
                    Group { state: Arc::new(state), ..group }
                }
                _ => Group::new(spec, now),
            })
            .collect();
        self.of.clear();
        for (index, group) in self.list.iter().enumerate() {
            for member in &group.state.spec.members {
                self.of.entry(member.name.to_string()).or_default().push(index);
            }
        }
        self.order = self.inner_first();
        for index in self.order.clone() {
            self.evaluate(index, find, now);
        }
    }

    fn inner_first(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        // The configuration has seen to it that no group is within itself.
        let mut open: Vec<(usize, bool)> = (0..self.list.len()).rev().map(|i| (i, false)).collect();
        while let Some((index, inner_done)) = open.pop() {
            if done.contains(&index) {
                continue;
            }
            if inner_done {
                done.insert(index);
                order.push(index);
                continue;
            }
            open.push((index, true));
            let members = self.list[index].state.spec.members.iter();
            open.extend(members.filter_map(|m| self.place(m.name.as_str())).map(|i| (i, false)));
        }
        order
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.list.binary_search_by(|group| group.state.spec.name.as_str().cmp(name)).ok()
    }

    /// The state of the group of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<GroupState>> {
        self.place(name).map(|index| &self.list[index].state)
    }

    /// All of them, by name.
    pub(super) fn states(&self) -> Vec<Arc<GroupState>> {
        self.list.iter().map(|group| Arc::clone(&group.state)).collect()
    }

    /// A run of a check has ended, and may have changed what is seen of it. Returns whether a group
    /// has another state now.
    pub(super) fn ran(
        &mut self,
        check: &str,
        changed: bool,
        find: Find<'_>,
        now: WallTime,
    ) -> bool {
        let mut any = false;
        let mut open: Vec<(usize, bool)> = self.within(check, changed);
        while let Some((index, changed)) = open.pop() {
            // Without a change nothing moves but a row of evaluations that argue for another state.
            if !changed && self.list[index].tracker.row() == 0 {
                continue;
            }
            let (seen, moved) = self.evaluate(index, find, now);
            any |= moved;
            let name = self.list[index].state.spec.name.to_string();
            open.extend(self.within(&name, seen));
        }
        any
    }

    fn within(&self, name: &str, changed: bool) -> Vec<(usize, bool)> {
        let within = self.of.get(name).map_or(&[][..], |groups| groups);
        within.iter().map(|index| (*index, changed)).collect()
    }

    /// Asks the members of a group. Returns whether anything of it changed, and whether its state did.
    fn evaluate(&mut self, index: usize, find: Find<'_>, now: WallTime) -> (bool, bool) {
        let spec = Arc::clone(&self.list[index].state.spec);
        let mut standings = Vec::with_capacity(spec.members.len());
        let (mut healthy, mut aside) = (0, 0);
        for member in &spec.members {
            let name = member.name.as_str();
            let check = find(name).map(Item::Check);
            let Some(item) = check.or_else(|| self.get(name).map(Item::Group)) else { continue };
            aside += usize::from(item.in_maintenance());
            if item.counts() {
                healthy += usize::from(item.state().is_healthy());
                standings.push((item.state(), member.weight));
            }
        }
        let all = standings.len();
        let status = spec.status(standings);
        let group = &mut self.list[index];
        let before = Arc::clone(&group.state);
        let state = match status {
            None => {
                group.tracker = Tracker::default();
                Status::Unknown
            }
            // Nothing is believed before there is something to believe.
            Some(Status::Unknown) if !before.asked || before.state == Status::Unknown => {
                Status::Unknown
            }
            Some(status) => {
                group.tracker.observe(status, spec.thresholds);
                group.tracker.state()
            }
        };
        let maintenance = aside > 0 && aside == spec.members.len();
        let moved = state != before.state;
        let asked = status.is_some();
        let healthy = (healthy, all);
        let seen = moved
            || (asked, maintenance, healthy) != (before.asked, before.maintenance, before.healthy);
        if seen {
            let since = if moved { now } else { before.since };
            group.state = Arc::new(GroupState { spec, state, since, asked, maintenance, healthy });
        }
        if moved {
            let (from, to) = (before.state, state);
            let message = self.list[index].state.message();
            if to.is_healthy() {
                tracing::info!(group = %before.spec.name, %from, %to, "{message}");
            } else {
                tracing::warn!(group = %before.spec.name, %from, %to, "{message}");
            }
        }
        (seen, moved)
    }
}

/// Whether a state of the one is a state of the other.
fn same(a: &GroupSpec, b: &GroupSpec) -> bool {
    (&a.members, a.needs, a.unknown) == (&b.members, b.needs, b.unknown)
}

impl Group {
    fn new(spec: Arc<GroupSpec>, now: WallTime) -> Self {
        let state = GroupState {
            spec,
            state: Status::Unknown,
            since: now,
            asked: false,
            maintenance: false,
            healthy: (0, 0),
        };
        Self { tracker: Tracker::default(), state: Arc::new(state) }
    }
}
