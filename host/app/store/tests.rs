//! The store as the rest of the program sees it: files, processes and failures around it.

mod processes;
mod unread;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;
use wellcheck_core::id::{CheckName, PluginName};

use super::{FORGOTTEN_AFTER, Kept, PATIENCE, Store};

/// Longer than anything here takes, unless it hangs.
const LONG: Duration = Duration::from_secs(30);

fn check(name: &str) -> CheckName {
    CheckName::new(name).expect("a name")
}

fn plugin(name: &str) -> PluginName {
    PluginName::new(name).expect("a name")
}

fn state(pairs: &[(&str, &str)]) -> Arc<Kept> {
    let pair = |&(key, value): &(&str, &str)| (key.to_owned(), Bytes::from(value.to_owned()));
    Arc::new(pairs.iter().map(pair).collect())
}

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("wellcheck.db");
    (dir, path)
}

fn open(path: &Path) -> Store {
    Store::new(Some(path.to_owned()))
}

/// What most tests do: with checks of the plugin `p`, and in few words.
trait Short {
    async fn get(&self, name: &str) -> Arc<Kept>;
    async fn refused(&self, name: &str) -> String;
    fn put(&self, name: &str, pairs: &[(&str, &str)]);
    async fn written(&self);
    async fn until(&self, what: &str, done: impl Fn(Option<&str>) -> bool);
}

impl Short for Store {
    async fn get(&self, name: &str) -> Arc<Kept> {
        self.state(&check(name), &plugin("p"), LONG).await.expect("a state")
    }

    async fn refused(&self, name: &str) -> String {
        self.state(&check(name), &plugin("p"), LONG).await.expect_err("no state")
    }

    fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        self.keep(&check(name), &plugin("p"), state(pairs));
    }

    async fn written(&self) {
        self.flush(LONG).await;
        assert_eq!(self.problem(), None);
    }

    async fn until(&self, what: &str, done: impl Fn(Option<&str>) -> bool) {
        let end = Instant::now() + LONG;
        while !done(self.problem().as_deref()) {
            assert!(Instant::now() < end, "{what}; last seen: {:?}", self.problem());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Ends the store and waits until its file is free.
async fn close(store: Store, path: &Path) {
    store.written().await;
    drop(store);
    let lock = fs::File::open(format!("{}.lock", path.display())).expect("a lock file");
    let end = Instant::now() + LONG;
    let shared = rustix::fs::FlockOperation::NonBlockingLockShared;
    while rustix::fs::flock(&lock, shared).is_err() {
        assert!(Instant::now() < end, "the store has not ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn integrity(path: &Path) -> String {
    let connection = Connection::open(path).expect("a database");
    connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("an answer")
}

/// The names of what is in the folder, with the numbers of seconds left out.
fn listed(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    for name in &mut names {
        name.retain(|c| !c.is_ascii_digit());
    }
    names.sort();
    names
}

#[tokio::test]
async fn state_survives_a_restart() {
    let (_dir, path) = folder();
    let store = open(&path);
    assert!(store.get("a").await.is_empty());
    store.put("a", &[("seen", "1"), ("gone", "2")]);
    store.written().await;
    store.put("a", &[("seen", "3"), ("ümläut \0", "")]);
    close(store, &path).await;

    let store = open(&path);
    assert_eq!(store.get("a").await, state(&[("seen", "3"), ("ümläut \0", "")]));
    store.put("a", &[]);
    close(store, &path).await;
    assert!(open(&path).get("a").await.is_empty());
}

#[tokio::test]
async fn state_is_written_without_being_asked_to() {
    let (_dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("k", "v")]);
    store.until("written", |_| path.exists()).await;
    let rows = || {
        let connection = Connection::open(&path).expect("a database");
        connection.query_row("SELECT count(*) FROM state", [], |row| row.get::<_, i64>(0))
    };
    store.until("written", |_| rows().is_ok_and(|rows| rows == 1)).await;
    // What is not flushed is written when the last handle goes.
    store.put("a", &[("k", "v"), ("l", "w")]);
    drop(store);
    let reader = open(&path);
    let end = Instant::now() + LONG;
    let found = async || reader.state(&check("a"), &plugin("p"), LONG).await;
    while found().await.is_err() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(reader.get("a").await.len(), 2);
}

#[tokio::test]
async fn state_is_never_shared_between_checks_or_plugins() {
    let (_dir, path) = folder();
    let store = open(&path);
    let (a, b, p, q) = (check("a"), check("b"), plugin("p"), plugin("q"));
    store.keep(&a, &p, state(&[("k", "ap")]));
    store.keep(&a, &q, state(&[("k", "aq")]));
    for _ in 0..2 {
        assert_eq!(store.state(&a, &p, LONG).await, Ok(state(&[("k", "ap")])));
        assert_eq!(store.state(&a, &q, LONG).await, Ok(state(&[("k", "aq")])));
        assert_eq!(store.state(&b, &p, LONG).await, Ok(state(&[])));
        assert_eq!(store.state(&b, &q, LONG).await, Ok(state(&[])));
        store.written().await;
    }
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.state(&a, &q, LONG).await, Ok(state(&[("k", "aq")])));
    assert_eq!(store.state(&a, &p, LONG).await, Ok(state(&[("k", "ap")])));
    assert_eq!(store.state(&b, &p, LONG).await, Ok(state(&[])));
}

#[tokio::test]
async fn the_newest_state_wins_and_nothing_queues() {
    let (_dir, path) = folder();
    let store = open(&path);
    for n in 0..10_000 {
        store.put("a", &[("n", &n.to_string())]);
        assert!(store.0.0.lock().waiting() <= 1);
    }
    assert_eq!(store.get("a").await, state(&[("n", "9999")]));
    close(store, &path).await;
    assert_eq!(open(&path).get("a").await, state(&[("n", "9999")]));
}

#[tokio::test]
async fn states_of_sixteen_mebibytes_are_kept() {
    let (_dir, path) = folder();
    let one = "x".repeat(16 << 20);
    let many: Vec<(String, String)> =
        (0..16).map(|n| (format!("k{n}"), n.to_string().repeat(1 << 19))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (&**key, &**value)).collect();
    let store = open(&path);
    store.put("one", &[("k", &one)]);
    store.put("many", &many);
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("one").await, state(&[("k", &one)]));
    assert_eq!(store.get("many").await, state(&many));
}

#[tokio::test]
async fn without_a_path_everything_stays_in_memory() {
    let store = Store::new(None);
    store.put("a", &[("k", "v")]);
    assert_eq!(store.get("a").await, state(&[("k", "v")]));
    assert!(store.get("b").await.is_empty());
    store.flush(LONG).await;
    assert_eq!(store.problem(), None);
}

#[tokio::test]
async fn only_we_may_use_the_file_and_its_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("made/for/wellcheck.db");
    let store = open(&path);
    assert!(!dir.path().join("made").exists(), "nothing is touched before the first use");
    store.put("a", &[("k", "v")]);
    store.written().await;
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for name in ["wellcheck.db", "wellcheck.db-wal", "wellcheck.db-shm", "wellcheck.db.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(path.parent().expect("a folder")), 0o700);
    close(store, &path).await;

    for wrong in [0o602, 0o666, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(wrong)).expect("ours");
        let store = open(&path);
        assert!(store.get("a").await.is_empty());
        let problem = store.problem().expect("a problem");
        assert!(problem.contains("can be written by others"), "{problem}");
    }
    // Our own group, as on a volume of Kubernetes.
    fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("ours");
    let store = open(&path);
    store.until("used again", |problem| problem.is_none()).await;
    assert_eq!(store.get("a").await.len(), 1);
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn what_is_no_regular_file_of_ours_is_not_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("folder");
    fs::create_dir(&path).expect("a folder");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).expect("a link");
    for path in [path, link] {
        let store = open(&path);
        assert!(store.get("a").await.is_empty());
        let problem = store.problem().expect("a problem");
        assert!(problem.contains("is no regular file"), "{problem}");
    }
    assert!(!dir.path().join("elsewhere").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_put_aside() {
    let (dir, path) = folder();
    let garbage = "no database, but somebody's text\n".repeat(100);
    fs::write(&path, &garbage).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    fs::write(dir.path().join("wellcheck.db-wal"), "a log").expect("written");
    let store = open(&path);
    assert!(store.get("a").await.is_empty());
    assert_eq!(store.problem(), None);
    store.put("a", &[("k", "v")]);
    close(store, &path).await;
    assert_eq!(open(&path).get("a").await, state(&[("k", "v")]));
    let aside = fs::read_dir(dir.path()).expect("a folder").filter_map(Result::ok);
    let aside = aside.map(|entry| entry.path()).find(|path| {
        let name = path.to_string_lossy();
        name.contains(".corrupt-") && !name.ends_with("-wal")
    });
    assert_eq!(fs::read_to_string(aside.expect("it is kept")).expect("readable"), garbage);
}

#[tokio::test]
async fn a_damaged_database_is_put_aside_when_it_is_opened() {
    let (dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("k", &"x".repeat(1 << 20))]);
    close(store, &path).await;
    damage(&path);
    let store = open(&path);
    assert!(store.get("a").await.is_empty());
    close(store, &path).await;
    assert_eq!(integrity(&path), "ok");
    assert_eq!(listed(dir.path()), ["wellcheck.db", "wellcheck.db.corrupt-", "wellcheck.db.lock"]);
}

/// Overwrites all but the first page.
fn damage(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("the database");
    let size = file.metadata().expect("the database").len();
    let rest = vec![0xff; usize::try_from(size - 4096).expect("small")];
    file.write_all_at(&rest, 4096).expect("written");
}

#[tokio::test]
async fn a_database_that_is_damaged_later_is_replaced_from_memory() {
    let (dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("k", "v")]);
    store.put("large", &[("k", &"x".repeat(8 << 20))]);
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("a").await.len(), 1);
    damage(&path);
    assert!(store.get("large").await.is_empty());
    assert_eq!(store.problem(), None);
    close(store, &path).await;
    assert_eq!(integrity(&path), "ok");
    assert_eq!(listed(dir.path()), ["wellcheck.db", "wellcheck.db.corrupt-", "wellcheck.db.lock"]);
    assert_eq!(open(&path).get("a").await, state(&[("k", "v")]));
}

#[tokio::test]
async fn a_newer_or_foreign_database_is_left_alone() {
    for (pragma, expected) in [
        ("PRAGMA user_version = 99", "newer wellcheck (its version is 99, expected at most 1)"),
        ("PRAGMA application_id = 7", "the database of another program"),
    ] {
        let (dir, path) = folder();
        let store = open(&path);
        store.put("a", &[("k", "v")]);
        close(store, &path).await;
        let connection = Connection::open(&path).expect("a database");
        connection.execute_batch(pragma).expect("changed");
        drop(connection);
        let before = fs::read(&path).expect("readable");

        let store = open(&path);
        assert!(store.get("a").await.is_empty());
        let problem = store.problem().expect("a problem");
        assert!(problem.contains(expected), "{problem}");
        store.put("a", &[("k", "w")]);
        store.flush(LONG).await;
        assert_eq!(store.get("a").await, state(&[("k", "w")]));
        assert_eq!(fs::read(&path).expect("readable"), before);
        assert_eq!(listed(dir.path()), ["wellcheck.db", "wellcheck.db.lock"]);
    }
}

#[tokio::test]
async fn a_second_user_has_no_state_until_the_first_is_gone() {
    let (_dir, path) = folder();
    let first = open(&path);
    first.put("a", &[("by", "first")]);
    first.put("b", &[("by", "first")]);
    first.written().await;

    let second = open(&path);
    second.put("a", &[("by", "second")]);
    second.until("locked out", |problem| problem.is_some()).await;
    let problem = second.problem().expect("a problem");
    assert!(problem.contains("in use by another process"), "{problem}");
    for name in ["a", "b", "c"] {
        let why = second.refused(name).await;
        assert!(why.contains("in use by another process"), "{why}");
    }
    second.put("c", &[("by", "second")]);
    drop(first);
    second.until("recovered", |problem| problem.is_none()).await;
    // What was kept without a read counts only where there was nothing.
    for (name, by) in [("a", "first"), ("b", "first"), ("c", "second")] {
        assert_eq!(second.get(name).await, state(&[("by", by)]), "{name}");
    }
    second.put("a", &[("by", "both")]);
    close(second, &path).await;
    let third = open(&path);
    for (name, by) in [("a", "both"), ("b", "first"), ("c", "second")] {
        assert_eq!(third.get(name).await, state(&[("by", by)]), "{name}");
    }
}

#[tokio::test]
async fn a_restart_that_overlaps_for_a_moment_finds_its_state() {
    let (_dir, path) = folder();
    let first = open(&path);
    first.put("a", &[("by", "first")]);
    first.written().await;
    let second = open(&path);
    let (found, ()) = tokio::join!(second.get("a"), async {
        second.until("locked out", |problem| problem.is_some()).await;
        drop(first);
    });
    assert_eq!(found, state(&[("by", "first")]));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("data");
    let path = folder.join("wellcheck.db");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).expect("ours");
    if fs::write(folder.join("probe"), "").is_ok() {
        // The superuser writes where nobody may; but not below a file.
        fs::remove_dir_all(&folder).expect("ours");
        fs::write(&folder, "").expect("written");
    }
    let store = open(&path);
    let started = Instant::now();
    assert!(store.get("a").await.is_empty());
    store.put("a", &[("k", "v")]);
    store.flush(LONG).await;
    assert!(started.elapsed() < PATIENCE, "nobody waits for it");
    assert!(store.problem().expect("a problem").contains("data/wellcheck.db"));
    assert_eq!(store.get("a").await, state(&[("k", "v")]));

    if folder.is_file() {
        fs::remove_file(&folder).expect("ours");
    } else {
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("ours");
    }
    store.until("recovered", |problem| problem.is_none()).await;
    close(store, &path).await;
    assert_eq!(open(&path).get("a").await, state(&[("k", "v")]));
}

#[tokio::test]
async fn a_folder_that_is_deleted_is_made_again_from_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("data");
    let path = folder.join("wellcheck.db");
    let store = open(&path);
    store.put("a", &[("k", "v")]);
    store.written().await;
    fs::remove_dir_all(&folder).expect("ours");
    store.put("b", &[("k", "w")]);
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("a").await, state(&[("k", "v")]));
    assert_eq!(store.get("b").await, state(&[("k", "w")]));
}

#[tokio::test]
async fn a_flush_ends_in_time_whatever_the_disk_does() {
    let (_dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("k", "v")]);
    store.written().await;
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    store.put("a", &[("k", "w")]);
    let started = Instant::now();
    store.flush(Duration::from_millis(100)).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(90) && took < Duration::from_millis(900), "{took:?}");
    store.until("locked", |problem| problem.is_some_and(|text| text.contains("locked"))).await;
    other.execute_batch("COMMIT").expect("unlocked");
    store.until("recovered", |problem| problem.is_none()).await;
    close(store, &path).await;
    assert_eq!(open(&path).get("a").await, state(&[("k", "w")]));
}

#[tokio::test]
async fn what_is_no_longer_configured_goes_after_thirty_days() {
    let (_dir, path) = folder();
    let store = open(&path);
    for name in ["known", "old", "recent"] {
        store.put(name, &[("k", name)]);
    }
    store.written().await;
    let age = |names: &str| {
        let connection = Connection::open(&path).expect("a database");
        let sql = format!(
            "UPDATE state_owner SET needed = needed - {FORGOTTEN_AFTER} WHERE check_name IN ({names})"
        );
        connection.execute(&sql, []).expect("changed");
    };
    let owners = || {
        let connection = Connection::open(&path).expect("a database");
        let sql = "SELECT check_name FROM state_owner JOIN state ON owner = id ORDER BY 1";
        let mut select = connection.prepare(sql).expect("a query");
        let rows = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.map(|row| row.expect("a name")).collect::<Vec<_>>()
    };
    age("'old', 'known'");
    let known = BTreeSet::from([(check("known"), plugin("p"))]);
    store.forget(&known);
    store.until("forgotten", |_| owners() == ["known", "recent"]).await;
    // What was known counts as needed from then on, however long ago it was written.
    store.forget(&BTreeSet::new());
    store.put("z", &[("k", "v")]);
    store.written().await;
    assert_eq!(owners(), ["known", "recent", "z"]);
    assert!(store.get("old").await.is_empty());
    assert_eq!(store.get("recent").await, state(&[("k", "recent")]));
    assert_eq!(store.get("known").await, state(&[("k", "known")]));
}

#[tokio::test]
async fn ten_thousand_checks_start_at_once() {
    let (_dir, path) = folder();
    let store = open(&path);
    let names: Vec<CheckName> = (0..10_000).map(|n| check(&format!("c{n}"))).collect();
    let p = plugin("p");
    for name in &names {
        store.keep(name, &p, state(&[("name", name.as_str())]));
    }
    close(store, &path).await;
    let store = open(&path);
    let reads: Vec<_> = names
        .iter()
        .map(|name| {
            let (store, name, p) = (store.clone(), name.clone(), p.clone());
            tokio::spawn(async move {
                let end = Instant::now() + LONG;
                loop {
                    match store.state(&name, &p, LONG).await {
                        // A run does not wait for ever; the check's next one asks again.
                        Err(_) if Instant::now() < end => {}
                        found => return (found, name),
                    }
                }
            })
        })
        .collect();
    for read in reads {
        let (found, name) = read.await.expect("no panic");
        assert_eq!(found, Ok(state(&[("name", name.as_str())])));
    }
    assert_eq!(store.problem(), None);
}
