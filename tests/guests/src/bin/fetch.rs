//! Sends what its settings say by the contract's own `http`, as often as they say, and reports what
//! came; a failure with its word, so that a swallowed denial or limit is seen as what it is.
//!
//! A good host holds it to grants and limits as it does every other way out.

use serde::Deserialize;
use std::time::Duration;
use wellcheck_plugin::http::Request;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    timeout_ms: Option<u64>,
    #[serde(default = "once")]
    times: u32,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> u32 {
    1
}

struct Fetch;

impl Plugin for Fetch {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("fetch", "1.0.0", "makes requests in one call")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut request = Request::new(&settings.method, &settings.url).body(settings.body);
        for (name, value) in settings.headers {
            request = request.header(name, value);
        }
        if let Some(timeout) = settings.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout));
        }
        let mut last = request.clone().send();
        for _ in 1..settings.times {
            last = request.clone().send();
        }
        // A pass in any case: the host has to say what was wrong.
        Ok(match last {
            Ok(answer) => Report::pass(format!("answered {}", answer.status))
                .observe(("length", answer.body.len() as f64))
                .detail("body", answer.text().chars().take(200).collect::<String>())
                .detail("type", answer.header("content-type").unwrap_or_default()),
            Err(error) => Report::pass(format!("{}: {}", error.kind, error.message)),
        })
    }
}

wellcheck_plugin::export!(Fetch);
