//! Requests that leave by the network: a connection for each, driven by whoever reads the answer.
//!
//! Nothing is pooled and no task is spawned, so that dropping the exchange closes its connection.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use wellcheck_core::grant::ClientIdentity;
use wellcheck_net::http::{Client, Driver, HttpVersion, Route, Scheme, explain};
use wellcheck_net::{Failure, FailureKind, Family, Identity, Tls, Trace};

use super::{Body, HttpRequest, HttpResponse, Resolving, Transport};
use crate::host::lock;

/// Most client certificates whose settings are kept ready.
const MAX_IDENTITIES: usize = 64;

/// The network, by the client that the built-in checks use.
#[derive(Debug, Clone)]
pub struct NetTransport {
    client: Client,
    tls: Tls,
    /// The settings for each client certificate, by the hash of certificate and key.
    identities: Arc<Mutex<HashMap<blake3::Hash, Tls>>>,
}

impl NetTransport {
    /// Connects with `client` and trusts whom `tls` trusts.
    pub fn new(client: Client, tls: Tls) -> Self {
        Self { client, tls, identities: Arc::default() }
    }

    fn tls(&self, identity: Option<&ClientIdentity>) -> Result<Tls, Failure> {
        let Some(identity) = identity else { return Ok(self.tls.clone()) };
        let (certificate, key) = (identity.certificate.as_bytes(), identity.key.as_bytes());
        let name = blake3::Hasher::new()
            .update(&(certificate.len() as u64).to_le_bytes())
            .update(certificate)
            .update(key)
            .finalize();
        let mut identities = lock(&self.identities);
        if let Some(tls) = identities.get(&name) {
            return Ok(tls.clone());
        }
        let tls = Identity::from_pem(certificate, key)
            .and_then(|identity| self.tls.with_identity(identity))
            .map_err(|error| Failure::new(FailureKind::Local, error.to_string()))?;
        if identities.len() >= MAX_IDENTITIES {
            identities.clear();
        }
        identities.insert(name, tls.clone());
        Ok(tls)
    }
}

impl Transport for NetTransport {
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let tls = this.tls(request.identity.as_ref())?;
            exchange(&this.client, &tls, request).await
        })
    }

    fn resolve(&self, name: &str) -> Resolving {
        let (client, name) = (self.client.clone(), name.to_owned());
        Box::pin(async move { client.resolver().lookup(&name, Family::Any).await })
    }
}

async fn exchange(
    client: &Client,
    tls: &Tls,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let HttpRequest { request, guard, deadline, connect, first_byte, between_bytes, .. } = request;
    let uri = request.uri().clone();
    let invalid = || Failure::new(FailureKind::Request, "the request's URI is not absolute");
    let host = uri.host().ok_or_else(invalid)?;
    let scheme = uri.scheme_str().and_then(Scheme::parse).ok_or_else(invalid)?;
    let port = uri.port_u16().unwrap_or(scheme.default_port());

    let route = Route {
        scheme,
        host,
        port,
        // What a guest sends is written for HTTP/1.1, and one request gains nothing from HTTP/2.
        version: HttpVersion::Http1,
        family: Family::Any,
        guard: &guard,
        tls,
        proxy: None,
    };
    let mut trace = Trace::new(deadline.min(Instant::now() + connect));
    let (mut sender, mut driver) = client.open(&route, &mut trace).await?;

    let until = deadline.min(Instant::now() + first_byte);
    let head = timeout_at(until, driver.beside(sender.send(request))).await;
    let head = head.map_err(|_elapsed| {
        let message = format!("timed out after {first_byte:?} while waiting for `{host}:{port}`");
        Failure::new(FailureKind::Timeout, message)
    })??;
    Ok(head.map(|incoming| {
        let pause = Box::pin(sleep_until(deadline));
        let peer = format!("{host}:{port}");
        Driven { incoming, driver, peer, pause, is_waiting: false, between_bytes, deadline }
            .boxed_unsync()
    }))
}

/// An answer's body that moves its own connection.
struct Driven {
    incoming: Incoming,
    driver: Driver<Body>,
    peer: String,
    pause: Pin<Box<Sleep>>,
    /// Whether `pause` runs: only while somebody wants more.
    is_waiting: bool,
    between_bytes: Duration,
    deadline: Instant,
}

impl http_body::Body for Driven {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.incoming).poll_frame(context);
        if frame.is_pending() {
            // How the connection ended is told to the body by the connection itself.
            let _ended = Pin::new(&mut this.driver).poll(context);
            frame = Pin::new(&mut this.incoming).poll_frame(context);
        }
        match frame {
            Poll::Ready(frame) => {
                this.is_waiting = false;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| explain(&error, &this.peer))))
            }
            Poll::Pending => {
                if !this.is_waiting {
                    this.is_waiting = true;
                    let limit = this.deadline.min(Instant::now() + this.between_bytes);
                    this.pause.as_mut().reset(limit);
                }
                std::task::ready!(this.pause.as_mut().poll(context));
                let message = format!("timed out while reading the answer of `{}`", this.peer);
                Poll::Ready(Some(Err(Failure::new(FailureKind::Timeout, message))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
