//! The rules of memory, without a disk or a thread.

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
    assert!(memory.failed("full".to_owned(), Cause::Passing, now));
    assert!(!memory.failed("full".to_owned(), Cause::Passing, now));
    assert!(memory.failed("gone".to_owned(), Cause::Passing, now));
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
    memory.failed("full".to_owned(), Cause::Passing, now);
    assert!(!waits(&mut memory, "a", now));
    memory.failed("in use".to_owned(), Cause::InUse, now);
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
    memory.written(batch, BTreeMap::new(), 0, now + GATHER);
    let next = memory.next_writes(Extent::Everything, now + GATHER);
    assert_eq!(next[0].saved, Some(state("1")));
    assert_eq!(next[0].state, state("2"));
    memory.written(next, BTreeMap::new(), 0, now + GATHER);
    assert_eq!(memory.waiting(), 0);
    assert_eq!(memory.due(None, now), None);
}

#[test]
fn a_second_read_does_not_undo_what_was_kept() {
    let now = Instant::now();
    let mut memory = running(now);
    memory.loaded(&key("a"), (*state("old")).clone(), 0);
    memory.keep(key("a"), state("new"), 0, now);
    memory.loaded(&key("a"), (*state("old")).clone(), 0);
    assert_eq!(memory.answer(&key("a"), now), Ok(state("new")));
    assert_eq!(memory.waiting(), 1);
}

#[test]
fn what_is_kept_without_a_read_gives_way_to_what_the_disk_has() {
    let now = Instant::now();
    let mut memory = running(now);
    for name in ["some", "none", "write"] {
        assert!(waits(&mut memory, name, now));
        memory.keep(key(name), state("new"), 0, now);
        assert!(waits(&mut memory, name, now), "it still is to be read");
    }
    memory.loaded(&key("some"), (*state("old")).clone(), 0);
    memory.loaded(&key("none"), Kept::new(), 0);
    let batch = memory.next_writes(Extent::Everything, now);
    let names: Vec<_> = batch.iter().map(|w| (w.key.0.as_str(), w.is_read)).collect();
    assert_eq!(names, [("none", true), ("write", false)]);
    let found = BTreeMap::from([(key("write"), (*state("old")).clone())]);
    memory.written(batch, found, 0, now);
    assert_eq!(memory.waiting(), 0);
    for (name, expected) in [("some", "old"), ("none", "new"), ("write", "old")] {
        assert_eq!(memory.answer(&key(name), now), Ok(state(expected)), "{name}");
    }
    assert!(memory.wanted.is_empty());
}

#[test]
fn a_run_that_began_without_the_disks_state_keeps_nothing_over_it() {
    let now = Instant::now();
    let mut memory = running(now);
    memory.failed("another program's".to_owned(), Cause::Nothing, now);
    assert_eq!(memory.answer(&key("a"), now), Ok(Arc::default()));
    memory.succeeded();
    assert!(waits(&mut memory, "a", now));
    memory.loaded(&key("a"), (*state("old")).clone(), 0);
    memory.keep(key("a"), state("wrong"), 0, now);
    assert_eq!(memory.waiting(), 0);
    assert_eq!(memory.answer(&key("a"), now), Ok(state("old")));
    memory.keep(key("a"), state("new"), 0, now);
    assert_eq!(memory.answer(&key("a"), now), Ok(state("new")));
}

#[test]
fn only_what_was_read_is_given_while_there_may_be_more_on_disk() {
    let now = Instant::now();
    let mut memory = running(now);
    memory.loaded(&key("read"), (*state("1")).clone(), 0);
    assert_eq!(memory.answer(&key("unread"), now), Err("the time for it has run out".to_owned()));
    memory.failed("gone".to_owned(), Cause::Passing, now);
    assert!(matches!(memory.look_up(&key("read"), now), Lookup::Known(_)));
    let Lookup::Unread(why) = memory.look_up(&key("unread"), now) else { panic!("unread") };
    assert_eq!(why, "gone");
    memory.failed("foreign".to_owned(), Cause::Nothing, now);
    assert!(matches!(memory.look_up(&key("unread"), now), Lookup::Known(_)));
    memory.failed("gone".to_owned(), Cause::Passing, now);
    assert!(matches!(memory.look_up(&key("unread"), now), Lookup::Unread(_)));
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
    with_disk.written(batch, BTreeMap::new(), 1, now);
    with_disk.forget(&known, 1);
    assert_eq!(with_disk.entries.len(), 1);

    without.forget(&known, FORGOTTEN_AFTER - 1);
    assert_eq!(without.entries.len(), 2);
    without.forget(&known, FORGOTTEN_AFTER);
    assert_eq!(without.entries.len(), 1);
}
