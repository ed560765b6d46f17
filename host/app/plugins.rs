//! The plugins that are loaded, and what the newest file of each is up to.
//!
//! A file goes through a pipeline: wait until it is quiet, read, then what the sandbox does
//! (validate, compile, bind, describe, schema), then it is tried on the checks that use it, and
//! swapped in. A file that fails any step leaves the running version in place and shows why; one
//! that wants more than is granted is blocked until that is granted. The first version of a plugin
//! skips the trial: its checks' own runs show what is wrong.
//!
//! Owned by the keeper; loading happens in tasks that hand their result back to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use wellcheck_core::id::{CheckName, PluginName};
use wellcheck_core::limits::LoadLimits;
use wellcheck_core::outcome::{FaultReason, Outcome};
use wellcheck_core::snapshot::{Newest, PluginFacts, PluginState};
use wellcheck_core::source::PublicKey;
use wellcheck_wasm::{Plugin, Sandbox, rejects_load};

use crate::checks::RunContext;
use crate::checks::plugin::{Given, PluginChecker, Supplier};
use crate::folder::{Listing, Seen};
use crate::keeper::LoadedMap;
use crate::registry::absent;
use crate::sources::Fingerprint;

/// Loads at once: a big file being compiled does not hold up a small one.
const LOADS: usize = 2;

/// Most checks that a new version is tried on before it replaces the running one.
const TRIALS: usize = 8;

/// Longest that one trial of a new version may take; when as much is over, no further one begins.
const TRIAL_TIME: Duration = Duration::from_secs(30);

/// Most grants that are named of those which a new version waits for.
const MOST_WAITS: usize = 16;

/// A plugin that runs.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) plugin: Plugin,
    pub(crate) facts: Arc<PluginFacts>,
}

impl Loaded {
    /// A plugin with what is shown of it.
    pub(crate) fn new(plugin: Plugin) -> Self {
        let description = plugin.description();
        let facts = PluginFacts {
            name: plugin.name().to_string(),
            own_name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            digest: plugin.digest().to_owned(),
            size: plugin.size() as u64,
            line: plugin.line().to_owned(),
            wants: (description.wants.iter())
                .map(|want| (want.grant.clone(), want.value.clone(), want.why.clone()))
                .collect(),
            imports: plugin.import_summary(),
        };
        Self { plugin, facts: Arc::new(facts) }
    }
}

/// A check that uses a plugin, as far as a new version of it is concerned.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) check: CheckName,
    pub(crate) given: Given,
    pub(crate) timeout: Duration,
}

/// Why a file does not run.
enum Unfit {
    /// It cannot be used.
    Broken(String),
    /// It waits for these grants.
    Blocked(Vec<String>),
}

/// A load that has ended.
pub(crate) struct Finished {
    name: PluginName,
    fingerprint: Fingerprint,
    result: Result<Loaded, Unfit>,
}

/// All plugins of the folder.
pub(crate) struct Plugins {
    sandbox: Sandbox,
    entries: BTreeMap<PluginName, Entry>,
    permits: Arc<Semaphore>,
    finished: mpsc::Sender<Finished>,
    limits: LoadLimits,
    supplier: Supplier,
    /// Who must have signed the files of the folder; none asks for no signature.
    keys: Arc<[PublicKey]>,
}

#[derive(Default)]
struct Entry {
    /// The newest file, and whether it has been the same at two looks in a row.
    seen: Option<Fingerprint>,
    /// Looks in a row at which the file was gone.
    gone: u32,
    /// The file that was last loaded or is being loaded.
    tried: Option<Fingerprint>,
    running: Option<Loaded>,
    newest: Option<Newest>,
    /// It was there at the start and has not been decided yet.
    starting: bool,
}

impl Entry {
    /// There is no file to load. Returns whether that is new.
    fn becomes(&mut self, newest: Newest) -> bool {
        let is_new = self.newest.as_ref() != Some(&newest);
        self.starting &= matches!(newest, Newest::Loading(_));
        self.newest = Some(newest);
        self.seen = None;
        self.tried = None;
        is_new
    }
}

/// Whether a file has to be quiet before it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// It must look the same at two looks in a row: somebody may still be writing it.
    Wait,
    /// At the start: load what is there.
    Skip,
}

impl Plugins {
    /// No plugins yet. Ended loads arrive at the receiver; hand them to [`Plugins::finish`].
    pub(crate) fn new(
        sandbox: Sandbox,
        limits: LoadLimits,
        supplier: Supplier,
    ) -> (Self, mpsc::Receiver<Finished>) {
        let (finished, receiver) = mpsc::channel(LOADS);
        let permits = Arc::new(Semaphore::new(LOADS));
        let entries = BTreeMap::new();
        let keys = Arc::default();
        (Self { sandbox, entries, permits, finished, limits, supplier, keys }, receiver)
    }

    /// Takes in who must have signed the files of the folder. When that changes, a file that was
    /// loaded no longer counts, and all are looked at anew.
    pub(crate) fn trust(&mut self, config: &wellcheck_core::config::Plugins, listing: &Listing) {
        let keys: &[PublicKey] = if config.require_signed { &config.keys } else { &[] };
        if *keys == *self.keys {
            return;
        }
        self.keys = keys.into();
        // What is fetched has keys of its own.
        let dropped = listing.files().filter(|(_, seen)| matches!(seen, Seen::File(_, false)));
        for (name, _) in dropped {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.tried = None;
                // Without keys nobody asks, and what was good is good still.
                if !keys.is_empty() {
                    entry.running = None;
                }
            }
        }
    }

    /// What the process gives to plugins.
    pub(crate) fn supplier(&self) -> &Supplier {
        &self.supplier
    }

    /// The grants may have changed: what waits for some is loaded again at the next look.
    pub(crate) fn retry_blocked(&mut self) {
        for entry in self.entries.values_mut() {
            if matches!(entry.newest, Some(Newest::Blocked(_))) {
                entry.tried = None;
            }
        }
    }

    /// Takes in what the folder looks like now, and starts to load what is new. Returns whether
    /// anything changed that is shown.
    pub(crate) fn look(
        &mut self,
        listing: &Arc<Listing>,
        quiet: Quiet,
        users: impl Fn(&PluginName) -> Vec<User>,
    ) -> bool {
        let mut changed = false;
        let mut loads = Vec::new();
        for (name, found) in listing.files() {
            let entry = self.entries.entry(name.clone()).or_insert_with(|| {
                changed = true;
                Entry { starting: quiet == Quiet::Skip, ..Entry::default() }
            });
            entry.gone = 0;
            let (fingerprint, quiet) = match found {
                Seen::File(fingerprint, true) => (fingerprint, Quiet::Skip),
                Seen::File(fingerprint, false) => (fingerprint, quiet),
                Seen::Unusable(why) => {
                    changed |= entry.becomes(Newest::Broken(why.to_owned()));
                    continue;
                }
                Seen::Waiting(newest) => {
                    // A fetched file that was there is gone because nobody vouches for it any more.
                    changed |= entry.running.take().is_some();
                    changed |= entry.becomes(newest.clone());
                    continue;
                }
            };
            let still = entry.seen == Some(fingerprint);
            entry.seen = Some(fingerprint);
            if entry.tried == Some(fingerprint) {
                continue;
            }
            if quiet == Quiet::Wait && !still {
                changed |=
                    entry.newest != Some(Newest::Loading("the file is being written".to_owned()));
                entry.newest = Some(Newest::Loading("the file is being written".to_owned()));
                continue;
            }
            entry.tried = Some(fingerprint);
            entry.newest = Some(Newest::Loading("the plugin is being compiled".to_owned()));
            changed = true;
            let running = entry.running.clone().map(|running| (running, users(name)));
            loads.push((fingerprint, name.clone(), running));
        }
        // Small ones first: they are done at once, and big ones take long anyway.
        loads.sort_by_key(|(fingerprint, ..)| fingerprint.size);
        for (fingerprint, name, running) in loads {
            self.load(name, fingerprint, Arc::clone(listing), running);
        }
        let before = self.entries.len();
        self.entries.retain(|name, entry| {
            let there = listing.has(name);
            entry.gone += u32::from(!there);
            // A file that is replaced by removing and writing it is gone for a moment.
            entry.gone < 2
        });
        changed | (self.entries.len() != before)
    }

    fn load(
        &self,
        name: PluginName,
        fingerprint: Fingerprint,
        listing: Arc<Listing>,
        running: Option<(Loaded, Vec<User>)>,
    ) {
        let sandbox = self.sandbox.clone();
        let supplier = self.supplier.clone();
        let permits = Arc::clone(&self.permits);
        let finished = self.finished.clone();
        let limit = self.limits.file_bytes;
        let keys = Arc::clone(&self.keys);
        tokio::spawn(async move {
            let loaded = {
                let _permit = permits.acquire().await.expect("the semaphore is never closed");
                load(&sandbox, &name, &listing, limit, keys).await
            };
            let result = match loaded {
                Err(why) => Err(Unfit::Broken(why)),
                // Without the permit: a trial may wait for a target, and others do not wait for it.
                Ok(loaded) => match running {
                    None => Ok(loaded),
                    Some((before, users)) => {
                        replaces(&loaded, &before, &users, &supplier).await.map(|()| loaded)
                    }
                },
            };
            // The keeper is gone only when the process ends.
            let _ = finished.send(Finished { name, fingerprint, result }).await;
        });
    }

    /// Takes in a load that has ended. Returns whether anything changed that is shown.
    pub(crate) fn finish(&mut self, finished: Finished) -> bool {
        let Finished { name, fingerprint, result } = finished;
        let Some(entry) = self.entries.get_mut(&name) else { return false };
        if entry.tried != Some(fingerprint) {
            // A newer file is on its way; this one no longer matters.
            return false;
        }
        entry.starting = false;
        match result {
            Ok(loaded) => {
                let facts = &loaded.facts;
                tracing::info!(plugin = %name, version = %facts.version, digest = %facts.digest, "plugin loaded");
                entry.running = Some(loaded);
                entry.newest = Some(Newest::Running);
            }
            Err(Unfit::Blocked(grants)) => {
                tracing::warn!(plugin = %name, "the new version of the plugin waits for grants; the running one goes on: {}", grants.join("; "));
                entry.newest = Some(Newest::Blocked(grants));
            }
            Err(Unfit::Broken(why)) => {
                let old = entry.running.as_ref().map(|loaded| &loaded.facts.version);
                let goes_on = old.map(|version| format!("; version {version} goes on"));
                tracing::warn!(plugin = %name, "plugin cannot be used: {why}{}", goes_on.unwrap_or_default());
                entry.newest = Some(Newest::Broken(why));
            }
        }
        true
    }

    /// The version that runs.
    pub(crate) fn running(&self, name: &PluginName) -> Option<&Loaded> {
        self.entries.get(name)?.running.as_ref()
    }

    /// What the newest file is up to; `None` where there is no file.
    pub(crate) fn newest(&self, name: &PluginName) -> Option<&Newest> {
        self.entries.get(name)?.newest.as_ref()
    }

    /// All of them: the version that runs, or why none does.
    pub(crate) fn loaded(&self) -> LoadedMap {
        let all = self.entries.iter().map(|(name, entry)| {
            let held = || absent(name, entry.newest.as_ref());
            (name.clone(), entry.running.clone().ok_or_else(held))
        });
        all.collect()
    }

    /// All of them, for the snapshot.
    pub(crate) fn states(&self) -> Vec<PluginState> {
        self.entries
            .iter()
            .map(|(name, entry)| PluginState {
                name: name.to_string(),
                running: entry.running.as_ref().map(|loaded| Arc::clone(&loaded.facts)),
                newest: entry.newest.clone().unwrap_or(Newest::Running),
                fetched: None,
            })
            .collect()
    }

    /// Plugins that were there at the start and are not decided yet.
    pub(crate) fn starting(&self) -> usize {
        self.entries.values().filter(|entry| entry.starting).count()
    }
}

/// The whole pipeline for one file.
async fn load(
    sandbox: &Sandbox,
    name: &PluginName,
    listing: &Arc<Listing>,
    limit: u64,
    keys: Arc<[PublicKey]>,
) -> Result<Loaded, String> {
    let bytes = {
        let (name, listing) = (name.clone(), Arc::clone(listing));
        tokio::task::spawn_blocking(move || listing.load(&name, limit, &keys))
            .await
            .map_err(|error| format!("reading the file: {error}"))??
    };
    let plugin = sandbox.load(name.clone(), bytes).await.map_err(|error| error.message())?;
    for note in &plugin.timings().notes {
        tracing::warn!(plugin = %name, "{note}");
    }
    Ok(Loaded::new(plugin))
}

/// Whether a new version may take the place of the one that runs.
async fn replaces(
    loaded: &Loaded,
    before: &Loaded,
    users: &[User],
    supplier: &Supplier,
) -> Result<(), Unfit> {
    for User { check, given, .. } in users {
        loaded.plugin.check_settings(&given.settings).map_err(|problems| {
            let problems = problems.join("; ");
            Unfit::Broken(format!("the settings of check `{check}` do not fit it: {problems}"))
        })?;
    }
    let waits_for = waits_for(loaded, before, users);
    if !waits_for.is_empty() {
        return Err(Unfit::Blocked(waits_for));
    }
    let until = Instant::now() + TRIAL_TIME;
    for user in users.iter().take(TRIALS) {
        // Slow targets are not the plugin's doing: what was tried so far has to do.
        if Instant::now() >= until {
            break;
        }
        trial(loaded, user, supplier).await?;
    }
    Ok(())
}

/// What a version wants that the one before it did not, and that a check does not grant.
fn waits_for(loaded: &Loaded, before: &Loaded, users: &[User]) -> Vec<String> {
    let is_new = |want: &&(String, String, String)| {
        !before.facts.wants.iter().any(|old| (&old.0, &old.1) == (&want.0, &want.1))
    };
    let mut missing = Vec::new();
    for (grant, value, why) in loaded.facts.wants.iter().filter(is_new) {
        for User { check, given, .. } in users {
            if !given.grants.meets(grant, value) {
                missing.push(format!(
                    "check `{check}` does not grant `{grant} = \"{value}\"` ({why})"
                ));
            }
        }
    }
    let more = missing.len().saturating_sub(MOST_WAITS);
    if more > 0 {
        missing.truncate(MOST_WAITS);
        missing.push(format!("… and {more} more"));
    }
    missing
}

/// Whether a check that the running version serves would be served by this one too. A target that is
/// down passes: that is not the plugin's doing.
async fn trial(loaded: &Loaded, user: &User, supplier: &Supplier) -> Result<(), Unfit> {
    let User { check, given, timeout } = user;
    let checker = PluginChecker::new(loaded, given, supplier)
        .map_err(|problems| Unfit::Broken(problems.join("; ")))?;
    let deadline = Instant::now() + TRIAL_TIME.min(*timeout);
    let context =
        RunContext { check: check.clone(), deadline, failures_in_a_row: 0, asked: Arc::default() };
    let outcome = checker.look(&context).await.run.outcome;
    match &outcome {
        Outcome::Faulted(fault) if fault.reason == FaultReason::Denied => {
            Err(Unfit::Blocked(vec![format!("check `{check}`: {}", fault.message)]))
        }
        _ if rejects_load(&outcome) => {
            let reason = outcome.reason().unwrap_or_default();
            let message = outcome.message();
            Err(Unfit::Broken(format!(
                "its trial run for check `{check}` faulted: {reason}: {message}"
            )))
        }
        _ => Ok(()),
    }
}
