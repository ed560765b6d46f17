//! The keys of plugins that are fetched, and of the registries that have them.

use super::{Key, key};

/// `[[plugin]]`.
pub const PLUGIN: &[Key] = &[
    key(
        "name",
        "",
        "name = \"queue-depth\"",
        "What checks call it; wins over a file of the plugins folder with the same name, which is then a problem.",
    ),
    key(
        "source",
        "",
        "source = \"oci://ghcr.io/example/queue-depth:1\"",
        "Where its file is: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`, the digest being that of the manifest, or `https://...`; on this machine plain HTTP. Fetched at start and on reload, while what runs goes on; until it is there, its checks are `unknown`. `plugins.lock` pins what it leads to.",
    ),
    key(
        "digest",
        "none",
        "digest = \"sha256:6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a\"",
        "The SHA-256 that the file must have.",
    ),
    key(
        "key",
        "`keys` of `[plugins]`",
        "key = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"",
        "A public key of minisign, or several: one of them must have signed the file. The signature is the annotation `vnd.wellcheck.minisign` of the manifest, or lies beside a file as `URL.minisig`.",
    ),
    key(
        "interval",
        "at start and on reload alone",
        "interval = \"1h\"",
        "How often to look again at what the source leads to, 1s to 30d.",
    ),
];

/// `[[registry]]`.
pub const REGISTRY: &[Key] = &[
    key(
        "host",
        "",
        "host = \"registry.example.com:5000\"",
        "The host of sources, with the port where they have one.",
    ),
    key("username", "none", "username = \"deploy\"", "Who we are there."),
    key(
        "password",
        "none",
        "password = \"${file:/run/secrets/registry}\"",
        "The password of `username`. Shown nowhere.",
    ),
    key(
        "token",
        "none",
        "token = \"${REGISTRY_TOKEN}\"",
        "In place of user and password: what is sent as `Authorization: Bearer`. Shown nowhere.",
    ),
];
