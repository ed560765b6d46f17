//! What somebody may want of one check, or of several: orders, given from outside and followed by the
//! scheduler between runs.

use std::cmp::Reverse;

use tokio::sync::{mpsc, oneshot};
use wellcheck_core::id::CheckName;
use wellcheck_core::maintenance::Window;
use wellcheck_core::outcome::Run;
use wellcheck_core::snapshot::Aside;
use wellcheck_core::time::WallTime;

use super::{Command, Scheduler};

/// What somebody may want of a check.
pub(crate) enum Order {
    /// To take in an outcome that comes from outside, of a check that waits for such.
    Take(Box<Run>),
    /// To run now, also if it is paused.
    Run,
    /// Not to run, and not to count, until a moment or until it is told to go on.
    Pause {
        /// Who wants that.
        by: String,
        /// When it ends by itself.
        until: Option<WallTime>,
    },
    /// To go on after a pause.
    Resume,
}

/// Why an order is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such check, or no such window.
    Unknown,
    /// The check cannot run at present, and says why.
    Held,
    /// The check takes no outcomes from outside.
    NotPassive,
    /// The check runs nothing: its outcomes come from outside.
    Passive,
    /// There are as many maintenance windows as may be.
    TooMany,
    /// The server is about to stop.
    Stopping,
}

/// What somebody may want of maintenance windows.
pub(crate) enum Maintain {
    /// To open one, which gets this number.
    Open(Window, u64),
    /// To close one that was opened so.
    Close(u64),
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

    /// Gives an order, and waits until it has been taken. Returns how many runs the check will have
    /// had once it has run because of that, or has had.
    ///
    /// # Errors
    /// When it is not followed.
    pub(crate) async fn order(&self, check: CheckName, order: Order) -> Result<u64, Refusal> {
        self.ask(|reply| Command::Order(check, order, reply)).await
    }

    /// Opens or closes a maintenance window, likewise.
    ///
    /// # Errors
    /// When it is not followed.
    pub(crate) async fn maintain(&self, maintain: Maintain) -> Result<(), Refusal> {
        self.ask(|reply| Command::Maintain(maintain, reply)).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Command,
    ) -> Result<T, Refusal> {
        let (reply, taken) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_closed| Refusal::Stopping)?;
        taken.await.map_err(|_closed| Refusal::Stopping)?
    }
}

impl Scheduler {
    pub(super) fn order(&mut self, check: &CheckName, order: Order) -> Result<u64, Refusal> {
        let index = self.place(check.as_str()).ok_or(Refusal::Unknown)?;
        let now = self.clock.now();
        let slot = &mut self.slots[index];
        let passive = slot.waits_for_others().is_some();
        match order {
            Order::Take(mut run) => {
                if slot.held.is_some() || slot.runner.is_none() {
                    return Err(Refusal::Held);
                }
                if !passive {
                    return Err(Refusal::NotPassive);
                }
                slot.spec.judgement.apply(&mut run);
                // Something came, so that what says that nothing did is too late.
                slot.cancel();
                (slot.running, slot.queued) = (None, false);
                (slot.began, slot.due) = (now.monotonic, None);
                self.took(index, *run, now);
            }
            Order::Run => {
                if slot.held.is_some() || slot.runner.is_none() {
                    return Err(Refusal::Held);
                }
                if passive {
                    return Err(Refusal::Passive);
                }
                let under_way = slot.running.is_some();
                let wanted = slot.tally.total() + 1 + u64::from(under_way);
                // What is under way began before somebody wanted it.
                slot.once_more |= under_way;
                if !under_way && !slot.queued {
                    slot.due = Some(now.monotonic);
                    self.queue.push(Reverse((now.monotonic, slot.id)));
                }
                return Ok(wanted);
            }
            Order::Pause { by, until } => {
                slot.paused = Some(Aside { paused: true, title: Some(format!("by {by}")), until });
                (slot.due, slot.queued) = (None, false);
                slot.show(now);
                self.seen_anew(index, now);
            }
            Order::Resume => {
                if slot.paused.take().is_some() {
                    self.resumed(index, now);
                }
            }
        }
        Ok(self.slots[index].tally.total())
    }

    /// A pause has ended: the check runs soon.
    pub(super) fn resumed(&mut self, index: usize, now: wellcheck_core::time::Now) {
        let slot = &mut self.slots[index];
        // What was not looked at is not late.
        slot.ended = now.monotonic;
        slot.show(now);
        if slot.runner.is_some() && slot.waits.is_empty() && slot.running.is_none() {
            let due = slot.first(now);
            slot.due = Some(due);
            self.queue.push(Reverse((due, slot.id)));
        }
        self.seen_anew(index, now);
    }
}
