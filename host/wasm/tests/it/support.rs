//! A sandbox for the tests, and the few things that they ask of it.

use std::sync::Arc;
use std::time::Duration;

use wellcheck_core::grant::{Grants, HttpGrant};
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::{HostLimits, RunLimits};
use wellcheck_core::outcome::{Fault, FaultReason, Outcome, Report};
use wellcheck_core::redact::Redactor;
use wellcheck_wasm::{Invocation, LoadError, Plugin, PluginRun, Sandbox, SandboxOptions, Supplies};

use crate::guest::Guest;

pub(crate) fn options() -> SandboxOptions {
    with_slots(8)
}

/// With this many places.
pub(crate) fn with_slots(slots: u32) -> SandboxOptions {
    let host = HostLimits { slots, ..HostLimits::default() };
    SandboxOptions { host, workers: 2, ..SandboxOptions::default() }
}

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(options()).expect("a sandbox")
}

pub(crate) async fn try_load(sandbox: &Sandbox, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
    sandbox.load(PluginName::new("guest").expect("a name"), bytes).await
}

#[track_caller]
pub(crate) fn load(sandbox: &Sandbox, guest: &Guest) -> impl Future<Output = Plugin> {
    let bytes = guest.build();
    let sandbox = sandbox.clone();
    async move {
        match try_load(&sandbox, bytes).await {
            Ok(plugin) => plugin,
            Err(error) => panic!("{}", error.message()),
        }
    }
}

/// The step and the problem of a load that must fail.
pub(crate) async fn load_problem(sandbox: &Sandbox, bytes: Vec<u8>) -> String {
    match try_load(sandbox, bytes).await {
        Ok(plugin) => panic!("{plugin:?} was loaded"),
        Err(error) => error.message(),
    }
}

pub(crate) fn invocation() -> Invocation {
    Invocation {
        check: CheckName::new("a-check").expect("a name"),
        settings: "{}".into(),
        grants: Arc::new(Grants::default()),
        limits: Arc::new(RunLimits::default()),
        timeout: Duration::from_secs(10),
        failures_in_a_row: 0,
        traceparent: None,
        redact: Redactor::default(),
        supplies: Supplies::default(),
        tape: None,
    }
}

pub(crate) fn granted(grants: &[&str]) -> Arc<Grants> {
    let http = grants.iter().map(|grant| HttpGrant::parse(grant).expect("a grant")).collect();
    Arc::new(Grants { http, ..Grants::default() })
}

/// Loads and runs a guest once.
pub(crate) async fn run(guest: &Guest) -> PluginRun {
    run_with(guest, invocation()).await
}

pub(crate) async fn run_with(guest: &Guest, invocation: Invocation) -> PluginRun {
    let sandbox = sandbox();
    let done = load(&sandbox, guest).await.run(invocation).await;
    assert_eq!(sandbox.slots().taken, 0, "a place is still taken");
    assert_eq!(sandbox.slots().pooled, Some([0; 4]), "something of the instance is left");
    done
}

#[track_caller]
pub(crate) fn report(run: &PluginRun) -> &Report {
    match &run.run.outcome {
        Outcome::Answered(report) => report,
        Outcome::Faulted(fault) => panic!("a fault: {fault:?}; log: {:?}", run.run.log),
    }
}

#[track_caller]
pub(crate) fn fault(run: &PluginRun) -> &Fault {
    match &run.run.outcome {
        Outcome::Answered(report) => panic!("a report: {report:?}"),
        Outcome::Faulted(fault) => fault,
    }
}

#[track_caller]
pub(crate) fn assert_fault(run: &PluginRun, reason: FaultReason, message: &str) {
    let fault = fault(run);
    assert_eq!((fault.reason, fault.message.as_str()), (reason, message));
}
