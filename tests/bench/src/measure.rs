//! Clocks, and the order in which things are measured.
//!
//! CPU time is user and system time of all threads of a process, so that what helper threads do is
//! not forgotten. Ours and the baseline are measured in turns: what the machine does meanwhile
//! meets both. The median of the rounds is what counts.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What was measured, round by round.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Pair {
    pub(crate) ours: Vec<f64>,
    pub(crate) baseline: Vec<f64>,
}

impl Pair {
    /// Rounds of a line that has no baseline.
    pub(crate) fn alone(ours: Vec<f64>) -> Self {
        Self { ours, baseline: Vec::new() }
    }
}

/// The middle; nothing if there is none.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Measures both in turns, after one round of each that does not count.
pub(crate) async fn in_turns(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut baseline: impl AsyncFnMut() -> Result<f64>,
) -> Result<Pair> {
    ours().await?;
    baseline().await?;
    let mut pair = Pair::default();
    for _ in 0..rounds {
        pair.ours.push(ours().await?);
        pair.baseline.push(baseline().await?);
    }
    Ok(pair)
}

/// Does `count` pieces of work, `at_once` of them at a time, in this task.
pub(crate) async fn spread<F: Future<Output = Result<()>>>(
    at_once: usize,
    count: usize,
    work: impl Fn(usize) -> F,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let workers = (0..at_once).map(|_| async {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            work(index).await?;
        }
    });
    try_join_all(workers).await.map(|_| ())
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// CPU time of another process so far, thread by thread.
///
/// The kernel's sum per process comes in steps of 10 ms; the one per thread is exact. A thread that
/// ends between two looks takes with it what it used after the first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Threads(BTreeMap<String, u64>);

impl Threads {
    /// Looks at a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/task");
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading `{folder}`"))? {
            let entry = entry.with_context(|| format!("reading `{folder}`"))?;
            let path = entry.path().join("schedstat");
            // A thread may end while we look.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let nanos = text.split_whitespace().next().and_then(|number| number.parse().ok());
            let nanos = nanos.with_context(|| format!("no time in `{}`", path.display()))?;
            threads.insert(entry.file_name().to_string_lossy().into_owned(), nanos);
        }
        anyhow::ensure!(!threads.is_empty(), "the kernel shows no `schedstat` in `{folder}`");
        Ok(Self(threads))
    }

    /// What was used since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, nanos)| {
            nanos.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0))
        });
        Duration::from_nanos(used.sum())
    }

    /// What the present threads have used so far.
    pub(crate) fn total(&self) -> Duration {
        self.since(&Self::default())
    }
}

/// Memory of a process that is in RAM, in bytes.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading `{path}`"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).with_context(|| format!("no `VmRSS` in `{path}`"))
}

/// CPU time of the children that a process has waited for; in steps of 10 ms.
pub(crate) fn children_cpu(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading `{path}`"))?;
    // The name in parentheses may hold anything; cutime and cstime are the 14th and 15th behind it.
    let behind = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 = behind.split_whitespace().skip(13).take(2).flat_map(str::parse::<u64>).sum();
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// Microseconds of CPU for each of `count` operations.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn each(cpu: Duration, count: usize) -> f64 {
    cpu.as_secs_f64() * 1e6 / count.max(1) as f64
}
