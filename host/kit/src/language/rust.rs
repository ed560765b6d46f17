//! Rust: cargo for wasm32-wasip2, with the crate `wellcheck-plugin` in the project's folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use super::{File, Language, New};
use crate::build::{Build, BuildError, Effort};
use crate::toolchain::{self, Missing};

pub(super) const LANGUAGE: Language = Language {
    name: "rust",
    title: "Rust",
    marks: &["Cargo.toml"],
    source: "src/lib.rs",
    files,
    build,
};

const TARGET: &str = "wasm32-wasip2";

macro_rules! kit {
    ($($path:literal),* $(,)?) => {
        &[$((
            concat!("wellcheck-plugin/", $path),
            include_str!(concat!("../../../../plugins/kits/rust/", $path)),
        )),*]
    };
}

const KIT: &[(&str, &str)] = kit![
    "Cargo.toml",
    "README.md",
    "src/lib.rs",
    "src/checks.rs",
    "src/http.rs",
    "src/range.rs",
    "src/report.rs",
    "src/secrets.rs",
    "src/state.rs",
    "src/stop.rs",
];

fn files(new: &New<'_>) -> Vec<File> {
    let mut files = vec![
        File::of("src/lib.rs", include_str!("../../templates/rust/src/lib.rs"), new),
        File::of("Cargo.toml", include_str!("../../templates/rust/Cargo.toml"), new),
        File::of(
            ".vscode/settings.json",
            include_str!("../../templates/rust/vscode-settings.json"),
            new,
        ),
    ];
    files.extend(KIT.iter().map(|(path, text)| File::kit(path, text)));
    files
}

/// What cargo says of something that it made.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let folder = &build.project.folder;
    let manifest = build.file("Cargo.toml");
    let cargo = toolchain::find(folder, "cargo", &[]).ok_or_else(|| Missing {
        what: "cargo".to_owned(),
        found: "it is not in the search path".to_owned(),
        get: vec!["Rust from https://rustup.rs, then `rustup target add wasm32-wasip2`".to_owned()],
    })?;
    let mut command = Command::new(cargo);
    // The flags of whoever calls are for another compiler.
    for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    if let Some(rustc) = compiler(build)? {
        command.env("RUSTC", rustc);
    }
    // Messages of panics name files: without where this machine keeps them, the same source gives
    // the same bytes everywhere.
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let places = [Some(folder.clone()), home].into_iter().flatten();
    let remap: Vec<_> =
        places.map(|place| format!("--remap-path-prefix={}/=", place.display())).collect();
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("reading `{}`", manifest.display()))?;
    let profile = match build.effort {
        Effort::Release => "release",
        // Projects that were made by hand have none of that name.
        Effort::Quick if text.contains("[profile.quick]") => "quick",
        Effort::Quick => "dev",
    };
    command
        .args(["build", "--lib", "--target", TARGET, "--profile", profile])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target_dir(build))
        .env("CARGO_ENCODED_RUSTFLAGS", remap.join("\u{1f}"));
    let said = build.ask(&mut command)?;
    let file = said
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| {
            message.reason == "compiler-artifact" && message.manifest_path == manifest
        })
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    let file = file.ok_or_else(|| {
        anyhow!(
            "cargo made no component: does Cargo.toml say `[lib]` with `crate-type = [\"cdylib\"]`?"
        )
    })?;
    let bytes = std::fs::read(&file).with_context(|| format!("reading `{}`", file.display()))?;
    Ok(bytes)
}

/// Where cargo builds: in the project, or where the user has it build everything.
fn target_dir(build: &Build<'_>) -> PathBuf {
    let shared = std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty());
    shared.map_or_else(|| build.work.join("cargo"), PathBuf::from)
}

/// The compiler to use in place of cargo's own: none, if that has the target.
fn compiler(build: &Build<'_>) -> Result<Option<PathBuf>, BuildError> {
    let asked = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let sysroot = Command::new(&asked)
        .args(["--print", "sysroot"])
        .current_dir(&build.project.folder)
        .stderr(std::process::Stdio::null())
        .output();
    let sysroot = sysroot.ok().filter(|done| done.status.success());
    let has_target = sysroot.is_some_and(|done| {
        let folder = PathBuf::from(String::from_utf8_lossy(&done.stdout).trim());
        folder.join("lib/rustlib").join(TARGET).is_dir()
    });
    if has_target {
        return Ok(None);
    }
    let installed = toolchain::folder().map(|folder| folder.join("rust").join("rustc"));
    match installed.filter(|path| path.is_file()) {
        Some(rustc) => Ok(Some(rustc)),
        None => Err(Missing {
            what: format!("Rust's library for {TARGET}"),
            found: "the compiler that cargo uses does not have it".to_owned(),
            get: vec![
                format!("rustup target add {TARGET}"),
                "plugins/toolchains rust (in wellcheck's repository)".to_owned(),
            ],
        }
        .into()),
    }
}
