//! Asks for what lies behind the host: its own loopback, the network it is in, the metadata of
//! its cloud, under every spelling of their addresses; `urls` in its settings names others, and
//! `port` gives the port of the usual ones. It tells in `details` what came of each.
//!
//! A good host knows an address under all its spellings and connects to none that a grant does not
//! name by its address; the run is a fault with the reason `denied`.

use guests::http;
use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default = "http_port")]
    port: u16,
}

fn http_port() -> u16 {
    80
}

const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "%31%32%37.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "user@127.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[::ffff:a9fe:a9fe]",
    "10.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
];

struct Ssrf;

impl Plugin for Ssrf {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("ssrf", "1.0.0", "asks for what it must not reach")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut urls = settings.urls;
        if urls.is_empty() {
            urls = HOSTS.iter().map(|host| format!("http://{host}:{}/", settings.port)).collect();
        }
        let mut reached = 0;
        let mut report = Report::pass("");
        for url in urls {
            let told = match http::get(&url) {
                Ok(answer) => {
                    reached += 1;
                    format!("answered {}", answer.status)
                }
                Err(error) => format!("error: {error}"),
            };
            report = report.detail(url, told);
        }
        report.message = format!("reached {reached}");
        Ok(report)
    }
}

wellcheck_plugin::export!(Ssrf);
