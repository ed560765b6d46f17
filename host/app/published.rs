//! The snapshot that everybody reads, with the bodies made from it.
//!
//! Replaced as a whole by the scheduler; readers never wait for it or for each other. A body is
//! encoded, hashed and compressed when it is first asked for, once per snapshot, and shared by every
//! connection; a large one on a thread that serves nothing meanwhile. Who waits for changes is told once per snapshot.

use std::collections::HashMap;
use std::io::Write;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use tokio::sync::{MutexGuard, Notify, watch};
use wellcheck_core::endpoint::{Codes, EndpointSpec};
use wellcheck_core::format::{FORMATS, Options, Selection};
use wellcheck_core::outcome::Outcome;
use wellcheck_core::snapshot::{Item, Snapshot};
use wellcheck_core::status::Status;
use wellcheck_core::time::WallTime;
use wellcheck_wasm::{Standing, Standings};

use crate::clock::Clock;
use crate::digest::{hex, sha256};

/// Shorter bodies are not compressed: they fit into one packet anyway.
const MIN_COMPRESSED: usize = 1024;

/// Longer bodies are not compressed either: that would keep a thread of the server busy for long.
const MAX_COMPRESSED: usize = 8 * 1024 * 1024;

/// Answers about one check or group that are kept for each snapshot, at most; further ones are made
/// anew each time.
const MAX_KEPT: usize = 1024;

/// Pictures of more checks and groups than this are large: what is made from all of them takes so
/// long that no thread of the server may be held by it.
const LARGE: usize = 2_000;

/// Longer bodies, in bytes, take so long to compress.
const LARGE_BODY: usize = 512 * 1024;

/// What is made from large pictures at the moment. A thread that makes something hands over its tasks
/// first; whoever comes meanwhile waits without holding a thread, so that few are held at once.
#[derive(Debug, Default)]
struct Work {
    under_way: AtomicUsize,
    done: Notify,
    /// Of those who wait, in their order.
    turn: tokio::sync::Mutex<()>,
}

impl Work {
    /// Does something that takes long.
    fn at_length<T>(&self, work: impl FnOnce() -> T) -> T {
        // Counts it also when it panics.
        struct UnderWay<'a>(&'a Work);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
                    self.0.done.notify_waiters();
                }
            }
        }
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(self);
        tokio::task::block_in_place(work)
    }

    /// What is in a cell, made if it is not there yet.
    fn once<'a, T>(
        &self,
        cell: &'a OnceLock<T>,
        takes_long: bool,
        make: impl FnOnce() -> T,
    ) -> &'a T {
        match cell.get() {
            Some(made) => made,
            None if takes_long => self.at_length(|| cell.get_or_init(make)),
            None => cell.get_or_init(make),
        }
    }
}

/// A rendered answer, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// HTTP status code.
    pub(crate) code: u16,
    /// The format's own media type.
    pub(crate) media_type: HeaderValue,
    /// How long others may keep it.
    pub(crate) cache_control: HeaderValue,
    /// The body as it is.
    pub(crate) plain: Coded,
    gzip: OnceLock<Option<Coded>>,
    work: Arc<Work>,
}

/// A body in one content coding.
#[derive(Debug)]
pub(crate) struct Coded {
    /// The bytes.
    pub(crate) body: Bytes,
    /// Changes whenever the body, its media type or its code does. Answers that are no success have
    /// none: a condition must not turn a 503 into a 304.
    pub(crate) tag: Option<HeaderValue>,
}

/// Who may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Everybody,
    /// Whoever came with a token.
    Trusted,
}

impl Rendered {
    fn new(
        format: usize,
        selection: &Selection<'_>,
        codes: &Codes,
        audience: Audience,
        work: &Arc<Work>,
    ) -> Self {
        let (number, format) = (format, FORMATS[format]);
        let code = codes.get(selection.status()).unwrap_or_else(|| format.code(selection));
        let body = Bytes::from(format.render(selection));
        let tag = (200..300).contains(&code).then(|| tag(number, code, &body)).flatten();
        let mut cache_control = format.cache_control(selection);
        if audience == Audience::Trusted && cache_control != "no-store" {
            cache_control.insert_str(0, "private, ");
        }
        let no_store = HeaderValue::from_static("no-store");
        let cache_control = match cache_control.as_str() {
            "no-store" => no_store,
            other => HeaderValue::from_str(other).unwrap_or(no_store),
        };
        Self {
            code,
            media_type: HeaderValue::from_static(format.media_type()),
            cache_control,
            plain: Coded { body, tag },
            gzip: OnceLock::new(),
            work: Arc::clone(work),
        }
    }

    /// The body compressed, if it is worth that.
    pub(crate) fn gzip(&self) -> Option<&Coded> {
        let takes_long = (LARGE_BODY..=MAX_COMPRESSED).contains(&self.plain.body.len());
        self.work.once(&self.gzip, takes_long, || self.compress()).as_ref()
    }

    fn compress(&self) -> Option<Coded> {
        let body = &self.plain.body;
        if !(MIN_COMPRESSED..=MAX_COMPRESSED).contains(&body.len()) {
            return None;
        }
        // Speed matters more than the last percent: the body lives for one snapshot.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(body).ok()?;
        let compressed = Bytes::from(encoder.finish().ok()?);
        // Each coding has a tag of its own.
        let coded = |tag: &HeaderValue| {
            let inner = tag.as_bytes().strip_suffix(b"\"")?;
            HeaderValue::from_bytes(&[inner, b"-gzip\""].concat()).ok()
        };
        let tag = self.plain.tag.as_ref().and_then(coded);
        (compressed.len() < body.len()).then_some(Coded { body: compressed, tag })
    }
}

/// A strong entity tag.
fn tag(format: usize, code: u16, body: &[u8]) -> Option<HeaderValue> {
    // Two formats may say the same in the same words under another media type.
    let hex = hex(&sha256(body)[..12]);
    HeaderValue::try_from(format!("\"{hex}-{format}-{code}\"")).ok()
}

/// An answer in each format: encoded when it is first asked for.
#[derive(Debug)]
struct Formats(Box<[OnceLock<Rendered>]>);

impl Default for Formats {
    fn default() -> Self {
        Self(FORMATS.iter().map(|_| OnceLock::new()).collect())
    }
}

/// The answers of one `[[endpoint]]`: for everybody, and for whoever comes with a token.
#[derive(Debug, Default)]
struct OfEndpoint {
    everybody: OnceLock<Formats>,
    trusted: OnceLock<Formats>,
}

/// One snapshot and the bodies made from it so far.
#[derive(Debug)]
pub(crate) struct Published {
    /// The picture.
    pub(crate) snapshot: Snapshot,
    status: OnceLock<Status>,
    /// Everything.
    aggregate: Formats,
    /// In the order of the configuration.
    endpoints: Box<[OfEndpoint]>,
    paths: Arc<Paths>,
    /// Checks and groups by themselves, by name and format.
    items: Mutex<HashMap<(String, usize), Arc<Rendered>>>,
    list: OnceLock<Bytes>,
    is_large: bool,
    work: Arc<Work>,
}

impl Published {
    fn new(snapshot: Snapshot, before: Option<&Self>, work: &Arc<Work>) -> Self {
        let specs = &snapshot.setup.endpoints;
        let paths = match before {
            Some(before) if Arc::ptr_eq(&before.snapshot.setup.endpoints, specs) => {
                Arc::clone(&before.paths)
            }
            _ => Arc::new(Paths::of(specs)),
        };
        Self {
            status: OnceLock::new(),
            aggregate: Formats::default(),
            endpoints: specs.iter().map(|_| OfEndpoint::default()).collect(),
            paths,
            items: Mutex::default(),
            list: OnceLock::new(),
            is_large: snapshot.checks.len() + snapshot.groups.len() > LARGE,
            work: Arc::clone(work),
            snapshot,
        }
    }

    /// The state of everything.
    pub(crate) fn status(&self) -> Status {
        *self.status.get_or_init(|| Selection::all(&self.snapshot).status())
    }

    /// Everything, in the format at this place of [`FORMATS`].
    pub(crate) fn aggregate(&self, format: usize) -> &Rendered {
        self.work.once(&self.aggregate.0[format], self.is_large, || {
            let selection = Selection::all(&self.snapshot);
            let codes = Codes::default();
            Rendered::new(format, &selection, &codes, Audience::Everybody, &self.work)
        })
    }

    /// One check or group.
    pub(crate) fn item(&self, item: Item<'_>, format: usize) -> Arc<Rendered> {
        let key = (item.name().to_owned(), format);
        let kept = || self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = kept().get(&key) {
            return Arc::clone(rendered);
        }
        // Outside of the lock, so that nobody waits for another body than their own.
        let render = || {
            let selection = Selection::item(&self.snapshot, item);
            let codes = Codes::default();
            Arc::new(Rendered::new(format, &selection, &codes, Audience::Everybody, &self.work))
        };
        let rendered = match item {
            // It may have all the others as members.
            Item::Group(_) if self.is_large => self.work.at_length(render),
            _ => render(),
        };
        let mut kept = kept();
        if kept.len() < MAX_KEPT {
            kept.insert(key, Arc::clone(&rendered));
        }
        rendered
    }

    /// The endpoint that a listener serves under a path: its number and what is configured.
    pub(crate) fn endpoint(&self, path: &str, listener: &str) -> Option<(usize, &EndpointSpec)> {
        let specs = &self.snapshot.setup.endpoints;
        let served = |index: &&usize| {
            let listed = specs.get(**index).and_then(|spec| spec.listener.as_deref());
            listed.is_none_or(|name| name == listener)
        };
        let index = *self.paths.0.get(path)?.iter().find(served)?;
        Some((index, specs.get(index)?))
    }

    /// The answer of the endpoint of that number.
    pub(crate) fn of_endpoint(&self, index: usize, format: usize, trusted: bool) -> &Rendered {
        let spec = &self.snapshot.setup.endpoints[index];
        let of = &self.endpoints[index];
        let (slot, detail, audience) = if trusted {
            (&of.trusted, spec.detail.max(spec.detail_with_token), Audience::Trusted)
        } else {
            (&of.everybody, spec.detail, Audience::Everybody)
        };
        let cell = &slot.get_or_init(Formats::default).0[format];
        self.work.once(cell, self.is_large, || {
            let options = Options { detail, standby_is_healthy: spec.standby_is_healthy };
            let selection = Selection::pick(&self.snapshot, &spec.pick).told(options);
            Rendered::new(format, &selection, &spec.codes, audience, &self.work)
        })
    }

    /// The JSON API's list of checks.
    pub(crate) fn list(&self) -> Bytes {
        let make = || wellcheck_core::format::api::list(&self.snapshot).into();
        self.work.once(&self.list, self.is_large, make).clone()
    }

    /// Does what is not kept and concerns all checks.
    pub(crate) fn unkept<T>(&self, make: impl FnOnce() -> T) -> T {
        if self.is_large { self.work.at_length(make) } else { make() }
    }
}

/// The numbers of the endpoints under each path: one, or one for each listener.
#[derive(Debug, Default)]
struct Paths(HashMap<String, Vec<usize>>);

impl Paths {
    fn of(specs: &[EndpointSpec]) -> Self {
        let mut paths: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, spec) in specs.iter().enumerate() {
            paths.entry(spec.path.clone()).or_default().push(index);
        }
        Self(paths)
    }
}

/// Where the present snapshot is found; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    present: ArcSwap<Published>,
    changed: watch::Sender<()>,
    work: Arc<Work>,
}

impl Shared {
    /// An empty picture, until the scheduler publishes the first.
    pub(crate) fn new() -> Self {
        let work = Arc::default();
        let present = ArcSwap::from_pointee(Published::new(Snapshot::default(), None, &work));
        Self(Arc::new(Inner { present, changed: watch::Sender::new(()), work }))
    }

    /// Replaces the picture.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let published = Published::new(snapshot, Some(&self.load()), &self.0.work);
        self.0.present.store(Arc::new(published));
        self.0.changed.send_replace(());
    }

    /// The present picture.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Published>> {
        self.0.present.load()
    }

    /// Is told of every picture from now on; of several in a row, of the last.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Whether something is being made from a large picture, which may be what is asked for next.
    pub(crate) fn is_at_work(&self) -> bool {
        self.0.work.under_way.load(Ordering::SeqCst) > 0
    }

    /// Waits for what is being made, and for those who wait already. Whoever has a turn answers
    /// without waiting for anything else, and from the picture of when it came: what is made for one
    /// is there for all who came with it, however often the picture changes.
    pub(crate) async fn turn(&self) -> (Self, MutexGuard<'_, ()>) {
        let inner = &*self.0;
        let present = ArcSwap::new(inner.present.load_full());
        let (changed, work) = (watch::Sender::new(()), Arc::clone(&inner.work));
        let pinned = Self(Arc::new(Inner { present, changed, work }));
        let turn = inner.work.turn.lock().await;
        let mut done = pin!(inner.work.done.notified());
        // Before the look, so that what ends after it is noticed.
        done.as_mut().enable();
        if self.is_at_work() {
            done.await;
        }
        (pinned, turn)
    }

    /// Waits for the first picture that is made from a configuration.
    pub(crate) async fn first(&self) {
        let mut changes = self.changes();
        while self.load().snapshot.setup.configuration.read == WallTime::default() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// How checks are, for the plugins of other checks.
pub(crate) struct SharedStandings {
    /// Where the present picture is found.
    pub(crate) shared: Shared,
    /// What ages are counted by.
    pub(crate) clock: Clock,
}

impl Standings for SharedStandings {
    fn latest(&self, check: &str) -> Option<Standing> {
        let published = self.shared.load();
        let state = published.snapshot.check(check)?;
        let current = state.current();
        let observations = match current.map(|last| &last.run.outcome) {
            Some(Outcome::Answered(report)) => report.observations.clone(),
            _ => Vec::new(),
        };
        Some(Standing {
            state: state.state,
            reason: state.reason().map(str::to_owned),
            message: state.message().to_owned(),
            age: current.map(|last| {
                let age = self.clock.now().wall.0.saturating_sub(last.at.0);
                Duration::from_millis(u64::try_from(age).unwrap_or(0))
            }),
            observations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_long_is_done_once_and_others_wait_for_it_without_a_thread() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let shared = Shared::new();
            let (begun, has_begun) = std::sync::mpsc::channel();
            let (end, may_end) = std::sync::mpsc::channel();
            let work = Arc::clone(&shared.0.work);
            let long = tokio::spawn(async move {
                let cell = OnceLock::new();
                let make = || {
                    begun.send(()).expect("the test waits");
                    may_end.recv().expect("the test ends it");
                    7
                };
                *work.once(&cell, true, make) + *work.once(&cell, true, || 0)
            });
            tokio::task::block_in_place(|| has_begun.recv()).expect("it begins");
            assert!(shared.is_at_work());
            // The only worker is at work, and others are served nevertheless.
            assert_eq!(tokio::spawn(async { 1 }).await.expect("no panic"), 1);
            let waiter = shared.clone();
            let waiting = tokio::spawn(async move { drop(waiter.turn().await) });
            tokio::spawn(async {}).await.expect("no panic");
            assert!(!waiting.is_finished());
            end.send(()).expect("it waits");
            assert_eq!(long.await.expect("no panic"), 14);
            waiting.await.expect("no panic");
            assert!(!shared.is_at_work());
            drop(shared.turn().await);
        });
    }

    #[test]
    fn work_that_panics_is_no_longer_under_way() {
        let work = Work::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            work.at_length(|| assert_eq!(1, 2));
        }));
        assert!(panicked.is_err());
        assert_eq!(work.under_way.load(Ordering::SeqCst), 0);
    }
}
