//! Every limit of a run, set in one function: [`bounded_store`].
//!
//! What a guest can use up: CPU (asked at each tick of the engine's clock), linear memory, tables,
//! instances, bytes per host call, handles, random bytes, header bytes, output, requests. Wall
//! time is the caller's: a timeout around instantiation and call.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_http::WasiHttpCtx;
use wellcheck_core::grant::Grants;
use wellcheck_core::limits::{KIB, RunLimits};

use crate::engine::{MAX_MEMORIES, MAX_TABLES, PoolSize};
use crate::host::{HostState, RunShared};
use crate::import::context::RunContext;
use crate::import::files::{self, Folders};
use crate::import::http::HttpImport;
use crate::import::sockets::SocketsImport;
use crate::import::state::StateImport;
use crate::log::{Output, Stream};
use crate::run::Supplies;
use crate::text;
use crate::transport::Transport;
use crate::world::{self, Clock, Random, World};

/// Headers of one request or response, as they are held in memory.
pub(crate) const FIELD_BYTES: usize = 16 * KIB;

/// What one run needs besides its limits.
pub(crate) struct RunParts {
    pub(crate) shared: Arc<RunShared>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<RunLimits>,
    /// What no run may exceed, whatever its limits say.
    pub(crate) pool: PoolSize,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) context: RunContext,
    pub(crate) supplies: Supplies,
    /// The granted folders, opened.
    pub(crate) folders: Option<Folders>,
    pub(crate) began: Instant,
    pub(crate) deadline: Instant,
    /// What takes the place of the real world.
    pub(crate) world: Option<World>,
}

/// A store with nothing in it but limits, and what the grants name: without grants there are no
/// files, sockets, names, environment or arguments.
pub(crate) fn bounded_store(engine: &Engine, parts: RunParts) -> Store<HostState> {
    let RunParts { shared, grants, limits, pool, transport, context, supplies, folders, .. } =
        parts;
    let RunParts { began, deadline, world, .. } = parts;
    let sockets = SocketsImport {
        grants: Arc::clone(&grants),
        limits: Arc::clone(&limits),
        transport: Arc::clone(&transport),
        shared: Arc::clone(&shared),
        deadline,
        is_elsewhere: world.is_some(),
    };

    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(Output::new(Stream::Out, Arc::clone(&shared)))
        .stderr(Output::new(Stream::Err, Arc::clone(&shared)))
        .max_random_size(limits.random_bytes)
        .allow_blocking_current_thread(false)
        .envs(&supplies.env);
    if world.is_some() || shared.tape.is_some() {
        observe(&mut wasi, &shared, began, world.as_ref());
    }
    sockets.configure(&mut wasi);
    if let Some(folders) = &folders {
        files::offer(&mut wasi, &grants.dirs, folders, &shared);
    }
    let wasi = wasi.build();
    let mut http_context = WasiHttpCtx::new();
    http_context.set_field_size_limit(FIELD_BYTES);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);

    let limiter = MemoryLimiter {
        memory: 0,
        memory_limit: limits.memory.min(pool.memory),
        elements: 0,
        elements_limit: limits.table_elements.min(pool.table_elements),
        instances: pool.instances as usize,
        refused: None,
        shared: Arc::clone(&shared),
    };
    let budget = limits.cpu;
    let host_call_bytes = limits.host_call_bytes;
    // A handle of the guest may stand for no resource of the host, so there may be more of them.
    let handles = limits.handles.saturating_mul(4);
    let http = HttpImport {
        grants: Arc::clone(&grants),
        limits,
        transport,
        shared: Arc::clone(&shared),
        deadline,
    };
    let state = HostState {
        wasi,
        http_context,
        table,
        http,
        sockets,
        gate: folders.map(Folders::into_gate),
        context,
        state: StateImport::new(Arc::clone(&supplies.state)),
        supplies,
        grants,
        limiter,
        shared,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(host_call_bytes);
    store.set_max_component_handles(handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        let cpu = &store.data().shared.cpu;
        if cpu.used_now() > budget {
            cpu.exhausted.store(true, Ordering::Relaxed);
            return Ok(UpdateDeadline::Interrupt);
        }
        // Other plugins on this thread get their turn, and the wall timeout gets looked at.
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// Clocks that are counted and random numbers that can be had again.
fn observe(wasi: &mut WasiCtxBuilder, shared: &RunShared, began: Instant, world: Option<&World>) {
    let random = match (&shared.tape, world) {
        (Some(tape), world) => tape.begin(began, world),
        (None, Some(world)) => world.random,
        (None, None) => world::seed(),
    };
    let ticks = shared.tape.as_ref().map(|tape| Arc::clone(&tape.ticks)).unwrap_or_default();
    let clock = Clock::new(world.map(|world| world.now), began, ticks);
    wasi.wall_clock(clock.clone())
        .monotonic_clock(clock)
        .secure_random(Random::new(&random, "secure"))
        .insecure_random(Random::new(&random, "insecure"))
        .insecure_random_seed(Random::new(&random, "seed").number());
}

/// Sums over all memories and tables of a run, and remembers what it refused.
pub(crate) struct MemoryLimiter {
    memory: usize,
    memory_limit: usize,
    elements: usize,
    elements_limit: usize,
    instances: usize,
    refused: Option<Refused>,
    shared: Arc<RunShared>,
}

/// What a run wanted more of than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory(usize),
    Elements(usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(limit) => {
                write!(f, "memory limit of {} reached (limit `memory`)", text::bytes(*limit))
            }
            Self::Elements(limit) => {
                write!(f, "limit of {limit} table elements reached (limit `table-elements`)")
            }
        }
    }
}

impl MemoryLimiter {
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = self.memory.saturating_sub(current).saturating_add(desired);
        if sum > self.memory_limit {
            self.refused = Some(Refused::Memory(self.memory_limit));
            return Ok(false);
        }
        self.memory = sum;
        self.shared.memory_used(sum);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = self.elements.saturating_sub(current).saturating_add(desired);
        if sum > self.elements_limit {
            self.refused = Some(Refused::Elements(self.elements_limit));
            return Ok(false);
        }
        self.elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// CPU time of one run: the time of whichever thread polls it, summed over the polls.
///
/// Waiting costs nothing, and neither does what other runs do on the same thread meanwhile.
#[derive(Default)]
pub(crate) struct Cpu {
    /// Of the polls that are over, in nanoseconds.
    used: AtomicU64,
    /// What the thread's clock said when the current poll began.
    poll_began: AtomicU64,
    pub(crate) exhausted: AtomicBool,
}

impl Cpu {
    /// Of the polls that are over.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// With the current poll; only within it.
    fn used_now(&self) -> Duration {
        let slice = thread_cpu().saturating_sub(self.poll_began.load(Ordering::Relaxed));
        self.used() + Duration::from_nanos(slice)
    }

    /// Does `work` and counts what it costs.
    pub(crate) async fn metered<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let began = thread_cpu();
            self.poll_began.store(began, Ordering::Relaxed);
            let poll = work.as_mut().poll(context);
            self.used.fetch_add(thread_cpu().saturating_sub(began), Ordering::Relaxed);
            poll
        })
        .await
    }
}

fn thread_cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
