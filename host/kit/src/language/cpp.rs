//! C++, by the kit for C.

use super::{File, Language, New};
use crate::build::{Build, BuildError};
use crate::clang::{self, Clang, Dialect};

pub(super) const LANGUAGE: Language = Language {
    name: "cpp",
    title: "C++",
    marks: &["plugin.cpp"],
    source: "plugin.cpp",
    files,
    build,
};

const TEMPLATE: &str = include_str!("../../templates/cpp/plugin.cpp");
const FLAGS: &str = include_str!("../../templates/cpp/compile_flags.txt");

fn files(new: &New<'_>) -> Vec<File> {
    let mut files =
        vec![File::of("plugin.cpp", TEMPLATE, new), File::of("compile_flags.txt", FLAGS, new)];
    files.extend(clang::KIT.iter().map(|(path, text)| File::kit(path, text)));
    files
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    Clang::find(build)?.link(build, Dialect::Cpp, &clang::sources(build, "cpp"))
}
