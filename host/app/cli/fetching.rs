//! What the commands share that fetch plugins: who we are where, progress, and how errors end.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};
use wellcheck_core::config::Config;
use wellcheck_core::id::PluginName;
use wellcheck_core::source::Source;
use wellcheck_core::units::{count, show_size};
use wellcheck_fetch::{
    Access, Cache, FetchError, FetchErrorKind, Fetched, Fetcher, Locked, Want, docker_config,
};
use wellcheck_wasm::{Plugin, Sandbox};

use super::exit::{Exit, Failure, OrExit};
use super::setup::{self, Where};
use crate::fetches;
use crate::keeper;
use crate::sources::{Places, read_text};

/// How long a transfer may take without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the word is renewed.
const RENEW: Duration = Duration::from_millis(200);

/// The parts that fetch, by the configuration where there is one.
pub(super) struct Fetching {
    pub(super) places: Places,
    pub(super) config: Arc<Config>,
    pub(super) fetcher: Fetcher,
    where_: Where,
}

impl Fetching {
    /// Reads the configuration, and docker's own.
    pub(super) fn new(where_: &Where) -> Result<Self, Failure> {
        let places = where_.places()?;
        let tools = where_.tools(&places)?;
        let first = keeper::read_unlocked(&places, &tools).map_err(|problems| {
            setup::complain_about(&problems);
            let problems = count(problems.len(), "problem");
            let error = anyhow!("the configuration cannot be used ({problems})");
            Failure { error, exit: Exit::DATA }
        })?;
        let config = Arc::clone(&first.registry.config);
        let mut fetcher = fetches::fetcher(tools.client.clone(), tools.tls_system.clone(), &config);
        fetcher.access.extend(docker());
        fetcher.received = Some(Arc::default());
        Ok(Self { places, config, fetcher, where_: where_.clone() })
    }

    /// Where fetched files are kept.
    pub(super) fn cache(&self) -> Result<Cache, Failure> {
        let told = setup::cache(self.where_.cache.clone(), &self.config, &self.places);
        let dir = setup::fetched_dir(told)
            .context("there is no folder to keep fetched files in (`--cache` names one)")
            .or_exit(Exit::UNAVAILABLE)?;
        Cache::open(&dir).map_err(failed)
    }

    pub(super) fn sandbox(&self) -> Result<Sandbox, Failure> {
        let told = setup::cache(self.where_.cache.clone(), &self.config, &self.places);
        setup::sandbox(told, &self.config.plugins)
    }

    /// Waits for a transfer, and shows on a terminal how far it is.
    pub(super) async fn watched<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let received = self.fetcher.received.clone().unwrap_or_default();
        let mut work = std::pin::pin!(work);
        if !std::io::stderr().is_terminal() {
            return work.await;
        }
        let mut pause = PATIENCE;
        loop {
            tokio::select! {
                done = &mut work => {
                    if pause == RENEW {
                        // Where even this cannot be written there is nobody to tell.
                        let _ = write!(std::io::stderr(), "\r\x1b[K");
                    }
                    return done;
                }
                () = tokio::time::sleep(pause) => {
                    pause = RENEW;
                    let bytes = show_size(received.load(Ordering::Relaxed));
                    let _ = write!(std::io::stderr(), "\r\x1b[K{what}: {bytes} have come");
                }
            }
        }
    }
}

/// The credentials that `docker login` has written; a file that cannot be read is worth a line.
fn docker() -> Vec<Access> {
    let dir = std::env::var_os("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    let Some(path) = dir.map(|dir| dir.join("config.json")).filter(|path| path.exists()) else {
        return Vec::new();
    };
    match read_text(&path).and_then(|text| docker_config(&text)) {
        Ok(access) => access,
        Err(why) => {
            setup::complain(&format!("warning: `{}` is not used: {why}", path.display()));
            Vec::new()
        }
    }
}

/// How a command ends that could not fetch or push.
pub(super) fn failed(error: FetchError) -> Failure {
    let exit = match error.kind {
        FetchErrorKind::Unreachable | FetchErrorKind::Local => Exit::UNAVAILABLE,
        _ => Exit::DATA,
    };
    Failure { error: error.into(), exit }
}

/// What a source's plugin is called where nobody says: the last word of its repository or path.
pub(super) fn name_of(source: &Source) -> anyhow::Result<PluginName> {
    let word = match source {
        Source::Oci(oci) => oci.repository.rsplit('/').next().unwrap_or_default().to_owned(),
        Source::Url(url) => {
            let last = url.path_segments().and_then(|mut all| all.next_back()).unwrap_or_default();
            last.strip_suffix(".wasm").unwrap_or(last).to_owned()
        }
    };
    let name = word.replace(['_', '.'], "-");
    PluginName::new(&name).with_context(|| {
        format!("`{source}` does not say what the plugin is called (`--output NAME.wasm` does)")
    })
}

/// What the lock is to say of a plugin.
pub(super) fn entry(
    name: &PluginName,
    source: &Source,
    fetched: &Fetched,
    plugin: &Plugin,
) -> Locked {
    let about = plugin.description();
    let wants = about.wants.iter();
    Locked {
        name: name.clone(),
        source: source.clone(),
        version: about.version.clone(),
        digest: fetched.digest,
        manifest: fetched.manifest,
        signed_by: fetched.signed_by.clone(),
        wants: wants
            .map(|want| Want { grant: want.grant.clone(), value: want.value.clone() })
            .collect(),
    }
}

/// What changed of a plugin in the lock, in a line.
pub(super) fn change(old: Option<&Locked>, new: &Locked) -> Option<String> {
    let name = &new.name;
    let Some(old) = old else {
        return Some(format!("{name}: {} {}", new.version, new.digest));
    };
    let mut parts = Vec::new();
    if old.version != new.version {
        parts.push(format!("{} -> {}", old.version, new.version));
    }
    if old.digest != new.digest {
        parts.push(format!("{} -> {}", old.digest, new.digest));
    } else if old.manifest != new.manifest {
        parts.push("the same file by another manifest".to_owned());
    }
    if old.source != new.source {
        parts.push(format!("from {} instead of {}", new.source, old.source));
    }
    if old.signed_by != new.signed_by {
        let by = new.signed_by.as_ref().map_or("nobody", |key| key.as_str());
        parts.push(format!("signed by {by}"));
    }
    for want in new.wants.iter().filter(|want| !old.wants.contains(want)) {
        parts.push(format!("wants {} = \"{}\"", want.grant, want.value));
    }
    for want in old.wants.iter().filter(|want| !new.wants.contains(want)) {
        parts.push(format!("wants {} = \"{}\" no more", want.grant, want.value));
    }
    (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
}
