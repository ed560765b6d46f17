//! Keeps things from run to run, as it may: counts its runs under `runs`, and does what its
//! settings say besides: `set`, then `delete`, then `get`. `then` says how the run ends: `pass`,
//! `fail`, `fault`, `trap`, `exit`, `spin`, or `denied`: a pass after asking for a secret that nobody
//! granted.
//!
//! A good host keeps what a run wrote if it ended with a report, be it a fail, and forgets it
//! otherwise; no other check sees any of it.

use serde::Deserialize;
use std::collections::BTreeMap;
use wellcheck_plugin::{Context, Description, Fault, Plugin, Report, Stop, secrets, state};

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    #[default]
    Pass,
    Fail,
    Fault,
    Trap,
    Exit,
    Spin,
    Denied,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    delete: Vec<String>,
    #[serde(default)]
    get: Vec<String>,
    #[serde(default)]
    then: Then,
}

struct Remember;

impl Plugin for Remember {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("remember", "1.0.0", "counts its runs").want(
            "state",
            "4KiB",
            "to count its runs",
        )
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let runs = state::get_json::<u64>("runs")?.unwrap_or(0) + 1;
        state::set_json("runs", &runs)?;
        for (key, value) in &settings.set {
            state::set(key, value)?;
        }
        for key in &settings.delete {
            state::delete(key)?;
        }
        let message = format!("run {runs}");
        if matches!(settings.then, Then::Denied) {
            // The report says nothing of it.
            let _ = secrets::get("nobody-granted-this");
        }
        let mut report = match settings.then {
            Then::Pass | Then::Denied => Report::pass(message),
            Then::Fail => Report::fail(message),
            Then::Fault => return Err(Fault::inconclusive(message).into()),
            Then::Trap => panic!("{message}"),
            Then::Exit => std::process::exit(0),
            Then::Spin => loop {
                std::hint::black_box(());
            },
        };
        for key in settings.get {
            let value = state::get_string(&key)?.unwrap_or_else(|| "nothing".to_owned());
            report = report.detail(key, value);
        }
        Ok(report.observe(("runs", runs as f64)))
    }
}

wellcheck_plugin::export!(Remember);
