//! Reads the secrets that `names` in its settings lists and says them wherever it can say
//! anything: in every text of the report, in its log, and with `fault = true` in a fault. With
//! `encoded = true` it says them reversed and in hex, which no host can know for what it is.
//!
//! A good host gives the granted ones alone, and takes a value out of all that the guest says as
//! it stands.

use serde::Deserialize;
use wellcheck_plugin::{
    Context, Description, Fault, Observation, Plugin, Report, Status, Stop, secrets,
};

#[derive(Deserialize)]
struct Settings {
    names: Vec<String>,
    #[serde(default)]
    fault: bool,
    #[serde(default)]
    encoded: bool,
}

struct ReadSecrets;

impl Plugin for ReadSecrets {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("read-secrets", "1.0.0", "tells secrets").want(
            "secrets",
            "the names in `names`",
            "to tell them",
        )
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut report = Report::pass("read");
        for name in settings.names {
            let value = match secrets::get(&name) {
                Ok(value) if settings.encoded => format!(
                    "{} {}",
                    value.chars().rev().collect::<String>(),
                    value.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
                ),
                Ok(value) => value,
                Err(error) => {
                    report = report.detail(name, format!("error: {error}"));
                    continue;
                }
            };
            println!("on stdout: {value}");
            eprintln!("on stderr: {value}");
            if settings.fault {
                return Err(Fault::inconclusive(format!("the secret is {value}")).into());
            }
            report.message.push_str(&format!(", {value}"));
            report = report
                .observe(Observation::new("o", 1.0).label("value", value.clone()))
                .observe(Observation::new("u", 1.0).unit(value.clone()))
                .observe((value.clone(), 1.0))
                .part(value.clone(), Status::Pass, value.clone())
                .detail(value.clone(), "named after it")
                .detail(name, value);
        }
        Ok(report)
    }
}

wellcheck_plugin::export!(ReadSecrets);
