//! Runs checks that a request asks for: apart from the scheduler, and without any effect on states.
//!
//! A request never runs a check itself. It hands it over here, where each run is a task of its own,
//! few run at once, each ends by its deadline, and a client that goes away takes its run along.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run, RunLog};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;

use crate::checks::probed::Probed;
use crate::checks::{Checker, RunContext};
use crate::modules::Unfit;

/// Runs at once, at most.
const MOST: usize = 64;

/// How long a request waits for a place.
const PATIENCE: Duration = Duration::from_secs(1);

/// A kind that ignores its deadline is cut off this long after it.
const GRACE: Duration = Duration::from_millis(250);

/// See the module; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    places: Arc<Semaphore>,
}

impl Default for Demand {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST)) }
    }
}

/// As many runs as may be are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl Demand {
    /// Runs a check once; known secrets are taken out of what it returns. `name` is what the run
    /// goes by.
    ///
    /// # Errors
    /// When there is no room for a second.
    pub(crate) async fn run(
        &self,
        name: CheckName,
        checker: Arc<dyn Checker>,
        timeout: Duration,
        redactor: &Redactor,
    ) -> Result<Run, Busy> {
        let deadline = Instant::now() + timeout;
        let place = self.place(timeout).await?;
        let context = RunContext { check: name, deadline, failures_in_a_row: 0 };
        let work = async move { checker.run(&context).await };
        let mut run = in_task(place, deadline, timeout, work).await.unwrap_or_else(|fault| fault);
        run.redact(redactor);
        Ok(run)
    }

    /// Likewise with the metrics of its protocol. What runs is made once there is room for it, and
    /// an inner error is why the target may not be probed.
    ///
    /// # Errors
    /// When there is no room for a second.
    pub(crate) async fn probe(
        &self,
        name: CheckName,
        make: impl FnOnce() -> Result<Arc<dyn Checker>, Unfit>,
        timeout: Duration,
        redactor: &Redactor,
    ) -> Result<Result<Probed, String>, Busy> {
        let deadline = Instant::now() + timeout;
        let place = self.place(timeout).await?;
        let mut probed = match make() {
            Ok(checker) => {
                let facts = checker.facts();
                let context = RunContext { check: name, deadline, failures_in_a_row: 0 };
                let work = async move { checker.probe(&context).await };
                let done = in_task(place, deadline, timeout, work).await;
                done.unwrap_or_else(|fault| Probed::of(fault, &facts))
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

    async fn place(&self, timeout: Duration) -> Result<OwnedSemaphorePermit, Busy> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(PATIENCE.min(timeout), place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Busy),
        }
    }
}

/// Does `work` in a task of its own, which is dropped with the request.
async fn in_task<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    deadline: Instant,
    timeout: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Run> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let done = tokio::time::timeout_at(deadline + GRACE, work).await;
        drop(place);
        done
    });
    match task.join_next().await {
        Some(Ok(Ok(done))) => Ok(done),
        Some(Ok(Err(_elapsed))) => Err(faulted(
            FaultReason::Timeout,
            format!("the check did not end within its timeout of {timeout:?}"),
            timeout + GRACE,
        )),
        _ => Err(faulted(
            FaultReason::Internal,
            "the run panicked; this is a bug of wellcheck".to_owned(),
            Duration::ZERO,
        )),
    }
}

fn faulted(reason: FaultReason, message: String, duration: Duration) -> Run {
    let outcome = Outcome::Faulted(Fault::new(reason, message));
    Run { outcome, duration, log: RunLog::default(), used: Vec::new() }
}
