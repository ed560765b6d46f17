//! A small blocking HTTP client over `wasi:http`, for guests that go the way of streams.
//!
//! One deadline bounds the whole exchange: a little before the host would end the run, so that a
//! slow target is a `fail` that the plugin reports and not a fault of the check. Redirects are
//! not followed, and the answer's body is read up to a limit. What may be reached, the check's
//! grants say; a denial is an [`Error`] like any other here, and the host shows it as what it is.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use wellcheck_plugin::bindings::wasi::clocks::monotonic_clock;
use wellcheck_plugin::bindings::wasi::http::outgoing_handler;
pub use wellcheck_plugin::bindings::wasi::http::types::Method;
use wellcheck_plugin::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, Scheme,
};
use wellcheck_plugin::bindings::wasi::io::poll::{self, Pollable};
use wellcheck_plugin::bindings::wasi::io::streams::StreamError;
use wellcheck_plugin::bindings::wellcheck::check::context;

/// The largest body of an answer that is read unless [`Request::body_limit`] says otherwise. The
/// host has a limit of its own, which makes the run a fault.
pub const BODY_LIMIT: usize = 1 << 20;

/// Why there is no answer, in words for the report: `connection refused`, `no answer in time`.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.0
    }
}

/// Gets `url`.
///
/// # Errors
///
/// When there is no answer; an answer of any status is one.
pub fn get(url: &str) -> Result<Response, Error> {
    Request::new(Method::Get, url).send()
}

/// A request that is being put together.
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    body_limit: usize,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            body_limit: BODY_LIMIT,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Sends these bytes along.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
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

    /// The largest body of an answer, in bytes; a longer one is an [`Error`].
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When there is no whole answer; an answer of any status is one.
    pub fn send(mut self) -> Result<Response, Error> {
        let deadline = Deadline::new();
        let (scheme, authority, path) = split(&self.url)?;
        let mut add =
            |name: &str, value: String| self.headers.push((name.to_owned(), value.into_bytes()));
        if let Some(parent) = context::traceparent() {
            add("traceparent", parent);
        }
        if !self.body.is_empty() {
            add("content-length", self.body.len().to_string());
        }
        let headers = Fields::from_list(&self.headers)
            .map_err(|e| Error(format!("a header cannot be sent: {e}")))?;
        let request = OutgoingRequest::new(headers);
        request
            .set_method(&self.method)
            .and_then(|()| request.set_scheme(Some(&scheme)))
            .and_then(|()| request.set_authority(Some(authority)))
            .and_then(|()| request.set_path_with_query(Some(&path)))
            .map_err(|()| Error(format!("not a URL that can be asked for: `{}`", self.url)))?;
        let outgoing = request.body().expect("taken once");
        let answer = outgoing_handler::handle(request, None).map_err(code)?;
        // The connection reads the body as it is written, so the request has to be under way.
        write(outgoing, &self.body, &deadline)?;
        deadline.wait(&answer.subscribe())?;
        let answer = answer.get().expect("ready").expect("taken once").map_err(code)?;
        Response::read(answer, self.body_limit, &deadline)
    }
}

/// An answer, whole.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Response {
    fn read(answer: IncomingResponse, limit: usize, deadline: &Deadline) -> Result<Self, Error> {
        let status = answer.status();
        let headers = answer.headers().entries();
        let incoming: IncomingBody = answer.consume().expect("taken once");
        let mut body = Vec::new();
        let stream = incoming.stream().expect("taken once");
        loop {
            // One more than the limit, to tell a body that just fits from one that does not.
            match stream.read((limit + 1 - body.len()) as u64) {
                Ok(chunk) if chunk.is_empty() => deadline.wait(&stream.subscribe())?,
                Ok(chunk) => body.extend(chunk),
                Err(StreamError::Closed) => {
                    return Ok(Self { status, headers, body });
                }
                Err(StreamError::LastOperationFailed(e)) => {
                    return Err(Error(format!("the answer broke off: {}", e.to_debug_string())));
                }
            }
            if body.len() > limit {
                return Err(Error(format!("the answer is longer than {limit} bytes")));
            }
        }
    }

    /// The first header of this name, given in lower case, where it is a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|e| Error(format!("the answer is not the expected JSON: {e}")))
    }
}

/// When the exchange has to be over.
struct Deadline(Pollable);

impl Deadline {
    fn new() -> Self {
        // A tenth, at most a tenth of a second, is left for the report.
        let remaining = context::remaining_ms();
        let millis = remaining - (remaining / 10).min(100);
        Self(monotonic_clock::subscribe_duration(millis.saturating_mul(1_000_000)))
    }

    fn wait(&self, pollable: &Pollable) -> Result<(), Error> {
        match poll::poll(&[pollable, &self.0])[0] {
            0 => Ok(()),
            _ => Err(Error("no answer in time".to_owned())),
        }
    }
}

fn write(outgoing: OutgoingBody, mut body: &[u8], deadline: &Deadline) -> Result<(), Error> {
    let stream = outgoing.write().expect("taken once");
    while !body.is_empty() {
        let room = match stream.check_write() {
            Ok(room) => body.len().min(usize::try_from(room).unwrap_or(usize::MAX)),
            // The target answered without reading it all; the answer says what it made of it.
            Err(_) => break,
        };
        if room == 0 {
            deadline.wait(&stream.subscribe())?;
        } else if stream.write(&body[..room]).is_err() {
            break;
        } else {
            body = &body[room..];
        }
    }
    drop(stream);
    // An error here is one of the answer, which comes with a better one.
    let _ = OutgoingBody::finish(outgoing, None);
    Ok(())
}

/// Scheme, authority, path with query.
fn split(url: &str) -> Result<(Scheme, &str, String), Error> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (Scheme::Http, rest)
    } else {
        return Err(Error(format!("not an http:// or https:// URL: `{url}`")));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((scheme, authority, format!("{slash}{path}")))
}

/// `ConnectionRefused` reads `connection refused`.
fn code(code: ErrorCode) -> Error {
    match code {
        ErrorCode::InternalError(Some(text)) => return Error(text),
        ErrorCode::DnsError(_) => return Error("the name does not resolve".to_owned()),
        _ => {}
    }
    let text = format!("{code:?}");
    let name = text.rsplit("::").next().unwrap_or(&text);
    let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(name);
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    Error(words)
}
