//! From trees to [`Config`]: fills in defaults, checks bounds, and finds what contradicts itself.
//!
//! | file | what |
//! | --- | --- |
//! | `sections.rs` | the tables besides checks |
//! | `check.rs`, `timing.rs` | checks and their defaults |
//! | `judgement.rs` | conditions, budgets, bounds |
//! | `group.rs`, `endpoint.rs` | groups, endpoints, and listeners |
//! | `share.rs` | shares, and other instances that have some |
//! | `module.rs` | modules for probes on demand |
//! | `maintenance.rs` | maintenance windows, and how many checks run at once |
//! | `grants.rs`, `limits.rs` | what a check's plugin may reach and use |
//! | `import.rs` | files of other tools |
//! | `fetch.rs` | plugins that are fetched, and registries |
//! | `sidecar.rs` | checks from the plugins folder |

mod check;
mod endpoint;
mod fetch;
mod grants;
mod group;
mod import;
mod judgement;
mod limits;
mod maintenance;
mod module;
mod sections;
mod share;
mod sidecar;
mod timing;

pub(crate) use grants::grants_of_test;
pub use judgement::part as conditions_of_part;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::maintenance::moment;

use self::check::plugin_named;
use self::group::Named;
pub use self::sections::token_hash;
use self::sidecar::Owner;
use self::timing::Defaults;
use super::keys;
use super::problem::{Problem, Problems};
use super::reader::Reader;
use super::tree::{self, Lookup, Place, References, Table, Text, Value};
use super::{Config, Kinds, Outline, Plugins, Runs, Server, SourceFile, Sources};
use crate::check::Origin;
use crate::endpoint::{EndpointSpec, ListenSpec};
use crate::grant::CheckPattern;
use crate::group::GroupSpec;
use crate::id::CheckName;
use crate::limits::HostLimits;
use crate::redact::Redactor;
use crate::share::Sharing;

/// The tables that stand in `wellcheck.toml` alone.
const MAIN_ONLY: &[&str] =
    &["server", "defaults", "plugins", "exec", "store", "listen", "agent", "runs"];

/// Reads what has to be known before the other files can be read. Reports nothing: [`load`] does.
pub fn outline(file: &SourceFile, lookup: &dyn Lookup) -> Outline {
    let root =
        tree::parse(file, lookup, References::All, &mut Vec::new(), &mut Problems::default());
    let plugins = root.entries.get("plugins").map(|entry| &entry.node.value);
    let dir = match plugins {
        Some(Value::Table(table)) => table.entries.get("dir").map(|entry| &entry.node.value),
        _ => None,
    };
    let plugins_dir = match dir {
        Some(Value::String(text)) => Some(text.value.clone()),
        _ => None,
    };
    Outline { plugins_dir, imports: import::named(&root) }
}

/// Reads the whole configuration. Returns it unless there is an error outside of the sidecars, and
/// all problems, by place.
pub fn load(
    sources: &Sources,
    lookup: &dyn Lookup,
    kinds: &mut dyn Kinds,
) -> (Option<Config>, Vec<Problem>) {
    let mut resolver = Resolver::new(lookup, kinds);
    let config = resolver.config(sources);
    let redactor = Redactor::new(resolver.hidden.iter().map(String::as_str));
    let mut problems = resolver.problems;
    problems.rewrite(|message| redactor.apply_to(message));
    let config = config.map(|config| Config { redactor, ..config });
    (config, problems.sorted())
}

struct Resolver<'a> {
    lookup: &'a dyn Lookup,
    kinds: &'a mut dyn Kinds,
    /// Everything that is never shown.
    hidden: Vec<String>,
    problems: Problems,
    /// Every check name, and where it was first given.
    names: BTreeMap<CheckName, Place>,
    /// Those of the sidecar that is being read.
    claimed: Vec<CheckName>,
    /// `[secrets]` of all files.
    secrets: BTreeMap<String, String>,
    /// Where each of them stands.
    secret_places: BTreeMap<String, Place>,
    /// The checks that grants name, for which a check must be there in the end.
    named_checks: Vec<NamedChecks>,
    /// The checks and groups that keys name.
    named: Vec<Named>,
    /// The listeners that endpoints name, each with what names it.
    named_listeners: Vec<(String, Text)>,
    /// Whether what is being read stands in a sidecar.
    in_sidecar: bool,
    /// `[plugins.limits]`.
    host: HostLimits,
}

/// A grant that names checks.
struct NamedChecks {
    place: Place,
    /// Whose it is, for messages.
    what: String,
    pattern: CheckPattern,
    /// Whether it stands in a sidecar.
    in_sidecar: bool,
}

impl<'a> Resolver<'a> {
    /// Nothing read yet.
    fn new(lookup: &'a dyn Lookup, kinds: &'a mut dyn Kinds) -> Self {
        Self {
            lookup,
            kinds,
            hidden: Vec::new(),
            problems: Problems::default(),
            names: BTreeMap::new(),
            claimed: Vec::new(),
            secrets: BTreeMap::new(),
            secret_places: BTreeMap::new(),
            named_checks: Vec::new(),
            named: Vec::new(),
            named_listeners: Vec::new(),
            in_sidecar: false,
            host: HostLimits::default(),
        }
    }
}

impl Resolver<'_> {
    fn parse(&mut self, file: &SourceFile, references: References<'_>) -> Table {
        tree::parse(file, self.lookup, references, &mut self.hidden, &mut self.problems)
    }

    /// The files' tables, with `[secrets]` taken in already: grants anywhere may name them.
    fn roots(&mut self, sources: &Sources) -> Vec<Reader> {
        let mut roots = Vec::new();
        for (index, file) in sources.main.iter().chain(&sources.included).enumerate() {
            let table = self.parse(file, References::All);
            let is_main = index == 0 && sources.main.is_some();
            let mut root = Reader::new(format!("`{}`", file.name), table, &[keys::ROOT]);
            for key in MAIN_ONLY.iter().filter(|_| !is_main) {
                if root.has(key) {
                    let place = root.place_of(key);
                    self.problems.error(
                        &place,
                        format!("`[{key}]` stands in `{}` (it belongs into `wellcheck.toml`; an included file holds `[secrets]`, and lists such as `[[check]]` and `[[group]]`)", file.name),
                    );
                    root.take(key);
                }
            }
            if let Some(table) = root.table("secrets", &mut self.problems) {
                self.secrets(table);
            }
            roots.push(root);
        }
        roots
    }

    fn config(&mut self, sources: &Sources) -> Option<Config> {
        let mut server = Server::default();
        let mut plugins = Plugins::default();
        let mut store = None;
        let mut defaults = Defaults::default();
        let mut tokens = Vec::new();
        let mut sharing = Sharing::default();
        let mut tables = Vec::new();
        let (mut group_tables, mut endpoint_tables, mut listen_tables) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut module_tables = Vec::new();
        let mut import_tables = Vec::new();
        let mut window_tables = Vec::new();
        let mut runs = Runs::default();
        let (mut plugin_tables, mut registry_tables) = (Vec::new(), Vec::new());
        for mut root in self.roots(sources) {
            if let Some(table) = root.table("server", &mut self.problems) {
                server = self.server(table);
            }
            if let Some(table) = root.table("store", &mut self.problems) {
                store = self.store(table);
            }
            if let Some(table) = root.table("plugins", &mut self.problems) {
                plugins = self.plugins(table);
                self.host = plugins.host.clone();
                defaults.limits = self.standard_limits();
            }
            if let Some(table) = root.table("exec", &mut self.problems) {
                self.exec(table);
            }
            if let Some(table) = root.table("defaults", &mut self.problems) {
                defaults = self.defaults(table);
            }
            for table in root.tables("token", &mut self.problems) {
                tokens.extend(self.token(table));
            }
            tables.extend(root.tables("check", &mut self.problems));
            group_tables.extend(root.tables("group", &mut self.problems));
            endpoint_tables.extend(root.tables("endpoint", &mut self.problems));
            listen_tables.extend(root.tables("listen", &mut self.problems));
            self.sharing(&mut root, &mut sharing);
            module_tables.extend(root.tables("module", &mut self.problems));
            import_tables.extend(root.tables("import", &mut self.problems));
            window_tables.extend(root.tables("maintenance", &mut self.problems));
            if let Some(table) = root.table("runs", &mut self.problems) {
                runs = self.runs(table);
            }
            plugin_tables.extend(root.tables("plugin", &mut self.problems));
            registry_tables.extend(root.tables("registry", &mut self.problems));
            root.finish(&[], &mut self.problems);
        }
        for mut root in self.imports(import_tables, sources) {
            let imported = root.tables("check", &mut self.problems);
            self.runs_nothing(&imported);
            tables.extend(imported);
            group_tables.extend(root.tables("group", &mut self.problems));
            root.finish(&[], &mut self.problems);
        }
        self.distinct_tokens(&tokens);
        self.distinct_shares(&sharing);
        let fetched = self.fetched(plugin_tables);
        let registries = self.registries(registry_tables);

        let mut checks = Vec::new();
        let mut named = BTreeSet::new();
        for table in tables {
            named.extend(plugin_named(&table));
            checks.extend(self.check(table, &defaults, Owner::Configuration));
        }
        named.extend(module_tables.iter().filter_map(plugin_named));
        let modules = self.modules(module_tables, &defaults);
        let windows = self.windows(window_tables);
        let mut groups: Vec<GroupSpec> =
            group_tables.into_iter().filter_map(|table| self.group(table)).collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        let endpoints: Vec<EndpointSpec> =
            endpoint_tables.into_iter().filter_map(|table| self.endpoint(table)).collect();
        let listeners: Vec<ListenSpec> =
            listen_tables.into_iter().filter_map(|table| self.listener(table)).collect();
        self.distinct_endpoints(&endpoints, &listeners);

        // What sidecars have wrong refuses nothing, so that it is set aside.
        let own = std::mem::take(&mut self.problems);
        for (plugin, file) in &sources.sidecars {
            named.insert(plugin.clone());
            checks.extend(self.sidecar(plugin, file, &defaults, &plugins.sidecar_grants));
        }
        self.in_both(&fetched, &sources.plugins);
        let there: BTreeSet<_> =
            sources.plugins.iter().chain(fetched.iter().map(|spec| &spec.name)).collect();
        for plugin in there.into_iter().filter(|plugin| !named.contains(*plugin)) {
            checks.extend(self.plain(plugin, &defaults, Origin::Dropped));
        }
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        self.find_named_checks(&checks);
        let of_folder = std::mem::replace(&mut self.problems, own);
        self.find_named(&checks, &groups);
        self.circles(&groups);
        // Within a circle of groups there is no telling.
        if !self.problems.has_errors() {
            self.never_run(&mut checks, &groups);
        }
        let refused = self.problems.has_errors();
        self.problems.append(of_folder);
        (!refused).then_some(Config {
            server,
            plugins,
            tokens: tokens.into_iter().map(|(t, _)| t).collect(),
            checks,
            groups,
            endpoints,
            listeners,
            sharing,
            modules,
            windows,
            runs,
            secrets: Arc::new(std::mem::take(&mut self.secrets)),
            store,
            fetched,
            registries,
            redactor: Redactor::default(),
        })
    }
}

#[cfg(test)]
mod tests;
