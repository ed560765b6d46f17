//! The line 0.1: its bindings, and their translation to and from core types.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre, Linker};
use wellcheck_core::fact::Found;
use wellcheck_core::outcome::{
    Answer as Status, FailReason, Fault, FaultReason, Observation, Outcome, Part, Report,
};

use wellcheck_core::status::Status as HostStatus;

use self::bindings::exports::wellcheck::check::checker::{
    Description as GuestDescription, Fault as GuestFault, Invocation, Report as GuestReport,
};
use self::bindings::wellcheck::check::{checks, context, http, outcome, secrets, state};
use super::{Answer, Call};
use crate::description::{Description, Want};
use crate::host::HostState;
use crate::import::checks::{ChecksImport, ChecksView, NoStanding, Standing};
use crate::import::context::{ContextImport, ContextView};
use crate::import::fetch::{Asked, FetchImport, FetchView};
use crate::import::secrets::{NoSecret, SecretsImport, SecretsView};
use crate::import::state::{NotKept, StateData, StateView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0_1",
        world: "full-plugin",
        imports: { "wellcheck:check/http.fetch": async },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What a plugin exports. A component of another version of this line has it under this name too.
const CHECKER_HERE: &str = "wellcheck:check/checker@0.1.2";

/// A component that exports this line's `checker`.
pub(crate) type Pre = bindings::FullPluginPre<HostState>;

pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    context::add_to_linker::<_, ContextImport>(linker, HostState::context_view)?;
    http::add_to_linker::<_, FetchImport>(linker, HostState::fetch_view)?;
    state::add_to_linker::<_, StateData>(linker, HostState::state_view)?;
    checks::add_to_linker::<_, ChecksImport>(linker, HostState::checks_view)?;
    secrets::add_to_linker::<_, SecretsImport>(linker, HostState::secrets_view)
}

pub(crate) fn bind(instance: InstancePre<HostState>) -> wasmtime::Result<Pre> {
    Pre::new(instance)
}

pub(crate) async fn call(
    pre: &Pre,
    store: &mut Store<HostState>,
    call: Call<'_>,
) -> wasmtime::Result<Answer> {
    // By the real clock, in a world of its own too.
    let began = Instant::now();
    let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    store.data().shared.instantiate.store(took, Ordering::Relaxed);
    let plugin = match bindings::FullPlugin::new(&mut *store, &instance) {
        Ok(plugin) => plugin,
        Err(error) => return Err(mistyped(store, &instance, &error)),
    };
    let checker = plugin.wellcheck_check_checker();
    Ok(match call {
        Call::Describe => Answer::Description(description(checker.call_describe(store).await?)),
        Call::Run { check, settings } => {
            let invocation = Invocation { check: check.as_str(), settings };
            Answer::Outcome(match checker.call_run(store, invocation).await? {
                Ok(found) => Outcome::Answered(report(found)),
                Err(found) => Outcome::Faulted(fault(found)),
            })
        }
    })
}

/// Why the exports of an instance are not those of this line: names the function.
fn mistyped(
    store: &mut Store<HostState>,
    instance: &Instance,
    error: &wasmtime::Error,
) -> wasmtime::Error {
    let mut describes = || {
        let checker = instance.get_export_index(&mut *store, None, CHECKER_HERE)?;
        let describe = instance.get_export_index(&mut *store, Some(&checker), "describe")?;
        instance.get_typed_func::<(), (GuestDescription,)>(&mut *store, describe).ok()
    };
    let name = if describes().is_some() { "run" } else { "describe" };
    let why = error.root_cause();
    wasmtime::Error::msg(format!(
        "its `{name}` is another function than `{CHECKER_HERE}` has: {why}"
    ))
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

impl http::Host for FetchView<'_> {
    async fn fetch(&mut self, request: http::Request) -> Result<http::Response, http::Error> {
        let http::Request { method, url, headers, body, timeout_ms } = request;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let asked = Asked { method, url, headers, body, timeout };
        match Self::fetch(self, asked).await {
            Ok(found) => Ok(http::Response {
                status: found.status,
                headers: found.headers,
                body: found.body,
                details: Vec::new(),
            }),
            Err(failed) => {
                Err(http::Error { kind: failed.kind.to_owned(), message: failed.message })
            }
        }
    }
}

impl state::Host for StateView<'_> {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, state::Error> {
        let value = Self::get(self, &key).map_err(not_kept)?;
        Ok(value.map(Vec::from))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), state::Error> {
        Self::set(self, key, value).map_err(not_kept)
    }

    fn delete(&mut self, key: String) -> Result<(), state::Error> {
        Self::delete(self, &key).map_err(not_kept)
    }
}

fn not_kept(why: NotKept) -> state::Error {
    match why {
        NotKept::Denied => state::Error::Denied,
        NotKept::Full => state::Error::Full,
        NotKept::BadKey => state::Error::BadKey,
    }
}

impl checks::Host for ChecksView<'_> {
    fn latest(&mut self, name: String) -> Result<checks::Standing, checks::Error> {
        Self::latest(self, &name).map(standing).map_err(|why| match why {
            NoStanding::Denied => checks::Error::Denied,
            NoStanding::Missing => checks::Error::Missing,
        })
    }
}

fn standing(host: Standing) -> checks::Standing {
    let Standing { state, reason, message, age, observations } = host;
    checks::Standing {
        state: match state {
            HostStatus::Pass => checks::Health::Pass,
            HostStatus::Warn => checks::Health::Warn,
            HostStatus::Fail => checks::Health::Fail,
            HostStatus::Unknown => checks::Health::Unknown,
        },
        reason,
        message,
        age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        observations: observations.into_iter().map(observed).collect(),
    }
}

fn observed(host: Observation) -> outcome::Observation {
    let Observation { name, value, unit, labels, warn, fail } = host;
    outcome::Observation { name, value, unit, labels, warn, fail }
}

impl secrets::Host for SecretsView<'_> {
    fn get(&mut self, name: String) -> Result<String, secrets::Error> {
        Self::get(self, &name).map_err(|why| match why {
            NoSecret::Denied => secrets::Error::Denied,
            NoSecret::Missing => secrets::Error::Missing,
        })
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
        found: Found::default(),
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
