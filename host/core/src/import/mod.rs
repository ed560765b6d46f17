//! From the files of other tools to our own: one table, one file per format, pure functions from text
//! to TOML.
//!
//! What is made is a text that a person would write, and is read as any other configuration file.
//! Whatever could not be carried over is said, item by item: nothing is lost in silence.
//!
//! | file | what |
//! | --- | --- |
//! | `blackbox.rs`, `docker.rs`, `gatus.rs`, `kubernetes.rs`, `kuma.rs`, `nosana.rs` | a format each |
//! | `json.rs`, `yaml.rs` | JSON and YAML as trees in which every value knows its place; all their bounds |
//! | `context.rs` | notes and problems; maps that know which of their keys nobody asked for |
//! | `command.rs`, `shell.rs` | `curl` and `wget` as checks |
//! | `http.rs`, `timing.rs`, `names.rs` | keys, durations and names as our configuration has them |
//! | `write.rs` | our configuration as text |

mod blackbox;
mod command;
mod context;
mod docker;
mod gatus;
mod http;
mod json;
mod kubernetes;
mod kuma;
mod names;
#[cfg(test)]
mod props;
mod shell;
#[cfg(test)]
mod testing;
mod timing;
mod write;
mod yaml;

pub mod nosana;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use context::shown;
pub use timing::parse as parse_duration;

use crate::config::tree::Place;
use crate::config::{Problem, SourceFile};

/// Every format, by name.
pub const IMPORTS: &[&dyn Import] = &[
    &blackbox::Blackbox,
    &docker::Docker,
    &gatus::Gatus,
    &kubernetes::Kubernetes,
    &kuma::Kuma,
    &nosana::Nosana,
];

/// A format that is understood.
pub trait Import: Sync {
    /// The word after `wellcheck import`; also the file's name.
    fn name(&self) -> &'static str;

    /// One line: whose files these are.
    fn summary(&self) -> &'static str;

    /// Makes our configuration of a file.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its place.
    fn import(&self, file: &SourceFile, options: &Options) -> Result<Imported, Vec<Problem>>;
}

/// What the file itself does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where things run: for a Nosana job, the host of an operation by its id; for Kubernetes, of a
    /// container, a workload or `workload/container`; for Docker, of a service. Loopback otherwise.
    pub hosts: BTreeMap<String, String>,
    /// From run to run in the start-up phase of a Nosana job, 5 s by default.
    pub startup_interval: Duration,
    /// From run to run afterwards, 30 s by default.
    pub interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            startup_interval: Duration::from_secs(5),
            interval: Duration::from_secs(30),
        }
    }
}

/// What was made of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Our configuration.
    pub toml: String,
    /// What could not be carried over, or means something else here.
    pub notes: Vec<Note>,
}

/// Something that could not be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it stands in the file.
    pub place: Place,
    /// What it is, and what to do about it.
    pub message: String,
}

/// The import of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Import> {
    IMPORTS.iter().copied().find(|import| import.name() == name)
}
