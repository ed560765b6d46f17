//! HTTP in one call: a request goes out, the whole answer comes back.
//!
//! ```no_run
//! use wellcheck_plugin::{Report, Stop, http};
//!
//! fn run() -> Result<Report, Stop> {
//!     let depth: u64 = http::get("http://queue.test/depth")?.expect_status(200)?.json()?;
//!     Ok(Report::pass(format!("{depth} jobs wait")).observe(("depth", depth as f64)))
//! }
//! ```
//!
//! An [`Error`] that is passed on with `?` is a report: the target fails. One deadline bounds the
//! whole exchange: a little before the host would end the run, so that a slow target is a `fail` and
//! not a fault of the check. Redirects are not followed. What may be reached, the check's grants say.

use crate::bindings::wellcheck::check::http as host;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Why there is no answer that would do, in words for the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// A word: `refused`, `timeout`, `tls-expired`, ... of the host, or `status`, `body` of the
    /// answer's own methods.
    pub kind: String,
    /// `connection refused`.
    pub message: String,
}

impl Error {
    fn new(kind: &str, message: String) -> Self {
        Self { kind: kind.to_owned(), message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.message
    }
}

/// Gets `url`.
///
/// # Errors
///
/// When there is no answer; an answer of any status is one.
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::new("GET", url).send()
}

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Request(host::Request);

impl Request {
    /// A request without a body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self(host::Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: None,
        })
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// Sends these bytes along.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Sends a value as JSON, with the header that says so.
    ///
    /// # Panics
    ///
    /// When `body` has no form in JSON, for example a map whose keys are not texts.
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the caller gives what has a form in JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Time until the whole answer has to be there; what is left of the run unless given.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// When there is no whole answer; an answer of any status is one.
    pub fn send(self) -> Result<Response, Error> {
        match host::fetch(&self.0) {
            Ok(host::Response { status, headers, body, .. }) => {
                Ok(Response { status, headers, body })
            }
            Err(host::Error { kind, message }) => Err(Error { kind, message }),
        }
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Response {
    /// This answer, if it has that status.
    ///
    /// # Errors
    ///
    /// With any other: `answered 503, expected 200`.
    pub fn expect_status(self, status: u16) -> Result<Self, Error> {
        if self.status == status {
            return Ok(self);
        }
        Err(Error::new("status", format!("answered {}, expected {status}", self.status)))
    }

    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new("body", format!("the answer is not the expected JSON: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_what_it_should_be() {
        let answer = |status, body: &str| Response {
            status,
            headers: vec![("x".to_owned(), "1".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        assert_eq!(answer(200, "7").expect_status(200).unwrap().json::<u32>().unwrap(), 7);
        assert_eq!(answer(200, "").header("x"), Some("1"));
        let error = answer(503, "7").expect_status(200).unwrap_err();
        assert_eq!(
            (error.kind.as_str(), error.to_string().as_str()),
            ("status", "answered 503, expected 200")
        );
        let error = answer(200, "<html>").json::<u32>().unwrap_err().to_string();
        assert!(error.starts_with("the answer is not the expected JSON: "), "{error}");
    }
}
