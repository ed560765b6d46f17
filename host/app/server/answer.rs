//! Answers: a code, a body that may be shared with other connections, and a few headers.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// Media type of plain text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// An answer before it is on its way.
#[derive(Debug)]
pub(crate) struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// An answer with a body of some media type. It is for now, and nobody should keep it, unless
    /// [`Answer::with`] says otherwise.
    pub(crate) fn new(code: u16, media_type: impl Into<Cow<'static, str>>, body: Bytes) -> Self {
        let media_type = match media_type.into() {
            Cow::Borrowed(text) => HeaderValue::from_static(text),
            Cow::Owned(text) => {
                HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(TEXT))
            }
        };
        let no_store = HeaderValue::from_static("no-store");
        Self { code, headers: HeaderMap::new(), body }
            .with(CONTENT_TYPE, media_type)
            .with(CACHE_CONTROL, no_store)
            .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }

    /// An answer without headers but the one against guessing media types.
    pub(super) fn bare(code: u16, body: Bytes) -> Self {
        Self { code, headers: HeaderMap::new(), body }
            .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }

    /// Sets a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Plain text.
    pub(crate) fn text(code: u16, body: impl Into<Bytes>) -> Self {
        Self::new(code, TEXT, body.into())
    }

    /// JSON that has been encoded already.
    pub(crate) fn json_bytes(code: u16, body: Bytes) -> Self {
        Self::new(code, JSON, body)
    }

    /// JSON.
    pub(crate) fn json(code: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("answers have string keys");
        Self::json_bytes(code, body.into())
    }

    /// No such route.
    pub(crate) fn not_found(path: &str) -> Self {
        let shown: String = path.chars().take(100).collect();
        Problem::new(
            404,
            "not-found",
            format!("there is nothing at `{shown}` (`GET /` lists what there is)"),
        )
        .into()
    }

    /// No such check or group.
    pub(super) fn unknown_item(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        let message = format!("there is no check or group `{shown}` (`GET /health` shows them)");
        Problem::new(404, "unknown-check", message).into()
    }

    /// No such check.
    pub(crate) fn unknown_check(name: &str) -> Self {
        Problem::unknown_check(name).into()
    }

    /// The route is there, but takes other methods.
    pub(crate) fn method_not_allowed(path: &str, allow: &'static str) -> Self {
        let message = format!("`{path}` takes {allow}");
        Self::from(Problem::new(405, "method-not-allowed", message))
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// As it goes out.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}

/// The one place where an error becomes HTTP. `code` is stable, `message` is for people.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    message: String,
}

impl Problem {
    /// A problem with its HTTP status.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// There is no check of that name.
    pub(crate) fn unknown_check(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        Self::new(
            404,
            "unknown-check",
            format!("there is no check `{shown}` (`GET /api/v1/checks` lists them)"),
        )
    }

    /// The same with another HTTP status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = serde_json::json!({
            "error": { "code": problem.code, "message": problem.message }
        });
        let answer = Self::json(problem.status, &body);
        match problem.status {
            401 => answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => answer,
        }
    }
}
