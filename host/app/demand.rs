//! Runs checks that a request asks for: apart from the scheduler, and without any effect on states.
//!
//! A request never runs a check itself. It hands it over here, where each run is a task of its own,
//! few run at once, each ends by its deadline, and a client that goes away takes its run along.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wellcheck_core::condition::Judgement;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;

use crate::checks::probed::Probed;
use crate::checks::{Checker, RunContext};
use crate::modules::Unfit;

/// Runs of each sort at once, at most.
const MOST: usize = 64;

/// How long a request waits for a place.
const PATIENCE: Duration = Duration::from_secs(1);

/// A kind that ignores its deadline is cut off this long after it.
const GRACE: Duration = Duration::from_millis(250);

/// See the module; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    /// For questions, which come with a token.
    questions: Arc<Semaphore>,
    /// For probes, which anybody may ask for: they do not push out questions.
    probes: Arc<Semaphore>,
}

impl Default for Demand {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(MOST));
        Self { questions: places(), probes: places() }
    }
}

/// Why something that was asked for has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// There was no room for it within a second.
    Busy,
    /// It did not end in time, and was cut off.
    Late,
    /// It panicked, which is a defect.
    Panicked,
}

impl Demand {
    /// Does `work`, which ends by itself after `limit`, in a task of its own.
    ///
    /// # Errors
    /// When there is no room for it, or it does not come to an end.
    pub(crate) async fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Undone> {
        let place = place(&self.questions, limit).await?;
        in_task(place, Instant::now() + limit, work).await
    }

    /// Runs a check once and judges it, with the metrics of its protocol; known secrets are taken out
    /// of what it returns. What runs is made once there is room for it, and an inner error is why the target may
    /// not be probed. `name` is what the run goes by.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(crate) async fn probe(
        &self,
        name: CheckName,
        make: impl FnOnce() -> Result<Arc<dyn Checker>, Unfit>,
        judgement: &Judgement,
        timeout: Duration,
        redactor: &Redactor,
    ) -> Result<Result<Probed, String>, Undone> {
        let deadline = Instant::now() + timeout;
        let place = place(&self.probes, timeout).await?;
        let mut probed = match make() {
            Ok(checker) => {
                let facts = checker.facts();
                let context = RunContext {
                    check: name,
                    deadline,
                    failures_in_a_row: 0,
                    asked: judgement.asked(),
                };
                let judgement = judgement.clone();
                let work = async move {
                    let mut probed = checker.probe(&context).await;
                    judgement.apply(&mut probed.run);
                    probed
                };
                match in_task(place, deadline, work).await {
                    Ok(probed) => probed,
                    Err(undone) => Probed::of(undone.run(timeout), &facts),
                }
            }
            Err(Unfit::Refused(why)) => return Ok(Err(why)),
            Err(Unfit::Fault(Fault { reason, message })) => {
                let mut probed =
                    Probed::of(faulted(reason, message, Duration::ZERO), &Facts::default());
                // It did not come so far that anything was refused.
                probed.refused = false;
                probed
            }
        };
        probed.redact(redactor);
        Ok(Ok(probed))
    }
}

async fn place(places: &Arc<Semaphore>, limit: Duration) -> Result<OwnedSemaphorePermit, Undone> {
    let place = Arc::clone(places).acquire_owned();
    match tokio::time::timeout(PATIENCE.min(limit), place).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Undone::Busy),
    }
}

impl Undone {
    /// The run that this is of a check.
    fn run(self, timeout: Duration) -> Run {
        match self {
            Self::Busy => {
                let message = "as many checks run on demand as may".to_owned();
                faulted(FaultReason::Busy, message, Duration::ZERO)
            }
            Self::Late => faulted(
                FaultReason::Timeout,
                format!("the check did not end within its timeout of {timeout:?}"),
                timeout + GRACE,
            ),
            Self::Panicked => faulted(
                FaultReason::Internal,
                "the run panicked; this is a bug of wellcheck".to_owned(),
                Duration::ZERO,
            ),
        }
    }
}

/// Does `work` in a task of its own, which is dropped with the request.
async fn in_task<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    deadline: Instant,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Undone> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let done = tokio::time::timeout_at(deadline + GRACE, work).await;
        drop(place);
        done
    });
    match task.join_next().await {
        Some(Ok(Ok(done))) => Ok(done),
        Some(Ok(Err(_elapsed))) => Err(Undone::Late),
        _ => Err(Undone::Panicked),
    }
}

fn faulted(reason: FaultReason, message: String, duration: Duration) -> Run {
    Run::new(Outcome::Faulted(Fault::new(reason, message)), duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_by_itself_or_is_cut_off_or_panics() {
        let demand = Demand::default();
        let limit = Duration::from_millis(1);
        assert_eq!(demand.within(limit, async { 7 }).await, Ok(7));
        let late = demand.within(limit, std::future::pending::<()>()).await;
        assert_eq!(late, Err(Undone::Late));
        let panicked = demand.within(limit, async { assert_eq!(1, 2) }).await;
        assert_eq!(panicked, Err(Undone::Panicked));
        assert_eq!(demand.questions.available_permits(), MOST, "every place is free again");
    }

    #[tokio::test]
    async fn there_is_room_for_so_much_and_no_more() {
        let demand = Demand::default();
        let all = u32::try_from(MOST).expect("a small number");
        let probes = Arc::clone(&demand.probes).acquire_many_owned(all).await;
        let limit = Duration::from_millis(1);
        assert_eq!(
            demand.within(limit, async {}).await,
            Ok(()),
            "probes take no place of questions"
        );
        drop(probes);
        let taken = Arc::clone(&demand.questions).acquire_many_owned(all).await;
        let busy = demand.within(limit, async {}).await;
        assert_eq!(busy, Err(Undone::Busy));
        drop(taken);
        assert_eq!(demand.within(limit, async {}).await, Ok(()));
    }
}
