//! The languages: one file each, and a table.
//!
//! To add one: a file here with its templates and its build, and a line in [`LANGUAGES`].

mod c;
mod cpp;
mod go;
mod javascript;
mod python;
mod rust;
mod wat;
mod zig;

use crate::build::{Build, BuildError};

/// A language that plugins are written in.
#[derive(Debug)]
pub struct Language {
    /// As `--lang` takes it: `rust`.
    pub name: &'static str,
    /// For people: `Rust`.
    pub title: &'static str,
    /// Files by which a folder without `plugin.toml` is known to be of this language.
    pub marks: &'static [&'static str],
    /// Where the source is that an author edits first.
    pub source: &'static str,
    /// The files of a new project, without the ones that every project has.
    pub files: fn(&New<'_>) -> Vec<File>,
    /// Builds a component, or a core module that has the names of the contract.
    pub build: fn(&Build<'_>) -> Result<Vec<u8>, BuildError>,
}

/// A project that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The plugin's name: `queue-depth`.
    pub name: &'a str,
}

impl File {
    /// A file of a template: `{{name}}` becomes the plugin's name.
    pub fn of(path: &str, template: &str, new: &New<'_>) -> Self {
        Self { path: path.to_owned(), text: template.replace("{{name}}", new.name) }
    }

    /// A file of a kit, as it stands.
    pub fn kit(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

/// A file of a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the project's folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Every language, as `--help` lists them.
pub const LANGUAGES: &[Language] = &[
    rust::LANGUAGE,
    python::LANGUAGE,
    javascript::LANGUAGE,
    javascript::TYPESCRIPT,
    c::LANGUAGE,
    cpp::LANGUAGE,
    go::LANGUAGE,
    zig::LANGUAGE,
    wat::LANGUAGE,
];

/// The language of that name.
pub fn named(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name)
}

/// All names, for messages.
pub fn names() -> String {
    let names: Vec<_> = LANGUAGES.iter().map(|l| format!("`{}`", l.name)).collect();
    names.join(", ")
}
