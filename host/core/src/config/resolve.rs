//! From trees to [`Config`]: fills in defaults, checks bounds, and finds what contradicts itself.
//!
//! A sidecar can be dropped by somebody who may not touch `wellcheck.toml`. So its problems never
//! refuse the configuration: its check exists, does not run, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::keys;
use super::problem::{Problem, Problems};
use super::reader::Reader;
use super::tree::{self, Lookup, Place, Table, Text, Value};
use super::{Config, Kinds, Outline, Plugins, Role, Server, SourceFile, Sources, Token};
use crate::check::{CheckSpec, Origin, Thresholds, Timing, What};
use crate::grant::{Grants, HttpGrant};
use crate::id::{CheckName, PluginName};
use crate::redact::Redactor;
use crate::status::Status;

const DAY: Duration = Duration::from_hours(24);
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_hours(7 * 24);
const MAX_TITLE: usize = 200;

/// Reads what has to be known before the other files can be read. Reports nothing: [`load`] does.
pub fn outline(main: &SourceFile, lookup: &dyn Lookup) -> Outline {
    let root = tree::parse(main, lookup, &mut Vec::new(), &mut Problems::default());
    let plugins = root.entries.get("plugins").map(|entry| &entry.node.value);
    let dir = match plugins {
        Some(Value::Table(table)) => table.entries.get("dir").map(|entry| &entry.node.value),
        _ => None,
    };
    match dir {
        Some(Value::String(text)) => Outline { plugins_dir: Some(text.value.clone()) },
        _ => Outline::default(),
    }
}

/// Reads the whole configuration. Returns it unless there is an error outside of the sidecars, and
/// all problems, by place.
pub fn load(
    sources: &Sources,
    lookup: &dyn Lookup,
    kinds: &mut dyn Kinds,
) -> (Option<Config>, Vec<Problem>) {
    let mut resolver = Resolver {
        lookup,
        kinds,
        secrets: Vec::new(),
        problems: Problems::default(),
        names: BTreeMap::new(),
    };
    let config = resolver.config(sources);
    let redactor = Redactor::new(resolver.secrets.iter().map(String::as_str));
    let mut problems = resolver.problems;
    problems.rewrite(|message| redactor.apply_to(message));
    let config = config.map(|config| Config { redactor, ..config });
    (config, problems.sorted())
}

struct Resolver<'a> {
    lookup: &'a dyn Lookup,
    kinds: &'a mut dyn Kinds,
    secrets: Vec<String>,
    problems: Problems,
    /// Every check name, and where it was first given.
    names: BTreeMap<CheckName, Place>,
}

/// `[defaults]`.
#[derive(Debug, Clone, Default)]
struct Defaults {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    jitter: Option<Duration>,
    failure: Option<u32>,
    success: Option<u32>,
    on_fault: Option<Status>,
}

impl Defaults {
    /// What `self` says, and where it says nothing, what `defaults` say.
    fn over(self, defaults: &Self) -> Self {
        Self {
            interval: self.interval.or(defaults.interval),
            timeout: self.timeout.or(defaults.timeout),
            jitter: self.jitter.or(defaults.jitter),
            failure: self.failure.or(defaults.failure),
            success: self.success.or(defaults.success),
            on_fault: self.on_fault.or(defaults.on_fault),
        }
    }

    fn thresholds(&self) -> Thresholds {
        let standard = Thresholds::default();
        Thresholds {
            failure: self.failure.unwrap_or(standard.failure),
            success: self.success.unwrap_or(standard.success),
        }
    }
}

impl Resolver<'_> {
    fn parse(&mut self, file: &SourceFile) -> Table {
        tree::parse(file, self.lookup, &mut self.secrets, &mut self.problems)
    }

    fn config(&mut self, sources: &Sources) -> Option<Config> {
        let mut server = Server::default();
        let mut plugins = Plugins::default();
        let mut defaults = Defaults::default();
        let mut tokens = Vec::new();
        let mut tables = Vec::new();
        for (index, file) in sources.main.iter().chain(&sources.included).enumerate() {
            let table = self.parse(file);
            let is_main = index == 0 && sources.main.is_some();
            let mut root = Reader::new(format!("`{}`", file.name), table, &[keys::ROOT]);
            for key in ["server", "defaults", "plugins"] {
                if !is_main && root.has(key) {
                    let place = root.place_of(key);
                    self.problems.error(
                        &place,
                        format!("`[{key}]` stands in `{}` (it belongs into `wellcheck.toml`; an included file holds `[[check]]` and `[[token]]`)", file.name),
                    );
                    root.take(key);
                }
            }
            if let Some(table) = root.table("server", &mut self.problems) {
                server = self.server(table);
            }
            if let Some(table) = root.table("plugins", &mut self.problems) {
                plugins = self.plugins(table);
            }
            if let Some(table) = root.table("defaults", &mut self.problems) {
                let mut reader = Reader::new("`[defaults]`", table, &[keys::TIMING]);
                defaults = self.timing_keys(&mut reader);
                self.timing(&defaults, &Defaults::default(), &reader);
                reader.finish(&[], &mut self.problems);
            }
            for table in root.tables("token", &mut self.problems) {
                tokens.extend(self.token(table));
            }
            tables.extend(root.tables("check", &mut self.problems));
            root.finish(&[], &mut self.problems);
        }
        self.distinct_tokens(&tokens);

        let mut checks = Vec::new();
        let mut named = BTreeSet::new();
        for table in tables {
            named.extend(plugin_named(&table));
            checks.extend(self.check(table, &defaults, Owner::Configuration));
        }
        let refused = self.problems.has_errors();

        for (plugin, file) in &sources.sidecars {
            named.insert(plugin.clone());
            checks.extend(self.sidecar(plugin, file, &defaults, &plugins.sidecar_grants));
        }
        for plugin in sources.plugins.iter().filter(|plugin| !named.contains(*plugin)) {
            checks.extend(self.plain(plugin, &defaults, Origin::Dropped));
        }
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        let redactor = Redactor::default();
        (!refused).then_some(Config {
            server,
            plugins,
            tokens: tokens.into_iter().map(|(t, _)| t).collect(),
            checks,
            redactor,
        })
    }

    fn server(&mut self, table: Table) -> Server {
        let standard = Server::default();
        let problems = &mut self.problems;
        let mut reader = Reader::new("`[server]`", table, &[keys::SERVER]);
        let server = Server {
            listen: reader
                .parsed("listen", problems, |text| {
                    text.value.parse().map_err(|_| {
                        format!(
                            "`{}` is no address with a port (expected for example `127.0.0.1:8080` or `[::]:8080`)",
                            text.shown()
                        )
                    })
                })
                .unwrap_or(standard.listen),
            drain: reader
                .duration("drain", Duration::ZERO..=Duration::from_mins(5), problems)
                .unwrap_or(standard.drain),
            max_connections: reader
                .integer("max-connections", 1..=100_000, problems)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(standard.max_connections),
        };
        reader.finish(&[], problems);
        server
    }

    fn plugins(&mut self, table: Table) -> Plugins {
        let mut reader = Reader::new("`[plugins]`", table, &[keys::PLUGINS]);
        // Its value has been read by `outline`.
        reader.text("dir", &mut self.problems);
        let plugins = Plugins {
            cache: reader.text("cache", &mut self.problems).map(|text| PathBuf::from(text.value)),
            sidecar_grants: reader
                .table("sidecar-grants", &mut self.problems)
                .map(|table| self.grants("`sidecar-grants`", table))
                .unwrap_or_default(),
        };
        reader.finish(&[], &mut self.problems);
        plugins
    }

    fn token(&mut self, table: Table) -> Option<(Token, Place)> {
        let place = table.place.clone();
        let problems = &mut self.problems;
        let mut reader = Reader::new("`[[token]]`", table, &[keys::TOKEN]);
        for key in ["name", "hash", "role"] {
            if !reader.has(key) {
                reader.missing(key, problems);
            }
        }
        let name = reader.text("name", problems).map(|text| text.value);
        let sha256 = reader.parsed("hash", problems, |text| {
            text.value.strip_prefix("sha256:").and_then(hex_32).ok_or_else(|| {
                // What stands here may be the token itself.
                "this is no hash (expected `sha256:` and 64 hexadecimal digits; `wellcheck token` makes one)".to_owned()
            })
        });
        let role = reader.word("role", &Role::ALL.map(|role| (role.as_str(), role)), problems);
        reader.finish(&[], problems);
        Some((Token { name: name?, sha256: sha256?, role: role? }, place))
    }

    fn distinct_tokens(&mut self, tokens: &[(Token, Place)]) {
        let mut seen: BTreeMap<[u8; 32], &Token> = BTreeMap::new();
        for (token, place) in tokens {
            if let Some(first) = seen.insert(token.sha256, token) {
                let names = format!("tokens `{}` and `{}`", first.name, token.name);
                self.problems.error(place, format!("{names} have the same hash"));
            }
        }
    }

    fn timing_keys(&mut self, reader: &mut Reader) -> Defaults {
        let problems = &mut self.problems;
        let mut threshold = |key, problems: &mut Problems| {
            reader.integer(key, 1..=100, problems).and_then(|n| u32::try_from(n).ok())
        };
        let failure = threshold("failure-threshold", problems);
        let success = threshold("success-threshold", problems);
        let faults = [("unknown", Status::Unknown), ("fail", Status::Fail)];
        let on_fault = reader.word("on-fault", &faults, problems);
        let interval = reader.duration("interval", MIN_INTERVAL..=MAX_INTERVAL, problems);
        let timeout = reader.duration("timeout", Duration::from_millis(1)..=DAY, problems);
        let jitter = reader.duration("jitter", Duration::ZERO..=MAX_INTERVAL / 2, problems);
        Defaults { interval, timeout, jitter, failure, success, on_fault }
    }

    /// Puts a check's own timing over the defaults. What the check itself says must fit together;
    /// a default gives way.
    fn timing(&mut self, own: &Defaults, defaults: &Defaults, reader: &Reader) -> Timing {
        let standard = Timing::default();
        let interval = own.interval.or(defaults.interval).unwrap_or(standard.interval);
        let timeout = own.timeout.or(defaults.timeout).unwrap_or(standard.timeout);
        let jitter = own.jitter.or(defaults.jitter).unwrap_or(standard.jitter);
        let shown = crate::units::show_duration;
        if own.timeout.is_some_and(|own| own > interval) {
            self.problems.error(
                &reader.place_of("timeout"),
                format!(
                    "`timeout` of {} is {}, longer than its interval of {} (a run must end before the next one)",
                    reader.what(), shown(timeout), shown(interval)
                ),
            );
        }
        if own.jitter.is_some_and(|own| own > interval / 2) {
            self.problems.error(
                &reader.place_of("jitter"),
                format!(
                    "`jitter` of {} is {}, more than half of its interval of {}",
                    reader.what(),
                    shown(jitter),
                    shown(interval)
                ),
            );
        }
        Timing { interval, timeout: timeout.min(interval), jitter: jitter.min(interval / 2) }
    }

    fn grants(&mut self, what: &str, table: Table) -> Grants {
        let mut reader = Reader::new(what, table, &[keys::GRANTS]);
        let mut http = Vec::new();
        for text in reader.texts("http", &mut self.problems) {
            match HttpGrant::parse(&text.value) {
                Ok(grant) => http.push(grant),
                Err(error) => self.problems.error(&text.place, error.to_string()),
            }
        }
        reader.finish(&[], &mut self.problems);
        Grants { http }
    }

    /// Claims a name. Two checks of one name are a problem of the second.
    fn claim(&mut self, name: &CheckName, place: &Place) -> bool {
        if let Some(first) = self.names.get(name) {
            let message =
                format!("a second check is called `{name}` (the first stands at {first})");
            self.problems.error(place, message);
            return false;
        }
        self.names.insert(name.clone(), place.clone());
        true
    }

    fn check(&mut self, table: Table, defaults: &Defaults, owner: Owner<'_>) -> Option<CheckSpec> {
        let place = table.place.clone();
        let what = match table.entries.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => format!("check `{}`", name.shown().escape_debug()),
            _ => owner
                .plugin()
                .map_or("this check".to_owned(), |p| format!("the check of plugin `{p}`")),
        };
        let mut reader = Reader::new(what, table, &[keys::CHECK, keys::TIMING]);
        let named = reader.has("name");
        let name_place = reader.place_of("name");
        let mut name = reader.parsed("name", &mut self.problems, |t| {
            CheckName::new(&t.value).map_err(|e| e.to_string())
        });
        if !named {
            match owner.plugin() {
                None => reader.missing("name", &mut self.problems),
                Some(plugin) => match CheckName::new(plugin.as_str()) {
                    Ok(own) => name = Some(own),
                    Err(error) => self.problems.error(&place, error.to_string()),
                },
            }
        }
        let title = reader.parsed("title", &mut self.problems, |text| {
            let shown = &text.value;
            if shown.len() > MAX_TITLE || shown.chars().any(char::is_control) {
                return Err(format!(
                    "expected at most {MAX_TITLE} bytes without control characters"
                ));
            }
            Ok(shown.clone())
        });
        let enabled = reader.boolean("enabled", &mut self.problems).unwrap_or(true);
        let tags = reader.texts("tags", &mut self.problems).into_iter().map(|t| t.value).collect();
        let own = self.timing_keys(&mut reader);
        let timing = self.timing(&own, defaults, &reader);
        let own = own.over(defaults);
        let shown = reader.what().to_owned();
        let what = self.what(reader, owner);
        if let (true, Some(What::Builtin { kind, settings })) = (enabled, &what) {
            self.kinds.read(&shown, name.as_ref(), kind, settings, &mut self.problems);
        }
        let name = name?;
        let first = self.claim(&name, &name_place);
        if !enabled || !first {
            return None;
        }
        Some(CheckSpec {
            name,
            title,
            tags,
            timing,
            thresholds: own.thresholds(),
            on_fault: own.on_fault.unwrap_or_default(),
            what: what?,
            origin: owner.origin(),
            refused: None,
            place,
        })
    }

    fn what(&mut self, mut reader: Reader, owner: Owner<'_>) -> Option<What> {
        let kind_place = reader.place_of("kind");
        let plugin_place = reader.place_of("plugin");
        let kind = reader.text("kind", &mut self.problems);
        let has_plugin = reader.has("plugin");
        let mut plugin = reader.parsed("plugin", &mut self.problems, |text| {
            PluginName::new(&text.value).map_err(|e| e.to_string())
        });
        let is_plugin = |kind: &Text| kind.value == "plugin";
        if let Some(own) = owner.plugin() {
            if kind.as_ref().is_some_and(|kind| !is_plugin(kind)) {
                self.problems.error(
                    &kind_place,
                    format!("{} has a `kind` (a sidecar configures its own plugin)", reader.what()),
                );
            }
            if plugin.as_ref().is_some_and(|named| named != own) {
                self.problems.error(
                    &plugin_place,
                    format!(
                        "{} names another plugin (this is the sidecar of `{own}`)",
                        reader.what()
                    ),
                );
            }
            plugin = Some(own.clone());
        } else if let Some(kind) = kind {
            if !is_plugin(&kind) {
                if has_plugin {
                    self.problems.error(
                        &plugin_place,
                        format!(
                            "{} has both `kind = \"{}\"` and `plugin` (expected one of them)",
                            reader.what(),
                            kind.shown()
                        ),
                    );
                    return None;
                }
                for key in ["settings", "grants"] {
                    if reader.has(key) {
                        let place = reader.place_of(key);
                        self.problems.error(
                            &place,
                            format!("{} has `{key}`, which are for plugins (the keys of kind `{}` stand beside `kind`)", reader.what(), kind.shown()),
                        );
                        reader.take(key);
                    }
                }
                return Some(What::Builtin { kind, settings: reader.rest() });
            }
            if !has_plugin {
                reader.missing("plugin", &mut self.problems);
            }
        } else if !has_plugin {
            self.problems.error(
                reader.place(),
                format!(
                    "{} has neither `kind` nor `plugin` (for example: kind = \"http\")",
                    reader.what()
                ),
            );
            // What else stands there may belong to the kind that is missing.
            return None;
        }
        let settings = reader
            .table("settings", &mut self.problems)
            .map_or_else(|| serde_json::json!({}), |table| table.to_json());
        let what = reader.what().to_owned();
        let grants_place = reader.place_of("grants");
        let mut grants = reader
            .table("grants", &mut self.problems)
            .map(|table| self.grants(&format!("`grants` of {what}"), table))
            .unwrap_or_default();
        if let Owner::Sidecar { allowed, .. } = owner {
            for grant in
                grants.http.extract_if(.., |grant| !allowed.http.iter().any(|a| a.includes(grant)))
            {
                self.problems.error(
                    &grants_place,
                    format!("{what} grants itself `{grant}` (a sidecar's grants count only within `[plugins] sidecar-grants` of `wellcheck.toml`; or move the check there)"),
                );
            }
        }
        reader.finish(&[], &mut self.problems);
        Some(What::Plugin { plugin: plugin?, settings, grants })
    }

    /// The checks of `plugins/NAME.toml`. With a problem in it there is one check, which does not run.
    fn sidecar(
        &mut self,
        plugin: &PluginName,
        file: &SourceFile,
        defaults: &Defaults,
        allowed: &Grants,
    ) -> Vec<CheckSpec> {
        let outer = std::mem::take(&mut self.problems);
        let names = self.names.clone();
        let mut table = self.parse(file);
        let owner = Owner::Sidecar { plugin, allowed };
        let several = table.entries.len() == 1 && table.entries.contains_key("check");
        let tables = match table.entries.remove("check") {
            Some(entry) if several => {
                let entries = [("check".to_owned(), entry)].into();
                let table = Table { entries, place: table.place.clone() };
                Reader::new("this file", table, &[keys::ROOT]).tables("check", &mut self.problems)
            }
            Some(entry) => {
                self.problems.error(&entry.key, "`[[check]]` stands beside other keys (a sidecar holds either the keys of one check, or a list of checks)");
                Vec::new()
            }
            None => vec![table],
        };
        let mut checks: Vec<CheckSpec> =
            tables.into_iter().filter_map(|table| self.check(table, defaults, owner)).collect();
        let found = std::mem::replace(&mut self.problems, outer);
        if found.has_errors() {
            self.names = names;
            checks = self.plain(plugin, defaults, Origin::Sidecar).into_iter().collect();
            for check in &mut checks {
                check.refused = Some(format!("its sidecar `{}` has problems", file.name));
            }
        }
        self.problems.append(found);
        checks
    }

    /// A check that runs `plugin` with every default.
    fn plain(
        &mut self,
        plugin: &PluginName,
        defaults: &Defaults,
        origin: Origin,
    ) -> Option<CheckSpec> {
        let place = Place::file(format!("{plugin}.wasm"));
        let name = match CheckName::new(plugin.as_str()) {
            Ok(name) => name,
            Err(error) => {
                self.problems.warning(&place, format!("plugin `{plugin}` is no check by itself: {error} (name a check that uses it)"));
                return None;
            }
        };
        if let Some(first) = self.names.get(&name) {
            let message = format!(
                "plugin `{plugin}` is no check by itself, since another check has its name (at {first}); name a check that uses it"
            );
            self.problems.warning(&place, message);
            return None;
        }
        self.names.insert(name.clone(), place.clone());
        let table = Table { entries: BTreeMap::new(), place: place.clone() };
        let reader = Reader::new(String::new(), table, &[]);
        Some(CheckSpec {
            name,
            title: None,
            tags: Vec::new(),
            timing: self.timing(&Defaults::default(), defaults, &reader),
            thresholds: defaults.thresholds(),
            on_fault: defaults.on_fault.unwrap_or_default(),
            what: What::Plugin {
                plugin: plugin.clone(),
                settings: serde_json::json!({}),
                grants: Grants::default(),
            },
            origin,
            place,
            refused: None,
        })
    }
}

/// Who wrote a check.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Configuration,
    Sidecar { plugin: &'a PluginName, allowed: &'a Grants },
}

impl Owner<'_> {
    fn plugin(&self) -> Option<&PluginName> {
        match self {
            Self::Configuration => None,
            Self::Sidecar { plugin, .. } => Some(plugin),
        }
    }

    fn origin(self) -> Origin {
        match self {
            Self::Configuration => Origin::Configured,
            Self::Sidecar { .. } => Origin::Sidecar,
        }
    }
}

/// The plugin that a check's table names, whether or not the rest of it is sound.
fn plugin_named(table: &Table) -> Option<PluginName> {
    match &table.entries.get("plugin")?.node.value {
        Value::String(text) => PluginName::new(&text.value).ok(),
        _ => None,
    }
}

fn hex_32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
