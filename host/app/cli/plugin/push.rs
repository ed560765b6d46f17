//! `wellcheck plugin push`: gives a plugin to others, by a registry.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args as ClapArgs;
use wellcheck_core::id::PluginName;
use wellcheck_core::source::{OciSource, Source};
use wellcheck_core::units::show_size;
use wellcheck_fetch::{MAX_SIGNATURE, Push};

use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::fetching::{Fetching, failed};
use crate::cli::setup::{self, Where};
use crate::clock::Clock;
use crate::sources::read_file;

/// Push a plugin to a registry.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "What is pushed is an OCI artifact in the layout that `wkg` has too: one layer `application/wasm`, a configuration that \
names imports and exports, annotations. Credentials are those of `[[registry]]`, or those that \
`docker login` has written; registries on this machine are asked without TLS.\n\nExamples:\n  \
wellcheck plugin push queue-depth.wasm oci://ghcr.io/example/queue-depth:1.2.0 --tag 1 --tag latest\n  \
minisign -Sm queue-depth.wasm && wellcheck plugin push queue-depth.wasm oci://localhost:5000/queue-depth:1 --sign-with queue-depth.wasm.minisig"
)]
pub(crate) struct Args {
    /// The plugin's file
    file: PathBuf,
    /// Where to: oci://HOST[:PORT]/REPOSITORY[:TAG]
    #[arg(value_parser = to)]
    to: OciSource,
    /// A further tag; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// The signature that `minisign -S` has written
    #[arg(long, value_name = "SIGFILE")]
    sign_with: Option<PathBuf>,
    /// Where its source is, for those who look at it
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Where,
}

fn to(text: &str) -> Result<OciSource, String> {
    match Source::parse(text)? {
        Source::Oci(OciSource { digest: Some(_), .. }) => {
            Err("a digest comes of what is pushed (expected a tag)".to_owned())
        }
        Source::Oci(oci) => Ok(oci),
        Source::Url(_) => {
            Err("files are pushed to registries alone (expected `oci://...`)".to_owned())
        }
    }
}

pub(crate) fn run(args: &Args) -> Ended {
    for tag in &args.tag {
        let source = Source::Oci(args.to.clone());
        if let Some(Err(why)) = source.tagged(tag) {
            return Err(Failure { error: anyhow!("{why}"), exit: Exit::USAGE });
        }
    }
    let fetching = Fetching::new(&args.places)?;
    let read = |path: &Path, most: u64| {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        read_file(path, most)
            .map_err(|why| anyhow!("cannot read `{}`: {why}", path.display()))
            .or_exit(Exit::DATA)
    };
    let bytes = Bytes::from(read(&args.file, fetching.fetcher.max_bytes)?);
    let signature = match &args.sign_with {
        None => None,
        Some(path) => {
            let text = String::from_utf8(read(path, MAX_SIGNATURE as u64)?);
            Some(text.context("the signature is no text").or_exit(Exit::DATA)?)
        }
    };
    let sandbox = fetching.sandbox()?;
    let runtime = setup::runtime()?;
    let (pushed, title, version) = runtime.block_on(async {
        let unusable = || format!("`{}` is no plugin that can be used", args.file.display());
        let name = PluginName::new("plugin").or_exit(Exit::BUG)?;
        let plugin = sandbox.load(name, bytes.to_vec()).await;
        let plugin = plugin.with_context(unusable).or_exit(Exit::DATA)?;
        let about = plugin.description();
        let created = Clock::start().now().wall.to_string();
        let push = Push {
            to: &args.to,
            tags: &args.tag,
            bytes: bytes.clone(),
            signature: signature.as_deref(),
            title: &about.name,
            version: &about.version,
            source: args.source.as_deref(),
            created: &created,
        };
        let work = fetching.fetcher.push(&push);
        let pushed = fetching.watched(&format!("{}", args.to), work).await.map_err(failed)?;
        Ok::<_, Failure>((pushed, about.name.clone(), about.version.clone()))
    })?;
    runtime.shutdown_background();
    if args.json {
        let tags: Vec<&String> = args.to.tag.iter().chain(&args.tag).collect();
        let body = serde_json::json!({
            "source": args.to.to_string(),
            "tags": tags,
            "name": title,
            "version": version,
            "digest": pushed.digest.to_string(),
            "manifest": pushed.manifest.to_string(),
            "signed": signature.is_some(),
            "size": bytes.len(),
        });
        setup::print(&format!("{body}\n"))?;
    } else {
        let (to, size) = (&args.to, show_size(bytes.len() as u64));
        let by_digest = OciSource { tag: None, digest: Some(pushed.manifest), ..args.to.clone() };
        setup::print(&format!(
            "{to}: {title} {version}, {size}, {}\nby digest: {by_digest}\n",
            pushed.digest
        ))?;
    }
    Ok(Exit::DONE)
}
