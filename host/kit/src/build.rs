//! From a project to a component: what is the same for every language.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::component;
use crate::contract;
use crate::project::Project;
use crate::strip::strip;
use crate::toolchain::Missing;

/// How much a build may take for a smaller and faster plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As it is to be used.
    Release,
    /// As soon as possible, while somebody waits for each change.
    Quick,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Something has to be installed first: all of it.
    #[error("{}", lines(.0))]
    Missing(Vec<Missing>),
    /// A tool said no: its own words were printed as they came.
    #[error("{tool} failed ({status}): the lines above are its own")]
    Tool {
        /// Which.
        tool: String,
        /// How it ended.
        status: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<Missing> for BuildError {
    fn from(missing: Missing) -> Self {
        Self::Missing(vec![missing])
    }
}

fn lines(missing: &[Missing]) -> String {
    let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Whether names of functions and debugging information stay in the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// For those who look into it with tools.
    Keep,
    /// As it is to be used.
    Strip,
}

/// A build under way.
pub struct Build<'a> {
    /// What is built.
    pub project: &'a Project,
    /// How much it may take.
    pub effort: Effort,
    /// A folder for what is made on the way; it is kept between builds.
    pub work: PathBuf,
    /// Told what begins, such as `cargo build`.
    pub say: &'a dyn Fn(&str),
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Built {
    /// The component.
    pub bytes: Vec<u8>,
    /// What the language's own tools took.
    pub compile: Duration,
    /// What making a component of it took.
    pub componentize: Duration,
}

/// Builds a project. What tools print goes to standard error as it comes.
///
/// # Errors
/// When something is missing, or a tool fails.
pub fn build(
    project: &Project,
    effort: Effort,
    names: Names,
    say: &dyn Fn(&str),
) -> Result<Built, BuildError> {
    let work = project.work();
    std::fs::create_dir_all(&work).with_context(|| format!("making `{}`", work.display()))?;
    let _alone = alone(&work, say)?;
    let began = Instant::now();
    let build = Build { project, effort, work, say };
    let bytes = (project.language.build)(&build)?;
    let compile = began.elapsed();
    let began = Instant::now();
    let mut bytes = match component::is_component(&bytes) {
        true => bytes,
        false => component::encode(&bytes, project.world(), None)?,
    };
    if names == Names::Strip {
        bytes = strip(&bytes).context("the compiler's component cannot be read")?;
    }
    let bytes = component::with_metadata(&bytes, &project.manifest, project.language.title)?;
    Ok(Built { bytes, compile, componentize: began.elapsed() })
}

/// Two builds of one project would write over each other's files: the second waits.
fn alone(work: &Path, say: &dyn Fn(&str)) -> anyhow::Result<File> {
    let path = work.join("lock");
    let lock = File::create(&path).with_context(|| format!("making `{}`", path.display()))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            say("waiting for another build of this project");
            lock.lock().context("waiting for another build of this project")?;
        }
        // Where a file system has no locks, one build at a time is the user's to see to.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    Ok(lock)
}

impl Build<'_> {
    /// A file of the project.
    pub fn file(&self, name: &str) -> PathBuf {
        self.project.folder.join(name)
    }

    /// Runs a tool in the project's folder, to its end.
    ///
    /// # Errors
    /// When it cannot be started, or fails.
    pub fn tool(&self, command: &mut Command) -> Result<(), BuildError> {
        let tool = shown(command);
        (self.say)(&tool);
        let status = command
            .current_dir(&self.project.folder)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .with_context(|| {
                let program = Path::new(command.get_program()).display();
                format!("starting {tool} (`{program}`)")
            })?;
        if status.success() {
            return Ok(());
        }
        Err(BuildError::Tool { tool, status: status.to_string() })
    }

    /// Runs a tool as [`Self::tool`] does, for what it prints on standard output.
    ///
    /// # Errors
    /// When it cannot be started, or fails.
    pub fn ask(&self, command: &mut Command) -> Result<Vec<u8>, BuildError> {
        let tool = shown(command);
        (self.say)(&tool);
        let done = command
            .current_dir(&self.project.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {tool}"))?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        Err(BuildError::Tool { tool, status: done.status.to_string() })
    }

    /// A fresh folder with the contract and, after it, WIT of one's own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn contract(&self, further: &str) -> anyhow::Result<PathBuf> {
        let folder = self.work.join("wit");
        let written = contract::write_into(&folder).and_then(|()| {
            let (ours, text) = contract::FILES[0];
            std::fs::write(folder.join(ours), [text, further].join("\n"))
        });
        written.with_context(|| format!("writing `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// What a person would call the command: `cargo build`.
fn shown(command: &Command) -> String {
    let tool = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("a tool"));
    let mut tool = tool.to_string_lossy().into_owned();
    // A subcommand, and no file or switch.
    let first = command.get_args().next().map(OsStr::to_string_lossy);
    if let Some(first) =
        first.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '+'))
    {
        tool.push(' ');
        tool.push_str(&first);
    }
    tool
}
