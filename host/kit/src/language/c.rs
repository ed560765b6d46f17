//! C.

use super::{File, Language, New};
use crate::build::{Build, BuildError};
use crate::clang::{self, Clang, Dialect};

pub(super) const LANGUAGE: Language =
    Language { name: "c", title: "C", marks: &["plugin.c"], source: "plugin.c", files, build };

const TEMPLATE: &str = include_str!("../../templates/c/plugin.c");
const FLAGS: &str = include_str!("../../templates/c/compile_flags.txt");

fn files(new: &New<'_>) -> Vec<File> {
    let mut files =
        vec![File::of("plugin.c", TEMPLATE, new), File::of("compile_flags.txt", FLAGS, new)];
    files.extend(clang::KIT.iter().map(|(path, text)| File::kit(path, text)));
    files
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    Clang::find(build)?.link(build, Dialect::C, &clang::sources(build, "c"))
}
