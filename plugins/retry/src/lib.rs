//! The plugin `retry`: half a plugin. It imports what every plugin exports, and exports it too, so
//! that it can be put around another one, with `wac plug`: what comes of it is a plugin again, which
//! asks the other up to three times before it says that something is wrong.
//!
//! One run of the whole is one run for the host: its limits and grants hold for all attempts together,
//! and a denial ends it whatever a later attempt says.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package wellcheck:retry@0.1.0;

            world retry {
                import wellcheck:check/checker@0.1.2;
                import wellcheck:check/context@0.1.2;
                export wellcheck:check/checker@0.1.2;
            }
        ",
        path: "../../wit/v0_1",
        generate_all,
    });
}

use bindings::exports::wellcheck::check::checker::{
    Description, Fault, Guest, Invocation, Report, Want,
};
use bindings::wellcheck::check::outcome::{Observation, Status};
use bindings::wellcheck::check::{checker as inner, context};

/// How often the other plugin is asked at most.
const ATTEMPTS: u32 = 3;

/// Below this much time a further attempt would only be cut off.
const ENOUGH_MS: u64 = 200;

struct Retry;

impl Guest for Retry {
    fn describe() -> Description {
        let inner = inner::describe();
        let want = |want: inner::Want| Want { grant: want.grant, value: want.value, why: want.why };
        let mut details = inner.details;
        details.push(("around".to_owned(), format!("{} {}", inner.name, inner.version)));
        Description {
            name: format!("retry-{}", inner.name),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: format!("{}, up to {ATTEMPTS} times", inner.summary),
            settings_schema: inner.settings_schema,
            wants: inner.wants.into_iter().map(want).collect(),
            details,
        }
    }

    fn run(invocation: Invocation) -> Result<Report, Fault> {
        let Invocation { check, settings } = invocation;
        let mut attempt = 1;
        loop {
            let asked = inner::Invocation { check: check.clone(), settings: settings.clone() };
            let outcome = inner::run(&asked);
            let is_well = matches!(&outcome, Ok(report) if report.status != Status::Fail);
            if is_well || attempt == ATTEMPTS || context::remaining_ms() < ENOUGH_MS {
                return outcome.map(|report| with_attempts(report, attempt));
            }
            attempt += 1;
        }
    }
}

fn with_attempts(mut report: Report, attempts: u32) -> Report {
    report.observations.push(Observation {
        name: "attempts".to_owned(),
        value: attempts.into(),
        unit: None,
        labels: Vec::new(),
        warn: None,
        fail: None,
    });
    report
}

bindings::export!(Retry with_types_in bindings);
