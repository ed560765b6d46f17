//! wasmtime with nothing around it: what a run of a plugin costs at least.
//!
//! The settings that make a run fast are the sandbox's (pooling, epochs, a pre-instance), and so
//! is what is linked. What a sandbox adds is not here: limits, deadlines, metering, a log, a
//! cleaned report. It runs where it is called, on one thread.

use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, PoolingAllocationConfig, Result, Store, bail};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use self::bindings::exports::wellcheck::check::checker::Invocation;
use self::bindings::wellcheck::check::{context, outcome};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0_1",
        world: "plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// A component, ready to be called.
pub(crate) struct Bare {
    engine: Engine,
    pre: bindings::PluginPre<State>,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl context::Host for State {
    fn remaining_ms(&mut self) -> u64 {
        10_000
    }

    fn failures_in_a_row(&mut self) -> u32 {
        0
    }

    fn traceparent(&mut self) -> Option<String> {
        None
    }
}

impl Bare {
    /// Compiles and links.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self> {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .concurrency_support(false)
            .allocation_strategy(PoolingAllocationConfig::new());
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        context::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        let component = Component::new(&engine, bytes)?;
        let pre = bindings::PluginPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    /// Makes an instance, calls it, drops it.
    pub(crate) async fn run(&self, check: &str, settings: &str) -> Result<()> {
        let state = State { wasi: WasiCtxBuilder::new().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(1_000);
        let plugin = self.pre.instantiate_async(&mut store).await?;
        let invocation = Invocation { check, settings };
        match plugin.wellcheck_check_checker().call_run(&mut store, invocation).await? {
            Ok(report) if matches!(report.status, outcome::Status::Pass) => Ok(()),
            Ok(report) => bail!("the guest answers {:?}", report.status),
            Err(fault) => bail!("the guest faults: {}", fault.message),
        }
    }
}
