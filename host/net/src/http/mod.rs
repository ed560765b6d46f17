//! HTTP/1.1 and HTTP/2 requests, each on a connection of its own.
//!
//! Two ways in, one way out:
//!
//! - [`Client::fetch`] sends one request, follows redirects, reads the body up to a limit and
//!   says how long each phase took. For checks.
//! - [`Client::open`] makes the connection and hands out its two halves, a [`Sender`] and a
//!   [`Driver`]. For callers that stream bodies in either direction, and for `fetch` itself.
//!
//! Nothing is pooled or retried, and decoded only for [`Request::codings`]. No task is spawned: the connection moves while its
//! driver is polled, and dropping the driver closes it.

mod coding;
mod connection;
mod fetch;
mod jar;
mod redirect;
mod request;
mod tasks;
mod to;
mod wire;

use std::fmt;

use bytes::Bytes;
use http_body::Body;

pub use coding::Coding;
pub use connection::{BoxError, Driver, Sender, explain};
pub use jar::Jar;
pub use request::{Answer, Exchange, First, HttpVersion, Redirects, Request};
pub use to::To;

use crate::{
    Connector, Dial, Failure, FailureKind, Family, Guard, Proxy, Resolver, Stream, Tls, Trace,
};

/// Largest head of an answer, in bytes; more is [`FailureKind::TooLarge`], over HTTP/2
/// [`FailureKind::Protocol`].
pub const MAX_HEAD: usize = 64 * 1024;

/// Most headers of an HTTP/1.1 answer; more is [`FailureKind::TooLarge`]. The parser's own limit,
/// up to which it needs no heap.
pub const MAX_HEADERS: usize = 100;

/// Sends requests; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    connector: Connector,
}

/// Where a connection goes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// With or without TLS.
    pub scheme: Scheme,
    /// A name or an address, IPv6 with or without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Which version of HTTP to speak.
    pub version: HttpVersion,
    /// Which addresses of the name to use.
    pub family: Family,
    /// Asked about each address before it is connected to.
    pub guard: &'a Guard,
    /// Used with [`Scheme::Https`].
    pub tls: &'a Tls,
    /// The proxy to go through.
    pub proxy: Option<&'a Proxy>,
}

/// The two schemes that this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// Reads `http` or `https`, in lower case as URLs have it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL leaves out.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Client {
    /// A client that asks `resolver` for addresses.
    pub const fn new(resolver: Resolver) -> Self {
        Self { connector: Connector::new(resolver) }
    }

    /// The resolver in use.
    pub const fn resolver(&self) -> &Resolver {
        self.connector.resolver()
    }

    /// The same, whose connections go only where `guard` lets them, on every hop. With a proxy, it
    /// is asked about the target's name, and the proxy's own address is nobody's business.
    #[must_use]
    pub fn guarded(&self, guard: Guard) -> Self {
        Self { connector: self.connector.guarded(guard) }
    }

    /// The same, which asks `resolver` for addresses.
    #[must_use]
    pub fn resolving(&self, resolver: Resolver) -> Self {
        Self { connector: self.connector.resolving(resolver) }
    }

    /// What makes its TCP connections.
    pub const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Connects along `route` within the deadline of `trace`, up to where a request can be sent.
    ///
    /// The deadline does not bind what is sent afterwards. The driver must be polled for anything
    /// to move; see [`Driver`].
    pub async fn open<B>(
        &self,
        route: &Route<'_>,
        trace: &mut Trace,
    ) -> Result<(Sender<B>, Driver<B>), Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        self.open_to(route, None, trace).await
    }

    /// Likewise, with the connection made to where `to` says; the request is for `route` all the
    /// same, and so is the certificate.
    pub async fn open_to<B>(
        &self,
        route: &Route<'_>,
        to: Option<&To>,
        trace: &mut Trace,
    ) -> Result<(Sender<B>, Driver<B>), Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if let Some(To::Unix(path)) = to {
            let stream = Stream::Unix(self.unix(path, route, trace).await?);
            let peer = path.display().to_string();
            return match route.version {
                HttpVersion::Http2 => Box::pin(connection::http2(stream, peer, trace)).await,
                _ => connection::http1(stream, peer, wire::Form::Path).await,
            };
        }
        let tcp = self.tcp(route, to, trace).await?;
        let (stream, negotiated) = match route.scheme {
            Scheme::Http => (Stream::Plain(tcp), None),
            Scheme::Https => {
                // Boxed: the state of a handshake would make every plain request's future large.
                let handshake = route.tls.handshake(tcp, route.host, route.version.alpn(), trace);
                let tls = Box::pin(handshake).await?;
                let negotiated = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                (Stream::Tls(Box::new(tls)), negotiated)
            }
        };
        let is_http2 = match (route.version, negotiated.as_deref()) {
            (_, Some(b"h2")) => true,
            (HttpVersion::Http2, None) if route.scheme == Scheme::Http => true,
            (HttpVersion::Http2, _) => {
                let message = format!("`{}` does not agree to HTTP/2 over TLS", route.host);
                return Err(Failure::new(FailureKind::Protocol, message));
            }
            _ => false,
        };
        let peer = format!("{}:{}", route.host, route.port);
        if is_http2 {
            Box::pin(connection::http2(stream, peer, trace)).await
        } else {
            let form = match route.proxy {
                Some(proxy) if route.scheme == Scheme::Http => {
                    wire::Form::Url(proxy.authorization().cloned())
                }
                _ => wire::Form::Path,
            };
            connection::http1(stream, peer, form).await
        }
    }

    async fn tcp(
        &self,
        route: &Route<'_>,
        to: Option<&To>,
        trace: &mut Trace,
    ) -> Result<tokio::net::TcpStream, Failure> {
        let Route { host, port, family, guard, .. } = *route;
        let dial = Dial { host, port, family, guard };
        let Some(proxy) = route.proxy else {
            return match to {
                Some(To::Address(address)) => self.connector.tcp_at(&dial, *address, trace).await,
                Some(To::Host { host, port }) => {
                    self.connector.tcp(&Dial { host, port: *port, ..dial }, trace).await
                }
                Some(To::Unix(_)) | None => self.connector.tcp(&dial, trace).await,
            };
        };
        if route.scheme == Scheme::Http && route.version == HttpVersion::Http2 {
            let message = format!("{proxy} cannot pass on HTTP/2 without TLS");
            return Err(Failure::new(FailureKind::Proxy, message));
        }
        self.connector.guard().unresolved(host, port).map_err(crate::connect::denied)?;
        Box::pin(async {
            let to_proxy = self.connector.guarded(Guard::allow_all());
            let mut stream = proxy.connect(&to_proxy, &dial, trace).await?;
            if route.scheme == Scheme::Https {
                proxy.tunnel(&mut stream, host, port, trace).await?;
            }
            Ok(stream)
        })
        .await
    }
}
