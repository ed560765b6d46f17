//! The sandbox: one engine, its threads, its cache, and the places for runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Linker;
use wellcheck_core::id::PluginName;
use wellcheck_core::limits::{HostLimits, LoadLimits, RunLimits};

use crate::cache::Cache;
use crate::compile::Compiler;
use crate::engine::{self, Allocator, Code, PoolSize, Ticker};
use crate::host::HostState;
use crate::import::files::{self, Gates};
use crate::import::sockets;
use crate::load::{self, LoadError};
use crate::plugin::Plugin;
use crate::run::AbortOnDrop;
use crate::transport::{NoTransport, Transport};

/// Compilers at once: each uses every processor there is and much memory, but a small plugin should
/// not wait for a big one.
const COMPILERS: usize = 2;

/// How often threads for files that nobody needs any more are looked for.
const PRUNE: Duration = Duration::from_secs(30);

/// What a sandbox is made of. [`SandboxOptions::default`] compiles in this process, keeps no
/// compiled code, and reaches nothing.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where compiled code is kept. Made if it is not there, with rights for its owner only.
    pub cache_dir: Option<PathBuf>,
    /// Where plugins are compiled.
    pub compiler: Compiler,
    /// What loading a file may use.
    pub load: LoadLimits,
    /// What `describe` may use.
    pub describe: RunLimits,
    /// How requests leave.
    pub transport: Arc<dyn Transport>,
    /// Threads for runs; zero for as many as there are processors.
    pub workers: usize,
    /// What all runs share: places, and how large any run may be at most.
    pub host: HostLimits,
    /// How instances get their memory; pooling falls back to on-demand by itself.
    pub allocator: Allocator,
    /// What compiling aims at.
    pub code: Code,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            compiler: Compiler::InProcess,
            load: LoadLimits::default(),
            describe: RunLimits::default(),
            transport: Arc::new(NoTransport),
            workers: 0,
            host: HostLimits::default(),
            allocator: Allocator::Pooling,
            code: Code::Fast,
        }
    }
}

impl fmt::Debug for SandboxOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxOptions")
            .field("cache_dir", &self.cache_dir)
            .field("compiler", &self.compiler)
            .field("workers", &self.workers)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine does not start.
    #[error("the engine for plugins does not start: {0}")]
    Engine(String),
    /// No threads.
    #[error("the threads for plugins do not start")]
    Threads(#[source] std::io::Error),
}

/// Loads plugins, and holds what they run on. Cheap to clone.
///
/// When the last handle and the last [`Plugin`] are dropped, runs under way are cancelled.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<HostState>,
    pub(crate) ticker: Ticker,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) compiler: Compiler,
    pub(crate) compiling: Semaphore,
    pub(crate) code: Code,
    pub(crate) load: LoadLimits,
    pub(crate) describe: Arc<RunLimits>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) pool: PoolSize,
    pub(crate) gates: Gates,
    /// Runs in which the host panicked.
    pub(crate) panics: AtomicU64,
    allocator: Allocator,
    notes: Vec<String>,
    places: Arc<Semaphore>,
    /// Taken when the sandbox is dropped.
    runtime: Option<Runtime>,
}

/// How many places for runs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotUse {
    /// Runs at once, at most.
    pub slots: usize,
    /// Runs under way.
    pub taken: usize,
    /// Runs so far in which the host panicked: each is a defect of ours.
    pub panics: u64,
    /// Instances, memories, tables and stacks that are in use; only the pooling allocator knows.
    pub pooled: Option<[u64; 4]>,
}

impl Sandbox {
    /// Starts the engine and its threads.
    ///
    /// # Errors
    /// When this machine cannot run WebAssembly, or gives no threads. A cache that cannot be used
    /// is no error; see [`Sandbox::notes`].
    pub fn new(options: SandboxOptions) -> Result<Self, StartError> {
        let SandboxOptions { cache_dir, compiler, load, describe, transport, workers, .. } =
            options;
        let broken = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let pool = PoolSize::new(&options.host);
        let (engine, allocator) =
            engine::running(pool, options.code, options.allocator).map_err(broken)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(broken)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(broken)?;
        files::link(&mut linker).map_err(broken)?;
        sockets::link(&mut linker).map_err(broken)?;
        let ticker = Ticker::start(&engine).map_err(StartError::Threads)?;

        let mut notes = Vec::new();
        let cache = cache_dir.and_then(|dir| {
            Cache::open(&dir, engine::compatibility(&engine))
                .map_err(|note| notes.push(note))
                .ok()
                .map(Arc::new)
        });
        let workers = match workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("plugin")
            .max_blocking_threads(16)
            // Timers and sockets are looked at between any two slices of guests.
            .event_interval(1)
            .on_thread_start(engine::lower_priority)
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let inner = Arc::new(Inner {
            engine,
            linker,
            ticker,
            cache,
            compiler,
            compiling: Semaphore::new(COMPILERS),
            code: options.code,
            load,
            describe: Arc::new(describe),
            transport,
            pool,
            gates: Gates::default(),
            panics: AtomicU64::new(0),
            allocator,
            notes,
            places: Arc::new(Semaphore::new(pool.slots as usize)),
            runtime: Some(runtime),
        });
        let weak = Arc::downgrade(&inner);
        inner.runtime().spawn(async move {
            loop {
                tokio::time::sleep(PRUNE).await;
                let Some(inner) = weak.upgrade() else { return };
                inner.gates.prune();
            }
        });
        Ok(Self(inner))
    }

    /// Makes a plugin of a file's bytes: looks at it, compiles it or takes compiled code from the
    /// cache, links it, asks it what it is.
    ///
    /// # Errors
    /// With the step that failed. Nothing else changes. Dropping the future ends the load.
    pub async fn load(
        &self,
        name: PluginName,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Plugin, LoadError> {
        let plugin = name.clone();
        let task = self.0.runtime().spawn(load::load(Arc::clone(&self.0), name, bytes.into()));
        AbortOnDrop(task).await.unwrap_or_else(|error| {
            let problem = load::LoadProblem::Bind(format!("the host broke: {error}"));
            Err(LoadError { plugin, problem })
        })
    }

    /// Where instances get their memory.
    pub fn allocator(&self) -> Allocator {
        self.0.allocator
    }

    /// What a person should know: a cache that is not used, and why.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// How many places for runs are taken.
    pub fn slots(&self) -> SlotUse {
        let slots = self.0.slots();
        let pooled = self.0.engine.pooling_allocator_metrics().map(|pool| {
            let count = |n: usize| n as u64;
            [
                pool.core_instances(),
                count(pool.memories()),
                count(pool.tables()),
                count(pool.stacks()),
            ]
        });
        let taken = slots - self.0.places.available_permits();
        SlotUse { slots, taken, panics: self.0.panics.load(Ordering::Relaxed), pooled }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("allocator", &self.0.allocator).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken only when the sandbox is dropped")
    }

    pub(crate) fn slots(&self) -> usize {
        self.pool.slots as usize
    }

    /// Waits for a place.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In the background: the last handle may be held by a task of this very runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
