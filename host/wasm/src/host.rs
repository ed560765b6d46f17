//! What a store holds: the state of one run, as the imports see it.
//!
//! Each import gets a view of the part that it needs. What is shared with tasks that outlive a
//! host call (requests under way, the guest's output) is in [`RunShared`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wellcheck_core::grant::{Denial, GrantKind, Grants, Use};
use wellcheck_core::limits::RunLimits;
use wellcheck_core::redact::Redactor;

use crate::import::checks::ChecksView;
use crate::import::context::{ContextView, RunContext};
use crate::import::fetch::FetchView;
use crate::import::files::Gate;
use crate::import::http::HttpImport;
use crate::import::secrets::SecretsView;
use crate::import::sockets::SocketsImport;
use crate::import::state::{StateImport, StateView};
use crate::limits::{Cpu, MemoryLimiter};
use crate::log::LogBuffer;
use crate::run::Supplies;
use crate::text;
use crate::world::Tape;

/// Most distinct things that a run used, and most flags, that are remembered.
const MAX_REMEMBERED: usize = 64;
/// Longest text of one.
const MAX_TEXT: usize = 300;

/// The state of one run.
pub(crate) struct HostState {
    pub(crate) wasi: WasiCtx,
    pub(crate) http_context: WasiHttpCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: HttpImport,
    pub(crate) sockets: SocketsImport,
    /// For a run with granted folders.
    pub(crate) gate: Option<Gate>,
    pub(crate) context: RunContext,
    pub(crate) state: StateImport,
    pub(crate) supplies: Supplies,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) shared: Arc<RunShared>,
}

impl HostState {
    pub(crate) fn context_view(&mut self) -> ContextView<'_> {
        ContextView(&self.context)
    }

    pub(crate) fn fetch_view(&mut self) -> FetchView<'_> {
        FetchView { http: &self.http, traceparent: self.context.traceparent.as_deref() }
    }

    pub(crate) fn state_view(&mut self) -> StateView<'_> {
        let Self { grants, state, shared, .. } = self;
        StateView { grants, state, shared }
    }

    pub(crate) fn checks_view(&mut self) -> ChecksView<'_> {
        let Self { grants, supplies, shared, .. } = self;
        ChecksView { grants, standings: supplies.checks.as_deref(), shared }
    }

    pub(crate) fn secrets_view(&mut self) -> SecretsView<'_> {
        let Self { grants, supplies, shared, .. } = self;
        SecretsView { grants, secrets: &supplies.secrets, shared }
    }
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
    /// Making the instance, in nanoseconds.
    pub(crate) instantiate: AtomicU64,
    pub(crate) requests: AtomicU32,
    pub(crate) requests_open: AtomicU32,
    pub(crate) bytes: AtomicU64,
    /// Sockets made, and names looked up.
    pub(crate) sockets: AtomicU32,
    pub(crate) lookups: AtomicU32,
    refusals: Mutex<Refusals>,
    network: Mutex<NetworkSeen>,
    used: Mutex<BTreeSet<Use>>,
    flags: Mutex<Vec<String>>,
    log: Mutex<LogBuffer>,
    redact: Redactor,
    /// Where the run is noted, if anywhere.
    pub(crate) tape: Option<Arc<Tape>>,
}

/// What the sockets of a run have seen.
#[derive(Default)]
struct NetworkSeen {
    names: Arc<Vec<(String, IpAddr)>>,
    connections: u32,
    /// Whom datagrams were sent to.
    peers: BTreeSet<SocketAddr>,
}

/// The first of each kind; later ones follow from it more often than not.
#[derive(Default)]
struct Refusals {
    denial: Option<Denial>,
    limit: Option<String>,
}

impl RunShared {
    /// `redact` takes secrets out of everything that is remembered.
    pub(crate) fn new(limits: &RunLimits, redact: Redactor, tape: Option<Arc<Tape>>) -> Self {
        let log = Mutex::new(LogBuffer::new(limits.log_bytes, limits.log_lines));
        Self { log, redact, tape, ..Self::default() }
    }

    /// Remembers that the guest was denied something.
    pub(crate) fn deny(&self, mut denial: Denial) {
        self.redact.apply_to(&mut denial.asked);
        if let Some(allow) = &mut denial.allow {
            self.redact.apply_to(allow);
        }
        self.remember(denial.kind, &denial.asked, true);
        lock(&self.refusals).denial.get_or_insert(denial);
    }

    /// Remembers that the guest used something that a grant names.
    pub(crate) fn used(&self, kind: GrantKind, value: &str) {
        self.remember(kind, value, false);
    }

    fn remember(&self, kind: GrantKind, value: &str, denied: bool) {
        let mut used = lock(&self.used);
        if used.len() < MAX_REMEMBERED {
            let value = text::cleaned(&self.redact.apply(value), MAX_TEXT);
            used.insert(Use { kind, value, denied });
        }
    }

    /// Everything that was used or denied, in order.
    pub(crate) fn uses(&self) -> Vec<Use> {
        std::mem::take(&mut *lock(&self.used)).into_iter().collect()
    }

    /// Remembers what the host changed or left out, for whoever looks at the run.
    pub(crate) fn flag(&self, mut flag: String) {
        self.redact.apply_to(&mut flag);
        let mut flags = lock(&self.flags);
        if flags.len() < MAX_REMEMBERED && !flags.contains(&flag) {
            flags.push(flag);
        }
    }

    pub(crate) fn flags(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.flags))
    }

    /// What the run has looked up so far.
    pub(crate) fn names(&self) -> Arc<Vec<(String, IpAddr)>> {
        Arc::clone(&lock(&self.network).names)
    }

    /// Remembers what a name stands for; at most `most` pairs.
    pub(crate) fn resolved(&self, name: &str, addresses: &[IpAddr], most: usize) {
        let mut network = lock(&self.network);
        let names = Arc::make_mut(&mut network.names);
        for address in addresses {
            if names.len() < most && !names.iter().any(|(n, a)| n == name && a == address) {
                names.push((name.to_owned(), *address));
            }
        }
    }

    /// Counts a connection, or a peer that was not sent to before. `false` at the limit.
    pub(crate) fn connect(&self, peer: Option<SocketAddr>, limit: u32) -> bool {
        let mut network = lock(&self.network);
        if peer.is_some_and(|peer| network.peers.contains(&peer)) {
            return true;
        }
        if network.connections >= limit {
            return false;
        }
        network.connections += 1;
        network.peers.extend(peer);
        true
    }

    /// Takes secrets out of texts.
    pub(crate) fn redact(&self) -> &Redactor {
        &self.redact
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
