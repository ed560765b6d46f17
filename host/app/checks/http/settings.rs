//! What the kind `http` sends, and where to: its keys, and the plan that they make.

use std::sync::Arc;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Text;
use wellcheck_core::snapshot::Facts;
use wellcheck_core::units::show_size;
use wellcheck_net::http::{Client, Coding, HttpVersion, Redirects, Request};

use super::super::{Tools, tls};
use super::auth::{self, Tokens};
use super::expect::{self, Expect};
use super::way;
use crate::sources::{read_file, without_credentials};

/// Largest body that can be asked for, and largest that is sent from a file.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// Every key of a request.
pub(in crate::checks) const ALL: &[&[Key]] =
    &[KEYS, way::KEYS, auth::KEYS, expect::KEYS, tls::DAYS_KEYS, tls::KEYS];

const KEYS: &[Key] = &[
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
        "Headers to send, name and text. `Host`, `User-Agent` and `Accept` are added unless they stand here. Values with `${...}`, credentials and cookies do not follow a redirect to another origin.",
    ),
    key(
        "body",
        "none",
        "body = '{\"ping\": true}'",
        "What to send. With `${...}` in it, a redirect that would send it to another origin fails with `redirect`.",
    ),
    key(
        "body-file",
        "none",
        "body-file = \"ping.json\"",
        "A file with what to send, at most 16MiB, relative to the configuration file; read with the configuration.",
    ),
    key(
        "cookies",
        "none",
        "cookies = { session = \"${SESSION}\" }",
        "Cookies to send, name and value. Those that the target sets are kept for the rest of the run, at most 64 of 4KiB.",
    ),
    key(
        "compression",
        "none",
        "compression = [\"gzip\", \"br\"]",
        "Codings to ask for and to decode: `gzip`, `br`, `deflate`. An answer in another one, or that is not what it says, fails with `protocol`.",
    ),
    key(
        "redirects",
        "10",
        "redirects = 0",
        "How many redirects to follow, 0 to 50; one more fails with `redirect`. With 0 the redirect itself is the answer.",
    ),
    key(
        "redirect-downgrade",
        "true",
        "redirect-downgrade = false",
        "Whether a redirect may lead from `https` to `http`; if not, it fails with `redirect`.",
    ),
    key(
        "body-limit",
        "\"256KiB\"",
        "body-limit = \"1MiB\"",
        "How much of the body is read, 0B to 16MiB, counted after decoding; what lies behind is not looked at.",
    ),
    key(
        "http-version",
        "\"auto\"",
        "http-version = \"2\"",
        "`1.1`, `2` (over plain `http` with prior knowledge) or `auto` (what the server prefers over TLS, else 1.1).",
    ),
];

/// A request as configured, with all that belongs to it.
pub(in crate::checks) struct Plan {
    pub(in crate::checks) client: Client,
    pub(in crate::checks) request: Request,
    pub(in crate::checks) tokens: Option<Arc<Tokens>>,
    /// Whether each address of the name is asked.
    pub(in crate::checks) each: bool,
    pub(in crate::checks) expect: Expect,
    pub(in crate::checks) facts: Facts,
}

/// Reads all keys.
pub(in crate::checks) fn read(
    reader: &mut Reader,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Plan> {
    if !reader.has("url") {
        reader.missing("url", problems);
    }
    let mut shown = None;
    let url = reader.parsed("url", problems, |text| {
        shown = Some(text.shown().to_owned());
        parse_url(text)
    });
    let body = body(reader, tools, problems);
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
    let mut headers = headers(reader, problems);
    cookies(reader, &mut headers, problems);
    let versions =
        [("auto", HttpVersion::Auto), ("1.1", HttpVersion::Http1), ("2", HttpVersion::Http2)];
    let version = reader.word("http-version", &versions, problems).unwrap_or_default();
    let redirects = match reader.integer("redirects", 0..=50, problems).unwrap_or(10) {
        0 => Redirects::Keep,
        limit => Redirects::Follow(u32::try_from(limit).expect("checked to be at most 50")),
    };
    let downgrade = reader.boolean("redirect-downgrade", problems).unwrap_or(true);
    let limit = reader.size("body-limit", 0..=MAX_BODY, problems).unwrap_or(256 * 1024);
    let codings = codings(reader, problems);
    let tls = tls::read(reader, tools, problems);
    let way = way::read(reader, tools, url.as_ref(), problems);
    let auth = auth::read(reader, url.as_ref(), &headers, problems);
    let expect = expect::read(reader, problems);
    let (url, tls, way) = (url?, tls?, way?);
    let facts = Facts {
        target: shown.map(|text| without_credentials(&text)),
        port: url.port_or_known_default().unwrap_or(0),
        plugin: None,
    };
    let mut request = Request::new(method, url, tls);
    let tokens = auth.and_then(|auth| auth.apply(&mut headers, &way, &request.tls));
    request.headers = headers;
    if let Some(body) = body {
        request.body = body.bytes.into();
        request.secret_body = body.is_secret;
    }
    request.version = version;
    request.family = way.family;
    request.redirects = redirects;
    request.downgrade = downgrade;
    request.body_limit = usize::try_from(limit).expect("checked to be at most 16 MiB");
    request.codings = codings;
    request.proxy = way.proxy;
    request.to = way.to;
    Some(Plan { client: way.client, request, tokens, each: way.each, expect, facts })
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

struct Body {
    bytes: Vec<u8>,
    is_secret: bool,
}

fn body(reader: &mut Reader, tools: &Tools, problems: &mut Problems) -> Option<Body> {
    let both = reader.has("body") && reader.has("body-file");
    let text = reader
        .text("body", problems)
        .map(|text| Body { is_secret: text.written.is_some(), bytes: text.value.into_bytes() });
    let most = usize::try_from(MAX_BODY).expect("16 MiB");
    let file = reader.parsed("body-file", problems, |text| {
        let bytes = read_file(&tools.base.join(&text.value), most).map_err(|why| {
            format!("cannot read `{}`: {why} (at most {})", text.shown(), show_size(MAX_BODY))
        })?;
        Ok(Body { bytes, is_secret: false })
    });
    if both {
        let message =
            format!("{} has `body` and `body-file` (expected one of them)", reader.what());
        problems.error(&reader.place_of("body-file"), message);
    }
    text.or(file)
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

/// Puts `cookies` into the header of that name, behind what stands there.
fn cookies(reader: &mut Reader, headers: &mut HeaderMap, problems: &mut Problems) {
    let mut pairs: Vec<Vec<u8>> =
        headers.get(COOKIE).map(|own| own.as_bytes().to_vec()).into_iter().collect();
    let own = pairs.len();
    for (name, text) in reader.text_table("cookies", problems) {
        let fits = |c: char| !c.is_control() && !matches!(c, ';' | ',' | ' ' | '"' | '\\');
        let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !is_name || !text.value.chars().all(fits) {
            let shown = name.escape_debug();
            let message = format!(
                "the cookie `{shown}` of {} cannot be sent (expected a name of letters and digits, and a value without blanks, `;`, `,`, `\"` and `\\`)",
                reader.what()
            );
            problems.error(&text.place, message);
            continue;
        }
        pairs.push([name.as_bytes(), b"=", text.value.as_bytes()].concat());
    }
    if pairs.len() > own
        && let Ok(mut value) = HeaderValue::from_bytes(&pairs.join(&b"; "[..]))
    {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
}

fn codings(reader: &mut Reader, problems: &mut Problems) -> Vec<Coding> {
    let mut codings = Vec::new();
    let what = reader.what().to_owned();
    for text in reader.texts("compression", problems) {
        match Coding::ALL.iter().find(|coding| coding.as_str() == text.value) {
            Some(coding) if codings.contains(coding) => {}
            Some(coding) => codings.push(*coding),
            None => {
                let names = Coding::ALL.iter().map(|coding| coding.as_str());
                let list = wellcheck_core::config::problem::known("words", text.shown(), names);
                let shown = text.shown().escape_debug();
                let message = format!("`compression` of {what}: unknown word `{shown}` {list}");
                problems.error(&text.place, message);
            }
        }
    }
    codings
}
