//! What the store knows without its disk, and what the disk is to do next.
//!
//! Plain data with rules: it does no I/O and starts nothing. Bounded by the number of checks: one
//! state for each, and one request.

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
    condition: Option<String>,
    /// Since when the thread has been at what it does.
    busy: Option<Instant>,
    /// Until when one that another process uses is waited for: that process may be about to end.
    grace: Option<Instant>,
    /// Whether that is why the disk is not used.
    in_use: bool,
    /// Whether the thread runs.
    pub(super) started: bool,
    /// The handles are gone.
    pub(super) stop: bool,
}

struct Entry {
    state: Arc<Kept>,
    /// What the disk has, where that is known.
    saved: Option<Arc<Kept>>,
    /// When it was last kept or known, in seconds since 1970.
    needed: i64,
}

struct Wanted {
    since: Instant,
    waiters: Vec<oneshot::Sender<()>>,
}

/// What memory says to a question for state.
pub(super) enum Lookup {
    /// This is it.
    Known(Arc<Kept>),
    /// It is being read: wait, but no longer than this, and [peek](Memory::peek).
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
                self.failed(format!("its thread cannot be started: {error}"), false, now);
            }
        }
    }

    /// The state as memory has it.
    pub(super) fn peek(&self, key: &Key) -> Arc<Kept> {
        self.entries.get(key).map(|entry| Arc::clone(&entry.state)).unwrap_or_default()
    }

    /// The state, or what to wait for.
    pub(super) fn look_up(&mut self, key: &Key, now: Instant) -> Lookup {
        let grace = self.grace.filter(|until| self.in_use && now < *until);
        let out_of_use = self.condition.is_some() && grace.is_none();
        let hangs = self.busy.is_some_and(|since| now > since + PATIENCE);
        if !self.has_disk || self.entries.contains_key(key) || out_of_use || hangs {
            return Lookup::Known(self.peek(key));
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

    /// Takes over a new state.
    pub(super) fn keep(&mut self, key: Key, state: Arc<Kept>, seconds: i64, now: Instant) {
        // What was to be read has been replaced; its waiters wake by the drop.
        self.wanted.remove(&key);
        if self.has_disk {
            self.pending.insert(key.clone());
            self.pending_since.get_or_insert(now);
        }
        let saved = self.entries.get_mut(&key).and_then(|entry| entry.saved.take());
        self.entries.insert(key, Entry { state, saved, needed: seconds });
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
        if self.condition.is_some() {
            return self.condition.clone();
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

    /// The disk has this. A state that was kept meanwhile is newer.
    pub(super) fn loaded(&mut self, key: &Key, state: Kept, seconds: i64) {
        let state = Arc::new(state);
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            state: Arc::clone(&state),
            saved: None,
            needed: seconds,
        });
        entry.saved = Some(state);
        self.wanted.remove(key);
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
            let Some(Entry { state, saved, .. }) = self.entries.get(key) else { continue };
            bytes += state.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if bytes > MOST_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(Write { key: key.clone(), state: Arc::clone(state), saved: saved.clone() });
        }
        batch
    }

    /// The disk has these. `now`: what was kept meanwhile waits from here.
    pub(super) fn written(&mut self, batch: Vec<Write>, now: Instant) {
        for Write { key, state, .. } in batch {
            if let Some(entry) = self.entries.get_mut(&key) {
                if Arc::ptr_eq(&entry.state, &state) {
                    self.pending.remove(&key);
                }
                entry.saved = Some(state);
            }
        }
        self.pending_since = (!self.pending.is_empty()).then_some(now);
    }

    /// The thread is done with what it began, and the disk is well. Returns whether it was not.
    pub(super) fn succeeded(&mut self) -> bool {
        self.busy = None;
        self.in_use = false;
        if self.pending.is_empty() {
            self.pending_since = None;
            self.flushes.clear();
        }
        self.condition.take().is_some()
    }

    /// The disk cannot be used: nobody waits for it any longer, but at the start for another
    /// process (`in_use`) to let go of it. Returns whether that is news.
    pub(super) fn failed(&mut self, why: String, in_use: bool, now: Instant) -> bool {
        self.busy = None;
        self.in_use = in_use;
        self.flushes.clear();
        if !(in_use && self.grace.is_some_and(|until| now < until)) {
            self.wanted.values_mut().for_each(|wanted| wanted.waiters.clear());
        }
        let news = self.condition.as_ref() != Some(&why);
        self.condition = Some(why);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wellcheck_core::id::{CheckName, PluginName};

    use super::*;

    fn key(name: &str) -> Key {
        (CheckName::new(name).unwrap(), PluginName::new("p").unwrap())
    }

    fn state(value: &'static str) -> Arc<Kept> {
        Arc::new(Kept::from([("k".to_owned(), Bytes::from_static(value.as_bytes()))]))
    }

    fn running(now: Instant) -> Memory {
        let mut memory = Memory::new(true);
        memory.started(Ok(()), now);
        memory
    }

    fn waits(memory: &mut Memory, name: &str, now: Instant) -> bool {
        matches!(memory.look_up(&key(name), now), Lookup::Wait(..))
    }

    #[test]
    fn a_change_of_condition_is_news_once() {
        let now = Instant::now();
        let mut memory = running(now);
        assert!(!memory.succeeded());
        assert!(memory.failed("full".to_owned(), false, now));
        assert!(!memory.failed("full".to_owned(), false, now));
        assert!(memory.failed("gone".to_owned(), false, now));
        assert!(memory.succeeded());
        assert!(!memory.succeeded());
    }

    #[test]
    fn a_disk_that_hangs_is_waited_for_once() {
        let now = Instant::now();
        let mut memory = running(now);
        assert!(waits(&mut memory, "a", now));
        memory.begin(now);
        assert_eq!(memory.problem(now + PATIENCE), None);
        let later = now + PATIENCE + Duration::from_millis(1);
        assert_eq!(memory.problem(later).as_deref(), Some("the disk takes longer than 2 s"));
        assert!(!waits(&mut memory, "b", later));
        memory.succeeded();
        memory.loaded(&key("a"), Kept::new(), 0);
        assert_eq!(memory.problem(later), None);
        assert!(waits(&mut memory, "b", later));
    }

    #[test]
    fn a_failed_disk_is_not_waited_for_unless_its_user_may_be_about_to_end() {
        let now = Instant::now();
        let mut memory = running(now);
        memory.failed("full".to_owned(), false, now);
        assert!(!waits(&mut memory, "a", now));
        memory.failed("in use".to_owned(), true, now);
        assert!(waits(&mut memory, "a", now));
        assert!(!waits(&mut memory, "a", now + PATIENCE));
    }

    #[test]
    fn requests_of_those_who_gave_up_do_not_pile_up() {
        let now = Instant::now();
        let mut memory = running(now);
        for _ in 0..100 {
            assert!(waits(&mut memory, "a", now));
        }
        assert_eq!(memory.wanted.len(), 1);
        assert_eq!(memory.wanted[&key("a")].waiters.len(), 1);
    }

    #[test]
    fn what_is_kept_during_a_write_is_written_next() {
        let now = Instant::now();
        let mut memory = running(now);
        memory.keep(key("a"), state("1"), 0, now);
        assert!(memory.next_writes(Extent::Batch, now).is_empty(), "others may join");
        let batch = memory.next_writes(Extent::Batch, now + GATHER);
        memory.keep(key("a"), state("2"), 0, now + GATHER);
        memory.written(batch, now + GATHER);
        let next = memory.next_writes(Extent::Everything, now + GATHER);
        assert_eq!(next[0].saved, Some(state("1")));
        assert_eq!(next[0].state, state("2"));
        memory.written(next, now + GATHER);
        assert_eq!(memory.waiting(), 0);
        assert_eq!(memory.due(None, now), None);
    }

    #[test]
    fn a_late_read_does_not_undo_what_was_kept() {
        let now = Instant::now();
        let mut memory = running(now);
        assert!(waits(&mut memory, "a", now));
        memory.keep(key("a"), state("new"), 0, now);
        memory.loaded(&key("a"), (*state("old")).clone(), 0);
        assert_eq!(memory.peek(&key("a")), state("new"));
    }

    #[test]
    fn transactions_are_bounded() {
        let now = Instant::now();
        let mut memory = running(now);
        let large = Arc::new(Kept::from([("k".to_owned(), Bytes::from(vec![0; MOST_BYTES / 2]))]));
        for name in ["a", "b", "c"] {
            memory.keep(key(name), Arc::clone(&large), 0, now);
        }
        assert_eq!(memory.next_writes(Extent::Everything, now).len(), 1);
        for n in 0..2 * MOST_STATES {
            memory.keep(key(&format!("{n}")), state("1"), 0, now);
        }
        assert_eq!(memory.next_writes(Extent::Everything, now).len(), MOST_STATES);
    }

    #[test]
    fn memory_lets_go_of_what_is_not_known() {
        let now = Instant::now();
        let known = BTreeSet::from([key("known")]);
        let mut with_disk = running(now);
        let mut without = Memory::new(false);
        for memory in [&mut with_disk, &mut without] {
            memory.keep(key("known"), state("1"), 0, now);
            memory.keep(key("other"), state("1"), 0, now);
        }
        with_disk.forget(&known, 1);
        assert_eq!(with_disk.waiting(), 2, "the disk gets it all the same");
        let batch = with_disk.next_writes(Extent::Everything, now);
        with_disk.written(batch, now);
        with_disk.forget(&known, 1);
        assert_eq!(with_disk.entries.len(), 1);

        without.forget(&known, FORGOTTEN_AFTER - 1);
        assert_eq!(without.entries.len(), 2);
        without.forget(&known, FORGOTTEN_AFTER);
        assert_eq!(without.entries.len(), 1);
    }
}
