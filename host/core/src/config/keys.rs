//! Every key of the configuration but those of the kinds: its meaning, its default, an example.
//!
//! One list serves the documentation (`wellcheck validate --explain`), the suggestions for mistyped
//! keys, and the test that no key is undocumented. The kinds list their own keys in the same shape;
//! the keys of limits come from the tables of [`crate::limits`].

mod check;
mod fetch;
mod grants;
mod import;
mod judgement;
mod maintenance;
mod module;
mod share;

use crate::limits::{HOST_LIMITS, LOAD_LIMITS, Limit, RUN_LIMITS};

pub use check::{CHECK, DEFAULTS, TIMING};
pub use fetch::{PLUGIN, REGISTRY};
pub use grants::{DIR_GRANT, GRANTS, HTTP_GRANT};
pub use import::IMPORT;
pub use judgement::JUDGEMENT;
pub use maintenance::{MAINTENANCE, RUNS};
pub use module::MODULE;
pub use share::{AGENT, ENVIRONMENT, SHARE};

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
    key("exec", "", "[exec]", "Which programs checks may run."),
    key("secrets", "", "[secrets]", "Values that only some may know, by name."),
    key("store", "", "[store]", "Where checks keep what they keep."),
    key("token", "", "[[token]]", "Who may call the routes that change something."),
    key("check", "", "[[check]]", "A check."),
    key("group", "", "[[group]]", "Several checks or groups as one."),
    key("endpoint", "", "[[endpoint]]", "A path that answers for some checks in some format."),
    key("listen", "", "[[listen]]", "A further address to listen on."),
    key("share", "", "[[share]]", "A target that can be asked about on demand."),
    key("agent", "", "[agent]", "What this instance is called by those who ask about shares."),
    key("environment", "", "[[environment]]", "Another instance that has shares."),
    key("module", "", "[[module]]", "How `GET /probe` looks at a target that the request names."),
    key("maintenance", "", "[[maintenance]]", "When somebody works on something."),
    key("runs", "", "[runs]", "How many checks run at once."),
    key("import", "", "[[import]]", "A file of another tool that makes checks."),
    key("plugin", "", "[[plugin]]", "A plugin that is fetched from a registry or a URL."),
    key("registry", "", "[[registry]]", "Who we are at a registry."),
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
    key(
        "routes",
        "all",
        "routes = [\"/livez\", \"/api/v1/checks\"]",
        "The built-in routes that it serves, as `GET /` names them; `[]` is none. Endpoints are served besides. Changing it takes a restart.",
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
        "The most that `plugins/NAME.toml` may grant. Whoever can drop a file must not be able to grant it anything, so the default is nothing. Its `env` is also what `${NAME}` may stand for in a sidecar. A sidecar is a regular file in the plugins folder, of at most 256 KiB and 16 checks; one that cannot be read or has a problem holds its own check.",
    ),
    key(
        "records",
        "5",
        "records = 20",
        "How many records of failing runs are kept of each check that a plugin runs, in memory, newest first; 0 to 1000, 0 for none. A record is what the run asked for and got, without secrets; `wellcheck check record` saves one, and `wellcheck plugin replay` runs it again.",
    ),
    key(
        "record-bytes",
        "\"256KiB\"",
        "record-bytes = \"1MiB\"",
        "Bytes of bodies, files and state in one record, at most 16 MiB; what is more is left out, and the record says so.",
    ),
    key(
        "records-bytes",
        "\"64MiB\"",
        "records-bytes = \"8MiB\"",
        "Bytes of all records together, at most 1 GiB; the oldest go first.",
    ),
    key(
        "keys",
        "none",
        "keys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]",
        "Public keys of minisign: every plugin that is fetched must be signed by one of them, unless its `key` says otherwise. They are also what `require-signed` asks for.",
    ),
    key(
        "require-signed",
        "false",
        "require-signed = true",
        "Whether files of the plugins folder must be signed by one of `keys` too: `NAME.wasm.minisig` lies beside `NAME.wasm`. One that is not is not loaded.",
    ),
    key(
        "limits",
        "see `[plugins.limits]`",
        "limits = { slots = 64 }",
        "What loading a plugin may use, and what the host holds ready for plugins.",
    ),
];

/// `[exec]`.
pub const EXEC: &[Key] = &[
    key(
        "enabled",
        "false",
        "enabled = true",
        "Whether checks may have the kind `exec`, which runs programs as the user of this process.",
    ),
    key(
        "dirs",
        "anywhere",
        "dirs = [\"/usr/lib/nagios/plugins\"]",
        "Folders, one of which each program must lie in, links followed; a program that is named without a folder is looked for in them.",
    ),
];

/// `[plugins.limits]`.
pub const PLUGIN_LIMITS: &[Key] = &joined::<{ LOAD_LIMITS.len() + HOST_LIMITS.len() }>(
    &limit_keys::<_, { LOAD_LIMITS.len() }>(LOAD_LIMITS),
    &limit_keys::<_, { HOST_LIMITS.len() }>(HOST_LIMITS),
);

/// `[defaults.limits]` and `[check.limits]`.
pub const LIMITS: &[Key] = &limit_keys::<_, { RUN_LIMITS.len() }>(RUN_LIMITS);

const fn limit_keys<T, const N: usize>(limits: &[Limit<T>]) -> [Key; N] {
    let mut keys = [key("", "", "", ""); N];
    let mut index = 0;
    while index < N {
        let limit = &limits[index];
        keys[index] = key(limit.name, limit.default, limit.example, limit.doc);
        index += 1;
    }
    keys
}

const fn joined<const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    let mut keys = [key("", "", "", ""); N];
    let mut index = 0;
    while index < N {
        keys[index] = match index.checked_sub(first.len()) {
            None => first[index],
            Some(rest) => second[rest],
        };
        index += 1;
    }
    keys
}

/// `[secrets]`, whose keys are names of the user's choice; this one stands for all of them.
pub const SECRETS: &[Key] = &[key(
    "name",
    "",
    "name = \"${file:/run/secrets/db}\"",
    "Any name, 1 to 63 of a-z, 0-9 and `-`, the first not `-`, and its value: a text that is not empty. Checks read it by the grant `secrets`; it is taken out of everything that is shown.",
)];

/// `[store]`.
pub const STORE: &[Key] = &[key(
    "path",
    "in the user's folder for state",
    "path = \"/var/lib/wellcheck/store.db\"",
    "The file in which checks keep what the grant `state` lets them keep, relative to the configuration file. Changing it takes a restart.",
)];

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
        "`view` reads everything, `operate` also runs checks and pushes outcomes, `admin` also reloads.",
    ),
];

const LABELS_KEY: Key = key(
    "labels",
    "none",
    "labels = { team = \"shop\" }",
    "Further facts, name and text, for formats that show them: at most 16, of at most 200 bytes.",
);

/// `[[group]]`.
pub const GROUP: &[Key] = &[
    key(
        "name",
        "",
        "name = \"checkout\"",
        "Unique among checks and groups, and written as the name of a check is.",
    ),
    key("title", "the name", "title = \"Checkout\"", "Free text for people, at most 200 bytes."),
    key(
        "members",
        "none",
        "members = [\"shop\", \"payment\"]",
        "Checks or groups, by name. A check counts in the aggregate through its groups. A group without members is `unknown` and does not count.",
    ),
    key(
        "healthy",
        "\"all\"",
        "healthy = \"any\"",
        "How many members must be well: `all` or `any`; see also `at-least`. The state of the group is the best status that so many members have or better.",
    ),
    key(
        "at-least",
        "all",
        "at-least = \"60%\"",
        "In place of `healthy`: a number of members, 1 to 100000, or a share of them, 1% to 100%; by weight, where there are `weights`.",
    ),
    key(
        "weights",
        "1 for each",
        "weights = { shop = 3 }",
        "How much members count, by name, 0 to 1000.",
    ),
    key(
        "unknown",
        "\"unhealthy\"",
        "unknown = \"left-out\"",
        "What an `unknown` member is taken for: `unhealthy`, `healthy`, or `left-out`, as if it were no member.",
    ),
    key(
        "failure-threshold",
        "1",
        "failure-threshold = 2",
        "How often in a row the members must argue for a worse state until the group has it, 1 to 100; they do so whenever a run of one of them has ended.",
    ),
    key(
        "success-threshold",
        "1",
        "success-threshold = 2",
        "Likewise, until the group is healthy again.",
    ),
    key("tags", "none", "tags = [\"core\"]", "For selecting groups."),
    LABELS_KEY,
];

/// `[[endpoint]]`.
pub const ENDPOINT: &[Key] = &[
    key(
        "path",
        "",
        "path = \"/actuator/health\"",
        "Begins with `/`; wins over a built-in route of the same path, but for those below `/api/` and `/-/`.",
    ),
    key(
        "format",
        "as the client asks, else health+json",
        "format = \"spring\"",
        "One of the formats that `GET /` lists.",
    ),
    key(
        "names",
        "see `tags`",
        "names = [\"shop\", \"checkout\"]",
        "Checks or groups that it answers for. What is in a group is shown, and the group counts.",
    ),
    key(
        "tags",
        "all, where there are no `names` either",
        "tags = [\"core\"]",
        "Checks and groups with one of these tags are in it.",
    ),
    key("exclude", "none", "exclude = [\"backup\"]", "Checks or groups that are left out."),
    key(
        "codes",
        "the format's own",
        "codes = { warn = 429, unknown = 500 }",
        "HTTP status codes by state (`pass`, `warn`, `unknown`, `fail`), 200 to 599.",
    ),
    key(
        "detail",
        "\"all\"",
        "detail = \"names\"",
        "How much it tells: `none` is the state alone, `names` also the names and states of checks and groups, `all` everything.",
    ),
    key(
        "detail-with-token",
        "as `detail`",
        "detail-with-token = \"all\"",
        "How much it tells those who come with a token of any role.",
    ),
    key(
        "standby",
        "\"healthy\"",
        "standby = \"unhealthy\"",
        "In the format `genesis`: whether a check in maintenance is `healthy` or `unhealthy`.",
    ),
    key(
        "listener",
        "every one",
        "listener = \"inside\"",
        "The `[[listen]]` that alone serves it, or `main` for the one of `[server]`.",
    ),
];

/// `[[listen]]`.
pub const LISTEN: &[Key] = &[
    key(
        "name",
        "",
        "name = \"inside\"",
        "What endpoints call it, written as the name of a check is; not `main`.",
    ),
    key(
        "address",
        "",
        "address = \"127.0.0.1:4569\"",
        "Address and port. Port 0 takes a free one. Changing a `[[listen]]` takes a restart.",
    ),
    key(
        "protocol",
        "\"http\"",
        "protocol = \"grpc\"",
        "`http`, or `grpc` for `grpc.health.v1`: the service is the name of a check or group, or nothing for all.",
    ),
    key(
        "routes",
        "all",
        "routes = [\"/health/status\"]",
        "The built-in routes that it serves, as `GET /` names them; `[]` is none. Endpoints are served besides: those that name the listener, and those that name none.",
    ),
];

/// Every section, in the order of the documentation.
pub const SECTIONS: &[Section] = &[
    Section { header: "[server]", doc: "Where and how to listen.", keys: SERVER },
    Section {
        header: "[defaults]",
        doc: "For every check; a check may override each.",
        keys: TIMING,
    },
    Section {
        header: "[defaults.limits]",
        doc: "What one run of a plugin may use; a check may override each.",
        keys: LIMITS,
    },
    Section {
        header: "[plugins]",
        doc: "Plugins: WebAssembly components in a folder.",
        keys: PLUGINS,
    },
    Section {
        header: "[plugins.limits]",
        doc: "What loading a plugin may use, and what the host holds ready for plugins.",
        keys: PLUGIN_LIMITS,
    },
    Section {
        header: "[exec]",
        doc: "Which programs checks may run. None, unless it says so. In `wellcheck.toml` alone.",
        keys: EXEC,
    },
    Section {
        header: "[secrets]",
        doc: "Values that only some may know. Also in files of `conf.d`.",
        keys: SECRETS,
    },
    Section { header: "[store]", doc: "Where checks keep what they keep.", keys: STORE },
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
        header: "[[check]]",
        doc: "What makes a check warn or fail besides what its kind says. Also in `[[module]]`.",
        keys: JUDGEMENT,
    },
    Section { header: "[[group]]", doc: "Several checks or groups as one.", keys: GROUP },
    Section {
        header: "[[endpoint]]",
        doc: "A path that answers for some checks in some format.",
        keys: ENDPOINT,
    },
    Section {
        header: "[[listen]]",
        doc: "A further address to listen on. In `wellcheck.toml` alone.",
        keys: LISTEN,
    },
    Section {
        header: "[[share]]",
        doc: "A target that can be asked about on demand, as zrok's agent does it.",
        keys: SHARE,
    },
    Section {
        header: "[agent]",
        doc: "What this instance is called by those who ask about shares. In `wellcheck.toml` alone.",
        keys: AGENT,
    },
    Section {
        header: "[[environment]]",
        doc: "Another instance, to which questions about its shares are passed on.",
        keys: ENVIRONMENT,
    },
    Section {
        header: "[[module]]",
        doc: "How `GET /probe` looks at a target that the request names. Also in files of `conf.d`.",
        keys: MODULE,
    },
    Section {
        header: "[[maintenance]]",
        doc: "When somebody works on something: what it is for runs and is shown, and does not count. Also in files of `conf.d`.",
        keys: MAINTENANCE,
    },
    Section { header: "[runs]", doc: "How many checks run at once.", keys: RUNS },
    Section {
        header: "[[import]]",
        doc: "A file of another tool that makes checks. Also in files of `conf.d`.",
        keys: IMPORT,
    },
    Section {
        header: "[[plugin]]",
        doc: "A plugin that is fetched. Also in files of `conf.d`.",
        keys: PLUGIN,
    },
    Section {
        header: "[[registry]]",
        doc: "Who we are at a registry, or where a URL leads. Also in files of `conf.d`.",
        keys: REGISTRY,
    },
    Section {
        header: "[check.grants]",
        doc: "What a check's plugin may reach. Nothing that is not named.",
        keys: GRANTS,
    },
    Section {
        header: "[[check.grants.http]]",
        doc: "A grant for HTTP requests to which the host adds something.",
        keys: HTTP_GRANT,
    },
    Section {
        header: "[[check.grants.dirs]]",
        doc: "A folder that a check's plugin sees under another path, or may write.",
        keys: DIR_GRANT,
    },
    Section {
        header: "[check.limits]",
        doc: "What one run of a check's plugin may use. Wall time is the check's `timeout`.",
        keys: LIMITS,
    },
];
