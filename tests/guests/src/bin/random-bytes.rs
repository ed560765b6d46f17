//! Asks for 2^40 random bytes at once, or for as many as its settings say.
//!
//! A good host refuses what is over its limit before it makes room for the answer.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

mod wasi {
    wit_bindgen::generate!({
        inline: "package guest:draw; world draw { import wasi:random/random@0.2.12; }",
        path: "../../wit/v0_1",
        generate_all,
    });
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default = "default")]
    bytes: u64,
}

fn default() -> u64 {
    1 << 40
}

struct RandomBytes;

impl Plugin for RandomBytes {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("random-bytes", "1.0.0", "draws too much")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let drawn = wasi::wasi::random::random::get_random_bytes(settings.bytes);
        Ok(Report::pass(format!("got {} bytes", drawn.len())))
    }
}

wellcheck_plugin::export!(RandomBytes);
