//! What a check that panics costs: its own run.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use wellcheck_core::check::{CheckSpec, Timing};
use wellcheck_core::config::tree::Place;
use wellcheck_core::id::PluginName;
use wellcheck_core::outcome::{Answer, Report};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_core::status::Status;

use super::*;
use crate::registry::{Runner, Version};

/// Panics in its first run, or never.
struct Scripted {
    panics: bool,
    runs: AtomicU32,
}

impl Checker for Scripted {
    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn run<'a>(&'a self, _: &'a RunContext) -> BoxFuture<'a, Run> {
        Box::pin(async {
            let first = self.runs.fetch_add(1, Ordering::Relaxed) == 0;
            assert!(!(self.panics && first), "on purpose");
            Run::new(Outcome::Answered(Report::new(Answer::Pass, "fine")), Duration::ZERO)
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
    let checker = Arc::new(Scripted { panics, runs: AtomicU32::new(0) });
    Entry {
        spec: Arc::new(spec),
        facts: Arc::default(),
        runner: Runner::Ready(checker, Version::Builtin),
        redactor: Redactor::default(),
    }
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
    let commands = Scheduler::start(Clock::start(), shared.clone(), 10);
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
