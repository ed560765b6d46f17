//! Go: upstream's own compiler, with bindings generated into the kit's module.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{File, Language, New};
use crate::bindings::{self, write_changed};
use crate::build::{Build, BuildError, Effort};
use crate::toolchain::{self, Missing};

pub(super) const LANGUAGE: Language = Language {
    name: "go",
    title: "Go",
    marks: &["go.mod", "plugin.go"],
    source: "plugin.go",
    files,
    build,
};

const TEMPLATE: &str = include_str!("../../templates/go/plugin.go");
const MODULE: &str = include_str!("../../templates/go/go.mod");

/// The kit, as it stands in a project: a module of its own, named `wellcheck`.
const KIT: &[(&str, &str)] = &[
    ("wellcheck/wellcheck.go", include_str!("../../../../plugins/kits/go/wellcheck.go")),
    ("wellcheck/go.mod", include_str!("../../../../plugins/kits/go/go.mod")),
    ("wellcheck/README.md", include_str!("../../../../plugins/kits/go/README.md")),
    ("wellcheck/.gitignore", include_str!("../../../../plugins/kits/go/gitignore")),
    (
        "wellcheck/bindings/exports/export_wellcheck_check_checker/checker.go",
        include_str!(
            "../../../../plugins/kits/go/bindings/exports/export_wellcheck_check_checker/checker.go"
        ),
    ),
];

/// The package that generated bindings call, and where `plugins/toolchains` puts it.
const RUNTIME: &str = "go.bytecodealliance.org/pkg";
const RUNTIME_FOLDER: &str = "go/runtime";

/// The first Go that writes a reactor for WASI, as a major and a minor number.
const OLDEST: (u32, u32) = (1, 24);

fn files(new: &New<'_>) -> Vec<File> {
    let mut files = vec![File::of("plugin.go", TEMPLATE, new), File::of("go.mod", MODULE, new)];
    files.extend(KIT.iter().map(|(path, text)| File::kit(path, text)));
    files
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let go = find(&build.project.folder)?;
    let kit = kit_folder(build)?;
    // In the kit's folder, so that an editor finds them too.
    bindings::go(build.project.world(), "wellcheck/bindings", &kit.join("bindings"))?;
    let module = module(build, &kit)?;
    let core = build.work.join("core.wasm");
    let manifest = &build.project.manifest;
    let version = manifest.version.as_deref().unwrap_or("0.0.0");
    // A link argument ends at a space, whatever it is quoted with.
    let version: String = version.chars().filter(|c| !c.is_whitespace() && *c != '\'').collect();
    let mut command = Command::new(&go);
    command.arg("build").arg("-modfile").arg(&module).args(["-buildmode=c-shared", "-trimpath"]);
    command.arg(format!(
        "-ldflags=-checklinkname=0 {}-X wellcheck.name={} -X wellcheck.version={version}",
        // Without what a debugger wants, linking is faster too.
        "-s -w ",
        manifest.name
    ));
    if build.effort == Effort::Quick {
        command.arg("-gcflags=-l");
    }
    command.arg("-o").arg(&core).arg(".");
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=mod");
    command.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    if has_runtime() {
        command.env("GOPROXY", "off").env("GONOSUMDB", "*");
    }
    build.tool(&mut command)?;
    let bytes = std::fs::read(&core);
    Ok(bytes.with_context(|| format!("reading `{}`", core.display()))?)
}

/// A Go that is new enough.
fn find(project: &Path) -> Result<PathBuf, BuildError> {
    let missing = |found: String| Missing {
        what: format!("Go {}.{} or later", OLDEST.0, OLDEST.1),
        found,
        get: vec![
            "https://go.dev/dl, or the package `golang` of a system that has it".to_owned(),
            "`plugins/toolchains go` of wellcheck's source".to_owned(),
        ],
    };
    let mut older = None;
    let installed = toolchain::folder().map(|folder| folder.join("go").join("go"));
    let found = toolchain::find(project, "go", &[]).into_iter().chain(installed);
    for go in found.filter(|go| go.is_file()) {
        let version = version(&go);
        match &version {
            Some((found, _)) if *found >= OLDEST => return Ok(go),
            Some((_, text)) => older = Some(format!("`{}` is {text}", go.display())),
            None => older = Some(format!("`{}` does not say its version", go.display())),
        }
    }
    let nothing = || "there is no `go` in the search path".to_owned();
    Err(missing(older.unwrap_or_else(nothing)).into())
}

/// Its version, as numbers and as it says it.
fn version(go: &Path) -> Option<((u32, u32), String)> {
    let mut command = Command::new(go);
    command.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local");
    let output = command.stdin(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    let mut numbers = text.strip_prefix("go")?.split(['.', '-', 'r', 'b']).map(str::parse);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next()?.ok()?;
    Some(((major, minor), text.to_owned()))
}

/// Where the kit is: in the project, or else as the program carries it.
fn kit_folder(build: &Build<'_>) -> anyhow::Result<PathBuf> {
    let own = build.file("wellcheck");
    if own.join("go.mod").is_file() {
        return Ok(own);
    }
    for (path, text) in KIT {
        write_changed(&build.work.join("kit").join(path), text.as_bytes())?;
    }
    Ok(build.work.join("kit").join("wellcheck"))
}

fn runtime() -> Option<PathBuf> {
    toolchain::folder().map(|folder| folder.join(RUNTIME_FOLDER))
}

fn has_runtime() -> bool {
    runtime().is_some_and(|folder| folder.join("go.mod").is_file())
}

/// The project's `go.mod`, with what this machine adds to it: a copy, so that the project's own stays
/// as its author wrote it.
fn module(build: &Build<'_>, kit: &Path) -> anyhow::Result<PathBuf> {
    let path = build.file("go.mod");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            MODULE.replace("{{name}}", &build.project.manifest.name)
        }
        Err(error) => return Err(error).with_context(|| format!("reading `{}`", path.display())),
    };
    let ours = ["wellcheck ", RUNTIME];
    let kept = text.lines().filter(|line| {
        let line = line.trim_start();
        let replaced = line.strip_prefix("replace ").unwrap_or("");
        !ours.iter().any(|name| replaced.starts_with(name))
    });
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text += &["replace wellcheck => ", &quoted(kit), "\n"].concat();
    if let Some(runtime) = runtime().filter(|_| has_runtime()) {
        text += &["replace ", RUNTIME, " => ", &quoted(&runtime), "\n"].concat();
    }
    // Only when it is another: Go itself writes into it.
    let copy = build.work.join("go.mod");
    let source = build.work.join("go.mod.made");
    if std::fs::read(&source).ok().as_deref() != Some(text.as_bytes()) || !copy.is_file() {
        write_changed(&copy, text.as_bytes())?;
        write_changed(&source, text.as_bytes())?;
    }
    if let Ok(sums) = std::fs::read(build.file("go.sum")) {
        write_changed(&build.work.join("go.sum"), &sums)?;
    }
    Ok(copy)
}

/// A path as `go.mod` has it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
