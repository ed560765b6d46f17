//! The process's clock: the one place that reads time for the scheduler and for labels.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wellcheck_core::time::{Monotonic, Now, WallTime};

/// Measures from the moment it was made. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// Where on the schedule's axis the clock starts: a restart keeps each check's place in its
    /// interval, since the axis is the same for every process.
    offset: Duration,
}

impl Clock {
    /// Starts at the wall clock's present time, which is read this once: later steps move nothing.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), offset: since_epoch() }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.offset + self.start.elapsed()),
            wall: WallTime(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// The instant at which the monotonic clock shows `due`.
    pub(crate) fn instant(&self, due: Monotonic) -> Instant {
        self.start + due.0.saturating_sub(self.offset)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
