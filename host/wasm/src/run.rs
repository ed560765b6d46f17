//! One run: a fresh instance, called once within its limits, and what came of it.
//!
//! Runs happen on the sandbox's own threads. Whatever goes wrong is the product: [`run`] never
//! fails, and it is over when the wall time is.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use wellcheck_core::grant::{GrantKind, Grants, Use};
use wellcheck_core::id::CheckName;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Run, RunLog};
use wellcheck_core::redact::Redactor;

use crate::abi::{Answer, Bound, Call};
use crate::fault;
use crate::host::RunShared;
use crate::import::checks::Standings;
use crate::import::context::RunContext;
use crate::import::files::{self, Gate};
use crate::import::state::Kept;
use crate::limits::{RunParts, bounded_store};
use crate::plugin::Plugin;
use crate::report;
use crate::sandbox::Inner;
use crate::world::{Tape, World};

/// Longest wait for a place among the runs of plugins.
const PLACE_WAIT: Duration = Duration::from_secs(5);

/// What to check, and what the run may use.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The check's name.
    pub check: CheckName,
    /// A JSON object as text, already matched against the plugin's schema.
    pub settings: Arc<str>,
    /// What it may reach.
    pub grants: Arc<Grants>,
    /// What it may use.
    pub limits: Arc<RunLimits>,
    /// Longest that the run may take, by the wall.
    pub timeout: Duration,
    /// How many runs in a row before this one did not pass.
    pub failures_in_a_row: u32,
    /// A W3C `traceparent` for its requests.
    pub traceparent: Option<String>,
    /// Secrets that must not show in what the guest says.
    pub redact: Redactor,
    /// What the imports answer from.
    pub supplies: Supplies,
    /// Where the run is noted, if anywhere.
    pub tape: Option<Arc<Tape>>,
}

/// What the imports answer from, as far as the grants allow. Nothing by default.
#[derive(Clone, Default)]
pub struct Supplies {
    /// The environment that is granted, name and value.
    pub env: Arc<[(String, String)]>,
    /// Every secret by name; the grants decide which of them the plugin gets.
    pub secrets: Arc<BTreeMap<String, String>>,
    /// What the check kept in the runs before.
    pub state: Arc<BTreeMap<String, Bytes>>,
    /// How other checks are.
    pub checks: Option<Arc<dyn Standings>>,
}

impl fmt::Debug for Supplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supplies").finish_non_exhaustive()
    }
}

/// A finished run, and what it used.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRun {
    /// Outcome, duration, log.
    pub run: Run,
    /// What it used.
    pub used: Usage,
    /// All that the check keeps from now on, if the run changed it and ended with a report.
    pub state: Option<BTreeMap<String, Bytes>>,
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of the instance, from making it to dropping it.
    pub cpu: Duration,
    /// Making the instance, by the wall.
    pub instantiate: Duration,
    /// Most linear memory at once, in bytes.
    pub memory_peak: usize,
    /// HTTP requests that were made.
    pub requests: u32,
    /// Bytes of the bodies of requests and answers.
    pub bytes: u64,
}

/// The part of an invocation that every call of a guest has.
pub(crate) struct Limits {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<RunLimits>,
    /// When the wall time began to count; waiting for a place counts.
    pub(crate) began: Instant,
    pub(crate) timeout: Duration,
    pub(crate) failures_in_a_row: u32,
    pub(crate) traceparent: Option<String>,
    pub(crate) redact: Redactor,
    pub(crate) supplies: Supplies,
    pub(crate) tape: Option<Arc<Tape>>,
    pub(crate) world: Option<World>,
}

/// A call that is over.
pub(crate) struct Done {
    pub(crate) answer: Result<Answer, Fault>,
    pub(crate) log: RunLog,
    pub(crate) uses: Vec<Use>,
    pub(crate) used: Usage,
    pub(crate) state: Option<Kept>,
}

pub(crate) async fn run(plugin: &Plugin, invocation: Invocation) -> PluginRun {
    let began = Instant::now();
    let sandbox = &plugin.parts().sandbox;
    let timeout = invocation.timeout;
    let place = match timeout_at(began + timeout.min(PLACE_WAIT), sandbox.place()).await {
        Ok(place) => place,
        Err(_elapsed) => return ended(fault::of_full_house(sandbox.slots()), began),
    };

    let theirs = plugin.clone();
    let redact = invocation.redact.clone();
    let task = sandbox.runtime().spawn(async move {
        let _place = place;
        invoke(&theirs, invocation, began, None).await
    });
    AbortOnDrop(task).await.unwrap_or_else(|error| {
        if error.is_panic() {
            sandbox.panics.fetch_add(1, Ordering::Relaxed);
        }
        ended(fault::of_join(error, &redact), began)
    })
}

/// Runs it on a thread with a clock of its own, which stands while the run computes, and leaps to
/// whatever the run waits for.
pub(crate) async fn run_in(plugin: &Plugin, world: World, invocation: Invocation) -> PluginRun {
    let began = Instant::now();
    let theirs = plugin.clone();
    let redact = invocation.redact.clone();
    let place = plugin.parts().sandbox.place().await;
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        match runtime {
            Ok(runtime) => {
                let run = runtime.block_on(async {
                    invoke(&theirs, invocation, Instant::now(), Some(world)).await
                });
                runtime.shutdown_background();
                run
            }
            Err(error) => {
                let why = format!("no thread for this run: {error}");
                ended(Fault::new(FaultReason::Busy, why), began)
            }
        }
    });
    task.await.unwrap_or_else(|error| ended(fault::of_join(error, &redact), began))
}

async fn invoke(
    plugin: &Plugin,
    invocation: Invocation,
    began: Instant,
    world: Option<World>,
) -> PluginRun {
    let parts = plugin.parts();
    let Invocation {
        check,
        settings,
        grants,
        limits,
        timeout,
        failures_in_a_row,
        traceparent,
        redact,
        supplies,
        tape,
    } = invocation;
    let bounds = Limits {
        grants,
        limits: Arc::clone(&limits),
        began,
        timeout,
        failures_in_a_row,
        traceparent,
        redact: redact.clone(),
        supplies,
        tape,
        world,
    };
    let call = Call::Run { check: &check, settings: &settings };
    let Done { answer, mut log, uses, used, state } =
        execute(&parts.sandbox, &parts.bound, bounds, call).await;
    let outcome = match answer {
        Ok(Answer::Outcome(outcome)) => {
            let (outcome, flags) = report::clean(outcome, &limits, &redact);
            log.flags.extend(flags);
            outcome
        }
        Ok(Answer::Description(_)) => unreachable!("an outcome was asked for"),
        Err(fault) => Outcome::Faulted(fault),
    };
    let state = state.filter(|_| matches!(outcome, Outcome::Answered(_)));
    let run = Run { outcome, duration: began.elapsed(), log, used: uses };
    PluginRun { run, used, state }
}

fn ended(fault: Fault, began: Instant) -> PluginRun {
    let run = Run::new(Outcome::Faulted(fault), began.elapsed());
    PluginRun { run, used: Usage::default(), state: None }
}

/// Makes an instance, calls it, and drops it, on the task that polls this.
pub(crate) async fn execute(
    sandbox: &Inner,
    bound: &Bound,
    bounds: Limits,
    call: Call<'_>,
) -> Done {
    let Limits { grants, limits, began, timeout, failures_in_a_row, traceparent, redact, .. } =
        bounds;
    let Limits { supplies, tape, world, .. } = bounds;
    let deadline = began + timeout;
    let shared = Arc::new(RunShared::new(&limits, redact.clone(), tape));
    let _live = sandbox.ticker.enter();
    // WASI does not say what of these is really used.
    for (name, _) in &*supplies.env {
        shared.used(GrantKind::Env, &format!("{name} (offered)"));
    }
    for dir in &grants.dirs {
        shared.used(GrantKind::Dirs, &format!("{} (offered)", dir.guest));
    }

    let gate = match call {
        Call::Run { .. } if !grants.dirs.is_empty() && world.is_some() => Some(Ok(Gate::here())),
        Call::Run { check, .. } if !grants.dirs.is_empty() => Some(sandbox.gates.of(check)),
        _ => None,
    };
    let work = async {
        let folders = match gate.clone() {
            Some(gate) => Some(files::open(&grants.dirs, gate?).await?),
            None => None,
        };
        let parts = RunParts {
            shared: Arc::clone(&shared),
            grants,
            limits: Arc::clone(&limits),
            pool: sandbox.pool,
            transport: match &world {
                Some(world) => Arc::clone(&world.transport),
                None => Arc::clone(&sandbox.transport),
            },
            context: RunContext { deadline, failures_in_a_row, traceparent },
            supplies,
            folders,
            began,
            deadline,
            world,
        };
        let mut store = bounded_store(&sandbox.engine, parts);
        match bound.call(&mut store, call).await {
            Ok(answer) => {
                // A guest may go on without what it did not get; that it met a limit is shown.
                if let Some(refused) = store.data().limiter.refused() {
                    shared.flag(refused.to_string());
                }
                Ok((answer, std::mem::take(&mut store.data_mut().state).changed()))
            }
            Err(error) => {
                let refused = store.data().limiter.refused();
                Err(fault::of_error(&error, &shared, refused, &limits, &redact, call))
            }
        }
    };
    let ended = {
        let metered = pin!(shared.cpu.metered(work));
        let ended = match &gate {
            Some(Ok(gate)) => timeout_at(deadline, gate.within(metered)).await,
            _ => timeout_at(deadline, metered).await,
        };
        match ended {
            Ok(answer) => answer,
            Err(_elapsed) => {
                if let Some(Ok(gate)) = &gate {
                    gate.cut_off();
                }
                Err(fault::of_wall_time(timeout, call))
            }
        }
    };
    // What the host refused explains what came after it, whatever the guest makes of it.
    let ended = match fault::of_refusal(&shared) {
        Some(fault) => Err(fault),
        None => ended,
    };
    let (answer, state) = match ended {
        Ok((answer, state)) => (Ok(answer), state),
        Err(fault) => (Err(fault), None),
    };
    let used = Usage {
        cpu: shared.cpu.used(),
        instantiate: Duration::from_nanos(shared.instantiate.load(Ordering::Relaxed)),
        memory_peak: shared.memory_peak.load(Ordering::Relaxed),
        requests: shared.requests.load(Ordering::Relaxed),
        bytes: shared.bytes.load(Ordering::Relaxed),
    };
    if let Some(flag) = shared.log().flag() {
        shared.flag(flag);
    }
    let lines = shared.log().finish(&redact);
    Done { answer, log: RunLog { lines, flags: shared.flags() }, uses: shared.uses(), used, state }
}

/// A task that nobody waits for is not worth finishing.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
