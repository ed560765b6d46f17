//! The keys of our kinds `http`, `tcp`, `websocket` and `grpc`, in the order in which people write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::context::{Context, shown};
use super::write::{Block, Item, Text};
use super::yaml::Mark;

/// Every code that the kind `http` may be told.
pub(super) const ANY_STATUS: (i64, i64) = (100, 999);

/// The most that the kind `http` follows.
pub(super) const MAX_REDIRECTS: i64 = 50;

/// What is said of the size of bodies.
pub(super) const BODY_NOTE: &str =
    "only the first 256 KiB of a body are looked at, unless `body-limit` says more";

/// What a check of one of these kinds is told. What is `None` or empty is not written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Request {
    pub(super) url: Option<Text>,
    pub(super) target: Option<Text>,
    /// Of the kinds `tcp` and `grpc`.
    pub(super) tls: bool,
    pub(super) starttls: Option<&'static str>,
    pub(super) service: Option<Text>,
    pub(super) metadata: Vec<(String, Text)>,
    pub(super) method: Option<Text>,
    pub(super) headers: Vec<(String, Text)>,
    pub(super) body: Option<Text>,
    pub(super) send: Option<Text>,
    pub(super) expect: Option<Text>,
    /// Steps, each a table.
    pub(super) script: Vec<Item>,
    pub(super) expect_status: Vec<(i64, i64)>,
    pub(super) expect_body: Vec<Text>,
    pub(super) expect_body_matches: Vec<Text>,
    /// Conditions that make it fail.
    pub(super) fail: Vec<Text>,
    pub(super) redirects: Option<i64>,
    pub(super) body_limit: Option<String>,
    pub(super) http_version: Option<&'static str>,
    pub(super) address_family: Option<&'static str>,
    pub(super) tls_insecure: bool,
    pub(super) tls_ca: Option<Text>,
    pub(super) tls_server_name: Option<Text>,
    pub(super) certificate_days: Option<i64>,
    pub(super) proxy: Option<Text>,
    /// Keys that one format alone has.
    pub(super) further: Vec<(&'static str, Item)>,
}

impl Request {
    /// Puts everything that was said.
    pub(super) fn put(self, block: &mut Block) {
        let mut text = |key, text: Option<Text>| {
            if let Some(text) = text {
                block.put(key, text);
            }
        };
        text("url", self.url);
        text("target", self.target);
        text("method", self.method);
        if self.tls {
            block.put("tls", true);
        }
        if let Some(word) = self.starttls {
            block.put("starttls", word);
        }
        if let Some(service) = self.service {
            block.put("service", service);
        }
        for (key, pairs) in [("metadata", self.metadata), ("headers", self.headers)] {
            if !pairs.is_empty() {
                let entries = pairs.into_iter().map(|(name, text)| (name, Item::from(text)));
                block.put(key, Item::Table(entries.collect()));
            }
        }
        for (key, text) in [("body", self.body), ("send", self.send), ("expect", self.expect)] {
            if let Some(text) = text {
                block.put(key, text);
            }
        }
        if !self.script.is_empty() {
            block.put("script", Item::List(self.script));
        }
        if !self.expect_status.is_empty() {
            let items = self.expect_status.iter().map(|(low, high)| match low == high {
                true => Item::Integer(*low),
                false => Item::from(format!("{low}-{high}").as_str()),
            });
            block.put("expect-status", Item::one_or_many(items.collect()));
        }
        for (key, texts) in [
            ("expect-body", self.expect_body),
            ("expect-body-matches", self.expect_body_matches),
            ("fail", self.fail),
        ] {
            if !texts.is_empty() {
                block.put(key, Item::one_or_many(texts.into_iter().map(Item::from).collect()));
            }
        }
        if let Some(redirects) = self.redirects {
            block.put("redirects", redirects);
        }
        let words = [
            ("body-limit", self.body_limit.as_deref()),
            ("http-version", self.http_version),
            ("address-family", self.address_family),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                block.put(key, word);
            }
        }
        if self.tls_insecure {
            block.put("tls-verify", false);
        }
        let texts = [("tls-ca", self.tls_ca), ("tls-server-name", self.tls_server_name)];
        for (key, text) in texts {
            if let Some(text) = text {
                block.put(key, text);
            }
        }
        if let Some(days) = self.certificate_days {
            block.put("certificate-days", days);
        }
        if let Some(proxy) = self.proxy {
            block.put("proxy", proxy);
        }
        for (key, item) in self.further {
            block.put(key, item);
        }
    }

    /// Adds a header. One of the same name is replaced, since a check sends each name once.
    pub(super) fn header(
        &mut self,
        name: &str,
        text: Text,
        mark: Mark,
        what: &str,
        context: &mut Context<'_>,
    ) {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_name) {
            context.error(mark, format!("`{}` is no name of a header", shown(name)));
            return;
        }
        if text.as_str().chars().any(|c| c.is_control() && c != '\t') {
            let message = format!("the header `{name}` of {what} holds a control character");
            context.error(mark, message);
            return;
        }
        if is_secret(name) && !text.refers() {
            context.note(
                mark,
                format!(
                    "the header `{name}` of {what} is carried over as it is (if it is secret, write \
                     `${{NAME}}` or `${{file:PATH}}` in its place)"
                ),
            );
        }
        let same = self.headers.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some(index) = same {
            let message = format!("{what} has the header `{name}` twice; only the last is sent");
            context.note(mark, message);
            self.headers.remove(index);
        }
        self.headers.push((name.to_owned(), text));
    }

    /// Adds a header with a user and password.
    pub(super) fn basic_auth(
        &mut self,
        user: &str,
        password: &str,
        mark: Mark,
        what: &str,
        context: &mut Context<'_>,
    ) {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        let text = Text::literal(format!("Basic {encoded}"));
        self.header("Authorization", text, mark, what, context);
    }
}

/// How tokens of OAuth 2 are asked for, by client credentials.
#[derive(Debug, Clone, Default)]
pub(super) struct OAuth2 {
    pub(super) url: Text,
    pub(super) id: Text,
    pub(super) secret: Text,
    pub(super) scopes: Vec<Text>,
    pub(super) parameters: Vec<(String, Text)>,
    /// Whether the credentials go into the body of the request rather than into a header.
    pub(super) in_body: bool,
}

impl OAuth2 {
    /// Puts it in the place of every other way to say who we are, of which a check has one.
    pub(super) fn put(
        self,
        mark: Mark,
        what: &str,
        request: &mut Request,
        context: &mut Context<'_>,
    ) {
        let headers = request.headers.len();
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        let others = request.further.len();
        request.further.retain(|(key, _)| !matches!(*key, "basic" | "bearer"));
        if headers != request.headers.len() || others != request.further.len() {
            let message = format!(
                "{what} says who it is in two ways; the token of OAuth 2 alone is carried over"
            );
            context.note(mark, message);
        }
        if !self.secret.refers() {
            let message = format!(
                "the client's secret in {what} is carried over as it is (write `${{NAME}}` or \
                 `${{file:PATH}}` in its place)"
            );
            context.note(mark, message);
        }
        let mut entries = vec![
            ("token-url".to_owned(), Item::from(self.url)),
            ("client-id".to_owned(), Item::from(self.id)),
            ("client-secret".to_owned(), Item::from(self.secret)),
        ];
        if !self.scopes.is_empty() {
            let scopes = self.scopes.into_iter().map(Item::from).collect();
            entries.push(("scopes".to_owned(), Item::List(scopes)));
        }
        if !self.parameters.is_empty() {
            let pairs = self.parameters.into_iter().map(|(name, text)| (name, Item::from(text)));
            entries.push(("parameters".to_owned(), Item::Table(pairs.collect())));
        }
        if self.in_body {
            entries.push(("credentials".to_owned(), Item::from("body")));
        }
        request.further.push(("oauth2", Item::Table(entries)));
    }
}

/// Whether what goes by this name is likely to be secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];
    words.iter().any(|word| name.contains(word))
}

/// A URL as it may be shown: without user and password.
pub(super) fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return shown(url) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    shown(&format!("{scheme}://{place}{path}"))
}

/// Notes a password in a URL.
pub(super) fn note_credentials(url: &Text, mark: Mark, what: &str, context: &mut Context<'_>) {
    let after_scheme = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let literal = |user: &str| user.contains(':') && !user.contains("${");
    if authority.rsplit_once('@').is_some_and(|(user, _)| literal(user)) {
        context.note(
            mark,
            format!(
                "the URL of {what} holds a password, which is carried over as it is (write \
                 `${{NAME}}` in its place)"
            ),
        );
    }
}

/// The codes that are accepted, as ranges.
pub(super) fn ranges(accepts: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for code in (ANY_STATUS.0..=ANY_STATUS.1).filter(|code| accepts(*code)) {
        match ranges.last_mut() {
            Some((_, high)) if *high + 1 == code => *high = code,
            _ => ranges.push((code, code)),
        }
    }
    ranges
}

/// A regular expression for exactly this text.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
