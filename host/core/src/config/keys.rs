//! Every key of the configuration but those of the kinds: its meaning, its default, an example.
//!
//! One list serves the documentation (`wellcheck validate --explain`), the suggestions for mistyped
//! keys, and the test that no key is undocumented. The kinds list their own keys in the same shape.

/// One key of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// Meaning, limits, and what happens at the limit.
    pub doc: &'static str,
    /// What applies without it; empty if it must be given.
    pub default: &'static str,
    /// A line of TOML.
    pub example: &'static str,
}

/// Shorthand for lists of keys.
pub const fn key(
    name: &'static str,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, doc, default, example }
}

/// A table of the configuration and its keys.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// As written: `[server]`, `[[check]]`.
    pub header: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// The tables of a file.
pub const ROOT: &[Key] = &[
    key("server", "", "[server]", "Where and how to listen."),
    key("defaults", "", "[defaults]", "Timing and thresholds for every check."),
    key("plugins", "", "[plugins]", "The plugins folder and what sidecars may grant."),
    key("token", "", "[[token]]", "Who may call the routes that change something."),
    key("check", "", "[[check]]", "A check."),
];

/// `[server]`.
pub const SERVER: &[Key] = &[
    key(
        "listen",
        "\"127.0.0.1:8080\"",
        "listen = \"0.0.0.0:8080\"",
        "Address and port. Port 0 takes a free one. Changing it takes a restart.",
    ),
    key(
        "drain",
        "\"5s\"",
        "drain = \"10s\"",
        "How long open requests get when the server stops, 0s to 5m. Runs that are under way are cut off.",
    ),
    key(
        "max-connections",
        "1024",
        "max-connections = 4096",
        "Connections at once, 1 to 100000; more wait in the kernel's queue. Changing it takes a restart.",
    ),
];

/// `[plugins]`.
pub const PLUGINS: &[Key] = &[
    key(
        "dir",
        "\"plugins\"",
        "dir = \"/var/lib/wellcheck/plugins\"",
        "The plugins folder, relative to the configuration file. `--plugins` wins over it. Changing it takes a restart.",
    ),
    key(
        "cache",
        "the user's cache folder",
        "cache = \"/var/cache/wellcheck\"",
        "Where compiled plugins are kept; a folder that only the user of the process can write. `--cache` wins over it. Changing it takes a restart.",
    ),
    key(
        "sidecar-grants",
        "none",
        "sidecar-grants = { http = [\"https://*.example.com\"] }",
        "The most that `plugins/NAME.toml` may grant. Whoever can drop a file must not be able to grant it anything, so the default is nothing.",
    ),
];

/// `[[token]]`.
pub const TOKEN: &[Key] = &[
    key("name", "", "name = \"deploy\"", "Who it is, for the log."),
    key(
        "hash",
        "",
        "hash = \"sha256:…\"",
        "`sha256:` and the hash of the token in hexadecimal; `wellcheck token` makes both.",
    ),
    key(
        "role",
        "",
        "role = \"admin\"",
        "`view` reads everything, `operate` also runs checks, `admin` also reloads.",
    ),
];

/// `[defaults]`, and the same keys of a check.
pub const TIMING: &[Key] = &[
    key("interval", "\"30s\"", "interval = \"15s\"", "From run to run, 50ms to 7d."),
    key(
        "timeout",
        "\"10s\", or the interval if that is shorter",
        "timeout = \"5s\"",
        "Longest a run may take, 1ms to the interval. A target that is slower fails; a plugin that is slower faults.",
    ),
    key(
        "jitter",
        "\"0s\"",
        "jitter = \"2s\"",
        "Each run is late by a random part of this, at most half of the interval.",
    ),
    key(
        "failure-threshold",
        "3",
        "failure-threshold = 2",
        "Outcomes in a row, worse than the state, until the state changes, 1 to 100. The first outcome decides at once.",
    ),
    key(
        "success-threshold",
        "1",
        "success-threshold = 2",
        "Healthy outcomes in a row until the state is healthy again, 1 to 100.",
    ),
    key(
        "on-fault",
        "\"unknown\"",
        "on-fault = \"fail\"",
        "The state that faults of the check lead to: `unknown` or `fail`.",
    ),
];

/// `[[check]]`: what every kind has besides the timing.
pub const CHECK: &[Key] = &[
    key(
        "name",
        "in a sidecar, the plugin's name",
        "name = \"shop\"",
        "Unique: 1 to 63 of a-z, 0-9 and `-`, the first not `-`; not `status`, `live`, `ready` or `started`, which are routes.",
    ),
    key("title", "the name", "title = \"Shop front\"", "Free text for people, at most 200 bytes."),
    key(
        "kind",
        "\"plugin\", where `plugin` is given",
        "kind = \"http\"",
        "What runs; `wellcheck kinds` lists them. The kind's own keys stand beside the common ones.",
    ),
    key("plugin", "", "plugin = \"queue-depth\"", "The plugin file's name without `.wasm`."),
    key(
        "settings",
        "{}",
        "settings = { warn = 500 }",
        "For a plugin: matched against its settings schema.",
    ),
    key(
        "grants",
        "nothing",
        "grants = { http = [\"https://api.example.com\"] }",
        "For a plugin: what it may reach.",
    ),
    key("enabled", "true", "enabled = false", "Whether the check exists at all."),
    key("tags", "none", "tags = [\"core\"]", "For selecting checks."),
];

/// `[check.grants]`.
pub const GRANTS: &[Key] = &[key(
    "http",
    "none",
    "http = [\"https://api.example.com\", \"http://10.0.0.0/8:8080\"]",
    "Where HTTP requests may go: `scheme://host[:port]`, the host a name, `*.name`, an address or a network. A private address must be named as an address or network.",
)];

/// Every section, in the order of the documentation.
pub const SECTIONS: &[Section] = &[
    Section { header: "[server]", doc: "Where and how to listen.", keys: SERVER },
    Section {
        header: "[defaults]",
        doc: "For every check; a check may override each.",
        keys: TIMING,
    },
    Section {
        header: "[plugins]",
        doc: "Plugins: WebAssembly components in a folder.",
        keys: PLUGINS,
    },
    Section {
        header: "[[token]]",
        doc: "Who may call the routes that change something. Without any, such routes answer 403.",
        keys: TOKEN,
    },
    Section {
        header: "[[check]]",
        doc: "A check. All keys of `[defaults]` stand here too.",
        keys: CHECK,
    },
    Section {
        header: "[check.grants]",
        doc: "What a check's plugin may reach. Nothing that is not named.",
        keys: GRANTS,
    },
];
