//! `[[module]]`: how `GET /probe` looks at a target that the request names.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Resolver;
use super::sidecar::Owner;
use super::timing::Defaults;
use crate::check::What;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node, Place, Table, Text, Value};
use crate::grant::{TargetPattern, Targets};
use crate::module::{self, DEFAULT_MODULE, DEFAULT_TARGET_SETTING, DEFAULT_TIMEOUT, ModuleSpec};
use crate::redact::REDACTED;

/// Most modules: a probe looks for its own among them.
const MAX_MODULES: usize = 1_000;

/// Longest that a probe may be given.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// Tables and texts of which only the names are shown.
const HIDDEN: &[&str] = &[
    "settings",
    "headers",
    "body",
    "send",
    "script",
    "metadata",
    "password",
    "basic-auth",
    "client-certificate",
    "client-key",
];

/// What a module asks a target with, whatever stands in it.
const ASKING: &[&str] =
    &["headers", "body", "send", "script", "metadata", "password", "basic-auth"];

/// Keys of a grant whose values the host adds to requests.
const ATTACHED: &[&str] = &["headers", "basic-auth", "client-certificate", "client-key"];

/// Keys whose values no target is told.
const UNTOLD: &[&str] = &[
    "name",
    "kind",
    "plugin",
    "target-setting",
    "limits",
    "timeout",
    "targets",
    "tls-ca",
    "warn",
    "fail",
    "bounds",
    "latency-warn",
    "latency-fail",
];

impl Resolver<'_> {
    /// All modules, by name, with the standard one.
    pub(super) fn modules(&mut self, tables: Vec<Table>, defaults: &Defaults) -> Vec<ModuleSpec> {
        if let Some(extra) = tables.get(MAX_MODULES) {
            let message = format!("there are more than {MAX_MODULES} modules");
            self.problems.error(&extra.place, message);
        }
        let mut names: BTreeMap<String, Place> = BTreeMap::new();
        let mut modules = Vec::new();
        for table in tables.into_iter().take(MAX_MODULES) {
            modules.extend(self.module(table, defaults, &mut names));
        }
        if !names.contains_key(DEFAULT_MODULE) {
            modules.push(ModuleSpec::standard());
        }
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        modules
    }

    fn module(
        &mut self,
        table: Table,
        defaults: &Defaults,
        names: &mut BTreeMap<String, Place>,
    ) -> Option<ModuleSpec> {
        let place = table.place.clone();
        let shown = shown(&table);
        let what = match table.entries.get("name").map(|entry| &entry.node.value) {
            Some(Value::String(name)) => format!("module `{}`", name.shown().escape_debug()),
            _ => "this module".to_owned(),
        };
        if !table.entries.contains_key("targets") {
            self.tells_nobody(&what, &table);
        }
        let mut reader = Reader::new(what, table, &[keys::MODULE, keys::JUDGEMENT]);
        if !reader.has("name") {
            reader.missing("name", &mut self.problems);
        }
        let name_place = reader.place_of("name");
        let name = reader.parsed("name", &mut self.problems, |text| module::name(&text.value));
        let timeout = reader
            .duration("timeout", Duration::from_millis(1)..=MAX_TIMEOUT, &mut self.problems)
            .unwrap_or(DEFAULT_TIMEOUT);
        let targets = self.targets(&mut reader);
        let setting_place = reader.place_of("target-setting");
        let setting =
            reader.parsed("target-setting", &mut self.problems, |text| match text.value.as_str() {
                "" => Err("expected the name of a setting".to_owned()),
                name => Ok(name.to_owned()),
            });
        let shown_name = reader.what().to_owned();
        let grants_place = reader.place_of("grants");
        let settings_place = reader.place_of("settings");
        let facts = self.facts_of(&reader);
        let judgement = self.judgement(&mut reader, facts, timeout);
        let runs = self.what(reader, Owner::Configuration, defaults);
        match &runs {
            Some(What::Builtin { kind, settings }) => {
                if setting.is_some() {
                    let message = format!(
                        "{shown_name} has `target-setting`, which is for plugins (kind `{}` knows where its target goes)",
                        kind.shown().escape_debug()
                    );
                    self.problems.error(&setting_place, message);
                }
                let asked = judgement.asked();
                self.kinds.read_module(&shown_name, kind, settings, &asked, &mut self.problems);
            }
            Some(What::Plugin { settings, grants, .. }) => {
                let key = setting.as_deref().unwrap_or(DEFAULT_TARGET_SETTING);
                if settings.get(key).is_some() {
                    let message = format!(
                        "`settings` of {shown_name} has `{}`, where the target of each probe goes (`target-setting` names another key)",
                        key.escape_debug()
                    );
                    self.problems.error(&settings_place, message);
                }
                if grants.state > 0 {
                    let message = format!(
                        "`grants` of {shown_name} has `state` (nothing is kept from probe to probe)"
                    );
                    self.problems.error(&grants_place, message);
                }
            }
            None => {}
        }
        let name = name?;
        if let Some(first) = names.get(&name) {
            let message =
                format!("a second module is called `{name}` (the first stands at {first})");
            self.problems.error(&name_place, message);
            return None;
        }
        names.insert(name.clone(), name_place);
        Some(ModuleSpec {
            name,
            timeout,
            targets: targets?,
            what: runs?,
            judgement,
            target_setting: setting.unwrap_or_else(|| DEFAULT_TARGET_SETTING.to_owned()),
            shown,
            place,
        })
    }

    /// Whoever may ask for a probe names the target, so that a module that goes everywhere tells a
    /// host of the asker's own all that it says.
    fn tells_nobody(&mut self, what: &str, table: &Table) {
        let mut told: Vec<_> =
            table.entries.iter().filter(|(key, entry)| tells(key, entry)).collect();
        told.sort_by(|(_, a), (_, b)| a.key.order().cmp(&b.key.order()));
        let Some((_, first)) = told.first() else { return };
        let keys: Vec<String> = told.iter().map(|(key, _)| format!("`{key}`")).collect();
        let message = format!(
            "{what} has no `targets`, so that any host that a request names would be told what stands in {} (write which targets it is for, for example targets = [\"*.example.com:443\"])",
            keys.join(", ")
        );
        self.problems.error(&first.key, message);
    }

    /// Nothing if any entry is none: a list that is shorter than it was meant allows more, if it is
    /// empty.
    fn targets(&mut self, reader: &mut Reader) -> Option<Targets> {
        let place = reader.place_of("targets");
        let given = reader.has("targets");
        let before = self.problems.has_error_at(&place);
        let texts = reader.texts("targets", &mut self.problems);
        let mut whole = before == self.problems.has_error_at(&place);
        if given && whole && texts.is_empty() {
            let message = format!(
                "`targets` of {} is an empty list (expected for example [\"*.example.com\", \"10.0.0.0/8:9100\"]; without `targets`, every public address may be probed)",
                reader.what()
            );
            self.problems.error(&place, message);
            whole = false;
        }
        let mut targets = Targets::default();
        for text in texts {
            match TargetPattern::parse(&text.value) {
                Ok(pattern) => targets.0.push(pattern),
                Err(why) => {
                    whole = false;
                    let message = format!(
                        "`targets` of {}: `{}` is no target: {why} (expected `host[:port]`, the host a name, `*.name`, an address or a network)",
                        reader.what(),
                        text.shown().escape_debug()
                    );
                    self.problems.error(&text.place, message);
                }
            }
        }
        whole.then_some(targets)
    }
}

/// Whether a key of a module may tell a target what is nobody's business.
fn tells(key: &str, entry: &Entry) -> bool {
    let node = &entry.node;
    ASKING.contains(&key)
        || (!UNTOLD.contains(&key) && is_referring(node))
        || (key == "grants" && attaches(node))
        || matches!(&node.value, Value::String(text) if key == "proxy" && has_credentials(text))
}

fn has_credentials(text: &Text) -> bool {
    without_credentials(&text.value) != text.value
}

/// Whether anything in it comes from `${...}`.
fn is_referring(node: &Node) -> bool {
    match &node.value {
        // `$${` is no reference, and differs from what is written all the same.
        Value::String(text) => {
            text.written.as_ref().is_some_and(|text| text.replace("$${", "").contains("${"))
        }
        Value::Array(list) => list.iter().any(is_referring),
        Value::Table(table) => table.entries.values().any(|entry| is_referring(&entry.node)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

/// Whether any grant adds something to requests.
fn attaches(node: &Node) -> bool {
    match &node.value {
        Value::Table(table) => table
            .entries
            .iter()
            .any(|(key, entry)| ATTACHED.contains(&key.as_str()) || attaches(&entry.node)),
        Value::Array(list) => list.iter().any(attaches),
        _ => false,
    }
}

/// A module's table as TOML, without secrets: texts stand as they are written, so that `${NAME}` is
/// not replaced, and of what may hold a secret only the names are there.
fn shown(table: &Table) -> String {
    toml::to_string(&shown_table(table, false)).unwrap_or_default()
}

fn shown_table(table: &Table, hidden: bool) -> toml::Table {
    let entry = |(key, entry): (&String, &Entry)| {
        let hidden = hidden || HIDDEN.contains(&key.as_str());
        (key.clone(), shown_value(&entry.node, hidden))
    };
    table.entries.iter().map(entry).collect()
}

fn shown_value(node: &Node, hidden: bool) -> toml::Value {
    match &node.value {
        Value::Table(table) => shown_table(table, hidden).into(),
        Value::Array(list) => {
            list.iter().map(|node| shown_value(node, hidden)).collect::<Vec<_>>().into()
        }
        _ if hidden => REDACTED.into(),
        Value::String(text) => without_credentials(text.shown()).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(value) => (*value).into(),
        Value::Datetime(text) => text.as_str().into(),
    }
}

/// A URL without its user and password.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{}", &rest[end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFile;
    use crate::config::problem::Problems;
    use crate::config::tree::{Lookup, References, parse};

    struct Nothing;

    impl Lookup for Nothing {
        fn env(&self, _: &str) -> Option<String> {
            Some("canary-secret".to_owned())
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Ok("canary-secret".to_owned())
        }
    }

    #[test]
    fn what_is_shown_of_a_module_holds_no_secret() {
        let text = r#"
name = "m"
expect-status = [200, 304]
expect-body = "a ${TOKEN} b"
proxy = "http://me:canary-secret@proxy.internal:3128"
headers = { Authorization = "Bearer canary-secret", Accept = "x" }
settings = { deep = [{ token = "canary-secret" }] }
[[grants.http]]
url = "https://a.example.com"
basic-auth = "me:canary-secret"
"#;
        let file = SourceFile { name: "x".into(), text: text.to_owned() };
        let (mut secrets, mut problems) = (Vec::new(), Problems::default());
        let table = parse(&file, &Nothing, References::All, &mut secrets, &mut problems);
        let shown = shown(&table);
        assert!(!shown.contains("canary"), "{shown}");
        for part in [
            "name = \"m\"",
            "expect-status = [200, 304]",
            "a ${TOKEN} b",
            "http://proxy.internal:3128",
            "Authorization = \"[redacted]\"",
            "token = \"[redacted]\"",
            "url = \"https://a.example.com\"",
        ] {
            assert!(shown.contains(part), "`{part}` in {shown}");
        }
    }
}
