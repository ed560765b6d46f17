//! Processes that are killed, or run out of room, while they use the store.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::{Kept, LONG, Short, check, close, folder, integrity, open, plugin, state};

/// Tells a test that it is the child process, and where.
pub(super) const CHILD: &str = "WELLCHECK_TEST_STORE";

/// This test's binary once more, with the one test `name` of the module at `module`, as the child.
pub(super) fn child(module: &str, name: &str, path: &Path) -> Child {
    let module = module.split_once("::").expect("a module of the crate").1;
    let program = std::env::current_exe().expect("this program");
    // A write beyond the limit of a file's size is to fail, not to end the process.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program)
        .args([&format!("{module}::{name}"), "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// A state whose two values have to agree, one of them over several pages.
fn agreeing(n: u64) -> Arc<Kept> {
    let short = n.to_string();
    let long =
        format!("{n} {}", "x".repeat(20_000 + usize::try_from(n % 7).expect("small") * 5_000));
    state(&[("long", &long), ("short", &short)])
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_whole_states() {
    if let Some(path) = std::env::var_os(CHILD) {
        let store = open(Path::new(&path));
        let mut n: u64 = store
            .get("a")
            .await
            .get("short")
            .map_or(0, |n| std::str::from_utf8(n).expect("text").parse().expect("a number"));
        loop {
            n += 1;
            store.keep(&check("a"), &plugin("p"), agreeing(n));
            if n.is_multiple_of(3) {
                store.flush(LONG).await;
                writeln!(std::io::stdout(), "flushed {n}").expect("the parent listens");
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    let (_dir, path) = folder();
    for round in 0..6 {
        let mut process =
            child(module_path!(), "a_process_that_is_killed_leaves_whole_states", &path);
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut flushed = 0;
        for line in lines.by_ref() {
            let line = line.expect("text");
            let Some((_, n)) = line.split_once("flushed ") else { continue };
            flushed = n.parse::<u64>().expect("a number");
            if flushed > 60 * (round + 1) + 7 * round {
                break;
            }
        }
        assert!(flushed > 0, "the child has ended");
        let store = open(&path);
        if round == 0 {
            assert!(store.refused("a").await.contains("in use by another process"));
            assert!(store.problem().expect("a problem").contains("in use by another process"));
        }
        process.kill().expect("it runs");
        process.wait().expect("it has ended");
        store.until("free", |problem| problem.is_none()).await;
        let kept = store.get("a").await;
        let n = std::str::from_utf8(&kept["short"]).expect("text").parse().expect("a number");
        assert_eq!(kept, agreeing(n), "round {round}");
        assert!(n >= flushed, "round {round}: {n} is older than {flushed}");
        assert_eq!(integrity(&path), "ok");
        close(store, &path).await;
    }
}

#[tokio::test]
async fn writes_that_fail_are_made_good_when_there_is_room() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        let (_dir, path) = folder();
        let name = "writes_that_fail_are_made_good_when_there_is_room";
        let process = child(module_path!(), name, &path);
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let store = open(&path);
    store.put("a", &[("k", "v")]);
    store.written().await;
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(256 << 10), ..before }).expect("less");
    let large = "x".repeat(1 << 20);
    store.put("a", &[("k", &large)]);
    store.put("b", &[("k", "w")]);
    store.flush(LONG).await;
    assert!(store.problem().is_some());
    // It stays so while the writes fail, although the file can be opened and read.
    for _ in 0..40 {
        assert!(store.problem().is_some());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.get("a").await, state(&[("k", &large)]));
    setrlimit(Resource::Fsize, before).expect("as it was");
    store.until("recovered", |problem| problem.is_none()).await;
    close(store, &path).await;
    let store = open(&path);
    assert_eq!(store.get("a").await, state(&[("k", &large)]));
    assert_eq!(store.get("b").await, state(&[("k", "w")]));
    assert_eq!(integrity(&path), "ok");
}
