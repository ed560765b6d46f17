//! The keys of what a check's plugin may reach.

use super::{Key, key};

/// `[check.grants]`.
pub const GRANTS: &[Key] = &[
    key(
        "http",
        "none",
        "http = [\"https://api.example.com\", \"GET,HEAD https://*.example.com/v1\", \"http://10.0.0.0/8:8080\"]",
        "Where HTTP requests may go: `[METHODS ]scheme://host[:port][/path]`, the host a name, `*.name`, an address or a network. Without methods, every method; a path is a prefix of whole segments. A private address must be named as an address or network. A table also adds something to the requests: see `[[check.grants.http]]`.",
    ),
    key(
        "sockets",
        "none",
        "sockets = [\"tcp://db.internal:5432\", \"udp://10.0.0.0/8:53\"]",
        "Where sockets may lead: `tcp` or `udp`, `://`, a host as for `http`, and a port. A private address must be named as an address or network.",
    ),
    key(
        "dns",
        "the names of `sockets`",
        "dns = [\"db.internal\", \"*.example.com\"]",
        "Names that may be resolved.",
    ),
    key(
        "dirs",
        "none",
        "dirs = [\"/var/spool/mail\", { host = \"/srv/data\", guest = \"/data\", write = true }]",
        "Folders that the plugin sees: a path for reading, the same for the plugin, or a table: see `[[check.grants.dirs]]`.",
    ),
    key(
        "env",
        "none",
        "env = [\"TZ\"]",
        "Variables of the environment that the plugin sees, by name.",
    ),
    key(
        "secrets",
        "none",
        "secrets = [\"db-password\"]",
        "Entries of `[secrets]` that the plugin may read, by name.",
    ),
    key(
        "checks",
        "none",
        "checks = [\"db\", \"cache-*\"]",
        "Checks whose latest outcome the plugin may read, by name, or by the start of a name with `*` after it.",
    ),
    key(
        "state",
        "\"0B\"",
        "state = \"64KiB\"",
        "Bytes that the check may keep from run to run, names and values together, 0 B to 16 MiB. What does not fit is refused.",
    ),
];

/// `[[check.grants.http]]`: a grant that also adds something to the requests that it allows.
pub const HTTP_GRANT: &[Key] = &[
    key(
        "url",
        "",
        "url = \"https://api.example.com/v1\"",
        "Where requests may go, as a text in `http` says it.",
    ),
    key(
        "headers",
        "none",
        "headers = { authorization = \"Bearer ${API_TOKEN}\" }",
        "Headers that the host adds on the way out, in place of the plugin's own. The plugin never sees them; not in a sidecar.",
    ),
    key(
        "basic-auth",
        "none",
        "basic-auth = \"user:${API_TOKEN}\"",
        "User and password that the host adds as the header `authorization`. The plugin never sees them; not in a sidecar.",
    ),
    key(
        "client-certificate",
        "none",
        "client-certificate = \"${file:client.pem}\"",
        "The certificate, as PEM, that the host shows to an `https` target, together with `client-key`; not in a sidecar.",
    ),
    key(
        "client-key",
        "none",
        "client-key = \"${file:client-key.pem}\"",
        "The key of `client-certificate`, as PEM. The plugin never sees it; not in a sidecar.",
    ),
];

/// `[[check.grants.dirs]]`.
pub const DIR_GRANT: &[Key] = &[
    key("host", "", "host = \"/srv/data\"", "The folder: an absolute path without `..`."),
    key(
        "guest",
        "that of `host`",
        "guest = \"/data\"",
        "The path under which the plugin sees it: absolute, without `.` and `..`, and of this folder alone.",
    ),
    key("write", "false", "write = true", "Whether the plugin may write there too."),
];
