//! How a guest's HTTP requests leave: the seam between the sandbox and the network.
//!
//! The sandbox decides whether a request may be made at all, and judges every address; a transport
//! only carries it. Tests and replays put a scripted world here.

mod net;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::Instant;
use wellcheck_core::grant::ClientIdentity;
use wellcheck_net::{Failure, FailureKind, Guard};

pub use self::net::NetTransport;

/// A body on its way, in either direction.
pub type Body = UnsyncBoxBody<Bytes, Failure>;

/// One request of a guest that its grants allow so far.
#[derive(Debug)]
pub struct HttpRequest {
    /// With an absolute URI and a `host` header.
    pub request: http::Request<Body>,
    /// Who the host is, where a grant says so and the server asks.
    pub identity: Option<ClientIdentity>,
    /// Asked about every address before a connection to it is made.
    pub guard: Guard,
    /// The request, its body and the answer's body end by then.
    pub deadline: Instant,
    /// Longest until the connection stands.
    pub connect: Duration,
    /// Longest from then until the answer begins.
    pub first_byte: Duration,
    /// Longest pause within the answer's body.
    pub between_bytes: Duration,
}

/// The head of the answer, and its body as it comes.
pub type HttpResponse = http::Response<Body>;

/// Carries requests. Follows no redirects, retries nothing, and resolves a name once: the address
/// that the guard allowed is the address that is connected to.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request. Dropping the future, or the body of its answer, ends the exchange.
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send>>;

    /// The addresses of a name, for sockets. The caller bounds the time.
    fn resolve(&self, name: &str) -> Resolving;
}

/// A look-up under way.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Failure>> + Send>>;

/// A transport that reaches nothing; for hosts that only look at plugins.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTransport;

impl Transport for NoTransport {
    fn send(
        &self,
        _request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send>> {
        Box::pin(async {
            Err(Failure::new(FailureKind::Unreachable, "this host makes no requests"))
        })
    }

    fn resolve(&self, _name: &str) -> Resolving {
        Box::pin(async { Err(Failure::new(FailureKind::Resolve, "this host resolves no names")) })
    }
}
