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
//! - somebody gives an order: to run a check now, to pause it, to take in an outcome from outside, to
//!   open a maintenance window.
//! - a maintenance window opens or closes, a pause ends, a check has not run for too long.
//! - it is time to publish: a snapshot replaces the one that readers share.
//!
//! | file | what |
//! | --- | --- |
//! | `slot.rs` | one check: what runs, and when |
//! | `belief.rs` | what is believed of it: from outcomes to the state that is shown |
//! | `spread.rs` | what follows when something else is seen of a check |
//! | `groups.rs` | the states of groups |
//! | `depends.rs` | what depends on what, and what is blocked |
//! | `windows.rs` | maintenance windows and pauses |
//! | `places.rs` | how many run at once, by kind |
//! | `orders.rs` | what somebody may want of a check |
//!
//! Each run is a task with a deadline of its own; a target that hangs holds up nobody else.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use wellcheck_core::check::What;
use wellcheck_core::condition::Judgement;
use wellcheck_core::config::Runs;
use wellcheck_core::group::GroupSpec;
use wellcheck_core::id::CheckName;
use wellcheck_core::maintenance::Window;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run};
use wellcheck_core::snapshot::{CheckState, Setup, Snapshot};
use wellcheck_core::time::{Monotonic, Now, WallTime};

use crate::checks::{Checker, RunContext};
use crate::clock::Clock;
use crate::published::Shared;
use crate::records::{Noted, Records};
use crate::registry::Entry;

mod belief;
mod depends;
mod groups;
mod orders;
mod places;
mod slot;
mod spread;
#[cfg(test)]
mod tests;
mod windows;

pub(crate) use orders::{Handle, Maintain, Order, Refusal};

use groups::Groups;
use places::{Place, Places};
use slot::Slot;
use windows::Windows;

/// Snapshots are published at most this often, but for transitions.
const PUBLISH: Duration = Duration::from_millis(50);

/// Publishing takes at most one part in this many of a core, so that a hundred thousand checks do
/// not keep it busy with copying: while there is nothing but outcomes, and when a state changed.
const PUBLISH_SHARE: [u32; 2] = [100, 20];

/// Runs that are taken in before something else gets its turn.
const AT_ONCE: usize = 256;

/// How often it is seen whether checks have not run for too long.
const SWEEP: Duration = Duration::from_secs(1);

/// A wall clock that moves by so much against the monotonic one was set, in milliseconds.
const STEP: u64 = 1000;

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
        /// When somebody works on something.
        windows: Vec<Window>,
        /// How many run at once.
        runs: Runs,
    },
    /// Something that somebody wants of maintenance windows.
    Maintain(Maintain, oneshot::Sender<Result<(), Refusal>>),
    /// Something that somebody wants of one check.
    Order(CheckName, Order, oneshot::Sender<Result<u64, Refusal>>),
}

/// See the module.
pub(crate) struct Scheduler {
    clock: Clock,
    shared: Shared,
    /// Where runs that failed are kept.
    records: Records,
    /// By name.
    slots: Vec<Slot>,
    groups: Groups,
    /// By the name of a check or group, the slots that wait for it, or whose start-up phase it ends.
    pending: HashMap<CheckName, Vec<usize>>,
    /// By the name of a check or group, the slots that depend on it.
    dependents: HashMap<CheckName, Vec<usize>>,
    windows: Windows,
    places: Places,
    /// When it is seen next whether checks have not run for too long.
    sweep: Monotonic,
    /// By how much the wall clock is ahead of the monotonic one, in milliseconds.
    ahead: i64,
    index: HashMap<u64, usize>,
    next_id: u64,
    queue: BinaryHeap<Reverse<(Monotonic, u64)>>,
    runs: JoinSet<(u64, Run)>,
    tasks: HashMap<Id, Task>,
    /// Most runs at once; the machine's file descriptors bound it, and the configuration may.
    most_runs: usize,
    bound: usize,
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
    place: Place,
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
    pub(crate) fn start(
        clock: Clock,
        shared: Shared,
        records: Records,
        most_runs: usize,
    ) -> mpsc::Sender<Command> {
        let (sender, commands) = mpsc::channel(16);
        tokio::spawn(Self::new(clock, shared, records, most_runs).run(commands));
        sender
    }

    fn new(clock: Clock, shared: Shared, records: Records, most_runs: usize) -> Self {
        Self {
            clock,
            shared,
            records,
            slots: Vec::new(),
            groups: Groups::default(),
            pending: HashMap::new(),
            dependents: HashMap::new(),
            windows: Windows::default(),
            places: Places::default(),
            sweep: clock.now().monotonic,
            ahead: 0,
            index: HashMap::new(),
            next_id: 0,
            queue: BinaryHeap::new(),
            runs: JoinSet::new(),
            tasks: HashMap::new(),
            most_runs,
            bound: most_runs,
            plugin_runs: 0,
            setup: Arc::default(),
            started: clock.now().wall,
            publish: Publish { last: Instant::now(), cost: Duration::ZERO, dirty: None },
        }
    }

    /// When it is to be seen whether checks have not run for too long.
    fn swept(&self) -> Option<Monotonic> {
        (!self.slots.is_empty()).then_some(self.sweep)
    }

    /// What happens by the clock alone.
    fn look(&mut self) {
        let now = self.clock.now();
        if self.windows.next.is_some_and(|next| next <= now.monotonic) {
            self.look_at_windows();
        }
        if self.sweep <= now.monotonic {
            self.sweep = now.monotonic.after(SWEEP);
            self.look_at_the_wall(now);
            for index in 0..self.slots.len() {
                let slot = &mut self.slots[index];
                if !slot.stale && slot.is_overdue(now.monotonic) {
                    slot.stale = true;
                    slot.show(now);
                    self.seen_anew(index, now);
                }
            }
        }
    }

    /// Finds the points of cron expressions anew after the wall clock was set, or went on while the
    /// machine was suspended.
    fn look_at_the_wall(&mut self, now: Now) {
        let ahead = now.wall.0.saturating_sub(milliseconds(now.monotonic));
        if ahead.abs_diff(self.ahead) < STEP {
            return;
        }
        self.ahead = ahead;
        for slot in &mut self.slots {
            let waits = slot.spec.cron.is_some() && slot.last.is_some() && slot.backoff.is_none();
            if waits && slot.running.is_none() && slot.due.is_some_and(|due| due > now.monotonic) {
                slot.due = slot.next(now);
                self.queue.extend(slot.due.map(|due| Reverse((due, slot.id))));
            }
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let due = self.next_due();
            let publish = self.publish.due();
            let look = self.windows.next.into_iter().chain(self.swept()).min();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Apply { entries, groups, setup, windows, runs }) => {
                        self.windows.apply(windows);
                        self.places.apply(&runs);
                        self.most_runs = runs.most.unwrap_or(usize::MAX).min(self.bound);
                        self.apply(entries, groups, setup);
                        self.turns();
                    }
                    Some(Command::Maintain(maintain, reply)) => {
                        let _ = reply.send(self.maintain(maintain));
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
                () = until(look.map(|look| self.clock.instant(look))) => self.look(),
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
            let Some(place) = self.places.take(slot.spec.kind(), id) else {
                slot.queued = true;
                continue;
            };
            let checker = Arc::clone(checker);
            slot.queued = false;
            slot.began = now.monotonic;
            let timeout = slot.spec.timing.timeout;
            let context = RunContext {
                check: slot.spec.name.clone(),
                deadline: tokio::time::Instant::now() + timeout,
                failures_in_a_row: slot.failures,
                asked: slot.spec.judgement.asked(),
            };
            let judgement = slot.spec.judgement.clone();
            let records = self.records.clone();
            let task = self.runs.spawn(async move {
                let (run, noted) = guarded(&*checker, &context, timeout).await;
                let run = judged(run, &judgement);
                if let Some(noted) = noted {
                    records.keep(&context.check, &noted, &run);
                }
                (id, run)
            });
            self.plugin_runs += usize::from(is_plugin);
            self.tasks.insert(task.id(), Task { id, is_plugin, place });
            self.slots[index].running = Some(task);
        }
    }

    fn ended(&mut self, ended: Result<(Id, (u64, Run)), JoinError>) {
        let number = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(task) = self.tasks.remove(&number) else { return };
        self.plugin_runs -= usize::from(task.is_plugin);
        self.places.free(&task.place);
        self.turns();
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
        // An outcome from outside may have come before that of a run which had ended already.
        if slot.running.as_ref().map(AbortHandle::id) != Some(number) {
            return;
        }
        slot.running = None;
        self.took(index, run, now);
    }

    /// Takes in the outcome of a run, and decides when the check runs again.
    fn took(&mut self, index: usize, run: Run, now: Now) {
        let slot = &mut self.slots[index];
        let mut pause = None;
        if slot.held.is_none() {
            pause = slot.pause(&run.outcome, now);
            let urgency = slot.observe(run, now);
            self.publish.mark(urgency);
            self.changed(index, now);
            self.ask_parents(index, now);
        }
        let slot = &mut self.slots[index];
        let mut again = slot.blocked.lingers.is_some_and(|since| slot.began < since);
        again |= std::mem::take(&mut slot.once_more);
        let due = match (slot.due, pause) {
            // A new version was swapped in during the run; it runs soon.
            (Some(due), _) => Some(due),
            // What it depends on has become healthy during the run, or somebody wants another.
            (None, _) if again && slot.waits_for_others().is_none() => Some(now.monotonic),
            (None, Some(pause)) => Some(now.monotonic.after(pause)),
            (None, None) => slot.next(now),
        };
        slot.due = due;
        self.queue.extend(due.map(|due| Reverse((due, slot.id))));
    }

    /// Those who waited for a place among the runs of their kind, and whose turn it is.
    fn turns(&mut self) {
        let now = self.clock.now().monotonic;
        let Self { places, index, slots, queue, .. } = self;
        places.offer(|id| {
            // A check that was removed or changed meanwhile has another number.
            let Some(slot) = index.get(&id).map(|index| &mut slots[*index]) else { return false };
            let goes = std::mem::take(&mut slot.queued);
            if goes {
                slot.due = Some(now);
                queue.push(Reverse((now, id)));
            }
            goes
        });
    }

    /// The place of the check of that name.
    fn place(&self, name: &str) -> Option<usize> {
        self.slots.binary_search_by(|slot| slot.spec.name.as_str().cmp(name)).ok()
    }

    /// Takes over the whole picture.
    fn apply(&mut self, entries: Vec<Entry>, groups: Vec<Arc<GroupSpec>>, setup: Setup) {
        let now = self.clock.now();
        let mut old: HashMap<_, Slot> =
            self.slots.drain(..).map(|slot| (slot.spec.name.clone(), slot)).collect();
        for entry in entries {
            let mut slot = match old.remove(&entry.spec.name) {
                Some(slot) if slot.spec.what == entry.spec.what => slot,
                changed => {
                    self.next_id += 1;
                    let new = Slot::new(self.next_id, &entry, now);
                    if let Some(changed) = &changed {
                        changed.cancel();
                    }
                    // Who paused it did so by its name, whatever it looks at.
                    Slot { paused: changed.and_then(|changed| changed.paused), ..new }
                }
            };
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
        self.dependents.clear();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.shown = Some(slot.seen());
            for name in slot.pending() {
                self.pending.entry(name.clone()).or_default().push(index);
            }
            for name in &slot.spec.depends_on {
                self.dependents.entry(name.clone()).or_default().push(index);
            }
        }
        let mut ill = HashMap::new();
        for index in 0..self.slots.len() {
            self.go_on(index, now);
            let depends = !self.slots[index].spec.depends_on.is_empty();
            if (depends || !self.slots[index].blocked.by.is_empty())
                && self.reblock(index, &mut ill, now)
                && self.changed(index, now)
            {
                ill.clear();
            }
        }
        self.look_at_windows();
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
            windows: Arc::clone(&self.windows.states),
            setup: Arc::clone(&self.setup),
        });
        self.publish = Publish { last: Instant::now(), cost: started.elapsed(), dirty: None };
    }
}

fn milliseconds(at: Monotonic) -> i64 {
    i64::try_from(at.0.as_millis()).unwrap_or(i64::MAX)
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

/// Within the run's own task: it takes its time where an answer is large.
fn judged(mut run: Run, judgement: &Judgement) -> Run {
    judgement.apply(&mut run);
    run
}

/// A kind keeps to its deadline by itself; one that does not is a defect, and is cut off.
async fn guarded(
    checker: &dyn Checker,
    context: &RunContext,
    timeout: Duration,
) -> (Run, Option<Noted>) {
    match tokio::time::timeout_at(context.deadline + GRACE, checker.run_noting(context)).await {
        Ok(done) => done,
        Err(_elapsed) => {
            let message = format!("the check did not end within its timeout of {timeout:?}");
            (faulted(Fault::new(FaultReason::Timeout, message), timeout + GRACE), None)
        }
    }
}

fn faulted(fault: Fault, duration: Duration) -> Run {
    Run::new(Outcome::Faulted(fault), duration)
}
