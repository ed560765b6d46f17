//! Nosana job definitions: the health checks of the ports that a job exposes, as checks and groups.
//!
//! | there | here |
//! | --- | --- |
//! | a health check | `[[check]]` named `op-port-n`, n from 1; the original id in the title |
//! | all checks of a port must pass | `[[group]]` named `op-port` with `healthy = "all"`, and labels that say whose port it is |
//! | a port without checks | a group without members: `unknown`, and it does not count |
//! | every 5 s until the first pass of all, then every 30 s those with `continuous` | `startup-interval`, `startup-with`, `interval`, `continuous` |
//! | one failure is enough | thresholds of 1 |
//! | `depends_on`: ready once running, or once its checks have passed | `start-after` with the groups of these operations that have checks; through one that has none, what that one waits for |
//!
//! The order of stages (`execution.group`) is no gate. A stage begins there when the operations of
//! the one before have *ended*, whether well or not, which nobody sees from outside; to wait until
//! their ports have been healthy would hold for ever what runs after one that never was. The checks
//! of a later stage are in their start-up phase until it has begun: that is what the phase is for.
//!
//! Some of what the runner does is not copied: that the checks of a range are never run, that one
//! check without `continuous` ends those after it, that recovery is not reported, and that a
//! WebSocket check also finds its text in the head of the answer.

mod job;
mod names;
mod schema;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

use url::Url;

use self::job::{Asks, Exposed, HealthCheck, Job, Operation, digits};
use super::{Import, Imported, Note, Options, json, shown};
use crate::config::tree::Place;
use crate::config::{Problem, Problems, SourceFile};

/// Most checks that one job may make.
pub const MAX_CHECKS: usize = 1_000;

/// Most groups that one job may make: ports, and ranges without checks.
pub const MAX_PORTS: usize = 1_000;

/// Most names in all `start-after` of one job together.
const MAX_GATES: usize = 100_000;

/// Most problems of one file that are shown; further ones are counted.
const MAX_PROBLEMS: usize = 100;

/// Longest title, and longest label, in bytes.
const MAX_TEXT: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct Nosana;

impl Import for Nosana {
    fn name(&self) -> &'static str {
        "nosana"
    }

    fn summary(&self) -> &'static str {
        "Nosana job definitions: the health checks of exposed ports"
    }

    fn import(&self, file: &SourceFile, options: &Options) -> Result<Imported, Vec<Problem>> {
        let Translated { toml, notes, .. } = translate(file, options)?;
        Ok(Imported { toml, notes })
    }
}

/// What was made of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Translated {
    /// Our configuration.
    pub toml: String,
    /// What could not be carried over, or means something else here.
    pub notes: Vec<Note>,
    /// Where the original of each check and group stands, by name.
    pub places: BTreeMap<String, Place>,
    /// The ids of all operations.
    pub operations: Vec<String>,
}

/// Makes our configuration of a job.
///
/// # Errors
/// Everything that is wrong with it.
pub fn translate(file: &SourceFile, options: &Options) -> Result<Translated, Vec<Problem>> {
    let mut problems = Problems::at_most(MAX_PROBLEMS);
    let mut notes = Vec::new();
    let mut job = Job::default();
    if let Some(root) = json::parse(file, &mut problems) {
        job = job::read(&root, &mut problems, &mut notes);
    }
    let hosts = hosts(file, options, &mut problems);
    let mut writer = Writer {
        options,
        hosts,
        toml: String::new(),
        notes,
        places: BTreeMap::new(),
        checks: 0,
        groups: 0,
        problems: &mut problems,
    };
    writer.job(file, &job);
    let Writer { toml, mut notes, places, .. } = writer;
    if problems.has_errors() {
        let mut all = Problems::default();
        all.append(problems);
        return Err(all.sorted());
    }
    notes.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
    let operations = job.operations.into_iter().map(|operation| operation.id).collect();
    Ok(Translated { toml, notes, places, operations })
}

/// A host as it stands in a URL.
///
/// # Errors
/// Why it is none.
pub fn host(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = inner.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let plain = (1..=180).contains(&text.len()) && text.bytes().all(allowed);
    if text.parse::<IpAddr>().is_ok() || plain && Url::parse(&format!("http://{text}:1/")).is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is no host (expected a name or an address, without scheme and port)",
        shown(text)
    ))
}

/// The hosts of the options, by operation.
fn hosts(
    file: &SourceFile,
    options: &Options,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut hosts = BTreeMap::new();
    for (operation, text) in &options.hosts {
        match host(text) {
            Ok(host) => {
                hosts.insert(operation.clone(), host);
            }
            Err(why) => {
                let message = format!("the host of operation `{}`: {why}", shown(operation));
                problems.error(&Place::file(file.name.clone()), message);
            }
        }
    }
    hosts
}

struct Writer<'a> {
    options: &'a Options,
    hosts: BTreeMap<String, String>,
    toml: String,
    notes: Vec<Note>,
    places: BTreeMap<String, Place>,
    checks: usize,
    groups: usize,
    problems: &'a mut Problems,
}

/// What an operation's checks have in common.
struct Named<'a> {
    operation: &'a Operation,
    /// What its names begin with.
    start: String,
    host: String,
    /// The groups that its checks wait for.
    after: Vec<String>,
}

/// The operations, each with what its names begin with, by id.
type ById<'a> = BTreeMap<&'a str, (&'a Operation, &'a str)>;

/// The ports of an exposure that each become a group: every one of a range with checks.
fn ports(exposed: &Exposed) -> impl Iterator<Item = (u16, u16)> + use<> {
    let (first, last) = (exposed.first, exposed.last);
    let each = !exposed.checks.is_empty();
    let single = (first..=last).filter(move |_| each).map(|port| (port, port));
    single.chain((!each).then_some((first, last)))
}

impl Writer<'_> {
    fn job(&mut self, file: &SourceFile, job: &Job) {
        if !self.bounded(job) {
            return;
        }
        let name = text::short(&file.name, MAX_TEXT).escape_debug().to_string();
        self.line(&format!("# Made from the Nosana job definition `{name}`."));
        if job.operations.iter().all(|operation| operation.exposed.is_empty()) {
            let message = "the job exposes no port, so that there is nothing to check".to_owned();
            self.notes.push(Note { place: Place::file(file.name.clone()), message });
            return;
        }
        self.stages(job);
        let mut taken = BTreeSet::new();
        let starts: Vec<String> = job
            .operations
            .iter()
            .map(|operation| {
                let rest: Vec<String> = operation.exposed.iter().flat_map(tails).collect();
                names::claim(&operation.id, &rest, &mut taken)
            })
            .collect();
        let by_id: ById<'_> = job
            .operations
            .iter()
            .zip(&starts)
            .map(|(operation, start)| (operation.id.as_str(), (operation, start.as_str())))
            .collect();
        let mut gates = 0;
        for (operation, start) in job.operations.iter().zip(&starts) {
            let host = self.hosts.get(&operation.id).cloned().unwrap_or("127.0.0.1".to_owned());
            let checks: usize =
                operation.exposed.iter().map(|e| ports(e).count() * e.checks.len()).sum();
            let after = if checks == 0 { Vec::new() } else { self.after(operation, &by_id) };
            gates += checks * after.len();
            if gates > MAX_GATES {
                let message = format!(
                    "the checks of the job wait for more than {MAX_GATES} others, all together"
                );
                self.problems.error(&operation.place, message);
                return;
            }
            let named = Named { operation, start: start.clone(), host, after };
            for exposed in &operation.exposed {
                self.exposed(&named, exposed);
            }
        }
    }

    /// Whether the job makes no more than it may.
    fn bounded(&mut self, job: &Job) -> bool {
        for operation in &job.operations {
            for exposed in &operation.exposed {
                let ports = ports(exposed).count();
                self.groups += ports;
                self.checks += ports * exposed.checks.len();
                let (most, noun) = if self.checks > MAX_CHECKS {
                    (MAX_CHECKS, "checks")
                } else if self.groups > MAX_PORTS {
                    (MAX_PORTS, "ports")
                } else {
                    continue;
                };
                let (port, id) = (digits(exposed.first, exposed.last), shown(&operation.id));
                let message = format!(
                    "with port {port} of operation `{id}` the job has more than {most} {noun} (every port of a range that has health checks is checked; expected at most {most} in one job)"
                );
                self.problems.error(&exposed.place, message);
                return false;
            }
        }
        true
    }

    /// Later stages begin when nobody here sees it.
    fn stages(&mut self, job: &Job) {
        let stages = job.operations.iter().filter_map(|operation| operation.stage.as_ref());
        let mut stages: Vec<&(String, Place)> = stages.collect();
        let mut seen = BTreeSet::new();
        stages.retain(|(name, _)| seen.insert(name));
        let Some((name, place)) = stages.get(1) else { return };
        let message = format!(
            "`execution.group` \"{}\" begins when \"{}\" has ended, which cannot be seen from outside: its checks are in their start-up phase until then",
            shown(name),
            shown(&stages[0].0)
        );
        self.notes.push(Note { place: place.clone(), message });
    }

    /// The groups that must have been healthy before the checks of an operation run.
    fn after(&mut self, operation: &Operation, by_id: &ById<'_>) -> Vec<String> {
        let mut groups = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, place) in &operation.after {
            let before = groups.len();
            let mut open = vec![name.as_str()];
            while let Some(id) = open.pop() {
                let Some((other, start)) = by_id.get(id).filter(|_| seen.insert(id.to_owned()))
                else {
                    continue;
                };
                let checked = other.exposed.iter().filter(|exposed| !exposed.checks.is_empty());
                let known = groups.len();
                groups.extend(checked.flat_map(ports).map(|(port, _)| format!("{start}-{port}")));
                if groups.len() == known {
                    open.extend(other.after.iter().map(|(name, _)| name.as_str()));
                }
            }
            let bare = by_id.get(name.as_str()).is_some_and(|(other, _)| other.after.is_empty());
            if groups.len() == before && bare {
                let (id, name) = (shown(&operation.id), shown(name));
                let message = format!(
                    "operation `{id}` depends on `{name}`, which has no health checks: nothing is waited for"
                );
                self.notes.push(Note { place: place.clone(), message });
            }
        }
        groups
    }

    fn exposed(&mut self, named: &Named<'_>, exposed: &Exposed) {
        let id = &named.operation.id;
        if exposed.last > exposed.first && !exposed.checks.is_empty() {
            let message = format!(
                "the checks of range {} of operation `{}` run on each of its ports; Nosana's own runner never runs them",
                digits(exposed.first, exposed.last),
                shown(id)
            );
            self.notes.push(Note { place: exposed.place.clone(), message });
        }
        for (first, last) in ports(exposed) {
            let port = digits(first, last);
            let group = format!("{}-{port}", named.start);
            let service = exposed.service.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
            let bare = if exposed.checks.is_empty() { ", without a check" } else { "" };
            self.line(&format!(
                "\n# Operation \"{}\", port {port}{service}{bare}.",
                id.escape_debug()
            ));
            self.line("[[group]]");
            self.pair("name", &text::quoted(&group));
            self.title(&format!("{id}, port {port}"));
            let members: Vec<String> =
                (1..=exposed.checks.len()).map(|n| format!("{group}-{n}")).collect();
            if !members.is_empty() {
                self.pair("members", &text::list(members.iter().map(String::as_str)));
            }
            self.pair("healthy", "\"all\"");
            let url = format!("http://{}:{first}", named.host);
            let labels = [("op", id.as_str()), ("port", port.as_str()), ("url", url.as_str())];
            self.pair("labels", &text::inline(labels));
            for (check, name) in exposed.checks.iter().zip(members) {
                self.check(named, check, &name, &group, first);
                self.places.insert(name, check.place.clone());
            }
            self.places.insert(group, exposed.place.clone());
        }
    }

    fn check(
        &mut self,
        named: &Named<'_>,
        check: &HealthCheck,
        name: &str,
        group: &str,
        port: u16,
    ) {
        let id = &named.operation.id;
        self.line("\n[[check]]");
        self.pair("name", &text::quoted(name));
        match &check.asks {
            Asks::Http { path, method, status, headers, body } => {
                // A query may hold a token, and a title is for everybody.
                let path_alone = path.split(['?', '#']).next().unwrap_or_default();
                self.title(&format!("{id}, port {port}: http {method} {path_alone}"));
                self.pair("kind", "\"http\"");
                self.pair("url", &text::quoted(&format!("http://{}:{port}{path}", named.host)));
                self.pair("method", &text::quoted(method));
                self.headers(headers, body.is_some(), &check.place);
                if let Some(body) = body {
                    self.pair("body", &text::quoted(body));
                }
                self.pair("expect-status", &status.to_string());
                self.pair("redirects", "0");
            }
            Asks::WebSocket { expected } => {
                self.title(&format!("{id}, port {port}: websocket"));
                self.pair("kind", "\"websocket\"");
                self.pair("url", &text::quoted(&format!("ws://{}:{port}", named.host)));
                if !expected.is_empty() {
                    self.pair("expect", &text::quoted(expected));
                }
            }
        }
        let Options { startup_interval, interval, .. } = self.options;
        let timeout = startup_interval.min(interval);
        let timing =
            [("startup-interval", startup_interval), ("interval", interval), ("timeout", timeout)];
        for (key, duration) in timing {
            self.pair(key, &text::duration(*duration));
        }
        self.pair("startup-with", &text::quoted(group));
        if !check.continuous {
            self.pair("continuous", "false");
        }
        self.pair("failure-threshold", "1");
        self.pair("success-threshold", "1");
        if !named.after.is_empty() {
            self.pair("start-after", &text::list(named.after.iter().map(String::as_str)));
        }
    }

    fn headers(&mut self, headers: &[(String, String)], body: bool, place: &Place) {
        let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
        let named_type = headers.iter().any(|(name, _)| is_type(name));
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for (name, text) in headers {
            if text.is_empty() {
                let message =
                    format!("the header `{name}` has no value and is left out, as curl does there");
                self.notes.push(Note { place: place.clone(), message });
            } else {
                pairs.push((name, text));
            }
        }
        if body && !named_type {
            self.line("# What curl says of a body, with which Nosana's runner asks.");
            pairs.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        if !pairs.is_empty() {
            self.pair("headers", &text::inline(pairs));
        }
    }

    fn title(&mut self, title: &str) {
        self.pair("title", &text::quoted(&text::short(title.trim_end(), MAX_TEXT)));
    }

    fn line(&mut self, line: &str) {
        self.toml.push_str(line);
        self.toml.push('\n');
    }

    fn pair(&mut self, key: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.toml, "{key} = {value}");
    }
}

/// What stands behind the start of an operation's names.
fn tails(exposed: &Exposed) -> Vec<String> {
    let own = ports(exposed).map(|(first, last)| digits(first, last));
    let mut tails: Vec<String> = own.collect();
    if !exposed.checks.is_empty() {
        let checks = ports(exposed)
            .flat_map(|(port, _)| (1..=exposed.checks.len()).map(move |n| format!("{port}-{n}")));
        tails.extend(checks);
    }
    tails
}

#[cfg(test)]
mod tests;
