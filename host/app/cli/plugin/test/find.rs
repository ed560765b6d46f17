//! From an argument to a test file and its plugin.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use wellcheck_core::config::tree::Text;

/// A folder's test file.
const NAME: &str = "test.toml";

/// What somebody without tests is shown.
const EXAMPLE: &str = "\
[[test]]
name = \"a good answer passes\"
settings = { url = \"http://queue.test/depth\" }
grants = { http = [\"http://queue.test\"] }
[[test.world.http]]
request = \"GET http://queue.test/depth\"
json = { depth = 7 }
[test.expect]
status = \"pass\"
";

/// A test file, and the plugin if the argument was one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    plugin: Option<PathBuf>,
}

/// Finds the test file that an argument means.
pub(super) fn find(path: &Path) -> anyhow::Result<Found> {
    let about = std::fs::metadata(path);
    let about = about.with_context(|| format!("cannot read `{}`", path.display()))?;
    if about.is_dir() {
        let file = path.join(NAME);
        if !file.exists() {
            return Err(none(path, &[file]));
        }
        return Ok(Found { file, plugin: None });
    }
    if !has_ending(path, "wasm") {
        return Ok(Found { file: path.to_owned(), plugin: None });
    }
    let tries = [path.with_extension("test.toml"), path.with_extension("").join(NAME)];
    match tries.iter().find(|file| file.exists()) {
        Some(file) => Ok(Found { file: file.clone(), plugin: Some(path.to_owned()) }),
        None => Err(none(path, &tries)),
    }
}

fn none(of: &Path, tries: &[PathBuf]) -> anyhow::Error {
    let tries: Vec<String> = tries.iter().map(|file| format!("`{}`", super::shown(file))).collect();
    anyhow!(
        "there are no tests for `{}` (looked for {}); this is one to begin with, and `wellcheck plugin test --help` lists all keys:\n\n{EXAMPLE}",
        of.display(),
        tries.join(" and ")
    )
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

impl Found {
    /// The plugin: what the argument or the test file names, or what lies where builds leave it.
    pub(super) fn plugin(&self, named: Option<&Text>) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.plugin {
            return Ok(path.clone());
        }
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if let Some(named) = named {
            return Ok(folder.join(&named.value));
        }
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        if let Some(stem) = name.strip_suffix(".test.toml") {
            return there(folder.join(format!("{stem}.wasm")), &self.file);
        }
        // A folder may be named by `.` or `..`.
        let full =
            folder.canonicalize().with_context(|| format!("cannot read `{}`", folder.display()))?;
        let name = full.file_name().map(|name| format!("{}.wasm", name.to_string_lossy()));
        let name = name.unwrap_or_else(|| "plugin.wasm".to_owned());
        let inside = folder.join(&name);
        if inside.exists() {
            return Ok(inside);
        }
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut plugins: Vec<PathBuf> =
            files.map(|entry| entry.path()).filter(|path| has_ending(path, "wasm")).collect();
        plugins.sort();
        match plugins.len() {
            0 => there(full.parent().unwrap_or(&full).join(&name), &self.file).map_err(|_| {
                anyhow!(
                    "there is no plugin for `{}` (looked for `{}`, any other .wasm file there, and `../{name}`; build it first, or name it: plugin = \"target/{name}\")",
                    self.file.display(),
                    super::shown(&inside)
                )
            }),
            1 => Ok(plugins.remove(0)),
            several => bail!(
                "{several} files beside `{}` end in .wasm (expected one, or the key `plugin` in the test file, for example: plugin = \"{name}\")",
                self.file.display()
            ),
        }
    }
}

fn there(path: PathBuf, of: &Path) -> anyhow::Result<PathBuf> {
    if path.exists() {
        return Ok(path);
    }
    bail!("there is no plugin `{}` for `{}`", path.display(), of.display())
}
