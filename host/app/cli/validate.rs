//! `wellcheck validate`: every problem of the configuration, without running anything of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use wellcheck_core::check::{Origin, What};
use wellcheck_core::config::keys::{Key, SECTIONS};
use wellcheck_core::config::tree::Place;
use wellcheck_core::config::{Problem, Problems, Severity};

use wellcheck_core::id::PluginName;
use wellcheck_core::units::count;
use wellcheck_fetch::{Cache, Wanted};

use super::exit::{Ended, Exit, Failure};
use super::fetching::Fetching;
use super::run::load_into;
use super::setup::{self, Jobs, Where};
use crate::checks::KINDS;
use crate::fetches;
use crate::folder::Listing;
use crate::keeper::{self, First};
use crate::registry::Registry;
use crate::sources::Places;
use crate::sources::shown;

/// Look for problems in the configuration.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Also loads the plugins that checks name, and matches the checks' settings with their \
schemas. Plugins that are fetched are looked for in the cache alone, unless --fetch is given.\n\nExamples:\n  wellcheck validate\n  wellcheck validate --config /etc/wellcheck/wellcheck.toml --json\n  wellcheck validate --explain"
)]
pub(super) struct Args {
    #[command(flatten)]
    places: Where,
    #[command(flatten)]
    jobs: Jobs,
    /// Print the problems as JSON
    #[arg(long)]
    json: bool,
    /// Also fetch what `[[plugin]]` names
    #[arg(long)]
    fetch: bool,
    /// Explain every key of the configuration instead
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    if args.explain {
        setup::print(&explain())?;
        return Ok(Exit::DONE);
    }
    let places = args.jobs.join(args.places.places()?);
    let tools = args.places.tools(&places)?;
    let (checks, problems) = match keeper::read(&places, &tools) {
        Ok(first) => {
            let mut problems = first.problems.clone();
            problems.extend(fetched(&first, args)?);
            problems.extend(misfits(&first.registry, &places, args)?);
            problems.extend(folder(&places.plugins));
            (Some(first.registry.config.checks.len()), problems)
        }
        Err(problems) => (None, problems),
    };
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    if args.json {
        let body = serde_json::json!({ "valid": !failed, "checks": checks, "problems": problems });
        setup::print(&format!("{body}\n"))?;
    } else {
        setup::complain_about(&problems);
        match checks {
            Some(checks) if !failed => setup::print(&format!("valid: {checks} checks\n"))?,
            _ => setup::complain(&count(problems.len(), "problem")),
        }
    }
    Ok(if failed { Exit::DATA } else { Exit::DONE })
}

/// Files of the plugins folder that cannot be used.
fn folder(dir: &Path) -> Vec<Problem> {
    let place = Place::file(shown(dir));
    let mut problems = Problems::default();
    // `serve` makes a folder that is not there.
    let notes = if dir.exists() { Listing::read(dir).notes } else { Vec::new() };
    for note in notes {
        problems.warning(&place, note);
    }
    problems.sorted()
}

/// Fetches every plugin that has a source, into the cache: what cannot be had is a problem.
fn fetched(first: &First, args: &Args) -> Result<Vec<Problem>, Failure> {
    let config = &first.registry.config;
    if !args.fetch || config.fetched.is_empty() {
        return Ok(Vec::new());
    }
    let fetching = Fetching::new(&args.places)?;
    let cache = fetching.cache()?;
    let runtime = setup::runtime()?;
    let mut problems = Problems::default();
    for spec in &config.fetched {
        let locked = fetches::locked(spec, &first.lock);
        let wanted = Wanted {
            source: &spec.source,
            manifest: locked.and_then(|locked| locked.manifest),
            digest: spec.digest.or_else(|| locked.map(|locked| locked.digest)),
            keys: fetches::keys(spec, config),
        };
        let what = spec.source.to_string();
        let work = fetching.watched(&what, fetching.fetcher.fetch(&wanted));
        let kept = runtime.block_on(work).and_then(|fetched| cache.keep(&spec.source, &fetched));
        if let Err(error) = kept {
            problems
                .error(&spec.place, format!("plugin `{}` cannot be fetched: {error}", spec.name));
        }
    }
    runtime.shutdown_background();
    Ok(problems.sorted())
}

/// The file of a plugin: of the folder, or the one in the cache of a plugin that is fetched. `None` for
/// one that has not been fetched yet.
fn file_of(
    plugin: &PluginName,
    registry: &Registry,
    places: &Places,
    args: &Args,
) -> Option<PathBuf> {
    let Some(spec) = registry.config.fetched.iter().find(|spec| spec.name == *plugin) else {
        return Some(places.plugins.join(format!("{plugin}.wasm")));
    };
    let told = setup::cache(args.places.cache.clone(), &registry.config, places);
    let cache = Cache::open(&setup::fetched_dir(told)?).ok()?;
    let digest = spec.digest.or_else(|| Some(cache.known(&spec.source)?.digest))?;
    let keys = fetches::keys(spec, &registry.config);
    let kept = cache.find(&digest, keys, registry.config.plugins.load.file_bytes);
    Some(kept.ok()?.path)
}

/// Settings that do not fit the plugins in the folder.
fn misfits(registry: &Registry, places: &Places, args: &Args) -> Result<Vec<Problem>, Failure> {
    let mut problems = Problems::default();
    let uses = registry.config.checks.iter().filter_map(|spec| match &spec.what {
        What::Plugin { plugin, settings, .. } => Some((plugin.clone(), (spec, settings))),
        What::Builtin { .. } => None,
    });
    let mut plugins: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (plugin, check) in uses {
        plugins.entry(plugin).or_default().push(check);
    }
    if plugins.is_empty() {
        return Ok(Vec::new());
    }
    let sandbox = setup::sandbox(
        setup::cache(args.places.cache.clone(), &registry.config, places),
        &registry.config.plugins,
    )?;
    let runtime = setup::runtime()?;
    for (plugin, checks) in plugins {
        let Some(path) = file_of(&plugin, registry, places, args) else { continue };
        let loaded = if path.exists() {
            runtime.block_on(load_into(&sandbox, &path)).map_err(|error| format!("{error:#}"))
        } else {
            Err(format!("there is no file `{}`", path.display()))
        };
        for (spec, settings) in checks {
            let misfits = match &loaded {
                Err(why) => {
                    problems
                        .warning(&spec.place, format!("check `{}` cannot run: {why}", spec.name));
                    continue;
                }
                Ok(loaded) => loaded.check_settings(settings).err().unwrap_or_default(),
            };
            for why in misfits {
                let name = &spec.name;
                let message =
                    format!("the settings of check `{name}` do not fit plugin `{plugin}`: {why}");
                match spec.origin {
                    Origin::Configured => problems.error(&spec.place, message),
                    Origin::Sidecar | Origin::Dropped => problems.warning(&spec.place, message),
                }
            }
        }
    }
    runtime.shutdown_background();
    Ok(problems.sorted())
}

/// Every key with its meaning, default and example; the kinds' too.
fn explain() -> String {
    let sections = SECTIONS
        .iter()
        .map(|section| format!("{}\n  {}\n\n{}", section.header, section.doc, keys(section.keys)));
    sections.chain(KINDS.iter().map(|kind| super::kinds::explain(*kind))).collect()
}

/// A list of keys for people.
pub(super) fn keys(keys: &[Key]) -> String {
    let entries = keys.iter().map(|key| {
        let default = match key.default {
            "" => "must be given where it applies".to_owned(),
            default => format!("default: {default}"),
        };
        format!(
            "  {}\n      {}\n      {default}; for example: {}\n",
            key.name, key.doc, key.example
        )
    });
    entries.collect::<String>() + "\n"
}
