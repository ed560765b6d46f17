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
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use wellcheck_core::backoff::Faults;
use wellcheck_core::check::{CheckSpec, Timing, What};
use wellcheck_core::grant::Use;
use wellcheck_core::group::GroupSpec;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run, RunLog};
use wellcheck_core::redact::Redactor;
use wellcheck_core::schedule::{Phase, first_due, next_due};
use wellcheck_core::series::{self, Series};
use wellcheck_core::snapshot::{
    Backoff, CheckState, Facts, Held, Last, MAX_USED, Setup, Snapshot, Tally,
};
use wellcheck_core::status::Status;
use wellcheck_core::threshold::Tracker;
use wellcheck_core::time::{Monotonic, Now, WallTime};

use crate::checks::{Checker, RunContext};
use crate::clock::Clock;
use crate::published::Shared;
use crate::registry::{Entry, Runner, Version};

mod groups;
#[cfg(test)]
mod tests;

use groups::Groups;

/// Snapshots are published at most this often, but for transitions.
const PUBLISH: Duration = Duration::from_millis(50);

/// Publishing takes at most one part in this many of a core, so that a hundred thousand checks do
/// not keep it busy with copying: while there is nothing but outcomes, and when a state changed.
const PUBLISH_SHARE: [u32; 2] = [100, 20];

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
}

/// One check and its state.
struct Slot {
    /// Never used again for another check.
    id: u64,
    spec: Arc<CheckSpec>,
    facts: Arc<Facts>,
    runner: Option<(Arc<dyn Checker>, Version)>,
    held: Option<Held>,
    redactor: Redactor,
    phase: Phase,
    tracker: Tracker,
    /// Runs in a row that did not pass.
    failures: u32,
    /// Faults in a row of the plugin's own doing, and the pause that they lead to.
    faults: Faults,
    backoff: Option<Backoff>,
    /// Of a plugin: its observations, and what it asked for.
    series: Series,
    used: Arc<BTreeSet<Use>>,
    since: WallTime,
    last: Option<Arc<Last>>,
    answered: bool,
    tally: Arc<Tally>,
    /// What must have been healthy before it runs for the first time, and has not been yet.
    waits: Vec<CheckName>,
    /// Whether it is in its start-up phase.
    starting: bool,
    /// The run that is under way.
    running: Option<AbortHandle>,
    /// The next due time that counts; others in the queue are left over.
    due: Option<Monotonic>,
    /// What readers see of it.
    state: Arc<CheckState>,
    /// What groups have seen of it: its state, and whether it counts.
    shown: (Status, bool),
}

/// See the module.
pub(crate) struct Scheduler {
    clock: Clock,
    shared: Shared,
    /// By name.
    slots: Vec<Slot>,
    groups: Groups,
    /// The slots that wait for others or are in their start-up phase.
    pending: Vec<usize>,
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
            pending: Vec::new(),
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
                    // Everyone who could tell us anything is gone: the process ends.
                    None => return,
                },
                Some(ended) = self.runs.join_next_with_id(), if !self.runs.is_empty() => {
                    self.ended(ended);
                    while let Some(ended) = self.runs.try_join_next_with_id() {
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
            let Some((checker, _)) = &slot.runner else { continue };
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

    /// A run of a check has ended: what depends on its state.
    fn changed(&mut self, index: usize, now: Now) {
        let slot = &mut self.slots[index];
        let state = Arc::clone(&slot.state);
        let moved = std::mem::replace(&mut slot.shown, (state.state, state.counts()));
        let moved = moved != slot.shown;
        let slots = &self.slots;
        let name = state.spec.name.as_str();
        let group_moved = self.groups.ran(name, moved, &|name| find(slots, name), now.wall);
        if group_moved {
            self.publish.mark(Urgency::Transition);
        }
        if moved || group_moved {
            self.go_on(now);
        }
    }

    /// Lets checks begin that waited for others, and ends start-up phases.
    fn go_on(&mut self, now: Now) {
        let pending = std::mem::take(&mut self.pending);
        for index in pending.iter().copied() {
            let slot = &self.slots[index];
            if !slot.waits.is_empty() {
                let waits = self.waits(&slot.waits);
                let slot = &mut self.slots[index];
                if waits != slot.waits {
                    slot.waits = waits;
                    self.publish.mark(Urgency::Transition);
                    if slot.goes(now) {
                        slot.due = Some(now.monotonic);
                        self.queue.push(Reverse((now.monotonic, slot.id)));
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
        self.pending = pending;
        self.pending.retain(|index| self.slots[*index].is_pending());
    }

    /// Those of the names that have not been healthy yet. A group without members is.
    fn waits(&self, names: &[CheckName]) -> Vec<CheckName> {
        let healthy = |name: &&CheckName| match self.groups.get(name.as_str()) {
            Some(group) => group.spec.members.is_empty() || group.state.is_healthy(),
            None => find(&self.slots, name.as_str()).is_some_and(|c| c.state.is_healthy()),
        };
        names.iter().filter(|name| !healthy(name)).cloned().collect()
    }

    fn has_started(&self, slot: &Slot) -> bool {
        match &slot.spec.start.with {
            Some(group) => self.groups.get(group.as_str()).is_some_and(|g| g.state.is_healthy()),
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
        self.pending = (0..slots.len()).filter(|index| slots[*index].is_pending()).collect();
        self.go_on(now);
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

impl Slot {
    fn new(id: u64, entry: &Entry, now: Now) -> Self {
        let spec = Arc::clone(&entry.spec);
        let facts = Arc::clone(&entry.facts);
        let state = Arc::new(CheckState::new(Arc::clone(&spec), Arc::clone(&facts), now.wall));
        Self {
            id,
            phase: Phase::of(spec.name.as_str()),
            spec,
            facts,
            runner: None,
            held: None,
            redactor: entry.redactor.clone(),
            tracker: Tracker::default(),
            failures: 0,
            faults: Faults::default(),
            backoff: None,
            series: Series::default(),
            used: Arc::default(),
            since: now.wall,
            last: None,
            answered: false,
            tally: Arc::default(),
            waits: entry.spec.start.after.clone(),
            starting: entry.spec.start.interval.is_some(),
            running: None,
            due: None,
            shown: (state.state, state.counts()),
            state,
        }
    }

    /// Ends the run of a check that is no more: nobody waits for it, and none may overlap it.
    fn cancel(&self) {
        if let Some(run) = &self.running {
            run.abort();
        }
    }

    /// Takes over what the configuration and the plugins now say. Returns when to run, if that
    /// changed.
    fn take_over(&mut self, entry: Entry, now: Now) -> Option<Monotonic> {
        let retimed = self.spec.timing != entry.spec.timing;
        self.spec = entry.spec;
        self.facts = entry.facts;
        self.redactor = entry.redactor;
        let due = match entry.runner {
            Runner::Held(held) => {
                if self.held.as_ref() != Some(&held) {
                    self.hold(held, now);
                }
                self.runner = None;
                None
            }
            Runner::Ready(checker, version) if !self.waits.is_empty() => {
                self.runner = Some((checker, version));
                let held = waiting(&self.waits);
                if self.held.as_ref() != Some(&held) {
                    self.hold(held, now);
                }
                None
            }
            Runner::Ready(checker, version) => {
                let same = self.runner.as_ref().is_some_and(|(_, running)| *running == version);
                let was_held = self.held.take().is_some();
                if !same {
                    self.faults = Faults::default();
                    self.backoff = None;
                }
                self.runner = Some((checker, version));
                match (same, retimed) {
                    (true, false) => None,
                    (true, true) => self.next(now),
                    (false, _) if was_held => Some(now.monotonic),
                    (false, _) => Some(first_due(now.monotonic, &self.spec.timing, self.phase)),
                }
            }
        };
        if let Some(due) = due {
            self.due = Some(due);
        } else if self.runner.is_none() || self.held.is_some() {
            self.due = None;
        }
        self.show();
        // A check whose run is under way is queued when that has ended.
        due.filter(|_| self.running.is_none())
    }

    /// Whether others decide when it runs, or how often.
    fn is_pending(&self) -> bool {
        self.starting || !self.waits.is_empty()
    }

    /// When it runs again; not at all, if it rests after its start-up phase.
    fn next(&self, now: Now) -> Option<Monotonic> {
        let timing = self.spec.timing;
        match self.spec.start.interval {
            Some(interval) if self.starting => {
                let timing = Timing { interval, jitter: timing.jitter.min(interval / 2), ..timing };
                Some(next_due(now.monotonic, &timing, self.phase))
            }
            Some(_) if self.spec.start.rests => None,
            _ => Some(next_due(now.monotonic, &timing, self.phase)),
        }
    }

    /// What it waits for has changed. Returns whether it may run now.
    fn goes(&mut self, now: Now) -> bool {
        if self.runner.is_none() {
            return false;
        }
        let goes = self.waits.is_empty();
        if goes {
            self.held = None;
        } else {
            self.hold(waiting(&self.waits), now);
        }
        self.show();
        goes
    }

    /// How long a check waits that faults again and again by its plugin's own doing.
    fn pause(&mut self, outcome: &Outcome, now: Now) -> Option<Duration> {
        if !matches!(self.spec.what, What::Plugin { .. }) {
            return None;
        }
        self.faults.observe(outcome);
        let pause = self.faults.pause(self.spec.timing.interval);
        self.backoff = pause.map(|pause| {
            let ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            Backoff { faults: self.faults.row(), until: WallTime(now.wall.0.saturating_add(ms)) }
        });
        pause
    }

    /// What a plugin's run leaves besides its outcome: the series that it began, what it asked for.
    fn account(&mut self, run: &mut Run) {
        let What::Plugin { limits, .. } = &self.spec.what else { return };
        if let Outcome::Answered(report) = &mut run.outcome {
            let limit = limits.observation_names;
            let left_out = self.series.admit(report, limit);
            if left_out > 0 {
                run.log.flags.push(series::flag(left_out, limit));
            }
        }
        if run.used.iter().any(|used| !self.used.contains(used)) {
            let all = Arc::make_mut(&mut self.used);
            for used in &run.used {
                if all.len() < MAX_USED {
                    all.insert(used.clone());
                }
            }
        }
    }

    /// Stops believing anything of a check that cannot run.
    fn hold(&mut self, held: Held, now: Now) {
        let from = self.tracker.state();
        if from != Status::Unknown {
            self.since = now.wall;
        }
        // Being compiled or waiting is how many begin.
        if from != Status::Unknown
            || !matches!(held.reason, FaultReason::Compiling | FaultReason::Waiting)
        {
            transition(&self.spec, from, Status::Unknown, held.reason.as_str(), &held.message);
        }
        self.tracker = Tracker::default();
        self.faults = Faults::default();
        self.backoff = None;
        self.held = Some(held);
    }

    /// Takes in an outcome.
    fn observe(&mut self, mut run: Run, now: Now) -> Urgency {
        run.redact(&self.redactor);
        self.account(&mut run);
        let status = match (&run.outcome, run.outcome.status()) {
            (Outcome::Faulted(_), _) => self.spec.on_fault,
            (Outcome::Answered(_), status) => status,
        };
        self.failures = if status.is_healthy() { 0 } else { self.failures.saturating_add(1) };
        let change = self.tracker.observe(status, self.spec.thresholds);
        tracing::debug!(check = %self.spec.name, %status, "run ended: {}", run.outcome.message());
        let first = self.last.is_none();
        let reason = run.outcome.reason().unwrap_or("");
        if let Some(change) = change {
            self.since = now.wall;
            transition(&self.spec, change.from, change.to, reason, run.outcome.message());
        } else if first && status == Status::Unknown {
            // No change of state, but the first word about this check.
            transition(&self.spec, status, status, reason, run.outcome.message());
        }
        self.answered |= matches!(run.outcome, Outcome::Answered(_));
        Arc::make_mut(&mut self.tally).count(&run);
        self.last = Some(Arc::new(Last { run, at: now.wall }));
        self.show();
        if change.is_some() || first { Urgency::Transition } else { Urgency::Outcome }
    }

    fn show(&mut self) {
        self.state = Arc::new(CheckState {
            spec: Arc::clone(&self.spec),
            facts: Arc::clone(&self.facts),
            state: self.tracker.state(),
            since: self.since,
            row: self.tracker.row(),
            last: self.last.clone(),
            answered: self.answered,
            held: self.held.clone(),
            used: Arc::clone(&self.used),
            backoff: self.backoff,
            starting: self.starting,
            tally: Arc::clone(&self.tally),
        });
    }
}

fn waiting(names: &[CheckName]) -> Held {
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("it runs once this has been healthy: {}", list.join(", "));
    Held { reason: FaultReason::Waiting, message }
}

/// The one line that a transition leaves in the log.
fn transition(spec: &CheckSpec, from: Status, to: Status, reason: &str, message: &str) {
    if to.is_healthy() {
        tracing::info!(check = %spec.name, %from, %to, reason, "{message}");
    } else {
        tracing::warn!(check = %spec.name, %from, %to, reason, "{message}");
    }
}
