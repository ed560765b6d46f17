//! `wellcheck schema`: one JSON Schema for the configuration, plugins included, for editors.

use clap::{Args as ClapArgs, ValueEnum};
use wellcheck_core::config::schema::{self, For, KindKeys, PluginKeys};

use super::exit::{Ended, Exit, Failure};
use super::run::load_into;
use super::setup::{self, Where};
use crate::checks::KINDS;
use crate::folder::Listing;
use crate::keeper;

/// Print a JSON Schema of the configuration, for editors.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The schema has every key of the configuration with its meaning, the keys of each kind, \
and the settings of each plugin in the plugins folder, so that an editor completes and checks them. For \
Taplo (Even Better TOML in VS Code), and others that read its comment:\n\n  wellcheck schema > wellcheck.schema.json\n  \
sed -i '1i #:schema ./wellcheck.schema.json' wellcheck.toml\n\nThe schema knows names and types; `wellcheck validate` knows all rules."
)]
pub(super) struct Args {
    #[command(flatten)]
    places: Where,
    /// The file that it is for
    #[arg(long = "for", value_enum, default_value = "configuration")]
    file: File,
    /// Leave the settings of plugins out, and load none
    #[arg(long)]
    no_plugins: bool,
}

/// What a schema can be for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum File {
    /// wellcheck.toml and conf.d/*.toml
    Configuration,
    /// plugins/NAME.toml
    Sidecar,
}

pub(super) fn run(args: &Args) -> Ended {
    let kinds: Vec<KindKeys> = KINDS
        .iter()
        .map(|kind| KindKeys {
            name: kind.name(),
            summary: kind.summary(),
            keys: kind.keys().iter().copied().flatten().collect(),
        })
        .collect();
    let plugins = if args.no_plugins { Vec::new() } else { plugins(args)? };
    let file = match args.file {
        File::Configuration => For::Configuration,
        File::Sidecar => For::Sidecar,
    };
    let schema = schema::schema(file, &kinds, &plugins);
    setup::print(&format!("{schema:#}\n"))?;
    Ok(Exit::DONE)
}

/// What the plugins of the folder say. One that cannot be loaded is said, and left out.
fn plugins(args: &Args) -> Result<Vec<PluginKeys>, Failure> {
    let places = args.places.places()?;
    if !places.plugins.is_dir() {
        return Ok(Vec::new());
    }
    // A configuration in the making has problems; its plugins are of use all the same.
    let config =
        keeper::read(&places, &args.places.tools(&places)?).ok().map(|first| first.registry.config);
    let limits = config.as_ref().map(|config| config.plugins.clone()).unwrap_or_default();
    let cache = match &config {
        Some(config) => setup::cache(args.places.cache.clone(), config, &places),
        None => args.places.cache.clone(),
    };
    let sandbox = setup::sandbox(cache, &limits)?;
    let runtime = setup::runtime()?;
    let mut plugins = Vec::new();
    for name in Listing::read(&places.plugins).names() {
        let path = places.plugins.join(format!("{name}.wasm"));
        match runtime.block_on(load_into(&sandbox, &path)) {
            Err(error) => setup::complain(&format!("note: `{name}` is left out: {error:#}")),
            Ok(plugin) => {
                let about = plugin.description();
                let settings = about.settings_schema.as_deref().map(serde_json::from_str);
                plugins.push(PluginKeys {
                    name: name.to_string(),
                    summary: about.summary.clone(),
                    settings: settings.and_then(Result::ok),
                });
            }
        }
    }
    runtime.shutdown_background();
    Ok(plugins)
}
