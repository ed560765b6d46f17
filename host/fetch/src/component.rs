//! What a component imports and exports, as a registry wants to know it.
//!
//! Reads the names of the outermost sections; whether the code in it is good is for who runs it.

use wasmparser::{Encoding, Parser, Payload};

/// Most names that are read of one file.
const MAX_NAMES: usize = 1_000;

/// The interfaces of a component, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it exports.
    pub exports: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
}

/// Why a file is no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAComponent(String);

impl Interfaces {
    /// Looks through a file.
    ///
    /// # Errors
    /// When it is no component.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAComponent> {
        let no = |why: &str| NotAComponent(why.to_owned());
        if !bytes.starts_with(b"\0asm") {
            return Err(no("the file is not WebAssembly"));
        }
        let mut found = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| {
                NotAComponent(format!(
                    "the file is broken: {}",
                    crate::error::printable(error.message())
                ))
            })?;
            match payload {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(no(
                        "the file is a core module, not a component (`wellcheck plugin build` makes components)",
                    ));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section.into_iter().flatten() {
                        found.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section.into_iter().flatten() {
                        found.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
            if found.imports.len() + found.exports.len() > MAX_NAMES {
                return Err(NotAComponent(format!(
                    "the file has more than {MAX_NAMES} imports and exports"
                )));
            }
        }
        Ok(found)
    }
}
