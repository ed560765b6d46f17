//! `wellcheck plugin build`: from a project's source to a component that loads.
//!
//! The crate `wellcheck-kit` knows the languages and their tools; what comes of it is loaded here by
//! the steps of the server, so that a plugin that does not load is never written.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args as ClapArgs;
use wellcheck_core::config::Plugins;
use wellcheck_core::id::PluginName;
use wellcheck_core::units::show_size;
use wellcheck_kit::build::{self, BuildError, Built, Effort, Names};
use wellcheck_kit::project::Project;
use wellcheck_wasm::{Plugin, Sandbox};

use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::setup;

/// Build a plugin from the source in a folder.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The folder's plugin.toml says what the plugin is called and in which language it \
is; without one, the folder's name and its files do. What comes of it is loaded before it is written: \
a plugin that the server would refuse is refused here.\n\nExamples:\n  wellcheck plugin build\n  \
wellcheck plugin build queue-depth --into plugins\n  wellcheck plugin build -o /tmp/queue.wasm --json"
)]
pub(crate) struct Args {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the component goes [default: NAME.wasm in the project's folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A plugins folder to drop it into, besides
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Build for the shortest wait, not for a small and fast plugin
    #[arg(long)]
    quick: bool,
    /// Keep names of functions and debugging information
    #[arg(long)]
    keep_names: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    cache: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Ended {
    let project = Project::open(&args.dir).or_exit(Exit::DATA)?;
    let runtime = setup::runtime()?;
    let sandbox = setup::sandbox(args.cache.clone(), &patient())?;
    let finished = make(args, &project).and_then(|built| {
        let plugin = runtime.block_on(load(&sandbox, &project, &built)).or_exit(Exit::DATA)?;
        Ok(Finished { built, plugin })
    })?;
    let files = place(args, &project, &finished.built.bytes).or_exit(Exit::UNAVAILABLE)?;
    let text = match args.json {
        true => finished.json(&project, &files),
        false => finished.show(&files),
    };
    runtime.shutdown_background();
    setup::print(&text)?;
    Ok(Exit::DONE)
}

/// Longest that compiling may take on a busy machine.
const COMPILE_WALL: Duration = Duration::from_mins(10);

/// A component that loads.
struct Finished {
    built: Built,
    plugin: Plugin,
}

/// Builds, and says on standard error what is being done.
fn make(args: &Args, project: &Project) -> Result<Built, Failure> {
    let effort = if args.quick { Effort::Quick } else { Effort::Release };
    let names = if args.keep_names { Names::Keep } else { Names::Strip };
    let name = &project.manifest.name;
    setup::complain(&format!("building `{name}` ({})", project.language.title));
    let say = |what: &str| setup::complain(&format!("  {what}"));
    build::build(project, effort, names, &say).map_err(|error| failure(project, error))
}

/// What to do about a build that came to nothing.
fn failure(project: &Project, error: BuildError) -> Failure {
    let name = &project.manifest.name;
    let exit = match &error {
        BuildError::Missing(_) => Exit::UNAVAILABLE,
        BuildError::Tool { .. } | BuildError::Other(_) => Exit::DATA,
    };
    let advice = match &error {
        BuildError::Missing(_) => format!("`{name}` needs more than what is installed"),
        BuildError::Tool { .. } => format!(
            "`{name}` was not built; mend `{}`, or the tool if it is at fault, and build again",
            project.folder.join(project.language.source).display()
        ),
        BuildError::Other(_) => format!("`{name}` was not built"),
    };
    let error = match error {
        BuildError::Other(error) => error.context(advice),
        error => anyhow!("{advice}\n{error}"),
    };
    Failure { error, exit }
}

/// What the server would allow, but for the time: here somebody works on other things beside.
fn patient() -> Plugins {
    let mut limits = Plugins::default();
    limits.load.compile_wall = COMPILE_WALL;
    limits
}

/// Loads what was built, as the server would.
async fn load(sandbox: &Sandbox, project: &Project, built: &Built) -> anyhow::Result<Plugin> {
    let name = PluginName::new(&project.manifest.name)?;
    let loaded = sandbox.load(name, built.bytes.clone()).await;
    loaded.map_err(|error| {
        anyhow!("it was built, but would not load, so it was not written: {}", error.message())
    })
}

/// Writes the component where it is wanted, and says where that is.
fn place(args: &Args, project: &Project, bytes: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = vec![args.output.clone().unwrap_or_else(|| project.output())];
    if let Some(folder) = &args.into {
        if !folder.is_dir() {
            bail!("there is no folder `{}` to drop the plugin into", folder.display());
        }
        files.push(folder.join(format!("{}.wasm", project.manifest.name)));
    }
    for file in &files {
        write_whole(file, bytes).with_context(|| format!("writing `{}`", file.display()))?;
    }
    Ok(files)
}

/// Whole or not at all: a server that watches the folder never sees half of a file.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".").suffix(".new").tempfile_in(folder)?;
    file.write_all(bytes)?;
    // As any file that a compiler writes, where a temporary one is its owner's alone.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

impl Finished {
    /// What took how long, in order.
    fn steps(&self) -> [(&'static str, Duration); 4] {
        let timings = self.plugin.timings();
        let load = timings.total().saturating_sub(timings.compile);
        [
            ("build", self.built.compile),
            ("component", self.built.componentize),
            ("compile", timings.compile),
            ("load", load),
        ]
    }

    fn show(&self, files: &[PathBuf]) -> String {
        let (plugin, about) = (&self.plugin, self.plugin.description());
        let can = match plugin.import_summary().as_slice() {
            [] => "nothing".to_owned(),
            words => words.join(", "),
        };
        let steps = self.steps().map(|(name, took)| format!("{name} {:.2} s", took.as_secs_f64()));
        let files: Vec<_> = files.iter().map(|file| format!("{}\n", file.display())).collect();
        format!(
            "{}  {}, contract {}: {}\n  can ask for: {can}\n  imports: {}\n  took: {}\n",
            files.concat(),
            show_size(plugin.size() as u64),
            plugin.line(),
            about.summary,
            imports(plugin).join(", "),
            steps.join(", "),
        )
    }

    fn json(&self, project: &Project, files: &[PathBuf]) -> String {
        let plugin = &self.plugin;
        let took = self.steps().map(|(name, took)| {
            (format!("{name}_ms"), serde_json::json!((took.as_secs_f64() * 1e6).round() / 1e3))
        });
        let body = serde_json::json!({
            "name": project.manifest.name,
            "version": project.manifest.version,
            "language": project.language.name,
            "files": files,
            "size": plugin.size(),
            "digest": format!("blake3:{}", plugin.digest()),
            "contract": plugin.line(),
            "can_ask_for": plugin.import_summary(),
            "imports": imports(plugin),
            "took": took.into_iter().collect::<serde_json::Map<_, _>>(),
        });
        format!("{body}\n")
    }
}

fn imports(plugin: &Plugin) -> Vec<String> {
    plugin.imports().iter().map(ToString::to_string).collect()
}
