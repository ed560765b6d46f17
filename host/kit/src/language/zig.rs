//! Zig: its compiler makes an object of the plugin, which is linked with the kit for C.

use super::{File, Language, New};
use crate::bindings::write_changed;
use crate::build::{Build, BuildError};
use crate::clang::{self, Clang, Dialect};

pub(super) const LANGUAGE: Language = Language {
    name: "zig",
    title: "Zig",
    marks: &["plugin.zig"],
    source: "plugin.zig",
    files,
    build,
};

const TEMPLATE: &str = include_str!("../../templates/zig/plugin.zig");
const KIT: &str = include_str!("../../../../plugins/kits/zig/wellcheck.zig");
const README: &str = include_str!("../../../../plugins/kits/zig/README.md");

/// Where plugins import the kit from.
const KIT_PATH: &str = "wellcheck/wellcheck.zig";

fn files(new: &New<'_>) -> Vec<File> {
    let mut files = vec![
        File::of("plugin.zig", TEMPLATE, new),
        File::of(KIT_PATH, KIT, new),
        File::of("wellcheck/README.md", README, new),
    ];
    let kit = clang::KIT.iter().filter(|(path, _)| !path.ends_with(".md"));
    files.extend(kit.map(|(path, text)| File::kit(path, text)));
    files
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let zig = Clang::zig(build)?;
    if !build.file(KIT_PATH).is_file() {
        // An import names a file in the plugin's own folder.
        write_changed(&build.file(KIT_PATH), KIT.as_bytes())?;
    }
    let object = build.work.join("plugin.o");
    let mut command = zig.zig_command(build, "build-obj");
    // Small in both cases: the compiler is no faster without.
    command.args(["-target", "wasm32-wasi", "-O", "ReleaseSmall", "-lc", "-fno-strip"]);
    let mut emit = std::ffi::OsString::from("-femit-bin=");
    emit.push(&object);
    command.arg(emit).arg(build.file("plugin.zig"));
    build.tool(&mut command)?;
    zig.link(build, Dialect::C, &[object])
}
