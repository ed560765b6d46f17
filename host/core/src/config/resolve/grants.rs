//! Grants: what a check's plugin may reach, and what a sidecar may grant itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{NamedChecks, Resolver};
use crate::check::CheckSpec;
use crate::config::problem::{self, Problems};
use crate::config::reader::Reader;
use crate::config::tree::{Node, Nothing, Place, Table, Text, Value};
use crate::config::{Kinds, MAX_SIDECAR_PROBLEMS, keys};
use crate::fact::Asked;
use crate::grant::attach::header;
use crate::grant::{
    Attach, ClientIdentity, DirGrant, GrantKind, Grants, HttpGrant, MAX_STATE, SecretName,
};
use crate::id::CheckName;

/// Where grants stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owned {
    /// A check of `wellcheck.toml` or `conf.d`.
    Configuration,
    /// A check of a sidecar.
    Sidecar,
    /// What sidecars may grant.
    Sidecars,
}

/// Reads the grants of a test, which stand by themselves: a secret or a check that they name is what
/// the test says, or is not there.
pub(crate) fn grants_of_test(what: &str, table: Table, problems: &mut Problems) -> Grants {
    let mut secrets = Vec::new();
    match table.entries.get("secrets").map(|entry| &entry.node.value) {
        Some(Value::Array(list)) => secrets.extend(list.iter().map(|node| &node.value)),
        Some(value) => secrets.push(value),
        None => {}
    }
    let named = secrets.iter().filter_map(|value| match value {
        Value::String(text) => Some((text.value.clone(), text.place.clone())),
        _ => None,
    });
    let mut nobody = Nobody;
    let mut resolver = Resolver::new(&Nothing, &mut nobody);
    resolver.secret_places = named.collect();
    let (grants, _) = resolver.grants(what, table, Owned::Configuration);
    problems.append(resolver.problems);
    grants
}

/// No kinds at all.
struct Nobody;

impl Kinds for Nobody {
    fn read(
        &mut self,
        _: &str,
        _: Option<&CheckName>,
        _: &Text,
        _: &Table,
        _: &Asked,
        _: &mut Problems,
    ) {
    }
}

/// Where each grant stands, by kind and as it is shown.
pub(super) type Places = Vec<(GrantKind, String, Place)>;

/// The keys of a grant for HTTP requests that add something to them.
const ADDING: &[&str] = &["headers", "basic-auth", "client-certificate", "client-key"];

impl Resolver<'_> {
    /// Reads a table of grants, which is `what`.
    pub(super) fn grants(&mut self, what: &str, table: Table, owned: Owned) -> (Grants, Places) {
        let mut reader = Reader::new(what, table, &[keys::GRANTS]);
        let mut grants = Grants::default();
        let mut places = Vec::new();
        for kind in GrantKind::ALL {
            let key = kind.as_str();
            if kind == GrantKind::State {
                let place = reader.place_of(key);
                if let Some(bytes) = reader.size(key, 0..=MAX_STATE, &mut self.problems) {
                    grants.state = bytes;
                    places.push((kind, crate::units::show_size(bytes), place));
                }
                continue;
            }
            for node in reader.list(key).unwrap_or_default() {
                let place = node.place.clone();
                let mut one = Grants::default();
                if self.grant(what, kind, node, owned, &mut one).is_none() {
                    continue;
                }
                if owned != Owned::Sidecars {
                    self.distinct_guests(what, &grants, &one, &place);
                }
                let shown = one.list().into_iter();
                places.extend(shown.map(|(kind, shown)| (kind, shown, place.clone())));
                take(&mut grants, one);
            }
        }
        reader.finish(&[], &mut self.problems);
        (grants, places)
    }

    /// Reads one grant into `into`; nothing if it is none.
    fn grant(
        &mut self,
        what: &str,
        kind: GrantKind,
        node: Node,
        owned: Owned,
        into: &mut Grants,
    ) -> Option<()> {
        let text = match (node.value, kind) {
            (Value::String(text), _) => text,
            (Value::Table(table), GrantKind::Http) => {
                into.http.push(self.http_grant(what, table, owned)?);
                return Some(());
            }
            (Value::Table(table), GrantKind::Dirs) => {
                into.dirs.push(self.dir_grant(what, table)?);
                return Some(());
            }
            (other, _) => {
                let expected = match kind {
                    GrantKind::Http | GrantKind::Dirs => "strings or tables",
                    _ => "strings",
                };
                let found = other.kind();
                let message = format!("`{kind}` of {what} holds {found} (expected {expected})");
                self.problems.error(&node.place, message);
                return None;
            }
        };
        let read = match kind {
            // A text is a path and nothing else: for writing there is the table.
            GrantKind::Dirs => {
                DirGrant::new(&text.value, &text.value, false).map(|dir| into.dirs.push(dir))
            }
            _ => into.push(kind, &text.value),
        };
        if let Err(error) = read {
            self.problems.error(&text.place, error.quoting(text.shown()).to_string());
            return None;
        }
        for secret in &into.secrets {
            self.find_secret(what, secret, &text.place);
        }
        let named = into.checks.iter().map(|pattern| NamedChecks {
            place: text.place.clone(),
            what: what.to_owned(),
            pattern: pattern.clone(),
            in_sidecar: owned == Owned::Sidecar,
        });
        self.named_checks.extend(named);
        Some(())
    }

    /// Two folders cannot be at one path of the guest.
    fn distinct_guests(&mut self, what: &str, grants: &Grants, one: &Grants, place: &Place) {
        for DirGrant { guest, host, .. } in &one.dirs {
            if let Some(first) = grants.dirs.iter().find(|dir| dir.guest == *guest) {
                let message = format!(
                    "`dirs` of {what} puts `{}` at the guest's path `{}`, where `{}` is already (expected a `guest` of its own for each)",
                    host.display().to_string().escape_debug(),
                    guest.escape_debug(),
                    first.host.display().to_string().escape_debug()
                );
                self.problems.error(place, message);
            }
        }
    }

    fn find_secret(&mut self, what: &str, secret: &SecretName, place: &Place) {
        if self.secret_places.contains_key(secret.as_str()) {
            return;
        }
        let known = self.secret_places.keys().map(String::as_str);
        let hint = match problem::did_you_mean(secret.as_str(), known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`[secrets]` must have an entry of that name".to_owned(),
        };
        self.problems.error(
            place,
            format!("`secrets` of {what} names `{secret}`, and there is no such secret ({hint})"),
        );
    }

    /// A plain name that is no check is a mistake, or a check that is yet to come.
    pub(super) fn find_named_checks(&mut self, checks: &[CheckSpec]) {
        let names: BTreeSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        let mut sidecars: BTreeMap<Arc<str>, Problems> = BTreeMap::new();
        for named in std::mem::take(&mut self.named_checks) {
            let NamedChecks { place, what, pattern, in_sidecar } = named;
            let Some(name) = pattern.name().filter(|name| !names.contains(name)) else { continue };
            let problems = if in_sidecar {
                let bounded = || Problems::at_most(MAX_SIDECAR_PROBLEMS);
                sidecars.entry(place.file.clone()).or_insert_with(bounded)
            } else {
                &mut self.problems
            };
            // Likenesses cost something, and would not be shown.
            let known = match problems.is_full() {
                true => None,
                false => problem::did_you_mean(name, names.iter().copied()),
            };
            let hint = match known {
                Some(known) => format!("did you mean `{known}`?"),
                None => "expected the name of a check".to_owned(),
            };
            let message =
                format!("`checks` of {what} names `{name}`, and there is no such check ({hint})");
            problems.warning(&place, message);
        }
        for problems in sidecars.into_values() {
            self.problems.append(problems);
        }
    }

    fn dir_grant(&mut self, what: &str, table: Table) -> Option<DirGrant> {
        let mut reader = Reader::new(format!("`dirs` of {what}"), table, &[keys::DIR_GRANT]);
        let problems = &mut self.problems;
        if !reader.has("host") {
            reader.missing("host", problems);
        }
        let host = reader.text("host", problems);
        let guest = reader.text("guest", problems);
        let write = reader.boolean("write", problems).unwrap_or(false);
        reader.finish(&[], problems);
        let host = host?;
        let guest = guest.as_ref().unwrap_or(&host);
        // Each path by itself first, so that the message quotes the one that is wrong.
        for (host, guest, text) in [(&*host.value, "/", &host), ("/", &*guest.value, guest)] {
            if let Err(error) = DirGrant::new(host, guest, write) {
                problems.error(&text.place, error.quoting(text.shown()).to_string());
                return None;
            }
        }
        DirGrant::new(&host.value, &guest.value, write).ok()
    }

    fn http_grant(&mut self, what: &str, table: Table, owned: Owned) -> Option<HttpGrant> {
        let what = format!("`http` of {what}");
        let mut reader = Reader::new(what.clone(), table, &[keys::HTTP_GRANT]);
        if owned != Owned::Configuration {
            for key in ADDING.iter().filter(|key| reader.has(key)).collect::<Vec<_>>() {
                let message = format!(
                    "{what} has `{key}` (nothing is added to the requests of a sidecar's check; move the check to `wellcheck.toml`)"
                );
                self.problems.error(&reader.place_of(key), message);
                reader.take(key);
            }
        }
        if !reader.has("url") {
            reader.missing("url", &mut self.problems);
        }
        let url = reader.text("url", &mut self.problems);
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, text) in reader.text_table("headers", &mut self.problems) {
            match header(&name, &text.value) {
                Ok(lower) => self.add_header(&what, &mut headers, lower, text.value, &text.place),
                Err(why) => self.problems.error(&text.place, format!("`headers` of {what}: {why}")),
            }
        }
        if let Some(text) = reader.text("basic-auth", &mut self.problems)
            && let Some(value) = self.basic_auth(&what, &text)
        {
            self.add_header(&what, &mut headers, "authorization".to_owned(), value, &text.place);
        }
        let identity = self.identity(&mut reader);
        let identity_place = reader.place_of("client-certificate");
        reader.finish(&[], &mut self.problems);

        let url = url?;
        match HttpGrant::parse(&url.value) {
            Ok(grant) => {
                if identity.is_some() && !grant.is_https() {
                    let message = format!(
                        "{what} has a `client-certificate` for `http` (only `https` knows certificates)"
                    );
                    self.problems.error(&identity_place, message);
                }
                Some(grant.attaching(Attach { headers, identity }))
            }
            Err(error) => {
                self.problems.error(&url.place, error.quoting(url.shown()).to_string());
                None
            }
        }
    }

    /// Notes a header whose value is a secret, alone and after the word that says what it is.
    fn add_header(
        &mut self,
        what: &str,
        headers: &mut Vec<(String, String)>,
        name: String,
        value: String,
        place: &Place,
    ) {
        if headers.iter().any(|(known, _)| *known == name) {
            self.problems.error(place, format!("{what} adds the header `{name}` twice"));
            return;
        }
        self.hidden.extend(value.rsplit_once(' ').map(|(_, last)| last.to_owned()));
        self.hidden.push(value.clone());
        headers.push((name, value));
    }

    fn basic_auth(&mut self, what: &str, text: &Text) -> Option<String> {
        let pair = text.value.split_once(':');
        let Some((_, password)) = pair.filter(|_| !text.value.chars().any(char::is_control)) else {
            // What stands here may be the password itself.
            let message = format!(
                "`basic-auth` of {what} is no user and password (expected `USER:PASSWORD` without control characters)"
            );
            self.problems.error(&text.place, message);
            return None;
        };
        self.hidden.extend([password.to_owned(), text.value.clone()]);
        Some(format!("Basic {}", BASE64_STANDARD.encode(&text.value)))
    }

    /// A certificate and its key; what is in them is read where they are used.
    fn identity(&mut self, reader: &mut Reader) -> Option<ClientIdentity> {
        let pem = |label: &'static str| {
            move |text: &Text| {
                let expected = format!(
                    "this is no PEM text with a {label} (expected for example `${{file:client.pem}}`)"
                );
                let begins = text.value.lines().any(|line| {
                    line.starts_with("-----BEGIN ")
                        && line.trim_end().ends_with(&format!("{label}-----"))
                });
                if begins { Ok(text.value.clone()) } else { Err(expected) }
            }
        };
        let keys = ["client-certificate", "client-key"];
        let given = keys.map(|key| reader.has(key));
        for (key, other) in [(0, 1), (1, 0)] {
            if given[key] && !given[other] {
                let message = format!(
                    "{} has `{}` and no `{}` (expected both)",
                    reader.what(),
                    keys[key],
                    keys[other]
                );
                self.problems.error(&reader.place_of(keys[key]), message);
            }
        }
        let certificate = reader.parsed(keys[0], &mut self.problems, pem("CERTIFICATE"));
        let key = reader.parsed(keys[1], &mut self.problems, pem("PRIVATE KEY"));
        self.hidden.extend(key.clone());
        Some(ClientIdentity { certificate: certificate?, key: key? })
    }

    /// A sidecar's grants count only within what `wellcheck.toml` allows sidecars.
    pub(super) fn within(
        &mut self,
        what: &str,
        grants: &mut Grants,
        places: &Places,
        allowed: &Grants,
    ) {
        let beyond = grants.beyond(allowed);
        for (kind, shown) in &beyond {
            let place = places.iter().find(|(own, text, _)| own == kind && text == shown);
            let Some((_, _, place)) = place else { continue };
            let grant = match kind {
                GrantKind::Http => format!("`{shown}`"),
                _ => format!("`{kind}` `{shown}`"),
            };
            self.problems.error(
                place,
                format!("{what} grants itself {grant} (a sidecar's grants count only within `[plugins] sidecar-grants` of `wellcheck.toml`; or move the check there)"),
            );
        }
        if !beyond.is_empty() {
            *grants = Grants::default();
        }
    }
}

/// Adds what `one` grants.
fn take(grants: &mut Grants, one: Grants) {
    grants.http.extend(one.http);
    grants.sockets.extend(one.sockets);
    grants.dns.extend(one.dns);
    grants.dirs.extend(one.dirs);
    grants.env.extend(one.env);
    grants.secrets.extend(one.secrets);
    grants.checks.extend(one.checks);
}
