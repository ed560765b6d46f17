//! WebAssembly text: no compiler at all, for those who want to see what a plugin is made of.

use anyhow::anyhow;

use super::{File, Language, New};
use crate::build::{Build, BuildError};

pub(super) const LANGUAGE: Language = Language {
    name: "wat",
    title: "WebAssembly text",
    marks: &["plugin.wat"],
    source: "plugin.wat",
    files,
    build,
};

fn files(_: &New<'_>) -> Vec<File> {
    Vec::new()
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    (build.say)("wat");
    let path = build.file("plugin.wat");
    wat::parse_file(&path).map_err(|error| BuildError::Other(anyhow!("{error}")))
}
