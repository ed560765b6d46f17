//! What the store knows without its disk, and what the disk is to do next.
//!
//! Plain data with rules: it does no I/O and starts nothing. Bounded by the number of checks: one
//! state for each, and one request.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{FORGOTTEN_AFTER, Kept, Key, PATIENCE};

/// How long the first change waits for others to be written with it.
const GATHER: Duration = Duration::from_millis(100);

/// Most states in one transaction; reads get their turn in between.
const MOST_STATES: usize = 1_000;

/// About how many bytes go into one transaction; one state goes in whatever its size.
const MOST_BYTES: usize = 32 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    has_disk: bool,
    entries: BTreeMap<Key, Entry>,
    /// The entries that the disk has not got yet.
    pending: BTreeSet<Key>,
    /// When the first of them came.
    pending_since: Option<Instant>,
    /// What is to be read.
    wanted: BTreeMap<Key, Wanted>,
    known: Option<Arc<BTreeSet<Key>>>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Why the disk is not used.
    condition: Option<Condition>,
    /// Since when the thread has been at what it does.
    busy: Option<Instant>,
    /// Until when one that another process uses is waited for: that process may be about to end.
    grace: Option<Instant>,
    /// Whether the thread runs.
    pub(super) started: bool,
    /// The handles are gone.
    pub(super) stop: bool,
}

struct Entry {
    state: Arc<Kept>,
    /// What the disk has, where that is known.
    saved: Option<Arc<Kept>>,
    /// Whether the disk's was read, or this is the disk's: until then it gives way to the disk's.
    is_read: bool,
    /// It gave way, and who asked before that has yet to ask again: what they keep does not count.
    gave_way: bool,
    /// When it was last kept or known, in seconds since 1970.
    needed: i64,
}

impl Entry {
    fn unread(state: Arc<Kept>, seconds: i64) -> Self {
        Self { state, saved: None, is_read: false, gave_way: false, needed: seconds }
    }
}

struct Condition {
    why: String,
    cause: Cause,
}

/// What it means for state that was never read that the disk cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another process has it, which may be about to end.
    InUse,
    /// There may be some, which can be read later.
    Passing,
    /// There is none of ours: memory stands in.
    Nothing,
}

struct Wanted {
    since: Instant,
    waiters: Vec<oneshot::Sender<()>>,
}

/// What memory says to a question for state.
pub(super) enum Lookup {
    /// This is it.
    Known(Arc<Kept>),
    /// It cannot be read at present; why, in words.
    Unread(String),
    /// It is being read: wait, but no longer than this, and take the [answer](Memory::answer).
    Wait(oneshot::Receiver<()>, Instant),
}

/// What is done at one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What is due, and not too much of it: others wait for their turn.
    Batch,
    /// All there is: a disk that failed proves itself, or the end is near.
    Everything,
}

/// A state that is to be written.
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) state: Arc<Kept>,
    /// What the disk has, where that is known.
    pub(super) saved: Option<Arc<Kept>>,
    /// Whether it was made with what the disk has; otherwise it gives way to that.
    pub(super) is_read: bool,
}

impl Memory {
    pub(super) fn new(has_disk: bool) -> Self {
        Self { has_disk, ..Self::default() }
    }

    /// The thread was started, or could not be.
    pub(super) fn started(&mut self, result: std::io::Result<()>, now: Instant) {
        match result {
            Ok(()) => {
                self.started = true;
                self.condition = None;
                self.grace = Some(now + PATIENCE);
            }
            Err(error) => {
                let why = format!("its thread cannot be started: {error}");
                self.failed(why, Cause::Passing, now);
            }
        }
    }

    /// The state, if memory has the true one, or stands in for the disk.
    fn known_state(&mut self, key: &Key) -> Option<Arc<Kept>> {
        let stands_in = !self.has_disk || self.cause() == Some(Cause::Nothing);
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.is_read || stands_in) {
            entry.gave_way = false;
            return Some(Arc::clone(&entry.state));
        }
        if !stands_in {
            return None;
        }
        let nothing = Arc::<Kept>::default();
        if self.has_disk {
            // Remembers that somebody makes a state without the disk's.
            self.entries.insert(key.clone(), Entry::unread(Arc::clone(&nothing), 0));
        }
        Some(nothing)
    }

    /// The state after a wait for it, or in words why there is none.
    pub(super) fn answer(&mut self, key: &Key, now: Instant) -> Result<Arc<Kept>, String> {
        self.known_state(key).ok_or_else(|| {
            self.problem(now).unwrap_or_else(|| "the time for it has run out".to_owned())
        })
    }

    fn cause(&self) -> Option<Cause> {
        self.condition.as_ref().map(|condition| condition.cause)
    }

    /// The state, or what to wait for.
    pub(super) fn look_up(&mut self, key: &Key, now: Instant) -> Lookup {
        if let Some(state) = self.known_state(key) {
            return Lookup::Known(state);
        }
        let in_use = self.cause() == Some(Cause::InUse);
        let grace = self.grace.filter(|until| in_use && now < *until);
        let out_of_use = self.condition.is_some() && grace.is_none();
        let hangs = self.busy.is_some_and(|since| now > since + PATIENCE);
        if let Some(why) = self.problem(now).filter(|_| out_of_use || hangs) {
            return Lookup::Unread(why);
        }
        let (sender, receiver) = oneshot::channel();
        let wanted = self
            .wanted
            .entry(key.clone())
            .or_insert_with(|| Wanted { since: now, waiters: Vec::new() });
        wanted.waiters.retain(|waiter| !waiter.is_closed());
        wanted.waiters.push(sender);
        Lookup::Wait(receiver, grace.unwrap_or(now + PATIENCE))
    }

    /// Takes over a new state, unless it was made without what the disk turned out to have.
    pub(super) fn keep(&mut self, key: Key, state: Arc<Kept>, seconds: i64, now: Instant) {
        match self.entries.get_mut(&key) {
            Some(entry) if entry.gave_way => return,
            Some(entry) => {
                entry.state = state;
                entry.needed = seconds;
            }
            None => {
                self.entries.insert(key.clone(), Entry::unread(state, seconds));
            }
        }
        if self.has_disk {
            self.pending.insert(key);
            self.pending_since.get_or_insert(now);
        }
    }

    /// Lets go of what is not known, unless the disk has yet to get it; where there is no disk,
    /// after its time.
    pub(super) fn forget(&mut self, known: &BTreeSet<Key>, seconds: i64) {
        let Self { entries, pending, has_disk, .. } = self;
        entries.retain(|key, entry| {
            if known.contains(key) {
                entry.needed = seconds;
                return true;
            }
            // The disk may be about to lose it.
            entry.saved = None;
            let recent = entry.needed > seconds.saturating_sub(FORGOTTEN_AFTER);
            recent && (!*has_disk || pending.contains(key))
        });
        pending.retain(|key| entries.contains_key(key));
        if *has_disk {
            self.known = Some(Arc::new(known.clone()));
        }
    }

    /// Asks for everything to be written now; `None` when it is.
    pub(super) fn flush(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.pending.is_empty() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.flushes.retain(|waiter| !waiter.is_closed());
        self.flushes.push(sender);
        Some(receiver)
    }

    /// Why the disk is not used.
    pub(super) fn problem(&self, now: Instant) -> Option<String> {
        if let Some(condition) = &self.condition {
            return Some(condition.why.clone());
        }
        let late = |since: Instant| now > since + PATIENCE;
        let slow = self.busy.is_some_and(late) || self.wanted.values().any(|w| late(w.since));
        slow.then(|| format!("the disk takes longer than {} s", PATIENCE.as_secs()))
    }

    /// Whether there is anything for the thread to do.
    pub(super) fn has_work(&self) -> bool {
        self.stop
            || self.known.is_some()
            || !self.wanted.is_empty()
            || !self.pending.is_empty()
            || !self.flushes.is_empty()
    }

    /// When the thread has something to do; `retry`: when it will try a disk that failed again.
    pub(super) fn due(&self, retry: Option<Instant>, now: Instant) -> Option<Instant> {
        let asked = !self.wanted.is_empty() || self.known.is_some();
        if self.stop || !self.flushes.is_empty() || (asked && retry.is_none()) {
            return Some(now);
        }
        let since = self.pending_since.filter(|_| !self.pending.is_empty());
        retry.or_else(|| Some(since? + GATHER))
    }

    /// Whether the handles are gone, and the disk has everything.
    pub(super) fn is_finished(&self) -> bool {
        self.stop && self.pending.is_empty()
    }

    /// The thread begins with something that may take its time.
    pub(super) fn begin(&mut self, now: Instant) {
        self.busy = Some(now);
    }

    /// The database is open. `anew`: it is not the one that had what memory has.
    pub(super) fn opened(&mut self, anew: bool, now: Instant) {
        for (key, entry) in &mut self.entries {
            entry.saved = None;
            if anew && !entry.state.is_empty() {
                self.pending.insert(key.clone());
                self.pending_since.get_or_insert(now);
            }
        }
    }

    /// Which checks there are, if the disk has not heard yet.
    pub(super) fn known(&self) -> Option<Arc<BTreeSet<Key>>> {
        self.known.clone()
    }

    /// The disk has let go of what is not in `known`.
    pub(super) fn forgotten(&mut self, known: &Arc<BTreeSet<Key>>) {
        if self.known.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, known)) {
            self.known = None;
        }
    }

    /// What is to be read next.
    pub(super) fn next_reads(&mut self, now: Instant) -> Vec<Key> {
        self.begin(now);
        self.wanted.keys().take(MOST_STATES).cloned().collect()
    }

    /// The disk has this. What was made with it is newer; what was made without it gives way.
    pub(super) fn loaded(&mut self, key: &Key, state: Kept, seconds: i64) {
        let state = Arc::new(state);
        self.wanted.remove(key);
        match self.entries.get_mut(key) {
            None => {
                let entry = Entry {
                    saved: Some(Arc::clone(&state)),
                    is_read: true,
                    ..Entry::unread(state, seconds)
                };
                self.entries.insert(key.clone(), entry);
            }
            Some(entry) => {
                if !entry.is_read && !state.is_empty() {
                    entry.state = Arc::clone(&state);
                    entry.gave_way = true;
                    self.pending.remove(key);
                }
                entry.is_read = true;
                entry.saved = Some(state);
            }
        }
    }

    /// What is to be written next, in one transaction; empty when there is nothing, or it is not
    /// due yet.
    pub(super) fn next_writes(&mut self, extent: Extent, now: Instant) -> Vec<Write> {
        self.begin(now);
        let due = self.pending_since.is_some_and(|since| now >= since + GATHER);
        if extent == Extent::Batch && self.flushes.is_empty() && !due {
            return Vec::new();
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        for key in self.pending.iter().take(MOST_STATES) {
            let Some(entry) = self.entries.get(key) else { continue };
            let Entry { state, saved, is_read, .. } = entry;
            bytes += state.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if bytes > MOST_BYTES && !batch.is_empty() {
                break;
            }
            let (key, state) = (key.clone(), Arc::clone(state));
            batch.push(Write { key, state, saved: saved.clone(), is_read: *is_read });
        }
        batch
    }

    /// The disk has these now, but for what it `found` it has instead. `now`: what was kept meanwhile
    /// waits from here.
    pub(super) fn written(
        &mut self,
        batch: Vec<Write>,
        mut found: BTreeMap<Key, Kept>,
        seconds: i64,
        now: Instant,
    ) {
        for Write { key, state, .. } in batch {
            if let Some(found) = found.remove(&key) {
                self.loaded(&key, found, seconds);
            } else if let Some(entry) = self.entries.get_mut(&key) {
                if Arc::ptr_eq(&entry.state, &state) {
                    self.pending.remove(&key);
                }
                entry.is_read = true;
                entry.saved = Some(state);
                self.wanted.remove(&key);
            }
        }
        self.pending_since = (!self.pending.is_empty()).then_some(now);
    }

    /// The thread is done with what it began, and the disk is well. Returns whether it was not.
    pub(super) fn succeeded(&mut self) -> bool {
        self.busy = None;
        if self.pending.is_empty() {
            self.pending_since = None;
            self.flushes.clear();
        }
        self.condition.take().is_some()
    }

    /// The disk cannot be used: nobody waits for it any longer, but at the start for another
    /// process to let go of it. Returns whether that is news.
    pub(super) fn failed(&mut self, why: String, cause: Cause, now: Instant) -> bool {
        self.busy = None;
        self.flushes.clear();
        if !(cause == Cause::InUse && self.grace.is_some_and(|until| now < until)) {
            self.wanted.values_mut().for_each(|wanted| wanted.waiters.clear());
        }
        let news = self.condition.as_ref().is_none_or(|condition| condition.why != why);
        self.condition = Some(Condition { why, cause });
        news
    }
}

#[cfg(test)]
impl Memory {
    /// How many states wait for the disk.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }
}
