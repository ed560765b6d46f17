//! Generates Go bindings of the contract: `bindings WIT WORLD FOLDER`.
//!
//! What `wit-bindgen go` does, built in a third of the time since it knows no other language.
//! `toolchains` builds it, `build` calls it.

use anyhow::{Context as _, Result};
use std::path::PathBuf;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wit, world, folder] = arguments.as_slice() else {
        anyhow::bail!("usage: bindings WIT WORLD FOLDER");
    };
    // Some of WASI's own files name what only exists with a feature.
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    wit_bindgen_go::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        let path = PathBuf::from(folder).join(name);
        let parent = path.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, content))
            .with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    Ok(())
}
