//! The documents of registries, in the layout that `wkg` and the CNCF's Wasm OCI artifact have.
//!
//! One layer `application/wasm`, which is the component as it is; a configuration that says what it
//! imports and exports; and annotations, one of which may carry a signature. A second layer would
//! keep other tools from pulling it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wellcheck_core::source::Digest;

use crate::component::Interfaces;
use crate::error::{FetchError, FetchErrorKind, printable};
use crate::signature::MAX_SIGNATURE;

/// Largest manifest, in bytes.
pub(crate) const MAX_MANIFEST: usize = 1024 * 1024;

/// Most layers that are looked through.
const MAX_LAYERS: usize = 64;

/// A manifest of OCI.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What we take: an index is asked for as well, so that it can be told from nothing.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";
/// The configuration of a component.
pub(crate) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A component.
pub(crate) const LAYER: &str = "application/wasm";
/// What older tools called it.
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";

/// The annotation with the text of a signature of minisign.
pub(crate) const SIGNATURE: &str = "vnd.wellcheck.minisign";
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
pub(crate) const VERSION: &str = "org.opencontainers.image.version";
pub(crate) const SOURCE: &str = "org.opencontainers.image.source";

/// A manifest, as it stands on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// What names a blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// The configuration of a component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config<'a> {
    pub(crate) created: &'a str,
    pub(crate) architecture: &'static str,
    pub(crate) os: &'static str,
    pub(crate) layer_digests: Vec<String>,
    pub(crate) component: Component<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Component<'a> {
    pub(crate) exports: &'a [String],
    pub(crate) imports: &'a [String],
    /// The name of its world, which a component does not hold.
    pub(crate) target: Option<String>,
}

impl<'a> Config<'a> {
    pub(crate) fn new(created: &'a str, layer: &Digest, interfaces: &'a Interfaces) -> Self {
        Self {
            created,
            architecture: "wasm",
            os: "wasip2",
            layer_digests: vec![layer.to_string()],
            component: Component {
                exports: &interfaces.exports,
                imports: &interfaces.imports,
                target: None,
            },
        }
    }
}

/// What a manifest says about a plugin.
pub(crate) struct Artifact {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) signature: Option<String>,
}

/// Reads a manifest that came from elsewhere.
pub(crate) fn read(bytes: &[u8], what: &str) -> Result<Artifact, FetchError> {
    let bad = |kind, why: String| FetchError::new(kind, format!("{what} {why}"));
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
        bad(FetchErrorKind::BadAnswer, format!("is no manifest: {}", printable(&error.to_string())))
    })?;
    let Manifest { config: Some(_), layers, annotations, .. } = manifest else {
        let why = "leads to an index of several images, not to a plugin (expected one layer `application/wasm`)";
        return Err(bad(FetchErrorKind::NotAPlugin, why.to_owned()));
    };
    let mut found = layers
        .iter()
        .take(MAX_LAYERS)
        .filter(|layer| layer.media_type == LAYER || layer.media_type == OLD_LAYER);
    let (Some(layer), None) = (found.next(), found.next()) else {
        let types: Vec<_> = layers
            .iter()
            .take(3)
            .map(|layer| format!("`{}`", printable(&layer.media_type)))
            .collect();
        let types = if types.is_empty() { "none".to_owned() } else { types.join(", ") };
        let why = format!("is no plugin: its layers are {types} (expected exactly one `{LAYER}`)");
        return Err(bad(FetchErrorKind::NotAPlugin, why));
    };
    let digest = Digest::parse(&layer.digest).map_err(|why| {
        bad(FetchErrorKind::BadAnswer, format!("names its layer by something else: {why}"))
    })?;
    let of = |all: &Option<BTreeMap<String, String>>| all.as_ref()?.get(SIGNATURE).cloned();
    let signature = of(&annotations).or_else(|| of(&layer.annotations));
    if signature.as_ref().is_some_and(|text| text.len() > MAX_SIGNATURE) {
        let why = format!("carries a signature of more than {MAX_SIGNATURE} bytes");
        return Err(bad(FetchErrorKind::TooLarge, why));
    }
    Ok(Artifact { digest, size: layer.size, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let why = read(text.as_bytes(), "`x`").err().map(|error| error.to_string());
        assert_eq!(why.as_deref().unwrap_or("good"), expected);
    }

    #[test]
    fn manifests_of_others_are_told_apart() {
        let layer = |kind: &str, digest: &str| {
            format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":3}}"#)
        };
        let manifest = |layers: &[String]| {
            let config = layer(CONFIG, DIGEST);
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layers.join(","))
        };
        check(&manifest(&[layer(LAYER, DIGEST)]), "good");
        check(&manifest(&[layer(OLD_LAYER, DIGEST)]), "good");
        check(
            &manifest(&[layer("application/vnd.example.sbom", DIGEST), layer(LAYER, DIGEST)]),
            "good",
        );
        check(
            &manifest(&[layer("application/vnd.oci.image.layer.v1.tar+gzip", DIGEST)]),
            "`x` is no plugin: its layers are `application/vnd.oci.image.layer.v1.tar+gzip` (expected exactly one `application/wasm`)",
        );
        check(
            &manifest(&[]),
            "`x` is no plugin: its layers are none (expected exactly one `application/wasm`)",
        );
        check(
            &manifest(&[layer(LAYER, DIGEST), layer(LAYER, DIGEST)]),
            "`x` is no plugin: its layers are `application/wasm`, `application/wasm` (expected exactly one `application/wasm`)",
        );
        check(
            r#"{"schemaVersion":2,"manifests":[]}"#,
            "`x` leads to an index of several images, not to a plugin (expected one layer `application/wasm`)",
        );
        check(
            &manifest(&[layer(LAYER, "sha256:../../etc/passwd")]),
            "`x` names its layer by something else: `sha256:../../etc/passwd` is no digest (expected `sha256:` and 64 hexadecimal digits)",
        );
        assert!(read(b"", "`x`").is_err() && read(b"[[[[", "`x`").is_err());
    }
}
