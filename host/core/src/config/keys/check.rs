//! `[defaults]` and `[[check]]`: what every kind has.

use super::{Key, LABELS_KEY, key};

/// `[defaults]`, and the same keys of a check.
pub const TIMING: &[Key] = &[
    key(
        "interval",
        "\"30s\"",
        "interval = \"15s\"",
        "From run to run, 50ms to 7d. In a sidecar at least 1s, unless `[defaults]` has less.",
    ),
    key(
        "timeout",
        "\"10s\", or the interval if that is shorter",
        "timeout = \"5s\"",
        "Longest a run may take, 1ms to the interval. A target that is slower fails; a plugin that is slower faults. In a sidecar at most what `[defaults]` has.",
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
        "failure-threshold = \"3 of 5\"",
        "Outcomes in a row, worse than the state, until the state changes, 1 to 100; or so many of so many recent ones, at most 100. The first outcome decides at once.",
    ),
    key(
        "retry-interval",
        "the interval",
        "retry-interval = \"5s\"",
        "From run to run while outcomes argue for a worse state and have not done so often enough, 50ms to the interval.",
    ),
    key(
        "stale-after",
        "10",
        "stale-after = 3",
        "After so many intervals without a run nobody knows the state: it is `unknown` for the reason `stale`, until one ends. 0 to 1000; 0 is never.",
    ),
    key(
        "flapping",
        "true",
        "flapping = false",
        "Whether a check is shown as flapping while 8 or more of its last 20 steps from outcome to outcome were changes between healthy and not, until fewer than 4 are.",
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

/// `[defaults]`: what stands there besides the timing.
pub const DEFAULTS: &[Key] = &[
    key(
        "limits",
        "see `[defaults.limits]`",
        "limits = { cpu = \"500ms\" }",
        "What one run of a plugin may use.",
    ),
    key(
        "depends-on",
        "none",
        "depends-on = [\"uplink\"]",
        "What every check depends on that says nothing of it, but for those named here and those with `uplink`.",
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
    key(
        "limits",
        "those of `[defaults.limits]`",
        "limits = { cpu = \"1s\", memory = \"128MiB\" }",
        "For a plugin: what one run may use. A sidecar may lower a limit but not raise it.",
    ),
    key("enabled", "true", "enabled = false", "Whether the check exists at all."),
    key("tags", "none", "tags = [\"core\"]", "For selecting checks."),
    LABELS_KEY,
    key(
        "maintenance",
        "false",
        "maintenance = true",
        "Whether somebody works on its target: it runs and is shown, and does not count.",
    ),
    key(
        "depends-on",
        "none",
        "depends-on = [\"db\"]",
        "Checks or groups, by name, without which this check cannot be healthy. While one of them is not, this check runs on; if it fails then, it is `unknown` for the reason `blocked`, which is no failure of its own, and what it is blocked by is named.",
    ),
    key(
        "uplink",
        "false",
        "uplink = true",
        "Whether this check watches our own connection: while it fails, what depends on it is `unknown` for the reason `offline`. A fault of its own says nothing of the connection.",
    ),
    key(
        "start-after",
        "none",
        "start-after = [\"db\"]",
        "Checks or groups, by name, each of which must have been healthy once before this check runs for the first time.",
    ),
    key(
        "cron",
        "none",
        "cron = \"0 6 * * MON-FRI\"",
        "Runs at these times, and once at the start, in place of every `interval`: minute, hour, day of month, month and day of week, with seconds in front where six are given. `jitter` spreads the runs.",
    ),
    key(
        "time-zone",
        "\"UTC\"",
        "time-zone = \"Europe/Berlin\"",
        "The zone of `cron`: a name of the IANA database.",
    ),
    key(
        "startup-interval",
        "none",
        "startup-interval = \"5s\"",
        "From run to run until the check has been healthy for the first time, 50ms to 7d; `interval` holds from then on.",
    ),
    key(
        "startup-deadline",
        "none",
        "startup-deadline = \"2m\"",
        "How long the start-up phase may last, 50ms to 7d. Until then failures are not believed: the check is `unknown` for the reason `starting`.",
    ),
    key(
        "startup-with",
        "the check itself",
        "startup-with = \"web\"",
        "A group: the start-up phase ends when that has been healthy for the first time.",
    ),
    key(
        "continuous",
        "true",
        "continuous = false",
        "Whether the check goes on to run after its start-up phase; if not, it stays as it was then. `false` goes with `startup-interval`.",
    ),
];
