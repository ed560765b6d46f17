//! The store's thread: the one that waits for the disk.
//!
//! It sleeps until [memory](super::memory) has something for it, or until a disk that failed is to
//! be tried again. A failure of whatever kind closes the database; the next try starts from the
//! beginning, and counts only when it also does what the failed one was to do. Logged is each change
//! of condition, not each failure.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::disk::{Disk, Trouble};
use super::memory::{Cause, Extent, Memory};
use super::place::Identity;

/// First pause after a failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A failure after this long without one is a first one again.
const CALM: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Worker {
    shared: Arc<Shared>,
    path: PathBuf,
    disk: Option<Disk>,
    /// The database that was open last.
    last: Option<Identity>,
    failure: Option<Failure>,
}

/// The newest failure.
struct Failure {
    at: Instant,
    pause: Duration,
    /// Whether the disk is still to be tried again.
    stands: bool,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf) -> Self {
        Self { shared, path, disk: None, last: None, failure: None }
    }

    /// Runs on a thread of its own until the store's handles are gone.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(self) -> std::io::Result<()> {
        std::thread::Builder::new().name("store".to_owned()).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        while let Some(extent) = self.wait() {
            let result = self.turn(extent);
            if self.settle(result) {
                break;
            }
        }
    }

    /// Sleeps until something is due; `None` at the end.
    fn wait(&self) -> Option<Extent> {
        let retry = self.failure.as_ref().filter(|failure| failure.stands);
        let at = retry.map(|failure| failure.at + failure.pause);
        let mut memory = self.shared.lock();
        loop {
            let now = Instant::now();
            let due = memory.due(at, now);
            if due.is_some_and(|due| due <= now) {
                if memory.is_finished() {
                    return None;
                }
                memory.begin(now);
                let everything = retry.is_some() || memory.stop;
                return Some(if everything { Extent::Everything } else { Extent::Batch });
            }
            memory = self.sleep(memory, due.map(|due| due - now));
        }
    }

    fn sleep<'a>(
        &self,
        memory: MutexGuard<'a, Memory>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, Memory> {
        let wake = &self.shared.wake;
        match at_most {
            None => wake.wait(memory).unwrap_or_else(PoisonError::into_inner),
            Some(time) => wake.wait_timeout(memory, time).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Does what is due. A corrupt database is replaced, once.
    fn turn(&mut self, extent: Extent) -> Result<(), Trouble> {
        match self.attempt(extent) {
            Err(Trouble::Corrupt(why)) => {
                if let Some(disk) = self.disk.take() {
                    let disk = disk.replace(&why, self.shared.seconds())?;
                    self.opened(disk);
                }
                self.attempt(extent)
            }
            result => result,
        }
    }

    fn attempt(&mut self, extent: Extent) -> Result<(), Trouble> {
        if self.disk.as_ref().is_some_and(|disk| !disk.is_there()) {
            tracing::warn!(
                store = %self.path.display(),
                "the store's file is gone or another one; what is in memory is written again"
            );
            self.disk = None;
        }
        if self.disk.is_none() {
            let disk = Disk::open(&self.path, self.shared.seconds())?;
            self.opened(disk);
        }
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let shared = &self.shared;
        // First, so that it takes away nothing that is read or written after it was asked for.
        let known = shared.lock().known();
        if let Some(known) = known {
            disk.forget(&known, shared.seconds())?;
            shared.lock().forgotten(&known);
        }
        loop {
            let batch = shared.lock().next_writes(extent, Instant::now());
            if batch.is_empty() {
                break;
            }
            let found = disk.save(&batch, shared.seconds())?;
            if !found.is_empty() {
                tracing::warn!(
                    store = %self.path.display(),
                    checks = found.len(),
                    "the store has state that could not be read before; it replaces what was kept \
                     meanwhile"
                );
            }
            shared.lock().written(batch, found, shared.seconds(), Instant::now());
            if extent == Extent::Batch {
                break;
            }
        }
        let to_read = shared.lock().next_reads(Instant::now());
        disk.load(&to_read, |key, state| shared.lock().loaded(key, state, shared.seconds()))
    }

    fn opened(&mut self, disk: Disk) {
        let identity = disk.identity();
        let anew = disk.is_new() || self.last.is_some_and(|last| last != identity);
        self.shared.lock().opened(anew, Instant::now());
        self.last = Some(identity);
        self.disk = Some(disk);
    }

    /// Takes note of how it went. Returns whether this was the last turn.
    fn settle(&mut self, result: Result<(), Trouble>) -> bool {
        let store = self.path.display();
        let Err(trouble) = result else {
            let recovered = self.shared.lock().succeeded();
            if let Some(failure) = &mut self.failure {
                failure.stands = false;
            }
            if recovered {
                tracing::info!(%store, "the store is used again");
            }
            return false;
        };
        self.disk = None;
        let now = Instant::now();
        let pause = match &self.failure {
            Some(last) if now < last.at + CALM => LONGEST_PAUSE.min(last.pause * 2),
            _ => FIRST_PAUSE,
        };
        self.failure = Some(Failure { at: now, pause, stands: true });
        let mut memory = self.shared.lock();
        let news = memory.failed(trouble.to_string(), trouble.cause(), now);
        let stop = memory.stop;
        drop(memory);
        if news {
            tracing::warn!(
                %store,
                "the store is not used at present: {trouble}; what plugins keep stays in memory"
            );
        }
        stop
    }
}

/// Says so when the thread ends before its time.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = "its thread has ended by a bug; a restart brings it back".to_owned();
            self.0.lock().failed(why, Cause::Passing, Instant::now());
        }
    }
}
