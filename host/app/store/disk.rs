//! The database: opening it, its schema, and everything that is asked of it.
//!
//! Blocking; only the store's thread comes here. What is corrupt is put aside, never deleted; what a
//! newer version or another program made is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Statement, TransactionBehavior, params,
};

use super::memory::{Cause, Write};
use super::place::{self, Identity, Place};
use super::{FORGOTTEN_AFTER, Kept, Key};

/// Marks a database as ours: `wchk`.
const APPLICATION_ID: i32 = 0x7763_686b;

/// The schema's steps; a database's `user_version` is the number of those that it has taken. A step
/// never changes after its release.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_state.sql")];

/// How long another program's transaction is waited for.
const BUSY: Duration = Duration::from_secs(1);

/// Up to this size a database is checked as a whole when it is opened.
const CHECKED_SIZE: u64 = 64 << 20;

/// How old the note of when a state was needed may get, in seconds.
const NOTED: i64 = 24 * 60 * 60;

/// One check's state.
const SELECT: &str = "SELECT key, value FROM state JOIN state_owner ON owner = id \
                      WHERE check_name = ?1 AND plugin = ?2";

/// Why the database cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another process has it.
    InUse,
    /// It is no database, or a broken one.
    Corrupt(String),
    /// There is none that is ours to use, and none can be made.
    Nothing(String),
    /// Anything else; it may pass, and there may be a database of ours.
    Other(String),
}

impl Trouble {
    /// What it means for state that was never read.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::InUse => Cause::InUse,
            Self::Corrupt(_) | Self::Nothing(_) => Cause::Nothing,
            Self::Other(_) => Cause::Passing,
        }
    }

    /// The same, where it is certain that there is nothing of ours.
    fn with_nothing_there(self) -> Self {
        match self {
            Self::Other(why) => Self::Nothing(why),
            other => other,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("in use by another process of wellcheck"),
            Self::Corrupt(why) | Self::Nothing(why) | Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            Some(ErrorCode::DatabaseBusy) => {
                Self::Other("another program has had it locked for too long".to_owned())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

/// An open database.
pub(super) struct Disk {
    // In this order: the lock goes last.
    connection: Connection,
    identity: Identity,
    is_new: bool,
    place: Place,
}

impl Disk {
    /// Opens the database, makes it where there is none, and puts it aside where it is corrupt.
    pub(super) fn open(path: &Path, seconds: i64) -> Result<Self, Trouble> {
        let result = Place::lock(path).and_then(|place| match connect(&place) {
            Ok(connected) => Ok(Self::new(place, connected)),
            Err(Trouble::Corrupt(why)) => Self::anew(place, &why, seconds),
            Err(trouble) => Err(trouble),
        });
        result.map_err(|trouble| match place::is_vacant(path) {
            true => trouble.with_nothing_there(),
            false => trouble,
        })
    }

    /// Puts the database aside and makes a new one.
    pub(super) fn replace(self, why: &str, seconds: i64) -> Result<Self, Trouble> {
        let Self { connection, place, .. } = self;
        drop(connection);
        Self::anew(place, why, seconds)
    }

    fn anew(place: Place, why: &str, seconds: i64) -> Result<Self, Trouble> {
        let aside = place.put_aside(seconds).map_err(|error| {
            Trouble::Nothing(format!("it is corrupt ({why}), and cannot be renamed: {error}"))
        })?;
        tracing::warn!(
            store = %place.path().display(),
            aside = %aside.display(),
            "the store is corrupt and was put aside: {why}; a new one begins"
        );
        let connected = connect(&place)?;
        Ok(Self::new(place, connected))
    }

    fn new(place: Place, (connection, identity, is_new): (Connection, Identity, bool)) -> Self {
        Self { connection, identity, is_new, place }
    }

    /// Which file it is.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether it was made just now.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the file is still where it was: an open file works on after it was deleted.
    pub(super) fn is_there(&self) -> bool {
        self.place.holds(self.identity)
    }

    /// Reads states, one by one; of those that nothing was kept of, an empty one.
    pub(super) fn load(
        &self,
        keys: &[Key],
        mut found: impl FnMut(&Key, Kept),
    ) -> Result<(), Trouble> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut select = self.connection.prepare(SELECT)?;
        for key in keys {
            found(key, read(&mut select, key)?);
        }
        Ok(())
    }

    /// Writes states, all or none, but for those that were made without what is there. Returns what
    /// is there instead of them.
    pub(super) fn save(
        &mut self,
        batch: &[Write],
        seconds: i64,
    ) -> Result<BTreeMap<Key, Kept>, Trouble> {
        let mut there = BTreeMap::new();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut select = transaction.prepare(SELECT)?;
            let mut note = transaction.prepare(
                "UPDATE state_owner SET needed = ?3 WHERE check_name = ?1 AND plugin = ?2 \
                 RETURNING id",
            )?;
            let mut enter = transaction.prepare(
                "INSERT INTO state_owner (check_name, plugin, needed) VALUES (?1, ?2, ?3) \
                 RETURNING id",
            )?;
            let mut clear = transaction.prepare("DELETE FROM state WHERE owner = ?1")?;
            let mut delete =
                transaction.prepare("DELETE FROM state WHERE owner = ?1 AND key = ?2")?;
            let mut put = transaction.prepare(
                "INSERT INTO state (owner, key, value) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value",
            )?;
            let nothing = Kept::new();
            for Write { key, state, saved, is_read } in batch {
                let (check, plugin) = key;
                let row = params![check.as_str(), plugin.as_str(), seconds];
                let known: Option<i64> = note.query_row(row, |row| row.get(0)).optional()?;
                if known.is_some() && !is_read {
                    let found = read(&mut select, key)?;
                    if !found.is_empty() {
                        there.insert(key.clone(), found);
                        continue;
                    }
                }
                // Where the disk has nothing, what it was believed to have does not count.
                let (owner, saved) = match (known, saved) {
                    (Some(owner), Some(saved)) => (owner, &**saved),
                    (Some(owner), None) => {
                        clear.execute([owner])?;
                        (owner, &nothing)
                    }
                    (None, _) => (enter.query_row(row, |row| row.get(0))?, &nothing),
                };
                for gone in saved.keys().filter(|key| !state.contains_key(*key)) {
                    delete.execute(params![owner, gone])?;
                }
                for (key, value) in
                    state.iter().filter(|(key, value)| saved.get(*key) != Some(value))
                {
                    put.execute(params![owner, key, &**value])?;
                }
            }
        }
        transaction.commit()?;
        Ok(there)
    }

    /// Notes who is known, and lets go of the state of others after its time.
    pub(super) fn forget(&mut self, known: &BTreeSet<Key>, seconds: i64) -> Result<(), Trouble> {
        let known: BTreeSet<(&str, &str)> =
            known.iter().map(|(check, plugin)| (check.as_str(), plugin.as_str())).collect();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut select =
                transaction.prepare("SELECT id, check_name, plugin, needed FROM state_owner")?;
            let mut rows = select.query([])?;
            let mut outdated = Vec::new();
            let mut gone = Vec::new();
            while let Some(row) = rows.next()? {
                let (id, needed): (i64, i64) = (row.get(0)?, row.get(3)?);
                let (check, plugin): (String, String) = (row.get(1)?, row.get(2)?);
                if !known.contains(&(&*check, &*plugin)) {
                    if needed <= seconds.saturating_sub(FORGOTTEN_AFTER) {
                        gone.push(id);
                    }
                } else if needed <= seconds.saturating_sub(NOTED) {
                    outdated.push(id);
                }
            }
            let mut note =
                transaction.prepare("UPDATE state_owner SET needed = ?2 WHERE id = ?1")?;
            for id in outdated {
                note.execute([id, seconds])?;
            }
            // Its state goes with it.
            let mut delete = transaction.prepare("DELETE FROM state_owner WHERE id = ?1")?;
            for id in gone {
                delete.execute([id])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

/// What there is of a state, by [`SELECT`].
fn read(select: &mut Statement<'_>, (check, plugin): &Key) -> rusqlite::Result<Kept> {
    let mut state = Kept::new();
    let mut rows = select.query(params![check.as_str(), plugin.as_str()])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(1)?.as_blob()?;
        state.insert(row.get(0)?, Bytes::copy_from_slice(value));
    }
    Ok(state)
}

/// Opens the database. Returns which file it is, and whether it is a new one.
fn connect(place: &Place) -> Result<(Connection, Identity, bool), Trouble> {
    place.prepare()?;
    let mut connection = Connection::open_with_flags(
        place.path(),
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_EXRESCODE,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let version = version(&connection)?;
    let identity = set_up(&mut connection, place, version).map_err(|trouble| match version {
        0 => trouble.with_nothing_there(),
        _ => trouble,
    })?;
    Ok((connection, identity, version == 0))
}

/// Makes a database of this version ready for use. Returns which file it is.
fn set_up(connection: &mut Connection, place: &Place, version: usize) -> Result<Identity, Trouble> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Trouble::Other(format!(
            "its file system allows no write-ahead log (journal mode `{mode}`, expected `wal`)"
        )));
    }
    // The newest commits may be lost when the power fails, nothing else; and in no other case.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    let (identity, size) = place.found()?;
    if version > 0 && size <= CHECKED_SIZE {
        let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if found != "ok" {
            return Err(Trouble::Corrupt(found));
        }
    }
    migrate(connection, version)?;
    Ok(identity)
}

/// The number of migrations that the database has seen.
fn version(connection: &Connection) -> Result<usize, Trouble> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Trouble::Nothing("it is the database of another program".to_owned()));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(Trouble::Nothing(format!(
            "it was made by a newer wellcheck (its version is {version}, expected at most {})",
            MIGRATIONS.len()
        ))),
    }
}

/// Takes the steps that are missing, all or none.
fn migrate(connection: &mut Connection, version: usize) -> Result<(), Trouble> {
    if version >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &MIGRATIONS[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use wellcheck_core::id::{CheckName, PluginName};

    use super::*;

    fn write(pairs: &[(&str, usize)], saved: Option<&[(&str, usize)]>) -> Write {
        let state = |pairs: &[(&str, usize)]| {
            let pair = |&(key, size): &(&str, usize)| (key.to_owned(), Bytes::from(vec![1; size]));
            Arc::new(pairs.iter().map(pair).collect::<Kept>())
        };
        let key = (CheckName::new("a").unwrap(), PluginName::new("p").unwrap());
        Write { key, state: state(pairs), saved: saved.map(state), is_read: true }
    }

    fn load(disk: &Disk) -> Vec<(String, usize)> {
        let key = write(&[], None).key;
        let mut found = Vec::new();
        disk.load(&[key], |_, state| found.extend(state)).unwrap();
        found.into_iter().map(|(key, value)| (key, value.len())).collect()
    }

    fn open() -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("a.db"), 0).unwrap();
        (dir, disk)
    }

    #[test]
    fn a_full_disk_leaves_the_old_state() {
        let (_dir, mut disk) = open();
        disk.save(&[write(&[("k", 1)], None)], 0).unwrap();
        disk.connection.pragma_update(None, "max_page_count", 20).unwrap();
        let error = disk.save(&[write(&[("k", 2), ("l", 1 << 20)], None)], 0).unwrap_err();
        assert!(matches!(&error, Trouble::Other(why) if why.contains("full")), "{error}");
        assert_eq!(load(&disk), [("k".to_owned(), 1)]);
    }

    #[test]
    fn only_what_changed_is_written() {
        let (_dir, mut disk) = open();
        let first: &[_] = &[("a", 1), ("b", 2), ("c", 3)];
        disk.save(&[write(first, None)], 0).unwrap();
        let before = disk.connection.total_changes();
        disk.save(&[write(&[("a", 1), ("b", 20), ("d", 4)], Some(first))], 0).unwrap();
        // The note of when, one changed, one new, one gone.
        assert_eq!(disk.connection.total_changes() - before, 4);
        assert_eq!(load(&disk), [("a".to_owned(), 1), ("b".to_owned(), 20), ("d".to_owned(), 4)]);
    }

    #[test]
    fn a_state_that_the_disk_turns_out_not_to_have_is_written_whole() {
        let (_dir, mut disk) = open();
        let state: &[_] = &[("a", 1), ("b", 2)];
        disk.save(&[write(state, Some(&[("a", 1)]))], 0).unwrap();
        assert_eq!(load(&disk), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    fn what_was_made_without_the_disks_state_does_not_replace_it() {
        let (_dir, mut disk) = open();
        let blind = |pairs| Write { is_read: false, ..write(pairs, None) };
        assert!(disk.save(&[blind(&[("a", 1)])], 0).unwrap().is_empty(), "there was nothing");
        let there = disk.save(&[blind(&[("b", 2)])], 0).unwrap();
        assert_eq!(
            there,
            BTreeMap::from([(write(&[], None).key, (*write(&[("a", 1)], None).state).clone())])
        );
        assert_eq!(load(&disk), [("a".to_owned(), 1)]);
        disk.save(&[write(&[], None)], 0).unwrap();
        assert!(disk.save(&[blind(&[("b", 2)])], 0).unwrap().is_empty(), "it was emptied");
        assert_eq!(load(&disk), [("b".to_owned(), 2)]);
    }

    #[test]
    fn every_older_database_is_opened() {
        for steps in 1..=MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.db");
            let connection = Connection::open(&path).unwrap();
            for step in &MIGRATIONS[..steps] {
                connection.execute_batch(step).unwrap();
            }
            connection
                .execute_batch(
                    "INSERT INTO state_owner VALUES (1, 'a', 'p', 0); \
                     INSERT INTO state VALUES (1, 'k', x'00')",
                )
                .unwrap();
            connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            connection.pragma_update(None, "user_version", steps as u32).unwrap();
            drop(connection);
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let disk = Disk::open(&path, 0).unwrap();
            assert!(!disk.is_new());
            assert_eq!(version(&disk.connection).unwrap(), MIGRATIONS.len());
            assert_eq!(load(&disk), [("k".to_owned(), 1)]);
        }
    }
}
