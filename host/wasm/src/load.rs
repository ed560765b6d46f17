//! From a file's bytes to a plugin that is ready to run, in steps that each have a name.
//!
//! Nothing is registered anywhere: a load either returns a plugin or says which step failed and
//! why, so that the caller can keep what it has.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::Component;
use wellcheck_core::grant::Grants;
use wellcheck_core::id::PluginName;
use wellcheck_core::outcome::Fault;
use wellcheck_core::redact::Redactor;

use crate::abi::{Answer, Call};
use crate::cache::{Cache, Found};
use crate::compile::CompileError;
use crate::inspect::{Declared, NotAPlugin, inspect};
use crate::plugin::{Parts, Plugin};
use crate::run::{Limits, Supplies, execute};
use crate::sandbox::Inner;
use crate::schema::{Schema, SchemaError};
use crate::text;

/// The steps of a load, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadStep {
    /// The bytes of the file.
    Read,
    /// Its structure, imports and exports.
    Validate,
    /// Compiling it, or taking the compiled code from the cache.
    Compile,
    /// Linking its imports, and finding the exports of its contract line.
    Bind,
    /// Asking it what it is.
    Describe,
    /// The schema of its settings.
    Schema,
}

impl LoadStep {
    /// The word for it in messages, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Validate => "validate",
            Self::Compile => "compile",
            Self::Bind => "bind",
            Self::Describe => "describe",
            Self::Schema => "schema",
        }
    }
}

impl fmt::Display for LoadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("failed to load plugin `{plugin}`")]
pub struct LoadError {
    /// Which one.
    pub plugin: PluginName,
    /// What is wrong.
    #[source]
    pub problem: LoadProblem,
}

impl LoadError {
    /// The step that failed.
    pub const fn step(&self) -> LoadStep {
        match self.problem {
            LoadProblem::TooLarge { .. } => LoadStep::Read,
            LoadProblem::NotAPlugin(_) => LoadStep::Validate,
            LoadProblem::Compile(_) => LoadStep::Compile,
            LoadProblem::Bind(_) => LoadStep::Bind,
            LoadProblem::Describe(_) => LoadStep::Describe,
            LoadProblem::Schema(_) => LoadStep::Schema,
        }
    }

    /// The step and the problem in one line, for where the plugin's name stands already.
    pub fn message(&self) -> String {
        format!("{}: {}", self.step(), self.problem)
    }
}

/// What is wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// The file is larger than allowed.
    #[error("the file has {} (at most {})", text::bytes(*.size), text::bytes(*.limit))]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Its structure, its exports or its imports.
    #[error(transparent)]
    NotAPlugin(NotAPlugin),
    /// It does not compile.
    #[error(transparent)]
    Compile(CompileError),
    /// An import or an export has another type than its line says.
    #[error("{0}")]
    Bind(String),
    /// It could not say what it is.
    #[error("`describe` ended in a fault ({}): {}", .0.reason, .0.message)]
    Describe(Fault),
    /// The schema of its settings is not one.
    #[error("the settings schema is not usable: {0}")]
    Schema(SchemaError),
}

/// How long each step took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadTimings {
    /// Looking at the bytes, and hashing them.
    pub validate: Duration,
    /// Compiling; zero if the code came from the cache.
    pub compile: Duration,
    /// Reading compiled code from the cache and verifying it.
    pub cache: Duration,
    /// Mapping the code and linking it.
    pub bind: Duration,
    /// Asking it what it is, and compiling its schema.
    pub describe: Duration,
    /// Whether the code came from the cache.
    pub from_cache: bool,
    /// What was wrong with the cache, for people.
    pub notes: Vec<String>,
}

impl LoadTimings {
    /// All steps together.
    pub fn total(&self) -> Duration {
        self.validate + self.compile + self.cache + self.bind + self.describe
    }
}

pub(crate) async fn load(
    sandbox: Arc<Inner>,
    name: PluginName,
    bytes: Arc<[u8]>,
) -> Result<Plugin, LoadError> {
    let plugin = name.clone();
    steps(sandbox, name, bytes).await.map_err(|problem| LoadError { plugin, problem })
}

async fn steps(
    sandbox: Arc<Inner>,
    name: PluginName,
    bytes: Arc<[u8]>,
) -> Result<Plugin, LoadProblem> {
    let mut timings = LoadTimings::default();
    let size = bytes.len();
    let limit = usize::try_from(sandbox.load.file_bytes).unwrap_or(usize::MAX);
    if size > limit {
        return Err(LoadProblem::TooLarge { size, limit });
    }

    let began = Instant::now();
    let declared =
        Declared { memory: sandbox.pool.memory, table_elements: sandbox.pool.table_elements };
    let theirs = Arc::clone(&bytes);
    let looked = blocking(move || (inspect(&theirs, declared), blake3::hash(&theirs))).await;
    let (inspected, digest) = looked.map_err(LoadProblem::Bind)?;
    let inspected = inspected.map_err(LoadProblem::NotAPlugin)?;
    timings.validate = began.elapsed();

    let component = compiled(&sandbox, bytes, digest, &mut timings).await?;

    let began = Instant::now();
    let bind = || {
        let mut linker = sandbox.linker.clone();
        inspected.line.link(&mut linker)?;
        let instance = linker.instantiate_pre(&component)?;
        inspected.line.bind(instance)
    };
    let bound =
        bind().map_err(|error| LoadProblem::Bind(text::cleaned(&format!("{error:#}"), 1024)))?;
    timings.bind += began.elapsed();

    // Like any run, so that there is an instance for each place.
    let _place = sandbox.place().await;
    let began = Instant::now();
    let mut parts = Parts {
        sandbox: Arc::clone(&sandbox),
        name,
        digest: digest.to_hex().to_string(),
        size,
        line: inspected.line,
        imports: inspected.imports,
        bound,
        description: crate::Description::default(),
        schema: None,
        timings: LoadTimings::default(),
    };
    let limits = Limits {
        grants: Arc::new(Grants::default()),
        limits: Arc::clone(&sandbox.describe),
        began: tokio::time::Instant::now(),
        timeout: sandbox.load.describe_time,
        failures_in_a_row: 0,
        traceparent: None,
        redact: Redactor::default(),
        supplies: Supplies::default(),
        tape: None,
        world: None,
    };
    let done = execute(&sandbox, &parts.bound, limits, Call::Describe).await;
    let mut description = match done.answer {
        Ok(Answer::Description(description)) => description,
        Ok(Answer::Outcome(_)) => unreachable!("a description was asked for"),
        Err(fault) => return Err(LoadProblem::Describe(fault)),
    };
    description.clean();

    if let Some(source) = description.settings_schema.clone() {
        let max = sandbox.load.schema_bytes;
        let compiled = blocking(move || Schema::compile(&source, max)).await;
        parts.schema = Some(compiled.map_err(LoadProblem::Bind)?.map_err(LoadProblem::Schema)?);
    }
    timings.describe = began.elapsed();
    parts.description = description;
    parts.timings = timings;
    Ok(Plugin::new(parts))
}

/// Work that would hold up other tasks. An error is a panic in it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| text::cleaned(&format!("the host broke: {error}"), 1024))
}

async fn compiled(
    sandbox: &Arc<Inner>,
    bytes: Arc<[u8]>,
    digest: blake3::Hash,
    timings: &mut LoadTimings,
) -> Result<Component, LoadProblem> {
    if let Some(cache) = &sandbox.cache {
        let began = Instant::now();
        let (cache, theirs) = (Arc::clone(cache), Arc::clone(sandbox));
        let found = blocking(move || cached(&theirs, &cache, &digest)).await;
        let (component, note) = found.map_err(LoadProblem::Bind)?;
        timings.cache = began.elapsed();
        timings.notes.extend(note);
        if let Some(component) = component {
            timings.from_cache = true;
            return Ok(component);
        }
    }

    let began = Instant::now();
    let _turn = sandbox.compiling.acquire().await.expect("the semaphore is never closed");
    let code = sandbox.compiler.compile(&sandbox.engine, bytes, &sandbox.load, sandbox.code).await;
    let code = Arc::new(code.map_err(LoadProblem::Compile)?);
    timings.compile = began.elapsed();

    let began = Instant::now();
    let (theirs, fresh) = (Arc::clone(sandbox), Arc::clone(&code));
    let mapped = blocking(move || map(&theirs, &fresh)).await.map_err(LoadProblem::Bind)?;
    let component = mapped.map_err(|why| LoadProblem::Compile(CompileError::Unusable(why)))?;
    timings.bind = began.elapsed();
    if let Some(cache) = &sandbox.cache {
        let cache = Arc::clone(cache);
        let put = blocking(move || cache.put(&cache.name(&digest), &code)).await;
        if let Err(error) = put.map_err(LoadProblem::Bind)? {
            timings.notes.push(format!("the compiled code could not be kept: {error}"));
        }
    }
    Ok(component)
}

/// The component from the cache, and what was wrong with what was there.
fn cached(
    sandbox: &Inner,
    cache: &Cache,
    digest: &blake3::Hash,
) -> (Option<Component>, Option<String>) {
    let name = cache.name(digest);
    match cache.get(&name) {
        Found::Nothing => (None, None),
        Found::Unusable(why) => {
            (None, Some(format!("the cached code `{name}` {why}; compiled anew")))
        }
        Found::Entry(entry) => match map(sandbox, entry.code()) {
            Ok(component) => (Some(component), None),
            Err(why) => (
                None,
                Some(format!("the cached code `{name}` cannot be used: {why}; compiled anew")),
            ),
        },
    }
}

/// Makes executable memory of compiled code.
#[expect(
    unsafe_code,
    reason = "compiled code is run as it is; it comes from our compiler, or from the cache with a keyed hash over these very bytes"
)]
fn map(sandbox: &Inner, code: &[u8]) -> Result<Component, String> {
    // SAFETY: the only callers are `compiled`, with what our own compiler just wrote, and `cached`,
    // with bytes in memory whose keyed hash was verified. No file is read again after that.
    let component = unsafe { Component::deserialize(&sandbox.engine, code) };
    component.map_err(|error| {
        let mut why = text::cleaned(&format!("{error:#}"), 1024);
        if why.contains("core module instances") {
            why.push_str(" (limit `instances`)");
        }
        why
    })
}
