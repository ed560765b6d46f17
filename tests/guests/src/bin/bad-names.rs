//! Names things as no one may: observations, labels, parts and details with line breaks, quotes,
//! control characters, nothing at all; with `which = "long"` in its settings one by a million
//! letters, with `which = "duplicates"` things that have good names twice.
//!
//! A good host drops what it cannot show, says so, and keeps `good`; no answer, page of metrics
//! or log is broken by any of it.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Observation, Plugin, Report, Status, Stop};

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    #[default]
    Spelling,
    Long,
    Duplicates,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    which: Which,
}

const NAMES: &[&str] = &[
    "",
    " ",
    "two words",
    "line\nbreak",
    "carriage\r\nreturn",
    "quote\"d",
    "back\\slash",
    "nul\0",
    "\u{1b}[31mred",
    "1st",
    "-dash",
    "__name__",
    "le",
    "{label=\"x\"} 1\nfake_metric 1",
    "<script>alert(1)</script>",
    "${HOME}",
    "\u{202e}desrever",
    "\u{ff41}\u{ff42}",
    "good.not",
    "# HELP good fake",
];

struct BadNames;

impl Plugin for BadNames {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("bad-names", "1.0.0", "names things as no one may")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let report = Report::pass("named").observe(("good", 1.0));
        Ok(match settings.which {
            Which::Spelling => NAMES.iter().fold(report, |report, name| spelled(report, name)),
            Which::Long => report.observe(("x".repeat(1_000_000), 1.0)),
            Which::Duplicates => twice(report),
        })
    }
}

wellcheck_plugin::export!(BadNames);

fn spelled(report: Report, name: &str) -> Report {
    report
        .observe((name, 1.0))
        .observe(Observation::new("labelled", 1.0).label(name, "value").label("l", name))
        .observe(Observation::new("ranged", 1.0).unit(name).label("n", name))
        .part(name, Status::Pass, name)
        .detail(name, name)
}

fn twice(report: Report) -> Report {
    let labelled = |value| Observation::new("depth", value).label("queue", "orders");
    report
        .observe(("good", 2.0))
        .observe(labelled(3.0))
        .observe(labelled(4.0))
        .observe(Observation::new("twice", 5.0).label("a", "1").label("a", "2"))
        .part("part", Status::Pass, "first")
        .part("part", Status::Fail, "second")
        .detail("detail", "first")
        .detail("detail", "second")
}
