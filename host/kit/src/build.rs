//! From a project to a component: what is the same for every language.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::component;
use crate::project::Project;
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
    /// Something has to be installed first.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// A tool said no: its own words were printed as they came.
    #[error("{tool} failed ({status})")]
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
pub fn build(project: &Project, effort: Effort, say: &dyn Fn(&str)) -> Result<Built, BuildError> {
    let work = project.work();
    std::fs::create_dir_all(&work).with_context(|| format!("making `{}`", work.display()))?;
    let began = Instant::now();
    let build = Build { project, effort, work, say };
    let bytes = (project.language.build)(&build)?;
    let compile = began.elapsed();
    let began = Instant::now();
    let bytes = match component::is_component(&bytes) {
        true => bytes,
        false => component::encode(&bytes, project.world(), None)?,
    };
    let bytes = component::with_metadata(&bytes, &project.manifest, project.language.title)?;
    Ok(Built { bytes, compile, componentize: began.elapsed() })
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
        let tool = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("a tool"));
        let tool = tool.to_string_lossy().into_owned();
        (self.say)(&tool);
        let status = command
            .current_dir(&self.project.folder)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .with_context(|| format!("starting {tool}"))?;
        if status.success() {
            return Ok(());
        }
        Err(BuildError::Tool { tool, status: status.to_string() })
    }
}
