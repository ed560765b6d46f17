//! The tables besides checks: `[server]`, `[plugins]`, `[store]`, `[secrets]`, `[[token]]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Resolver;
use super::grants::Owned;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Text, Value};
use crate::config::{Plugins, Problems, Programs, Records, Role, Server, Token};
use crate::grant::SecretName;
use crate::limits::{HOST_LIMITS, LOAD_LIMITS, MIB};
use crate::redact::MIN_REDACTED;

impl Resolver<'_> {
    pub(super) fn server(&mut self, table: Table) -> Server {
        let standard = Server::default();
        let problems = &mut self.problems;
        let mut reader = Reader::new("`[server]`", table, &[keys::SERVER]);
        let server = Server {
            listen: reader.parsed("listen", problems, socket_address).unwrap_or(standard.listen),
            drain: reader
                .duration("drain", Duration::ZERO..=Duration::from_mins(5), problems)
                .unwrap_or(standard.drain),
            max_connections: reader
                .integer("max-connections", 1..=100_000, problems)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(standard.max_connections),
            routes: routes(&mut reader, problems),
        };
        reader.finish(&[], problems);
        server
    }

    pub(super) fn plugins(&mut self, table: Table) -> Plugins {
        let mut reader = Reader::new("`[plugins]`", table, &[keys::PLUGINS]);
        // Its value has been read by `outline`.
        reader.text("dir", &mut self.problems);
        let mut plugins = Plugins {
            cache: reader.text("cache", &mut self.problems).map(|text| PathBuf::from(text.value)),
            ..Plugins::default()
        };
        plugins.records = records(&mut reader, &mut self.problems);
        plugins.keys = self.keys("keys", &mut reader);
        let place = reader.place_of("require-signed");
        plugins.require_signed =
            reader.boolean("require-signed", &mut self.problems).unwrap_or(false);
        if plugins.require_signed && plugins.keys.is_empty() && !self.problems.has_error_at(&place)
        {
            let message = "`require-signed` of `[plugins]` asks for signatures, and there are no `keys` (name those whose signatures are good)";
            self.problems.error(&place, message);
        }
        if let Some(table) = reader.table("sidecar-grants", &mut self.problems) {
            plugins.sidecar_grants = self.grants("`sidecar-grants`", table, Owned::Sidecars).0;
        }
        if let Some(table) = reader.table("limits", &mut self.problems) {
            let mut reader = Reader::new("`[plugins.limits]`", table, &[keys::PLUGIN_LIMITS]);
            self.limits(&mut reader, LOAD_LIMITS, &mut plugins.load);
            self.limits(&mut reader, HOST_LIMITS, &mut plugins.host);
            reader.finish(&[], &mut self.problems);
        }
        reader.finish(&[], &mut self.problems);
        plugins
    }

    pub(super) fn exec(&mut self, table: Table) {
        let mut reader = Reader::new("`[exec]`", table, &[keys::EXEC]);
        let enabled = reader.boolean("enabled", &mut self.problems).unwrap_or(false);
        let is_empty = reader.has("dirs");
        let place = reader.place_of("dirs");
        let mut dirs = Vec::new();
        for text in reader.texts("dirs", &mut self.problems) {
            let path = PathBuf::from(&text.value);
            if path.is_absolute() {
                dirs.push(path);
            } else {
                let shown = text.shown().escape_debug();
                let message = format!(
                    "`dirs` of `[exec]` holds `{shown}` (expected the absolute path of a folder)"
                );
                self.problems.error(&text.place, message);
            }
        }
        // No folder at all would mean every folder.
        if is_empty && dirs.is_empty() && !self.problems.has_error_at(&place) {
            let message =
                "`dirs` of `[exec]` names no folder (leave it out for any, or `enabled` for none)";
            self.problems.error(&place, message);
        }
        reader.finish(&[], &mut self.problems);
        self.kinds.programs(&Programs { enabled, dirs });
    }

    /// Whoever writes a file that is imported must not be able to run anything here.
    pub(super) fn runs_nothing(&mut self, imported: &[Table]) {
        for table in imported {
            if let Some(Value::String(kind)) = table.entries.get("kind").map(|e| &e.node.value)
                && kind.value == "exec"
            {
                let message = "an imported file has a check of the kind `exec` (such checks stand in the configuration itself)";
                self.problems.error(&kind.place, message);
            }
        }
    }

    pub(super) fn store(&mut self, table: Table) -> Option<PathBuf> {
        let mut reader = Reader::new("`[store]`", table, &[keys::STORE]);
        let path = reader.parsed("path", &mut self.problems, |text| match text.value.as_str() {
            "" => Err("it is empty (expected the path of a file)".to_owned()),
            path => Ok(PathBuf::from(path)),
        });
        reader.finish(&[], &mut self.problems);
        path
    }

    /// Takes in one `[secrets]`. A value never gets into a message.
    pub(super) fn secrets(&mut self, table: Table) {
        for (name, entry) in table.entries {
            let shown = name.escape_debug();
            if SecretName::parse(&name).is_err() {
                let message = format!(
                    "`{shown}` in `[secrets]` is not a name (expected 1 to 63 of a-z, 0-9 and `-`, the first not `-`)"
                );
                self.problems.error(&entry.key, message);
                continue;
            }
            if let Some(first) = self.secret_places.get(&name) {
                let message =
                    format!("a second secret is called `{shown}` (the first stands at {first})");
                self.problems.error(&entry.key, message);
                continue;
            }
            self.secret_places.insert(name.clone(), entry.key);
            let Value::String(text) = entry.node.value else {
                let found = entry.node.value.kind();
                let message = format!("`{shown}` in `[secrets]` is {found} (expected a string)");
                self.problems.error(&entry.node.place, message);
                continue;
            };
            if text.value.is_empty() {
                // One that cannot be read has its problem already.
                if !self.problems.has_error_at(&text.place) {
                    let message = format!("the secret `{shown}` is empty (expected a text)");
                    self.problems.error(&text.place, message);
                }
            } else if text.value.len() < MIN_REDACTED {
                let message = format!(
                    "the secret `{shown}` is shorter than {MIN_REDACTED} bytes, so that it cannot be kept out of what is shown (expected a longer one)"
                );
                self.problems.warning(&text.place, message);
            }
            self.hidden.push(text.value.clone());
            self.secrets.insert(name, text.value);
        }
    }

    pub(super) fn token(&mut self, table: Table) -> Option<(Token, Place)> {
        let place = table.place.clone();
        let problems = &mut self.problems;
        let mut reader = Reader::new("`[[token]]`", table, &[keys::TOKEN]);
        for key in ["name", "hash", "role"] {
            if !reader.has(key) {
                reader.missing(key, problems);
            }
        }
        let name = reader.text("name", problems).map(|text| text.value);
        let sha256 = reader.parsed("hash", problems, token_hash);
        let role = reader.word("role", &Role::ALL.map(|role| (role.as_str(), role)), problems);
        reader.finish(&[], problems);
        Some((Token { name: name?, sha256: sha256?, role: role? }, place))
    }

    pub(super) fn distinct_tokens(&mut self, tokens: &[(Token, Place)]) {
        let mut seen: BTreeMap<[u8; 32], &Token> = BTreeMap::new();
        for (token, place) in tokens {
            if let Some(first) = seen.insert(token.sha256, token) {
                let names = format!("tokens `{}` and `{}`", first.name, token.name);
                self.problems.error(place, format!("{names} have the same hash"));
            }
        }
    }
}

fn records(reader: &mut Reader, problems: &mut Problems) -> Records {
    let usual = Records::default();
    let mut size = |key, largest: usize, usual: usize| {
        let bytes = reader.size(key, 0..=largest as u64, problems);
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usual)
    };
    let bytes = size("record-bytes", 16 * MIB, usual.bytes);
    let all_bytes = size("records-bytes", 1024 * MIB, usual.all_bytes);
    let each = reader.integer("records", 0..=1000, problems);
    let each = each.and_then(|each| usize::try_from(each).ok()).unwrap_or(usual.each);
    Records { each, bytes, all_bytes }
}

/// The built-in routes of a listener. An empty list is none of them, which is not the same as no list.
pub(super) fn routes(reader: &mut Reader, problems: &mut Problems) -> Option<Vec<Text>> {
    reader.has("routes").then(|| reader.texts("routes", problems))
}

pub(super) fn socket_address(text: &Text) -> Result<SocketAddr, String> {
    let shown = text.shown();
    text.value.parse().map_err(|_| {
        format!("`{shown}` is no address with a port (expected for example `127.0.0.1:8080` or `[::]:8080`)")
    })
}

/// Reads the hash of a token.
///
/// # Errors
/// When it is none.
pub fn token_hash(text: &Text) -> Result<[u8; 32], String> {
    text.value.strip_prefix("sha256:").and_then(hex_32).ok_or_else(|| {
        // What stands here may be the token itself.
        "this is no hash (expected `sha256:` and 64 hexadecimal digits; `wellcheck token` makes one)".to_owned()
    })
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
