//! The records of runs that failed: the last few of each check that a plugin runs, in memory.
//!
//! Every such run is noted on a tape, and a record is made of the tape only where the run did not
//! answer well. A run leaves [`Noted`] behind, the scheduler hands it over here in the run's own
//! task, and the routes of `server/records.rs` tell what there is. Bounded by `[plugins] records`,
//! `record-bytes` and `records-bytes`; the oldest go first. Runs that are no part of a check's life
//! (trials, `inspect`, probes) do not come here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use wellcheck_core::config::Records as Bounds;
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::Run;
use wellcheck_core::record::Record;
use wellcheck_core::status::Status;
use wellcheck_core::time::WallTime;
use wellcheck_wasm::{Invocation, Plugin, Tape};

/// What is left of a run that a record can be made of.
pub(crate) struct Noted {
    pub(crate) tape: Arc<Tape>,
    pub(crate) plugin: Plugin,
    /// What the run was given.
    pub(crate) invocation: Invocation,
    /// What the plugin returned, before conditions were asked.
    pub(crate) run: Run,
    /// What may be kept.
    pub(crate) bounds: Bounds,
}

impl Noted {
    /// The record, with every secret taken out. Takes a moment where bodies are large.
    pub(crate) fn record(&self) -> Record {
        self.tape.record(&self.plugin, &self.invocation, &self.run)
    }
}

/// The records of all checks. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Newest first.
    checks: BTreeMap<CheckName, VecDeque<Kept>>,
    /// Whose each is, by its number: the oldest first.
    order: BTreeMap<u64, CheckName>,
    bytes: usize,
    /// The number of the last one; never used again.
    last: u64,
}

/// A record, and what is listed of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Kept {
    /// By which it is asked for.
    pub(crate) id: u64,
    /// When the run began.
    pub(crate) at: WallTime,
    /// After conditions.
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: String,
    /// Bytes of the record.
    pub(crate) size: usize,
    #[serde(skip)]
    json: Bytes,
}

impl Records {
    /// Keeps a record of a run that failed or faulted; `run` is what came of it after conditions.
    /// Anything else is forgotten at once.
    pub(crate) fn keep(&self, check: &CheckName, noted: &Noted, run: &Run) {
        let status = run.outcome.status();
        if status.is_healthy() || noted.bounds.each == 0 {
            return;
        }
        let record = noted.record();
        let at = WallTime(record.began);
        let json = Bytes::from(serde_json::to_vec(&record).expect("a record is plain data"));
        let message = noted.invocation.redact.apply(run.outcome.message()).into_owned();
        let (reason, size) = (run.outcome.reason(), json.len());
        let mut inner = self.lock();
        let id = inner.last + 1;
        inner.put(check, Kept { id, at, status, reason, message, size, json });
        inner.trim_one(check, noted.bounds.each);
        inner.trim_all(noted.bounds.all_bytes);
    }

    /// Forgets what belongs to none of the checks that are `known`, and what is beyond `bounds`.
    pub(crate) fn follow(&self, known: impl Fn(&CheckName) -> bool, bounds: Bounds) {
        let mut inner = self.lock();
        let names: Vec<CheckName> = inner.checks.keys().cloned().collect();
        for name in names {
            let each = if known(&name) { bounds.each } else { 0 };
            inner.trim_one(&name, each);
        }
        inner.trim_all(bounds.all_bytes);
    }

    /// What there is of a check, newest first.
    pub(crate) fn list(&self, check: &str) -> Vec<Kept> {
        let Ok(name) = CheckName::new(check) else { return Vec::new() };
        let inner = self.lock();
        inner.checks.get(&name).map_or_else(Vec::new, |list| list.iter().cloned().collect())
    }

    /// One record of a check, as JSON.
    pub(crate) fn get(&self, check: &str, id: u64) -> Option<Bytes> {
        self.list(check).into_iter().find(|kept| kept.id == id).map(|kept| kept.json)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Kept {
    /// Bytes of memory.
    fn cost(&self) -> usize {
        self.json.len() + self.message.len() + size_of::<Self>()
    }
}

impl Inner {
    fn put(&mut self, check: &CheckName, kept: Kept) {
        self.last = kept.id;
        self.bytes += kept.cost();
        self.order.insert(kept.id, check.clone());
        self.checks.entry(check.clone()).or_default().push_front(kept);
    }

    fn remove_oldest(&mut self, check: &CheckName) {
        let Some(list) = self.checks.get_mut(check) else { return };
        if let Some(gone) = list.pop_back() {
            self.bytes -= gone.cost();
            self.order.remove(&gone.id);
        }
        if list.is_empty() {
            self.checks.remove(check);
        }
    }

    fn trim_one(&mut self, check: &CheckName, each: usize) {
        while self.checks.get(check).is_some_and(|list| list.len() > each) {
            self.remove_oldest(check);
        }
    }

    fn trim_all(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some((_, check)) = self.order.first_key_value() else { return };
            let check = check.clone();
            self.remove_oldest(&check);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CheckName {
        CheckName::new(text).expect("a name")
    }

    fn put(records: &Records, check: &str, size: usize, bounds: Bounds) {
        let mut inner = records.lock();
        let kept = Kept {
            id: inner.last + 1,
            at: WallTime(0),
            status: Status::Fail,
            reason: None,
            message: String::new(),
            size,
            json: Bytes::from(vec![b'x'; size]),
        };
        inner.put(&name(check), kept);
        inner.trim_one(&name(check), bounds.each);
        inner.trim_all(bounds.all_bytes);
    }

    fn ids(records: &Records, check: &str) -> Vec<u64> {
        records.list(check).iter().map(|kept| kept.id).collect()
    }

    #[test]
    fn each_check_keeps_its_newest() {
        let (records, bounds) = (Records::default(), Bounds { each: 2, ..Bounds::default() });
        for check in ["a", "a", "b", "a"] {
            put(&records, check, 10, bounds);
        }
        assert_eq!((ids(&records, "a"), ids(&records, "b")), (vec![4, 2], vec![3]));
        assert_eq!(records.get("a", 1), None);
        assert_eq!(records.get("b", 4), None);
        assert_eq!(records.get("a", 4).map(|json| json.len()), Some(10));
    }

    #[test]
    fn all_together_are_bounded_and_the_oldest_go_first() {
        let room = 4 * (1000 + size_of::<Kept>());
        let bounds = Bounds { all_bytes: room, ..Bounds::default() };
        let records = Records::default();
        for check in ["a", "b", "c", "a", "b"] {
            put(&records, check, 1000, bounds);
        }
        assert_eq!(ids(&records, "a"), [4]);
        assert_eq!(ids(&records, "b"), [5, 2]);
        put(&records, "d", 10_000, bounds);
        assert_eq!(records.lock().bytes, 0, "one that is larger than all may be is not kept");
        assert!(records.lock().checks.is_empty());
    }

    #[test]
    fn what_is_gone_from_the_configuration_is_forgotten() {
        let (records, bounds) = (Records::default(), Bounds::default());
        for check in ["a", "b", "b"] {
            put(&records, check, 10, bounds);
        }
        records.follow(|check| check.as_str() == "b", Bounds { each: 1, ..bounds });
        assert_eq!((ids(&records, "a"), ids(&records, "b")), (vec![], vec![3]));
        records.follow(|_| true, Bounds { each: 0, ..bounds });
        let inner = records.lock();
        assert_eq!((inner.bytes, inner.order.len(), inner.checks.len()), (0, 0, 0));
    }
}
