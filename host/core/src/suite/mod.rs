//! Test files of plugins: what a test gives, what it expects, and what `--faults` breaks.
//!
//! A test file is TOML: `[[test]]`s, each with settings, a scripted world, and the outcome that is
//! expected in it. Nothing here runs anything: a file is read, an outcome is compared, and worlds
//! are made in which one thing is broken. The caller runs plugins in them.
//!
//! | file | what |
//! | --- | --- |
//! | `keys.rs` | every key, its meaning and default: documentation and suggestions |
//! | `read.rs`, `world.rs` | from TOML to a [`Suite`], with all problems at once |
//! | `pattern.rs` | texts in which `*` stands for anything |
//! | `expect.rs` | an outcome held against what is expected |
//! | `faults.rs`, `replies.rs` | the table of faults, and one function for each |
//! | `write.rs` | a record as a `[[test]]` |

mod expect;
pub mod faults;
pub mod keys;
pub mod pattern;
mod read;
mod replies;
mod world;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

pub use expect::{Came, Difference, Expect, Number};
pub use read::{MAX_TESTS, Reading, read};
pub use write::of_record;

use crate::config::tree::{Place, Text};
use crate::grant::Grants;
use crate::record::{Blob, Reply, Standing};
use crate::time::WallTime;

/// A test file.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The plugin's file, relative to the test file; the caller has its own idea without it.
    pub plugin: Option<Text>,
    /// In their order.
    pub tests: Vec<Test>,
    /// What need not be noticed in any of them.
    pub accept: Vec<Accept>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Test {
    /// A sentence.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// A JSON object.
    pub settings: serde_json::Value,
    /// Folders are named as the plugin sees them; the caller has to put something there.
    pub grants: Grants,
    /// Longest that the run may take, by the clock of its world.
    pub timeout: Duration,
    /// What it sees.
    pub world: World,
    /// What should come of it.
    pub expect: Expect,
    /// What need not be noticed.
    pub accept: Vec<Accept>,
}

/// The world of a test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// What the wall clock says when the run begins, if the test says so.
    pub now: Option<WallTime>,
    /// What random numbers are made of.
    pub random: [u8; 32],
    /// Runs in a row before this one that did not pass.
    pub failures_in_a_row: u32,
    /// Variables by name; the grants decide which of them are seen.
    pub env: BTreeMap<String, String>,
    /// Secrets by name; likewise.
    pub secrets: BTreeMap<String, String>,
    /// What the check has kept.
    pub state: BTreeMap<String, Blob>,
    /// Files by the path that the plugin sees.
    pub files: BTreeMap<String, Blob>,
    /// Answers; the first that fits is taken.
    pub http: Vec<Scripted>,
    /// Other checks by name.
    pub checks: BTreeMap<String, Standing>,
}

/// What the wall clock of a world says unless a test says otherwise: the first second of 2026.
pub const NOW: WallTime = WallTime(1_767_225_600_000);

/// What comes back for some requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Scripted {
    /// The method; `None` for any.
    pub method: Option<String>,
    /// An absolute URL.
    pub url: String,
    /// Whether a `*` in it is nothing but that; else it stands for anything.
    pub is_exact: bool,
    /// How often; then the next one that fits is taken. `None` for ever.
    pub times: Option<u32>,
    /// What comes back.
    pub reply: Reply,
}

impl Scripted {
    /// Answers `GET url` and every other method with this.
    pub fn new(url: impl Into<String>, reply: Reply) -> Self {
        Self { method: None, url: url.into(), is_exact: false, times: None, reply }
    }
}

/// Faults that need not be noticed, and why.
#[derive(Debug, Clone)]
pub struct Accept {
    /// `THING: FAULT`; `*` stands for anything.
    pub pattern: String,
    /// Why.
    pub why: String,
    /// Where it stands.
    pub place: Place,
}
