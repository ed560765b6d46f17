//! Bindings of the contract, generated for languages that have no generator of their own: C and Go.
//!
//! They are made at each build, in a folder that may be deleted, so that no generated file is
//! anybody's to keep.

use std::path::Path;

use anyhow::Context as _;
use wit_bindgen_core::{Files, WorldGenerator};

use crate::contract;

/// What the bindings for C are called: `bindings.h`, `bindings_string_t`.
pub const C_NAME: &str = "bindings";

/// Writes `bindings.h`, `bindings.c` and `bindings_component_type.o`.
///
/// # Errors
/// When there is no such world, or a file cannot be written.
pub fn c(world: &str, folder: &Path) -> anyhow::Result<()> {
    let options = wit_bindgen_c::Opts {
        rename_world: Some(C_NAME.to_owned()),
        ..wit_bindgen_c::Opts::default()
    };
    generate(options.build(), world, folder)
}

/// Writes Go packages below `folder`, whose import path is `package`.
///
/// # Errors
/// Likewise.
pub fn go(world: &str, package: &str, folder: &Path) -> anyhow::Result<()> {
    let options = wit_bindgen_go::Opts {
        pkg_name: Some(package.to_owned()),
        // Nobody reads them, and `gofmt` need not be there.
        format: wit_bindgen_go::Format::False,
        quiet: true,
        ..wit_bindgen_go::Opts::default()
    };
    generate(options.build(), world, folder)
}

fn generate(
    mut generator: Box<dyn WorldGenerator>,
    world: &str,
    folder: &Path,
) -> anyhow::Result<()> {
    let (mut resolve, world) = contract::world(world, None)?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        write_changed(&folder.join(name), content)?;
    }
    Ok(())
}

/// Writes a file unless it is there already: its time is what compilers go by.
///
/// # Errors
/// When it cannot be written.
pub fn write_changed(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    written
        .and_then(|()| std::fs::write(path, content))
        .with_context(|| format!("writing `{}`", path.display()))
}
