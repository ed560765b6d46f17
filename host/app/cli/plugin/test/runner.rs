//! Runs of a plugin in the worlds of its tests, side by side, and in those in which something is
//! broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures_util::StreamExt as _;
use wellcheck_core::grant::{DirGrant, Grants};
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run};
use wellcheck_core::redact::Redactor;
use wellcheck_core::status::Status;
use wellcheck_core::suite::faults::{self, Used};
use wellcheck_core::suite::{Accept, Came, Difference, NOW, Suite, Test, World as Given};
use wellcheck_wasm::{
    Asked, Fixed, Invocation, Plugin, Script, Supplies, Tape, Touched, World, lay_out, standing_of,
};

/// Most bytes of a tape, of which only names are wanted.
const TAPE: usize = 1 << 20;

/// A test file whose tests have run.
#[derive(Debug)]
pub(super) struct SuiteDone {
    /// As shown.
    pub(super) file: String,
    /// The plugin's name.
    pub(super) plugin: String,
    pub(super) tests: Vec<TestDone>,
    /// What is accepted and was noticed, or does not happen.
    pub(super) unneeded: Vec<Accept>,
}

/// A test that has run.
#[derive(Debug)]
pub(super) struct TestDone {
    pub(super) name: String,
    /// The line of its test file.
    pub(super) line: u32,
    pub(super) done: Done,
    pub(super) differences: Vec<Difference>,
    /// What came of each fault, if they were asked for and make sense.
    pub(super) faults: Vec<Broken>,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) run: Run,
    pub(super) asked: Vec<Asked>,
    state: BTreeMap<String, Vec<u8>>,
    touched: Touched,
    /// By our own clock.
    pub(super) took: Duration,
}

/// A run in a world in which something was broken.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) thing: String,
    pub(super) fault: &'static str,
    pub(super) doc: &'static str,
    pub(super) run: Run,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
}

/// What is to be said of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Noticed,
    /// Not noticed, and why that is right.
    Accepted(String),
    Unnoticed,
}

impl Broken {
    /// Whether a target that is broken was taken for a defect of the check.
    pub(super) fn is_misread(&self) -> bool {
        let of_the_check = [FaultReason::Trap, FaultReason::Timeout, FaultReason::Limit];
        let misread = match &self.run.outcome {
            Outcome::Faulted(fault) => of_the_check.contains(&fault.reason),
            Outcome::Answered(_) => false,
        };
        misread && self.thing.contains("://")
    }
}

impl TestDone {
    pub(super) fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Requests for which its world has no answer.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = String> {
        let unanswered = self.done.asked.iter().filter(|asked| asked.by.is_none());
        unanswered.map(|asked| format!("{} {}", asked.method, asked.url))
    }
}

impl SuiteDone {
    pub(super) fn is_well(&self) -> bool {
        let well = |test: &TestDone| {
            test.passed() && test.faults.iter().all(|fault| fault.verdict != Verdict::Unnoticed)
        };
        self.tests.iter().all(well)
    }
}

/// Runs all tests of a file.
pub(super) async fn suite(
    plugin: &Plugin,
    suite: Suite,
    with_faults: bool,
) -> anyhow::Result<SuiteDone> {
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let runs = suite.tests.iter().map(|test| once(plugin, test, &test.world));
    let mut runs = futures_util::stream::iter(runs).buffered(at_once);
    let mut tests = Vec::new();
    while let Some(done) = runs.next().await {
        let (test, done) = (&suite.tests[tests.len()], done?);
        let differences = test.expect.differences(Came {
            run: &done.run,
            requests: &requests(&done),
            state: &done.state,
        });
        let (name, line) = (test.name.clone(), test.place.line);
        tests.push(TestDone { name, line, done, differences, faults: Vec::new() });
    }
    drop(runs);
    let mut needed: Vec<String> = Vec::new();
    if with_faults {
        for (test, done) in suite.tests.iter().zip(&mut tests) {
            let status = done.done.run.outcome.status();
            if done.passed() && matches!(status, Status::Pass | Status::Warn) {
                done.faults =
                    broken(plugin, &suite, test, &done.done, at_once, &mut needed).await?;
            }
        }
    }
    let all = suite.accept.iter().chain(suite.tests.iter().flat_map(|test| &test.accept));
    let unneeded = all.filter(|accept| with_faults && !needed.contains(&place(accept)));
    Ok(SuiteDone {
        file: String::new(),
        plugin: plugin.name().to_string(),
        unneeded: unneeded.cloned().collect(),
        tests,
    })
}

fn place(accept: &Accept) -> String {
    format!("{} {}", accept.place, accept.pattern)
}

/// Breaks what the run of a test used.
async fn broken(
    plugin: &Plugin,
    suite: &Suite,
    test: &Test,
    done: &Done,
    at_once: usize,
    needed: &mut Vec<String>,
) -> anyhow::Result<Vec<Broken>> {
    let Touched { files, state, checks, secrets } = done.touched.clone();
    let asked = done.asked.iter();
    let requests = asked.map(|asked| (asked.method.clone(), asked.url.clone(), asked.by)).collect();
    let cases = faults::cases(test, &Used { requests, files, state, checks, secrets });
    let before = done.run.outcome.status();
    let runs = cases.iter().map(|case| once(plugin, test, &case.world));
    let mut runs = futures_util::stream::iter(runs).buffered(at_once);
    let mut list = Vec::new();
    while let Some(after) = runs.next().await {
        let (case, after) = (&cases[list.len()], after?);
        let accepted = case.accepted(test.accept.iter().chain(&suite.accept));
        let verdict = if faults::is_noticed(before, after.run.outcome.status()) {
            Verdict::Noticed
        } else if let Some(accept) = accepted {
            needed.push(place(accept));
            Verdict::Accepted(accept.why.clone())
        } else {
            Verdict::Unnoticed
        };
        let (thing, fault, doc) = (case.thing.clone(), case.fault, case.doc);
        list.push(Broken { thing, fault, doc, run: after.run, took: after.took, verdict });
    }
    Ok(list)
}

fn requests(done: &Done) -> Vec<(String, String)> {
    done.asked.iter().map(|asked| (asked.method.clone(), asked.url.clone())).collect()
}

/// Runs a plugin with the settings and grants of a test, once, in a world.
async fn once(plugin: &Plugin, test: &Test, given: &Given) -> anyhow::Result<Done> {
    let began = Instant::now();
    let state: BTreeMap<String, Vec<u8>> =
        given.state.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    if let Err(problems) = plugin.check_settings(&test.settings) {
        // As the server holds such a check.
        let why = format!("the settings do not fit the plugin: {}", problems.join("; "));
        let outcome = Outcome::Faulted(Fault::new(FaultReason::BadSettings, why));
        let run = Run::new(outcome, Duration::ZERO);
        let (asked, touched) = (Vec::new(), Touched::default());
        return Ok(Done { run, asked, state, touched, took: began.elapsed() });
    }
    let folder = folders(&test.grants, given).context("laying out the files of a test")?;
    let script = Script::new(given.http.clone());
    let tape = Tape::new(TAPE);
    let mut standings = BTreeMap::new();
    for (name, standing) in &given.checks {
        let standing = standing_of(standing).map_err(anyhow::Error::msg)?;
        standings.insert(name.clone(), standing);
    }
    let seen = |name: &&String| test.grants.env.iter().any(|granted| granted.as_str() == **name);
    let env = given.env.keys().filter(seen).map(|name| (name.clone(), given.env[name].clone()));
    let kept = given.state.iter();
    let supplies = Supplies {
        env: env.collect(),
        secrets: Arc::new(given.secrets.clone()),
        state: Arc::new(kept.map(|(key, v)| (key.clone(), Bytes::from(v.0.clone()))).collect()),
        checks: Some(Arc::new(Fixed(standings))),
    };
    let invocation = Invocation {
        check: CheckName::new(plugin.name().as_str()).or_else(|_| CheckName::new("check"))?,
        settings: test.settings.to_string().into(),
        grants: Arc::new(folder.as_ref().map_or_else(|| test.grants.clone(), |(_, g)| g.clone())),
        limits: Arc::new(RunLimits::default()),
        timeout: test.timeout,
        failures_in_a_row: given.failures_in_a_row,
        traceparent: None,
        redact: Redactor::default(),
        supplies,
        tape: Some(Arc::clone(&tape)),
    };
    let now = u64::try_from(given.now.unwrap_or(NOW).0).unwrap_or(0);
    let world = World {
        now: Duration::from_millis(now),
        random: given.random,
        transport: Arc::new(script.clone()),
    };
    let done = plugin.run_in(world, invocation).await;
    let after = done.state.map(|state| state.into_iter().map(|(k, v)| (k, v.to_vec())).collect());
    Ok(Done {
        run: done.run,
        asked: script.asked(),
        state: after.unwrap_or(state),
        touched: tape.touched(),
        took: began.elapsed(),
    })
}

/// Folders of our own in place of the granted ones, with the files of the world in them.
fn folders(grants: &Grants, given: &Given) -> anyhow::Result<Option<(tempfile::TempDir, Grants)>> {
    if grants.dirs.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let files = given.files.iter().map(|(path, file)| (path.clone(), Some(file.clone()))).collect();
    let mut grants = grants.clone();
    for (index, dir) in grants.dirs.iter_mut().enumerate() {
        let host = folder.path().join(index.to_string());
        std::fs::create_dir(&host)?;
        lay_out(&files, &dir.guest, &host)?;
        *dir = DirGrant { host, ..dir.clone() };
    }
    Ok(Some((folder, grants)))
}
