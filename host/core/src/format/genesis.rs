//! The array of processes that the Genesis container endpoint (`/health/status`) answers with.
//!
//! Four upper-case keys in a fixed order; 200 if every process is healthy, else 503. `WARNING` is not
//! in the set of healthy states there, so that a warning answers 503 too.

use std::sync::Arc;

use serde::Serialize;

use super::{Format, Selection};
use crate::outcome::{FaultReason, Outcome};
use crate::snapshot::CheckState;
use crate::status::Status;

/// See the module.
#[derive(Debug)]
pub(super) struct Genesis;

impl Format for Genesis {
    fn name(&self) -> &'static str {
        "genesis"
    }

    fn summary(&self) -> &'static str {
        "an array of processes, as the Genesis platform's /health/status answers"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn code(&self, selection: &Selection<'_>) -> u16 {
        if selection.checks.is_empty() {
            // Nothing to show, or nothing that may be shown: the state of all decides.
            return if matches!(selection.status(), Status::Pass) { 200 } else { 503 };
        }
        let standby = selection.options.standby_is_healthy;
        let healthy = |check: &Arc<CheckState>| match state(check) {
            "UP" => true,
            "STANDBY" => standby,
            _ => !check.counts(),
        };
        if selection.checks.iter().all(healthy) { 200 } else { 503 }
    }

    fn render(&self, selection: &Selection<'_>) -> Vec<u8> {
        let processes: Vec<Process<'_>> = selection
            .checks
            .iter()
            .map(|check| Process {
                name: check.spec.name.as_str(),
                status: state(check),
                message: match check.message() {
                    "" => String::new(),
                    text => format!(";{text}"),
                },
                port: check.facts.port,
            })
            .collect();
        serde_json::to_vec(&processes).expect("these types have string keys and no floats")
    }
}

#[derive(Serialize)]
struct Process<'a> {
    #[serde(rename = "PROCESS_NAME")]
    name: &'a str,
    #[serde(rename = "STATUS")]
    status: &'static str,
    #[serde(rename = "MESSAGE")]
    message: String,
    #[serde(rename = "PORT")]
    port: u16,
}

fn state(check: &CheckState) -> &'static str {
    if check.spec.maintenance {
        return "STANDBY";
    }
    match check.state {
        Status::Pass => "UP",
        Status::Warn => "WARNING",
        Status::Fail => "DOWN",
        Status::Unknown => match (&check.held, &check.last) {
            (Some(held), _)
                if matches!(held.reason, FaultReason::Compiling | FaultReason::Waiting) =>
            {
                "STARTING"
            }
            (Some(_), _) => "MISSING",
            (None, None) => "STARTING",
            (None, Some(last)) => match last.run.outcome {
                Outcome::Faulted(_) => "ERROR",
                Outcome::Answered(_) => "STARTING",
            },
        },
    }
}
