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

const TEMPLATE: &str = include_str!("../../templates/wat/plugin.wat");
/// Its own: it asks for nothing that others do.
const TESTS: &str = include_str!("../../templates/wat/test.toml");

fn files(new: &New<'_>) -> Vec<File> {
    let template = TEMPLATE.replace("{{name-length}}", &new.name.len().to_string());
    vec![File::of("plugin.wat", &template, new), File::of("test.toml", TESTS, new)]
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    (build.say)("wat");
    let path = build.file("plugin.wat");
    wat::parse_file(&path).map_err(|error| BuildError::Other(anyhow!("{error}")))
}
