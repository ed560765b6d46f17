//! Tries to leave the folders that it was given: by `..`, by absolute paths, by links, and with
//! `write = true` also by links and names that it makes itself. It tells in `details` what it got
//! hold of.
//!
//! A good host gives folders by handle, follows no path out of them, and lets nothing be written
//! where the grant does not say so.

use serde::Deserialize;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

mod wasi {
    wit_bindgen::generate!({
        inline: "package guest:look; world look { import wasi:filesystem/preopens@0.2.12; }",
        path: "../../wit/v0_1",
        generate_all,
    });
}

use wasi::wasi::filesystem::preopens;
use wasi::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    write: bool,
    /// Paths to try besides the usual ones, for links that the test has made.
    #[serde(default)]
    paths: Vec<String>,
}

const PATHS: &[&str] = &[
    "..",
    "../..",
    "./../",
    "/",
    "/etc/passwd",
    "../../../../../../../../etc/passwd",
    "x/../../../../../../etc/passwd",
    "..\\..\\etc\\passwd",
    "/proc/self/environ",
    "/dev/stdin",
];

struct Escape;

impl Plugin for Escape {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("escape", "1.0.0", "tries to leave its folders")
    }

    fn run(settings: Settings, _: &Context) -> Result<Report, Stop> {
        let folders = preopens::get_directories();
        let mut report = Report::pass(format!("{} folders", folders.len()));
        for (folder, name) in &folders {
            let mut tell = |what: &str, told: String| {
                report.details.push((format!("{name} {what}"), told));
            };
            for path in PATHS.iter().copied().chain(settings.paths.iter().map(String::as_str)) {
                tell(path, read(folder, path));
            }
            if settings.write {
                tell("symlink", done(folder.symlink_at("/etc/passwd", "escape-link")));
                tell("through symlink", read(folder, "escape-link"));
                tell("symlink up", done(folder.symlink_at("../../../etc", "escape-up")));
                tell("through symlink up", read(folder, "escape-up/passwd"));
                let hard = folder.link_at(PathFlags::empty(), "../escaped", folder, "escape-hard");
                tell("hard link", done(hard));
                tell("create above", create(folder, "../escaped"));
                tell("create", create(folder, "escape-file"));
                tell("rename out", done(folder.rename_at("escape-file", folder, "../escaped")));
                tell("mkdir above", done(folder.create_directory_at("../escaped-dir")));
            }
        }
        Ok(report)
    }
}

wellcheck_plugin::export!(Escape);

/// How it begins, or why it cannot be read.
fn read(folder: &Descriptor, path: &str) -> String {
    let open = |follow| folder.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::READ);
    let file = match open(PathFlags::SYMLINK_FOLLOW) {
        Ok(file) => file,
        Err(code) => return format!("error: {}", code.name()),
    };
    match file.read(40, 0) {
        Ok((bytes, _)) => format!("read: {}", String::from_utf8_lossy(&bytes)),
        Err(_) => match file.read_directory() {
            Ok(_) => "a folder was opened".to_owned(),
            Err(code) => format!("opened, but error: {}", code.name()),
        },
    }
}

fn create(folder: &Descriptor, path: &str) -> String {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    done(folder.open_at(PathFlags::empty(), path, OpenFlags::CREATE, flags))
}

fn done<T>(result: Result<T, ErrorCode>) -> String {
    result.map_or_else(|code| format!("error: {}", code.name()), |_| "worked".to_owned())
}
