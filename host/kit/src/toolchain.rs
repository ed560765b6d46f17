//! Programs that languages need: where they are, and how to get what is missing.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variable that names a folder of toolchains, as `plugins/toolchains` fills one.
pub const FOLDER: &str = "WELLCHECK_TOOLCHAINS";

/// A program that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Missing {
    /// `componentize-py`, or `Go 1.24 or later`.
    pub what: String,
    /// Why what was found will not do, or where it was looked for.
    pub found: String,
    /// Commands or steps, any one of which gets it.
    pub get: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.what, self.found)?;
        for (index, step) in self.get.iter().enumerate() {
            let word = if index == 0 { "get it with" } else { "or with" };
            write!(f, "\n  {word}: {step}")?;
        }
        Ok(())
    }
}

/// Looks for a program: in the project's own folders, in the search path, and last where
/// `plugins/toolchains` puts it.
pub fn find(project: &Path, program: &str, installed: &[&str]) -> Option<PathBuf> {
    let own = [".venv/bin", "node_modules/.bin"].map(|folder| project.join(folder));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    let installed = folder()
        .into_iter()
        .flat_map(|folder| installed.iter().map(move |below| folder.join(below)));
    folders.map(|folder| folder.join(program)).chain(installed).find(|path| is_program(path))
}

/// The folder of toolchains of this user.
pub fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if let Some(folder) = named(FOLDER) {
        return Some(folder.into());
    }
    let cache = named("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")))?;
    Some(cache.join("wellcheck").join("toolchains"))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}
