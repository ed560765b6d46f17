//! The plugins that tests drop: the misbehaving guests, and the examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::program::run;

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every example plugin, by the name of its folder.
pub(crate) const EXAMPLES: &[&str] =
    &["deadlines", "json-number", "login-flow", "metric-bound", "quorum", "token-expiry"];

/// The folder of the built guests.
pub(crate) fn fixtures() -> PathBuf {
    root().join("target/guests/fixtures")
}

/// A guest of `tests/guests`.
#[track_caller]
pub(crate) fn guest(name: &str) -> Vec<u8> {
    read(&guest_path(name), "plugins/build --guests")
}

/// Where a guest is.
pub(crate) fn guest_path(name: &str) -> PathBuf {
    fixtures().join(format!("{name}.wasm"))
}

/// An example plugin.
#[track_caller]
pub(crate) fn example(name: &str) -> Vec<u8> {
    read(&example_path(name), &format!("plugins/build {name}"))
}

/// An example plugin whose compiled code is in the shared cache: with a cold cache, only the first
/// test that wants it waits for the compiler.
#[track_caller]
pub(crate) fn compiled_example(name: &str) -> Vec<u8> {
    static DONE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let bytes = example(name);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if done.insert(name.to_owned()) {
        let path = example_path(name).to_string_lossy().into_owned();
        // Without settings, most of them do not run; they are compiled all the same.
        let ended = run(&["run", &path]);
        assert!(!ended.err.contains("failed to load"), "{}", ended.err);
    }
    bytes
}

/// Where an example is.
pub(crate) fn example_path(name: &str) -> PathBuf {
    root().join("plugins").join(format!("{name}.wasm"))
}

#[track_caller]
fn read(path: &Path, command: &str) -> Vec<u8> {
    std::fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `{command}`", path.display()))
}
