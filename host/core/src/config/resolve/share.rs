//! `[agent]`, `[[share]]` and `[[environment]]`.

use std::collections::BTreeMap;

use super::Resolver;
use super::check::one_line;
use crate::config::keys;
use crate::config::reader::Reader;
use crate::config::tree::{Place, Table, Text, Value};
use crate::redact::MIN_REDACTED;
use crate::share::{Backend, Base, EnvironmentSpec, ShareSpec, Sharing};

/// Longest token of a share and id of an environment, in bytes.
const MAX_ID: usize = 100;

impl Resolver<'_> {
    /// Takes in what one file says about shares.
    pub(super) fn sharing(&mut self, root: &mut Reader, sharing: &mut Sharing) {
        if let Some(table) = root.table("agent", &mut self.problems) {
            let mut reader = Reader::new("`[agent]`", table, &[keys::AGENT]);
            sharing.environment = reader.parsed("environment", &mut self.problems, id);
            reader.finish(&[], &mut self.problems);
        }
        for table in root.tables("share", &mut self.problems) {
            sharing.shares.extend(self.share(table));
        }
        for table in root.tables("environment", &mut self.problems) {
            sharing.environments.extend(self.environment(table));
        }
    }

    fn share(&mut self, table: Table) -> Option<ShareSpec> {
        let place = table.place.clone();
        let mut reader = Reader::new(called("share", &table, "token"), table, &[keys::SHARE]);
        let problems = &mut self.problems;
        if !reader.has("token") {
            reader.missing("token", problems);
        }
        let token = reader.parsed("token", problems, id);
        let title = reader.parsed("title", problems, |text| one_line(&text.value));
        let modes: Vec<(&'static str, &'static str)> =
            [Backend::PROXY].iter().chain(Backend::OTHERS).map(|word| (*word, *word)).collect();
        let had_mode = reader.has("backend-mode");
        let mode = match reader.word("backend-mode", &modes, problems) {
            // What is mistyped may be any mode, so that nothing is said of the other keys.
            None if had_mode => None,
            None => Some(Backend::PROXY),
            some => some,
        };
        if mode == Some(Backend::PROXY) && !reader.has("target") {
            reader.missing("target", problems);
        }
        let place_of_verify = reader.place_of("tls-verify");
        let tls_verify = reader.boolean("tls-verify", problems);
        let target = match mode {
            Some(Backend::PROXY) => reader.parsed("target", problems, base),
            _ => {
                // A folder, an address, nothing: never looked at.
                reader.text("target", problems);
                None
            }
        };
        if let (Some(word), Some(_)) = (mode.filter(|word| *word != Backend::PROXY), tls_verify) {
            let message = format!("`tls-verify` has no effect where `backend-mode` is `{word}`");
            problems.warning(&place_of_verify, message);
        }
        reader.finish(&[], problems);
        let backend = match mode? {
            Backend::PROXY => {
                Backend::Proxy { target: target?, tls_verify: tls_verify.unwrap_or(true) }
            }
            word => Backend::Other(word),
        };
        Some(ShareSpec { token: token?, title, backend, place })
    }

    fn environment(&mut self, table: Table) -> Option<EnvironmentSpec> {
        let place = table.place.clone();
        let what = called("environment", &table, "id");
        let mut reader = Reader::new(what, table, &[keys::ENVIRONMENT]);
        for key in ["id", "agent", "token"] {
            if !reader.has(key) {
                reader.missing(key, &mut self.problems);
            }
        }
        let id = reader.parsed("id", &mut self.problems, id);
        let agent = reader.parsed("agent", &mut self.problems, base);
        let written = reader.text("token", &mut self.problems);
        let token = written.and_then(|text| self.token_of_environment(reader.what(), text));
        reader.finish(&[], &mut self.problems);
        Some(EnvironmentSpec { id: id?, agent: agent?, token: token?, place })
    }

    /// A value that never gets into a message.
    fn token_of_environment(&mut self, what: &str, text: Text) -> Option<String> {
        self.hidden.push(text.value.clone());
        let why = match text.value.as_str() {
            // One that cannot be read has its problem already.
            "" if self.problems.has_error_at(&text.place) => return None,
            "" => "it is empty (expected the text of a token)",
            value if !value.bytes().all(|b| b.is_ascii_graphic()) => {
                "it holds something else than visible ASCII characters, so that no header can carry it"
            }
            value => {
                if value.len() < MIN_REDACTED {
                    let message = format!(
                        "`token` of {what} is shorter than {MIN_REDACTED} bytes, so that it cannot be kept out of what is shown (expected a longer one)"
                    );
                    self.problems.warning(&text.place, message);
                }
                return Some(text.value);
            }
        };
        self.problems.error(&text.place, format!("`token` of {what}: {why}"));
        None
    }

    /// Shares and environments that get into each other's way.
    pub(super) fn distinct_shares(&mut self, sharing: &Sharing) {
        let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
        for share in &sharing.shares {
            let token = share.token.as_str();
            match first.get(token) {
                None => {
                    first.insert(token, &share.place);
                }
                Some(at) => {
                    let message = format!(
                        "a second share has the token `{token}` (the first stands at {at})"
                    );
                    self.problems.error(&share.place, message);
                }
            }
        }
        let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
        for environment in &sharing.environments {
            let id = environment.id.as_str();
            if sharing.environment.as_deref() == Some(id) {
                let message = format!(
                    "environment `{id}` is this instance (`[agent]` says so), which passes nothing on to itself"
                );
                self.problems.error(&environment.place, message);
            }
            match first.get(id) {
                None => {
                    first.insert(id, &environment.place);
                }
                Some(at) => {
                    let message = format!(
                        "a second environment has the id `{id}` (the first stands at {at})"
                    );
                    self.problems.error(&environment.place, message);
                }
            }
        }
    }
}

/// What a table is, for messages: ``share `abc123` ``.
fn called(kind: &str, table: &Table, key: &str) -> String {
    match table.entries.get(key).map(|entry| &entry.node.value) {
        Some(Value::String(text)) => {
            let shown: String =
                text.shown().chars().take(MAX_ID).flat_map(char::escape_debug).collect();
            format!("{kind} `{shown}`")
        }
        _ => format!("this {kind}"),
    }
}

/// The token of a share, or the id of an environment.
fn id(text: &Text) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.value.is_empty() || text.value.len() > MAX_ID || !text.value.bytes().all(fits) {
        return Err(format!("expected 1 to {MAX_ID} letters, digits, `-`, `_` and `.`"));
    }
    Ok(text.value.clone())
}

fn base(text: &Text) -> Result<Base, String> {
    Base::parse(&text.value)
}
