//! From what a compiler left to a component: bindings' type, adapter, metadata, without names.

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider as adapter;
use wasm_metadata::{AddMetadata, AddMetadataField, Source, Version};
use wit_component::{ComponentEncoder, StringEncoding};

use crate::contract;
use crate::project::Manifest;

/// Whether these bytes are a component already, rather than a core module.
pub fn is_component(bytes: &[u8]) -> bool {
    wasmparser::Parser::is_component(bytes)
}

/// Makes a component of a core module. One whose compiler did not say which world it is made for
/// gets `world`; see [`contract::world`] for `further`.
///
/// # Errors
/// When the module does not have what its world demands, or asks for what nobody has.
pub fn encode(core: &[u8], world: &str, further: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut core = core.to_vec();
    if !has_world(&core) {
        let version = version(&core).unwrap_or_else(|| contract::VERSION.to_owned());
        let (resolve, world) = contract::world_of(&version, world, further)?;
        let names = StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut core, &resolve, world, names, false)?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&core).context("the compiler's module cannot be used")?;
    encoder.adapter(
        adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
        adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
    )?;
    encoder.encode().context("the compiler's module does not fit the contract")
}

/// Whether the module says itself which world it is made for, as C's bindings make it say.
fn has_world(core: &[u8]) -> bool {
    wasmparser::Parser::new(0).parse_all(core).any(|payload| {
        matches!(payload, Ok(wasmparser::Payload::CustomSection(section))
            if section.name().starts_with("component-type"))
    })
}

/// The version of the contract by which a module names its exports, if it is one of our line.
fn version(core: &[u8]) -> Option<String> {
    let payloads = wasmparser::Parser::new(0).parse_all(core).filter_map(Result::ok);
    let exports = payloads.filter_map(|payload| match payload {
        wasmparser::Payload::ExportSection(section) => Some(section),
        _ => None,
    });
    let names = exports.flatten().filter_map(|export| Some(export.ok()?.name));
    let version = names.filter_map(|name| {
        name.strip_prefix("wellcheck:check/checker@")?.split_once('#').map(|(version, _)| version)
    });
    let (line, _) = contract::VERSION.rsplit_once('.')?;
    let digits =
        |text: &str| !text.is_empty() && text.len() < 4 && text.bytes().all(|b| b.is_ascii_digit());
    version
        .filter(|version| {
            version.rsplit_once('.').is_some_and(|(l, patch)| l == line && digits(patch))
        })
        .map(str::to_owned)
        .next()
}

/// Puts name, version, source and language into the component's custom sections, as registries and
/// tools read them.
///
/// # Errors
/// When the component cannot be read.
pub fn with_metadata(
    component: &[u8],
    manifest: &Manifest,
    language: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(manifest.name.clone());
    metadata.language = vec![(language.to_owned(), String::new())];
    metadata.processed_by = vec![("wellcheck".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    if let Some(version) = &manifest.version {
        metadata.version = AddMetadataField::Set(Version::new(version.clone()));
    }
    if let Some(source) = &manifest.source {
        metadata.source = AddMetadataField::Set(
            Source::new(source).with_context(|| format!("`source = \"{source}\"` is no URL"))?,
        );
    }
    metadata.to_wasm(component)
}
