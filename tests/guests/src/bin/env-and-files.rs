//! Looks at everything of the host that WASI might show, and reports in `details` what it saw.
//!
//! With `read` in its settings it also reads that file, and with `write` writes one.
//!
//! A good host shows nothing but what grants name. A file that is a FIFO or a device costs the run,
//! not the host.

use serde::Deserialize;
use std::fs;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

// The standard library knows no way to list what is preopened.
mod wasi {
    wit_bindgen::generate!({
        inline: "package guest:look; world look { import wasi:filesystem/preopens@0.2.12; }",
        path: "../../wit/v0_1",
        generate_all,
    });
}

struct EnvAndFiles;

#[derive(Deserialize)]
struct Settings {
    read: Option<String>,
    write: Option<String>,
}

impl Plugin for EnvAndFiles {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("env-and-files", "1.0.0", "looks around").want(
            "env",
            "*",
            "to look around",
        )
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let preopens = wasi::wasi::filesystem::preopens::get_directories();
        let mut report = Report::pass("looked around")
            .detail("env", format!("{:?}", std::env::vars().collect::<Vec<_>>()))
            .detail("args", format!("{:?}", std::env::args().collect::<Vec<_>>()))
            .detail("cwd", told(std::env::current_dir().map(|path| path.display().to_string())))
            .detail(
                "preopens",
                format!("{:?}", preopens.iter().map(|(_, path)| path).collect::<Vec<_>>()),
            )
            .detail("passwd", told(fs::read_to_string("/etc/passwd")))
            .detail(
                "parent",
                told(fs::read_dir("..").map(|entries| format!("{} entries", entries.count()))),
            );
        if let Some(path) = settings.read {
            report = report.detail("read", told(fs::read_to_string(path)));
        }
        if let Some(path) = settings.write {
            report = report
                .detail("write", told(fs::write(path, "written").map(|()| "written".to_owned())));
        }
        Ok(report)
    }
}

fn told(result: std::io::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("error: {error}"))
}

wellcheck_plugin::export!(EnvAndFiles);
