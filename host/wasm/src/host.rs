//! What a store holds: the state of one run, as the imports see it.
//!
//! Each import gets a view of the part that it needs. What is shared with tasks that outlive a
//! host call (requests under way, the guest's output) is in [`RunShared`].

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wellcheck_core::grant::Denial;

use crate::import::context::RunContext;
use crate::import::http::HttpImport;
use crate::limits::{Cpu, MemoryLimiter};
use crate::log::LogBuffer;

/// The state of one run.
pub(crate) struct HostState {
    pub(crate) wasi: WasiCtx,
    pub(crate) http_context: WasiHttpCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: HttpImport,
    pub(crate) context: RunContext,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) shared: Arc<RunShared>,
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http,
            table: &mut self.table,
            ctx: &mut self.http_context,
        }
    }
}

/// What several parts of one run write, and what is left when its store is gone.
#[derive(Default)]
pub(crate) struct RunShared {
    pub(crate) cpu: Cpu,
    pub(crate) memory_peak: AtomicUsize,
    pub(crate) requests: AtomicU32,
    pub(crate) requests_open: AtomicU32,
    pub(crate) bytes: AtomicU64,
    refusals: Mutex<Refusals>,
    log: Mutex<LogBuffer>,
}

/// The first of each kind; later ones follow from it more often than not.
#[derive(Default)]
struct Refusals {
    denial: Option<Denial>,
    limit: Option<String>,
}

impl RunShared {
    pub(crate) fn new(log_bytes: usize) -> Self {
        Self { log: Mutex::new(LogBuffer::new(log_bytes)), ..Self::default() }
    }

    /// Remembers that the guest was denied something.
    pub(crate) fn deny(&self, denial: Denial) {
        lock(&self.refusals).denial.get_or_insert(denial);
    }

    /// Remembers that the guest ran into a limit that it may not have noticed as such.
    pub(crate) fn refuse(&self, limit: impl Into<String>) {
        lock(&self.refusals).limit.get_or_insert(limit.into());
    }

    pub(crate) fn denial(&self) -> Option<Denial> {
        lock(&self.refusals).denial.clone()
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        lock(&self.refusals).limit.clone()
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, LogBuffer> {
        lock(&self.log)
    }

    pub(crate) fn memory_used(&self, bytes: usize) {
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// A panic while the lock was held leaves data that is still fit to be shown.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
