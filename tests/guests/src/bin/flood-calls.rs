//! Calls the host as fast as it can and never returns; `call` in its settings says what for:
//! `context`, `clock`, or `random`.
//!
//! A good host counts what it does for a guest as the guest's CPU time, and ends the run.

use serde::Deserialize;
use std::hint::black_box;
use wellcheck_plugin::bindings::wasi::clocks::monotonic_clock;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

mod wasi {
    wit_bindgen::generate!({
        inline: "package guest:draw; world draw { import wasi:random/random@0.2.12; }",
        path: "../../wit/v0_1",
        generate_all,
    });
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Call {
    #[default]
    Context,
    Clock,
    Random,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    call: Call,
}

struct FloodCalls;

impl Plugin for FloodCalls {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("flood-calls", "1.0.0", "calls the host for ever")
    }

    fn run(settings: Settings, context: &Context) -> Result<Report, Stop> {
        loop {
            match settings.call {
                Call::Context => drop(black_box(context.traceparent())),
                Call::Clock => drop(black_box(monotonic_clock::subscribe_duration(0))),
                Call::Random => drop(black_box(wasi::wasi::random::random::get_random_bytes(1024))),
            }
        }
    }
}

wellcheck_plugin::export!(FloodCalls);
