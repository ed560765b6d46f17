//! Every hostile guest as checks of their own, with the settings that make it hostile.
//!
//! `tests/guests/CASES.md` says what each does. A guest that is built and not listed here is an
//! error, so that a new one is not forgotten.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// A guest, its settings, its grants.
///
/// `HTTP` stands for the address that misbehaves, `UDP` for one that takes datagrams and says
/// nothing, `DOOR` for the port of an address that no grant covers, `DIR` for a folder.
type Row = (&'static str, &'static str, &'static str);

/// Leave to ask the address that misbehaves.
const ASK: &str = "http = \"http://HTTP\"";
const FOLDER: &str = "dirs = { host = \"DIR\", guest = \"/data\", write = true }";
const LITTLE_STATE: &str = "state = \"1KiB\"";
const STATE: &str = "state = \"4KiB\"";

const ROWS: &[Row] = &[
    // Computing, and memory.
    ("spin", "", ""),
    ("flood-calls", "call = \"context\"", ""),
    ("flood-calls", "call = \"clock\"", ""),
    ("flood-calls", "call = \"random\"", ""),
    ("fill-memory", "", ""),
    ("grow-memory", "", ""),
    ("eat-memory", "", ""),
    ("split-memory", "", ""),
    ("grow-table", "", ""),
    ("deep-recursion", "", ""),
    // What a run returns.
    ("big-result", "", ""),
    ("big-result", "bytes = 100_000", ""),
    ("bad-pointer", "", ""),
    ("bad-utf8", "", ""),
    ("bad-status", "", ""),
    ("bad-option", "", ""),
    ("not-finite", "", ""),
    ("huge-list", "", ""),
    ("many-observations", "", ""),
    ("many-observations", "count = 200", ""),
    ("same-text-again", "", ""),
    ("bad-names", "which = \"spelling\"", ""),
    ("bad-names", "which = \"long\"", ""),
    ("bad-names", "which = \"duplicates\"", ""),
    ("name-churn", "", ""),
    ("name-churn", "labels = true", ""),
    // What it prints.
    ("flood-logs", "", ""),
    ("flood-logs", "lines = 800, bytes = 200", ""),
    ("print", "stdout = 500_000, stderr = 500_000", ""),
    ("print", "text = \"\\u001B[31m2026-01-01T00:00:00Z ERROR forged\\nsecond\"", ""),
    ("inject-logs", "", ""),
    // Waiting, and leaving things behind.
    ("poll-forever", "what = \"never\"", ""),
    ("poll-forever", "what = \"year\"", ""),
    ("poll-forever", "what = \"nothing\"", ""),
    ("sleep", "ms = 900", ""),
    ("sleep", "ms = 31_536_000_000", ""),
    ("leak-pollables", "", ""),
    ("leak-pollables", "count = 100", ""),
    ("endless-request", "url = \"http://HTTP/silent\", op = \"upload\"", ASK),
    ("endless-request", "url = \"http://HTTP/silent\", op = \"headers\"", ASK),
    ("read-for-ever", "url = \"http://HTTP/endless\"", ASK),
    ("read-for-ever", "url = \"http://HTTP/trickle\"", ASK),
    ("many-requests", "url = \"http://HTTP/slow\"", ASK),
    ("many-requests", "url = \"http://HTTP/slow\", at-once = true", ASK),
    ("zero-timeout", "url = \"http://HTTP/silent\"", ASK),
    ("zero-timeout", "url = \"http://HTTP/silent\", huge = true", ASK),
    // Where it may not go. None of this leaves the machine: what is granted is on it.
    ("ssrf", "port = DOOR", "http = \"http://HTTP\""),
    (
        "http-get",
        "url = \"http://rebound.localhost:DOOR/\", times = 3",
        "http = \"http://*.localhost:DOOR\"",
    ),
    ("http-get", "url = \"http://HTTP/slow\", times = 1000", ASK),
    ("follow-redirects", "url = \"http://HTTP/away\"", ASK),
    ("follow-redirects", "url = \"http://HTTP/again\", hops = 1000", ASK),
    ("smuggle", "url = \"http://HTTP/mirror\"", ASK),
    ("sockets", "op = \"tcp\", target = \"HTTP\", times = 1000", "sockets = \"tcp://HTTP\""),
    ("sockets", "op = \"tcp\", target = \"127.0.0.1:DOOR\"", "sockets = \"tcp://HTTP\""),
    ("sockets", "op = \"udp\", target = \"UDP\", send = \"hello\"", "sockets = \"udp://UDP\""),
    ("sockets", "op = \"dns\", target = \"localhost:DOOR\", times = 1000", "dns = \"localhost\""),
    ("sockets", "op = \"listen\", target = \"127.0.0.1:0\"", ""),
    ("connect", "target = \"127.0.0.1:DOOR\"", ""),
    // The process around it, and what is left from run to run.
    ("env-and-files", "", ""),
    ("env-and-files", "read = \"/data/fifo\", write = \"/data/fifo\"", FOLDER),
    ("escape", "write = true, paths = [\"fifo\", \"up\", \"proc\"]", FOLDER),
    ("trap", "", ""),
    ("divide-by-zero", "", ""),
    ("out-of-bounds", "", ""),
    ("bad-call", "", ""),
    ("exit", "", ""),
    ("reenter", "", ""),
    ("random-bytes", "", ""),
    ("random-bytes", "bytes = 65_536", ""),
    ("leak-between-runs", "", ""),
    ("remember", "set = { note = \"kept\" }, get = [\"note\"]", STATE),
    ("remember", "then = \"trap\"", STATE),
    ("remember", "then = \"spin\"", STATE),
    ("remember", "", ""),
    ("abuse-state", "op = \"value\"", LITTLE_STATE),
    ("abuse-state", "op = \"keys\"", LITTLE_STATE),
    ("abuse-state", "op = \"grow\"", "state = \"1MiB\""),
    ("abuse-state", "op = \"churn\"", LITTLE_STATE),
    ("ask-checks", "names = [\"good-0\", \"nobody\"]", "checks = \"good-*\""),
    ("read-secrets", "names = [\"soak\", \"other\"]", "secrets = \"soak\""),
    ("read-secrets", "names = [\"soak\"], fault = true, encoded = true", "secrets = \"soak\""),
    // Files that are no good plugin, or take long to find that out.
    ("spin-at-start", "", ""),
    ("spin-in-describe", "", ""),
    ("hang-in-describe", "", ""),
    ("huge-memory", "", ""),
    ("many-memories", "", ""),
    ("many-tables", "", ""),
    ("many-instances", "", ""),
    ("core-module", "", ""),
    ("wrong-world", "", ""),
    ("missing-export", "", ""),
    ("other-types", "", ""),
    ("other-run", "", ""),
    ("unknown-import", "", ""),
    ("calls-later", "", ""),
    ("other-line", "", ""),
    ("bomb-function", "", ""),
    ("bomb-functions", "", ""),
    ("bomb-nesting", "", ""),
    ("schema-regex", "text = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", ""),
    ("schema-regex-size", "", ""),
    ("schema-remote", "", ""),
    ("schema-recursive", "", ""),
    ("schema-enum", "", ""),
    ("schema-deep", "", ""),
    ("wants-little", "", ""),
    ("wants-more", "", ""),
];

/// Guests that do as they are told. `minimal` is among the good checks.
const HARMLESS: &[&str] = &["echo", "later-minor", "minimal", "older-minor"];

/// The guest whose settings do not fit its schema, on purpose. That is seen when it is loaded; a
/// later configuration with them would be refused as a whole.
pub(super) const MISFIT: &str = "schema-regex";

/// What the words in capitals stand for.
pub(super) struct Places<'a> {
    pub(super) http: String,
    pub(super) udp: String,
    pub(super) door: u16,
    pub(super) dir: &'a Path,
}

/// Every guest that is used, once.
pub(super) fn plugins() -> BTreeSet<&'static str> {
    ROWS.iter().map(|(plugin, ..)| *plugin).collect()
}

/// How many checks they make.
pub(super) const CHECKS: usize = ROWS.len();

/// Each guest that is built is used here, and the other way round.
pub(super) fn complete(guests: &Path) -> Result<()> {
    let shown = guests.display();
    let mut built = BTreeSet::new();
    let dir = guests
        .read_dir()
        .with_context(|| format!("no guests in `{shown}` (`plugins/build --guests` makes them)"))?;
    for entry in dir {
        let path = entry.with_context(|| format!("reading the folder `{shown}`"))?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            built.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    let used: BTreeSet<String> =
        plugins().iter().chain(HARMLESS).map(|name| (*name).to_owned()).collect();
    let unused: Vec<&String> = built.difference(&used).collect();
    ensure!(unused.is_empty(), "the soak does not use {unused:?}: add rows to soak/hostile.rs");
    let missing: Vec<&String> = used.difference(&built).collect();
    ensure!(
        missing.is_empty(),
        "no {missing:?} in `{shown}` (`plugins/build --guests` makes them)"
    );
    Ok(())
}

/// The configuration of all these checks. In another round they have other names, so that none of
/// them backs off any more.
pub(super) fn checks(places: &Places<'_>, round: u32) -> String {
    let dir = places.dir.display().to_string();
    let door = places.door.to_string();
    let place = |text: &str| {
        text.replace("HTTP", &places.http)
            .replace("UDP", &places.udp)
            .replace("DOOR", &door)
            .replace("DIR", &dir)
    };
    let mut text = "[secrets]\nsoak = \"nobody may see this\"\n".to_owned();
    for (index, (plugin, settings, grants)) in ROWS.iter().enumerate() {
        let is_known_misfit = *plugin == MISFIT && round > 0;
        let settings = if is_known_misfit { String::new() } else { place(settings) };
        let grants = place(grants);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[check]]\nname = \"hostile-{round}-{index}-{plugin}\"\nplugin = \"{plugin}\"\n\
             settings = {{ {settings} }}\n[check.grants]\n{grants}\n"
        );
    }
    text
}
