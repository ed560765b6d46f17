//! Compiling and linking C, C++ and Zig: which compiler there is, and the kit and the bindings that
//! every such plugin is linked with.
//!
//! Any clang with a C library for WASI will do. Zig is one that comes in one piece.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bindings::{self, write_changed};
use crate::build::{Build, BuildError};
use crate::toolchain::{self, Missing};

const KIT_HEADER: &str = include_str!("../../../plugins/kits/c/wellcheck.h");
const KIT_SOURCE: &str = include_str!("../../../plugins/kits/c/wellcheck.c");
const KIT_README: &str = include_str!("../../../plugins/kits/c/README.md");

/// Where the kit stands in a project.
pub(crate) const KIT_FOLDER: &str = "wellcheck";

/// The files of the kit for C, as they stand in a project.
pub(crate) const KIT: &[(&str, &str)] = &[
    ("wellcheck/wellcheck.h", KIT_HEADER),
    ("wellcheck/wellcheck.c", KIT_SOURCE),
    ("wellcheck/README.md", KIT_README),
];

/// Stack of a guest, in bytes; the memory of an instance begins with it.
const STACK: u32 = 256 * 1024;

/// A compiler for WASI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clang {
    program: PathBuf,
    zig: bool,
}

/// What is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    C,
    Cpp,
}

impl Clang {
    /// Zig alone: for plugins in Zig.
    pub(crate) fn zig(build: &Build<'_>) -> Result<Self, BuildError> {
        let program = find_zig(&build.project.folder).ok_or_else(|| Missing {
            what: "Zig".to_owned(),
            found: "there is no `zig` in the search path".to_owned(),
            get: vec![
                "the package `zig` of your system, or https://ziglang.org/download".to_owned(),
                "pip install ziglang (and a link to its `zig` in the search path)".to_owned(),
            ],
        })?;
        Ok(Self { program, zig: true })
    }

    /// The compiler that `WASI_SDK_PATH` names, else Zig, else a clang of the system that has a C
    /// library for WASI.
    pub(crate) fn find(build: &Build<'_>) -> Result<Self, BuildError> {
        if let Some(folder) = std::env::var_os("WASI_SDK_PATH").filter(|value| !value.is_empty()) {
            let program = Path::new(&folder).join("bin").join("clang");
            if program.is_file() {
                return Ok(Self { program, zig: false });
            }
            return Err(Missing {
                what: "the WASI SDK".to_owned(),
                found: format!("`WASI_SDK_PATH` is set, but there is no `{}`", program.display()),
                get: vec!["https://github.com/WebAssembly/wasi-sdk/releases".to_owned()],
            }
            .into());
        }
        if let Some(program) = find_zig(&build.project.folder) {
            return Ok(Self { program, zig: true });
        }
        let clang = toolchain::find(&build.project.folder, "clang", &[]);
        let found = match clang {
            Some(program) if system_has_wasi() => return Ok(Self { program, zig: false }),
            Some(program) => {
                format!("`{}` is there, but no C library for WASI, and no `zig`", program.display())
            }
            None => "there is neither `zig` nor `clang` in the search path".to_owned(),
        };
        let missing = Missing {
            what: "a C compiler for WebAssembly".to_owned(),
            found,
            get: vec![
                "the package `zig` of your system, or https://ziglang.org/download".to_owned(),
                "apt install clang lld wasi-libc libclang-rt-dev-wasm32".to_owned(),
                "the WASI SDK (https://github.com/WebAssembly/wasi-sdk/releases), with \
                 `WASI_SDK_PATH` set to its folder"
                    .to_owned(),
            ],
        };
        Err(missing.into())
    }

    /// The compiler's command, for this dialect and target.
    fn command(&self, build: &Build<'_>, dialect: Dialect) -> Command {
        let mut command = match (self.zig, dialect) {
            (true, Dialect::C) => self.zig_command(build, "cc"),
            (true, Dialect::Cpp) => self.zig_command(build, "c++"),
            (false, Dialect::C) => Command::new(&self.program),
            (false, Dialect::Cpp) => {
                let beside = self.program.with_file_name("clang++");
                Command::new(beside)
            }
        };
        command.args(["-target", "wasm32-wasi"]);
        // In a hurry too: for any other level Zig compiles a C library of its own first, once a
        // machine, which takes half a minute of CPU; and the linker takes most of the time anyway.
        command.arg("-Os");
        // What is not called is left out, with what it would import.
        command.args(["-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra"]);
        match dialect {
            Dialect::C => command.arg("-std=c17"),
            Dialect::Cpp => command.args(["-std=c++20", "-fno-exceptions"]),
        };
        command
    }

    /// Zig itself, with the folders in which it keeps what it has compiled.
    pub(crate) fn zig_command(&self, build: &Build<'_>, word: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(word).env("ZIG_LOCAL_CACHE_DIR", build.work.join("zig"));
        // The C library is compiled when it is first asked for; where `plugins/toolchains` has put
        // the compiler, it is there.
        let installed = toolchain::folder().map(|folder| folder.join("c"));
        if let Some(installed) = installed.filter(|folder| self.program.starts_with(folder)) {
            command.env("ZIG_GLOBAL_CACHE_DIR", installed.join("cache"));
        }
        command
    }

    /// Compiles a plugin's own `sources` (or takes objects), links them with the kit and the
    /// bindings, and gives the module.
    pub(crate) fn link(
        &self,
        build: &Build<'_>,
        dialect: Dialect,
        sources: &[PathBuf],
    ) -> Result<Vec<u8>, BuildError> {
        let kit = kit_folder(build)?;
        let generated = build.work.join("c");
        bindings::c(build.project.world(), &generated)?;
        let objects = self.kit_objects(build, &kit, &generated)?;
        let core = build.work.join("core.wasm");
        let mut command = self.command(build, dialect);
        command.arg("-I").arg(&kit).arg("-I").arg(&generated);
        command.args(sources).args(objects).arg(generated.join("bindings_component_type.o"));
        command.arg("-mexec-model=reactor").arg("-Wl,--gc-sections");
        command.arg(format!("-Wl,-z,stack-size={STACK}"));
        command.arg("-o").arg(&core);
        build.tool(&mut command)?;
        let bytes = std::fs::read(&core);
        Ok(bytes.map_err(|error| anyhow::anyhow!("reading `{}`: {error}", core.display()))?)
    }

    /// The kit and the bindings, compiled; anew only when something of them changed.
    fn kit_objects(
        &self,
        build: &Build<'_>,
        kit: &Path,
        generated: &Path,
    ) -> Result<[PathBuf; 2], BuildError> {
        // The bindings give back what they lowered, which is not always on the heap.
        let unit = generated.join("unit.c");
        write_changed(&unit, b"#define free wc_keep_memory\n#include \"bindings.c\"\n")?;
        let manifest = &build.project.manifest;
        let define = |name: &str, text: &str| format!("-D{name}={}", literal(text));
        let name = define("WC_NAME", &manifest.name);
        let version = define("WC_VERSION", manifest.version.as_deref().unwrap_or("0.0.0"));
        let objects = [("unit.o", unit), ("wellcheck.o", kit.join("wellcheck.c"))];
        let mut made = [PathBuf::new(), PathBuf::new()];
        for (slot, (object, source)) in made.iter_mut().zip(objects) {
            let object = generated.join(object);
            let mut command = self.command(build, Dialect::C);
            command.arg("-c").arg(&source).arg("-o").arg(&object);
            command.arg("-I").arg(kit).arg("-I").arg(generated).args([&name, &version]);
            let stamp = object.with_extension("stamp");
            let mut wanted = format!("{command:?}").into_bytes();
            for text in [&source, &kit.join("wellcheck.h"), &generated.join("bindings.c")] {
                // A source that is not there is said by the compiler.
                wanted.extend(std::fs::read(text).unwrap_or_default());
            }
            if !object.is_file() || std::fs::read(&stamp).ok().as_ref() != Some(&wanted) {
                build.tool(&mut command)?;
                write_changed(&stamp, &wanted)?;
            }
            *slot = object;
        }
        Ok(made)
    }
}

/// Where the kit is: in the project, or else as the program carries it.
pub(crate) fn kit_folder(build: &Build<'_>) -> anyhow::Result<PathBuf> {
    let own = build.file(KIT_FOLDER);
    if own.join("wellcheck.c").is_file() {
        return Ok(own);
    }
    for (path, text) in KIT {
        write_changed(&build.work.join("kit").join(path), text.as_bytes())?;
    }
    Ok(build.work.join("kit").join(KIT_FOLDER))
}

/// The files with this ending in the project's folder and in its `src`, in order.
pub(crate) fn sources(build: &Build<'_>, ending: &str) -> Vec<PathBuf> {
    let folders = [build.project.folder.clone(), build.file("src")];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut found: Vec<PathBuf> = files
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == ending) && path.is_file())
        .collect();
    found.sort();
    found
}

/// A text as C writes it.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn find_zig(project: &Path) -> Option<PathBuf> {
    toolchain::find(project, "zig", &["c/bin/zig"])
}

/// Whether the system's clang finds a C library for WASI, as Debian's package `wasi-libc` puts it.
fn system_has_wasi() -> bool {
    Path::new("/usr/lib/wasm32-wasi/crt1-reactor.o").is_file()
}
