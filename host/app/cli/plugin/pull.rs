//! `wellcheck plugin pull`: fetches one plugin into the plugins folder, whole or not at all.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args as ClapArgs;
use wellcheck_core::id::PluginName;
use wellcheck_core::source::{Digest, PublicKey, Source};
use wellcheck_core::units::show_size;
use wellcheck_fetch::{Wanted, write_whole};

use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::fetching::{Fetching, change, entry, failed, name_of};
use crate::cli::setup::{self, Where};

/// Fetch a plugin into the plugins folder.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The file is verified before it is written: its digest, where the source or --digest names one; a signature \
of minisign, where --key or `[plugins] keys` ask for one; and that it is a plugin. `plugins.lock` gets \
an entry.\n\nExamples:\n  wellcheck plugin pull oci://ghcr.io/example/queue-depth:1\n  \
wellcheck plugin pull https://example.com/queue-depth.wasm --key RWQ... --output plugins/queue.wasm"
)]
pub(crate) struct Args {
    /// Where it is: oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST], or a URL
    #[arg(value_parser = Source::parse)]
    source: Source,
    /// The file to write [default: NAME.wasm in the plugins folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A public key of minisign that must have signed it; may be repeated [default: `[plugins] keys`]
    #[arg(long, value_parser = PublicKey::parse)]
    key: Vec<PublicKey>,
    /// What the file must be
    #[arg(long, value_name = "sha256:...", value_parser = Digest::parse)]
    digest: Option<Digest>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

pub(crate) fn run(args: &Args) -> Ended {
    let fetching = Fetching::new(&args.places)?;
    let (path, name) = output(args, &fetching).or_exit(Exit::DATA)?;
    let mut lock = match fetching.places.read_lock() {
        Ok(lock) => lock.unwrap_or_default(),
        Err(problem) => {
            return Err(Failure { error: anyhow!("{problem}"), exit: Exit::DATA });
        }
    };
    let sandbox = fetching.sandbox()?;
    let runtime = setup::runtime()?;
    let keys = if args.key.is_empty() { &fetching.config.plugins.keys } else { &args.key };
    let (fetched, plugin) = runtime.block_on(async {
        let wanted = Wanted { source: &args.source, manifest: None, digest: args.digest, keys };
        let work = fetching.fetcher.fetch(&wanted);
        let fetched = fetching.watched(&args.source.to_string(), work).await.map_err(failed)?;
        let unusable = || format!("`{}` is no plugin that can be used", args.source);
        let plugin = sandbox.load(name.clone(), fetched.bytes.to_vec()).await;
        let plugin = plugin.with_context(unusable).or_exit(Exit::DATA)?;
        Ok::<_, Failure>((fetched, plugin))
    })?;
    runtime.shutdown_background();
    let written = entry(&name, &args.source, &fetched, &plugin);
    let changed = change(lock.get(&name), &written);
    let write = |path: &std::path::Path, bytes: &[u8]| {
        let shown = || format!("cannot write `{}`", path.display());
        write_whole(path, bytes, 0o644).with_context(shown).or_exit(Exit::UNAVAILABLE)
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let shown = || format!("cannot make the folder `{}`", folder.display());
        std::fs::create_dir_all(folder).with_context(shown).or_exit(Exit::UNAVAILABLE)?;
    }
    // First, so that a file that must be signed is so from its first moment.
    if let Some(signature) = &fetched.signature {
        let mut beside = path.clone().into_os_string();
        beside.push(".minisig");
        write(&PathBuf::from(beside), signature.as_bytes())?;
    }
    write(&path, &fetched.bytes)?;
    lock.put(written.clone());
    write(&fetching.places.lock(), lock.render().as_bytes())?;
    if args.json {
        let body = serde_json::json!({
            "name": name.as_str(),
            "source": args.source.to_string(),
            "file": path.display().to_string(),
            "version": written.version,
            "digest": written.digest.to_string(),
            "manifest": written.manifest.map(|digest| digest.to_string()),
            "signed_by": written.signed_by.as_ref().map(PublicKey::as_str),
            "size": fetched.bytes.len(),
            "changed": changed.is_some(),
        });
        setup::print(&format!("{body}\n"))?;
        return Ok(Exit::DONE);
    }
    let signed = match &written.signed_by {
        Some(key) => format!("signed by {key}"),
        None => "not asked for a signature".to_owned(),
    };
    setup::print(&format!(
        "{}: version {}, {}, {}, {signed}\n",
        path.display(),
        written.version,
        show_size(fetched.bytes.len() as u64),
        written.digest,
    ))?;
    Ok(Exit::DONE)
}

/// Where to, and what it is called there.
fn output(args: &Args, fetching: &Fetching) -> anyhow::Result<(PathBuf, PluginName)> {
    let Some(path) = &args.output else {
        let name = name_of(&args.source)?;
        return Ok((fetching.places.plugins.join(format!("{name}.wasm")), name));
    };
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = file_name.as_deref().and_then(|name| name.strip_suffix(".wasm"));
    let stem = stem.with_context(|| {
        format!("`{}` is no name for a plugin's file (expected NAME.wasm)", path.display())
    })?;
    Ok((path.clone(), PluginName::new(stem)?))
}
