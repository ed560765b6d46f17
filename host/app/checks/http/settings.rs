//! The keys of the kind `http`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use regex::bytes::{Regex, RegexBuilder};
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::{Text, Value};
use wellcheck_core::snapshot::Facts;
use wellcheck_net::Proxy;
use wellcheck_net::http::{HttpVersion, Redirects, Request};

use super::super::socket::{FAMILY_KEY, family};
use super::super::{Tools, tls};
use super::Expect;
use crate::sources::without_credentials;

/// Largest body that can be asked for.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// Largest regular expression, compiled.
const MAX_REGEX: usize = 1024 * 1024;

/// See the module.
pub(super) const KEYS: &[Key] = &[
    key(
        "url",
        "",
        "url = \"https://shop.example.com/health\"",
        "What to ask: an `http` or `https` URL.",
    ),
    key("method", "\"GET\", or \"POST\" with a body", "method = \"HEAD\"", "The request's method."),
    key(
        "headers",
        "none",
        "headers = { Authorization = \"Bearer ${API_TOKEN}\" }",
        "Headers to send, name and text. `Host`, `User-Agent` and `Accept` are added unless they stand here.",
    ),
    key("body", "none", "body = '{\"ping\": true}'", "What to send."),
    key(
        "expect-status",
        "\"200-299\"",
        "expect-status = [\"200-299\", 304]",
        "Codes and ranges of codes that pass; any other answer fails with `unexpected-status`.",
    ),
    key(
        "expect-body",
        "anything",
        "expect-body = \"ready\"",
        "Texts that the body must contain, each of them, or the check fails with `unexpected-body`.",
    ),
    key(
        "expect-body-matches",
        "anything",
        "expect-body-matches = '\"status\": *\"ok\"'",
        "Regular expressions that the body must match, each of them, anywhere in it.",
    ),
    key(
        "redirects",
        "10",
        "redirects = 0",
        "How many redirects to follow, 0 to 50; one more fails with `redirect`. With 0 the redirect itself is the answer.",
    ),
    key(
        "body-limit",
        "\"256KiB\"",
        "body-limit = \"1MiB\"",
        "How much of the body is read, 0B to 16MiB; what lies behind is not looked at.",
    ),
    key(
        "http-version",
        "\"auto\"",
        "http-version = \"2\"",
        "`1.1`, `2` (over plain `http` with prior knowledge) or `auto` (what the server prefers over TLS, else 1.1).",
    ),
    FAMILY_KEY,
    key(
        "certificate-days",
        "never",
        "certificate-days = 14",
        "Warn when the certificate chain has fewer days left than this, 0 to 3650.",
    ),
    key(
        "proxy",
        "none",
        "proxy = \"http://proxy.internal:3128\"",
        "An HTTP proxy to go through. Proxy variables of the environment are not used.",
    ),
];

/// Reads all of them.
pub(super) fn read(
    reader: &mut Reader,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<(Request, Expect, Facts)> {
    if !reader.has("url") {
        reader.missing("url", problems);
    }
    let mut shown = None;
    let url = reader.parsed("url", problems, |text| {
        shown = Some(text.shown().to_owned());
        parse_url(text)
    });
    let body = reader.text("body", problems).map(|text| text.value);
    let standard = if body.is_some() { Method::POST } else { Method::GET };
    let method = reader
        .parsed("method", problems, |text| {
            let method = Method::from_bytes(text.value.as_bytes());
            let upper = |m: &Method| !m.as_str().bytes().any(|b| b.is_ascii_lowercase());
            method.ok().filter(upper).ok_or_else(|| {
                format!("`{}` is no method (expected for example `GET`)", text.shown())
            })
        })
        .unwrap_or(standard);
    let headers = headers(reader, problems);
    let versions =
        [("auto", HttpVersion::Auto), ("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];
    let version = reader.word("http-version", &versions, problems).unwrap_or_default();
    let family = family(reader, problems);
    let redirects = match reader.integer("redirects", 0..=50, problems).unwrap_or(10) {
        0 => Redirects::Keep,
        limit => Redirects::Follow(u32::try_from(limit).expect("checked to be at most 50")),
    };
    let limit = reader.size("body-limit", 0..=MAX_BODY, problems).unwrap_or(256 * 1024);
    let proxy = reader.parsed("proxy", problems, |text| {
        Proxy::parse(&text.value).map_err(|error| format!("`{}`: {error}", text.shown()))
    });
    let tls = tls::read(reader, tools, problems);
    let expect = expect(reader, problems);
    let url = url?;
    let facts = Facts {
        target: shown.map(|text| without_credentials(&text)),
        port: url.port_or_known_default().unwrap_or(0),
        plugin: None,
    };
    let mut request = Request::new(method, url, tls?);
    request.headers = headers;
    request.body = body.unwrap_or_default().into();
    request.version = version;
    request.family = family;
    request.redirects = redirects;
    request.body_limit = usize::try_from(limit).expect("checked to be at most 16 MiB");
    request.proxy = proxy;
    Some((request, expect, facts))
}

fn parse_url(text: &Text) -> Result<Url, String> {
    let shown = without_credentials(text.shown());
    let url = Url::parse(&text.value).map_err(|error| {
        format!("`{shown}` is no URL: {error} (expected for example `https://example.com/health`)")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "`{shown}` has the scheme `{}` (expected http or https)",
            url.scheme()
        ));
    }
    Ok(url)
}

pub(in crate::checks) fn headers(reader: &mut Reader, problems: &mut Problems) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, text) in reader.text_table("headers", problems) {
        let shown = name.escape_debug().to_string();
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&text.value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(text.written.is_some());
                headers.append(name, value);
            }
            (Err(_), _) => problems.error(&text.place, format!("`{shown}` is no name of a header")),
            (_, Err(_)) => problems.error(
                &text.place,
                format!("the header `{shown}` holds a line break or another control character"),
            ),
        }
    }
    headers
}

fn expect(reader: &mut Reader, problems: &mut Problems) -> Expect {
    let mut status = Vec::new();
    let mut shown = Vec::new();
    let place = reader.place_of("expect-status");
    let listed = reader.list("expect-status");
    if listed.as_ref().is_some_and(Vec::is_empty) {
        problems.error(
            &place,
            format!(
                "`expect-status` of {} is an empty list (expected for example [\"200-299\", 304])",
                reader.what()
            ),
        );
    }
    for node in listed.unwrap_or_default() {
        let range = match &node.value {
            Value::Integer(code) => u16::try_from(*code).ok().map(|code| (code, code)),
            Value::String(text) => parse_range(&text.value),
            _ => None,
        };
        match range.filter(|(low, high)| 100 <= *low && low <= high && *high <= 999) {
            Some((low, high)) => {
                status.push((low, high));
                shown.push(if low == high { low.to_string() } else { format!("{low}-{high}") });
            }
            None => problems.error(
                &node.place,
                format!("`expect-status` of {} holds something else than codes (expected for example [\"200-299\", 304])", reader.what()),
            ),
        }
    }
    if status.is_empty() {
        status.push((200, 299));
        shown.push("200-299".to_owned());
    }
    let contains =
        reader.texts("expect-body", problems).into_iter().map(|text| text.value).collect();
    let what = reader.what().to_owned();
    let mut matches = Vec::new();
    for text in reader.texts("expect-body-matches", problems) {
        match compile(&text.value) {
            Ok(regex) => matches.push(regex),
            Err(why) => problems.error(
                &text.place,
                format!(
                    "`expect-body-matches` of {what}: `{}` is no regular expression: {why}",
                    text.shown()
                ),
            ),
        }
    }
    let certificate_days = reader
        .integer("certificate-days", 0..=3650, problems)
        .map(|days| u32::try_from(days).expect("checked to be at most 3650"));
    Expect { status, contains, matches, certificate_days, shown: shown.join(", ") }
}

/// A regular expression within bounds.
pub(in crate::checks) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes"),
        // The error is a picture of several lines; its last one says what is wrong.
        error => error
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    })
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        Some((low, high)) => Some((low.trim().parse().ok()?, high.trim().parse().ok()?)),
        None => text.trim().parse().ok().map(|code| (code, code)),
    }
}
