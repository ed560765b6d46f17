//! The configuration: as written (`tree`), and as checked ([`Config`]).
//!
//! Only the second travels. Reading goes through all files and reports every problem that it
//! finds, each with file, line and column; with an error among them there is no [`Config`], so the
//! one that runs stays. The caller reads the files and hands them in as [`Sources`].
//!
//! | file | what |
//! | --- | --- |
//! | `problem.rs` | a problem, its place, "did you mean" |
//! | `tree.rs` | TOML as a tree in which every value knows its place; `${...}` |
//! | `reader.rs` | takes typed values out of a table and names what is wrong or left over |
//! | `keys.rs` | every key, its meaning and default: the documentation and the suggestions |
//! | `resolve/` | from trees to [`Config`]; one file per part |

pub mod keys;
pub mod problem;
pub mod reader;
mod resolve;
pub mod schema;
pub mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::check::CheckSpec;
use crate::endpoint::{EndpointSpec, ListenSpec};
use crate::fact::{Asked, FactKey};
use crate::grant::Grants;
use crate::group::GroupSpec;
use crate::id::{CheckName, PluginName};
use crate::import::Options;
use crate::limits::{HostLimits, KIB, LoadLimits, MIB};
use crate::maintenance::Window;
use crate::module::ModuleSpec;
use crate::redact::Redactor;
use crate::share::Sharing;
use crate::source::{Digest, PublicKey, Source};

pub use problem::{Problem, Problems, Severity};
pub(crate) use resolve::grants_of_test;
pub use resolve::{conditions_of_part, load, moment, outline, token_hash};
pub use tree::Lookup;

/// Longest configuration file, in bytes.
pub const MAX_FILE: usize = 16 * 1024 * 1024;

/// Longest sidecar, in bytes. Whoever drops one may not touch the rest, so that it gets less.
pub const MAX_SIDECAR: usize = 256 * 1024;

/// Most checks in one sidecar.
pub const MAX_SIDECAR_CHECKS: usize = 16;

/// Most problems that are shown of one sidecar; further ones are counted.
pub const MAX_SIDECAR_PROBLEMS: usize = 20;

/// A configuration file: what it is called, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As shown in problems.
    pub name: Arc<str>,
    /// Its content.
    pub text: String,
}

/// A file that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// As shown in problems.
    pub name: Arc<str>,
    /// Why, as a fragment without anything of its content.
    pub why: String,
}

/// Everything that the configuration is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `wellcheck.toml`, where there is one.
    pub main: Option<SourceFile>,
    /// `conf.d/*.toml`, by name.
    pub included: Vec<SourceFile>,
    /// `plugins/NAME.toml`, by name. One that cannot be read holds its own check.
    pub sidecars: Vec<(PluginName, Result<SourceFile, Unreadable>)>,
    /// The plugin files that are there, by name.
    pub plugins: Vec<PluginName>,
    /// The files that `[[import]]` names, by the path as written there, with `${...}` replaced.
    pub imported: BTreeMap<String, Result<SourceFile, Unreadable>>,
    /// The jobs that the command line names.
    pub jobs: Vec<SourceFile>,
    /// What it says about them: where their operations run, and how often their checks do.
    pub job_options: Options,
}

/// Reads the keys of built-in kinds, which the core does not know. Asked while the rest is being
/// read, so that all problems are found in one go.
pub trait Kinds {
    /// The facts that the runs of a kind find out, for conditions; nothing for one that is unknown.
    fn facts(&self, _kind: &str) -> &'static [&'static [FactKey]] {
        &[]
    }

    /// `what` is being read, for messages; `settings` are the keys that are not common to all
    /// checks, `asked` is what the check's conditions mention. Without a `name`, only the problems
    /// matter.
    fn read(
        &mut self,
        what: &str,
        name: Option<&CheckName>,
        kind: &tree::Text,
        settings: &tree::Table,
        asked: &Asked,
        problems: &mut Problems,
    );

    /// Likewise for `what`, a module: the key for the target is not among them.
    fn read_module(
        &mut self,
        _what: &str,
        _kind: &tree::Text,
        _settings: &tree::Table,
        _asked: &Asked,
        _problems: &mut Problems,
    ) {
    }

    /// Told before anything is read: which programs checks may run.
    fn programs(&mut self, _programs: &Programs) {}

    /// Whether checks of a kind take outcomes from outside.
    fn is_passive(&self, _kind: &tree::Text) -> bool {
        false
    }
}

/// What has to be known before the other files can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// `[plugins] dir`, as written.
    pub plugins_dir: Option<String>,
    /// The files that `[[import]]` names, each once.
    pub imports: Vec<String>,
}

/// The configuration, checked, with every default filled in.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[plugins]`.
    pub plugins: Plugins,
    /// `[[token]]`.
    pub tokens: Vec<Token>,
    /// `[[check]]`, sidecars and plugin files alone, by name.
    pub checks: Vec<CheckSpec>,
    /// `[[group]]`, by name.
    pub groups: Vec<GroupSpec>,
    /// `[[endpoint]]`, in their order.
    pub endpoints: Vec<EndpointSpec>,
    /// `[[listen]]`, in their order.
    pub listeners: Vec<ListenSpec>,
    /// `[[share]]`, `[agent]` and `[[environment]]`.
    pub sharing: Sharing,
    /// `[[module]]`, by name, with the standard one.
    pub modules: Vec<ModuleSpec>,
    /// `[[maintenance]]`.
    pub windows: Vec<Window>,
    /// `[runs]`.
    pub runs: Runs,
    /// `[secrets]`, by name. `Debug` shows the names only.
    pub secrets: Arc<BTreeMap<String, String>>,
    /// `[store] path`: where checks keep what they keep; the program has a default.
    pub store: Option<PathBuf>,
    /// `[[plugin]]`, by name.
    pub fetched: Vec<PluginSpec>,
    /// `[[registry]]`.
    pub registries: Vec<RegistrySpec>,
    /// Removes secrets out of texts: what came from the environment and from files, `[secrets]`, and
    /// what grants add to requests.
    pub redactor: Redactor,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            plugins,
            tokens,
            checks,
            groups,
            endpoints,
            listeners,
            sharing,
            modules,
            windows,
            runs,
            secrets,
            store,
            fetched,
            registries,
            redactor,
        } = self;
        f.debug_struct("Config")
            .field("server", server)
            .field("plugins", plugins)
            .field("tokens", tokens)
            .field("checks", checks)
            .field("groups", groups)
            .field("endpoints", endpoints)
            .field("listeners", listeners)
            .field("sharing", sharing)
            .field("modules", modules)
            .field("windows", windows)
            .field("runs", runs)
            .field("secrets", &secrets.keys())
            .field("store", store)
            .field("fetched", fetched)
            .field("registries", registries)
            .field("redactor", redactor)
            .finish()
    }
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long open requests get when the server stops.
    pub drain: Duration,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Paths of built-in routes that are served; `None` is all of them. Endpoints are served besides.
    pub routes: Option<Vec<tree::Text>>,
}

/// Where the server listens unless told otherwise: loopback only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN.parse().expect("a literal socket address"),
            drain: Duration::from_secs(5),
            max_connections: 1024,
            routes: None,
        }
    }
}

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plugins {
    /// Where compiled code is kept; the user's cache folder unless told otherwise.
    pub cache: Option<PathBuf>,
    /// The most that a sidecar may grant. Nothing by default: whoever can drop a file must not be
    /// able to grant it anything.
    pub sidecar_grants: Grants,
    /// Whose signatures are good; none asks for no signature.
    pub keys: Vec<PublicKey>,
    /// Whether files of the folder must be signed too.
    pub require_signed: bool,
    /// What loading a file may use.
    pub load: LoadLimits,
    /// What the host holds ready for plugins.
    pub host: HostLimits,
    /// What is kept of runs that failed.
    pub records: Records,
}

/// `records`, `record-bytes` and `records-bytes` of `[plugins]`: what is kept, in memory, of the
/// runs of plugins that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Records {
    /// Records of each check; 0 for none.
    pub each: usize,
    /// Bytes of bodies, files and state in one record.
    pub bytes: usize,
    /// Bytes of all records together.
    pub all_bytes: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self { each: 5, bytes: 256 * KIB, all_bytes: 64 * MIB }
    }
}

/// `[[plugin]]`: a plugin that is fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSpec {
    /// What checks call it.
    pub name: PluginName,
    /// Where its file is.
    pub source: Source,
    /// What its file must be.
    pub digest: Option<Digest>,
    /// Whose signature it must have; none leaves that to `[plugins] keys`.
    pub keys: Vec<PublicKey>,
    /// How often to look again at what the source leads to; at start and on reload alone without.
    pub interval: Option<Duration>,
    /// Where it stands.
    pub place: tree::Place,
}

/// `[[registry]]`: who we are at a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySpec {
    /// Name or address, with the port where sources have one.
    pub host: String,
    /// With `password`.
    pub username: Option<String>,
    /// Never shown.
    pub password: Option<String>,
    /// In place of both; never shown.
    pub token: Option<String>,
}

impl fmt::Debug for RegistrySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySpec").field("host", &self.host).finish_non_exhaustive()
    }
}

/// `[runs]`: how many checks run at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Runs {
    /// All together; the program has a default.
    pub most: Option<usize>,
    /// By kind, with where that stands.
    pub kinds: BTreeMap<String, (usize, tree::Place)>,
}

/// `[exec]`: which programs checks may run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Programs {
    /// Whether any.
    pub enabled: bool,
    /// The folders one of which they must lie in; none is anywhere.
    pub dirs: Vec<PathBuf>,
}

/// Who may call the routes that change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// For the log.
    pub name: String,
    /// SHA-256 of the token's text. Tokens are long and random, so that a slow hash adds nothing.
    pub sha256: [u8; 32],
    /// What it may do.
    pub role: Role,
}

/// What a token may do; each role may also do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read everything.
    View,
    /// Run checks.
    Operate,
    /// Reload the configuration.
    Admin,
}

impl Role {
    /// All, from least to most.
    pub const ALL: [Self; 3] = [Self::View, Self::Operate, Self::Admin];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}
