//! A folder in which plugins are pushed and pulled by hand.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::guests::guest_path;
use super::program::{Ended, command, finish};

/// A folder to run commands in, with nothing of docker's.
pub(crate) struct Desk {
    pub(crate) dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::with_prefix("wellcheck-desk-").expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn run_with(&self, env: &[(&str, &Path)], args: &[&str]) -> Ended {
        let mut command = command();
        command.current_dir(self.dir.path()).args(args);
        command.env("DOCKER_CONFIG", self.dir.path().join("docker"));
        finish(command.envs(env.iter().copied()), "")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(&[], args)
    }
}

#[track_caller]
pub(crate) fn push(desk: &Desk, name: &str, source: &str) -> Value {
    let path = guest_path(name).to_string_lossy().into_owned();
    desk.run(&["plugin", "push", &path, source, "--json"]).expect(0).json()
}

/// By a tool that is not ours.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let dir = TempDir::new().expect("a temporary folder");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a file");
    let output = std::process::Command::new("sha256sum").arg(&path).output();
    let text = String::from_utf8(output.expect("it can be run").stdout).expect("it writes text");
    format!("sha256:{}", text.split(' ').next().expect("a hash"))
}
