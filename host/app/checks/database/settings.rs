//! The keys that these kinds share: the URL, and TLS.
//!
//! A URL holds a password, so a problem with it never repeats it: it says what is wrong, and its
//! place says where.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::problem::known;
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Place, Text};
use wellcheck_core::redact::Redactor;
use wellcheck_core::snapshot::Facts;
use wellcheck_net::Tls;

use super::super::{Tools, tls};

/// TLS where the URL says whether and how it is used.
pub(in crate::checks) const TLS_KEYS: &[Key] = &[
    key(
        "tls-verify",
        "what the URL says; true if another of the TLS keys stands here",
        "tls-verify = true",
        "Whether a certificate that is not trusted fails the check.",
    ),
    tls::CA,
    tls::SERVER_NAME,
    tls::CLIENT_CERTIFICATE,
    tls::CLIENT_KEY,
];

/// A server as configured.
pub(in crate::checks) struct Server {
    /// A name or an address, IPv6 in brackets.
    pub(in crate::checks) host: String,
    pub(in crate::checks) port: u16,
    /// Host and port, for messages.
    pub(in crate::checks) name: String,
    /// Empty where there is none.
    pub(in crate::checks) user: String,
    pub(in crate::checks) password: Option<String>,
    /// The path of the URL; empty where there is none.
    pub(in crate::checks) database: String,
    pub(in crate::checks) security: Security,
    /// Takes the password out of what the server says.
    pub(super) redactor: Redactor,
    /// The URL without credentials and parameters.
    target: String,
}

/// Whether TLS is spoken.
#[derive(Debug)]
pub(in crate::checks) enum Security {
    /// Never.
    Plain,
    /// If the server offers it.
    IfOffered(Tls),
    /// Or the check fails.
    Always(Tls),
}

impl Server {
    /// The same, with TLS as configured.
    pub(in crate::checks) fn secured(self, security: Security) -> Self {
        Self { security, ..self }
    }

    /// The same, where the user is a secret as well: a token that stands alone.
    pub(in crate::checks) fn with_token(self) -> Self {
        let redactor = Redactor::new([self.user.as_str()]);
        Self { redactor, ..self }
    }

    pub(super) fn facts(&self) -> Facts {
        Facts { target: Some(self.target.clone()), port: self.port, plugin: None }
    }
}

/// How the URLs of a kind look.
pub(in crate::checks) struct Dialect {
    pub(in crate::checks) schemes: &'static [&'static str],
    pub(in crate::checks) port: u16,
    pub(in crate::checks) example: &'static str,
    /// The parameters behind `?` that mean something, or nothing to a single connection.
    pub(in crate::checks) parameters: &'static [&'static str],
    pub(in crate::checks) needs_user: bool,
}

/// A URL that has been read.
pub(in crate::checks) struct Address {
    pub(in crate::checks) scheme: String,
    /// Without `security`, which depends on the kind's own words.
    pub(in crate::checks) server: Server,
    parameters: Vec<(String, String)>,
    pub(in crate::checks) place: Place,
    has_port: bool,
}

impl Address {
    /// The same with another port, unless the URL names one: that of TLS, where it has its own.
    pub(in crate::checks) fn or_port(mut self, port: u16) -> Self {
        if !self.has_port {
            self.server.port = port;
            self.server.name = format!("{}:{port}", self.server.host);
        }
        self
    }

    /// A parameter of the URL.
    pub(in crate::checks) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the key `url`.
pub(in crate::checks) fn read_url(
    reader: &mut Reader,
    dialect: &Dialect,
    problems: &mut Problems,
) -> Option<Address> {
    if !reader.has("url") {
        reader.missing("url", problems);
    }
    reader.parsed("url", problems, |text| parse_url(text, dialect))
}

fn parse_url(text: &Text, dialect: &Dialect) -> Result<Address, String> {
    let expected = format!("expected for example `{}`", dialect.example);
    if names_several_hosts(&text.value) {
        return Err("it names several hosts (a check looks at one; join several in a `[[group]]`)"
            .to_owned());
    }
    let url = Url::parse(&text.value).map_err(|why| format!("it is no URL: {why} ({expected})"))?;
    if !dialect.schemes.contains(&url.scheme()) {
        return Err(format!("it has the wrong scheme ({expected})"));
    }
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| format!("it names no host ({expected})"))?;
    if host.contains('%') || url.port() == Some(0) {
        return Err(format!("it names no host and port of a network ({expected})"));
    }
    let is_misplaced = |(name, _): (Cow<'_, str>, _)| name.contains('@');
    if url.path().contains('@') || url.fragment().is_some() || url.query_pairs().any(is_misplaced) {
        return Err("it holds a `/`, `?` or `#` before the `@` (write `%2F`, `%3F` or `%23` in a user or password)".to_owned());
    }
    let user = decoded("user", url.username())?;
    let password = decoded("password", url.password().unwrap_or_default())?;
    let database = decoded("path", url.path().trim_start_matches('/'))?;
    if dialect.needs_user && user.is_empty() {
        return Err(format!("it names no user ({expected})"));
    }
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in url.query_pairs() {
        if dialect.parameters.is_empty() {
            return Err(format!("it has parameters, and there are none ({expected})"));
        }
        if !dialect.parameters.contains(&&*name) {
            let list = known("parameters", &name, dialect.parameters.iter().copied());
            return Err(format!("unknown parameter `{}` {list}", name.escape_debug()));
        }
        if parameters.iter().any(|(known, _)| *known == name) {
            return Err(format!("the parameter `{name}` stands there twice"));
        }
        parameters.push((name.into_owned(), value.into_owned()));
    }
    let port = url.port().unwrap_or(dialect.port);
    let secrets = [password.as_str(), url.password().unwrap_or_default()];
    let server = Server {
        host: host.to_owned(),
        port,
        name: format!("{host}:{port}"),
        redactor: Redactor::new(secrets),
        target: target(text, !user.is_empty() || !password.is_empty()),
        user,
        password: Some(password).filter(|password| !password.is_empty()),
        database,
        security: Security::Plain,
    };
    Ok(Address {
        scheme: url.scheme().to_owned(),
        server,
        parameters,
        place: text.place.clone(),
        has_port: url.port().is_some(),
    })
}

/// Some clients take a list, `a:1,b:2`, which is no URL.
fn names_several_hosts(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority.rsplit('@').next().is_some_and(|hosts| hosts.contains(','))
}

fn decoded(what: &str, text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_invalid| format!("its {what} is not UTF-8"))?;
    if text.contains('\0') {
        return Err(format!("its {what} holds a NUL"));
    }
    Ok(text.into_owned())
}

/// The URL as it is written, without credentials and parameters.
fn target(text: &Text, has_credentials: bool) -> String {
    let shown = text.shown();
    let shown = &shown[..shown.find(['?', '#']).unwrap_or(shown.len())];
    let (scheme, rest) = shown
        .split_once("://")
        .map_or(("", shown), |(_, rest)| (&shown[..shown.len() - rest.len()], rest));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        // The credentials are somewhere in it, where only `${...}` can have put them.
        None if has_credentials && !scheme.is_empty() => format!("{scheme}…"),
        None => shown.to_owned(),
    }
}

/// The words for how TLS is used, of a kind whose URLs say that.
pub(in crate::checks) struct Words {
    /// The parameter's name.
    pub(in crate::checks) parameter: &'static str,
    pub(in crate::checks) never: &'static str,
    pub(in crate::checks) if_offered: &'static str,
    pub(in crate::checks) always: &'static str,
    /// With a certificate that is trusted and has the right name.
    pub(in crate::checks) verified: &'static str,
}

/// Reads TLS where a parameter of the URL says whether it is used: by default if the server offers
/// it, with any certificate, as the systems' own clients do.
pub(in crate::checks) fn read_security(
    reader: &mut Reader,
    tools: &Tools,
    address: Option<&Address>,
    words: &Words,
    problems: &mut Problems,
) -> Option<Security> {
    let present: Vec<&str> =
        TLS_KEYS.iter().map(|key| key.name).filter(|key| reader.has(key)).collect();
    let had_verify = reader.has("tls-verify");
    let judging = tls::read(reader, tools, problems)?;
    let address = address?;
    let lenient = if present.is_empty() { tools.tls_anyone.clone() } else { judging.clone() };
    let Words { parameter, never, if_offered, always, verified } = words;
    let what = reader.what();
    match address.parameter(parameter) {
        None => Some(Security::IfOffered(lenient)),
        Some(word) if word.eq_ignore_ascii_case(if_offered) => Some(Security::IfOffered(lenient)),
        Some(word) if word.eq_ignore_ascii_case(always) => Some(Security::Always(lenient)),
        Some(word) if word.eq_ignore_ascii_case(verified) => {
            if had_verify {
                problems.error(
                    &reader.place_of("tls-verify"),
                    format!("`tls-verify` of {what} stands beside `{parameter}={verified}`, which says it already (expected one of them)"),
                );
            }
            Some(Security::Always(judging))
        }
        Some(word) if word.eq_ignore_ascii_case(never) => {
            if let Some(first) = present.first() {
                let place = reader.place_of(first);
                problems.warning(
                    &place,
                    format!("`{first}` of {what} has no effect beside `{parameter}={never}`"),
                );
            }
            Some(Security::Plain)
        }
        Some(word) => {
            let list = known("words", word, [*never, *if_offered, *always, *verified]);
            let shown = word.escape_debug();
            problems.error(
                &address.place,
                format!("`url` of {what}: `{parameter}` is `{shown}` {list}"),
            );
            None
        }
    }
}

/// Reads TLS where the URL decides it: `wanted` says whether, `how` how to get it.
pub(in crate::checks) fn read_tls(
    reader: &mut Reader,
    tools: &Tools,
    wanted: Option<bool>,
    how: &str,
    problems: &mut Problems,
) -> Option<Security> {
    let first = tls::KEYS.iter().map(|key| key.name).find(|key| reader.has(key));
    let tls = tls::read(reader, tools, problems)?;
    if wanted? {
        return Some(Security::Always(tls));
    }
    if let Some(first) = first {
        let text = format!("`{first}` of {} has no effect without {how}", reader.what());
        problems.warning(&reader.place_of(first), text);
    }
    Some(Security::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect {
        schemes: &["postgres"],
        port: 5432,
        example: "postgres://user:password@host:5432/db",
        parameters: &["sslmode"],
        needs_user: true,
    };

    fn parse(url: &str) -> Result<Address, String> {
        let place = Place::file("wellcheck.toml");
        parse_url(&Text { value: url.to_owned(), written: None, place }, &DIALECT)
    }

    #[test]
    fn a_url_is_taken_apart_and_decoded() {
        let address =
            parse("postgres://ap%40p:p%2Fw%25@[::1]/or%20ders?sslmode=require").expect("good");
        let server = &address.server;
        assert_eq!((&*server.host, server.port, &*server.name), ("[::1]", 5432, "[::1]:5432"));
        assert_eq!((&*server.user, server.password.as_deref()), ("ap@p", Some("p/w%")));
        assert_eq!(server.database, "or ders");
        assert_eq!(address.parameter("sslmode"), Some("require"));
        assert_eq!(server.facts().target.as_deref(), Some("postgres://[::1]/or%20ders"));
    }

    #[test]
    fn no_problem_with_a_url_repeats_its_password() {
        let urls = [
            "postgres://app:canary@",
            "postgres://app:canary",
            "postgres://app:can/canary@host/db",
            "postgres://app:can?canary@host/db",
            "postgres://app:can#canary@host/db",
            "postgres://app:canary@host:port/db",
            "postgres://app:canary@host:0/db",
            "postgres://app:canary@host/db#x",
            "postgres://app:canary@a,b/db",
            "postgres://app:canary@a:1,b:2/db",
            "postgres://app:canary%00@host/db",
            "postgres://app:canary%ff@host/db",
            "postgres://:canary@host/db",
            "postgres://app/canary@host/db",
            "postgres://app@host/db?password=canary",
            "postgres://app@host:12?canary@host/db",
            "app:canary@host/db",
            "mysql://app:canary@host/db",
            "canary",
        ];
        for url in urls {
            let problem = parse(url).map(|address| address.server.target).expect_err(url);
            assert!(!problem.contains("canary"), "{url}: {problem}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_has_no_credentials() {
        let shown = |written: &str, has| {
            let place = Place::file("wellcheck.toml");
            target(&Text { value: String::new(), written: Some(written.to_owned()), place }, has)
        };
        assert_eq!(shown("${DATABASE_URL}", true), "${DATABASE_URL}");
        assert_eq!(shown("postgres://u:${file:/run/pw}@h/db?a=b@c", true), "postgres://h/db");
        assert_eq!(shown("postgres://u:lit${file:/a?b}@h/db", true), "postgres://…");
        assert_eq!(shown("redis://h:1/0", false), "redis://h:1/0");
    }
}
