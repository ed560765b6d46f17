//! One check and its state, and when it runs next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use wellcheck_core::backoff::Faults;
use wellcheck_core::check::{CheckSpec, Start, Timing, What};
use wellcheck_core::flap::Flapping;
use wellcheck_core::grant::Use;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{FaultReason, Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::schedule::{Phase, first_due, next_due, next_point};
use wellcheck_core::series::{self, Series};
use wellcheck_core::snapshot::{Aside, Backoff, CheckState, Facts, Held, Last, MAX_USED, Tally};
use wellcheck_core::threshold::Tracker;
use wellcheck_core::time::{Monotonic, Now, WallTime};

use super::belief::{Blocked, Shown};
use crate::checks::Checker;
use crate::registry::{Entry, Runner, Version};

/// One check and its state.
pub(super) struct Slot {
    /// Never used again for another check.
    pub(super) id: u64,
    pub(super) spec: Arc<CheckSpec>,
    pub(super) facts: Arc<Facts>,
    pub(super) runner: Option<(Arc<dyn Checker>, Version)>,
    pub(super) held: Option<Held>,
    pub(super) redactor: Redactor,
    pub(super) phase: Phase,
    pub(super) tracker: Tracker,
    /// When the tracker's state was reached, and when an outcome was healthy the last time.
    pub(super) turned: Monotonic,
    pub(super) healthy_at: Monotonic,
    pub(super) flapping: Flapping,
    /// Runs in a row that did not pass.
    pub(super) failures: u32,
    /// Faults in a row of the plugin's own doing, and the pause that they lead to.
    pub(super) faults: Faults,
    pub(super) backoff: Option<Backoff>,
    /// Of a plugin: its observations, and what it asked for.
    pub(super) series: Series,
    pub(super) used: Arc<BTreeSet<Use>>,
    pub(super) since: WallTime,
    pub(super) last: Option<Arc<Last>>,
    pub(super) answered: bool,
    pub(super) tally: Arc<Tally>,
    /// What must have been healthy before it runs for the first time, and has not been yet.
    pub(super) waits: Vec<CheckName>,
    /// Whether it is in its start-up phase.
    pub(super) starting: bool,
    /// Until when failures are not believed in that phase; from its first run on.
    pub(super) deadline: Option<Monotonic>,
    /// What is at the root of its failures, if they are not its own.
    pub(super) blocked: Blocked,
    /// Whether no run has ended for too long.
    pub(super) stale: bool,
    /// What holds it aside: a pause, or a maintenance window that is open.
    pub(super) paused: Option<Aside>,
    pub(super) window: Option<Aside>,
    /// The run that is under way, and when it or the last one began and ended.
    pub(super) running: Option<AbortHandle>,
    pub(super) began: Monotonic,
    pub(super) ended: Monotonic,
    /// Whether it is due and waits for a place among the runs of its kind.
    pub(super) queued: bool,
    /// Whether it is to run again once the run that is under way has ended.
    pub(super) once_more: bool,
    /// The next due time that counts; others in the queue are left over.
    pub(super) due: Option<Monotonic>,
    /// What readers see of it.
    pub(super) state: Arc<CheckState>,
    /// What others have seen of it.
    pub(super) shown: Option<Shown>,
}

impl Slot {
    pub(super) fn new(id: u64, entry: &Entry, now: Now) -> Self {
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
            turned: now.monotonic,
            healthy_at: Monotonic::default(),
            flapping: Flapping::default(),
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
            deadline: None,
            blocked: Blocked::default(),
            stale: false,
            paused: None,
            window: None,
            running: None,
            began: now.monotonic,
            ended: now.monotonic,
            queued: false,
            once_more: false,
            due: None,
            shown: None,
            state,
        }
    }

    /// Ends the run of a check that is no more: nobody waits for it, and none may overlap it.
    pub(super) fn cancel(&self) {
        if let Some(run) = &self.running {
            run.abort();
        }
    }

    /// Takes over what the configuration and the plugins now say. Returns when to run, if that
    /// changed.
    pub(super) fn take_over(&mut self, entry: Entry, now: Now) -> Option<Monotonic> {
        let mut retimed =
            (self.spec.timing, &self.spec.cron) != (entry.spec.timing, &entry.spec.cron);
        retimed |= self.take_over_start(&entry.spec.start);
        self.spec = entry.spec;
        self.facts = entry.facts;
        self.redactor = entry.redactor;
        let due = match entry.runner {
            Runner::Held(held) => {
                if self.held.as_ref() != Some(&held) {
                    self.hold(held);
                }
                self.runner = None;
                None
            }
            Runner::Ready(checker, version) if !self.waits.is_empty() => {
                self.runner = Some((checker, version));
                let held = waiting(&self.waits);
                if self.held.as_ref() != Some(&held) {
                    self.hold(held);
                }
                None
            }
            Runner::Ready(checker, version) => {
                let same = self.runner.as_ref().is_some_and(|(_, running)| *running == version);
                let was_held = self.held.take().is_some();
                if was_held {
                    // What could not run is not late.
                    self.ended = now.monotonic;
                }
                if !same {
                    self.faults = Faults::default();
                    self.backoff = None;
                }
                let waits = checker.waits().is_some();
                self.runner = Some((checker, version));
                match (same, retimed) {
                    (true, false) => None,
                    // It has not run yet, and does not wait a whole interval for that.
                    (true, true) if self.last.is_none() => Some(self.first(now)),
                    (true, true) => self.next(now),
                    // One that waits for others has waited for nothing yet.
                    (false, _) if was_held && !waits => Some(now.monotonic),
                    (false, _) => Some(self.first(now)),
                }
            }
        };
        if let Some(due) = due {
            self.due = Some(due);
        } else if self.runner.is_none() || self.held.is_some() || retimed {
            self.due = None;
        }
        if self.paused.is_some() {
            self.due = None;
            self.show(now);
            return None;
        }
        self.show(now);
        // A check whose run is under way is queued when that has ended.
        due.filter(|_| self.running.is_none())
    }

    /// The checks and groups that decide when it runs, or how often. Its own state is looked at
    /// after each of its runs.
    pub(super) fn pending(&self) -> impl Iterator<Item = &CheckName> {
        self.waits.iter().chain(self.spec.start.with.as_ref().filter(|_| self.starting))
    }

    /// Another `depends-on` holds for a check that has not run yet; another start-up phase for one
    /// that is in it. Returns whether it runs at other times from now on.
    pub(super) fn take_over_start(&mut self, new: &Start) -> bool {
        let old = &self.spec.start;
        let retimed = old != new;
        if self.last.is_none() && self.running.is_none() {
            let open = |name: &&CheckName| self.waits.contains(name) || !old.after.contains(name);
            self.waits = new.after.iter().filter(open).cloned().collect();
            self.starting = new.interval.is_some();
        }
        self.starting &= new.interval.is_some();
        retimed
    }

    /// When it runs again; not at all, if it rests after its start-up phase.
    pub(super) fn next(&self, now: Now) -> Option<Monotonic> {
        if self.paused.is_some() {
            return None;
        }
        if let Some(wait) = self.waits_for_others() {
            return Some(now.monotonic.after(wait));
        }
        let timing = self.spec.timing;
        let every = |interval: Duration| {
            let timing = Timing { interval, jitter: timing.jitter.min(interval / 2), ..timing };
            Some(next_due(now.monotonic, &timing, self.phase))
        };
        match (self.spec.start.interval, timing.retry, &self.spec.cron) {
            (Some(interval), ..) if self.starting => every(interval),
            (Some(_), ..) if self.spec.start.rests => None,
            (_, Some(retry), _) if self.tracker.is_doubtful() => every(retry),
            (.., Some(cron)) => next_point(now, cron, &timing, self.phase),
            _ => every(timing.interval),
        }
    }

    /// Whether it should have run long ago, and nothing that is meant kept it from that.
    pub(super) fn is_overdue(&self, now: Monotonic) -> bool {
        let Timing { interval, timeout, jitter, .. } = self.spec.timing;
        let meant = self.held.is_some()
            || self.paused.is_some()
            || self.backoff.is_some()
            || self.last.is_none()
            || self.spec.cron.is_some()
            || (self.spec.start.rests && !self.starting)
            || self.waits_for_others().is_some();
        let interval = match self.spec.start.interval {
            Some(startup) if self.starting => startup.max(interval),
            _ => interval,
        };
        let longest = interval * self.spec.stale_after + jitter + timeout;
        self.spec.stale_after > 0 && !meant && now.since(self.ended) > longest
    }

    /// When it runs for the first time.
    pub(super) fn first(&self, now: Now) -> Monotonic {
        match self.waits_for_others() {
            Some(wait) => now.monotonic.after(wait),
            None => first_due(now.monotonic, &self.spec.timing, self.phase),
        }
    }

    pub(super) fn waits_for_others(&self) -> Option<Duration> {
        self.runner.as_ref().and_then(|(checker, _)| checker.waits())
    }

    /// What it waits for has changed. Returns whether it may run now.
    pub(super) fn goes(&mut self, now: Now) -> bool {
        if self.runner.is_none() {
            return false;
        }
        let goes = self.waits.is_empty();
        if goes {
            self.held = None;
        } else {
            self.hold(waiting(&self.waits));
        }
        self.show(now);
        goes
    }

    /// How long a check waits that faults again and again by its plugin's own doing.
    pub(super) fn pause(&mut self, outcome: &Outcome, now: Now) -> Option<Duration> {
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
    pub(super) fn account(&mut self, run: &mut Run) {
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
}

fn waiting(names: &[CheckName]) -> Held {
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("it runs once this has been healthy: {}", list.join(", "));
    Held { reason: FaultReason::Waiting, message }
}
