//! The store: what has to outlive a run or the process, in one SQLite file.
//!
//! Today that is what plugins keep through the interface `state`; history will share the file. All
//! of it is in memory as well, and memory is what everybody talks to: nothing waits for the disk but
//! the first read of a check's state, and that not for long. One thread ([`worker`]) owns the
//! connection ([`disk`], where all SQL is; [`place`] is the file), reads what is asked for, and
//! writes the newest state of each check in batches. What it cannot write it tries again; nothing
//! queues but the newest state of each check.
//!
//! A disk that is full, read-only, gone, slow, or in use by another process is a
//! [problem](Store::problem) to show. Checks whose state was read before go on, with what memory
//! has, and what they keep is written when the disk is back.
//!
//! State that may be on disk and was never read is an error, so that no run begins with a wrong one;
//! memory stands in only where nothing of ours can be lost: there is no file, and none can be made,
//! or the file is another program's, another user's, or a newer wellcheck's. And whatever was kept
//! without such a read gives way to what the disk turns out to have.
//!
//! This folder is the only one that names rusqlite.

mod disk;
mod memory;
mod place;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wellcheck_core::id::{CheckName, PluginName};

use crate::clock::Clock;
use memory::{Lookup, Memory};
use worker::Worker;

/// Everything that one check keeps.
type Kept = BTreeMap<String, Bytes>;

/// Whose state it is: a check that gets another plugin starts with nothing.
type Key = (CheckName, PluginName);

/// Longest wait for the first read of a check's state.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long state outlives its check's place in the configuration, in seconds: 30 days.
const FORGOTTEN_AFTER: i64 = 30 * 24 * 60 * 60;

/// The store's handle. Cheap to clone; when the last one is dropped, what is pending is written, and
/// the thread ends.
#[derive(Clone)]
pub(crate) struct Store(Arc<Owner>);

/// What the handles share; the thread holds only the part that it needs.
struct Owner(Arc<Shared>);

struct Shared {
    path: Option<PathBuf>,
    clock: Clock,
    /// Held for moments, never while anything is read or written.
    memory: Mutex<Memory>,
    /// Wakes the thread.
    wake: Condvar,
}

impl Store {
    /// A store in the file `path`, which is made at the first use (mode 0600, its folder 0700), or
    /// in memory only. Touches nothing yet.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        let memory = Mutex::new(Memory::new(path.is_some()));
        let clock = Clock::start();
        Self(Arc::new(Owner(Arc::new(Shared { path, clock, memory, wake: Condvar::new() }))))
    }

    /// What `check` kept with `plugin`; empty when it never kept anything.
    ///
    /// Read from disk once, then from memory. Waits for the disk at most `within`, and never longer
    /// than 2 s. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// One line for a person, when the disk may have state and it was never read: nobody knows then
    /// what the check kept, and a run must not begin.
    pub(crate) async fn state(
        &self,
        check: &CheckName,
        plugin: &PluginName,
        within: Duration,
    ) -> Result<Arc<Kept>, String> {
        let key = (check.clone(), plugin.clone());
        let now = Instant::now();
        let lookup = self.change(|memory| memory.look_up(&key, now));
        let answer = match lookup {
            Lookup::Known(state) => Ok(state),
            Lookup::Unread(why) => Err(why),
            Lookup::Wait(loaded, until) => {
                let until = until.min(now + within.min(PATIENCE));
                // However the wait ends, memory has what there is.
                let _ = tokio::time::timeout_at(until.into(), loaded).await;
                self.0.0.lock().answer(&key, Instant::now())
            }
        };
        answer.map_err(|why| format!("the check's state cannot be read from the store: {why}"))
    }

    /// Replaces everything that `check` keeps with `plugin`: in memory at once, on disk within
    /// moments. The disk has the old state or the new one, never a mix. Never waits.
    ///
    /// Of several states that the disk has not seen yet it gets the newest. One that was made
    /// without the disk's is dropped where the disk turns out to have some.
    pub(crate) fn keep(&self, check: &CheckName, plugin: &PluginName, state: Arc<Kept>) {
        let seconds = self.0.0.seconds();
        let key = (check.clone(), plugin.clone());
        self.change(|memory| memory.keep(key, state, seconds, Instant::now()));
    }

    /// Lets go of what belongs to none of `known` (every configured check with its plugin): from
    /// memory now, from disk 30 days after it was last written or known.
    pub(crate) fn forget(&self, known: &BTreeSet<(CheckName, PluginName)>) {
        let seconds = self.0.0.seconds();
        self.change(|memory| memory.forget(known, seconds));
    }

    /// Waits until everything kept so far is on disk, but at most `within`, and no longer than it
    /// takes to find out that the disk cannot be used.
    pub(crate) async fn flush(&self, within: Duration) {
        let written = self.change(Memory::flush);
        if let Some(written) = written {
            // Late or not, there is nothing more to do about it.
            let _ = tokio::time::timeout(within, written).await;
        }
    }

    /// Why the disk is not used at present, in words; `None` when all is well.
    pub(crate) fn problem(&self) -> Option<String> {
        let shared = &self.0.0;
        let path = shared.path.as_ref()?;
        let why = shared.lock().problem(Instant::now())?;
        Some(format!("the store `{}` is not used at present: {why}", path.display()))
    }

    /// Changes memory, and sees to it that the thread takes notice.
    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let shared = &self.0.0;
        let mut memory = shared.lock();
        let answer = change(&mut memory);
        if let Some(path) = &shared.path
            && memory.has_work()
        {
            if memory.started {
                shared.wake.notify_one();
            } else {
                let worker = Worker::new(Arc::clone(shared), path.clone());
                memory.started(worker.start(), Instant::now());
            }
        }
        answer
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.0.path).finish()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().stop = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Nothing that runs under the lock leaves it half done.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since 1970.
    fn seconds(&self) -> i64 {
        self.clock.now().wall.0 / 1000
    }
}
