//! The states of groups: made from those of their members whenever one of these may have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use wellcheck_core::group::{Count, GroupSpec};
use wellcheck_core::id::CheckName;
use wellcheck_core::maintenance::Around;
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
    /// The groups that a check or group is directly within, by their places in the list, each with
    /// its place among the members.
    of: HashMap<String, Vec<(usize, usize)>>,
    /// All of them, the inner ones first.
    order: Vec<usize>,
    /// The place of each of them in `order`.
    ranks: Vec<usize>,
}

struct Group {
    tracker: Tracker,
    state: Arc<GroupState>,
    /// What its members argued for when they were last asked.
    argued: Option<Status>,
    /// What is known of each member, and of all together: a member that changes costs the same
    /// however many there are.
    members: Vec<Seen>,
    count: Count,
    aside: usize,
}

/// What a group knows of a member. One that is not there is `unknown`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    status: Status,
    counts: bool,
    aside: bool,
}

impl Seen {
    fn of(item: Option<Item<'_>>) -> Self {
        match item {
            Some(item) => {
                Self { status: item.state(), counts: item.counts(), aside: item.in_maintenance() }
            }
            None => Self { status: Status::Unknown, counts: true, aside: false },
        }
    }
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
            for (place, member) in group.state.spec.members.iter().enumerate() {
                self.of.entry(member.name.to_string()).or_default().push((index, place));
            }
        }
        self.order = self.inner_first();
        self.ranks = vec![0; self.order.len()];
        for (rank, index) in self.order.iter().enumerate() {
            self.ranks[*index] = rank;
        }
        for index in self.order.clone() {
            let members = 0..self.list[index].state.spec.members.len();
            self.list[index].forget();
            members.for_each(|member| self.look(index, member, find));
            self.evaluate(index, Cause::Picture, now);
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

    /// The groups around a check, and their tags.
    pub(super) fn around(&self, check: &str) -> Around {
        let mut around = Around::default();
        let mut open = vec![check.to_owned()];
        while let Some(name) = open.pop() {
            for (index, _) in self.of.get(&name).map_or(&[][..], |groups| groups) {
                let spec = &self.list[*index].state.spec;
                if around.names.insert(spec.name.clone()) {
                    around.tags.extend(spec.tags.iter().cloned());
                    open.push(spec.name.to_string());
                }
            }
        }
        around
    }

    /// The state of the group of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<GroupState>> {
        self.place(name).map(|index| &self.list[index].state)
    }

    /// All of them, by name.
    pub(super) fn states(&self) -> Vec<Arc<GroupState>> {
        self.list.iter().map(|group| Arc::clone(&group.state)).collect()
    }

    /// A run of a check has ended, and may have changed what is seen of it. Returns the groups that
    /// may be seen in another way now.
    pub(super) fn ran(
        &mut self,
        check: &str,
        changed: bool,
        find: Find<'_>,
        now: WallTime,
    ) -> Vec<CheckName> {
        let mut moved = Vec::new();
        // By rank, so that each is asked once, and after all that is within it.
        let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        self.open(check, changed, &mut open);
        while let Some((rank, members)) = open.pop_first() {
            let index = self.order[rank];
            let touched = !members.is_empty();
            // Without a change nothing moves but a row of evaluations that argue for another state.
            let (seen, has_moved) = if members.is_empty() && self.list[index].tracker.row() == 0 {
                (false, false)
            } else {
                members.into_iter().for_each(|member| self.look(index, member, find));
                self.evaluate(index, Cause::Run, now)
            };
            let name = self.list[index].state.spec.name.clone();
            self.open(name.as_str(), seen, &mut open);
            // One in maintenance has no state of its own: whoever waits for it asks its members.
            if has_moved || touched && self.list[index].state.maintenance {
                moved.push(name);
            }
        }
        moved
    }

    /// Adds the groups that a check or group is directly within, each with the members that changed.
    fn open(&self, name: &str, changed: bool, open: &mut BTreeMap<usize, Vec<usize>>) {
        for (index, member) in self.of.get(name).map_or(&[][..], |groups| groups) {
            let members = open.entry(self.ranks[*index]).or_default();
            members.extend(changed.then_some(*member));
        }
    }

    /// Looks at one member of a group.
    fn look(&mut self, index: usize, member: usize, find: Find<'_>) {
        let spec = Arc::clone(&self.list[index].state.spec);
        let name = spec.members[member].name.as_str();
        let check = find(name).map(Item::Check);
        let seen = Seen::of(check.or_else(|| self.get(name).map(Item::Group)));
        self.list[index].take_in(member, spec.members[member].weight, seen);
    }

    /// Asks the members of a group. Returns whether anything of it changed, and whether its state did.
    fn evaluate(&mut self, index: usize, cause: Cause, now: WallTime) -> (bool, bool) {
        let group = &mut self.list[index];
        let spec = Arc::clone(&group.state.spec);
        let status = spec.status(&group.count);
        let before = Arc::clone(&group.state);
        let again = status == std::mem::replace(&mut group.argued, status);
        let state = match status {
            None => {
                group.tracker = Tracker::default();
                Status::Unknown
            }
            // Nothing is believed before there is something to believe.
            Some(Status::Unknown) if group.tracker == Tracker::default() => Status::Unknown,
            // A reload is no further argument of the members.
            Some(_) if again && cause == Cause::Picture => group.tracker.state(),
            Some(status) => {
                group.tracker.observe(status, spec.thresholds);
                group.tracker.state()
            }
        };
        let maintenance = group.aside > 0 && group.aside == spec.members.len();
        let moved = state != before.state;
        let asked = status.is_some();
        let healthy = group.count.healthy();
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

/// Why the members of a group are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// There is a new picture of what is to run.
    Picture,
    /// A run of a member has ended.
    Run,
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
        Self {
            tracker: Tracker::default(),
            state: Arc::new(state),
            argued: None,
            members: Vec::new(),
            count: Count::default(),
            aside: 0,
        }
    }

    /// Nothing is known of the members any more.
    fn forget(&mut self) {
        let aside = Seen { status: Status::Unknown, counts: false, aside: false };
        self.members = vec![aside; self.state.spec.members.len()];
        self.count = Count::default();
        self.aside = 0;
    }

    fn take_in(&mut self, member: usize, weight: u32, seen: Seen) {
        let before = std::mem::replace(&mut self.members[member], seen);
        if before.counts {
            self.count.remove(before.status, weight);
        }
        if seen.counts {
            self.count.add(seen.status, weight);
        }
        self.aside = self.aside + usize::from(seen.aside) - usize::from(before.aside);
    }
}

#[cfg(test)]
mod tests {
    use wellcheck_core::check::{CheckSpec, Thresholds, What};
    use wellcheck_core::config::tree::{Place, Table, Text};
    use wellcheck_core::group::{Member, Needs, UnknownMember};
    use wellcheck_core::snapshot::Facts;

    use super::*;

    fn name(text: &str) -> CheckName {
        CheckName::new(text).expect("a name")
    }

    /// Checks by name, as the scheduler has them.
    #[derive(Default)]
    struct Checks(BTreeMap<String, Arc<CheckState>>);

    impl Checks {
        fn of(states: &[(&str, Status)]) -> Self {
            let mut checks = Self::default();
            for (name, state) in states {
                checks.set(name, *state);
            }
            checks
        }

        fn set(&mut self, check: &str, state: Status) {
            self.put(check, state, false);
        }

        fn put(&mut self, check: &str, state: Status, maintenance: bool) {
            let place = Place::file("wellcheck.toml");
            let kind = Text { value: "http".to_owned(), written: None, place: place.clone() };
            let settings = Table { entries: BTreeMap::new(), place: place.clone() };
            let spec = CheckSpec::new(name(check), What::Builtin { kind, settings }, place);
            let spec = Arc::new(CheckSpec { maintenance, ..spec });
            let new = CheckState::new(spec, Arc::<Facts>::default(), WallTime(0));
            self.0.insert(check.to_owned(), Arc::new(CheckState { state, ..new }));
        }
    }

    fn apply(groups: &mut Groups, specs: &[Arc<GroupSpec>], checks: &Checks, now: i64) {
        let find = |name: &str| checks.0.get(name);
        groups.apply(specs.to_vec(), &find, WallTime(now));
    }

    fn group(own: &str, members: &[&str], needs: Needs, failure: u32) -> Arc<GroupSpec> {
        let members = members.iter().map(|member| Member { name: name(member), weight: 1 });
        Arc::new(GroupSpec {
            name: name(own),
            title: None,
            tags: Vec::new(),
            labels: BTreeMap::new(),
            members: members.collect(),
            needs,
            unknown: UnknownMember::default(),
            thresholds: Thresholds { failure, within: None, success: 1 },
            place: Place::file("wellcheck.toml"),
        })
    }

    fn of(specs: &[Arc<GroupSpec>], checks: &Checks) -> Groups {
        let mut groups = Groups::default();
        apply(&mut groups, specs, checks, 0);
        groups
    }

    fn ran(groups: &mut Groups, checks: &Checks, check: &str, changed: bool) -> Vec<String> {
        let find = |name: &str| checks.0.get(name);
        let moved = groups.ran(check, changed, &find, WallTime(1));
        moved.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check_state(groups: &Groups, name: &str, state: Status) {
        assert_eq!(groups.get(name).map(|group| group.state), Some(state), "{name}");
    }

    const ALL: Needs = Needs::All;

    #[test]
    fn a_change_goes_up_through_all_groups_around_it() {
        let mut checks = Checks::of(&[("a", Status::Pass), ("b", Status::Pass)]);
        // By name, the outer one comes first.
        let specs = [group("all", &["inner", "b"], ALL, 1), group("inner", &["a"], ALL, 1)];
        let mut groups = of(&specs, &checks);
        check_state(&groups, "all", Status::Pass);
        checks.set("a", Status::Fail);
        assert_eq!(ran(&mut groups, &checks, "a", true), ["inner", "all"]);
        check_state(&groups, "all", Status::Fail);
        let state = groups.get("all").expect("it is there");
        assert_eq!((state.since, state.healthy), (WallTime(1), (1, 2)));
        assert_eq!(ran(&mut groups, &checks, "a", false), [""; 0]);
    }

    #[test]
    fn a_group_that_a_run_reaches_in_two_ways_is_asked_once() {
        let mut checks = Checks::of(&[("a", Status::Pass)]);
        let specs = [
            group("left", &["a"], ALL, 1),
            group("right", &["a"], ALL, 1),
            group("top", &["left", "right"], ALL, 2),
        ];
        let mut groups = of(&specs, &checks);
        checks.set("a", Status::Fail);
        assert_eq!(ran(&mut groups, &checks, "a", true), ["left", "right"]);
        check_state(&groups, "top", Status::Pass);
        assert_eq!(ran(&mut groups, &checks, "a", false), ["top"], "the second run in a row");
        check_state(&groups, "top", Status::Fail);
    }

    #[test]
    fn a_reload_is_no_argument_of_the_members() {
        let mut checks = Checks::of(&[("a", Status::Pass)]);
        let specs = [group("g", &["a"], ALL, 3)];
        let mut groups = of(&specs, &checks);
        checks.set("a", Status::Fail);
        ran(&mut groups, &checks, "a", true);
        for _ in 0..5 {
            apply(&mut groups, &specs, &checks, 2);
            check_state(&groups, "g", Status::Pass);
        }
        ran(&mut groups, &checks, "a", false);
        check_state(&groups, "g", Status::Pass);
        assert_eq!(ran(&mut groups, &checks, "a", false), ["g"]);
        // What a reload itself changes is one.
        checks.set("a", Status::Pass);
        apply(&mut groups, &specs, &checks, 3);
        check_state(&groups, "g", Status::Pass);
    }

    #[test]
    fn a_row_of_arguments_ends_where_nobody_knows_how_the_members_are() {
        let mut checks = Checks::of(&[("a", Status::Pass)]);
        let spec = group("g", &["a"], ALL, 1);
        let thresholds = Thresholds { failure: 1, within: None, success: 2 };
        let specs = [Arc::new(GroupSpec { thresholds, ..(*spec).clone() })];
        let mut groups = of(&specs, &checks);
        for (state, then) in [
            (Status::Unknown, Status::Unknown),
            (Status::Pass, Status::Unknown),
            (Status::Unknown, Status::Unknown),
            (Status::Pass, Status::Unknown),
            (Status::Pass, Status::Pass),
        ] {
            checks.set("a", state);
            ran(&mut groups, &checks, "a", true);
            check_state(&groups, "g", then);
        }
    }

    #[test]
    fn nothing_is_believed_before_a_member_is_known() {
        let mut checks = Checks::of(&[("a", Status::Unknown), ("b", Status::Unknown)]);
        let specs = [group("g", &["a", "b"], ALL, 3), group("none", &[], ALL, 1)];
        let mut groups = of(&specs, &checks);
        check_state(&groups, "g", Status::Unknown);
        let none = groups.get("none").expect("it is there");
        assert!(!none.counts() && none.state == Status::Unknown);
        checks.set("a", Status::Pass);
        assert_eq!(ran(&mut groups, &checks, "a", true), [""; 0]);
        // The first word decides, whatever the thresholds.
        checks.set("b", Status::Fail);
        assert_eq!(ran(&mut groups, &checks, "b", true), ["g"]);
        check_state(&groups, "g", Status::Fail);
    }

    #[test]
    fn members_in_maintenance_are_left_out_and_a_group_of_them_is_in_it() {
        let mut checks = Checks::of(&[("a", Status::Fail), ("b", Status::Pass)]);
        let specs = [group("g", &["a", "b"], ALL, 1)];
        let mut groups = of(&specs, &checks);
        check_state(&groups, "g", Status::Fail);
        checks.put("a", Status::Fail, true);
        apply(&mut groups, &specs, &checks, 2);
        check_state(&groups, "g", Status::Pass);
        checks.put("b", Status::Pass, true);
        apply(&mut groups, &specs, &checks, 3);
        let state = groups.get("g").expect("it is there");
        assert!(state.maintenance && !state.counts());
        checks.put("a", Status::Fail, false);
        apply(&mut groups, &specs, &checks, 4);
        check_state(&groups, "g", Status::Fail);
    }
}
