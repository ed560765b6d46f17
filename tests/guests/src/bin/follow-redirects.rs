//! Asks for a URL and follows every redirect by itself, `hops` of them, 10 unless given.
//!
//! A good host asks its grants again at each: a redirect to what is not granted is a fault with
//! the reason `denied`, and nothing arrives there.

use guests::http;
use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Deserialize)]
struct Settings {
    url: String,
    #[serde(default = "ten")]
    hops: u32,
}

fn ten() -> u32 {
    10
}

struct FollowRedirects;

impl Plugin for FollowRedirects {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("follow-redirects", "1.0.0", "goes wherever it is sent")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let mut url = settings.url;
        let mut report = Report::pass("followed");
        for hop in 0..=settings.hops {
            match http::get(&url) {
                Err(error) => return Ok(Report::fail(format!("{url}: {error}"))),
                Ok(answer) => {
                    report =
                        report.detail(format!("hop-{hop}"), format!("{} {url}", answer.status));
                    match answer.header("location") {
                        Some(next) if (300..400).contains(&answer.status) => url = next.to_owned(),
                        _ => {
                            return Ok(report.detail(
                                "body",
                                answer.text().chars().take(200).collect::<String>(),
                            ));
                        }
                    }
                }
            }
        }
        Ok(Report::fail(format!("more than {} redirects", settings.hops)))
    }
}

wellcheck_plugin::export!(FollowRedirects);
