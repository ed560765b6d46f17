//! Waiting for conditions; the only place that lets time pass.

use std::time::{Duration, Instant};

/// Longest that any condition may take, on a machine that is busy with other tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `look` finds something; its error is what it saw last.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    until_within(LIMIT, what, look)
}

/// Likewise, with a limit of its own for what takes longer.
#[track_caller]
pub(crate) fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > limit => {
                panic!("not within {limit:?}: {what}; last seen: {seen}")
            }
            Err(_) => pause(LOOK),
        }
    }
}

/// Lets time pass between two looks, and between two bytes of a slow target.
#[expect(clippy::disallowed_methods, reason = "the tests have no runtime, and look again after it")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
