//! `wellcheck plugin build`: from a project's source to a component that loads.
//!
//! The crate `wellcheck-kit` knows the languages and their tools; what comes of it is loaded here by
//! the steps of the server, so that a plugin that does not load is never written.

mod watch;

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
use wellcheck_wasm::{Code, Plugin, Sandbox, Urgency};

use crate::cli::exit::{Ended, Exit, Failure, OrExit};
use crate::cli::given::GivenArgs;
use crate::cli::setup;
use crate::sources::shown;

/// Build a plugin from the source in a folder.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The folder's plugin.toml says what the plugin is called and in which language it \
is; without one, the folder's name and its files do. What comes of it is loaded before it is written: \
a plugin that the server would refuse is refused here.\n\nA build runs what the project says, as you: \
build scripts, packages of its language, tools in its own folder. Build what you trust.\n\nExamples:\n  wellcheck plugin build\n  \
wellcheck plugin build queue-depth --into plugins\n  wellcheck plugin build --watch --run --set limit=5\n  wellcheck plugin build -o /tmp/queue.wasm --json"
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
    /// Build again, quickly, after every change of the source, until interrupted
    #[arg(long)]
    watch: bool,
    /// Run it afterwards, with the settings and grants of NAME.toml unless some are given
    #[arg(long)]
    run: bool,
    /// Run its tests afterwards, as `wellcheck plugin test` does
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    given: GivenArgs,
    /// Longest such a run may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = setup::some_duration)]
    timeout: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where compiled plugins are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "WELLCHECK_CACHE")]
    cache: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Ended {
    let runtime = setup::runtime()?;
    // Whoever waits for each change gets code that is there soon.
    let code = if args.quick || args.watch { Code::Soon } else { Code::Fast };
    let sandbox = setup::sandbox_for(args.cache.clone(), &patient(), code, Urgency::Awaited)?;
    let ended = runtime.block_on(async {
        if args.watch {
            return watch::watch(args, &sandbox).await;
        }
        let project = open(args)?;
        let finished = finish(args, &project, &sandbox).await?;
        publish(args, &project, &finished)?;
        watch::after(args, &project, &finished).await?;
        Ok(Exit::DONE)
    });
    runtime.shutdown_background();
    ended
}

/// What the server would allow, but for the time: here somebody works on other things beside.
fn patient() -> Plugins {
    let mut limits = Plugins::default();
    limits.load.compile_wall = COMPILE_WALL;
    limits
}

/// Longest that compiling may take on a busy machine.
const COMPILE_WALL: Duration = Duration::from_mins(10);

/// A component that loads.
struct Finished {
    built: Built,
    plugin: Plugin,
}

fn open(args: &Args) -> Result<Project, Failure> {
    Project::open(&args.dir).or_exit(Exit::DATA)
}

/// Builds and loads, and says on standard error what is being done.
async fn finish(args: &Args, project: &Project, sandbox: &Sandbox) -> Result<Finished, Failure> {
    let effort = if args.quick || args.watch { Effort::Quick } else { Effort::Release };
    let names = if args.keep_names { Names::Keep } else { Names::Strip };
    let name = &project.manifest.name;
    setup::complain(&format!("building `{name}` ({})", project.language.title));
    let theirs = project.clone();
    let built = tokio::task::spawn_blocking(move || {
        let say = |what: &str| setup::complain(&format!("  {what}"));
        build::build(&theirs, effort, names, &say)
    });
    let built = built.await.context("building").or_exit(Exit::BUG)?;
    let built = built.map_err(|error| failure(project, error))?;
    let plugin = load(sandbox, project, &built).await.or_exit(Exit::DATA)?;
    Ok(Finished { built, plugin })
}

/// Writes the component, and says what it is.
fn publish(args: &Args, project: &Project, finished: &Finished) -> Result<(), Failure> {
    let files = place(args, project, &finished.built.bytes).or_exit(Exit::UNAVAILABLE)?;
    setup::print(&match args.json {
        true => finished.json(project, &files),
        false => finished.show(&files),
    })
}

/// What to do about a build that came to nothing.
fn failure(project: &Project, error: BuildError) -> Failure {
    let name = &project.manifest.name;
    let exit = match &error {
        BuildError::Missing(_) => Exit::UNAVAILABLE,
        BuildError::Tool { .. } | BuildError::Other(_) => Exit::DATA,
    };
    let error = match error {
        BuildError::Missing(_) => {
            anyhow!("`{name}` needs more than what is installed\n{error}")
        }
        BuildError::Tool { .. } => anyhow!(
            "{error}\n  `{name}` was not built; mend `{}`, or the tool if it is at fault, and build again",
            project.folder.join(project.language.source).display()
        ),
        BuildError::Other(error) => error.context(format!("`{name}` was not built")),
    };
    Failure { error, exit }
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
        let files: Vec<_> = files.iter().map(|file| format!("{}\n", shown(file))).collect();
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
