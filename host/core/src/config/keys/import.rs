//! The keys of files of other tools.

use super::{Key, key};

/// `[[import]]`.
pub const IMPORT: &[Key] = &[
    key(
        "job",
        "",
        "job = \"job.json\"",
        "A Nosana job definition, relative to `wellcheck.toml`, of at most 16 MiB: each health check of its exposed ports is a check, and each port a group. It is read again when it changes.",
    ),
    key(
        "hosts",
        "127.0.0.1 for each",
        "hosts = { web = \"10.0.0.7\" }",
        "Where the operations of the job run: id, and name or address.",
    ),
    key(
        "startup-interval",
        "\"5s\"",
        "startup-interval = \"1s\"",
        "From run to run until all checks of a port have passed, 50ms to 7d.",
    ),
    key(
        "interval",
        "\"30s\"",
        "interval = \"10s\"",
        "From run to run afterwards, of the checks with `continuous`, 50ms to 7d.",
    ),
];
