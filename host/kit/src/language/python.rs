//! Python: componentize-py, which puts the interpreter, the library and the plugin into a component.

use std::process::Command;

use anyhow::Context as _;

use super::{File, Language, New};
use crate::build::{Build, BuildError};
use crate::toolchain::{self, Missing};

pub(super) const LANGUAGE: Language = Language {
    name: "python",
    title: "Python",
    marks: &["plugin.py"],
    source: "plugin.py",
    files,
    build,
};

const TOOL: &str = "componentize-py";

fn files(new: &New<'_>) -> Vec<File> {
    vec![
        File::of("plugin.py", include_str!("../../templates/python/plugin.py"), new),
        File::of("requirements.txt", include_str!("../../templates/python/requirements.txt"), new),
        File::of(
            "pyrightconfig.json",
            include_str!("../../templates/python/pyrightconfig.json"),
            new,
        ),
        File::kit("wellcheck.py", include_str!("../../../../plugins/kits/python/wellcheck.py")),
    ]
}

fn build(build: &Build<'_>) -> Result<Vec<u8>, BuildError> {
    let folder = &build.project.folder;
    let tool =
        toolchain::find(folder, TOOL, &["python/bin/componentize-py"]).ok_or_else(|| Missing {
            what: TOOL.to_owned(),
            found: "it is neither in `.venv/bin` nor in the search path".to_owned(),
            get: vec![
                "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt".to_owned(),
                "plugins/toolchains python (in wellcheck's repository)".to_owned(),
            ],
        })?;
    let wit = build.contract("")?;
    let command = || {
        let mut command = Command::new(&tool);
        command.args(["--quiet", "--wit-path"]).arg(&wit).args(["--world", build.project.world()]);
        command
    };
    // For editors: the types of the contract, as pyrightconfig.json looks for them.
    let bindings = build.work.join("bindings");
    if !bindings.join("wit_world").is_dir() {
        build.tool(command().arg("bindings").arg(&bindings))?;
    }
    let output = build.work.join("plugin.wasm");
    let mut command = command();
    command.args(["componentize", "plugin", "--output"]).arg(&output);
    build.tool(&mut command)?;
    Ok(std::fs::read(&output).with_context(|| format!("reading `{}`", output.display()))?)
}
