//! Why a run could not answer: from wasmtime's errors to one of the closed list of reasons.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinError;
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wellcheck_core::limits::RunLimits;
use wellcheck_core::outcome::{Fault, FaultReason, Outcome};
use wellcheck_core::redact::Redactor;

use crate::abi::Call;
use crate::host::RunShared;
use crate::limits::Refused;
use crate::text;

/// Longest text of a denial: what was asked for and the grant that would allow it.
const MAX_DENIAL: usize = 1024;

/// Whether an outcome of the first run speaks against taking the plugin into service.
///
/// Only what the plugin itself does wrong counts: a target that is down, or settings that it does
/// not like, are answers.
pub fn rejects_load(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered(_) => false,
        Outcome::Faulted(fault) => matches!(
            fault.reason,
            FaultReason::Trap
                | FaultReason::Limit
                | FaultReason::Denied
                | FaultReason::BadAnswer
                | FaultReason::Timeout
        ),
    }
}

/// What the host refused during the run, which counts more than any answer.
pub(crate) fn of_refusal(shared: &RunShared) -> Option<Fault> {
    if let Some(denial) = shared.denial() {
        return Some(Fault::new(
            FaultReason::Denied,
            text::cleaned(&denial.to_string(), MAX_DENIAL),
        ));
    }
    shared.refusal().map(|limit| Fault::new(FaultReason::Limit, limit))
}

/// The fault of a call that wasmtime ended.
pub(crate) fn of_error(
    error: &wasmtime::Error,
    shared: &RunShared,
    refused: Option<Refused>,
    limits: &RunLimits,
    redact: &Redactor,
    call: Call<'_>,
) -> Fault {
    if shared.cpu.exhausted.load(Ordering::Relaxed) {
        return cpu(limits, call);
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Fault::new(FaultReason::Trap, format!("called exit with code {code}"));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Fault::new(FaultReason::Limit, handles(limits));
    }
    let root = error.root_cause().to_string();
    if let Some(limit) = limit_of(&root, limits) {
        return Fault::new(FaultReason::Limit, limit);
    }
    let trap = error.downcast_ref::<Trap>();
    let inside = trap.is_some() || error.downcast_ref::<WasmBacktrace>().is_some();
    // A guest that did not get what it wanted usually gives up a little later, in whatever way.
    if let Some(refused) = refused.filter(|_| trap != Some(&Trap::StackOverflow)) {
        return Fault::new(FaultReason::Limit, refused.to_string());
    }
    if !inside {
        return Fault::new(FaultReason::BadAnswer, text::cleaned(&root, limits.message_bytes));
    }
    // A panic ends in `unreachable`; what it said before is worth more.
    let said = match trap {
        None | Some(Trap::UnreachableCodeReached) => shared.log().last_words(redact),
        Some(_) => None,
    };
    let message = said.unwrap_or(match trap {
        Some(Trap::StackOverflow) => "call stack exhausted (limit `stack`)".to_owned(),
        Some(Trap::UnreachableCodeReached) => "reached `unreachable`".to_owned(),
        _ => root,
    });
    Fault::new(FaultReason::Trap, text::cleaned(&message, limits.message_bytes))
}

/// Limits that wasmtime keeps, by the text of its error: their types are not public.
fn limit_of(root: &str, limits: &RunLimits) -> Option<String> {
    let is = |part: &str| root.contains(part);
    if is("fuel allocated for hostcalls has been exhausted") {
        let limit = text::bytes(limits.host_call_bytes);
        return Some(format!(
            "limit of {limit} for one call between plugin and host reached (limit `host-call-bytes`)"
        ));
    }
    if is("resource table has no free keys") || is("handle limit") || is("too many handles") {
        return Some(handles(limits));
    }
    if is("requested len") && is("exceeds limit") {
        let limit = usize::try_from(limits.random_bytes).unwrap_or(usize::MAX);
        return Some(format!(
            "limit of {} of random numbers at once reached (limit `random-bytes`)",
            text::bytes(limit)
        ));
    }
    if is("resource limit exceeded") || is("maximum concurrent limit") {
        return Some(text::cleaned(root, limits.message_bytes));
    }
    if is("too many fields") || is("total size") {
        return Some("limit of 16 KiB of headers reached".to_owned());
    }
    None
}

fn handles(limits: &RunLimits) -> String {
    format!("limit of {} open handles reached (limit `handles`)", limits.handles)
}

fn cpu(limits: &RunLimits, call: Call<'_>) -> Fault {
    let budget = limits.cpu;
    let limit = match call {
        Call::Describe => "describe-cpu",
        Call::Run { .. } => "cpu",
    };
    let message = format!("CPU budget of {budget:?} used up (limit `{limit}`)");
    Fault::new(FaultReason::Timeout, message)
}

/// The run was still under way when its wall time was over.
pub(crate) fn of_wall_time(timeout: Duration, call: Call<'_>) -> Fault {
    // What is left of a check's timeout is a crooked number; it is shown as it was meant.
    let timeout = Duration::from_millis(timeout.as_nanos().div_ceil(1_000_000) as u64);
    let limit = match call {
        Call::Describe => "limit `describe-time`",
        Call::Run { .. } => "`timeout` of the check",
    };
    Fault::new(FaultReason::Timeout, format!("wall time of {timeout:?} used up ({limit})"))
}

/// No place was free until the wall time was over.
pub(crate) fn of_full_house(slots: usize) -> Fault {
    let message = format!("all {slots} places for runs of plugins are taken (limit `slots`)");
    Fault::new(FaultReason::Busy, message)
}

/// A defect of ours, or the end of the process.
pub(crate) fn of_join(error: JoinError, redact: &Redactor) -> Fault {
    if !error.is_panic() {
        return Fault::new(FaultReason::Internal, "the host is shutting down");
    }
    let panic = error.into_panic();
    let said = (panic.downcast_ref::<&str>().copied())
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let said = &*redact.apply(said);
    tracing::error!("a run of a plugin made the host panic: {}", text::cleaned(said, 1024));
    let said = text::cleaned(said, 512);
    Fault::new(FaultReason::Internal, format!("the host panicked during the run: {said}"))
}
