//! What the host believes of a check: from its outcomes, and from what else is known.
//!
//! The tracker takes every outcome. What is shown is its state, unless something casts doubt on it:
//! the check cannot run, our own connection is down, no run has ended for too long, it is in a
//! start-up phase in which failures are not believed, or its failure is put down to something that
//! it depends on. Then it is `unknown`, with the reason.

use std::sync::Arc;

use wellcheck_core::backoff::Faults;
use wellcheck_core::check::CheckSpec;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{FaultReason, Outcome, Run};
use wellcheck_core::snapshot::{Aside, CheckState, Held, Last};
use wellcheck_core::status::Status;
use wellcheck_core::threshold::Tracker;
use wellcheck_core::time::{Monotonic, Now};
use wellcheck_core::units::show_duration;

use super::Urgency;
use super::slot::Slot;

/// What is at the root of a check's failures.
#[derive(Default)]
pub(super) struct Blocked {
    /// Checks and groups that are not healthy by themselves.
    pub(super) by: Arc<[CheckName]>,
    /// Whether one of them watches our own connection, and it is down.
    pub(super) offline: bool,
    /// Whether it failed already when the first of them was healthy.
    pub(super) own_failure: bool,
    /// Since when there are none; until a run that began after that has shown that it is healthy or
    /// fails by itself.
    pub(super) lingers: Option<Monotonic>,
}

/// What others have seen of a check: groups, and what depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    state: Status,
    counts: bool,
    aside: bool,
    doubtful: bool,
    /// What others ask of it that depend on it; see [`Slot::is_well`] and [`Slot::is_cut_off`].
    well: bool,
    cut_off: bool,
    blocked_by: Arc<[CheckName]>,
}

impl Slot {
    /// What others see of it now.
    pub(super) fn seen(&self) -> Shown {
        Shown {
            state: self.state.state,
            counts: self.state.counts(),
            aside: self.state.aside.is_some(),
            doubtful: self.tracker.is_doubtful(),
            well: self.is_well(),
            cut_off: self.is_cut_off(),
            blocked_by: Arc::clone(&self.state.blocked_by),
        }
    }

    /// Whether it watches our own connection, and that is down: it fails, also where its failure is
    /// put down to something else. A fault of its own says nothing of the connection.
    pub(super) fn is_cut_off(&self) -> bool {
        let blocked = self.state.is_blocked() && self.tracker.state() == Status::Fail;
        self.spec.uplink && (blocked || self.state.state == Status::Fail)
    }

    /// Whether what depends on it may be healthy: it is itself, or has not run yet, or somebody
    /// stopped it. One outcome that is not healthy is enough to ask.
    pub(super) fn is_well(&self) -> bool {
        let untold = self.last.is_none() && self.held.is_none();
        let healthy = self.state.state.is_healthy() && !self.tracker.is_doubtful();
        healthy || untold || self.paused.is_some()
    }

    /// Stops believing anything of a check that cannot run.
    pub(super) fn hold(&mut self, held: Held) {
        let from = self.state.state;
        // Being compiled or waiting is how many begin.
        if from == Status::Unknown
            && !matches!(held.reason, FaultReason::Compiling | FaultReason::Waiting)
        {
            let (reason, message) = (held.reason.as_str(), &held.message);
            transition(&self.spec, from, Status::Unknown, reason, message, false);
        }
        self.tracker = Tracker::default();
        self.faults = Faults::default();
        self.backoff = None;
        self.held = Some(held);
    }

    /// Takes in an outcome.
    pub(super) fn observe(&mut self, mut run: Run, now: Now) -> Urgency {
        run.redact(&self.redactor);
        self.account(&mut run);
        let status = match (&run.outcome, run.outcome.status()) {
            (Outcome::Faulted(_), _) => self.spec.on_fault,
            (Outcome::Answered(_), status) => status,
        };
        let healthy = status.is_healthy();
        self.failures = if healthy { 0 } else { self.failures.saturating_add(1) };
        self.ended = now.monotonic;
        self.stale = false;
        if healthy {
            self.healthy_at = now.monotonic;
        }
        if self.spec.flapping && self.flapping.observe(healthy) != self.state.flapping {
            tracing::info!(check = %self.spec.name, flapping = self.flapping.flaps(), "its outcomes go to and fro, or no longer do");
        }
        let before = self.tracker.state();
        // Also a healthy one begins the time in which failures are pardoned.
        if !self.is_pardoned(now) || healthy {
            self.tracker.observe(status, self.spec.thresholds);
        }
        if self.tracker.state() != before {
            self.turned = now.monotonic;
        }
        self.settle(healthy);
        tracing::debug!(check = %self.spec.name, %status, "run ended: {}", run.outcome.message());
        let first = self.last.is_none();
        self.answered |= matches!(run.outcome, Outcome::Answered(_));
        Arc::make_mut(&mut self.tally).count(&run);
        self.last = Some(Arc::new(Last { run, at: now.wall }));
        let from = self.state.state;
        self.show(now);
        let to = self.state.state;
        if first && from == to {
            // No change of state, but the first word about this check.
            let (reason, message) = (self.state.reason().unwrap_or(""), self.state.message());
            transition(&self.spec, from, to, reason, message, false);
        }
        if from != to || first { Urgency::Transition } else { Urgency::Outcome }
    }

    /// Whether failures are not believed yet; the time for that begins with its first run.
    fn is_pardoned(&mut self, now: Now) -> bool {
        let Some(pardon) = self.spec.start.deadline.filter(|_| self.starting) else { return false };
        let deadline = *self.deadline.get_or_insert(self.began.after(pardon));
        if now.monotonic > deadline {
            self.starting = false;
        }
        self.starting
    }

    /// What the last outcome says of whose failure it is.
    fn settle(&mut self, healthy: bool) {
        let is_well = self.tracker.state().is_healthy();
        if is_well {
            self.blocked.own_failure = false;
        }
        if self.blocked.lingers.is_some_and(|since| self.began >= since && (is_well || !healthy)) {
            self.blocked.lingers = None;
        }
    }

    /// Takes over what is at the root of its failures. `excused` tells whether its failure, if it
    /// fails, began after one of them was healthy for the last time. Returns whether it should run,
    /// since there is nothing any more.
    pub(super) fn block(
        &mut self,
        by: Arc<[CheckName]>,
        offline: bool,
        excused: bool,
        now: Now,
    ) -> bool {
        let fails = !self.tracker.state().is_healthy();
        let was = !self.blocked.by.is_empty();
        let is = !by.is_empty();
        let lingers = self.blocked.lingers;
        match (was, is) {
            (false, true) => {
                self.blocked.own_failure = fails && !excused && lingers.is_none();
                self.blocked.lingers = None;
            }
            (true, false) => {
                let excused = fails && !self.blocked.own_failure;
                self.blocked.lingers = (excused && self.last.is_some()).then_some(now.monotonic);
            }
            _ => {}
        }
        self.blocked.by = by;
        self.blocked.offline = offline;
        self.show(now);
        was && !is
    }

    /// What is shown of it, and why that is not what the tracker says.
    fn believed(&self, now: Now) -> (Status, Option<Held>) {
        let state = self.tracker.state();
        let doubt = |reason, message| (Status::Unknown, Some(Held { reason, message }));
        let said = || self.last.as_ref().map_or("", |last| last.run.outcome.message());
        let Blocked { by, offline, own_failure, lingers } = &self.blocked;
        if self.held.is_some() {
            (Status::Unknown, None)
        } else if *offline {
            let message = format!("our own connection is down, as {} says", listed(by));
            doubt(FaultReason::Offline, message)
        } else if self.stale {
            let silence = show_duration(now.monotonic.since(self.ended));
            doubt(FaultReason::Stale, format!("no run has ended for {silence}"))
        } else if self.starting && self.deadline.is_some() && self.tracker == Tracker::default() {
            doubt(FaultReason::Starting, format!("it is starting: {}", said()))
        } else if (!by.is_empty() || lingers.is_some())
            && !own_failure
            && !state.is_healthy()
            && self.last.is_some()
        {
            let cause = match by.is_empty() {
                true => "what it depends on was not healthy until now".to_owned(),
                false => format!("blocked by {}", listed(by)),
            };
            doubt(FaultReason::Blocked, format!("{cause}: {}", said()))
        } else {
            (state, None)
        }
    }

    fn aside(&self) -> Option<Aside> {
        let aside = self.paused.as_ref().or(self.window.as_ref());
        aside.cloned().or_else(|| Aside::configured(&self.spec))
    }

    /// Makes what readers see of it.
    pub(super) fn show(&mut self, now: Now) {
        let (state, doubt) = self.believed(now);
        let from = self.state.state;
        if state != from {
            self.since = now.wall;
        }
        self.state = Arc::new(CheckState {
            spec: Arc::clone(&self.spec),
            facts: Arc::clone(&self.facts),
            state,
            since: self.since,
            row: self.tracker.row(),
            last: self.last.clone(),
            answered: self.answered,
            held: self.held.clone(),
            used: Arc::clone(&self.used),
            backoff: self.backoff,
            doubt,
            blocked_by: Arc::clone(&self.blocked.by),
            flapping: self.spec.flapping && self.flapping.flaps(),
            aside: self.aside(),
            starting: self.starting,
            tally: Arc::clone(&self.tally),
        });
        if state != from {
            let shown = &self.state;
            let (reason, message) = (shown.reason().unwrap_or(""), shown.message());
            let quiet = shown.is_blocked() || shown.flapping || shown.aside.is_some();
            transition(&self.spec, from, state, reason, message, quiet);
        }
    }
}

fn listed(names: &[CheckName]) -> String {
    const NAMED: usize = 5;
    let list: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

/// The one line that a transition leaves in the log.
fn transition(
    spec: &CheckSpec,
    from: Status,
    to: Status,
    reason: &str,
    message: &str,
    quiet: bool,
) {
    if to.is_healthy() || quiet {
        tracing::info!(check = %spec.name, %from, %to, reason, "{message}");
    } else {
        tracing::warn!(check = %spec.name, %from, %to, reason, "{message}");
    }
}
