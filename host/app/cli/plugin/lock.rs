//! `wellcheck plugin lock`: writes what each `[[plugin]] source` leads to now.

use anyhow::anyhow;
use clap::Args as ClapArgs;
use wellcheck_core::config::PluginSpec;
use wellcheck_core::id::PluginName;
use wellcheck_core::units::count;
use wellcheck_fetch::{
    Cache, FetchError, FetchErrorKind, Fetched, Lock, Locked, Wanted, write_whole,
};
use wellcheck_wasm::Sandbox;

use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::fetching::{Fetching, change, entry};
use crate::cli::setup::{self, Where};
use crate::fetches::{keys, locked};

/// Write plugins.lock: what each plugin's source leads to now.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Each `[[plugin]]` of the configuration is fetched and verified; `plugins.lock` beside the configuration then says its \
version, digest, signature and what it wants. The server runs what stands there, whatever a tag leads \
to by then. Nothing is written if one of them cannot be had.\n\nExit codes: 65 with --check, if the lock is not what the sources say.\n\nExamples:\n  wellcheck plugin lock\n  \
wellcheck plugin lock --update queue-depth\n  wellcheck plugin lock --check"
)]
pub(crate) struct Args {
    /// Look again at this plugin and leave the others as they are; may be repeated
    #[arg(long, value_name = "NAME")]
    update: Vec<String>,
    /// Write nothing, and fail if something would change
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

pub(crate) fn run(args: &Args) -> Ended {
    let fetching = Fetching::new(&args.places)?;
    let data = |error| Failure { error, exit: Exit::DATA };
    let old = match fetching.places.read_lock() {
        Ok(lock) => lock.unwrap_or_default(),
        Err(problem) => return Err(data(anyhow!("{problem}"))),
    };
    let specs = &fetching.config.fetched;
    for name in &args.update {
        if !specs.iter().any(|spec| spec.name.as_str() == name) {
            let names: Vec<_> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(data(anyhow!("there is no `[[plugin]]` `{name}` (there are: {names})")));
        }
    }
    let cache = fetching.cache()?;
    let sandbox = fetching.sandbox()?;
    let runtime = setup::runtime()?;
    let mut new = Lock::default();
    let mut failures = Vec::new();
    for spec in specs {
        let asked = args.update.is_empty() || args.update.iter().any(|n| n == spec.name.as_str());
        if let Some(kept) = locked(spec, &old).filter(|_| !asked) {
            new.put(kept.clone());
            continue;
        }
        match runtime.block_on(look(&fetching, &cache, &sandbox, spec)) {
            Ok(entry) => new.put(entry),
            Err(error) => failures.push((spec.name.clone(), error)),
        }
    }
    runtime.shutdown_background();
    if !failures.is_empty() {
        let unreachable =
            failures.iter().all(|(_, error)| error.kind == FetchErrorKind::Unreachable);
        for (name, error) in &failures {
            setup::complain(&format!("error: plugin `{name}`: {error}"));
        }
        let error = anyhow!(
            "`{}` is left as it is ({})",
            fetching.places.lock().display(),
            count(failures.len(), "problem")
        );
        let exit = if unreachable { Exit::UNAVAILABLE } else { Exit::DATA };
        return Err(Failure { error, exit });
    }
    // Those that were pulled into the folder stay as long as their files do.
    for pulled in &old.plugins {
        let is_there = || fetching.places.plugins.join(format!("{}.wasm", pulled.name)).exists();
        if new.get(&pulled.name).is_none() && is_there() {
            new.put(pulled.clone());
        }
    }
    let changes = changes(&old, &new);
    let writes = !args.check && old != new;
    if writes {
        let path = fetching.places.lock();
        write_whole(&path, new.render().as_bytes(), 0o644)
            .map_err(|error| anyhow!("cannot write `{}`: {error}", path.display()))
            .or_exit(Exit::UNAVAILABLE)?;
    }
    if args.json {
        let plugins: Vec<_> = new.plugins.iter().map(shown).collect();
        let body = serde_json::json!({ "changes": changes, "written": writes, "plugins": plugins });
        setup::print(&format!("{body}\n"))?;
    } else {
        let text: String = changes.iter().map(|line| format!("{line}\n")).collect();
        let locked = count(new.plugins.len(), "plugin");
        let end = match changes.is_empty() {
            true => format!("{locked} locked, as before\n"),
            false if args.check => String::new(),
            false => format!("{locked} locked in {}\n", fetching.places.lock().display()),
        };
        setup::print(&format!("{text}{end}"))?;
    }
    if args.check && !changes.is_empty() {
        let error = anyhow!(
            "`{}` is not what the sources say ({}; `wellcheck plugin lock` writes it)",
            fetching.places.lock().display(),
            count(changes.len(), "difference")
        );
        return Err(data(error));
    }
    Ok(Exit::DONE)
}

fn shown(locked: &Locked) -> serde_json::Value {
    serde_json::json!({
        "name": locked.name.as_str(),
        "source": locked.source.to_string(),
        "version": locked.version,
        "digest": locked.digest.to_string(),
        "manifest": locked.manifest.map(|digest| digest.to_string()),
        "signed_by": locked.signed_by.as_ref().map(ToString::to_string),
        "wants": locked.wants,
    })
}

fn changes(old: &Lock, new: &Lock) -> Vec<String> {
    let changed = new.plugins.iter().filter_map(|locked| change(old.get(&locked.name), locked));
    let gone = old.plugins.iter().filter(|locked| new.get(&locked.name).is_none());
    changed.chain(gone.map(|locked| format!("{}: gone", locked.name))).collect()
}

/// Fetches what a source leads to, unless it is kept already.
async fn look(
    fetching: &Fetching,
    cache: &Cache,
    sandbox: &Sandbox,
    spec: &PluginSpec,
) -> Result<Locked, FetchError> {
    let PluginSpec { name, source, digest, .. } = spec;
    let keys = keys(spec, &fetching.config);
    let found = fetching.fetcher.resolve(source).await?;
    let limit = fetching.fetcher.max_bytes;
    let kept = found.filter(|found| digest.is_none_or(|digest| digest == found.digest));
    let kept = kept.and_then(|found| {
        let kept = cache.find(&found.digest, keys, limit).ok()?;
        let bytes = cache.read(&found.digest, limit).ok()?;
        Some(Fetched {
            bytes: bytes.into(),
            digest: found.digest,
            manifest: Some(found.manifest),
            signature: None,
            signed_by: kept.signed_by,
        })
    });
    let fetched = match kept {
        Some(fetched) => fetched,
        None => {
            let manifest = found.map(|found| found.manifest);
            let wanted = Wanted { source, manifest, digest: *digest, keys };
            let work = fetching.fetcher.fetch(&wanted);
            let fetched = fetching.watched(&source.to_string(), work).await?;
            cache.keep(source, &fetched)?;
            fetched
        }
    };
    let name: &PluginName = name;
    let plugin = sandbox.load(name.clone(), fetched.bytes.to_vec()).await.map_err(|error| {
        FetchError::new(FetchErrorKind::NotAPlugin, format!("`{source}`: {}", error.message()))
    })?;
    Ok(entry(name, source, &fetched, &plugin))
}
