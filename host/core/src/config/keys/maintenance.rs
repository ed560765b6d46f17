//! `[[maintenance]]` and `[runs]`.

use super::{Key, key};

/// `[[maintenance]]`.
pub const MAINTENANCE: &[Key] = &[
    key(
        "title",
        "none",
        "title = \"Database upgrade\"",
        "What is done, for people, at most 200 bytes.",
    ),
    key(
        "names",
        "everything, where there are no `tags` either",
        "names = [\"db\", \"checkout\"]",
        "The checks and groups that it is for; a group stands for all that is in it.",
    ),
    key("tags", "none", "tags = [\"core\"]", "Checks and groups with one of these tags."),
    key(
        "from",
        "",
        "from = \"2026-12-01T22:00:00Z\"",
        "When a window that comes once opens: RFC 3339, or without an offset in `time-zone`.",
    ),
    key("to", "", "to = \"2026-12-02 02:00\"", "When it closes: at most 30d later."),
    key(
        "cron",
        "",
        "cron = \"0 3 * * SUN\"",
        "In place of `from` and `to`: when a window opens that comes again and again. Minute, hour, day of month, month and day of week, with seconds in front where six are given.",
    ),
    key("duration", "", "duration = \"2h\"", "How long it is open each time, 1s to 30d."),
    key(
        "time-zone",
        "\"UTC\"",
        "time-zone = \"Europe/Berlin\"",
        "The zone of `cron`, and of times without an offset: a name of the IANA database.",
    ),
];

/// `[runs]`.
pub const RUNS: &[Key] = &[
    key(
        "most",
        "as many as the file descriptors allow, at most 20000",
        "most = 500",
        "Runs at once, 1 to 100000; others wait for their turn.",
    ),
    key(
        "kinds",
        "none",
        "kinds = { http = 200, exec = 4 }",
        "Runs at once by kind, 1 to 100000, so that one kind cannot take the places of the others. `plugin` has three quarters of `most` at most in any case, and `exec` 128.",
    ),
];
