//! The plugins that are fetched: which file of the cache is each of them, and what their sources say.
//!
//! Owned by the keeper, for which a fetched file is one more file of its listing. Each source has a
//! task of its own that hands news back; nothing waits for it. What is in the cache is used at once,
//! and what the source leads to by now replaces it when it is there, by the same steps as a new
//! version of a file in the folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use wellcheck_core::config::{Config, PluginSpec, Problems};
use wellcheck_core::id::PluginName;
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::{FetchedFrom, Newest};
use wellcheck_core::source::{Digest, PublicKey, Source};
use wellcheck_fetch::{
    Access, Cache, Credentials, FetchError, Fetcher, Kept, LOCK_FILE, Lock, Locked, Wanted,
};
use wellcheck_net::Tls;
use wellcheck_net::http::Client;

use crate::sources::{Fingerprint, fingerprinted};

/// Fetches at once.
const AT_ONCE: usize = 4;

/// Until a source is asked again that could not be had, the first time; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What is there of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum There {
    /// A file of the cache.
    Kept(PathBuf, Digest, Fingerprint),
    /// Nothing yet, and why.
    Waiting(Newest),
}

/// What is there, by plugin.
pub(crate) type AllThere = Arc<BTreeMap<PluginName, There>>;

/// What a task has to say.
pub(crate) struct News {
    name: PluginName,
    /// Which task: what one says that was replaced no longer matters.
    task: u64,
    what: What,
}

enum What {
    /// A file was found or fetched.
    Kept(Kept),
    /// The source was asked: it is as it should be, or leads elsewhere than what is pinned.
    Settled(Option<String>),
    /// The source cannot be had.
    Trouble(String),
}

/// What is asked for of one source.
#[derive(Clone, PartialEq)]
struct Wish {
    source: Source,
    /// The file that it must be.
    digest: Option<Digest>,
    /// What pins it, for messages.
    pinned_by: &'static str,
    /// The manifest that is locked.
    manifest: Option<Digest>,
    keys: Vec<PublicKey>,
    interval: Option<Duration>,
}

struct Entry {
    wish: Wish,
    task: AbortHandle,
    number: u64,
    kept: Option<Kept>,
    /// The kept file as it was when it was found or fetched.
    seen: Option<Fingerprint>,
    note: Option<String>,
    /// Whether the source has been asked since the start.
    asked: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All of them.
pub(crate) struct Fetches {
    client: Client,
    tls: Tls,
    /// Why there is none, where there is none.
    cache: Result<PathBuf, String>,
    entries: BTreeMap<PluginName, Entry>,
    permits: Arc<Semaphore>,
    news: mpsc::Sender<News>,
    tasks: u64,
    /// A URL may hold a secret, and what is said here is for everybody.
    redactor: Redactor,
}

/// How sources are asked, by a configuration.
pub(crate) fn fetcher(client: Client, tls: Tls, config: &Config) -> Fetcher {
    let access = config.registries.iter().filter_map(|registry| {
        let credentials = match (&registry.token, &registry.username, &registry.password) {
            (Some(token), ..) => Credentials::Bearer(token.clone()),
            (None, Some(username), Some(password)) => {
                let (username, password) = (username.clone(), password.clone());
                Credentials::Basic { username, password }
            }
            _ => return None,
        };
        Some(Access { host: registry.host.clone(), credentials, from: "`[[registry]]`" })
    });
    Fetcher {
        client,
        tls,
        access: access.collect(),
        max_bytes: config.plugins.load.file_bytes,
        time: config.plugins.load.fetch_time,
        received: None,
    }
}

/// Whose signatures are good for a plugin.
pub(crate) fn keys<'a>(spec: &'a PluginSpec, config: &'a Config) -> &'a [PublicKey] {
    if spec.keys.is_empty() { &config.plugins.keys } else { &spec.keys }
}

/// Its entry in the lock, if that is about the same source.
pub(crate) fn locked<'a>(spec: &PluginSpec, lock: &'a Lock) -> Option<&'a Locked> {
    lock.get(&spec.name).filter(|locked| locked.source == spec.source)
}

/// Plugins that a lock ought to pin and does not, and pins that contradict each other.
pub(crate) fn lock_problems(config: &Config, lock: Option<&Lock>, problems: &mut Problems) {
    let Some(lock) = lock else { return };
    for spec in &config.fetched {
        let name = &spec.name;
        match (locked(spec, lock), lock.get(name)) {
            (Some(locked), _) => {
                if let Some(digest) = spec.digest.filter(|digest| *digest != locked.digest) {
                    let message = format!(
                        "`[[plugin]]` `{name}` must be `{digest}`, and `{LOCK_FILE}` says `{}` (expected the same; `wellcheck plugin lock --update {name}` looks again)",
                        locked.digest
                    );
                    problems.error(&spec.place, message);
                }
            }
            (None, Some(other)) => {
                let message = format!(
                    "`[[plugin]]` `{name}` is not locked: `{LOCK_FILE}` has it from `{}` (`wellcheck plugin lock` brings it up to date)",
                    other.source
                );
                problems.warning(&spec.place, message);
            }
            (None, None) => {
                let message = format!(
                    "`[[plugin]]` `{name}` is not locked: it does not stand in `{LOCK_FILE}` (`wellcheck plugin lock` brings it up to date)"
                );
                problems.warning(&spec.place, message);
            }
        }
    }
}

impl Fetches {
    /// None yet; news arrive at the receiver.
    pub(crate) fn new(
        client: Client,
        tls: Tls,
        cache: Option<PathBuf>,
    ) -> (Self, mpsc::Receiver<News>) {
        let (news, receiver) = mpsc::channel(AT_ONCE);
        let none = || "there is no folder to keep it in (`[plugins] cache` names one)".to_owned();
        let cache = cache.ok_or_else(none);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let entries = BTreeMap::new();
        let redactor = Redactor::default();
        (Self { client, tls, cache, entries, permits, news, tasks: 0, redactor }, receiver)
    }

    /// Takes in a configuration and a lock, and asks all sources anew.
    pub(crate) fn follow(&mut self, config: &Config, lock: &Lock) {
        self.redactor = config.redactor.clone();
        let mut before = std::mem::take(&mut self.entries);
        for spec in &config.fetched {
            let locked = locked(spec, lock);
            let wish = Wish {
                source: spec.source.clone(),
                digest: spec.digest.or_else(|| locked.map(|locked| locked.digest)),
                pinned_by: if locked.is_some() { LOCK_FILE } else { "digest" },
                manifest: locked.and_then(|locked| locked.manifest),
                keys: keys(spec, config).to_vec(),
                interval: spec.interval,
            };
            let old = before.remove(&spec.name);
            // What runs goes on until the new one is there, unless nobody vouches for it any more.
            let vouched = |kept: &Kept| {
                wish.keys.is_empty()
                    || kept.signed_by.as_ref().is_some_and(|key| wish.keys.contains(key))
            };
            let (kept, asked) = match &old {
                Some(old) => (old.kept.clone().filter(vouched), old.asked),
                None => (None, false),
            };
            let seen = old.as_ref().and_then(|old| old.seen).filter(|_| kept.is_some());
            let note = old.as_ref().and_then(|old| old.note.clone()).filter(|_| kept.is_some());
            drop(old);
            self.tasks += 1;
            let task = Task {
                name: spec.name.clone(),
                number: self.tasks,
                wish: wish.clone(),
                fetcher: fetcher(self.client.clone(), self.tls.clone(), config),
                cache: self.cache.clone(),
                current: kept.as_ref().map(|kept| kept.digest),
                permits: Arc::clone(&self.permits),
                news: self.news.clone(),
            };
            let task = tokio::spawn(task.run()).abort_handle();
            let entry = Entry { wish, task, number: self.tasks, kept, seen, note, asked };
            self.entries.insert(spec.name.clone(), entry);
        }
    }

    /// Takes in news. Returns whether anything changed.
    pub(crate) fn take(&mut self, news: News) -> bool {
        let News { name, task, what } = news;
        let Some(entry) = self.entries.get_mut(&name).filter(|entry| entry.number == task) else {
            return false;
        };
        let redact = &self.redactor;
        match what {
            What::Kept(kept) => {
                let source = entry.wish.source.to_string();
                let (source, digest) = (redact.apply(&source), &kept.digest);
                tracing::info!(plugin = %name, %source, %digest, "plugin is there");
                entry.seen = fingerprinted(kept.path.clone()).1;
                entry.kept = Some(kept);
            }
            What::Settled(note) => {
                let note = note.map(|note| redact.apply(&note).into_owned());
                if let Some(note) = &note {
                    tracing::warn!(plugin = %name, "{note}");
                }
                entry.asked = true;
                entry.note = note;
            }
            What::Trouble(why) => {
                let why = redact.apply(&why);
                let why = match &entry.kept {
                    Some(kept) => format!("{why}; the kept `{}` goes on", kept.digest),
                    None => format!("cannot be fetched: {why}"),
                };
                // It is tried again and again, and said once.
                if entry.note.as_ref() != Some(&why) {
                    tracing::warn!(plugin = %name, "{why}");
                }
                entry.asked = true;
                entry.note = Some(why);
            }
        }
        true
    }

    /// What is there now, for a listing.
    pub(crate) fn there(&self) -> AllThere {
        let all = self.entries.iter().map(|(name, entry)| {
            let there = match (&entry.kept, &entry.note) {
                // As it was when it was kept: what runs needs its file no more, so that neither a
                // cache that somebody tidies nor a look of another process at it concerns us.
                (Some(kept), _) => match entry.seen {
                    Some(fingerprint) => There::Kept(kept.path.clone(), kept.digest, fingerprint),
                    None => There::Waiting(Newest::Broken(
                        "the kept file is gone (a reload fetches it again)".to_owned(),
                    )),
                },
                (None, Some(why)) if entry.asked => There::Waiting(Newest::Broken(why.clone())),
                (None, _) => {
                    There::Waiting(Newest::Loading("the plugin is being fetched".to_owned()))
                }
            };
            (name.clone(), there)
        });
        Arc::new(all.collect())
    }

    /// What is worth a line of health: of plugins that run all the same.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.entries.iter().filter_map(|(name, entry)| {
            let note = entry.note.as_ref().filter(|_| entry.kept.is_some())?;
            Some(format!("plugin `{name}`: {note}"))
        })
    }

    /// Where a plugin comes from, if it is fetched.
    pub(crate) fn origin(&self, name: &str) -> Option<Arc<FetchedFrom>> {
        let entry = self.entries.get(name)?;
        Some(Arc::new(FetchedFrom {
            source: self.redactor.apply(&entry.wish.source.to_string()).into_owned(),
            digest: entry.kept.as_ref().map(|kept| kept.digest.to_string()),
            signed_by: entry.kept.as_ref().and_then(|k| Some(k.signed_by.as_ref()?.to_string())),
            locked: entry.wish.pinned_by == LOCK_FILE,
            note: entry.note.clone(),
        }))
    }
}

/// What looks after one source.
struct Task {
    name: PluginName,
    number: u64,
    wish: Wish,
    fetcher: Fetcher,
    cache: Result<PathBuf, String>,
    /// The file that is there already.
    current: Option<Digest>,
    permits: Arc<Semaphore>,
    news: mpsc::Sender<News>,
}

impl Task {
    async fn run(mut self) {
        // Made when something is fetched for the first time: most configurations fetch nothing.
        let cache = self.cache.clone().and_then(|dir| {
            tokio::task::block_in_place(|| Cache::open(&dir)).map_err(|error| error.message)
        });
        let cache = match cache {
            Ok(cache) => cache,
            Err(why) => return self.tell(What::Trouble(why)).await,
        };
        self.find(&cache).await;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.look(&cache).await {
                Ok(note) => {
                    pause = FIRST_PAUSE;
                    self.tell(What::Settled(note)).await;
                    let Some(interval) = self.wish.interval else { return };
                    tokio::time::sleep(interval).await;
                }
                Err(error) => {
                    self.tell(What::Trouble(error.message)).await;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn tell(&self, what: What) {
        let (name, task) = (self.name.clone(), self.number);
        // The keeper is gone only when the process ends.
        let _ = self.news.send(News { name, task, what }).await;
    }

    /// Looks for the file in the cache, by what is pinned or what the source last led to. One that
    /// was there and is not any more, or was changed, is fetched again.
    async fn find(&mut self, cache: &Cache) {
        let known = || cache.known(&self.wish.source).map(|known| known.digest);
        let Some(digest) = self.wish.digest.or_else(known).or(self.current) else { return };
        let (cache, keys) = (cache.clone(), self.wish.keys.clone());
        let limit = self.fetcher.max_bytes;
        let found = tokio::task::spawn_blocking(move || cache.find(&digest, &keys, limit)).await;
        match found {
            Ok(Ok(_)) if self.current == Some(digest) => {}
            Ok(Ok(kept)) => {
                self.current = Some(kept.digest);
                self.tell(What::Kept(kept)).await;
            }
            _ if self.current == Some(digest) => self.current = None,
            _ => {}
        }
    }

    /// Asks the source, and fetches what is not there. Returns what is worth knowing.
    async fn look(&mut self, cache: &Cache) -> Result<Option<String>, FetchError> {
        let permits = Arc::clone(&self.permits);
        let _permit = permits.acquire().await.expect("the semaphore is never closed");
        let Wish { source, digest, manifest, keys, .. } = &self.wish;
        let (mut digest, mut manifest) = (*digest, *manifest);
        let is_there = digest.is_some() && digest == self.current;
        if is_there && !matches!(source, Source::Oci(oci) if oci.digest.is_none()) {
            // A digest leads to the same file for ever; what a URL leads to is known only by fetching it.
            return Ok(None);
        }
        if digest.is_none() || is_there {
            let found = self.fetcher.resolve(source).await?;
            if let Some(found) = found {
                match digest {
                    Some(pinned) if pinned != found.digest => {
                        return Ok(Some(self.moved(&found.digest, &pinned)));
                    }
                    Some(_) => return Ok(None),
                    None => {}
                }
                if self.current == Some(found.digest) {
                    let known = wellcheck_fetch::Known {
                        digest: found.digest,
                        manifest: Some(found.manifest),
                    };
                    cache.note(source, &known);
                    return Ok(None);
                }
                (digest, manifest) = (Some(found.digest), Some(found.manifest));
            }
        }
        let wanted = Wanted { source, manifest, digest, keys };
        let fetched = self.fetcher.fetch(&wanted).await?;
        let (cache, source) = (cache.clone(), source.clone());
        let kept = tokio::task::spawn_blocking(move || cache.keep(&source, &fetched)).await;
        let kept = kept.map_err(|error| {
            let message = format!("keeping the file: {error}");
            FetchError::new(wellcheck_fetch::FetchErrorKind::Local, message)
        })??;
        self.current = Some(kept.digest);
        self.tell(What::Kept(kept)).await;
        Ok(None)
    }

    /// A tag leads elsewhere than what is pinned.
    fn moved(&self, found: &Digest, pinned: &Digest) -> String {
        let (source, name) = (&self.wish.source, &self.name);
        let (by, how) = match self.wish.pinned_by {
            LOCK_FILE => (
                format!("`{LOCK_FILE}`"),
                format!("`wellcheck plugin lock --update {name}` takes the new one"),
            ),
            key => (format!("its `{key}`"), "change it to take the new one".to_owned()),
        };
        format!("`{source}` leads to `{found}` now; {by} says `{pinned}`, which goes on ({how})")
    }
}
