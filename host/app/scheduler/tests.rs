//! What a check that panics costs: its own run. And orders, limits and reloads while runs are under way
//! or wait for their turn.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use wellcheck_core::check::{CheckSpec, Start, Thresholds, Timing};
use wellcheck_core::config::tree::Place;
use wellcheck_core::group::{Member, Needs, UnknownMember};
use wellcheck_core::id::PluginName;
use wellcheck_core::outcome::{Answer, Report};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::{Facts, Held, Last};
use wellcheck_core::status::Status;

use super::*;
use crate::registry::{Runner, Version};

/// Panics in its first run, or never.
#[derive(Default)]
struct Scripted {
    panics: bool,
    /// Never ends.
    hangs: bool,
    /// Of what comes from outside.
    waits: Option<Duration>,
    answer: Option<Answer>,
    runs: AtomicU32,
}

impl Checker for Scripted {
    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn waits(&self) -> Option<Duration> {
        self.waits
    }

    fn run<'a>(&'a self, _: &'a RunContext) -> BoxFuture<'a, Run> {
        Box::pin(async {
            let first = self.runs.fetch_add(1, Ordering::Relaxed) == 0;
            assert!(!(self.panics && first), "on purpose");
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let status = self.answer.unwrap_or(Answer::Pass);
            Run::new(Outcome::Answered(Report::new(status, "fine")), Duration::ZERO)
        })
    }
}

fn entry(name: &str, panics: bool) -> Entry {
    let what = What::Plugin {
        plugin: PluginName::new("scripted").expect("a name"),
        settings: serde_json::json!({}),
        grants: wellcheck_core::grant::Grants::default(),
        limits: wellcheck_core::limits::RunLimits::default(),
    };
    let name = CheckName::new(name).expect("a name");
    let spec = CheckSpec {
        timing: Timing { interval: Duration::from_millis(50), ..Timing::default() },
        ..CheckSpec::new(name, what, Place::file("wellcheck.toml"))
    };
    with(spec, Scripted { panics, ..Scripted::default() })
}

fn with(spec: CheckSpec, checker: Scripted) -> Entry {
    Entry {
        spec: Arc::new(spec),
        facts: Arc::default(),
        runner: Runner::Ready(Arc::new(checker), Version::Builtin),
        redactor: Redactor::default(),
    }
}

/// A check that is due once an hour.
fn spec(name: &str) -> CheckSpec {
    let spec = (*entry(name, false).spec).clone();
    let timing = Timing { interval: Duration::from_hours(1), ..Timing::default() };
    let thresholds = Thresholds { failure: 1, within: None, success: 1 };
    CheckSpec { timing, thresholds, ..spec }
}

fn hangs() -> Scripted {
    Scripted { hangs: true, ..Scripted::default() }
}

fn fails() -> Scripted {
    Scripted { answer: Some(Answer::Fail), ..Scripted::default() }
}

/// By name, as the registry gives them.
fn scheduler(entries: Vec<Entry>, one_at_once: bool) -> Scheduler {
    let mut scheduler = Scheduler::new(Clock::start(), Shared::new(), Records::default(), 10);
    let kinds = [("plugin".to_owned(), (1, Place::file("")))];
    let kinds = if one_at_once { kinds.into() } else { [].into() };
    scheduler.places.apply(&Runs { most: None, kinds });
    scheduler.apply(entries, Vec::new(), Setup::default());
    scheduler
}

fn order(scheduler: &mut Scheduler, name: &str, order: Order) {
    let name = CheckName::new(name).expect("a name");
    assert!(scheduler.order(&name, order).is_ok(), "{name}");
    scheduler.start_due();
}

fn pause() -> Order {
    Order::Pause { by: "ops".to_owned(), until: None }
}

async fn one_ends(scheduler: &mut Scheduler) {
    let ended = scheduler.runs.join_next_with_id().await.expect("something runs");
    scheduler.ended(ended);
    scheduler.start_due();
}

fn runs_now(scheduler: &Scheduler) -> Vec<&str> {
    let running = scheduler.slots.iter().filter(|slot| slot.running.is_some());
    running.map(|slot| slot.spec.name.as_str()).collect()
}

fn answered(answer: Answer) -> Run {
    Run::new(Outcome::Answered(Report::new(answer, "pushed")), Duration::ZERO)
}

/// What pushes bring.
fn pushed(answer: Answer) -> Order {
    Order::Take(Box::new(answered(answer)))
}

#[tokio::test]
async fn a_check_that_was_removed_while_it_waited_for_its_turn_takes_nobodys() {
    let names = ["a", "b", "c"];
    let all = || names.map(|name| with(spec(name), hangs())).into();
    let mut scheduler = scheduler(all(), true);
    for name in names {
        order(&mut scheduler, name, Order::Run);
    }
    assert_eq!(runs_now(&scheduler), ["a"]);
    scheduler.apply(vec![with(spec("c"), hangs())], Vec::new(), Setup::default());
    one_ends(&mut scheduler).await;
    assert_eq!(runs_now(&scheduler), ["c"], "the place of the one, and not the turn of the other");
}

#[tokio::test]
async fn a_paused_check_that_was_told_to_run_gets_its_turn() {
    let entries = vec![with(spec("a"), Scripted::default()), with(spec("b"), hangs())];
    let mut scheduler = scheduler(entries, true);
    order(&mut scheduler, "b", pause());
    order(&mut scheduler, "a", Order::Run);
    order(&mut scheduler, "b", Order::Run);
    assert_eq!(runs_now(&scheduler), ["a"]);
    one_ends(&mut scheduler).await;
    assert_eq!(runs_now(&scheduler), ["b"]);
}

#[tokio::test]
async fn a_run_that_began_without_its_turn_is_not_begun_again_when_that_comes() {
    let entries = || vec![with(spec("a"), Scripted::default()), with(spec("b"), hangs())];
    let mut scheduler = scheduler(entries(), true);
    order(&mut scheduler, "a", Order::Run);
    order(&mut scheduler, "b", Order::Run);
    // It is due once more, as after a reload, and the place is free by then.
    let now = scheduler.clock.now().monotonic;
    scheduler.slots[1].due = Some(now);
    scheduler.queue.push(Reverse((now, scheduler.slots[1].id)));
    scheduler.places = Places::default();
    scheduler.start_due();
    assert_eq!(runs_now(&scheduler), ["a", "b"]);
    assert!(!scheduler.slots[1].queued, "it has begun");
}

#[tokio::test]
async fn an_outcome_from_outside_is_not_undone_by_the_run_that_it_came_in_time_for() {
    let ttl = Some(Duration::from_hours(1));
    let checker = Scripted { waits: ttl, answer: Some(Answer::Fail), ..Scripted::default() };
    let mut scheduler = scheduler(vec![with(spec("job"), checker)], false);
    let now = scheduler.clock.now().monotonic;
    scheduler.slots[0].due = Some(now);
    scheduler.queue.push(Reverse((now, scheduler.slots[0].id)));
    scheduler.start_due();
    assert_eq!(runs_now(&scheduler), ["job"]);
    // The run has ended, and its outcome has not been taken in yet.
    let ended = scheduler.runs.join_next_with_id().await.expect("it runs");
    order(&mut scheduler, "job", pushed(Answer::Pass));
    scheduler.ended(ended);
    assert_eq!(scheduler.slots[0].state.state, Status::Pass);
    assert!(scheduler.slots[0].due.is_some_and(|due| due > scheduler.clock.now().monotonic));
}

#[tokio::test]
async fn a_paused_check_that_takes_outcomes_is_not_missed_meanwhile() {
    let checker = Scripted { waits: Some(Duration::from_hours(1)), ..fails() };
    let mut scheduler = scheduler(vec![with(spec("job"), checker)], false);
    order(&mut scheduler, "job", pause());
    order(&mut scheduler, "job", pushed(Answer::Pass));
    assert_eq!(scheduler.slots[0].due, None);
    order(&mut scheduler, "job", Order::Resume);
    assert!(scheduler.slots[0].due.is_some(), "from now on it is");
}

#[tokio::test]
async fn a_check_that_takes_outcomes_waits_for_them_when_it_can_run_at_last() {
    let ready = || with(spec("job"), Scripted { waits: Some(Duration::from_hours(1)), ..fails() });
    let held = Held { reason: FaultReason::BadSettings, message: "no".to_owned() };
    let mut scheduler = scheduler(vec![Entry { runner: Runner::Held(held), ..ready() }], false);
    scheduler.apply(vec![ready()], Vec::new(), Setup::default());
    scheduler.start_due();
    assert_eq!(runs_now(&scheduler), [""; 0], "nothing is missed yet");
    assert!(scheduler.slots[0].due.is_some());
}

#[tokio::test]
async fn a_pause_outlives_a_change_of_what_is_looked_at() {
    let mut scheduler = scheduler(vec![with(spec("a"), hangs())], false);
    order(&mut scheduler, "a", pause());
    let mut other = spec("a");
    if let What::Plugin { settings, .. } = &mut other.what {
        *settings = serde_json::json!({ "other": true });
    }
    scheduler.apply(vec![with(other, hangs())], Vec::new(), Setup::default());
    assert_eq!(scheduler.slots[0].due, None);
    assert!(scheduler.slots[0].state.aside.as_ref().is_some_and(|aside| aside.paused));
}

#[tokio::test]
async fn a_paused_check_does_not_begin_when_what_it_waited_for_is_healthy() {
    let start = Start { after: vec![CheckName::new("a").expect("a name")], ..Start::default() };
    let child = CheckSpec { start, ..spec("b") };
    let entries = vec![with(spec("a"), Scripted::default()), with(child, hangs())];
    let mut scheduler = scheduler(entries, false);
    order(&mut scheduler, "b", pause());
    order(&mut scheduler, "a", Order::Run);
    one_ends(&mut scheduler).await;
    assert_eq!((scheduler.slots[1].due, scheduler.slots[1].waits.len()), (None, 0));
    order(&mut scheduler, "b", Order::Resume);
    assert!(scheduler.slots[1].due.is_some());
}

fn child(name: &str, parent: &str) -> CheckSpec {
    CheckSpec { depends_on: vec![CheckName::new(parent).expect("a name")], ..spec(name) }
}

#[tokio::test]
async fn what_fails_for_long_does_not_have_its_parents_run_at_its_pace() {
    let entries = vec![with(spec("a"), Scripted::default()), with(child("b", "a"), fails())];
    let mut scheduler = scheduler(entries, false);
    order(&mut scheduler, "a", Order::Run);
    one_ends(&mut scheduler).await;
    for run in 0..6 {
        // As if its last run were long ago.
        scheduler.slots[0].ended = Monotonic::default();
        order(&mut scheduler, "b", Order::Run);
        one_ends(&mut scheduler).await;
        let asked = scheduler.slots[0].running.is_some();
        assert_eq!(asked, run < 2, "{run}");
        if asked {
            // One that runs already is not begun a second time.
            let now = scheduler.clock.now();
            scheduler.slots[0].due = Some(now.monotonic.after(Duration::from_hours(1)));
            scheduler.ask_parents(1, now);
            assert!(scheduler.slots[0].due.is_some_and(|due| due > now.monotonic));
            one_ends(&mut scheduler).await;
        }
    }
}

#[tokio::test]
async fn a_parent_whose_first_run_is_a_fault_blocks_too() {
    let entries = vec![
        with(spec("a"), Scripted { panics: true, ..Scripted::default() }),
        with(child("b", "a"), fails()),
    ];
    let mut scheduler = scheduler(entries, false);
    order(&mut scheduler, "a", Order::Run);
    one_ends(&mut scheduler).await;
    assert_eq!(scheduler.slots[1].state.blocked_by.len(), 1);
}

#[tokio::test]
async fn a_fault_of_the_check_of_our_connection_does_not_say_that_it_is_down() {
    for (checker, state) in [
        (Scripted { panics: true, ..Scripted::default() }, Status::Pass),
        (fails(), Status::Unknown),
    ] {
        let uplink = CheckSpec { uplink: true, ..spec("a") };
        let entries = vec![with(uplink, checker), with(child("b", "a"), Scripted::default())];
        let mut scheduler = scheduler(entries, false);
        order(&mut scheduler, "b", Order::Run);
        one_ends(&mut scheduler).await;
        order(&mut scheduler, "a", Order::Run);
        one_ends(&mut scheduler).await;
        assert_eq!(scheduler.slots[1].state.state, state);
    }
}

#[tokio::test]
async fn our_connection_is_down_also_where_that_is_put_down_to_something_else() {
    let uplink = CheckSpec { uplink: true, ..child("b", "a") };
    let entries = vec![
        with(spec("a"), fails()),
        with(uplink, fails()),
        with(child("c", "b"), Scripted::default()),
    ];
    let mut scheduler = scheduler(entries, false);
    for name in ["c", "a", "b"] {
        order(&mut scheduler, name, Order::Run);
        one_ends(&mut scheduler).await;
    }
    let state = &scheduler.slots[2].state;
    assert_eq!((state.state, state.reason()), (Status::Unknown, Some("offline")));
}

#[tokio::test]
async fn points_of_cron_are_found_anew_when_the_wall_clock_is_set() {
    let cron = wellcheck_core::cron::Cron::parse("0 0 1 1 *", None).expect("it is sound");
    let spec = CheckSpec { cron: Some(cron), ..spec("a") };
    let mut scheduler = scheduler(vec![with(spec, Scripted::default())], false);
    order(&mut scheduler, "a", Order::Run);
    one_ends(&mut scheduler).await;
    let now = scheduler.clock.now();
    scheduler.look_at_the_wall(now);
    let due = scheduler.slots[0].due;
    scheduler.look_at_the_wall(now);
    assert_eq!(scheduler.slots[0].due, due);
    let day = 24 * 3_600_000;
    scheduler.look_at_the_wall(Now { wall: WallTime(now.wall.0 + day), ..now });
    let moved =
        due.zip(scheduler.slots[0].due).map(|(due, new)| (due.since(new).as_secs() + 60) / 3600);
    // Within 24 h of the turn of the year it would be the one after.
    assert_eq!(moved, Some(24));
}

/// Waits for an outcome of a check that is as `wanted`.
async fn outcome(shared: &Shared, name: &str, wanted: impl Fn(&Outcome) -> bool) -> Outcome {
    loop {
        let last = shared.load().snapshot.check(name).and_then(|check| check.last.clone());
        if let Some(last) = last.filter(|last| wanted(&last.run.outcome)) {
            return last.run.outcome.clone();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_check_that_panics_is_a_fault_and_the_others_go_on() {
    let shared = Shared::new();
    let commands = Scheduler::start(Clock::start(), shared.clone(), Records::default(), 10);
    let entries = vec![entry("panics", true), entry("steady", false)];
    let apply = Command::Apply {
        entries,
        groups: Vec::new(),
        setup: Setup::default(),
        windows: Vec::new(),
        runs: Runs::default(),
    };
    assert!(commands.send(apply).await.is_ok(), "the scheduler runs");
    let broken = outcome(&shared, "panics", |outcome| outcome.reason().is_some()).await;
    assert_eq!(broken.reason(), Some("internal"));
    assert_eq!(broken.message(), "the run panicked; this is a bug of wellcheck");
    let answered = |outcome: &Outcome| matches!(outcome, Outcome::Answered(_));
    outcome(&shared, "steady", answered).await;
    // It has another run, and that one counts as any other.
    outcome(&shared, "panics", answered).await;
    let state = shared.load().snapshot.check("panics").map(|check| check.state);
    assert_eq!(state, Some(Status::Pass));
}

#[tokio::test]
async fn what_many_depend_on_is_asked_once_for_all_of_them() {
    const MANY: usize = 4000;
    let name = |text: String| CheckName::new(&text).expect("a name");
    let members: Vec<Entry> =
        (0..MANY).map(|n| with(spec(&format!("m-{n:04}")), fails())).collect();
    let children = (0..MANY).map(|n| with(child(&format!("n-{n:04}"), "all"), fails()));
    let of = |entry: &Entry| Member { name: entry.spec.name.clone(), weight: 1 };
    let group = GroupSpec {
        name: name("all".to_owned()),
        title: None,
        tags: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        members: members.iter().map(of).collect(),
        needs: Needs::All,
        unknown: UnknownMember::default(),
        thresholds: Thresholds { failure: 1, within: None, success: 1 },
        place: Place::file(""),
    };
    let mut scheduler = Scheduler::new(Clock::start(), Shared::new(), Records::default(), 10);
    let entries = members.into_iter().chain(children).collect();
    scheduler.apply(entries, vec![Arc::new(group)], Setup::default());
    for slot in &mut scheduler.slots[..MANY] {
        // As if each had failed, so that all of them are to be looked at.
        (slot.due, slot.last) =
            (None, Some(Arc::new(Last { run: answered(Answer::Fail), at: WallTime(0) })));
    }
    order(&mut scheduler, "m-0000", Order::Run);
    let begun = Instant::now();
    one_ends(&mut scheduler).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let blocked = scheduler.slots.iter().filter(|slot| !slot.state.blocked_by.is_empty());
    assert_eq!(blocked.count(), MANY);
}
