//! The keys by which a check judges its own runs.

use super::{Key, key};

/// What stands in `[[check]]` and `[[module]]` besides.
pub const JUDGEMENT: &[Key] = &[
    key(
        "fail",
        "none",
        "fail = [\"latency > 2s\", \"observation.queue-depth > 1000\"]",
        "Conditions, at most 32: expressions of CEL over the facts of the kind, which `wellcheck kinds NAME` lists, and over `latency`, `message`, `observation.NAME` and `detail.NAME`. One that is true makes the check fail, with what it found in its message. So does one whose facts are not there, unless `has(…)` asks for them first. Durations (`500ms`, `1m30s`, `14d`) and sizes (`10KiB`) stand without quotes; spaces go around a minus. Texts have `contains`, `startsWith`, `endsWith`, `lower()`, `size()` and `matches(r\"…\")`; JSON is `json.a.b[0]`, or `json.path(\"$.items[?@.state=='bad']\")` by JSONPath; lists have `in`, `size()`, `all(i, …)`, `exists(i, …)`, `exists_one`, `filter` and `map`.",
    ),
    key(
        "warn",
        "none",
        "warn = [\"certificate.days-left < 14\"]",
        "Likewise, for a warning. Conditions make an outcome worse and never better, and are not asked where it fails already.",
    ),
    key(
        "latency-warn",
        "none",
        "latency-warn = \"500ms\"",
        "A run that takes longer warns, with the reason `slow`.",
    ),
    key(
        "latency-fail",
        "none",
        "latency-fail = \"2s\"",
        "A run that takes longer fails, with the reason `slow`. Shorter than the timeout, after which it fails in any case.",
    ),
    key(
        "bounds",
        "none",
        "bounds = { queue-depth = { warn = \"0:100\", fail = \"~:200\" } }",
        "Bounds of observations, by name, at most 64: ranges as monitoring plugins have them, outside of which the check warns or fails. They are shown with the observation, in place of those that it brings along; an observation that is not there is outside of them.",
    ),
    key(
        "own-bounds",
        "false",
        "own-bounds = true",
        "Whether the ranges that observations bring along (of plugins, of perfdata) decide too. They are shown in any case.",
    ),
    key(
        "invert",
        "false",
        "invert = true",
        "Whether pass and fail change places, after all else: for what must not be reachable. Warnings and faults stay what they are.",
    ),
];
