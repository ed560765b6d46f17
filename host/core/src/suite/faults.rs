//! What `--faults` breaks: the table of faults, and the worlds in which one thing is broken.
//!
//! A test that passes says what a check uses: requests, files, state, other checks, secrets, the
//! clock. For each of them there are faults of its kind; each makes a world of its own, which is
//! that of the test but for this. A fault of a request holds for every request of that method and
//! URL: what is broken stays so for the rest of the run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::pattern::{matches, matches_request, request};
use super::replies;
use super::{Accept, Scripted, Test, World};
use crate::record::{Reply, Standing};
use crate::status::Status;
use crate::time::WallTime;

/// Ten years, in milliseconds.
const TEN_YEARS: i64 = 3_652 * 86_400_000;
/// The age of a stale check: thirty days, in milliseconds.
const STALE: f64 = 30.0 * 86_400_000.0;
/// Most requests of one test, told apart by method and URL, that are broken.
const MAX_REQUESTS: usize = 64;

/// One way in which something goes wrong.
#[derive(Debug)]
pub struct Fault {
    /// What it is called, in `accept` too.
    pub name: &'static str,
    /// What is broken, for people.
    pub doc: &'static str,
    of: Of,
}

/// What is broken, and how. A function gives `None` where the fault makes no sense.
#[derive(Debug)]
enum Of {
    Request(fn(&Got<'_>) -> Option<Bad>),
    File(fn(&[u8]) -> Option<Change>),
    State(fn(&[u8]) -> Option<Change>),
    Check(fn(&Standing) -> Option<Option<Standing>>),
    Secret,
    Clock(fn(WallTime) -> WallTime),
}

/// What becomes of bytes.
pub(super) enum Change {
    /// They are not there any more.
    Gone,
    /// They are others.
    To(Vec<u8>),
}

/// A request, and what it got when all was well.
pub(super) struct Got<'a> {
    /// Absolute.
    pub(super) url: &'a str,
    pub(super) reply: &'a Reply,
    /// Of the run.
    pub(super) timeout: Duration,
}

/// What it gets instead.
pub(super) struct Bad {
    pub(super) reply: Reply,
    /// What is there besides, for who follows it.
    pub(super) also: Option<Scripted>,
}

const fn of_request(
    name: &'static str,
    doc: &'static str,
    function: fn(&Got<'_>) -> Option<Bad>,
) -> Fault {
    Fault { name, doc, of: Of::Request(function) }
}

/// Every fault, in the order in which they are tried.
pub const FAULTS: &[Fault] = &[
    of_request("refused", "the connection is refused", replies::refused),
    of_request("no-name", "the name does not resolve", replies::no_name),
    of_request("silence", "no answer comes", replies::silence),
    of_request("expired", "the certificate has expired", replies::expired),
    of_request("status-500", "the same answer, with the status 500", replies::status_500),
    of_request("status-404", "an error page, with the status 404", replies::status_404),
    of_request("login", "a redirect to a login page", replies::login),
    of_request("html", "an error page, with the status of the answer", replies::html),
    of_request("empty-body", "an answer without a body", replies::empty_body),
    of_request("short-body", "half of the body, ended properly", replies::short_body),
    of_request("cut-body", "the connection is closed in the middle of the body", replies::cut_body),
    of_request("slow-body", "the body comes more slowly than the timeout", replies::slow_body),
    of_request("json-object", "`{}` in place of the JSON", replies::json_object),
    of_request("json-array", "`[]` in place of the JSON", replies::json_array),
    of_request("json-null", "`null` in place of the JSON", replies::json_null),
    of_request("json-texts", "the JSON with every number as a text", replies::json_texts),
    Fault { name: "missing", doc: "the file is not there", of: Of::File(gone) },
    Fault { name: "empty", doc: "the file is empty", of: Of::File(emptied) },
    Fault { name: "cut", doc: "the file ends in its middle", of: Of::File(halved) },
    Fault { name: "garbage", doc: "the file holds something else", of: Of::File(garbled) },
    Fault { name: "missing", doc: "nothing is kept under this key", of: Of::State(gone) },
    Fault { name: "garbage", doc: "something else is kept under this key", of: Of::State(garbled) },
    Fault { name: "missing", doc: "there is no such check", of: Of::Check(no_check) },
    Fault { name: "unknown", doc: "the check is unknown", of: Of::Check(unknown) },
    Fault { name: "stale", doc: "the check last ran thirty days ago", of: Of::Check(stale) },
    Fault { name: "missing", doc: "there is no such secret", of: Of::Secret },
    Fault { name: "ahead", doc: "the clock is ten years ahead", of: Of::Clock(ahead) },
    Fault { name: "behind", doc: "the clock is ten years behind", of: Of::Clock(behind) },
];

fn gone(_: &[u8]) -> Option<Change> {
    Some(Change::Gone)
}

fn emptied(bytes: &[u8]) -> Option<Change> {
    (!bytes.is_empty()).then(|| Change::To(Vec::new()))
}

fn halved(bytes: &[u8]) -> Option<Change> {
    (bytes.len() > 1).then(|| Change::To(bytes[..bytes.len() / 2].to_vec()))
}

/// As long as it was, and neither a text nor a number.
fn garbled(bytes: &[u8]) -> Option<Change> {
    let garbage = [0xff, b'?', 0x00, b'{'].into_iter().cycle();
    let garbage: Vec<u8> = garbage.take(bytes.len().max(4)).collect();
    (garbage != bytes).then_some(Change::To(garbage))
}

fn no_check(_: &Standing) -> Option<Option<Standing>> {
    Some(None)
}

fn unknown(standing: &Standing) -> Option<Option<Standing>> {
    let unknown = Standing {
        state: Status::Unknown.as_str().to_owned(),
        reason: Some("timeout".to_owned()),
        message: "the run took longer than its timeout".to_owned(),
        observations: Vec::new(),
        ..standing.clone()
    };
    (standing.state != unknown.state).then_some(Some(unknown))
}

fn stale(standing: &Standing) -> Option<Option<Standing>> {
    (standing.age.is_none_or(|age| age < STALE))
        .then(|| Some(Standing { age: Some(STALE), ..standing.clone() }))
}

fn ahead(now: WallTime) -> WallTime {
    WallTime(now.0.saturating_add(TEN_YEARS))
}

fn behind(now: WallTime) -> WallTime {
    WallTime(now.0.saturating_sub(TEN_YEARS).max(0))
}

/// What the run of a test used.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Method, URL, and which answer of the test's world there was for it.
    pub requests: Vec<(String, String, Option<usize>)>,
    /// Paths.
    pub files: BTreeSet<String>,
    /// Keys that were read.
    pub state: BTreeSet<String>,
    /// Names.
    pub checks: BTreeSet<String>,
    /// Names.
    pub secrets: BTreeSet<String>,
}

/// A world in which one thing is broken.
#[derive(Debug, Clone)]
pub struct Case {
    /// What: `GET http://a/`, `file /a`, `state a`, `check a`, `secret a`, `clock`.
    pub thing: String,
    /// How: the name of a [`Fault`].
    pub fault: &'static str,
    /// The same for people.
    pub doc: &'static str,
    /// The world.
    pub world: World,
}

impl Case {
    /// `THING: FAULT`, as `accept` names it.
    pub fn name(&self) -> String {
        format!("{}: {}", self.thing, self.fault)
    }

    /// What accepts that this is not noticed.
    pub fn accepted<'a>(&self, mut list: impl Iterator<Item = &'a Accept>) -> Option<&'a Accept> {
        list.find(|accept| {
            let Some((thing, fault)) = accept.pattern.rsplit_once(": ") else { return false };
            let same_thing = matches(thing, &self.thing)
                || match request(&self.thing) {
                    (Some(method), url) if url.contains("://") => {
                        matches_request(thing, method, url)
                    }
                    _ => false,
                };
            matches(fault, self.fault) && same_thing
        })
    }
}

/// Whether a check that was `before` has noticed that something is broken: it is worse, or at fault.
pub fn is_noticed(before: Status, after: Status) -> bool {
    let rank = |status| match status {
        Status::Pass => 0,
        Status::Warn => 1,
        Status::Fail => 2,
        Status::Unknown => 3,
    };
    rank(after) > rank(before)
}

/// Every world in which one thing is broken that the test's run used.
pub fn cases(test: &Test, used: &Used) -> Vec<Case> {
    let mut cases = Cases { world: &test.world, list: Vec::new() };
    cases.requests(&used.requests, test.timeout);
    for path in &used.files {
        let thing = format!("file {path}");
        let Some(content) = test.world.files.get(path) else { continue };
        for fault in FAULTS {
            if let Of::File(change) = fault.of
                && let Some(change) = change(&content.0)
            {
                cases.add(&thing, fault, |world| changed(&mut world.files, path, change));
            }
        }
    }
    for key in &used.state {
        let thing = format!("state {key}");
        let Some(kept) = test.world.state.get(key) else { continue };
        for fault in FAULTS {
            if let Of::State(change) = fault.of
                && let Some(change) = change(&kept.0)
            {
                cases.add(&thing, fault, |world| changed(&mut world.state, key, change));
            }
        }
    }
    for name in &used.checks {
        let thing = format!("check {name}");
        let Some(standing) = test.world.checks.get(name) else { continue };
        for fault in FAULTS {
            if let Of::Check(change) = fault.of
                && let Some(change) = change(standing)
            {
                cases.add(&thing, fault, |world| {
                    match change {
                        Some(standing) => world.checks.insert(name.clone(), standing),
                        None => world.checks.remove(name),
                    };
                });
            }
        }
    }
    for name in used.secrets.iter().filter(|name| test.world.secrets.contains_key(*name)) {
        for fault in FAULTS.iter().filter(|fault| matches!(fault.of, Of::Secret)) {
            cases.add(&format!("secret {name}"), fault, |world| {
                world.secrets.remove(name);
            });
        }
    }
    if let Some(now) = test.world.now {
        for fault in FAULTS {
            if let Of::Clock(turn) = fault.of {
                cases.add("clock", fault, |world| world.now = Some(turn(now)));
            }
        }
    }
    cases.list
}

fn changed(
    all: &mut std::collections::BTreeMap<String, crate::record::Blob>,
    name: &str,
    change: Change,
) {
    match change {
        Change::Gone => all.remove(name),
        Change::To(bytes) => all.insert(name.to_owned(), crate::record::Blob(bytes)),
    };
}

struct Cases<'a> {
    world: &'a World,
    list: Vec<Case>,
}

impl Cases<'_> {
    fn add(&mut self, thing: &str, fault: &Fault, change: impl FnOnce(&mut World)) {
        let mut world = self.world.clone();
        change(&mut world);
        let thing = thing.to_owned();
        self.list.push(Case { thing, fault: fault.name, doc: fault.doc, world });
    }

    fn requests(&mut self, requests: &[(String, String, Option<usize>)], timeout: Duration) {
        let mut done: Vec<(&str, &str)> = Vec::new();
        for (method, url, _) in requests {
            if done.contains(&(method, url)) || done.len() >= MAX_REQUESTS {
                continue;
            }
            done.push((method, url));
            // What each of them got, in order.
            let got: Vec<&Reply> = (requests.iter())
                .filter(|(m, u, _)| m == method && u == url)
                .filter_map(|(_, _, by)| Some(&self.world.http.get((*by)?)?.reply))
                .collect();
            for fault in FAULTS {
                if let Of::Request(function) = fault.of {
                    self.request(method, url, &got, timeout, fault, function);
                }
            }
        }
    }

    fn request(
        &mut self,
        method: &str,
        url: &str,
        got: &[&Reply],
        timeout: Duration,
        fault: &Fault,
        function: fn(&Got<'_>) -> Option<Bad>,
    ) {
        let mut entries = Vec::new();
        let mut also = None;
        let mut differs = false;
        for (index, reply) in got.iter().enumerate() {
            let bad = function(&Got { url, reply, timeout });
            let reply = match bad {
                Some(bad) => {
                    differs |= bad.reply != **reply;
                    also = also.or(bad.also);
                    bad.reply
                }
                None => (*reply).clone(),
            };
            let times = (index + 1 < got.len()).then_some(1);
            let (method, url) = (Some(method.to_owned()), url.to_owned());
            entries.push(Scripted { method, url, is_exact: true, times, reply });
        }
        if differs {
            self.add(&format!("{method} {url}"), fault, |world| {
                world.http.splice(0..0, entries);
                world.http.extend(also);
            });
        }
    }
}

#[cfg(test)]
mod tests;
