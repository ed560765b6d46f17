//! Keeps what runs in step with what is on disk: one task that owns the configuration and the
//! plugins.
//!
//! It looks at the files twice a second, and re-reads at once when told to (SIGHUP, `POST
//! /-/reload`). A configuration takes effect entirely, or the one before it goes on and the problems
//! are shown; plugins come and go one by one. After each change the scheduler gets the whole picture.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use wellcheck_core::config::tree::Place;
use wellcheck_core::config::{self, Config, Problem, Problems, Server, Severity, Sources};
use wellcheck_core::endpoint::ListenSpec;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::{HostLimits, LoadLimits};
use wellcheck_core::snapshot::{Configuration, Held, Setup};
use wellcheck_fetch::Lock;

use crate::checks::Tools;
use crate::clock::Clock;
use crate::fetches::{AllThere, Fetches, News};
use crate::folder::Listing;
use crate::passive::LivePassives;
use crate::plugins::{Finished, Loaded, Plugins, Quiet};
use crate::records::Records;
use crate::registry::{Builtin, Registry};
use crate::scheduler;
use crate::sources::{Fingerprint, Fingerprints, Places, SystemLookup, fingerprinted, shown};

/// How often the files are looked at; less often where a look costs much.
const LOOK: Duration = Duration::from_millis(400);

/// Looks take at most one part in this many of a core.
const LOOK_SHARE: u32 = 100;

/// What a reload came to.
#[derive(Debug, Clone)]
pub(crate) struct Reloaded {
    /// Whether what is on disk is what runs now.
    pub(crate) applied: bool,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// Asks the keeper to read everything again.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    requests: mpsc::Sender<oneshot::Sender<Reloaded>>,
}

impl Handle {
    /// Reads everything again and says what came of it; `None` when the process is about to end.
    pub(crate) async fn reload(&self) -> Option<Reloaded> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).await.ok()?;
        answer.await.ok()
    }
}

/// The configuration that runs, for those who answer requests; replaced as a whole.
pub(crate) type Live = Arc<ArcSwap<Config>>;

/// Every plugin of the folder: the version that runs, or why none does.
pub(crate) type LoadedMap = BTreeMap<PluginName, Result<Loaded, Held>>;

/// The plugins, for those who answer requests; replaced as a whole.
pub(crate) type LoadedPlugins = Arc<ArcSwap<LoadedMap>>;

/// Everything on disk that the configuration is made from, at one look.
#[derive(PartialEq)]
struct Look {
    files: Fingerprints,
    listing: Arc<Listing>,
}

impl Look {
    /// `imported` are the files that the configuration names, `fetched` what comes from elsewhere.
    fn at(places: &Places, imported: &[PathBuf], fetched: &AllThere) -> Self {
        let mut files = places.fingerprints();
        files.extend(imported.iter().cloned().map(fingerprinted));
        Self { files, listing: Arc::new(Listing::read_with(&places.plugins, fetched)) }
    }

    /// What the configuration depends on; a new version of a plugin's file is not part of it.
    fn shape(&self) -> Shape {
        (self.files.clone(), self.listing.shape())
    }
}

/// CPU time of the calling thread so far.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What two looks in a row found the same.
#[derive(Default)]
struct Still {
    /// Everything that the configuration depends on.
    all: bool,
    /// Everything but the plugins folder.
    files: bool,
}

type Shape = (Fingerprints, Vec<(PluginName, Option<Fingerprint>)>);

/// See the module.
pub(crate) struct Keeper {
    places: Places,
    tools: Tools,
    clock: Clock,
    live: Live,
    loaded: LoadedPlugins,
    passives: LivePassives,
    registry: Registry,
    /// The texts that run, for when the ones on disk are refused.
    sources: Sources,
    /// What only a restart changes, as it was at the start.
    fixed: Fixed,
    configuration: Configuration,
    plugins: Plugins,
    fetches: Fetches,
    /// The files that the configuration on disk imports.
    imported: Vec<PathBuf>,
    look: Look,
    /// What the configuration was last read from.
    read: Shape,
    scheduler: mpsc::Sender<scheduler::Command>,
    records: Records,
}

/// The part of a configuration that only a restart changes.
#[derive(PartialEq)]
struct Fixed {
    server: Server,
    cache: Option<PathBuf>,
    store: Option<PathBuf>,
    load: LoadLimits,
    host: HostLimits,
    listeners: Vec<ListenSpec>,
}

impl Fixed {
    fn of(registry: &Registry) -> Self {
        let config = &registry.config;
        Self {
            server: config.server.clone(),
            cache: config.plugins.cache.clone(),
            store: config.store.clone(),
            load: config.plugins.load.clone(),
            host: config.plugins.host.clone(),
            listeners: config.listeners.clone(),
        }
    }
}

/// The configuration as read for the first time.
pub(crate) struct First {
    /// What is to run.
    pub(crate) registry: Registry,
    /// Warnings, and errors of sidecars.
    pub(crate) problems: Vec<Problem>,
    /// What it was made from.
    sources: Sources,
    /// The files that it imports.
    imported: Fingerprints,
    /// What pins the plugins that are fetched.
    pub(crate) lock: Lock,
}

/// Reads everything once.
///
/// # Errors
/// All problems, when the configuration cannot be used.
pub(crate) fn read(places: &Places, tools: &Tools) -> Result<First, Vec<Problem>> {
    read_listed(places, tools, &Listing::read(&places.plugins)).0
}

/// Likewise, without the lock: for what writes it.
///
/// # Errors
/// All problems, when the configuration cannot be used.
pub(crate) fn read_unlocked(places: &Places, tools: &Tools) -> Result<First, Vec<Problem>> {
    let found = places.read(&Listing::read(&places.plugins));
    if found.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(found.problems);
    }
    check(found.sources, None, tools)
}

/// Also returns the files that the configuration on disk imports, whatever came of it.
fn read_listed(
    places: &Places,
    tools: &Tools,
    listing: &Listing,
) -> (Result<First, Vec<Problem>>, Fingerprints) {
    let found = places.read(listing);
    if found.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return (Err(found.problems), found.imported);
    }
    let lock = match places.read_lock() {
        Ok(lock) => lock,
        // Nobody knows what is to run.
        Err(problem) => return (Err(vec![problem]), found.imported),
    };
    let first = check(found.sources, lock.as_ref(), tools);
    let first = first.map(|first| First {
        imported: found.imported.clone(),
        lock: lock.unwrap_or_default(),
        ..first
    });
    (first, found.imported)
}

/// Makes everything that the texts ask for.
fn check(sources: Sources, lock: Option<&Lock>, tools: &Tools) -> Result<First, Vec<Problem>> {
    let mut builtin = Builtin::new(tools);
    let lookup = SystemLookup { base: tools.base.clone() };
    let (config, mut problems) = config::load(&sources, &lookup, &mut builtin);
    let config = config.ok_or_else(|| problems.clone())?;
    let mut of_routes = Problems::default();
    crate::server::problems(&config, &mut of_routes);
    crate::checks::limit_problems(&config.runs, &mut of_routes);
    crate::fetches::lock_problems(&config, lock, &mut of_routes);
    let of_routes = of_routes.sorted();
    // Errors that are there already are of sidecars, and refuse nothing.
    let refused = of_routes.iter().any(|problem| problem.severity == Severity::Error);
    problems.extend(of_routes);
    if refused {
        return Err(problems);
    }
    let registry = Registry::new(config, builtin);
    let lock = Lock::default();
    Ok(First { registry, problems, sources, imported: Fingerprints::new(), lock })
}

impl Keeper {
    /// Takes over what was read first, and starts to load the plugins that are there.
    pub(crate) fn new(
        places: Places,
        tools: Tools,
        clock: Clock,
        first: First,
        plugins: Plugins,
        mut fetches: Fetches,
        scheduler: mpsc::Sender<scheduler::Command>,
    ) -> Self {
        fetches.follow(&first.registry.config, &first.lock);
        let mut look = Look::at(&places, &[], &fetches.there());
        // As they were before they were read, so that no change is missed.
        look.files.extend(first.imported.clone());
        let imported = first.imported.into_keys().collect();
        let configuration =
            Configuration { read: clock.now().wall, applied: true, problems: first.problems };
        let live = Arc::new(ArcSwap::new(Arc::clone(&first.registry.config)));
        let read = look.shape();
        let registry = first.registry;
        let sources = first.sources;
        let fixed = Fixed::of(&registry);
        let mut keeper = Self {
            places,
            tools,
            clock,
            live,
            loaded: LoadedPlugins::default(),
            passives: LivePassives::default(),
            registry,
            sources,
            fixed,
            configuration,
            plugins,
            fetches,
            imported,
            look,
            read,
            scheduler,
            records: Records::default(),
        };
        keeper.plugins.trust(&keeper.registry.config.plugins, &keeper.look.listing);
        keeper.look_at_plugins(Quiet::Skip);
        keeper.tell_store();
        keeper
    }

    /// With the records that it is to keep within bounds.
    pub(crate) fn with_records(self, records: Records) -> Self {
        Self { records, ..self }
    }

    /// The configuration that runs, kept up to date.
    pub(crate) fn live(&self) -> Live {
        Arc::clone(&self.live)
    }

    /// The plugins that are loaded, kept up to date.
    pub(crate) fn loaded(&self) -> LoadedPlugins {
        Arc::clone(&self.loaded)
    }

    /// The checks that wait for outcomes from outside, kept up to date.
    pub(crate) fn passives(&self) -> LivePassives {
        Arc::clone(&self.passives)
    }

    /// Runs until the handle and the scheduler are gone.
    pub(crate) fn start(
        self,
        finished: mpsc::Receiver<Finished>,
        news: mpsc::Receiver<News>,
    ) -> Handle {
        let (requests, receiver) = mpsc::channel(16);
        tokio::spawn(self.run(receiver, finished, news));
        Handle { requests }
    }

    async fn run(
        mut self,
        mut requests: mpsc::Receiver<oneshot::Sender<Reloaded>>,
        mut finished: mpsc::Receiver<Finished>,
        mut news: mpsc::Receiver<News>,
    ) {
        let mut pause = LOOK;
        self.hand_over().await;
        loop {
            tokio::select! {
                request = requests.recv() => {
                    let Some(reply) = request else { return };
                    let mut replies = vec![reply];
                    // A storm of requests is one reload.
                    while let Ok(reply) = requests.try_recv() {
                        replies.push(reply);
                    }
                    self.look(&mut pause).await;
                    let reloaded = self.reload();
                    self.look_at_plugins(Quiet::Wait);
                    self.hand_over().await;
                    for reply in replies {
                        // Whoever asked may have gone.
                        let _ = reply.send(reloaded.clone());
                    }
                }
                Some(done) = finished.recv() => {
                    if self.plugins.finish(done) {
                        self.hand_over().await;
                    }
                }
                Some(told) = news.recv() => {
                    if self.fetches.take(told) {
                        self.look(&mut pause).await;
                        self.look_at_plugins(Quiet::Wait);
                        self.hand_over().await;
                    }
                }
                () = tokio::time::sleep(pause) => {
                    let before = Arc::clone(&self.look.listing);
                    let still = self.look(&mut pause).await;
                    let mut changed = self.look_at_plugins(Quiet::Wait);
                    changed |= before.notes != self.look.listing.notes;
                    // A sidecar that is written again and again holds up nobody else's change.
                    let written = still.files && self.look.files != self.read.0;
                    let settled = still.all || written || self.only_plugins_differ();
                    if self.look.shape() != self.read && settled {
                        self.reload();
                        changed = true;
                    }
                    if changed {
                        self.hand_over().await;
                    }
                }
            }
        }
    }

    /// Looks at the disk. Returns what is as it was at the last look.
    async fn look(&mut self, pause: &mut Duration) -> Still {
        let (places, imported) = (self.places.clone(), self.imported.clone());
        let fetched = self.fetches.there();
        // By what it costs, not by how long it takes: on a busy machine a look takes long that has to
        // be had all the same.
        let look = tokio::task::spawn_blocking(move || {
            let began = thread_cpu();
            (Look::at(&places, &imported, &fetched), thread_cpu().saturating_sub(began))
        });
        let Ok((look, cost)) = look.await else { return Still::default() };
        *pause = LOOK.max(cost * LOOK_SHARE);
        let still =
            Still { all: look.shape() == self.look.shape(), files: look.files == self.look.files };
        self.look = look;
        still
    }

    /// A plugin file came or went, and nothing else: listed at once, since no text has to be read.
    fn only_plugins_differ(&self) -> bool {
        let (files, plugins) = self.look.shape();
        let sidecars = |list: &[(PluginName, Option<Fingerprint>)]| {
            list.iter().filter(|(_, sidecar)| sidecar.is_some()).cloned().collect::<Vec<_>>()
        };
        files == self.read.0
            && sidecars(&plugins) == sidecars(&self.read.1)
            // A file that is replaced is gone for a moment.
            && self.read.1.iter().all(|(name, _)| plugins.iter().any(|(n, _)| n == name))
    }

    fn look_at_plugins(&mut self, quiet: Quiet) -> bool {
        let registry = &self.registry;
        self.plugins.look(&self.look.listing, quiet, |name| registry.users(name))
    }

    /// Reads the configuration again; it takes effect entirely or not at all.
    fn reload(&mut self) -> Reloaded {
        // Files are read and a hundred thousand checks may be parsed: nobody else waits for that.
        let (read, imported) = tokio::task::block_in_place(|| {
            read_listed(&self.places, &self.tools, &self.look.listing)
        });
        self.follow_imports(imported);
        self.read = self.look.shape();
        let read = read.and_then(|mut first| {
            let misfits = first.registry.misfits(&self.plugins, &self.registry);
            let refused = misfits.iter().any(|problem| problem.severity == Severity::Error);
            first.problems.extend(misfits);
            first.problems.extend(self.needs_restart(&first.registry));
            if refused { Err(first.problems) } else { Ok(first) }
        });
        let (applied, problems) = match read {
            Ok(first) => {
                self.live.store(Arc::clone(&first.registry.config));
                self.registry = first.registry;
                self.sources = first.sources;
                self.plugins.retry_blocked();
                self.plugins.trust(&self.registry.config.plugins, &self.look.listing);
                self.fetches.follow(&self.registry.config, &first.lock);
                self.tell_store();
                self.tell_records();
                (true, first.problems)
            }
            Err(problems) => {
                self.follow_folder();
                (false, problems)
            }
        };
        if applied {
            tracing::info!(checks = self.registry.config.checks.len(), "configuration applied");
        } else {
            tracing::error!(
                problems = problems.len(),
                "configuration refused; the one before it goes on"
            );
        }
        for problem in &problems {
            tracing::warn!("{problem}");
        }
        let read = self.clock.now().wall;
        self.configuration = Configuration { read, applied, problems: problems.clone() };
        Reloaded { applied, problems }
    }

    /// The configuration on disk may import other files than before: these are looked at from now on.
    fn follow_imports(&mut self, imported: Fingerprints) {
        let own = self.places.fingerprints();
        let known = std::mem::replace(&mut self.imported, imported.keys().cloned().collect());
        for gone in known.iter().filter(|path| !imported.contains_key(*path)) {
            if !own.contains_key(gone) {
                self.look.files.remove(gone);
            }
        }
        for (path, fingerprint) in imported {
            self.look.files.entry(path).or_insert(fingerprint);
        }
    }

    /// What a reload cannot change.
    fn needs_restart(&self, new: &Registry) -> Vec<Problem> {
        let mut problems = Problems::default();
        if let Some(main) = &self.places.main
            && self.fixed != Fixed::of(new)
        {
            let place = Place::file(shown(main));
            problems.warning(&place, "`[server]`, `[[listen]]`, `[store]`, `[plugins] cache` or `[plugins.limits]` has changed, which takes a restart; the rest is applied");
        }
        problems.sorted()
    }

    /// The texts on disk are refused; plugins that came or went since do so all the same.
    fn follow_folder(&mut self) {
        let plugins = self.look.listing.names().cloned().collect();
        let sources = Sources { plugins, ..self.sources.clone() };
        if let Ok(first) = tokio::task::block_in_place(|| check(sources, None, &self.tools)) {
            self.registry = first.registry;
            self.sources = first.sources;
        }
    }

    /// State of checks that are gone goes too, in time.
    fn tell_store(&self) {
        let keepers = self.registry.keepers();
        // Where nothing may be kept, no store is opened.
        if !keepers.is_empty() {
            self.plugins.supplier().store.forget(&keepers);
        }
    }

    /// Records of checks that are gone go too.
    fn tell_records(&self) {
        let config = &self.registry.config;
        let names: BTreeSet<&CheckName> = config.checks.iter().map(|spec| &spec.name).collect();
        self.records.follow(|name| names.contains(name), config.plugins.records);
    }

    async fn hand_over(&self) {
        let mut plugins = self.plugins.states();
        for plugin in &mut plugins {
            plugin.fetched = self.fetches.origin(&plugin.name);
        }
        let notes = self.look.listing.notes.iter().cloned().chain(self.fetches.notes()).collect();
        let setup = Setup {
            configuration: self.configuration.clone(),
            plugins,
            notes,
            starting: self.plugins.starting(),
            endpoints: self.registry.config.endpoints.as_slice().into(),
        };
        self.loaded.store(Arc::new(self.plugins.loaded()));
        let passives = self.passives.load().following(self.registry.passives());
        self.passives.store(Arc::new(passives));
        let entries = self.registry.entries(&self.plugins);
        let groups = self.registry.config.groups.iter().cloned().map(Arc::new).collect();
        let windows = self.registry.config.windows.clone();
        let runs = self.registry.config.runs.clone();
        let apply = scheduler::Command::Apply { entries, groups, setup, windows, runs };
        // The scheduler is gone only when the process ends.
        let _ = self.scheduler.send(apply).await;
    }
}
