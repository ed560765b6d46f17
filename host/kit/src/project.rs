//! A folder with the source of a plugin: what it is called, and in which language it is.
//!
//! `plugin.toml` says so; without it the folder's name and its files do.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use wellcheck_core::id::PluginName;

use crate::contract::WORLDS;
use crate::language::{self, LANGUAGES, Language};

/// The file that describes a project.
pub const FILE: &str = "plugin.toml";

/// Largest `plugin.toml`, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Longest value in it that people read, in bytes.
const MAX_TEXT: usize = 1024;

/// What `plugin.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The plugin's name, and that of its file without `.wasm`.
    pub name: String,
    /// Its version, for people and registries.
    pub version: Option<String>,
    /// `rust`, `python`, ...; else what the files say.
    pub language: Option<String>,
    /// Where its source is: a URL.
    pub source: Option<String>,
    /// The world that it is made for, by default `full-plugin`; languages whose compilers leave out
    /// what is not used take less by themselves.
    pub world: Option<String>,
}

/// How a project's plugin is run, as its author has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// A JSON object.
    pub settings: serde_json::Value,
    /// Each grant with one value.
    pub grants: Vec<(String, String)>,
}

impl Default for Sidecar {
    fn default() -> Self {
        Self { settings: serde_json::Value::Object(serde_json::Map::new()), grants: Vec::new() }
    }
}

/// A project, and what is known of it.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub manifest: Manifest,
    /// Its language.
    pub language: &'static Language,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    /// When there is no such folder, `plugin.toml` cannot be read, or nothing says what language
    /// this is.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        let folder =
            folder.canonicalize().with_context(|| format!("there is no folder `{shown}`"))?;
        let manifest = manifest(&folder)?;
        let language = match &manifest.language {
            Some(name) => language::named(name).ok_or_else(|| {
                let known = language::names();
                let name = visible(name);
                anyhow!("{FILE}: found `language = \"{name}\"`, expected one of {known}")
            })?,
            None => detect(&folder)?,
        };
        if let Some(world) = &manifest.world
            && !WORLDS.contains(&world.as_str())
        {
            let world = visible(world);
            bail!("{FILE}: found `world = \"{world}\"`, expected one of `{}`", WORLDS.join("`, `"));
        }
        Ok(Self { folder, manifest, language })
    }

    /// The world that it is made for.
    pub fn world(&self) -> &str {
        self.manifest.world.as_deref().unwrap_or("full-plugin")
    }

    /// Where the built component goes.
    pub fn output(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.manifest.name))
    }

    /// Settings and grants as `NAME.toml` has them: the file that goes beside the plugin. Nothing
    /// where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or has another form.
    pub fn sidecar(&self) -> anyhow::Result<Sidecar> {
        let path = self.folder.join(format!("{}.toml", self.manifest.name));
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Sidecar::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("reading `{}`", path.display()));
            }
        };
        let shown = path.display();
        let mut table: toml::Table =
            toml::from_str(&text).map_err(|error| anyhow!("{shown}: {}", visible(error)))?;
        // Of several checks, the first.
        if let Some(toml::Value::Array(checks)) = table.remove("check") {
            match checks.into_iter().next() {
                Some(toml::Value::Table(first)) => table = first,
                _ => bail!("{shown}: `check` has no table"),
            }
        }
        let settings = match table.remove("settings") {
            None => toml::Table::new(),
            Some(toml::Value::Table(settings)) => settings,
            Some(_) => bail!("{shown}: `settings` is no table"),
        };
        let mut grants = Vec::new();
        let granted = match table.remove("grants") {
            None => toml::Table::new(),
            Some(toml::Value::Table(grants)) => grants,
            Some(_) => bail!("{shown}: `grants` is no table"),
        };
        for (grant, values) in granted {
            let values = match values {
                toml::Value::Array(values) => values,
                one => vec![one],
            };
            for value in values {
                let toml::Value::String(value) = value else {
                    let (grant, found) = (visible(grant), value.type_str());
                    bail!("{shown}: grant `{grant}`: found {found}, expected a text");
                };
                grants.push((grant.clone(), value));
            }
        }
        let settings =
            serde_json::to_value(settings).with_context(|| format!("{shown}: settings"))?;
        Ok(Sidecar { settings, grants })
    }

    /// A folder for what is made on the way; may be deleted at any time.
    pub fn work(&self) -> PathBuf {
        self.folder.join("target").join("wellcheck")
    }
}

fn manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join(FILE);
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("plugin");
            let name = PluginName::new(name).map_err(|error| {
                anyhow!(
                    "the folder `{name}` has no {FILE}, and its name is none for a plugin: {error}"
                )
            })?;
            return Ok(Manifest {
                name: name.to_string(),
                version: None,
                language: None,
                source: None,
                world: None,
            });
        }
        Err(error) => return Err(error).with_context(|| format!("reading `{}`", path.display())),
    };
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| anyhow!("{}: {}", path.display(), visible(error)))?;
    PluginName::new(&manifest.name)
        .map_err(|error| anyhow!("{}: `name = {:?}`: {error}", path.display(), manifest.name))?;
    for (key, text) in [("version", &manifest.version), ("source", &manifest.source)] {
        let is_plain = |text: &String| {
            !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
        };
        if text.as_ref().is_some_and(|text| !is_plain(text)) {
            let path = path.display();
            bail!("{path}: `{key}` is no line of at most {MAX_TEXT} bytes with something in it");
        }
    }
    Ok(manifest)
}

/// What stands in a project of somebody else must not reach a terminal as a command of its own.
fn visible(text: impl Display) -> String {
    let mut shown = String::new();
    for c in text.to_string().chars() {
        match c.is_control() && c != '\n' {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// The text of a file that may be anything: a pipe, a device, without end.
fn read(path: &Path) -> std::io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no ordinary file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn detect(folder: &Path) -> anyhow::Result<&'static Language> {
    let found: Vec<&Language> = (LANGUAGES.iter())
        .filter(|language| language.marks.iter().any(|mark| folder.join(mark).is_file()))
        .collect();
    match found.as_slice() {
        [language] => Ok(language),
        [] => {
            let marks: Vec<_> = LANGUAGES.iter().flat_map(|l| l.marks).copied().collect();
            bail!(
                "`{}` is no plugin's project: found neither {FILE} nor any of `{}` (make one with \
                 `wellcheck plugin new NAME --lang LANGUAGE`)",
                folder.display(),
                marks.join("`, `")
            )
        }
        [first, second, ..] => bail!(
            "`{}` looks like {} and like {}: say which in {FILE}: `language = \"{}\"`",
            folder.display(),
            first.title,
            second.title,
            first.name
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_is_no_command_to_the_terminal() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "name = \"a\"\nlanguage = \"\\u001b[2J\"",
            "name = \"a\"\nlanguage = \"rust\"\nworld = \"\\u001b[2J\"",
            "name = \"\u{1b}[2J\"",
        ] {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let why = format!("{:#}", Project::open(folder.path()).unwrap_err());
            assert!(why.contains(FILE) && !why.contains('\u{1b}'), "{why:?}");
        }
    }
}
