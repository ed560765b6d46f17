//! What a check keeps from run to run, within the bytes that its grant gives.
//!
//! A run reads what was kept before it, and writes into a copy; the caller of the run keeps the
//! copy if the run ended with a report.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::HasData;
use wellcheck_core::grant::{GrantKind, Grants};

use crate::host::RunShared;
use crate::text;

/// Longest key, in bytes.
const MAX_KEY: usize = 256;
/// Most keys of one check.
const MAX_KEYS: usize = 1024;

/// Names and bytes that a check keeps.
pub(crate) type Kept = BTreeMap<String, Bytes>;

/// The state of one run's check.
#[derive(Default)]
pub(crate) struct StateImport {
    before: Arc<Kept>,
    /// What is there now, once something was written.
    after: Option<Kept>,
}

impl StateImport {
    pub(crate) fn new(before: Arc<Kept>) -> Self {
        Self { before, after: None }
    }

    /// What the run leaves, if that differs from what it found.
    pub(crate) fn changed(self) -> Option<Kept> {
        self.after.filter(|after| *after != *self.before)
    }

    fn now(&self) -> &Kept {
        self.after.as_ref().unwrap_or(&self.before)
    }
}

/// What the import sees.
pub(crate) struct StateView<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) state: &'a mut StateImport,
    pub(crate) shared: &'a Arc<RunShared>,
}

/// Ties the view to the linker.
pub(crate) struct StateData;

impl HasData for StateData {
    type Data<'a> = StateView<'a>;
}

/// Why something cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotKept {
    Denied,
    Full,
    BadKey,
}

impl StateView<'_> {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Bytes>, NotKept> {
        self.admit(key, "read")?;
        if let Some(tape) = &self.shared.tape {
            tape.state(key);
        }
        Ok(self.state.now().get(key).cloned())
    }

    pub(crate) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), NotKept> {
        let quota = self.admit(&key, "write")?;
        let now = self.state.now();
        let old = now.get(&key).map_or(0, |old| key.len() + old.len());
        let size = now.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() - old
            + key.len()
            + value.len();
        let full = if size as u64 > quota {
            {
                let quota = text::bytes(usize::try_from(quota).unwrap_or(usize::MAX));
                Some(format!("{quota} (grant `state`)"))
            }
        } else if old == 0 && now.len() >= MAX_KEYS {
            Some(format!("{MAX_KEYS} keys"))
        } else {
            None
        };
        if let Some(limit) = full {
            self.shared.flag(format!(
                "a value was not kept: limit of {limit} for the state of this check reached"
            ));
            return Err(NotKept::Full);
        }
        self.write().insert(key, value.into());
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), NotKept> {
        self.admit(key, "write")?;
        if self.state.now().contains_key(key) {
            self.write().remove(key);
        }
        Ok(())
    }

    fn write(&mut self) -> &mut Kept {
        let StateImport { before, after } = &mut *self.state;
        after.get_or_insert_with(|| Kept::clone(before))
    }

    fn admit(&self, key: &str, what: &str) -> Result<u64, NotKept> {
        let quota = self.grants.state().map_err(|denial| {
            self.shared.deny(denial);
            NotKept::Denied
        })?;
        self.shared.used(GrantKind::State, what);
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(NotKept::BadKey);
        }
        Ok(quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(quota: u64, import: &mut StateImport, act: impl FnOnce(StateView<'_>) -> T) -> T {
        let grants = Grants { state: quota, ..Grants::default() };
        let shared = Arc::new(RunShared::default());
        act(StateView { grants: &grants, state: import, shared: &shared })
    }

    fn set(quota: u64, import: &mut StateImport, key: &str, value: &[u8]) -> Result<(), NotKept> {
        with(quota, import, |mut view| view.set(key.to_owned(), value.to_vec()))
    }

    #[test]
    fn what_was_kept_is_read_and_what_is_written_is_a_copy() {
        let before = Arc::new(Kept::from([("a".to_owned(), Bytes::from_static(b"1"))]));
        let mut import = StateImport::new(Arc::clone(&before));
        assert_eq!(set(100, &mut import, "b", b"2"), Ok(()));
        for (key, value) in [("a", "1"), ("b", "2")] {
            let read = with(100, &mut import, |view| view.get(key));
            assert_eq!(read, Ok(Some(Bytes::from(value))));
        }
        assert_eq!(before.len(), 1);
        assert_eq!(import.changed().map(|after| after.len()), Some(2));
    }

    #[test]
    fn what_ends_as_it_began_is_no_change() {
        let mut import = StateImport::default();
        assert_eq!(set(100, &mut import, "a", b"1"), Ok(()));
        assert_eq!(with(100, &mut import, |mut view| view.delete("a")), Ok(()));
        assert_eq!(import.changed(), None);
    }

    #[test]
    fn keys_and_values_count() {
        let mut import = StateImport::default();
        assert_eq!(set(10, &mut import, "abc", b"1234567"), Ok(()));
        assert_eq!(set(10, &mut import, "d", b""), Err(NotKept::Full));
        // Replacing counts once.
        assert_eq!(set(10, &mut import, "abc", b"7654321"), Ok(()));
        assert_eq!(set(10, &mut import, "abc", b"12345678"), Err(NotKept::Full));
        let mut many = StateImport::default();
        for n in 0..MAX_KEYS {
            assert_eq!(set(1 << 20, &mut many, &n.to_string(), b""), Ok(()));
        }
        assert_eq!(set(1 << 20, &mut many, "x", b""), Err(NotKept::Full));
        assert_eq!(set(1 << 20, &mut many, "0", b"again"), Ok(()));
    }

    #[test]
    fn keys_have_bounds_and_nothing_goes_without_a_grant() {
        let mut import = StateImport::default();
        assert_eq!(set(1000, &mut import, "", b"1"), Err(NotKept::BadKey));
        assert_eq!(set(1000, &mut import, &"x".repeat(257), b"1"), Err(NotKept::BadKey));
        assert_eq!(set(0, &mut import, "a", b"1"), Err(NotKept::Denied));
        assert_eq!(with(0, &mut import, |view| view.get("a")), Err(NotKept::Denied));
    }
}
