//! Every key of a test file: its meaning, its default, an example.
//!
//! One list serves the help of `wellcheck plugin test`, the suggestions for mistyped keys, and the
//! test that no key is undocumented.

use crate::config::keys::{Key, Section, key};

/// The tables of a file.
pub const FILE: &[Key] = &[
    key(
        "plugin",
        "the file that lies where builds leave it",
        "plugin = \"../json-number.wasm\"",
        "The plugin, relative to the test file.",
    ),
    key(
        "settings",
        "none",
        "settings = { pointer = \"/depth\" }",
        "Settings of every test; a test's own keys come on top.",
    ),
    key(
        "grants",
        "none",
        "grants = { http = [\"http://queue.test\"] }",
        "Grants of every test, as a check has them; a test's own keys come on top. `dirs` are paths as the plugin sees them.",
    ),
    key(
        "accept",
        "none",
        "accept = { \"GET http://queue.test/*: html\" = \"the page is not looked at\" }",
        "What `--faults` breaks and the check need not notice: `THING: FAULT`, in which `*` stands for anything, and why.",
    ),
    key("test", "", "[[test]]", "A test."),
];

/// `[[test]]`.
pub const TEST: &[Key] = &[
    key("name", "", "name = \"a number within its bounds passes\"", "A sentence; each its own."),
    key("settings", "none", "settings = { warn = 10 }", "On top of those of the file."),
    key("grants", "none", "grants = { state = \"4KiB\" }", "On top of those of the file."),
    key(
        "timeout",
        "\"10s\"",
        "timeout = \"2s\"",
        "Longest the run may take, by the clock of its world, 1ms to 7d.",
    ),
    key("world", "an empty one", "[test.world]", "What the plugin sees."),
    key("expect", "", "[test.expect]", "What should come of it; at least one key."),
    key(
        "accept",
        "none",
        "accept = { \"check db: stale\" = \"its age does not matter\" }",
        "As that of the file, for this test.",
    ),
];

/// `[test.world]`.
pub const WORLD: &[Key] = &[
    key(
        "now",
        "2026-01-01T00:00:00Z",
        "now = \"2026-01-31T12:00:00Z\"",
        "The wall clock at the start. Where it is given, `--faults` turns it.",
    ),
    key(
        "random",
        "0",
        "random = 7",
        "What random numbers are made of: a number, or 64 hexadecimal digits.",
    ),
    key(
        "failures-in-a-row",
        "0",
        "failures-in-a-row = 2",
        "Runs before this one that did not pass.",
    ),
    key("env", "none", "env = { TZ = \"UTC\" }", "The environment; the grant `env` decides."),
    key(
        "secrets",
        "none",
        "secrets = { signing-key = \"x\" }",
        "Secrets by name; the grant `secrets` decides.",
    ),
    key(
        "state",
        "none",
        "state = { last = \"abc\" }",
        "What the check has kept: texts, or `{ base64 = \"...\" }`.",
    ),
    key(
        "files",
        "none",
        "files = { \"/data/queue.txt\" = \"12\\n\" }",
        "Files in the folders of the grant `dirs`, by the path that the plugin sees: texts, or `{ base64 = \"...\" }`.",
    ),
    key("http", "none", "[[test.world.http]]", "What is answered; the first that fits is taken."),
    key("check", "none", "[[test.world.check]]", "How another check is."),
];

/// `[[test.world.http]]`.
pub const HTTP: &[Key] = &[
    key(
        "request",
        "",
        "request = \"GET http://queue.test/depth\"",
        "Which requests: a URL, in which `*` stands for anything, and before it a method; any method without.",
    ),
    key("times", "always", "times = 1", "How often, 1 to 10000; then the next that fits."),
    key("status", "200", "status = 503", "The status code, 100 to 599."),
    key(
        "headers",
        "none; `json` has a `content-type`",
        "headers = { content-type = \"text/plain\" }",
        "Headers by name: a text, or a list of texts.",
    ),
    key("body", "empty", "body = \"depth 7\"", "A text, or `{ base64 = \"...\" }`."),
    key("json", "none", "json = { depth = 7 }", "In place of `body`: a value, sent as JSON."),
    key(
        "file",
        "none",
        "file = \"answer.json\"",
        "In place of `body`: a file, relative to the test file.",
    ),
    key("delay", "\"0s\"", "delay = \"200ms\"", "Until the head of the answer, or `fail`."),
    key(
        "fail",
        "none",
        "fail = \"refused\"",
        "No answer: `silence`, or why: `refused`, `resolve`, `unreachable`, `timeout`, `closed`, `tls-expired`, ...",
    ),
    key(
        "broken",
        "none",
        "broken = \"closed\"",
        "How the body ends, if not as it should: a word as for `fail`.",
    ),
];

/// `[[test.world.check]]`.
pub const CHECK: &[Key] = &[
    key("name", "", "name = \"db\"", "Its name; the grant `checks` decides."),
    key("state", "", "state = \"fail\"", "`pass`, `warn`, `fail` or `unknown`."),
    key("reason", "none", "reason = \"timeout\"", "Why, as a word."),
    key("message", "empty", "message = \"no answer\"", "What its last run said."),
    key("age", "it has not run", "age = \"3s\"", "How long ago its last run ended."),
    key("observations", "none", "observations = { depth = 3 }", "What its last run measured."),
];

/// `[test.expect]`.
pub const EXPECT: &[Key] = &[
    key("status", "any", "status = \"pass\"", "`pass`, `warn`, `fail`, or `unknown` for a fault."),
    key(
        "reason",
        "any",
        "reason = \"bad-settings\"",
        "Why, as `wellcheck run` shows it in brackets.",
    ),
    key("message", "any", "message = \"*is 7*\"", "What it says; `*` stands for anything."),
    key(
        "observations",
        "any",
        "observations = { depth = 7, \"age{queue=\\\"a\\\"}\" = \"0:60\" }",
        "Some of what it measures, by name and labels: a number, or a range of monitoring plugins.",
    ),
    key("parts", "any", "parts = { a = \"pass\" }", "The status of some of its parts, by name."),
    key(
        "details",
        "any",
        "details = { server = \"nginx*\" }",
        "Some of its details, by name; `*` stands for anything.",
    ),
    key(
        "requests",
        "any",
        "requests = [\"GET http://queue.test/depth\"]",
        "All requests, in order, written as `request` is.",
    ),
    key(
        "state",
        "any",
        "state = { last = \"7\" }",
        "All that the check keeps afterwards; `*` stands for anything.",
    ),
];

/// Every table of a test file.
pub const SECTIONS: &[Section] = &[
    Section { header: "the file", doc: "A TOML file beside the plugin.", keys: FILE },
    Section { header: "[[test]]", doc: "One run in a world of its own.", keys: TEST },
    Section {
        header: "[test.world]",
        doc: "What the plugin sees. There is nothing else.",
        keys: WORLD,
    },
    Section { header: "[[test.world.http]]", doc: "What is answered to requests.", keys: HTTP },
    Section { header: "[[test.world.check]]", doc: "How another check is.", keys: CHECK },
    Section {
        header: "[test.expect]",
        doc: "What should come of the run. What is not named may be anything.",
        keys: EXPECT,
    },
];
