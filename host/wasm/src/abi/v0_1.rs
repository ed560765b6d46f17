//! The line 0.1: its bindings, and their translation to and from core types.

use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};
use wellcheck_core::outcome::{
    Answer as Status, FailReason, Fault, FaultReason, Observation, Outcome, Part, Report,
};

use self::bindings::exports::wellcheck::check::checker::{
    Description as GuestDescription, Fault as GuestFault, Invocation, Report as GuestReport,
};
use self::bindings::wellcheck::check::{context, outcome};
use super::{Answer, Call};
use crate::description::{Description, Want};
use crate::host::HostState;
use crate::import::context::{ContextImport, ContextView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0_1",
        world: "plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// A component that exports this line's `checker`.
pub(crate) type Pre = bindings::PluginPre<HostState>;

pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    context::add_to_linker::<_, ContextImport>(linker, |state| ContextView(&state.context))
}

pub(crate) fn bind(instance: InstancePre<HostState>) -> wasmtime::Result<Pre> {
    Pre::new(instance)
}

pub(crate) async fn call(
    pre: &Pre,
    store: &mut Store<HostState>,
    call: Call<'_>,
) -> wasmtime::Result<Answer> {
    let plugin = pre.instantiate_async(&mut *store).await?;
    let checker = plugin.wellcheck_check_checker();
    Ok(match call {
        Call::Describe => Answer::Description(description(checker.call_describe(store).await?)),
        Call::Run { check, settings } => {
            let invocation = Invocation { check, settings };
            Answer::Outcome(match checker.call_run(store, invocation).await? {
                Ok(found) => Outcome::Answered(report(found)),
                Err(found) => Outcome::Faulted(fault(found)),
            })
        }
    })
}

impl context::Host for ContextView<'_> {
    fn remaining_ms(&mut self) -> u64 {
        Self::remaining_ms(self)
    }

    fn failures_in_a_row(&mut self) -> u32 {
        self.0.failures_in_a_row
    }

    fn traceparent(&mut self) -> Option<String> {
        self.0.traceparent.clone()
    }
}

fn description(guest: GuestDescription) -> Description {
    let want = |want: bindings::exports::wellcheck::check::checker::Want| Want {
        grant: want.grant,
        value: want.value,
        why: want.why,
    };
    Description {
        name: guest.name,
        version: guest.version,
        summary: guest.summary,
        settings_schema: guest.settings_schema,
        wants: guest.wants.into_iter().map(want).collect(),
        details: guest.details,
    }
}

fn report(guest: GuestReport) -> Report {
    let status = status(guest.status);
    Report {
        status,
        reason: (status == Status::Fail).then_some(FailReason::Plugin),
        message: guest.message,
        observations: guest.observations.into_iter().map(observation).collect(),
        parts: guest.parts.into_iter().map(part).collect(),
        details: guest.details,
    }
}

fn observation(guest: outcome::Observation) -> Observation {
    Observation {
        name: guest.name,
        value: guest.value,
        unit: guest.unit,
        labels: guest.labels,
        warn: guest.warn,
        fail: guest.fail,
    }
}

fn part(guest: outcome::Part) -> Part {
    Part { name: guest.name, status: status(guest.status), message: guest.message }
}

fn status(guest: outcome::Status) -> Status {
    match guest {
        outcome::Status::Pass => Status::Pass,
        outcome::Status::Warn => Status::Warn,
        outcome::Status::Fail => Status::Fail,
    }
}

fn fault(guest: GuestFault) -> Fault {
    let reason = match guest.reason {
        outcome::Reason::BadSettings => FaultReason::BadSettings,
        outcome::Reason::Inconclusive => FaultReason::Inconclusive,
        outcome::Reason::Internal => FaultReason::Internal,
    };
    Fault { reason, message: guest.message }
}
