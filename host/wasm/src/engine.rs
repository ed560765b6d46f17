//! The engine: which WebAssembly is accepted, how instances are allocated, and the clock that
//! interrupts them.
//!
//! The settings that decide what compiled code looks like are in [`settings`] alone, so that the
//! compiler's child process and the running engine agree on them.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::process::setpriority_process;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm, WasmBacktraceDetails,
};
use wellcheck_core::limits::HostLimits;

/// How often running guests are asked whether their CPU budget is used up.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack of the host functions that a guest calls, above the guest's own.
const HOST_STACK: usize = 1024 * 1024;

/// Memories and tables of one component.
pub(crate) const MAX_MEMORIES: u32 = 8;
pub(crate) const MAX_TABLES: u32 = 16;

/// Where the memory of instances comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// Slots that are reserved at start: the fastest, but it takes terabytes of address space.
    Pooling,
    /// Mapped for each instance: where address space is short.
    OnDemand,
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pooling => "pooling",
            Self::OnDemand => "on-demand",
        })
    }
}

/// What compiling aims at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Code {
    /// Code that runs fast: it is compiled once, and runs again and again.
    #[default]
    Fast,
    /// Code that is there soon: somebody waits for it, and it runs once. It takes about two thirds
    /// of the CPU, is twice as large, and is kept apart in the cache.
    Soon,
}

/// How much the pooling allocator reserves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolSize {
    pub(crate) slots: u32,
    /// Largest linear memory, in bytes.
    pub(crate) memory: usize,
    pub(crate) table_elements: usize,
    /// Core instances of one component.
    pub(crate) instances: u32,
    /// Stack of a guest, in bytes; more is a trap.
    pub(crate) stack: usize,
}

impl PoolSize {
    pub(crate) fn new(limits: &HostLimits) -> Self {
        Self {
            slots: limits.slots.max(1),
            memory: limits.max_memory,
            table_elements: limits.max_table_elements,
            instances: limits.instances,
            stack: limits.stack,
        }
    }
}

/// How much less urgent the threads of plugins are than everything else, as `nice` has it.
const NICENESS: i32 = 5;

/// Makes the calling thread less urgent (on Linux, this one alone).
pub(crate) fn lower_priority() {
    // Without it, plugins are as urgent as the rest.
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::debug!("the priority of a plugin thread stays: {error}");
    }
}

/// Everything that has a say in what compiled code looks like, and the features that are refused.
fn settings(code: Code) -> Config {
    let mut config = Config::new();
    if code == Code::Soon {
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        // The environment variable of that name is not asked, and error texts stay short. One
        // frame is kept since its presence tells a trap inside of the guest from a bad answer.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(1))
        .wasm_memory64(false)
        // Needed by the adapters between the modules of one component, as QuickJS guests have them.
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_stack_switching(false)
        .wasm_shared_everything_threads(false)
        .shared_memory(false)
        .wasm_component_model_error_context(false)
        .wasm_component_model_gc(false)
        .wasm_component_model_map(false)
        .wasm_component_model_memory64(false)
        .wasm_component_model_fixed_length_lists(false)
        .wasm_component_model_implements(false);
    config
}

/// The engine of the compiler: fits under a limit of address space.
pub(crate) fn compiling(code: Code) -> wasmtime::Result<Engine> {
    let mut config = settings(code);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

fn on_demand(size: PoolSize, code: Code) -> wasmtime::Result<Engine> {
    let mut config = settings(code);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    stacks(&mut config, size);
    Engine::new(&config)
}

/// Compiled code does not depend on it.
fn stacks(config: &mut Config, size: PoolSize) {
    config.max_wasm_stack(size.stack).async_stack_size(size.stack + HOST_STACK);
}

/// How the memory of an instance is made fresh for the next one.
#[derive(Debug, Clone, Copy)]
struct Reset {
    /// Whether the kernel is asked which pages were written (Linux 6.7).
    scan: Enabled,
    /// How much of a memory is written over in place; the rest is given back to the kernel, and
    /// costs a page fault each when it is next used.
    keep: usize,
}

/// What is kept stays with every slot that was ever used: enough for what a small guest touches, and
/// no more. The first is a quarter faster than giving everything back; without the kernel's help all that
/// is kept is written over, so less is kept.
const RESETS: [Reset; 2] =
    [Reset { scan: Enabled::Yes, keep: 512 * 1024 }, Reset { scan: Enabled::No, keep: 64 * 1024 }];

/// Slots that keep what [`Reset`] says while nothing runs in them.
const WARM_SLOTS: u32 = 32;

fn pooling(size: PoolSize, code: Code, reset: Reset) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(size.slots)
        .total_core_instances(size.slots.saturating_mul(size.instances))
        .total_memories(size.slots.saturating_mul(MAX_MEMORIES))
        .total_tables(size.slots.saturating_mul(MAX_TABLES))
        .total_stacks(size.slots)
        .max_core_instances_per_component(size.instances)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .max_memory_size(size.memory)
        .table_elements(size.table_elements)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(reset.scan)
        .linear_memory_keep_resident(reset.keep)
        .table_keep_resident(size.table_elements * size_of::<usize>());
    let mut config = settings(code);
    config.allocation_strategy(pool);
    stacks(&mut config, size);
    Engine::new(&config)
}

/// The engine that runs plugins: pooling where the address space is there.
pub(crate) fn running(
    size: PoolSize,
    code: Code,
    wanted: Allocator,
) -> wasmtime::Result<(Engine, Allocator)> {
    if wanted == Allocator::Pooling {
        for reset in RESETS {
            match pooling(size, code, reset) {
                Ok(engine) => return Ok((engine, Allocator::Pooling)),
                Err(error) => tracing::debug!("no pool of instances with {reset:?}: {error:#}"),
            }
        }
        tracing::info!("no pool of instances, so runs are slower");
    }
    Ok((on_demand(size, code)?, Allocator::OnDemand))
}

/// A digest of everything that compiled code must agree with: wasmtime's version, the settings
/// above, this processor's features.
pub(crate) fn compatibility(engine: &Engine) -> blake3::Hash {
    let mut hasher = Digest(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize()
}

struct Digest(blake3::Hasher);

impl std::hash::Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

/// The thread that advances the engine's epoch while runs are under way.
///
/// A thread, not a task: a guest that occupies every worker must still meet its end. It sleeps for
/// good while nothing runs.
pub(crate) struct Ticker {
    shared: Arc<TickerShared>,
    thread: Thread,
}

struct TickerShared {
    live: AtomicUsize,
    idle: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerShared {
            live: AtomicUsize::new(0),
            idle: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let weak = engine.weak();
        let theirs = Arc::clone(&shared);
        let handle = thread::Builder::new().name("plugin-ticks".to_owned()).spawn(move || {
            while !theirs.stop.load(Ordering::SeqCst) {
                if theirs.live.load(Ordering::SeqCst) == 0 {
                    theirs.idle.store(true, Ordering::SeqCst);
                    // Looked at again: a run may have begun before it could see `idle`.
                    if theirs.live.load(Ordering::SeqCst) == 0
                        && !theirs.stop.load(Ordering::SeqCst)
                    {
                        thread::park();
                    }
                    theirs.idle.store(false, Ordering::SeqCst);
                    continue;
                }
                thread::park_timeout(TICK);
                let Some(engine) = weak.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Ticks come until the guard is dropped.
    pub(crate) fn enter(&self) -> Live<'_> {
        self.shared.live.fetch_add(1, Ordering::SeqCst);
        if self.shared.idle.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Live(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// One run under way.
pub(crate) struct Live<'a>(&'a TickerShared);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(slots: u32) -> PoolSize {
        let small =
            HostLimits { max_memory: 1 << 20, max_table_elements: 1000, ..HostLimits::default() };
        PoolSize { slots, ..PoolSize::new(&small) }
    }

    #[test]
    fn both_allocators_run_the_same_compiled_code() {
        let mut hashes = Vec::new();
        for code in [Code::Fast, Code::Soon] {
            let (running, allocator) =
                running(size(2), code, Allocator::Pooling).expect("an engine");
            assert_eq!(allocator, Allocator::Pooling);
            let plain = compatibility(&compiling(code).expect("an engine"));
            assert_eq!(compatibility(&running), plain);
            // The second is there on every kernel.
            let second = pooling(size(2), code, RESETS[1]).expect("an engine");
            assert_eq!(compatibility(&second), plain);
            let deep = PoolSize { stack: 2 << 20, ..size(2) };
            assert_eq!(compatibility(&on_demand(deep, code).expect("an engine")), plain);
            hashes.push(plain);
        }
        assert_ne!(hashes[0], hashes[1], "what is there soon must not be taken for what is fast");
    }

    #[test]
    fn address_space_that_cannot_be_had_means_on_demand() {
        let (_, allocator) =
            running(size(1_000_000), Code::Fast, Allocator::Pooling).expect("an engine");
        assert_eq!(allocator, Allocator::OnDemand);
    }
}
