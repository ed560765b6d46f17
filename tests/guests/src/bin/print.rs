//! Prints a text, then as many bytes as its settings say, to each of its two outputs; then passes.
//!
//! A good host keeps what its limit allows, says that there was more, and never makes the guest
//! wait.

use serde::Deserialize;
use std::io::Write;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    text: String,
    stdout: usize,
    stderr: usize,
}

struct Print;

impl Plugin for Print {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("print", "1.0.0", "prints, then passes")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let stdout = print(&mut std::io::stdout(), &settings.text, settings.stdout);
        let stderr = print(&mut std::io::stderr(), &settings.text, settings.stderr);
        Ok(Report::pass("printed").detail("stdout", stdout).detail("stderr", stderr))
    }
}

wellcheck_plugin::export!(Print);

/// Lines of 64 bytes. What the output says to it is told, not obeyed.
fn print(output: &mut impl Write, text: &str, bytes: usize) -> String {
    let line = [[b'x'; 63].as_slice(), b"\n"].concat();
    let result = output.write_all(text.as_bytes()).and_then(|()| {
        for start in (0..bytes).step_by(line.len()) {
            output.write_all(&line[..line.len().min(bytes - start)])?;
        }
        output.flush()
    });
    result.map_or_else(|error| error.to_string(), |()| "written".to_owned())
}
