//! Asks for a URL a thousand times, or `count` times, one after the other whatever comes back;
//! with `at-once = true` it begins them all before it waits for any.
//!
//! A good host ends the run at its limit of requests, and never has more at once than its limit
//! for that.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
use wellcheck_plugin::bindings::wasi::http::types::{Fields, FutureIncomingResponse, Method};
use wellcheck_plugin::{Context, Description, Fault, Plugin, Report, Stop};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    url: String,
    #[serde(default = "thousand")]
    count: u32,
    #[serde(default)]
    at_once: bool,
}

fn thousand() -> u32 {
    1000
}

struct ManyRequests;

impl Plugin for ManyRequests {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("many-requests", "1.0.0", "asks too often")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let (mut answered, mut refused) = (0_u32, 0_u32);
        let mut waiting = Vec::new();
        for _ in 0..settings.count {
            let request = guests::request(&Method::Get, &settings.url, Fields::new())
                .map_err(Fault::bad_settings)?;
            match outgoing_handler::handle(request, None) {
                Ok(future) if settings.at_once => waiting.push(future),
                Ok(future) => answered += u32::from(wait(&future)),
                Err(_) => refused += 1,
            }
        }
        answered += waiting.iter().map(|future| u32::from(wait(future))).sum::<u32>();
        Ok(Report::pass(format!("{answered} answered, {refused} refused"))
            .observe(("answered", f64::from(answered)))
            .observe(("refused", f64::from(refused))))
    }
}

wellcheck_plugin::export!(ManyRequests);

fn wait(future: &FutureIncomingResponse) -> bool {
    future.subscribe().block();
    matches!(future.get(), Some(Ok(Ok(_))))
}
