//! A plugin that was loaded, and what is known of it.

use std::fmt;
use std::sync::Arc;

use wellcheck_core::id::PluginName;

use crate::abi::{Bound, Line};
use crate::description::Description;
use crate::inspect::Import;
use crate::load::LoadTimings;
use crate::run::{self, Invocation, PluginRun};
use crate::sandbox::Inner;
use crate::schema::Schema;
use crate::world::World;

/// A plugin, ready to run. Cheap to clone; never changes: a new file is a new plugin.
#[derive(Clone)]
pub struct Plugin(Arc<Parts>);

/// What a load found out.
pub(crate) struct Parts {
    pub(crate) sandbox: Arc<Inner>,
    pub(crate) name: PluginName,
    pub(crate) digest: String,
    pub(crate) size: usize,
    pub(crate) line: Line,
    pub(crate) imports: Vec<Import>,
    pub(crate) bound: Bound,
    pub(crate) description: Description,
    pub(crate) schema: Option<Schema>,
    pub(crate) timings: LoadTimings,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", self.name()).field("digest", &self.digest()).finish()
    }
}

impl Plugin {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// The file's name without `.wasm`.
    pub fn name(&self) -> &PluginName {
        &self.0.name
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// BLAKE3 of the file, 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Bytes of the file.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// What it imports, sorted by name.
    pub fn imports(&self) -> &[Import] {
        &self.0.imports
    }

    /// What it could make use of if it were granted, in words: `HTTP`, `files`, `sockets`, ...
    pub fn import_summary(&self) -> Vec<&'static str> {
        let mut words: Vec<_> = self.0.imports.iter().filter_map(Import::summary).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// The line of the contract that it was built for: `0.1`.
    pub fn line(&self) -> &'static str {
        self.0.line.as_str()
    }

    /// How long each step of its load took.
    pub fn timings(&self) -> &LoadTimings {
        &self.0.timings
    }

    /// Matches settings against the plugin's schema.
    ///
    /// # Errors
    /// All problems at once, each with its place (a JSON pointer), what was found and what was
    /// expected. No problem repeats a value, which may be a secret.
    pub fn check_settings(&self, settings: &serde_json::Value) -> Result<(), Vec<String>> {
        match &self.0.schema {
            Some(schema) => schema.check(settings),
            None if settings.is_object() => Ok(()),
            None => Err(vec!["/: expected an object".to_owned()]),
        }
    }

    /// Runs it once. Always answers, within the invocation's timeout and little more.
    ///
    /// Dropping the future ends the run.
    pub async fn run(&self, invocation: Invocation) -> PluginRun {
        run::run(self, invocation).await
    }

    /// Runs it once in a world of its own; see [`World`]. Takes a thread of the caller's runtime.
    pub async fn run_in(&self, world: World, invocation: Invocation) -> PluginRun {
        run::run_in(self, world, invocation).await
    }
}
