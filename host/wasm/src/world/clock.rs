//! Clocks: the real ones, counted, or those of a world.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// How often the clocks of a run were looked at.
pub(crate) type Ticks = Arc<AtomicU64>;

/// Both clocks of a run.
#[derive(Clone)]
pub(crate) struct Clock {
    /// What the wall clock said at the beginning, in a world.
    world: Option<Duration>,
    began: Instant,
    ticks: Ticks,
}

impl Clock {
    pub(crate) fn new(world: Option<Duration>, began: Instant, ticks: Ticks) -> Self {
        Self { world, began, ticks }
    }

    /// Since the beginning. In a world time stands still while the run computes: each look moves it
    /// on by a microsecond, so that who waits by looking at the clock comes to an end.
    fn elapsed(&self) -> Duration {
        let looks = self.ticks.fetch_add(1, Ordering::Relaxed);
        let elapsed = Instant::now().saturating_duration_since(self.began);
        if self.world.is_some() { elapsed + Duration::from_micros(looks) } else { elapsed }
    }
}

/// The real one, since the epoch.
#[expect(clippy::disallowed_methods, reason = "what guests are told is read here")]
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        let elapsed = self.elapsed();
        match self.world {
            Some(began) => began.saturating_add(elapsed),
            None => wall_clock(),
        }
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
