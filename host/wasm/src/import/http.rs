//! Outgoing HTTP: every request of a guest is decided by its grants here, and counted.
//!
//! What is refused fails for the guest, and is remembered in the run: a denial or a limit that a
//! guest swallows still decides the outcome. Redirects are the guest's business; each hop comes
//! through here again.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use wellcheck_core::grant::{Attach, Denial, GrantKind, Grants};
use wellcheck_core::limits::{KIB, RunLimits};
use wellcheck_net::{Failure, FailureKind, Guard};

use crate::host::{RunShared, lock};
use crate::text;
use crate::transport::{Body, HttpRequest, Transport};
use crate::world::Taped;

/// Bytes of one write to a request's body.
const CHUNK: usize = 64 * KIB;
/// What a guest keeps of its wall time to answer that its target did not: at most.
const LAST_WORD: Duration = Duration::from_millis(250);

type IoResult = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, IoResult), Error>;

/// Decides about the requests of one run.
pub(crate) struct HttpImport {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<RunLimits>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) shared: Arc<RunShared>,
    pub(crate) deadline: Instant,
}

impl WasiHttpHooks for HttpImport {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: IoResult,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let request = request.map(|body| {
            let broken = |error: Error| Failure::new(FailureKind::Request, error.to_string());
            body.map_err(broken).boxed_unsync()
        });
        match self.admit(request, options.unwrap_or_default(), None) {
            Ok(exchange) => Box::new(async {
                let response = exchange.run().await.map_err(error_of)?;
                let response = response.map(|body| body.map_err(error_of).boxed_unsync());
                Ok((response, Box::new(async { Ok(()) }) as IoResult))
            }),
            Err(error) => Box::new(async { Err(error) }),
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

impl HttpImport {
    /// Whether the request may be made, before anything is resolved. All of it has to be over
    /// within `whole`, where that is given.
    pub(super) fn admit(
        &self,
        request: Request<Body>,
        options: RequestOptions,
        whole: Option<Duration>,
    ) -> Result<Exchange, Error> {
        let uri = request.uri();
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(Error::HttpRequestUriInvalid);
        };
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(Error::HttpRequestUriInvalid);
        }
        // A tunnel would lead past the grants, and an echo of the request shows what was added.
        if leads_past(request.method()) {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let method = request.method().as_str();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let permit = match self.grants.http(method, scheme, host, uri.port_u16(), path) {
            Ok(permit) => permit,
            Err(denial) => {
                // A path is cut where it is shown: what is secret in it goes first.
                let shown = self.shared.redact().apply(path);
                let again = self.grants.http(method, scheme, host, uri.port_u16(), &shown);
                self.shared.deny(again.err().unwrap_or(denial));
                return Err(Error::HttpRequestDenied);
            }
        };
        let port = uri.port_u16().map_or(String::new(), |port| format!(":{port}"));
        self.shared.used(GrantKind::Http, &format!("{method} {scheme}://{host}{port}"));

        if self.shared.requests.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
            self.shared.requests.fetch_sub(1, Ordering::Relaxed);
            self.shared.refuse(format!(
                "limit of {} requests reached (limit `requests`)",
                self.limits.requests
            ));
            return Err(Error::ConnectionLimitReached);
        }
        let open = Open::new(&self.shared);
        if self.shared.requests_open.load(Ordering::Relaxed) > self.limits.concurrent_requests {
            let limit = self.limits.concurrent_requests;
            self.shared.refuse(format!(
                "limit of {limit} requests at once reached (limit `concurrent-requests`)"
            ));
            return Err(Error::ConnectionLimitReached);
        }

        let left = self.deadline.saturating_duration_since(Instant::now());
        let deadline = self.deadline - (left / 10).min(LAST_WORD);
        let soon = whole.and_then(|whole| Instant::now().checked_add(whole));
        let deadline = soon.map_or(deadline, |soon| soon.min(deadline));
        // Zero and more than there is are both asked for; neither is meant.
        let clamp =
            |asked: Option<Duration>| asked.unwrap_or(left).min(left).max(Duration::from_millis(1));
        let attach = permit.attach().cloned();
        let denied = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&denied);
        let guard = Guard::new(move |address| {
            permit.connect(address.ip()).map_err(|denial| {
                let text = denial.to_string();
                *lock(&noted) = Some(denial);
                text
            })
        });
        let limit = self.limits.body_bytes;
        let shared = Arc::clone(&self.shared);
        let tape = self.shared.tape.as_ref();
        let taped = tape.map(|tape| tape.request(request.method(), uri, request.headers()));
        let mut request = request.map(|body| {
            let body = Limited::new(body, limit, "request", shared, None);
            match &taped {
                Some(taped) => taped.sending(body.boxed_unsync()),
                None => body.boxed_unsync(),
            }
        });
        if let Some(attach) = &attach {
            add(attach, request.headers_mut())?;
        }
        Ok(Exchange {
            request: HttpRequest {
                request,
                identity: attach.and_then(|attach| attach.identity.clone()),
                guard,
                deadline,
                connect: clamp(options.connect_timeout),
                first_byte: clamp(options.first_byte_timeout),
                between_bytes: clamp(options.between_bytes_timeout),
            },
            transport: Arc::clone(&self.transport),
            denied,
            open,
            limit,
            taped,
        })
    }
}

/// Whether a request could do more than ask: `CONNECT` and `TRACE`, in any case of their letters,
/// since there are servers that see no difference.
fn leads_past(method: &Method) -> bool {
    [Method::CONNECT, Method::TRACE]
        .iter()
        .any(|past| past.as_str().eq_ignore_ascii_case(method.as_str()))
}

/// Adds what a grant adds, in place of what the guest sent under those names.
fn add(attach: &Attach, headers: &mut http::HeaderMap) -> Result<(), Error> {
    for (name, value) in &attach.headers {
        // Both were looked at when the grant was read.
        let broken = || Error::InternalError(Some("a granted header is not valid".to_owned()));
        let name = HeaderName::try_from(name).map_err(|_invalid| broken())?;
        let mut value = HeaderValue::try_from(value).map_err(|_invalid| broken())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}

/// One request under way.
pub(super) struct Exchange {
    request: HttpRequest,
    transport: Arc<dyn Transport>,
    denied: Arc<Mutex<Option<Denial>>>,
    open: Open,
    limit: usize,
    taped: Option<Taped>,
}

impl Exchange {
    /// When all of it has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.request.deadline
    }

    /// Where it is noted, if anywhere.
    pub(super) fn taped(&self) -> Option<Taped> {
        self.taped.clone()
    }

    pub(super) async fn run(self) -> Result<Response<Body>, Failure> {
        let Self { request, transport, denied, open, limit, taped } = self;
        let deadline = request.deadline;
        let sent = tokio::time::timeout_at(deadline, transport.send(request)).await;
        let response = match sent {
            Err(_elapsed) => return Err(Failure::new(FailureKind::Timeout, "no answer in time")),
            Ok(Err(failure)) => {
                if let Some(taped) = &taped {
                    taped.failed(&failure);
                }
                // A name may stand for several addresses, of which one is allowed. Only if none
                // could be connected to was the request denied.
                if failure.kind == FailureKind::Denied
                    && let Some(denial) = lock(&denied).take()
                {
                    open.0.deny(denial);
                }
                return Err(failure);
            }
            Ok(Ok(response)) => response,
        };
        let shared = Arc::clone(&open.0);
        if let Some(taped) = &taped {
            taped.answered(response.status().as_u16(), response.headers());
        }
        Ok(response.map(|body| {
            let body = match &taped {
                Some(taped) => taped.receiving(body),
                None => body,
            };
            Limited::new(body, limit, "response", shared, Some(open)).boxed_unsync()
        }))
    }
}

/// Counts as a request under way until it is dropped.
struct Open(Arc<RunShared>);

impl Open {
    fn new(shared: &Arc<RunShared>) -> Self {
        shared.requests_open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.requests_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that ends in an error when it is longer than allowed.
struct Limited {
    body: Body,
    left: usize,
    limit: usize,
    what: &'static str,
    shared: Arc<RunShared>,
    open: Option<Open>,
}

impl Limited {
    fn new(
        body: Body,
        limit: usize,
        what: &'static str,
        shared: Arc<RunShared>,
        open: Option<Open>,
    ) -> Self {
        Self { body, left: limit, limit, what, shared, open }
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            self.open = None;
            return Poll::Ready(frame);
        };
        let size = frame.data_ref().map_or(0, Bytes::len);
        self.shared.bytes.fetch_add(size as u64, Ordering::Relaxed);
        let Some(left) = self.left.checked_sub(size) else {
            self.left = 0;
            self.open = None;
            let limit = format!(
                "limit of {} for a {} body reached (limit `body-bytes`)",
                text::bytes(self.limit),
                self.what
            );
            self.shared.refuse(limit.clone());
            return Poll::Ready(Some(Err(Failure::new(FailureKind::TooLarge, limit))));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the guest is told.
fn error_of(failure: Failure) -> Error {
    match failure.kind {
        FailureKind::Resolve => Error::DnsError { rcode: Some(failure.message), info_code: None },
        FailureKind::Denied => Error::HttpRequestDenied,
        FailureKind::Refused => Error::ConnectionRefused,
        FailureKind::Unreachable => Error::DestinationUnavailable,
        FailureKind::TlsExpired
        | FailureKind::TlsNotYetValid
        | FailureKind::TlsWrongName
        | FailureKind::TlsUntrusted
        | FailureKind::TlsIncomplete => Error::TlsCertificateError,
        FailureKind::TlsVersion
        | FailureKind::TlsClientCertificate
        | FailureKind::TlsProtocol
        | FailureKind::TlsOther => Error::TlsProtocolError,
        FailureKind::Protocol => Error::HttpProtocolError,
        FailureKind::Closed => Error::ConnectionTerminated,
        FailureKind::TooLarge => Error::HttpResponseBodySize(None),
        FailureKind::Redirect => Error::LoopDetected,
        FailureKind::Timeout => Error::HttpResponseTimeout,
        FailureKind::Request | FailureKind::Local | FailureKind::Proxy => {
            Error::InternalError(Some(failure.message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_tunnel_or_an_echo_is_sent() {
        for (method, expected) in [
            ("CONNECT", true),
            ("connect", true),
            ("Trace", true),
            ("GET", false),
            ("TRACES", false),
        ] {
            let found = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(leads_past(&found), expected, "{method}");
        }
    }
}
