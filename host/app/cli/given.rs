//! What a plugin that is run by hand is given: settings, grants and secrets, by flags.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use serde_json::Value;
use wellcheck_core::config::Records;
use wellcheck_core::grant::{Grants, SecretName};
use wellcheck_core::redact::Redactor;

use crate::checks::plugin::Given;

/// Longest file with settings or a secret, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// What a plugin is given.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct GivenArgs {
    /// A plugin's settings: a JSON object, @FILE, or @- for standard input
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// One setting, such as warn=5 or headers.accept=text/html, which wins over --settings; a value
    /// is TOML, JSON or else a text; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// What a plugin may reach, such as http=https://api.example.com; may be repeated
    #[arg(long, value_name = "GRANT=VALUE")]
    grant: Vec<String>,
    /// A secret that the plugin may read, NAME=@FILE or NAME=env:VARIABLE; may be repeated
    #[arg(long, value_name = "NAME=FROM")]
    secret: Vec<String>,
}

impl GivenArgs {
    /// Whether nothing is given.
    pub(super) fn is_empty(&self) -> bool {
        let Self { settings, set, grant, secret } = self;
        settings.is_none() && set.is_empty() && grant.is_empty() && secret.is_empty()
    }

    /// Whether settings are.
    pub(super) fn has_settings(&self) -> bool {
        self.settings.is_some() || !self.set.is_empty()
    }

    /// All of it, for a run without a configuration.
    pub(super) fn given(&self) -> anyhow::Result<Given> {
        let secrets = self.secrets()?;
        Ok(Given {
            settings: self.settings(Value::Object(serde_json::Map::new()))?,
            grants: Arc::new(self.grants(Grants::default())?),
            limits: Arc::default(),
            redactor: Redactor::new(secrets.values().map(String::as_str)),
            secrets: Arc::new(secrets),
            records: Records::default(),
        })
    }

    /// The settings, where `usual` ones stand in for `--settings`.
    pub(super) fn settings(&self, usual: Value) -> anyhow::Result<Value> {
        let mut value = match self.settings.as_deref() {
            None => usual,
            Some(given) => {
                let text = match given.strip_prefix('@') {
                    Some("-") => std::io::read_to_string(std::io::stdin().take(MAX_FILE))
                        .context("reading settings from standard input")?,
                    Some(path) => read(Path::new(path))
                        .with_context(|| format!("cannot read the settings `{path}`"))?,
                    None => given.to_owned(),
                };
                serde_json::from_str(&text).context("the settings are not JSON")?
            }
        };
        if !value.is_object() {
            bail!("the settings are not a JSON object (expected for example {{\"warn\": 5}})");
        }
        for text in &self.set {
            set(&mut value, text)
                .with_context(|| format!("`--set {}` sets nothing", text.escape_debug()))?;
        }
        Ok(value)
    }

    /// What is granted, `before` included.
    pub(super) fn grants(&self, before: Grants) -> anyhow::Result<Grants> {
        let mut grants = before;
        for text in &self.grant {
            let expected = "expected for example http=https://api.example.com";
            let (kind, value) =
                text.split_once('=').ok_or_else(|| anyhow!("`{text}` is no grant ({expected})"))?;
            grants.add(kind, value).map_err(|why| anyhow!("{why} ({expected})"))?;
        }
        for text in &self.secret {
            let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
            let name = SecretName::parse(name).map_err(|error| anyhow!("{error}"))?;
            if !grants.secrets.contains(&name) {
                grants.secrets.push(name);
            }
        }
        Ok(grants)
    }

    /// The secrets by name. A value does not stand on the command line, which every user of the
    /// machine can read.
    pub(super) fn secrets(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut secrets = BTreeMap::new();
        for text in &self.secret {
            let expected = "expected NAME=@FILE or NAME=env:VARIABLE";
            let (name, from) = text
                .split_once('=')
                .ok_or_else(|| anyhow!("`--secret` names no place ({expected})"))?;
            let value = if let Some(path) = from.strip_prefix('@') {
                let text = read(Path::new(path))
                    .with_context(|| format!("cannot read the secret `{name}` from `{path}`"))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            } else if let Some(variable) = from.strip_prefix("env:") {
                std::env::var(variable).map_err(|_| {
                    anyhow!("the secret `{name}`: there is no variable `{variable}`")
                })?
            } else {
                bail!("the secret `{name}` stands on the command line ({expected})");
            };
            secrets.insert(name.to_owned(), value);
        }
        Ok(secrets)
    }
}

/// A file as text, up to a bound.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        bail!("it is longer than {} MiB", MAX_FILE >> 20);
    }
    Ok(text)
}

/// Puts one value into the settings.
fn set(settings: &mut Value, text: &str) -> anyhow::Result<()> {
    let expected = "expected KEY=VALUE, such as warn=5 or headers.accept=text/html";
    let (key, value) = split(text).ok_or_else(|| anyhow!("there is no `=` in it ({expected})"))?;
    let path = path(key).ok_or_else(|| anyhow!("`{key}` is no key of TOML ({expected})"))?;
    let (last, way) = path.split_last().expect("a key has one part at least");
    let mut table = settings;
    for (depth, part) in way.iter().enumerate() {
        table = table
            .as_object_mut()
            .ok_or_else(|| anyhow!("`{}` is not a table", way[..depth].join(".")))?
            .entry(part)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    let table =
        table.as_object_mut().ok_or_else(|| anyhow!("`{}` is not a table", way.join(".")))?;
    table.insert(last.clone(), self::value(value));
    Ok(())
}

/// At the first `=` that does not stand in quotes.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let at = text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        None
    })?;
    Some((&text[..at], &text[at + 1..]))
}

/// The parts of a key, as TOML has them: `a."b.c".d`.
fn path(key: &str) -> Option<Vec<String>> {
    if key.contains(['\n', '=']) && !key.contains(['"', '\'']) {
        return None;
    }
    let mut table: toml::Table = toml::from_str(&format!("{key} = 0")).ok()?;
    let mut path = Vec::new();
    loop {
        if table.len() != 1 {
            return None;
        }
        let (name, value) = table.into_iter().next()?;
        path.push(name);
        match value {
            toml::Value::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// A value as TOML has it, or JSON, or else a text.
fn value(text: &str) -> Value {
    let table = toml::from_str::<toml::Table>(&format!("v = {text}")).ok();
    let found = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("v"));
    found
        .and_then(of_toml)
        .or_else(|| serde_json::from_str(text).ok())
        .unwrap_or_else(|| text.into())
}

/// Nothing for what JSON has no word for.
fn of_toml(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(of_toml).collect::<Option<_>>()?,
        toml::Value::Table(table) => {
            let pairs = table.into_iter().map(|(key, value)| Some((key, of_toml(value)?)));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(base: &str, set: &[&str]) -> anyhow::Result<Value> {
        let args = GivenArgs {
            settings: Some(base.to_owned()),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            ..GivenArgs::default()
        };
        args.settings(Value::Null)
    }

    #[test]
    fn values_are_toml_or_json_or_text() {
        let cases = [
            ("a=5", json!(5)),
            ("a=5.5", json!(5.5)),
            ("a=true", json!(true)),
            ("a=\"5\"", json!("5")),
            ("a=https://x.test/?a=b", json!("https://x.test/?a=b")),
            ("a=[1, 2]", json!([1, 2])),
            ("a={ b = 1 }", json!({ "b": 1 })),
            ("a={\"b\": null}", json!({ "b": null })),
            ("a=null", json!(null)),
            ("a=2030-01-31", json!("2030-01-31")),
            ("a=nan", json!("nan")),
            ("a=", json!("")),
            ("a=1\nb=2", json!("1\nb=2")),
        ];
        for (text, expected) in cases {
            assert_eq!(settings("{}", &[text]).unwrap(), json!({ "a": expected }), "{text}");
        }
    }

    #[test]
    fn keys_are_paths() {
        let found = settings(r#"{"a": {"b": 1}}"#, &["a.c=2", "d.\"e.f\"=3", "\"=\"=4"]);
        let expected = json!({ "a": { "b": 1, "c": 2 }, "d": { "e.f": 3 }, "=": 4 });
        assert_eq!(found.unwrap(), expected);
        for wrong in ["a", "=1", "a.=1", "a b=1", "a.b.c=1", "x=1\ny.z"] {
            let base = r#"{"a": {"b": 1}}"#;
            let found = settings(base, &[wrong]);
            assert!(found.is_err() || wrong == "x=1\ny.z", "{wrong}: {found:?}");
        }
    }
}
