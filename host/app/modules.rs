//! The modules of the configuration, ready to probe: what a request names becomes a checker.
//!
//! A checker is made for a module and a target, and kept for a while: scrapers ask for the same
//! again and again, and regular expressions and certificates need not be read each time. What is
//! kept is bounded, and forgotten when the configuration or a plugin changes.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use url::Url;
use wellcheck_core::check::What;
use wellcheck_core::config::tree::{Entry, Node, Table, Text, Value};
use wellcheck_core::config::{Config, Problems};
use wellcheck_core::grant::Targets;
use wellcheck_core::module::ModuleSpec;
use wellcheck_core::outcome::{Fault, FaultReason};
use wellcheck_net::{Guard, Judge};

use crate::checks::plugin::{Given, PluginChecker, Supplier};
use crate::checks::{self, Checker, Tools};
use crate::keeper::{Live, LoadedPlugins};
use crate::plugins::Loaded;
use crate::registry::absent;

/// Most checkers that are kept.
const KEPT: usize = 256;

/// See the module; cheap to clone.
#[derive(Clone)]
pub(crate) struct Modules(Arc<Inner>);

struct Inner {
    tools: Tools,
    live: Live,
    loaded: LoadedPlugins,
    supplier: Supplier,
    kept: Mutex<Kept>,
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Modules(..)")
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// The module's name.
    pub(crate) module: String,
    pub(crate) target: String,
    /// The host to ask for, if not the target's.
    pub(crate) hostname: Option<String>,
}

/// Why there is no checker for a target.
pub(crate) enum Unfit {
    /// The module does not probe it.
    Refused(String),
    /// It cannot be probed: the target makes no sense to the kind, or a plugin is not there.
    Fault(Fault),
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The checkers that were made last, with what they were made from.
#[derive(Default)]
struct Kept {
    from: Option<(Arc<Config>, Arc<crate::keeper::LoadedMap>)>,
    checkers: HashMap<Wanted, (Arc<dyn Checker>, u64)>,
    /// Counts uses, so that the one that was not used for longest is known.
    uses: u64,
}

impl Kept {
    fn of(&mut self, config: &Arc<Config>, loaded: &Arc<crate::keeper::LoadedMap>) -> &mut Self {
        let same = self
            .from
            .as_ref()
            .is_some_and(|(own, plugins)| Arc::ptr_eq(own, config) && Arc::ptr_eq(plugins, loaded));
        if !same {
            let from = Some((Arc::clone(config), Arc::clone(loaded)));
            *self = Self { from, ..Self::default() };
        }
        self
    }

    fn find(&mut self, wanted: &Wanted) -> Option<Arc<dyn Checker>> {
        self.uses += 1;
        let (checker, used) = self.checkers.get_mut(wanted)?;
        *used = self.uses;
        Some(Arc::clone(checker))
    }

    fn keep(&mut self, wanted: &Wanted, checker: &Arc<dyn Checker>) {
        if self.checkers.len() >= KEPT {
            let oldest = self.checkers.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(wanted, _)| wanted.clone()) {
                self.checkers.remove(&oldest);
            }
        }
        self.checkers.insert(wanted.clone(), (Arc::clone(checker), self.uses));
    }
}

/// Lets connections go only where a module's targets are.
struct Allowed(Targets);

impl Judge for Allowed {
    fn name(&self, host: &str, port: u16) -> Result<(), String> {
        self.0.name(host, port).map_err(|refusal| refusal.to_string())
    }

    fn address(&self, host: &str, address: SocketAddr) -> Result<(), String> {
        self.0.address(host, address).map_err(|refusal| refusal.to_string())
    }

    fn unresolved(&self, host: &str, port: u16) -> Result<(), String> {
        self.0.unresolved(host, port).map_err(|refusal| refusal.to_string())
    }
}

impl Modules {
    /// The modules of the configuration that runs, with the plugins that are loaded.
    pub(crate) fn new(tools: Tools, live: Live, loaded: LoadedPlugins, supplier: Supplier) -> Self {
        Self(Arc::new(Inner { tools, live, loaded, supplier, kept: Mutex::default() }))
    }

    /// The configuration that runs.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.0.live.load_full()
    }

    /// What looks at the target of `wanted`, by its module. Reads files and compiles, so that it may
    /// take a while the first time.
    ///
    /// # Errors
    /// When there is nothing that could look at it.
    pub(crate) fn checker(
        &self,
        config: &Arc<Config>,
        module: &ModuleSpec,
        wanted: &Wanted,
    ) -> Result<Arc<dyn Checker>, Unfit> {
        let loaded = self.0.loaded.load_full();
        let kept = || self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checker) = kept().of(config, &loaded).find(wanted) {
            return Ok(checker);
        }
        let checker: Arc<dyn Checker> = match &module.what {
            What::Builtin { kind, settings } => {
                self.builtin(module, kind, settings.clone(), wanted)?
            }
            What::Plugin { plugin, settings, grants, limits } => {
                plugin_may(module, &wanted.target)?;
                let running: &Loaded = match loaded.get(plugin) {
                    Some(Ok(running)) => running,
                    Some(Err(held)) => return Err(Fault::new(held.reason, &*held.message).into()),
                    None => {
                        let held = absent(plugin, None);
                        return Err(Fault::new(held.reason, held.message).into());
                    }
                };
                let mut settings = settings.clone();
                if let Some(object) = settings.as_object_mut() {
                    object.insert(module.target_setting.clone(), wanted.target.clone().into());
                }
                let given = Given::new(&settings, grants, limits, config);
                let checker = PluginChecker::new(running, &given, &self.0.supplier);
                let misfit = |problems: Vec<String>| {
                    let message = format!(
                        "the settings do not fit plugin `{plugin}`: {}",
                        problems.join("; ")
                    );
                    Fault::new(FaultReason::BadSettings, message)
                };
                Arc::new(checker.map_err(misfit)?)
            }
        };
        kept().of(config, &loaded).keep(wanted, &checker);
        Ok(checker)
    }

    fn builtin(
        &self,
        module: &ModuleSpec,
        kind: &Text,
        mut settings: Table,
        wanted: &Wanted,
    ) -> Result<Arc<dyn Checker>, Fault> {
        let target = match kind.value.as_str() {
            "http" if !has_scheme(&wanted.target) => format!("http://{}", wanted.target),
            _ => wanted.target.clone(),
        };
        if let Some(hostname) = &wanted.hostname {
            if kind.value == "http" {
                set_host(&mut settings, hostname);
            }
            let over_tls =
                kind.value != "http" || target.to_ascii_lowercase().starts_with("https:");
            if over_tls && checks::has_key(kind, SERVER_NAME) {
                // A port belongs to the header alone.
                let name = match hostname.rsplit_once(':') {
                    Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
                    _ => hostname,
                };
                settings
                    .entries
                    .entry(SERVER_NAME.to_owned())
                    .or_insert_with(|| entry(module, name.to_owned()));
            }
        }
        let tools = self.0.tools.guarded(Guard::by(Allowed(module.targets.clone())));
        let mut problems = Problems::default();
        let what = format!("module `{}`", module.name);
        let target = text(module, target);
        let checker = {
            let asked = module.judgement.asked();
            checks::parse_module(&what, kind, settings, Some(target), &asked, &tools, &mut problems)
        };
        checker.ok_or_else(|| {
            let list: Vec<String> =
                problems.sorted().into_iter().map(|problem| problem.message).collect();
            Fault::new(FaultReason::BadSettings, list.join("; "))
        })
    }
}

/// The key for the name that a server is asked for over TLS.
const SERVER_NAME: &str = "tls-server-name";

fn has_scheme(target: &str) -> bool {
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

fn text(module: &ModuleSpec, value: String) -> Text {
    Text { value, written: None, place: module.place.clone() }
}

fn entry(module: &ModuleSpec, value: String) -> Entry {
    let place = module.place.clone();
    let value = Value::String(text(module, value));
    Entry { key: place.clone(), node: Node { value, place } }
}

/// The header `Host` that a module sends, if it says so.
pub(crate) fn own_host(module: &ModuleSpec) -> Option<&str> {
    let What::Builtin { settings, .. } = &module.what else { return None };
    let Value::Table(headers) = &settings.entries.get("headers")?.node.value else { return None };
    let mut headers = headers.entries.iter();
    let (_, host) = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    match &host.node.value {
        Value::String(text) => Some(&text.value),
        _ => None,
    }
}

fn set_host(settings: &mut Table, hostname: &str) {
    let place = settings.place.clone();
    let headers = settings.entries.entry("headers".to_owned()).or_insert_with(|| {
        let table = Table { entries: Default::default(), place: place.clone() };
        Entry {
            key: place.clone(),
            node: Node { value: Value::Table(table), place: place.clone() },
        }
    });
    if let Value::Table(headers) = &mut headers.node.value {
        headers.entries.retain(|name, _| !name.eq_ignore_ascii_case("host"));
        let host = Text { value: hostname.to_owned(), written: None, place: place.clone() };
        let node = Node { value: Value::String(host), place: place.clone() };
        headers.entries.insert("Host".to_owned(), Entry { key: place, node });
    }
}

/// Where its target lies decides a plugin; what it may reach, its grants say. With a list of targets,
/// only what that names as it stands is handed over.
fn plugin_may(module: &ModuleSpec, target: &str) -> Result<(), Unfit> {
    if module.targets.0.is_empty() {
        return Ok(());
    }
    let url = match target.contains("://") {
        true => Url::parse(target),
        false => Url::parse(&format!("target://{target}")),
    };
    let host = url.as_ref().ok().and_then(|url| {
        Some((url.host_str()?.to_owned(), url.port_or_known_default().unwrap_or(0)))
    });
    let (host, port) = host.unwrap_or_else(|| (target.to_owned(), 0));
    module.targets.unresolved(&host, port).map_err(|refusal| Unfit::Refused(refusal.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_scheme_is_noticed() {
        for with in ["http://a", "HTTPS://a", "https://"] {
            assert!(has_scheme(with), "{with}");
        }
        for without in ["", "a:80", "httpx://a", "ftp://a", "http:/a", "ä://http://"] {
            assert!(!has_scheme(without), "{without}");
        }
    }
}
