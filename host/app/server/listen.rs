//! Connections: the only module that names hyper's server.
//!
//! HTTP/1.1 only: nothing that asks for health needs more, and most attacks of the last years were
//! on HTTP/2. Bounded in number, in the size and the time of a request's head; bodies are never
//! read. When the process is about to end, open requests are finished, and idle connections closed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::App;

/// Longest until the head of a request has arrived, also of the next one on a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest head of a request, in bytes; more is answered with 431.
const MAX_HEAD: usize = 32 * 1024;

/// Most headers of a request; more is answered with 431.
const MAX_HEADERS: usize = 100;

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

/// A bound address.
pub(crate) struct Listener {
    listener: TcpListener,
    max_connections: usize,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is taken, or not ours.
    pub(crate) async fn bind(address: SocketAddr, max_connections: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, max_connections })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` ends, then lets open requests end, for `drain` at most.
    pub(crate) async fn serve(self, app: App, stop: impl Future<Output = ()>, drain: Duration) {
        let (stopping, stopped) = watch::channel(());
        let draining = app.draining.clone();
        let app = Arc::new(app);
        let places = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept(&self.listener, &places) => {
                    let Some((stream, place)) = accepted else { continue };
                    let connection = connection(stream, Arc::clone(&app), stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
            }
        }
        draining.0.store(true, Ordering::Relaxed);
        drop(self.listener);
        drop(stopped);
        let _ = stopping.send(());
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::warn!("connections were still open after {drain:?}; they are cut off");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::debug!("accept failed: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, app: Arc<App>, mut stopped: watch::Receiver<()>) {
    // An answer is one write; waiting for more to send with it would only delay it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(super::answer(app, request).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // Some clients shut down their side once they have asked.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
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
