//! Requests to one registry: with one deadline, bounded answers, and what it asks for to let us in.
//!
//! A registry says by its first 401 how it wants to know us: by user and password with each request,
//! or by a token that another server gives for them. That server is of the registry's choice, so
//! that it gets this registry's credentials and no others, and only over TLS.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;
use url::{Host, Url};
use wellcheck_core::source::is_loopback;
use wellcheck_core::units::show_size;
use wellcheck_net::http::{Answer, Redirects, Request};

use crate::credentials::{Access, Credentials};
use crate::error::{FetchError, FetchErrorKind, printable};
use crate::pull::Fetcher;

/// Redirects that are followed: registries send clients to where the bytes lie.
const MAX_REDIRECTS: u32 = 5;

/// Largest answer of a server of tokens, and of an error, in bytes.
const MAX_WORDS: usize = 64 * 1024;

/// Longest token, in bytes.
const MAX_TOKEN: usize = 32 * 1024;

/// Parameters of a challenge that are read at most.
const MAX_PARAMETERS: usize = 16;

/// A series of requests to one host.
pub(crate) struct Session<'a> {
    fetcher: &'a Fetcher,
    /// As sources name it.
    host: String,
    access: Option<&'a Access>,
    authorization: Option<HeaderValue>,
    /// What a token is to allow: `repository:team/queue:pull`.
    scope: Option<String>,
    deadline: Instant,
    is_plain: bool,
}

/// One request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: Bytes,
    /// Largest body of a good answer, in bytes.
    pub(crate) limit: usize,
    /// What it is, for messages: ``the manifest `1` ``.
    pub(crate) what: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: Url, limit: usize, what: &'a str) -> Self {
        Self {
            method: Method::GET,
            url,
            accept: None,
            content_type: None,
            body: Bytes::new(),
            limit,
            what,
        }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        fetcher: &'a Fetcher,
        host: &str,
        scope: Option<String>,
        is_plain: bool,
    ) -> Self {
        let access = fetcher.access.iter().find(|access| access.host == host);
        // A token is sent at once, and so are credentials where nobody would ask for them in the
        // words of registries.
        let at_once = access.filter(|access| {
            scope.is_none() || matches!(access.credentials, Credentials::Bearer(_))
        });
        Self {
            fetcher,
            host: host.to_owned(),
            access,
            authorization: at_once.and_then(|access| access.credentials.header()),
            scope,
            deadline: Instant::now() + fetcher.time,
            is_plain,
        }
    }

    /// Asks, and once more with what a 401 asks for. An answer of any status that is not 401.
    pub(crate) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        let answer = self.send(ask).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenge.filter_map(|value| value.to_str().ok()).find_map(Challenge::read);
        let authorization = match (challenge, &self.scope, self.access) {
            (Some(challenge), Some(_), _) if challenge.is_bearer => self.token(&challenge).await?,
            (Some(_), Some(_), Some(access)) => access.credentials.header(),
            _ => None,
        };
        let Some(authorization) =
            authorization.filter(|new| Some(new) != self.authorization.as_ref())
        else {
            return Err(self.not_allowed(ask.what, answer.status));
        };
        self.authorization = Some(authorization);
        let answer = self.send(ask).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED => Err(self.not_allowed(ask.what, answer.status)),
            _ => Ok(answer),
        }
    }

    /// Likewise, where only some statuses are good.
    pub(crate) async fn expect(
        &mut self,
        ask: &Ask<'_>,
        good: &[StatusCode],
    ) -> Result<Answer, FetchError> {
        let answer = self.ask(ask).await?;
        if good.contains(&answer.status) {
            if answer.truncated {
                let most = show_size(ask.limit as u64);
                return Err(FetchError::new(
                    FetchErrorKind::TooLarge,
                    format!("{} of `{}` is larger than {most}", ask.what, self.host),
                ));
            }
            return Ok(answer);
        }
        let told = told(&answer.body);
        let (what, host) = (ask.what, &self.host);
        Err(match answer.status {
            StatusCode::FORBIDDEN => self.not_allowed(what, answer.status),
            StatusCode::NOT_FOUND => FetchError::new(
                FetchErrorKind::NotThere,
                format!(
                    "`{host}` has not got {what} (status 404{told}; is the name right, and has it been pushed?)"
                ),
            ),
            status => FetchError::new(
                FetchErrorKind::BadAnswer,
                format!("`{host}` answers {status} for {what}{told}"),
            ),
        })
    }

    fn not_allowed(&self, what: &str, status: StatusCode) -> FetchError {
        let host = &self.host;
        let tried = match self.access {
            Some(access) => format!(
                "tried with {} from {}: are they right, and may they do this?",
                access.credentials.shown(),
                access.from
            ),
            None => format!(
                "tried without credentials: a `[[registry]]` with `host = \"{host}\"` gives some, and on the command line `docker login {host}`"
            ),
        };
        FetchError::new(
            FetchErrorKind::NotAllowed,
            format!("`{host}` does not let us have {what} (status {}; {tried})", status.as_u16()),
        )
    }

    async fn send(&self, ask: &Ask<'_>) -> Result<Answer, FetchError> {
        let mut request =
            Request::new(ask.method.clone(), ask.url.clone(), self.fetcher.tls.clone());
        let words = |text: &str| HeaderValue::from_str(text).ok();
        let headers: &mut HeaderMap = &mut request.headers;
        if let Some(accept) = ask.accept.and_then(words) {
            headers.insert(ACCEPT, accept);
        }
        if let Some(content_type) = ask.content_type.and_then(words) {
            headers.insert(http::header::CONTENT_TYPE, content_type);
        }
        // An upload may go to another host, which is none of these credentials' business.
        if let Some(authorization) = &self.authorization
            && self.is_ours(&ask.url)
        {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request.body = ask.body.clone();
        request.body_limit = ask.limit.max(MAX_WORDS);
        request.downgrade = false;
        request.received = self.fetcher.received.clone();
        // Plain text is for this machine, which has no reason to send us away.
        let leads_on = !self.is_plain && ask.method == Method::GET;
        request.redirects =
            if leads_on { Redirects::Follow(MAX_REDIRECTS) } else { Redirects::Keep };
        let mut answer = self
            .fetcher
            .client
            .fetch(&request, self.deadline)
            .await
            .result
            .map_err(|failure| FetchError::unanswered(&failure, &self.host, self.is_plain))?;
        if answer.body.len() > ask.limit {
            answer.truncated = true;
        }
        Ok(answer)
    }

    /// Whether a URL is of the host that this session is with.
    fn is_ours(&self, url: &Url) -> bool {
        let own = self.host.as_str();
        let own = if own == "docker.io" { "registry-1.docker.io" } else { own };
        let scheme = if self.is_plain { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{own}/")).is_ok_and(|own| own.origin() == url.origin())
    }

    /// A token for what this session is about.
    async fn token(&self, challenge: &Challenge) -> Result<Option<HeaderValue>, FetchError> {
        let bad = |why: &str| {
            let host = &self.host;
            FetchError::new(
                FetchErrorKind::BadAnswer,
                format!("`{host}` names a server of tokens that cannot be asked: {why}"),
            )
        };
        let mut url = Url::parse(&challenge.realm)
            .map_err(|error| bad(&format!("`{}`: {error}", printable(&challenge.realm))))?;
        let is_plain = url.scheme() == "http";
        let local = url.host().is_some_and(|host: Host<&str>| is_loopback(&host));
        if url.host().is_none()
            || !(url.scheme() == "https" || (is_plain && local && self.is_plain))
        {
            return Err(bad(&format!("`{}` (expected `https`)", printable(&challenge.realm))));
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &challenge.service {
                query.append_pair("service", service);
            }
            // Ours, not what the registry says: it does not choose what we may do.
            if let Some(scope) = &self.scope {
                query.append_pair("scope", scope);
            }
        }
        let mut request = Request::new(Method::GET, url, self.fetcher.tls.clone());
        if let Some(header) = self.access.and_then(|access| access.credentials.header()) {
            request.headers.insert(AUTHORIZATION, header);
        }
        request.body_limit = MAX_WORDS;
        request.downgrade = false;
        let exchange = self.fetcher.client.fetch(&request, self.deadline).await;
        let answer = exchange
            .result
            .map_err(|failure| FetchError::unanswered(&failure, &self.host, is_plain))?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.not_allowed("a token", answer.status));
            }
            status => return Err(bad(&format!("it answers {status}"))),
        }
        #[derive(serde::Deserialize)]
        struct Told {
            token: Option<String>,
            access_token: Option<String>,
        }
        let told: Told = serde_json::from_slice(&answer.body)
            .map_err(|_foreign| bad("its answer is not the JSON that holds a token"))?;
        let token = told.token.or(told.access_token).filter(|token| token.len() <= MAX_TOKEN);
        let token = token.ok_or_else(|| bad("its answer holds no token"))?;
        Ok(Credentials::Bearer(token).header())
    }
}

/// What registries say of an error, where they say something.
fn told(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let first = &value["errors"][0];
    let word = |key: &str| first[key].as_str().filter(|text| !text.is_empty()).map(printable);
    match (word("code"), word("message")) {
        (Some(code), Some(message)) => format!(", {code}: {message}"),
        (Some(one), None) | (None, Some(one)) => format!(", {one}"),
        (None, None) => String::new(),
    }
}

/// A header `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    is_bearer: bool,
    realm: String,
    service: Option<String>,
}

impl Challenge {
    /// Reads `Bearer realm="...",service="..."` and `Basic realm="..."`.
    fn read(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        if !is_bearer && !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut challenge = Self { is_bearer, realm: String::new(), service: None };
        for _ in 0..MAX_PARAMETERS {
            rest = rest.trim_start_matches([' ', ',']);
            let Some((name, after)) = rest.split_once('=') else { break };
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => value.clone_into(&mut challenge.realm),
                "service" => challenge.service = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(challenge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://auth.example.com/token",service="r",scope="repository:a,b:pull""#;
        let found = Challenge::read(text).expect("it is one");
        assert!(found.is_bearer);
        assert_eq!(found.realm, "https://auth.example.com/token");
        assert_eq!(found.service.as_deref(), Some("r"));
        let found = Challenge::read("Basic realm=\"Registry Realm\"").expect("it is one");
        assert!(!found.is_bearer);
        assert_eq!(Challenge::read("Negotiate abc"), None);
        assert_eq!(Challenge::read("Bearer realm=\"unclosed"), None);
        assert!(Challenge::read("Bearer").is_some_and(|found| found.realm.is_empty()));
    }

    #[test]
    fn what_registries_say_of_errors_is_repeated_and_escaped() {
        let body =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\u001b unknown"}]}"#;
        assert_eq!(told(body), ", MANIFEST_UNKNOWN: manifest\\u{1b} unknown");
        assert_eq!(told(b"<html>"), "");
    }
}
