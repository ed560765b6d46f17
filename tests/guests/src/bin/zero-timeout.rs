//! Sets every time limit of a request to nothing, or with `huge = true` to 584 years, and asks.
//!
//! A good host takes nothing for a millisecond, and more than the rest of the run for that.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
use wellcheck_plugin::bindings::wasi::http::types::{Fields, Method, RequestOptions};
use wellcheck_plugin::{Context, Description, Fault, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    url: String,
    #[serde(default)]
    huge: bool,
}

struct ZeroTimeout;

impl Plugin for ZeroTimeout {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("zero-timeout", "1.0.0", "gives no time")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let time = if settings.huge { u64::MAX } else { 0 };
        let options = RequestOptions::new();
        let set = [
            ("connect", options.set_connect_timeout(Some(time))),
            ("first-byte", options.set_first_byte_timeout(Some(time))),
            ("between-bytes", options.set_between_bytes_timeout(Some(time))),
        ];
        let request = guests::request(&Method::Get, &settings.url, Fields::new())
            .map_err(Fault::bad_settings)?;
        let told = match outgoing_handler::handle(request, Some(options)) {
            Err(code) => format!("refused: {code:?}"),
            Ok(future) => {
                future.subscribe().block();
                match future.get() {
                    Some(Ok(Ok(answer))) => format!("answered {}", answer.status()),
                    other => format!("no answer: {other:?}"),
                }
            }
        };
        Ok(set.into_iter().fold(Report::pass(told), |report, (name, result)| {
            report.detail(name, if result.is_ok() { "set" } else { "refused" })
        }))
    }
}

wellcheck_plugin::export!(ZeroTimeout);
