//! Gets the URL of its settings through the crate's client, as often as they say, and reports what came.
//!
//! A good host sends what its grants name, as often as its limit of requests allows.

use guests::http;
use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    url: String,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

struct HttpGet;

impl Plugin for HttpGet {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("http-get", "1.0.0", "gets a URL")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut last = Err("no request was asked for".to_owned());
        for _ in 0..settings.times {
            last = http::get(&settings.url).map_err(String::from);
            if last.is_err() {
                break;
            }
        }
        Ok(match last {
            Ok(answer) => Report::pass(format!("answered {}", answer.status))
                .observe(("status", f64::from(answer.status)))
                .detail("body", answer.text().chars().take(200).collect::<String>()),
            Err(message) => Report::fail(message),
        })
    }
}

wellcheck_plugin::export!(HttpGet);
