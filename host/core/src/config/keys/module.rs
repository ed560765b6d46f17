//! The keys of `[[module]]`.

use super::{Key, key};

/// `[[module]]`.
pub const MODULE: &[Key] = &[
    key(
        "name",
        "",
        "name = \"http_2xx\"",
        "What a request asks for: 1 to 63 letters, digits, `_`, `-` and `.`. Without a module `http_2xx` there is one of the kind `http` with its defaults.",
    ),
    key(
        "kind",
        "\"plugin\", where `plugin` is given",
        "kind = \"http\"",
        "What runs; `wellcheck kinds` lists them. The kind's own keys stand beside, but for the one that names the target.",
    ),
    key("plugin", "", "plugin = \"queue-depth\"", "The plugin file's name without `.wasm`."),
    key(
        "settings",
        "{}",
        "settings = { warn = 500 }",
        "For a plugin: its settings, without the one for the target.",
    ),
    key(
        "target-setting",
        "\"target\"",
        "target-setting = \"url\"",
        "For a plugin: the setting that the target is put into.",
    ),
    key(
        "grants",
        "nothing",
        "grants = { http = [\"https://*.example.com\"] }",
        "For a plugin: what it may reach, whatever the target; as a check has it, without `state`.",
    ),
    key(
        "limits",
        "those of `[defaults.limits]`",
        "limits = { cpu = \"1s\" }",
        "For a plugin: what one run may use, as a check has it.",
    ),
    key(
        "timeout",
        "\"10s\"",
        "timeout = \"5s\"",
        "Longest a probe may take, 1ms to 10m. Half a second less than the scraper waits, if that is shorter.",
    ),
    key(
        "targets",
        "every public address",
        "targets = [\"*.example.com:443\", \"10.0.0.0/8:9100\"]",
        "Which targets may be probed: `host[:port]`, the host a name, `*.name`, an address or a network; without a port, every port. Asked again when the name has been resolved, and for each redirect: an address that is not public must be covered by an address or network. Through a proxy or by a plugin, which resolve names themselves, only what an entry names as it stands may be probed; the target of a plugin without `targets` is bounded by its grants alone. A module that tells its target something (`headers`, `body`, `send`, credentials, grants that add something, a value from `${...}`) must have them.",
    ),
];
