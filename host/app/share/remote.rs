//! The same question to another instance, by its API: for shares that live elsewhere, and for the
//! command line.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use url::Url;
use wellcheck_net::http::{Client, Redirects, Request};

use super::{Asker, MEDIA_TYPE, Question, Verdict, wire};

/// Comes with a question that has been passed on once, and is not passed on again.
pub(crate) const RELAYED: &str = "wellcheck-relayed";

/// What the other side may take longer than the question itself.
const GRACE: Duration = Duration::from_secs(2);

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Longest part of a refusal that is repeated, in characters.
const MAX_REFUSAL: usize = 300;

/// Another instance.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    /// Where it listens.
    pub(crate) base: &'a str,
    /// The route below it.
    pub(crate) path: &'a str,
    /// What lets us in.
    pub(crate) token: Option<&'a str>,
    /// Whether the question came from somebody else.
    pub(crate) is_relayed: bool,
}

/// How long a question to another instance takes at most.
pub(crate) fn longest(question: &Question) -> Duration {
    question.timeout() + GRACE
}

/// Asks another instance.
///
/// # Errors
/// Why there is no verdict; without the token.
pub(crate) async fn relay(
    asker: &Asker,
    peer: Peer<'_>,
    question: &Question,
) -> Result<Verdict, String> {
    let Asker { client, trusting_system, .. } = asker;
    let url = format!("{}{}", peer.base.trim_end_matches('/'), peer.path);
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let mut request = Request::new(Method::POST, url, trusting_system.clone());
    request.headers = headers(peer)?;
    request.body = wire::encoded(question).into();
    request.redirects = Redirects::Keep;
    request.body_limit = MAX_ANSWER;
    let answer = fetch(client, &request, longest(question)).await?;
    if !answer.status.is_success() {
        return Err(refusal(answer.status.as_u16(), &answer.body));
    }
    if answer.truncated {
        return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
    }
    wire::decoded(&answer.body)
}

async fn fetch(
    client: &Client,
    request: &Request,
    limit: Duration,
) -> Result<wellcheck_net::http::Answer, String> {
    let exchange = Box::pin(client.fetch(request, Instant::now() + limit)).await;
    exchange.result.map_err(|failure| failure.message)
}

fn headers(peer: Peer<'_>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Some(token) = peer.token {
        let mut token =
            HeaderValue::from_str(token).map_err(|_| "no header can carry the token".to_owned())?;
        token.set_sensitive(true);
        headers.insert("x-token", token);
    }
    if peer.is_relayed {
        headers.insert(RELAYED, HeaderValue::from_static("1"));
    }
    Ok(headers)
}

/// What an answer says that is no verdict.
fn refusal(code: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => value["error"]["message"].as_str().unwrap_or(&text).to_owned(),
        Err(_) => text.into_owned(),
    };
    let said: String = said.trim().chars().take(MAX_REFUSAL).flat_map(char::escape_debug).collect();
    if said.is_empty() { format!("answered {code}") } else { format!("answered {code}: {said}") }
}
