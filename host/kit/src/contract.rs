//! The contract, as the program carries it: nobody has to download it.

use std::io;
use std::path::Path;

use wit_parser::{Resolve, UnresolvedPackageGroup, WorldId};

/// The version of the contract that projects are made for.
pub const VERSION: &str = "0.1.2";

/// The worlds of the contract, the smallest first.
pub const WORLDS: &[&str] = &["plugin", "http-plugin", "full-plugin", "full-http-plugin"];

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../wit/v0_1/", $name)))),*]
    };
}

/// Every file of the contract, with its path below the folder `wit` of a project. The first is ours.
pub const FILES: &[(&str, &str)] = files![
    "check.wit",
    "deps/cli.wit",
    "deps/clocks.wit",
    "deps/filesystem.wit",
    "deps/http.wit",
    "deps/io.wit",
    "deps/random.wit",
    "deps/sockets.wit",
];

/// Writes the contract into a folder, as tools of every language want it.
///
/// # Errors
/// When a file cannot be written.
pub fn write_into(folder: &Path) -> io::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// The contract, read, and one of its worlds. `further` is WIT beside it: a world of one's own.
///
/// # Errors
/// When there is no such world, or `further` is not WIT.
pub fn world(name: &str, further: Option<&str>) -> anyhow::Result<(Resolve, WorldId)> {
    world_of(VERSION, name, further)
}

/// Likewise, as a module calls the contract that was written for another version of its line: within
/// a line, what there was is still there.
///
/// # Errors
/// Likewise.
pub fn world_of(
    version: &str,
    name: &str,
    further: Option<&str>,
) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (ours, rest) = FILES.split_first().expect("there is the contract itself");
    let parse = |name: &str, text: &str| {
        UnresolvedPackageGroup::parse(name, text)
            .map_err(|(sources, error)| anyhow::anyhow!(error.render(&sources)))
    };
    let rest = rest.iter().map(|(name, text)| parse(name, text)).collect::<Result<_, _>>()?;
    let package = |version: &str| format!("package wellcheck:check@{version};");
    let text = ours.1.replacen(&package(VERSION), &package(version), 1);
    let main = parse(ours.0, &[&text, further.unwrap_or_default()].join("\n"))?;
    let pushed = resolve.push_groups(main, rest);
    let package =
        pushed.map_err(|error| anyhow::anyhow!("the contract does not resolve: {error}"))?;
    let world = resolve.select_world(&[package], Some(name))?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_is_there_and_the_version_is_the_contracts() {
        for name in WORLDS {
            world(name, None).unwrap();
        }
        assert!(world("other", None).is_err());
        assert!(FILES[0].1.contains(&format!("package wellcheck:check@{VERSION};")));
        world("mine", Some("world mine { include plugin; import state; }")).unwrap();
    }
}
