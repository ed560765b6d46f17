//! Who the kind `http` is to its target: `basic`, `bearer`, and tokens of OAuth 2.
//!
//! A token of OAuth 2 is asked for when it is first needed, and kept until it expires: by one
//! request at a time, however many runs want it. An answer of 401 drops the one that was kept, and
//! the request is sent once more with another.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Text;
use wellcheck_core::outcome::{FailReason, Outcome, Report};
use wellcheck_net::http::{Answer, Client, Request};
use wellcheck_net::{Guard, Tls};

use super::explain;
use super::way::Way;

/// How long a token is kept that does not say when it expires.
const UNSAID: Duration = Duration::from_mins(5);

/// How long a token is kept at most.
const LONGEST: Duration = Duration::from_hours(24);

/// Largest answer of a token server, and longest token, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
const MAX_TOKEN: usize = 16 * 1024;

/// See the module.
pub(super) const KEYS: &[Key] = &[
    key(
        "basic",
        "none",
        "basic = { username = \"probe\", password = \"${PASSWORD}\" }",
        "A user and a password for the target.",
    ),
    key("bearer", "none", "bearer = \"${API_TOKEN}\"", "A token for the target."),
    key(
        "oauth2",
        "none",
        "oauth2 = { token-url = \"https://login.example.com/token\", client-id = \"probe\", client-secret = \"${SECRET}\", scopes = [\"health\"] }",
        "A token of OAuth 2 by client credentials, kept until it expires, or until the target answers 401. Further keys: `parameters`, sent with the request for a token; `credentials = \"body\"` for servers that do not take them as a header. The token server is asked with the TLS keys and the proxy of the check; if it refuses, the check fails with `login`.",
    ),
];

const BASIC: &[&[Key]] = &[&[
    key("username", "", "username = \"probe\"", "The user."),
    key("password", "none", "password = \"${PASSWORD}\"", "The password."),
]];

const OAUTH2: &[&[Key]] = &[&[
    key(
        "token-url",
        "",
        "token-url = \"https://login.example.com/token\"",
        "Where tokens are asked for.",
    ),
    key("client-id", "", "client-id = \"probe\"", "Who we are."),
    key("client-secret", "", "client-secret = \"${SECRET}\"", "What only we know."),
    key("scopes", "none", "scopes = [\"health\"]", "What the token is to allow."),
    key("parameters", "none", "parameters = { audience = \"shop\" }", "Further parameters."),
    key(
        "credentials",
        "\"header\"",
        "credentials = \"body\"",
        "Where the credentials go: `header` or `body`.",
    ),
]];

/// What was read.
pub(super) enum Auth {
    /// A header that is the same each time.
    Fixed(HeaderValue),
    /// A token that is asked for.
    Token(Grant),
}

/// What a token is asked for with.
pub(super) struct Grant {
    url: Url,
    body: String,
    header: Option<HeaderValue>,
}

/// Reads the keys. There is one way to say who we are.
pub(super) fn read(
    reader: &mut Reader,
    url: Option<&Url>,
    headers: &HeaderMap,
    problems: &mut Problems,
) -> Option<Auth> {
    let mut present: Vec<&str> =
        KEYS.iter().map(|key| key.name).filter(|key| reader.has(key)).collect();
    if headers.contains_key(AUTHORIZATION) {
        present.push("headers");
    }
    if url.is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
        present.push("url");
    }
    let basic = basic(reader, problems);
    let bearer = reader.parsed("bearer", problems, |text| {
        header(&format!("Bearer {}", text.value))
            .ok_or_else(|| "it holds a control character (expected a token)".to_owned())
    });
    let grant = grant(reader, problems);
    if let [first, second, ..] = present[..] {
        let message = format!(
            "{} says who it is by `{first}` and by `{second}` (expected one of them)",
            reader.what()
        );
        problems.error(&reader.place_of(first), message);
    }
    basic.or(bearer).map(Auth::Fixed).or(grant.map(Auth::Token))
}

fn header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(reader: &mut Reader, problems: &mut Problems) -> Option<HeaderValue> {
    let table = reader.table("basic", problems)?;
    let mut inner = Reader::new(format!("`basic` of {}", reader.what()), table, BASIC);
    if !inner.has("username") {
        inner.missing("username", problems);
    }
    let username = inner.parsed("username", problems, |text| match text.value.contains(':') {
        true => Err("a user's name holds no `:`".to_owned()),
        false => Ok(text.value.clone()),
    });
    let password = inner.text("password", problems).map(|text| text.value).unwrap_or_default();
    inner.finish(&[], problems);
    header(&basic_value(&username?, &password))
}

fn basic_value(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn grant(reader: &mut Reader, problems: &mut Problems) -> Option<Grant> {
    let table = reader.table("oauth2", problems)?;
    let mut inner = Reader::new(format!("`oauth2` of {}", reader.what()), table, OAUTH2);
    for key in ["token-url", "client-id", "client-secret"] {
        if !inner.has(key) {
            inner.missing(key, problems);
        }
    }
    let url = inner.parsed("token-url", problems, token_url);
    let id = inner.text("client-id", problems);
    let secret = inner.text("client-secret", problems);
    let scopes: Vec<String> =
        inner.texts("scopes", problems).into_iter().map(|text| text.value).collect();
    let parameters = inner.text_table("parameters", problems);
    let places = [("header", false), ("body", true)];
    let in_body = inner.word("credentials", &places, problems).unwrap_or(false);
    inner.finish(&[], problems);
    let (url, id, secret) = (url?, id?.value, secret?.value);
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !scopes.is_empty() {
        form.append_pair("scope", &scopes.join(" "));
    }
    for (name, text) in &parameters {
        form.append_pair(name, &text.value);
    }
    // RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let header = match in_body {
        true => {
            form.append_pair("client_id", &id).append_pair("client_secret", &secret);
            None
        }
        false => header(&basic_value(&encoded(&id), &encoded(&secret))),
    };
    Some(Grant { url, body: form.finish(), header })
}

fn token_url(text: &Text) -> Result<Url, String> {
    let shown = crate::sources::without_credentials(text.shown());
    let url = Url::parse(&text.value).map_err(|error| format!("`{shown}` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(format!("`{shown}` has the scheme `{scheme}` (expected http or https)"));
    }
    Ok(url)
}

impl Auth {
    /// Adds what is the same each time to the headers; what is asked for comes back.
    pub(super) fn apply(
        self,
        headers: &mut HeaderMap,
        way: &Way,
        tls: &Tls,
    ) -> Option<Arc<Tokens>> {
        let grant = match self {
            Self::Fixed(value) => {
                headers.insert(AUTHORIZATION, value);
                return None;
            }
            Self::Token(grant) => grant,
        };
        let mut request = Request::new(Method::POST, grant.url, tls.nameless());
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, form);
        request.headers.extend(grant.header.map(|value| (AUTHORIZATION, value)));
        request.body = grant.body.into();
        request.body_limit = MAX_ANSWER;
        request.family = way.family;
        request.proxy = way.proxy.clone();
        // Where tokens come from stands in the configuration: it is not up to whoever names a target.
        let client = way.client.guarded(Guard::allow_all());
        Some(Arc::new(Tokens { client, request, kept: Mutex::default() }))
    }
}

/// The tokens of a check.
pub(in crate::checks) struct Tokens {
    client: Client,
    request: Request,
    /// Held while another is asked for, so that all who want one wait for the same.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// How many there were.
    count: u64,
}

/// One token.
#[derive(Clone)]
pub(in crate::checks) struct Token {
    /// The header that it makes.
    pub(in crate::checks) header: HeaderValue,
    /// Which of all it is.
    pub(in crate::checks) number: u64,
    until: Instant,
}

/// An answer of a token server.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

/// Likewise, when it refuses.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Tokens {
    /// A token, other than the one of the number `refused`; and whether it was asked for just now.
    pub(in crate::checks) async fn token(
        &self,
        refused: Option<u64>,
        deadline: Instant,
    ) -> Result<(Token, bool), Outcome> {
        let Ok(mut kept) = timeout_at(deadline, self.kept.lock()).await else {
            let message = format!("timed out while waiting for a token from `{}`", self.host());
            return Err(fail(FailReason::Timeout, message));
        };
        let now = Instant::now();
        let usable = |token: &&Token| Some(token.number) != refused && now < token.until;
        if let Some(token) = kept.token.as_ref().filter(usable) {
            return Ok((token.clone(), false));
        }
        kept.token = None;
        let (header, lifetime) = self.ask(deadline).await?;
        kept.count += 1;
        let token = Token { header, number: kept.count, until: now + lifetime };
        kept.token = Some(token.clone());
        Ok((token, true))
    }

    fn host(&self) -> &str {
        self.request.url.host_str().unwrap_or_default()
    }

    async fn ask(&self, deadline: Instant) -> Result<(HeaderValue, Duration), Outcome> {
        let host = self.host();
        let exchange = Box::pin(self.client.fetch(&self.request, deadline)).await;
        let answer = exchange.result.map_err(|mut failure| {
            failure.message = format!("asking `{host}` for a token: {}", failure.message);
            explain(&failure)
        })?;
        let wrong = |why: &str| {
            let message = format!("`{host}` answers the request for a token with {why}");
            fail(FailReason::Protocol, message)
        };
        match answer.status {
            status if status.is_success() => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let status = answer.status.as_u16();
                let message = format!("`{host}` refuses a token ({status}{})", said(&answer));
                return Err(fail(FailReason::Login, message));
            }
            status => {
                let message = format!("`{host}` answers the request for a token with {status}");
                return Err(fail(FailReason::UnexpectedStatus, message));
            }
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| wrong("something else than JSON with an `access_token`"))?;
        if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(wrong("a token of another type than `Bearer`"));
        }
        let token = &granted.access_token;
        if token.is_empty()
            || token.len() > MAX_TOKEN
            || !token.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(wrong("a token that cannot be sent"));
        }
        let header = header(&format!("Bearer {token}")).expect("the token is visible ASCII");
        Ok((header, lifetime(granted.expires_in.as_ref())))
    }
}

/// How long a token is kept: nine tenths of its life, so that none expires on its way.
fn lifetime(expires_in: Option<&serde_json::Value>) -> Duration {
    let seconds = match expires_in {
        Some(serde_json::Value::Number(number)) => number.as_f64(),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite());
    let said = seconds.map(|seconds| seconds.clamp(0.0, LONGEST.as_secs_f64()));
    said.map_or(UNSAID, |seconds| Duration::from_secs_f64(seconds).mul_f64(0.9))
}

/// The code of a refusal, where it is one.
fn said(answer: &Answer) -> String {
    let refused: Option<Refused> = serde_json::from_slice(&answer.body).ok();
    let is_code =
        |text: &str| text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match refused.filter(|refused| is_code(&refused.error)) {
        Some(refused) => format!(", {}", refused.error),
        None => String::new(),
    }
}

fn fail(reason: FailReason, message: String) -> Outcome {
    Outcome::Answered(Report::fail(reason, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_most_of_its_life() {
        let of = |text: &str| lifetime(Some(&serde_json::from_str(text).expect("JSON")));
        assert_eq!(of("100"), Duration::from_secs(90));
        assert_eq!(of("\"100\""), Duration::from_secs(90));
        assert_eq!(of("-5"), Duration::ZERO);
        assert_eq!(of("1e300"), LONGEST.mul_f64(0.9));
        assert_eq!(of("\"nan\""), UNSAID);
        assert_eq!(lifetime(None), UNSAID);
        assert_eq!(of("[]"), UNSAID);
    }
}
