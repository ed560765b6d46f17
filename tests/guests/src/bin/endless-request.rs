//! Sends a request that never ends: with `op = "upload"` a body without end, with `op = "headers"`
//! the promise of a body that never comes; then it waits for the answer without a limit.
//!
//! A good host ends the run at its wall time and closes the connection.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
use wellcheck_plugin::bindings::wasi::http::types::{Fields, Method};
use wellcheck_plugin::{Context, Description, Fault, Plugin, Report, Stop};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    Upload,
    Headers,
}

#[derive(Deserialize)]
struct Settings {
    url: String,
    op: Op,
}

struct EndlessRequest;

impl Plugin for EndlessRequest {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("endless-request", "1.0.0", "never ends its request")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let request = guests::request(&Method::Post, &settings.url, Fields::new())
            .map_err(Fault::bad_settings)?;
        let body = request.body().map_err(|()| Fault::internal("no body"))?;
        let future = match outgoing_handler::handle(request, None) {
            Ok(future) => future,
            Err(code) => return Ok(Report::fail(format!("{code:?}"))),
        };
        let stream = body.write().map_err(|()| Fault::internal("no stream"))?;
        let mut sent = 0_u64;
        while let Op::Upload = settings.op {
            match stream.blocking_write_and_flush(&[b'x'; 4096]) {
                Ok(()) => sent += 4096,
                Err(error) => {
                    return Ok(Report::fail(format!("{error:?}")).detail("sent", sent.to_string()));
                }
            }
        }
        future.subscribe().block();
        Ok(match future.get() {
            Some(Ok(Ok(answer))) => Report::pass(format!("answered {}", answer.status())),
            other => Report::fail(format!("no answer: {other:?}")),
        })
    }
}

wellcheck_plugin::export!(EndlessRequest);
