//! State that could not be read: no run gets a wrong one, and none is written over.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::processes::{CHILD, child};
use super::{LONG, PATIENCE, Short, check, close, folder, open, plugin, state};

#[tokio::test]
async fn what_another_process_keeps_is_not_lost_on_those_who_could_not_read_it() {
    if let Some(path) = std::env::var_os(CHILD) {
        let store = open(Path::new(&path));
        assert!(store.get("a").await.is_empty());
        store.put("a", &[("count", "41"), ("baseline", "7")]);
        store.written().await;
        writeln!(std::io::stdout(), "kept").expect("the parent listens");
        // Until the parent ends it.
        tokio::time::sleep(2 * LONG).await;
        return;
    }
    let (_dir, path) = folder();
    let name = "what_another_process_keeps_is_not_lost_on_those_who_could_not_read_it";
    let mut process = child(module_path!(), name, &path);
    let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").ends_with("kept")), "the child has ended");

    let store = open(&path);
    let started = Instant::now();
    let why = store.refused("a").await;
    let took = started.elapsed();
    assert_eq!(
        why,
        "the check's state cannot be read from the store: in use by another process of wellcheck"
    );
    assert!(took > PATIENCE / 2 && took < 2 * PATIENCE, "{took:?}");
    let started = Instant::now();
    store.refused("a").await;
    assert!(started.elapsed() < PATIENCE / 2, "it is waited for once");

    process.kill().expect("it runs");
    process.wait().expect("it has ended");
    store.until("free", |problem| problem.is_none()).await;
    assert_eq!(store.get("a").await, state(&[("baseline", "7"), ("count", "41")]));
    store.put("a", &[("baseline", "7"), ("count", "42")]);
    close(store, &path).await;
    assert_eq!(open(&path).get("a").await, state(&[("baseline", "7"), ("count", "42")]));
}

#[tokio::test]
async fn nobody_waits_longer_than_the_run_has() {
    let (_dir, path) = folder();
    let first = open(&path);
    first.put("a", &[("by", "first")]);
    first.written().await;
    let second = open(&path);
    for within in [Duration::ZERO, Duration::from_millis(100)] {
        let started = Instant::now();
        let found = second.state(&check("a"), &plugin("p"), within).await;
        let took = started.elapsed();
        assert!(found.is_err(), "{found:?}");
        assert!(took >= within && took < within + PATIENCE / 2, "{took:?}");
    }
}

#[tokio::test]
async fn what_was_read_once_goes_on_through_trouble() {
    let (_dir, path) = folder();
    let store = open(&path);
    store.put("read", &[("n", "1")]);
    store.put("unread", &[("n", "1")]);
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("read").await, state(&[("n", "1")]));
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    store.put("read", &[("n", "2")]);
    store.until("locked", |problem| problem.is_some_and(|text| text.contains("locked"))).await;
    assert_eq!(store.get("read").await, state(&[("n", "2")]));
    assert!(store.refused("unread").await.contains("locked"));
    store.put("read", &[("n", "3")]);
    other.execute_batch("COMMIT").expect("unlocked");
    store.until("recovered", |problem| problem.is_none()).await;
    assert_eq!(store.get("unread").await, state(&[("n", "1")]));
    close(store, &path).await;
    assert_eq!(open(&path).get("read").await, state(&[("n", "3")]));
}

#[tokio::test]
async fn what_memory_stood_in_for_is_not_written_over_when_it_turns_up() {
    let (dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("n", "41")]);
    close(store, &path).await;
    let aside = dir.path().join("aside.db");
    fs::rename(&path, &aside).expect("ours");
    fs::create_dir(&path).expect("a folder");

    let store = open(&path);
    assert!(store.get("a").await.is_empty());
    store.put("a", &[("n", "1")]);
    assert!(store.get("b").await.is_empty());
    store.put("b", &[("n", "1")]);
    assert_eq!(store.get("a").await, state(&[("n", "1")]));
    fs::remove_dir(&path).expect("ours");
    fs::rename(&aside, &path).expect("ours");
    store.until("recovered", |problem| problem.is_none()).await;
    // A run that began before.
    store.put("a", &[("n", "2")]);
    assert_eq!(store.get("a").await, state(&[("n", "41")]));
    store.put("a", &[("n", "42")]);
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("a").await, state(&[("n", "42")]));
    assert_eq!(store.get("b").await, state(&[("n", "1")]));
}

#[tokio::test]
async fn a_database_of_ours_that_cannot_be_opened_is_an_error() {
    let (_dir, path) = folder();
    let store = open(&path);
    store.put("a", &[("n", "1")]);
    close(store, &path).await;
    let lock = path.with_file_name("wellcheck.db.lock");
    fs::remove_file(&lock).expect("ours");
    fs::create_dir(&lock).expect("a folder");
    let store = open(&path);
    assert!(store.refused("a").await.contains("its lock file cannot be used"));
    fs::remove_dir(&lock).expect("ours");
    store.until("recovered", |problem| problem.is_none()).await;
    assert_eq!(store.get("a").await, state(&[("n", "1")]));
}
