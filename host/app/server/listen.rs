//! Connections: the only module that names hyper's server.
//!
//! HTTP/1.1 only where health is served: nothing that asks for it needs more, and most attacks of the
//! last years were on HTTP/2. That is spoken where gRPC is, and bounded more. Connections are bounded
//! in number over all listeners, requests in the size and the time of their heads, answers in how long
//! they wait to be read; a body is read only by the routes that ask for it. When the process is about to end, open requests are finished,
//! and idle connections closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use wellcheck_core::config::Server;
use wellcheck_core::endpoint::{ListenSpec, Protocol};

use super::grpc::{self, Watchers};
use super::stall::Unstalled;
use super::{App, Site};

/// Longest until the head of a request has arrived, also of the next one on a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest that an answer waits for the other side to read on; then the connection ends.
const STALLED: Duration = Duration::from_secs(30);

/// Largest head of a request, in bytes; more is answered with 431.
const MAX_HEAD: usize = 32 * 1024;

/// Most headers of a request; more is answered with 431.
const MAX_HEADERS: usize = 100;

/// Most calls at once on a connection for gRPC.
const MAX_STREAMS: u32 = 64;

/// Largest head of a call of gRPC, in bytes.
const MAX_CALL_HEAD: u32 = 16 * 1024;

/// How often the other side of a connection for gRPC must show that it is there.
const PING: Duration = Duration::from_secs(20);

/// How long it has for that.
const PONG: Duration = Duration::from_secs(10);

/// A connection for gRPC on which nothing is asked and nothing watched ends after this long, or
/// twice this long.
const IDLE: Duration = Duration::from_secs(60);

/// How long such a connection has to end in good order.
const GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed accept: usually there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Whether the process is about to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Whether it is.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A bound address, and what is served there.
pub(crate) struct Listener {
    listener: TcpListener,
    protocol: Protocol,
    site: Site,
}

impl Listener {
    /// Binds an address in the place of the one of `[server]`, with what that serves.
    ///
    /// # Errors
    /// When it is taken, or not ours.
    pub(crate) async fn main(address: SocketAddr, server: &Server) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, protocol: Protocol::Http, site: Site::main(server) })
    }

    /// Binds the address of a `[[listen]]`.
    ///
    /// # Errors
    /// When it is taken, or not ours.
    pub(crate) async fn further(spec: &ListenSpec) -> std::io::Result<Self> {
        let listener = TcpListener::bind(spec.address).await?;
        Ok(Self { listener, protocol: spec.protocol, site: Site::of(spec) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    async fn run(self, app: Arc<App>, shared: Shared) {
        let Self { listener, protocol, site } = self;
        let Shared { places, watchers, mut stopped } = shared;
        let site = Arc::new(site);
        let mut connections = JoinSet::new();
        loop {
            // Never more than were open at the last look.
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                biased;
                _ = stopped.changed() => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((stream, place)) = accepted else { continue };
            // An answer is one write; waiting for more to send with it would only delay it.
            let _ = stream.set_nodelay(true);
            let (app, stopped) = (Arc::clone(&app), stopped.clone());
            let (site, watchers) = (Arc::clone(&site), watchers.clone());
            connections.spawn(async move {
                match protocol {
                    Protocol::Http => http(stream, app, site, stopped).await,
                    Protocol::Grpc => grpc(stream, app, watchers, stopped).await,
                }
                drop(place);
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

/// What all listeners have in common.
#[derive(Clone)]
struct Shared {
    /// One for each connection that is served.
    places: Arc<Semaphore>,
    watchers: Watchers,
    /// Changes once: when the process is about to end.
    stopped: watch::Receiver<()>,
}

/// Serves until `stop` ends, then lets open requests end, for `drain` at most. Over all listeners,
/// `most` connections are served at once.
pub(crate) async fn serve(
    listeners: Vec<Listener>,
    most: usize,
    app: App,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let (stopping, stopped) = watch::channel(());
    let draining = app.draining.clone();
    let app = Arc::new(app);
    let places = Arc::new(Semaphore::new(most));
    let shared = Shared { places, watchers: Watchers::default(), stopped };
    let mut running = JoinSet::new();
    for listener in listeners {
        running.spawn(listener.run(Arc::clone(&app), shared.clone()));
    }
    drop(shared);
    stop.await;
    draining.0.store(true, Ordering::Relaxed);
    let _ = stopping.send(());
    let rest = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, rest).await.is_err() {
        tracing::warn!("connections were still open after {drain:?}; they are cut off");
    }
}

/// A connection and its place. While there is none, one connection of each listener waits for it
/// here, and further ones in the kernel's queue: a place that is held by a listener to which nobody
/// comes would be missing elsewhere.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            Some((stream, place))
        }
        Err(error) => {
            tracing::debug!("accept failed: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn http(stream: TcpStream, app: Arc<App>, site: Arc<Site>, mut stopped: watch::Receiver<()>) {
    let served = Arc::new((app, site));
    let service = service_fn(move |request| {
        let served = Arc::clone(&served);
        async move {
            let (app, site) = &*served;
            Ok::<_, Infallible>(super::answer(app, site, request).await.into_response())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // Some clients shut down their side once they have asked.
        .half_close(true)
        .serve_connection(TokioIo::new(Unstalled::new(stream, STALLED)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away, or sends garbage, is nobody's fault here.
        tracing::debug!("connection ended: {error}");
    }
}

async fn grpc(
    stream: TcpStream,
    app: Arc<App>,
    watchers: Watchers,
    mut stopped: watch::Receiver<()>,
) {
    let calls = grpc::Calls::default();
    let service = grpc::Service::new(app.shared.clone(), watchers, calls.clone(), stopped.clone());
    let service = service_fn(move |request| service.clone().answer(request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_CALL_HEAD)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .serve_connection(TokioIo::new(Unstalled::new(stream, STALLED)), service);
    let mut connection = pin!(connection);
    // Hyper has a time limit neither for the first bytes of HTTP/2 nor for an idle connection.
    let mut limit = HEAD_TIMEOUT;
    let mut before = calls.begun();
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break Some(ended),
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                break Some(connection.await);
            }
            () = tokio::time::sleep(limit) => {
                if calls.idle_since(before) {
                    connection.as_mut().graceful_shutdown();
                    break tokio::time::timeout(GRACE, connection.as_mut()).await.ok();
                }
                (limit, before) = (IDLE, calls.begun());
            }
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!("connection for gRPC ended: {error}");
    }
}
