//! Asks for a URL and reads the answer to its end, however long it takes and however much comes.
//!
//! A good host ends the body at its limit of bytes and the run at its wall time, also where a
//! target sends a byte a second.

use serde::Deserialize;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
use wellcheck_plugin::bindings::wasi::http::types::{Fields, Method};
use wellcheck_plugin::{Context, Description, Fault, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    url: String,
}

struct ReadForEver;

impl Plugin for ReadForEver {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("read-for-ever", "1.0.0", "reads without end")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let request = guests::request(&Method::Get, &settings.url, Fields::new())
            .map_err(Fault::bad_settings)?;
        let future = match outgoing_handler::handle(request, None) {
            Ok(future) => future,
            Err(code) => return Ok(Report::fail(format!("{code:?}"))),
        };
        future.subscribe().block();
        let answer = match future.get() {
            Some(Ok(Ok(answer))) => answer,
            other => return Ok(Report::fail(format!("{other:?}"))),
        };
        let body = answer.consume().map_err(|()| Fault::internal("no body"))?;
        let stream = body.stream().map_err(|()| Fault::internal("no stream"))?;
        let mut read = 0;
        let end = loop {
            match stream.blocking_read(65536) {
                Ok(chunk) => read += chunk.len(),
                Err(error) => break format!("{error:?}"),
            }
        };
        Ok(Report::pass(format!("read {read} bytes, then {end}")).observe(("read", read as f64)))
    }
}

wellcheck_plugin::export!(ReadForEver);
