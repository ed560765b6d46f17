//! JavaScript and TypeScript: componentize-qjs, which puts QuickJS and the script into a component.
//! What TypeScript has besides, esbuild takes away first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{File, Language, New};
use crate::build::{Build, BuildError};
use crate::toolchain::{self, Missing};

pub(super) const LANGUAGE: Language = Language {
    name: "javascript",
    title: "JavaScript",
    marks: &["plugin.js"],
    source: "plugin.js",
    files,
    build,
};

pub(super) const TYPESCRIPT: Language = Language {
    name: "typescript",
    title: "TypeScript",
    marks: &["plugin.ts"],
    source: "plugin.ts",
    files: typescript_files,
    build: typescript_build,
};

const TOOL: &str = "componentize-qjs";
const STRIPPER: &str = "esbuild";

fn kit() -> [File; 3] {
    [
        File::kit("wellcheck.js", include_str!("../../../../plugins/kits/javascript/wellcheck.js")),
        File::kit(
            "wellcheck.d.ts",
            include_str!("../../../../plugins/kits/javascript/wellcheck.d.ts"),
        ),
        File::kit("host.d.ts", include_str!("../../../../plugins/kits/javascript/host.d.ts")),
    ]
}

fn files(new: &New<'_>) -> Vec<File> {
    let mut files = vec![
        File::of("plugin.js", include_str!("../../templates/javascript/plugin.js"), new),
        File::of("package.json", include_str!("../../templates/javascript/package.json"), new),
        File::of("jsconfig.json", include_str!("../../templates/javascript/jsconfig.json"), new),
    ];
    files.extend(kit());
    files
}

fn typescript_files(new: &New<'_>) -> Vec<File> {
    let mut files = vec![
        File::of("plugin.ts", include_str!("../../templates/typescript/plugin.ts"), new),
        File::of("package.json", include_str!("../../templates/typescript/package.json"), new),
        File::of("tsconfig.json", include_str!("../../templates/typescript/tsconfig.json"), new),
    ];
    files.extend(kit());
    files
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let tool = componentizer(build).map_err(BuildError::from)?;
    componentize(build, &tool, "plugin.js")
}

fn typescript_build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let folder = &build.project.folder;
    let stripper = toolchain::find(folder, STRIPPER, &["typescript/node_modules/.bin/esbuild"])
        .ok_or_else(|| missing(STRIPPER, "typescript"));
    let (tool, stripper) = match (componentizer(build), stripper) {
        (Ok(tool), Ok(stripper)) => (tool, stripper),
        (tool, stripper) => {
            let missing = [tool.err(), stripper.err()];
            return Err(BuildError::Missing(missing.into_iter().flatten().collect()));
        }
    };
    let script = build.work.join("plugin.js");
    let mut command = Command::new(stripper);
    command
        .args([
            "plugin.ts",
            "--bundle",
            "--format=esm",
            "--platform=neutral",
            "--log-level=warning",
        ])
        .args(["--target=es2022", "--external:wellcheck:*", "--external:wasi:*"])
        .arg(format!("--outfile={}", script.display()));
    build.tool(&mut command)?;
    componentize(build, &tool, &script.display().to_string())
}

fn componentizer(build: &Build<'_>) -> Result<PathBuf, Missing> {
    toolchain::find(&build.project.folder, TOOL, &["javascript/node_modules/.bin/componentize-qjs"])
        .ok_or_else(|| missing(TOOL, "javascript"))
}

fn missing(tool: &str, toolchain: &str) -> Missing {
    Missing {
        what: tool.to_owned(),
        found: "it is neither in `node_modules/.bin` nor in the search path".to_owned(),
        get: vec![
            "npm install (in the project's folder; with Node.js 18 or later)".to_owned(),
            format!("plugins/toolchains {toolchain} (in wellcheck's repository)"),
        ],
    }
}

fn componentize(build: &Build<'_>, tool: &Path, script: &str) -> Result<Vec<u8>, BuildError> {
    // What the scripts import of the contract, and no more: a component asks for all of its world.
    let mut names = BTreeSet::new();
    for file in scripts(&build.project.folder).context("looking for scripts")? {
        let text = std::fs::read_to_string(&file);
        names.extend(imports(&text.with_context(|| format!("reading `{}`", file.display()))?));
    }
    let mut world = "world of-the-script {\n  include plugin;\n".to_owned();
    for name in names {
        let _infallible = writeln!(world, "  import {name};");
    }
    world.push_str("}\n");
    let wit = build.contract(&world)?;
    let output = build.work.join("plugin.wasm");
    let mut command = Command::new(tool);
    command.arg("--sync").arg("--wit").arg(&wit).args(["-n", "of-the-script", "--js", script]);
    // With its `--opt-size` the engine would have tail calls, which wellcheck does not take.
    build.tool(command.arg("-o").arg(&output))?;
    Ok(std::fs::read(&output).with_context(|| format!("reading `{}`", output.display()))?)
}

/// The scripts of a project: what is beside `plugin.js`, and in folders of its own.
fn scripts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    const DEPTH: usize = 4;
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_skipped =
                name.starts_with('.') || ["node_modules", "target", "wit"].contains(&name);
            let is_script = [".js", ".mjs", ".ts"].iter().any(|end| name.ends_with(end));
            if is_skipped {
                continue;
            } else if path.is_dir() && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if is_script && !name.ends_with(".d.ts") && path.is_file() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The interfaces of the contract that a script imports: `from 'wellcheck:check/state'`.
fn imports(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("wellcheck:check/").skip(1))
        .filter_map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-'))?;
            let (name, quote) = (&rest[..end], &rest[end..]);
            // In a text of another kind, such as a comment's, no quote follows at once.
            (!name.is_empty() && quote.starts_with(['\'', '"'])).then(|| name.to_owned())
        })
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_asks_for_what_its_script_imports() {
        let text = "import { fetch } from 'wellcheck:check/http';\n\
            import state from \"wellcheck:check/state\";\n\
            // import x from 'wellcheck:check/secrets';\n\
            /** Texts for `wellcheck:check/checks`. */\n";
        assert_eq!(imports(text).collect::<Vec<_>>(), ["http", "state"]);
    }
}
