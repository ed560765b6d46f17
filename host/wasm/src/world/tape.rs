//! What a run asked for and got, noted while it goes on.
//!
//! What passes is copied as far as the tape has room, so that a tape costs a run next to nothing;
//! only who wants its record pays for one.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use wellcheck_core::format::api;
use wellcheck_core::grant::GrantKind;
use wellcheck_core::limits::{RUN_LIMITS, RunLimits};
use wellcheck_core::outcome::Run;
use wellcheck_core::record::{
    self, Answer, Blob, Chunk, Exchange, Failed, PluginId, Record, Reply, Standing, is_credential,
};
use wellcheck_core::redact::{REDACTED, Redactor};
use wellcheck_core::suite::pattern::normal_url;
use wellcheck_net::Failure;

use super::clock::wall_clock;
use super::{Ticks, World};
use crate::host::lock;
use crate::plugin::Plugin;
use crate::run::Invocation;
use crate::text::cleaned;
use crate::transport::Body;

/// Most requests, files and checks that are noted.
const MOST: usize = 256;
/// Most pieces of one body; what comes after is part of the last one.
const MOST_PIECES: usize = 64;
/// Longest name that stands in a gap, in bytes.
const SHOWN: usize = 200;

/// Notes one run. Cheap to make; to be used for one run only.
#[derive(Debug)]
pub struct Tape {
    /// Most bytes of heads, bodies and files.
    most: usize,
    began: OnceLock<Began>,
    pub(crate) ticks: Ticks,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Began {
    at: Instant,
    wall: Duration,
    random: [u8; 32],
}

#[derive(Debug, Default)]
struct Notes {
    http: Vec<Exchange>,
    files: BTreeMap<String, Option<Blob>>,
    checks: BTreeMap<String, Option<Standing>>,
    secrets: BTreeSet<String>,
    state: BTreeSet<String>,
    kept: usize,
    gaps: BTreeSet<String>,
}

impl Notes {
    /// Takes so many bytes of a tape's room; nothing where there are not as many.
    fn take(&mut self, size: usize, most: usize) -> Option<()> {
        let kept = self.kept.checked_add(size).filter(|kept| *kept <= most)?;
        self.kept = kept;
        Some(())
    }

    fn gap(&mut self, what: String) {
        if self.gaps.len() < MOST {
            self.gaps.insert(what);
        }
    }
}

/// What a run asked for besides requests, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// The files that it opened.
    pub files: BTreeSet<String>,
    /// The keys of its state that it read.
    pub state: BTreeSet<String>,
    /// The checks that it asked for.
    pub checks: BTreeSet<String>,
    /// The secrets that it read.
    pub secrets: BTreeSet<String>,
}

impl Tape {
    /// A tape that keeps at most so many bytes of heads, bodies and files.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            began: OnceLock::new(),
            ticks: Ticks::default(),
            notes: Mutex::default(),
        })
    }

    /// Begins; gives what the run's random numbers are made of.
    pub(crate) fn begin(&self, at: Instant, world: Option<&World>) -> [u8; 32] {
        let began = self.began.get_or_init(|| match world {
            Some(world) => Began { at, wall: world.now, random: world.random },
            None => Began { at, wall: wall_clock(), random: seed() },
        });
        began.random
    }

    /// Notes a file, as it is when it is opened.
    pub(crate) fn file(&self, path: String, content: Option<Vec<u8>>, is_whole: bool) {
        let mut notes = lock(&self.notes);
        if notes.files.contains_key(&path) {
            return;
        }
        let size = path.len() + content.as_ref().map_or(0, Vec::len);
        let fits = is_whole && notes.files.len() < MOST;
        if !fits || notes.take(size, self.most).is_none() {
            let shown = cleaned(&path, SHOWN);
            notes.gap(format!("the file `{shown}` is too large to be kept"));
            return;
        }
        notes.files.insert(path, content.map(Blob));
    }

    pub(crate) fn check(&self, name: &str, standing: Option<&crate::Standing>) {
        let mut notes = lock(&self.notes);
        if notes.checks.len() < MOST {
            notes.checks.insert(name.to_owned(), standing.map(kept_standing));
        }
    }

    pub(crate) fn secret(&self, name: &str) {
        let mut notes = lock(&self.notes);
        if notes.secrets.len() < MOST {
            notes.secrets.insert(name.to_owned());
        }
    }

    pub(crate) fn state(&self, key: &str) {
        let mut notes = lock(&self.notes);
        if notes.state.len() < MOST {
            notes.state.insert(key.to_owned());
        }
    }

    /// What the run asked for besides requests.
    pub fn touched(&self) -> Touched {
        let notes = lock(&self.notes);
        Touched {
            files: notes.files.keys().cloned().collect(),
            state: notes.state.clone(),
            checks: notes.checks.keys().cloned().collect(),
            secrets: notes.secrets.clone(),
        }
    }

    /// Notes a request, as the guest made it.
    pub(crate) fn request(
        self: &Arc<Self>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Taped {
        let mut notes = lock(&self.notes);
        let (url, method) = (normal_url(&uri.to_string()), method.as_str().to_owned());
        let size = url.len() + method.len() + bytes_of(headers);
        let at = if notes.http.len() >= MOST {
            notes.gap(format!("requests after the first {MOST} are not kept"));
            None
        } else if notes.take(size, self.most).is_none() {
            let (method, url) = (cleaned(&method, SHOWN), cleaned(&url, SHOWN));
            notes.gap(format!("the request `{method} {url}` is too large to be kept"));
            None
        } else {
            notes.http.push(Exchange {
                at: self.began.get().map_or(0.0, |began| milliseconds(began.at)),
                method,
                url,
                headers: texts(headers),
                body: Blob::default(),
                reply: Reply::Silence,
            });
            Some(notes.http.len() - 1)
        };
        Taped { tape: Arc::clone(self), at, sent: Instant::now() }
    }

    /// The record of a run that is over, with every secret taken out.
    pub fn record(&self, plugin: &Plugin, invocation: &Invocation, run: &Run) -> Record {
        let now = Instant::now();
        let fresh;
        let began = match self.began.get() {
            Some(began) => began,
            None => {
                fresh = Began { at: now, wall: Duration::ZERO, random: [0; 32] };
                &fresh
            }
        };
        let notes = lock(&self.notes);
        let redact = &invocation.redact.and(credentials(&notes.http));
        let mut gaps = notes.gaps.clone();
        let uses_sockets = |used: &&wellcheck_core::grant::Use| used.kind == GrantKind::Sockets;
        if run.used.iter().any(|used| uses_sockets(&used)) {
            gaps.insert("it used sockets: what went over them is not kept".to_owned());
        }
        let mut grants: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (kind, value) in invocation.grants.list() {
            // What the host adds to a request is not the plugin's, and no scripted answer needs it.
            let value = value.split(" (adds: ").next().unwrap_or_default();
            grants.entry(kind.as_str().to_owned()).or_default().push(redact.apply(value).into());
        }
        let mut http = notes.http.clone();
        for exchange in &mut http {
            redacted(exchange, redact, &mut gaps);
        }
        let blob = |blob: &Blob, what: &str, gaps: &mut BTreeSet<String>| {
            without_secrets(blob, redact, what, gaps)
        };
        let mut files = notes.files.clone();
        for (path, content) in &mut files {
            if let Some(content) = content {
                *content = blob(content, &format!("the file `{path}`"), &mut gaps);
            }
        }
        let mut room = self.most.saturating_sub(notes.kept);
        let mut state = BTreeMap::new();
        for (key, value) in invocation.supplies.state.iter() {
            let what = format!("state `{key}`");
            match room.checked_sub(value.len()) {
                Some(rest) => {
                    room = rest;
                    state.insert(key.clone(), blob(&Blob(value.to_vec()), &what, &mut gaps));
                }
                None => {
                    gaps.insert(format!("{what} is too large to be kept"));
                }
            }
        }
        let mut checks = notes.checks.clone();
        for standing in checks.values_mut().flatten() {
            redact.apply_to(&mut standing.message);
        }
        let env = invocation.supplies.env.iter();
        let mut outcome = serde_json::from_slice(&api::run(run)).expect("our own JSON");
        walk(&mut outcome, redact);
        Record {
            format: record::FORMAT.to_owned(),
            plugin: PluginId {
                name: plugin.name().to_string(),
                version: plugin.description().version.clone(),
                digest: plugin.digest().to_owned(),
            },
            check: invocation.check.to_string(),
            began: i64::try_from(began.wall.as_millis()).unwrap_or(i64::MAX),
            timeout: u64::try_from(invocation.timeout.as_millis()).unwrap_or(u64::MAX),
            failures_in_a_row: invocation.failures_in_a_row,
            settings: json_without_secrets(&invocation.settings, redact),
            grants,
            limits: unusual(&invocation.limits),
            random: hex(&began.random),
            env: env.map(|(name, value)| (name.clone(), redact.apply(value).into())).collect(),
            state,
            http,
            files,
            checks,
            secrets: notes.secrets.iter().cloned().collect(),
            clock_reads: self.ticks.load(Ordering::Relaxed),
            // Names and URLs stand in them.
            gaps: gaps.iter().map(|gap| redact.apply(gap).into_owned()).collect(),
            outcome,
        }
    }
}

/// The limits that are not the usual ones.
fn unusual(limits: &RunLimits) -> BTreeMap<String, u64> {
    let usual = RunLimits::default();
    let rows = RUN_LIMITS.iter().map(|row| (row, (row.get)(limits)));
    let unusual = rows.filter(|(row, value)| *value != (row.get)(&usual));
    unusual.map(|(row, value)| (row.name.to_owned(), value)).collect()
}

/// Random bytes that nobody can guess.
pub(crate) fn seed() -> [u8; 32] {
    let mut bytes = [0; 32];
    // The kernel gives this many at once, or none at all.
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    assert_eq!(got, Ok(bytes.len()), "the kernel has random bytes");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// Of names and values.
fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

fn kept_standing(standing: &crate::Standing) -> Standing {
    Standing {
        state: standing.state.as_str().to_owned(),
        reason: standing.reason.clone(),
        message: standing.message.clone(),
        age: standing.age.map(|age| age.as_secs_f64() * 1e3),
        observations: standing.observations.iter().cloned().map(Into::into).collect(),
    }
}

fn json_without_secrets(text: &str, redact: &Redactor) -> serde_json::Value {
    let mut value = serde_json::from_str(text).unwrap_or_default();
    walk(&mut value, redact);
    value
}

/// Takes secrets out of every text in a value.
fn walk(value: &mut serde_json::Value, redact: &Redactor) {
    match value {
        serde_json::Value::String(text) => redact.apply_to(text),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|v| walk(v, redact)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|v| walk(v, redact)),
        _ => {}
    }
}

/// Shortest value of a header that is taken for a secret everywhere else too: a cookie may well be
/// `theme=dark`.
const MIN_CREDENTIAL: usize = 8;

/// The values of headers that carry credentials, without what is no secret in them.
fn credentials(http: &[Exchange]) -> Vec<&str> {
    let mut found = Vec::new();
    for exchange in http {
        let told: &[_] = match &exchange.reply {
            Reply::Answer(answer) => &answer.headers,
            _ => &[],
        };
        let all = exchange.headers.iter().chain(told);
        for (name, value) in all.filter(|(name, _)| is_credential(name)) {
            if name.eq_ignore_ascii_case("set-cookie") {
                let cookie = value.split(';').next().unwrap_or_default();
                found.extend(cookie.split_once('=').map(|(_, value)| value));
            } else if name.eq_ignore_ascii_case("cookie") {
                let cookies = value.split(';').filter_map(|cookie| cookie.split_once('='));
                found.extend(cookies.map(|(_, value)| value));
            } else {
                // Of `Bearer TOKEN`, the token.
                found.push(value.as_str());
                found.extend(value.split_once(' ').map(|(_, value)| value));
            }
        }
    }
    found.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_CREDENTIAL).collect()
}

fn without_secrets(
    blob: &Blob,
    redact: &Redactor,
    what: &str,
    gaps: &mut BTreeSet<String>,
) -> Blob {
    if let Ok(text) = std::str::from_utf8(&blob.0) {
        return Blob(redact.apply(text).into_owned().into_bytes());
    }
    let text = String::from_utf8_lossy(&blob.0);
    if redact.apply(&text) == text {
        return blob.clone();
    }
    gaps.insert(format!("{what} is left out: a secret stands in it"));
    Blob::default()
}

fn redacted(exchange: &mut Exchange, redact: &Redactor, gaps: &mut BTreeSet<String>) {
    redact.apply_to(&mut exchange.url);
    let what = format!("the body of `{} {}`", exchange.method, exchange.url);
    hide(&mut exchange.headers, redact);
    exchange.body = without_secrets(&exchange.body, redact, &what, gaps);
    match &mut exchange.reply {
        Reply::Silence => {}
        Reply::Failure(failed) => redact.apply_to(&mut failed.message),
        Reply::Answer(answer) => {
            hide(&mut answer.headers, redact);
            let what = format!("the answer to `{} {}`", exchange.method, exchange.url);
            // A secret may lie across two pieces.
            let whole = Blob(answer.body.iter().flat_map(|chunk| &chunk.data.0).copied().collect());
            let clean = without_secrets(&whole, redact, &what, gaps);
            if clean != whole {
                let after = answer.body.iter().map(|chunk| chunk.after).sum();
                answer.body = vec![Chunk { after, data: clean }];
            }
            if let Some(broken) = &mut answer.broken {
                redact.apply_to(&mut broken.message);
            }
        }
    }
}

/// A cookie keeps its name, so that who reads it can be run again.
fn hide(headers: &mut [(String, String)], redact: &Redactor) {
    for (name, value) in headers {
        if !is_credential(name) {
            redact.apply_to(value);
            continue;
        }
        let cookie = value.split_once('=').filter(|_| name.eq_ignore_ascii_case("set-cookie"));
        *value = match cookie {
            Some((cookie, _)) => format!("{cookie}={REDACTED}"),
            None => REDACTED.to_owned(),
        };
    }
}

/// One request on the tape.
#[derive(Clone)]
pub(crate) struct Taped {
    tape: Arc<Tape>,
    /// Where it is among the requests; `None` where it is not kept.
    at: Option<usize>,
    sent: Instant,
}

impl Taped {
    /// The guest's body, noted as it goes.
    pub(crate) fn sending(&self, body: Body) -> Body {
        Passing { body, taped: self.clone(), is_answer: false, last: Instant::now(), done: false }
            .boxed_unsync()
    }

    /// The answer's head, and its body as it comes.
    pub(crate) fn answered(&self, status: u16, headers: &HeaderMap) {
        let mut answer = Answer { after: milliseconds(self.sent), status, ..Answer::default() };
        let mut notes = lock(&self.tape.notes);
        let fits = notes.take(bytes_of(headers), self.tape.most).is_some();
        if fits {
            answer.headers = texts(headers);
        }
        let Some(exchange) = self.at.and_then(|at| notes.http.get_mut(at)) else { return };
        exchange.reply = Reply::Answer(answer);
        if !fits {
            let gap = format!("the headers of the answer to {} were cut", named(exchange));
            notes.gap(gap);
        }
    }

    /// The answer's body went on for longer than the request may take.
    pub(crate) fn cut_off(&self, failure: &Failure) {
        let since = milliseconds(self.sent);
        self.with(|exchange| {
            if let Reply::Answer(answer) = &mut exchange.reply {
                let before: f64 = answer.body.iter().map(|piece| piece.after).sum();
                let after = (since - answer.after - before).max(0.0);
                answer.broken.get_or_insert_with(|| kept_failure(failure, after));
            }
        });
    }

    pub(crate) fn receiving(&self, body: Body) -> Body {
        Passing { body, taped: self.clone(), is_answer: true, last: Instant::now(), done: false }
            .boxed_unsync()
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        let failed = kept_failure(failure, milliseconds(self.sent));
        self.with(|exchange| exchange.reply = Reply::Failure(failed));
    }

    fn with(&self, note: impl FnOnce(&mut Exchange)) {
        let mut notes = lock(&self.tape.notes);
        if let Some(exchange) = self.at.and_then(|at| notes.http.get_mut(at)) {
            note(exchange);
        }
    }

    fn piece(&self, data: &Bytes, after: f64, is_answer: bool) {
        let mut notes = lock(&self.tape.notes);
        let room = self.tape.most.saturating_sub(notes.kept);
        let kept = data.len().min(room);
        notes.kept += kept;
        let Some(exchange) = self.at.and_then(|at| notes.http.get_mut(at)) else { return };
        let data_kept = &data[..kept];
        match (&mut exchange.reply, is_answer) {
            (Reply::Answer(answer), true) => {
                // A piece takes more than its few bytes.
                let is_full = answer.body.len() >= MOST_PIECES;
                match answer.body.last_mut().filter(|_| is_full) {
                    Some(last) => {
                        last.after += after;
                        last.data.0.extend_from_slice(data_kept);
                    }
                    None if kept > 0 => {
                        answer.body.push(Chunk { after, data: Blob(data_kept.to_vec()) });
                    }
                    None => {}
                }
            }
            _ => exchange.body.0.extend_from_slice(data_kept),
        }
        if kept < data.len() {
            let gap = format!("the bodies of {} were cut", named(exchange));
            notes.gap(gap);
        }
    }
}

/// A request as gaps name it.
fn named(exchange: &Exchange) -> String {
    let Exchange { method, url, .. } = exchange;
    format!("`{} {}`", cleaned(method, SHOWN), cleaned(url, SHOWN))
}

fn kept_failure(failure: &Failure, after: f64) -> Failed {
    Failed { after, kind: failure.kind.as_str().to_owned(), message: failure.message.clone() }
}

/// A body that is noted as it passes.
struct Passing {
    body: Body,
    taped: Taped,
    is_answer: bool,
    last: Instant,
    done: bool,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let after = milliseconds(self.last);
        self.last = Instant::now();
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.taped.piece(data, after, self.is_answer);
                }
            }
            Some(Err(failure)) if self.is_answer && !self.done => {
                self.done = true;
                let failed = kept_failure(failure, after);
                self.taped.with(|exchange| {
                    if let Reply::Answer(answer) = &mut exchange.reply {
                        answer.broken = Some(failed);
                    }
                });
            }
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
