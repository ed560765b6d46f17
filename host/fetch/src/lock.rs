//! `plugins.lock`: what each source led to when somebody looked, for all who come after.
//!
//! Written by `wellcheck plugin lock` and `pull`, kept with the configuration, read by the server:
//! what stands there is what runs, whatever a tag leads to by now.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wellcheck_core::id::PluginName;
use wellcheck_core::source::{Digest, PublicKey, Source};

/// What it is called, beside `wellcheck.toml`.
pub const LOCK_FILE: &str = "plugins.lock";

/// Largest lock, in bytes.
pub const MAX_LOCK: usize = 4 * 1024 * 1024;

/// The format's version.
const VERSION: u32 = 1;

/// What stands above it.
const HEAD: &str = "# What each plugin's source led to, as `wellcheck plugin lock` found it. Keep this file with the\n# configuration: the server runs what stands here.\n";

/// A lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By name.
    pub plugins: Vec<Locked>,
}

/// One plugin of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// What checks call it.
    pub name: PluginName,
    /// Where it is from.
    pub source: Source,
    /// Its own version.
    pub version: String,
    /// Its file.
    pub digest: Digest,
    /// The manifest that names it, for a registry.
    pub manifest: Option<Digest>,
    /// The key that signed it, where one was asked for.
    pub signed_by: Option<PublicKey>,
    /// What it says that it needs.
    pub wants: Vec<Want>,
}

/// A grant that a plugin wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// Its word.
    pub grant: String,
    /// Its value, or some words about it.
    pub value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    name: String,
    source: String,
    version: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wants: Vec<Want>,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// With the line, where there is one, and what is wrong.
    pub fn parse(text: &str) -> Result<Self, (u32, String)> {
        let file: File = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            (u32::try_from(line).unwrap_or(u32::MAX), error.message().to_owned())
        })?;
        if file.version != VERSION {
            let found = file.version;
            return Err((
                1,
                format!(
                    "its version is {found} (expected {VERSION}; a newer wellcheck may have written it)"
                ),
            ));
        }
        let mut lock = Self::default();
        let mut names = BTreeSet::new();
        for entry in file.plugins {
            let shown: String = entry.name.chars().take(80).flat_map(char::escape_debug).collect();
            let locked = entry.locked().map_err(|why| (1, format!("plugin `{shown}`: {why}")))?;
            if !names.insert(locked.name.clone()) {
                return Err((1, format!("plugin `{shown}` stands there twice")));
            }
            lock.plugins.push(locked);
        }
        Ok(lock)
    }

    /// The text of it.
    pub fn render(&self) -> String {
        let plugins = self.plugins.iter().map(Entry::of).collect();
        let text = toml::to_string(&File { version: VERSION, plugins });
        format!("{HEAD}{}", text.expect("texts and lists make TOML"))
    }

    /// The entry of a plugin.
    pub fn get(&self, name: &PluginName) -> Option<&Locked> {
        self.plugins.iter().find(|locked| locked.name == *name)
    }

    /// Puts an entry in its place.
    pub fn put(&mut self, locked: Locked) {
        self.plugins.retain(|other| other.name != locked.name);
        self.plugins.push(locked);
        self.plugins.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

impl Entry {
    fn of(locked: &Locked) -> Self {
        Self {
            name: locked.name.to_string(),
            source: locked.source.to_string(),
            version: locked.version.clone(),
            digest: locked.digest.to_string(),
            manifest: locked.manifest.map(|digest| digest.to_string()),
            signed_by: locked.signed_by.as_ref().map(ToString::to_string),
            wants: locked.wants.clone(),
        }
    }

    fn locked(self) -> Result<Locked, String> {
        Ok(Locked {
            name: PluginName::new(&self.name).map_err(|error| error.to_string())?,
            source: Source::parse(&self.source).map_err(|why| format!("`source`: {why}"))?,
            version: self.version,
            digest: Digest::parse(&self.digest)?,
            manifest: self.manifest.as_deref().map(Digest::parse).transpose()?,
            signed_by: self.signed_by.as_deref().map(PublicKey::parse).transpose()?,
            wants: self.wants,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let digest = crate::digest_of(b"x");
        let locked = |name: &str| Locked {
            name: PluginName::new(name).expect("a name"),
            source: Source::parse("oci://localhost:5000/q:1").expect("a source"),
            version: "1.2.0 \"beta\"\n".to_owned(),
            digest,
            manifest: Some(digest),
            signed_by: None,
            wants: vec![Want { grant: "http".to_owned(), value: "the origin of `url`".to_owned() }],
        };
        let mut lock = Lock::default();
        lock.put(locked("b"));
        lock.put(locked("a"));
        lock
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = lock().render();
        assert_eq!(Lock::parse(&text), Ok(lock()), "{text}");
        assert_eq!(Lock::parse("version = 1"), Ok(Lock::default()));
    }

    #[test]
    fn a_lock_that_was_edited_badly_says_where() {
        let text = lock().render();
        let (line, _) = Lock::parse(&text.replace("version = 1\n", "version = 1\nx = 2\n"))
            .expect_err("an unknown key");
        assert_eq!(line, 4);
        for (from, to) in [
            ("version = 1\n", "version = 2\n"),
            ("sha256:", "sha512:"),
            ("name = \"a\"", "name = \"../a\""),
            ("name = \"a\"", "name = \"b\""),
            ("oci://localhost:5000", "oci://../x"),
            ("version = 1\n", "version = = 1\n"),
        ] {
            assert!(Lock::parse(&text.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
