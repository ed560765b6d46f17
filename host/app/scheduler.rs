//! Runs checks when they are due, and alone decides what their state is.
//!
//! One task owns every check's state; nobody else writes it. What it reacts to:
//!
//! - [`Command::Apply`]: the whole picture of what is to run. A check that stays the same keeps its
//!   state and its place in its interval; one that changed runs soon.
//! - a check is due: its run is spawned. It is not due again before that run has ended, so that runs
//!   of one check never overlap.
//! - a run has ended, also by a panic: its outcome goes through the thresholds. A check that faults
//!   again and again by its plugin's own doing is due later each time, until it answers.
//! - it is time to publish: a snapshot replaces the one that readers share.
//!
//! Each run is a task with a deadline of its own; a target that hangs holds up nobody else.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use wellcheck_core::check::What;
use wellcheck_core::group::GroupSpec;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run, RunLog};
use wellcheck_core::snapshot::{CheckState, Setup, Snapshot};
use wellcheck_core::time::{Monotonic, Now, WallTime};

use crate::checks::{Checker, RunContext};
use crate::clock::Clock;
use crate::published::Shared;
use crate::registry::Entry;

mod groups;
mod slot;
#[cfg(test)]
mod tests;

use groups::Groups;
use slot::Slot;

/// Snapshots are published at most this often, but for transitions.
const PUBLISH: Duration = Duration::from_millis(50);

/// Publishing takes at most one part in this many of a core, so that a hundred thousand checks do
/// not keep it busy with copying: while there is nothing but outcomes, and when a state changed.
const PUBLISH_SHARE: [u32; 2] = [100, 20];

/// Runs that are taken in before something else gets its turn.
const AT_ONCE: usize = 256;

/// How much later a plugin runs when there is no room for more of them.
const CROWDED: Duration = Duration::from_millis(100);

/// A kind that ignores its deadline is cut off this long after it.
const GRACE: Duration = Duration::from_millis(250);

/// What the scheduler is told.
pub(crate) enum Command {
    /// Run these and no others.
    Apply {
        /// Every check, by name.
        entries: Vec<Entry>,
        /// Every group, by name.
        groups: Vec<Arc<GroupSpec>>,
        /// What to show beside them.
        setup: Setup,
    },
    /// Something that somebody wants of one check.
    Order(CheckName, Order, oneshot::Sender<Result<(), Refusal>>),
}

/// What somebody may want of a check.
pub(crate) enum Order {
    /// To take in an outcome that comes from outside, of a check that waits for such.
    Take(Box<Run>),
}

/// Why an order is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such check.
    Unknown,
    /// The check cannot run at present, and says why.
    Held,
    /// The check takes no outcomes from outside.
    NotPassive,
    /// The server is about to stop.
    Stopping,
}

/// Where orders are given; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// To give orders over the channel that [`Scheduler::start`] returned.
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// Gives an order, and waits until it has been taken.
    ///
    /// # Errors
    /// When it is not followed.
    pub(crate) async fn order(&self, check: CheckName, order: Order) -> Result<(), Refusal> {
        let (reply, taken) = oneshot::channel();
        let command = Command::Order(check, order, reply);
        self.commands.send(command).await.map_err(|_closed| Refusal::Stopping)?;
        taken.await.map_err(|_closed| Refusal::Stopping)?
    }
}

/// See the module.
pub(crate) struct Scheduler {
    clock: Clock,
    shared: Shared,
    /// By name.
    slots: Vec<Slot>,
    groups: Groups,
    /// By the name of a check or group, the slots that wait for it, or whose start-up phase it ends.
    pending: HashMap<CheckName, Vec<usize>>,
    index: HashMap<u64, usize>,
    next_id: u64,
    queue: BinaryHeap<Reverse<(Monotonic, u64)>>,
    runs: JoinSet<(u64, Run)>,
    tasks: HashMap<Id, Task>,
    /// Most runs at once; the machine's file descriptors bound it.
    most_runs: usize,
    /// Runs of plugins under way. They may wait for a place, and must leave room for the rest.
    plugin_runs: usize,
    setup: Arc<Setup>,
    started: WallTime,
    publish: Publish,
}

/// A run under way.
struct Task {
    /// The number of its check.
    id: u64,
    is_plugin: bool,
}

/// When the next snapshot is due.
struct Publish {
    /// When the last one was made, and how long that took.
    last: Instant,
    cost: Duration,
    dirty: Option<Urgency>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Outcome,
    Transition,
}

impl Publish {
    fn mark(&mut self, urgency: Urgency) {
        self.dirty = self.dirty.max(Some(urgency));
    }

    fn due(&self) -> Option<Instant> {
        let pause = match self.dirty? {
            Urgency::Outcome => PUBLISH.max(self.cost * PUBLISH_SHARE[0]),
            Urgency::Transition => self.cost * PUBLISH_SHARE[1],
        };
        Some(self.last + pause)
    }
}

impl Scheduler {
    /// Starts with no checks. Publishes to `shared`.
    pub(crate) fn start(clock: Clock, shared: Shared, most_runs: usize) -> mpsc::Sender<Command> {
        let (sender, commands) = mpsc::channel(16);
        let scheduler = Self {
            clock,
            shared,
            slots: Vec::new(),
            groups: Groups::default(),
            pending: HashMap::new(),
            index: HashMap::new(),
            next_id: 0,
            queue: BinaryHeap::new(),
            runs: JoinSet::new(),
            tasks: HashMap::new(),
            most_runs,
            plugin_runs: 0,
            setup: Arc::default(),
            started: clock.now().wall,
            publish: Publish { last: Instant::now(), cost: Duration::ZERO, dirty: None },
        };
        tokio::spawn(scheduler.run(commands));
        sender
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let due = self.next_due();
            let publish = self.publish.due();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Apply { entries, groups, setup }) => {
                        self.apply(entries, groups, setup);
                    }
                    Some(Command::Order(check, order, reply)) => {
                        // Whoever gave it may have gone.
                        let _ = reply.send(self.order(&check, order));
                    }
                    // Everyone who could tell us anything is gone: the process ends.
                    None => return,
                },
                Some(ended) = self.runs.join_next_with_id(), if !self.runs.is_empty() => {
                    self.ended(ended);
                    // Some at once, and then whatever else is due.
                    for _ in 0..AT_ONCE {
                        let Some(ended) = self.runs.try_join_next_with_id() else { break };
                        self.ended(ended);
                    }
                }
                () = until(due.map(|due| self.clock.instant(due))) => {}
                () = until(publish.map(tokio::time::Instant::from_std)) => {}
            }
            self.start_due();
            if self.publish.due().is_some_and(|due| due <= Instant::now()) {
                self.publish();
            }
        }
    }

    /// When something is due next; nothing while as many runs as may be are under way.
    fn next_due(&mut self) -> Option<Monotonic> {
        if self.runs.len() >= self.most_runs {
            return None;
        }
        while let Some(Reverse((due, id))) = self.queue.peek() {
            let current = self.index.get(id).and_then(|index| self.slots[*index].due);
            if current == Some(*due) {
                return Some(*due);
            }
            self.queue.pop();
        }
        None
    }

    fn start_due(&mut self) {
        let now = self.clock.now();
        while let Some(due) = self.next_due() {
            if due > now.monotonic {
                return;
            }
            let Some(Reverse((_, id))) = self.queue.pop() else { return };
            let index = self.index[&id];
            let slot = &mut self.slots[index];
            slot.due = None;
            let Some((checker, _)) = slot.runner.as_ref().filter(|_| slot.waits.is_empty()) else {
                continue;
            };
            let is_plugin = matches!(slot.spec.what, What::Plugin { .. });
            if is_plugin && self.plugin_runs >= self.most_runs / 4 * 3 {
                let later = now.monotonic.after(CROWDED);
                slot.due = Some(later);
                self.queue.push(Reverse((later, id)));
                continue;
            }
            let checker = Arc::clone(checker);
            let timeout = slot.spec.timing.timeout;
            let context = RunContext {
                check: slot.spec.name.clone(),
                deadline: tokio::time::Instant::now() + timeout,
                failures_in_a_row: slot.failures,
                asked: Arc::default(),
            };
            let task =
                self.runs.spawn(async move { (id, guarded(&*checker, &context, timeout).await) });
            self.plugin_runs += usize::from(is_plugin);
            self.tasks.insert(task.id(), Task { id, is_plugin });
            self.slots[index].running = Some(task);
        }
    }

    fn ended(&mut self, ended: Result<(Id, (u64, Run)), JoinError>) {
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(task) = self.tasks.remove(&task) else { return };
        self.plugin_runs -= usize::from(task.is_plugin);
        let (id, run) = match ended {
            Ok((_, ended)) => ended,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!("a run panicked: {error}");
                let message = "the run panicked; this is a bug of wellcheck";
                (task.id, faulted(Fault::new(FaultReason::Internal, message), Duration::ZERO))
            }
        };
        let now = self.clock.now();
        // A check that was removed or changed meanwhile has another number.
        let Some(index) = self.index.get(&id).copied() else { return };
        let slot = &mut self.slots[index];
        slot.running = None;
        let mut pause = None;
        if slot.held.is_none() {
            pause = slot.pause(&run.outcome, now);
            let urgency = slot.observe(run, now);
            self.publish.mark(urgency);
            self.changed(index, now);
        }
        let slot = &mut self.slots[index];
        let due = match (slot.due, pause) {
            // A new version was swapped in during the run; it runs soon.
            (Some(due), _) => Some(due),
            (None, Some(pause)) => Some(now.monotonic.after(pause)),
            (None, None) => slot.next(now),
        };
        slot.due = due;
        self.queue.extend(due.map(|due| Reverse((due, id))));
    }

    fn order(&mut self, check: &CheckName, order: Order) -> Result<(), Refusal> {
        let place = self.slots.binary_search_by(|slot| slot.spec.name.cmp(check));
        let index = place.map_err(|_absent| Refusal::Unknown)?;
        let slot = &mut self.slots[index];
        match order {
            Order::Take(run) => {
                let (checker, _) = slot.runner.as_ref().ok_or(Refusal::Held)?;
                checker.waits().ok_or(Refusal::NotPassive)?;
                if slot.held.is_some() {
                    return Err(Refusal::Held);
                }
                let now = self.clock.now();
                let urgency = slot.observe(*run, now);
                self.publish.mark(urgency);
                self.changed(index, now);
                let slot = &mut self.slots[index];
                slot.due = slot.next(now);
                self.queue.extend(slot.due.map(|due| Reverse((due, slot.id))));
            }
        }
        Ok(())
    }

    /// A run of a check has ended: what depends on its state.
    fn changed(&mut self, index: usize, now: Now) {
        let slot = &mut self.slots[index];
        let state = Arc::clone(&slot.state);
        let moved = std::mem::replace(&mut slot.shown, (state.state, state.counts()));
        let moved = moved != slot.shown;
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
        for name in groups.iter().chain(moved.then_some(name)) {
            let Some(mut pending) = self.pending.remove(name) else { continue };
            pending.iter().for_each(|index| self.go_on(*index, now));
            pending.retain(|index| self.slots[*index].pending().any(|other| other == name));
            if !pending.is_empty() {
                self.pending.insert(name.clone(), pending);
            }
        }
    }

    /// Lets a check begin that waited for others, or ends its start-up phase.
    fn go_on(&mut self, index: usize, now: Now) {
        let slot = &self.slots[index];
        if !slot.waits.is_empty() {
            let waits = self.waits(&slot.waits);
            let slot = &mut self.slots[index];
            if waits != slot.waits {
                slot.waits = waits;
                self.publish.mark(Urgency::Transition);
                if slot.goes(now) {
                    // Many may have waited for the same, and do not all run at once.
                    let due = slot.first(now);
                    slot.due = Some(due);
                    self.queue.push(Reverse((due, slot.id)));
                }
            }
        } else if slot.starting && self.has_started(slot) {
            let slot = &mut self.slots[index];
            slot.starting = false;
            slot.show();
            self.publish.mark(Urgency::Transition);
            if slot.running.is_none() && slot.due.is_some() {
                slot.due = slot.next(now);
                self.queue.extend(slot.due.map(|due| Reverse((due, slot.id))));
            }
        }
    }

    /// Those of the names that have not been healthy yet. A group without members is.
    fn waits(&self, names: &[CheckName]) -> Vec<CheckName> {
        names.iter().filter(|name| !self.is_healthy(name.as_str())).cloned().collect()
    }

    /// Whether a check or group is as it should be, also in maintenance: a group of which every
    /// member is aside has no state of its own, so that its members are asked.
    fn is_healthy(&self, name: &str) -> bool {
        match self.groups.get(name) {
            Some(group) if group.maintenance => {
                group.spec.members.iter().all(|member| self.is_healthy(member.name.as_str()))
            }
            Some(group) => group.spec.members.is_empty() || group.state.is_healthy(),
            None => find(&self.slots, name).is_some_and(|check| check.state.is_healthy()),
        }
    }

    /// A check that never ran has not started, however its group is.
    fn has_started(&self, slot: &Slot) -> bool {
        if slot.last.is_none() {
            return false;
        }
        match &slot.spec.start.with {
            Some(group) => self.is_healthy(group.as_str()),
            None => slot.state.state.is_healthy(),
        }
    }

    /// Takes over the whole picture.
    fn apply(&mut self, entries: Vec<Entry>, groups: Vec<Arc<GroupSpec>>, setup: Setup) {
        let now = self.clock.now();
        let mut old: HashMap<_, Slot> =
            self.slots.drain(..).map(|slot| (slot.spec.name.clone(), slot)).collect();
        for entry in entries {
            let kept = match old.remove(&entry.spec.name) {
                Some(slot) if slot.spec.what == entry.spec.what => Some(slot),
                Some(changed) => {
                    changed.cancel();
                    None
                }
                None => None,
            };
            let mut slot = kept.unwrap_or_else(|| {
                self.next_id += 1;
                Slot::new(self.next_id, &entry, now)
            });
            if let Some(due) = slot.take_over(entry, now) {
                self.queue.push(Reverse((due, slot.id)));
            }
            self.slots.push(slot);
        }
        for (name, slot) in &old {
            slot.cancel();
            tracing::info!(check = %name, "check removed");
        }
        self.index = self.slots.iter().enumerate().map(|(index, slot)| (slot.id, index)).collect();
        let slots = &self.slots;
        self.groups.apply(groups, &|name| find(slots, name), now.wall);
        self.pending.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.shown = (slot.state.state, slot.state.counts());
            for name in slot.pending() {
                self.pending.entry(name.clone()).or_default().push(index);
            }
        }
        for index in 0..self.slots.len() {
            self.go_on(index, now);
        }
        self.setup = Arc::new(setup);
        self.publish.mark(Urgency::Transition);
    }

    fn publish(&mut self) {
        let started = Instant::now();
        self.shared.publish(Snapshot {
            at: self.clock.now().wall,
            started: self.started,
            checks: self.slots.iter().map(|slot| Arc::clone(&slot.state)).collect(),
            groups: self.groups.states(),
            setup: Arc::clone(&self.setup),
        });
        self.publish = Publish { last: Instant::now(), cost: started.elapsed(), dirty: None };
    }
}

/// The state of the check of that name.
fn find<'a>(slots: &'a [Slot], name: &str) -> Option<&'a Arc<CheckState>> {
    let index = slots.binary_search_by(|slot| slot.spec.name.as_str().cmp(name)).ok()?;
    Some(&slots[index].state)
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// A kind keeps to its deadline by itself; one that does not is a defect, and is cut off.
async fn guarded(checker: &dyn Checker, context: &RunContext, timeout: Duration) -> Run {
    match tokio::time::timeout_at(context.deadline + GRACE, checker.run(context)).await {
        Ok(run) => run,
        Err(_elapsed) => {
            let message = format!("the check did not end within its timeout of {timeout:?}");
            faulted(Fault::new(FaultReason::Timeout, message), timeout + GRACE)
        }
    }
}

fn faulted(fault: Fault, duration: Duration) -> Run {
    let (outcome, log) = (Outcome::Faulted(fault), RunLog::default());
    Run { outcome, duration, log, used: Vec::new() }
}
