//! A job definition as read: its operations, their ports, and what is asked of them.

use std::collections::BTreeMap;

use super::schema::{self, EXPOSED, JOB, META, SPREAD};
use crate::config::Problems;
use crate::config::tree::Place;
use crate::import::json::{Node, Value};
use crate::import::{Note, shown};

/// Longest id of an operation, in bytes; it becomes a label.
const MAX_ID: usize = 200;

/// What the file holds, as far as health is concerned.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) operations: Vec<Operation>,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) place: Place,
    /// `execution.group` with its place.
    pub(super) stage: Option<(String, Place)>,
    /// `execution.depends_on`.
    pub(super) after: Vec<(String, Place)>,
    pub(super) exposed: Vec<Exposed>,
}

/// A port or a range of ports.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) place: Place,
    /// `web`, `api`, ...
    pub(super) service: Option<String>,
    pub(super) checks: Vec<HealthCheck>,
}

#[derive(Debug)]
pub(super) struct HealthCheck {
    pub(super) place: Place,
    pub(super) continuous: bool,
    pub(super) asks: Asks,
}

#[derive(Debug)]
pub(super) enum Asks {
    Http {
        path: String,
        method: String,
        status: u16,
        headers: Vec<(String, String)>,
        /// For POST and PUT.
        body: Option<String>,
    },
    WebSocket {
        expected: String,
    },
}

/// Reads a job; what is wrong is a problem, and what cannot be carried over a note.
pub(super) fn read(root: &Node, problems: &mut Problems, notes: &mut Vec<Note>) -> Job {
    schema::check(JOB, root, "", problems);
    if let Some(meta) = root.get("meta") {
        for (name, shape) in META {
            if let Some(node) = meta.get(name) {
                schema::check(*shape, node, &format!("meta.{name}"), problems);
            }
        }
    }
    let mut job = Job::default();
    let mut ids: BTreeMap<&str, &Place> = BTreeMap::new();
    for (index, node) in root.get("ops").map_or(&[][..], Node::items).iter().enumerate() {
        let path = format!("ops[{index}]");
        let Some((id, place)) = node.get("id").and_then(|id| Some((id.text()?, &id.place))) else {
            continue;
        };
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            let message =
                format!("`{path}.id` is longer than {MAX_ID} bytes, or holds a control character");
            problems.error(place, message);
        }
        if let Some(first) = ids.insert(id, place) {
            let id = shown(id);
            problems.error(
                place,
                format!("a second operation is called `{id}` (the first stands at {first})"),
            );
        }
        let mut reader = Reader { problems, notes, id, path };
        let (stage, after) = reader.execution(node);
        let exposed = reader.exposed(node);
        job.operations.push(Operation {
            id: id.to_owned(),
            place: place.clone(),
            stage,
            after,
            exposed,
        });
    }
    dependencies(&job, problems);
    job
}

/// Reads one operation.
struct Reader<'a> {
    problems: &'a mut Problems,
    notes: &'a mut Vec<Note>,
    id: &'a str,
    path: String,
}

impl Reader<'_> {
    fn note(&mut self, place: &Place, message: String) {
        self.notes.push(Note { place: place.clone(), message });
    }

    #[expect(clippy::type_complexity, reason = "two texts with their places")]
    fn execution(&mut self, node: &Node) -> (Option<(String, Place)>, Vec<(String, Place)>) {
        let Some(execution) = node.get("execution") else { return (None, Vec::new()) };
        let with_place = |node: &Node| Some((node.text()?.to_owned(), node.place.clone()));
        let stage = execution.get("group").and_then(with_place);
        let after = execution.get("depends_on");
        if let Some(stops) = execution.get("stop_if_dependent_stops") {
            if after.is_none() {
                let message = format!(
                    "`{}.execution` has `stop_if_dependent_stops` and no `depends_on`",
                    self.path
                );
                self.problems.error(&stops.place, message);
            } else if stops.boolean() == Some(true) {
                let message = format!(
                    "`stop_if_dependent_stops` of operation `{}` is left out: nothing is stopped here, and its checks go on",
                    shown(self.id)
                );
                self.note(&stops.place, message);
            }
        }
        let after = after.map_or(&[][..], Node::items).iter().filter_map(with_place).collect();
        (stage, after)
    }

    fn exposed(&mut self, node: &Node) -> Vec<Exposed> {
        let Some(expose) = node.get("args").and_then(|args| args.get("expose")) else {
            return Vec::new();
        };
        let path = format!("{}.args.expose", self.path);
        let mut ports = Ports::default();
        match &expose.value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.item(item, &format!("{path}[{index}]"), &mut ports);
                }
            }
            _ => self.item(expose, &path, &mut ports),
        }
        ports.list
    }

    /// One element of `expose`, or the only one.
    fn item(&mut self, node: &Node, path: &str, ports: &mut Ports) {
        let (port, service, checks) = match &node.value {
            Value::Number(_) => (node, None, None),
            Value::String(text) if is_literal(text) => return self.unresolved(node, text),
            Value::String(_) => (node, None, None),
            Value::Object(_) if node.get("__spread__").is_some() => {
                schema::check(SPREAD, node, path, self.problems);
                let marker = node.get("__spread__").and_then(Node::text).unwrap_or_default();
                if is_literal(marker) {
                    return self.unresolved(node, marker);
                }
                let message = format!(
                    "`{path}.__spread__` is no placeholder (expected for example \"%%ops.a.results.expose%%\")"
                );
                return self.problems.error(&node.place, message);
            }
            Value::Object(_) => {
                schema::check(EXPOSED, node, path, self.problems);
                let Some(port) = node.get("port") else { return };
                (port, node.get("type").and_then(Node::text), node.get("health_checks"))
            }
            _ => {
                let found = node.kind();
                let message = format!(
                    "`{path}` is {found} (expected a port, a range such as \"3000-3005\", or an object with `port`)"
                );
                return self.problems.error(&node.place, message);
            }
        };
        let Some((first, last)) = range(port) else {
            let found = match &port.value {
                Value::Number(text) | Value::String(text) => format!("`{}`", shown(text)),
                _ => port.kind().to_owned(),
            };
            let message = format!(
                "{found} is no port (expected a whole number from 1 to 65535, or a range such as \"3000-3005\", the lower one first)"
            );
            return self.problems.error(&port.place, message);
        };
        if !ports.claim(first, last, &port.place, self.problems) {
            return;
        }
        let listed = checks.map_or(&[][..], Node::items);
        let mut placeholders = Vec::new();
        listed.iter().for_each(|check| find_placeholders(check, &mut placeholders));
        if !placeholders.is_empty() {
            // Half of a port's checks would say more than is known.
            for (place, name) in placeholders {
                let (name, id) = (shown(&name), shown(self.id));
                let message = format!(
                    "`{name}` is not resolved here: port {} of operation `{id}` is left out",
                    digits(first, last)
                );
                self.note(&place, message);
            }
            return;
        }
        let mut checks = Vec::new();
        for (index, check) in listed.iter().enumerate() {
            checks.extend(self.health_check(check, &format!("{path}.health_checks[{index}]")));
        }
        let service = service.map(str::to_owned);
        ports.list.push(Exposed { first, last, place: port.place.clone(), service, checks });
    }

    fn unresolved(&mut self, node: &Node, name: &str) {
        let (name, id) = (shown(name), shown(self.id));
        let message = format!(
            "`{name}` is not resolved here: what it exposes of operation `{id}` is left out"
        );
        self.note(&node.place, message);
    }

    /// Only what the schema lets pass; what is missing has its problem already.
    fn health_check(&mut self, node: &Node, path: &str) -> Option<HealthCheck> {
        let asks = match node.get("type")?.text()? {
            "http" => self.http(node, path)?,
            "websocket" => {
                let expected = node.get("expected_response")?;
                if expected.text() == Some("") {
                    let message = format!(
                        "`{path}.expected_response` is empty: that the connection opens is enough"
                    );
                    self.note(&expected.place, message);
                }
                Asks::WebSocket { expected: expected.text()?.to_owned() }
            }
            _ => return None,
        };
        let continuous = node.get("continuous").and_then(Node::boolean).unwrap_or(false);
        Some(HealthCheck { place: node.place.clone(), continuous, asks })
    }

    fn http(&mut self, node: &Node, path: &str) -> Option<Asks> {
        let method = node.get("method").and_then(Node::text);
        let headers = self.headers(node, path);
        let body = self.body(node, path, method.unwrap_or_default());
        let status = node.get("expected_status").and_then(|status| {
            let code = status.whole().and_then(|code| u16::try_from(code).ok());
            let code = code.filter(|code| (100..=999).contains(code));
            if code.is_none() && matches!(status.value, Value::Number(_)) {
                let message = format!("`{path}.expected_status` is no code that a server can answer (expected 100 to 999)");
                self.problems.error(&status.place, message);
            }
            code
        });
        let url = node.get("path").and_then(|node| Some((node.text()?, node)));
        let url = url.and_then(|(text, node)| {
            // Anything else would run into the port, or lead to another host.
            let begins = text.is_empty() || text.starts_with(['/', '?', '#']);
            let plain = !text.chars().any(|c| c.is_control() || c == ' ');
            if !begins || !plain {
                let message = format!("`{path}.path` is \"{}\" (expected one that begins with `/`, without spaces: it stands behind host and port as it is)", shown(text));
                self.problems.error(&node.place, message);
                return None;
            }
            Some(text.to_owned())
        });
        Some(Asks::Http { path: url?, method: method?.to_owned(), status: status?, headers, body })
    }

    fn headers(&mut self, node: &Node, path: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for member in node.get("headers").map_or(&[][..], Node::members) {
            let Some(text) = member.node.text() else { continue };
            let name = shown(&member.name);
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if member.name.is_empty() || !member.name.bytes().all(token) {
                let message = format!("`{path}.headers`: `{name}` is no name of a header");
                self.problems.error(&member.place, message);
            } else if text.chars().any(|c| c.is_control() && c != '\t') {
                let message = format!(
                    "`{path}.headers.{name}` holds a line break or another control character"
                );
                self.problems.error(&member.node.place, message);
            } else {
                headers.push((member.name.clone(), text.trim().to_owned()));
            }
        }
        headers
    }

    fn body(&mut self, node: &Node, path: &str, method: &str) -> Option<String> {
        let body = node.get("body")?;
        if !matches!(method, "POST" | "PUT") {
            let message = format!("`{path}.body` is left out: only POST and PUT send one");
            self.note(&body.place, message);
            return None;
        }
        match &body.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            _ => Some(body.to_text()),
        }
    }
}

/// `3000-3005` or `80`.
pub(super) fn digits(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn range(node: &Node) -> Option<(u16, u16)> {
    let port = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|port| digits && *port > 0)
    };
    match node.text() {
        None => {
            let port = u16::try_from(node.whole()?).ok().filter(|port| *port > 0)?;
            Some((port, port))
        }
        Some(text) => {
            let (first, last) = text.split_once('-')?;
            Some((port(first)?, port(last)?)).filter(|(first, last)| first < last)
        }
    }
}

/// The ports of an operation, each at most once.
#[derive(Default)]
struct Ports {
    list: Vec<Exposed>,
    /// By their first port: the last one, and where it stands.
    taken: BTreeMap<u16, (u16, Place)>,
}

impl Ports {
    fn claim(&mut self, first: u16, last: u16, place: &Place, problems: &mut Problems) -> bool {
        let before = self.taken.range(..=last).next_back();
        if let Some((from, (to, other))) = before.filter(|(_, (to, _))| *to >= first) {
            let (this, that) = (digits(first, last), digits(*from, *to));
            let message = if this == that {
                format!("port {this} is exposed twice (the first stands at {other})")
            } else {
                format!("port {this} overlaps {that}, which stands at {other}")
            };
            problems.error(place, message);
            return false;
        }
        self.taken.insert(first, (last, place.clone()));
        true
    }
}

/// `%%ops...%%` or `%%global...%%`, and nothing else.
fn is_literal(text: &str) -> bool {
    let inner = text.strip_prefix("%%").and_then(|text| text.strip_suffix("%%"));
    let names = |inner: &str| {
        let rest = inner.strip_prefix("ops").or_else(|| inner.strip_prefix("global"));
        // A separator and a name behind it.
        rest.is_some_and(|rest| rest.chars().count() > 1) && !inner.contains('%')
    };
    inner.is_some_and(names)
}

/// Every `%%...%%` within the texts of a value.
fn find_placeholders(node: &Node, found: &mut Vec<(Place, String)>) {
    if let Value::String(text) = &node.value {
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("%%") {
            let Some((name, behind)) = after.split_once("%%") else { break };
            if !name.is_empty() && !name.contains('%') {
                found.push((node.place.clone(), format!("%%{name}%%")));
            }
            rest = behind;
        }
    }
    let inner = node.items().iter().chain(node.members().iter().map(|member| &member.node));
    for node in inner {
        find_placeholders(node, found);
    }
}

/// Whether everything that `depends_on` names is there, in the same stage, and waits for nothing in a
/// circle.
fn dependencies(job: &Job, problems: &mut Problems) {
    let by_id: BTreeMap<&str, &Operation> =
        job.operations.iter().map(|operation| (operation.id.as_str(), operation)).collect();
    let stage = |operation: &Operation| operation.stage.as_ref().map(|(name, _)| name.clone());
    for operation in &job.operations {
        let id = shown(&operation.id);
        for (name, place) in &operation.after {
            let shown_name = shown(name);
            let Some(other) = by_id.get(name.as_str()) else {
                let hint = crate::config::problem::did_you_mean(name, by_id.keys().copied());
                let hint = hint.map_or("expected the id of an operation".to_owned(), |word| {
                    format!("did you mean `{}`?", shown(word))
                });
                let message = format!(
                    "operation `{id}` depends on `{shown_name}`, and there is no such operation ({hint})"
                );
                problems.error(place, message);
                continue;
            };
            if other.id == operation.id {
                problems.error(place, format!("operation `{id}` depends on itself"));
            } else if stage(other) != stage(operation) {
                let message = format!(
                    "operation `{id}` depends on `{shown_name}`, which is in another `execution.group` (expected one of the same group)"
                );
                problems.error(place, message);
            }
        }
    }
    if by_id.len() < job.operations.len() {
        return;
    }
    // Operations leave once all that they wait for has left; those that never do wait in a circle.
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut behind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for operation in &job.operations {
        let others = operation.after.iter().map(|(name, _)| name.as_str());
        let others = others.filter(|name| *name != operation.id && by_id.contains_key(name));
        let mut count = 0;
        for other in others {
            behind.entry(other).or_default().push(&operation.id);
            count += 1;
        }
        waiting.insert(&operation.id, count);
    }
    let mut free: Vec<&str> = waiting.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        for next in behind.remove(id).unwrap_or_default() {
            let count = waiting.get_mut(next).expect("every operation is in it");
            *count -= 1;
            if *count == 0 {
                free.push(next);
            }
        }
    }
    for operation in &job.operations {
        if waiting[operation.id.as_str()] > 0
            && let Some((name, place)) = operation.after.first()
        {
            let (id, name) = (shown(&operation.id), shown(name));
            let message = format!(
                "operation `{id}` waits for `{name}` in a circle, so that it would never run"
            );
            problems.error(place, message);
        }
    }
}
