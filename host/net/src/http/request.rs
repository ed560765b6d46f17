//! What to fetch, and what came of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::{Position, Url};

use super::{Coding, Jar, To};
use crate::{Certificate, Failure, Family, Guard, Phases, Proxy, Tls, Trace};

/// One request with its limits. Made once, sent any number of times.
#[derive(Clone)]
pub struct Request {
    /// The method; a redirect may turn it into `GET`.
    pub method: Method,
    /// Where to; `http` or `https`. A user and password in it become `Authorization`.
    pub url: Url,
    /// Headers to send. `Host`, `User-Agent` and `Accept` are added unless they are here. Values
    /// marked as sensitive, like `Authorization` and `Cookie`, do not follow a redirect to another
    /// origin.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Which version of HTTP to speak.
    pub version: HttpVersion,
    /// What to do about redirects.
    pub redirects: Redirects,
    /// How much of the answer's body to keep, in bytes, once decoded; the rest is not read.
    pub body_limit: usize,
    /// Which addresses of the name to use.
    pub family: Family,
    /// Asked about each address before it is connected to, on every hop.
    pub guard: Guard,
    /// Whom to trust over `https`.
    pub tls: Tls,
    /// The proxy to go through, on every hop.
    pub proxy: Option<Proxy>,
    /// Where to connect instead of where the URL says.
    pub to: Option<To>,
    /// The codings to ask for and to decode; none leaves a body as it comes.
    pub codings: Vec<Coding>,
    /// Whose cookies go along, and who keeps those that come.
    pub jar: Option<Arc<dyn Jar>>,
    /// Whether the body must not reach another origin, also where a redirect would have it sent.
    pub secret_body: bool,
    /// Whether a redirect may lead from `https` to `http`.
    pub downgrade: bool,
    /// Told how many bytes of bodies have come so far, for whoever shows that.
    pub received: Option<Arc<AtomicU64>>,
}

impl Request {
    /// A request without headers and body: any version, no redirects, 64 KiB of body, every
    /// address, the system's trust, no proxy, no cookies, nothing decoded.
    pub fn new(method: Method, url: Url, tls: Tls) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            version: HttpVersion::default(),
            redirects: Redirects::default(),
            body_limit: 64 * 1024,
            family: Family::default(),
            guard: Guard::allow_all(),
            tls,
            proxy: None,
            to: None,
            codings: Vec::new(),
            jar: None,
            secret_body: false,
            downgrade: true,
            received: None,
        }
    }
}

/// Names the request without what could be a secret: credentials, query, headers, body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.url[Position::BeforeHost..Position::AfterPath];
        write!(f, "Request({} {}://{place})", self.method, self.url.scheme())
    }
}

/// Which version of HTTP to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// Over TLS what the server prefers, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; without TLS with prior knowledge (h2c).
    Http2,
}

impl HttpVersion {
    /// The protocols to offer over TLS.
    pub(super) const fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Auto => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        }
    }
}

/// What to do about an answer that points elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is the answer.
    #[default]
    Keep,
    /// Go there, this many times at most; one more is a failure.
    Follow(u32),
}

/// What came of a request: the answer or the failure, and all that was learnt on the way.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The answer, if it arrived whole (or up to the limit of its body).
    pub result: Result<Answer, Failure>,
    /// The status of the last head that arrived, also when its body then failed.
    pub status: Option<StatusCode>,
    /// The URL that was asked last, without credentials.
    pub url: Url,
    /// How many redirects were followed.
    pub redirects: u32,
    /// Time per phase, over all hops.
    pub phases: Phases,
    /// Time from beginning to end.
    pub total: Duration,
    /// The address of the last hop's server, or of the proxy.
    pub peer: Option<SocketAddr>,
    /// What the last hop's certificate says, whether or not it was accepted.
    pub certificate: Option<Certificate>,
    /// The version of TLS on the last hop: `1.2` or `1.3`.
    pub tls_version: Option<&'static str>,
    /// The cipher suite of TLS on the last hop, by its registered name.
    pub tls_cipher: Option<&'static str>,
    /// Whether the certificate of the last hop was verified, and accepted.
    pub tls_verified: bool,
    /// What was learnt of the first hop's name.
    pub first: First,
}

impl Exchange {
    /// What came of a request to `url` that failed before it was sent.
    pub fn unsent(url: &Url, trace: Trace, failure: Failure) -> Self {
        let mut url = url.clone();
        super::fetch::strip_credentials(&mut url);
        Self {
            result: Err(failure),
            status: None,
            url,
            redirects: 0,
            phases: trace.phases,
            total: trace.elapsed(),
            peer: None,
            certificate: None,
            tls_version: None,
            tls_cipher: None,
            tls_verified: false,
            first: First { resolve: trace.phases.resolve, address: trace.tried },
        }
    }
}

/// What was learnt of the name that a request is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct First {
    /// How long it took to resolve it.
    pub resolve: Duration,
    /// The address that was tried, also where no connection came about; the proxy's with a proxy.
    pub address: Option<SocketAddr>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The version of HTTP it came in.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decoded where [`Request::codings`] asked for that, up to [`Request::body_limit`].
    pub body: Bytes,
    /// Whether the body goes on behind the limit.
    pub truncated: bool,
}
