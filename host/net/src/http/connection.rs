//! One HTTP connection, as a half that sends requests and a half that moves bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;

use super::tasks::{Spawner, Tasks};
use super::wire::{self, Form};
use super::{MAX_HEAD, MAX_HEADERS};
use crate::failure::chain;
use crate::{Failure, FailureKind, Phase, Stream, Trace};

/// An error of a request's body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The half that sends requests.
pub struct Sender<B> {
    inner: Versioned<(http1::SendRequest<B>, Form), http2::SendRequest<B>>,
    peer: Arc<str>,
}

/// The half that moves bytes: nothing is sent or received unless it is polled.
///
/// Poll it beside the request and beside the body of the answer, be it by
/// [`Driver::beside`] or as a future in a task of its own. It ends when the connection does.
/// Dropping it closes the connection.
pub struct Driver<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// `None` once the connection takes no more requests.
    inner: Option<Versioned<Http1<B>, Http2<B>>>,
    tasks: Tasks,
    peer: Arc<str>,
}

enum Versioned<One, Two> {
    Http1(One),
    Http2(Two),
}

type Http1<B> = http1::Connection<TokioIo<Stream>, B>;
type Http2<B> = Box<http2::Connection<TokioIo<Stream>, B, Spawner>>;

pub(super) async fn http1<B>(
    stream: Stream,
    peer: String,
    form: Form,
) -> Result<(Sender<B>, Driver<B>), Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| explain(&error, &peer))?;
    let peer: Arc<str> = peer.into();
    let sender = Sender { inner: Versioned::Http1((sender, form)), peer: peer.clone() };
    let inner = Some(Versioned::Http1(connection));
    let driver = Driver { inner, tasks: Tasks::default(), peer };
    Ok((sender, driver))
}

pub(super) async fn http2<B>(
    stream: Stream,
    peer: String,
    trace: &mut Trace,
) -> Result<(Sender<B>, Driver<B>), Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let tasks = Tasks::default();
    let mut builder = http2::Builder::new(tasks.spawner());
    builder.max_header_list_size(MAX_HEAD as u32);
    let doing = || format!("opening HTTP/2 to `{peer}`");
    let handshake = async {
        let made = builder.handshake(TokioIo::new(stream)).await;
        made.map_err(|error| explain(&error, &peer))
    };
    let (sender, connection) = trace.stage(Phase::Connect, doing, handshake).await?;
    let peer: Arc<str> = peer.into();
    let sender = Sender { inner: Versioned::Http2(sender), peer: peer.clone() };
    let inner = Some(Versioned::Http2(Box::new(connection)));
    let driver = Driver { inner, tasks, peer };
    Ok((sender, driver))
}

impl<B> Sender<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends `request`, which names its target by a whole URL; resolves with the head of the
    /// answer. `Host` is made of the URL unless it is there. `CONNECT` is refused.
    pub async fn send(
        &mut self,
        mut request: http::Request<B>,
    ) -> Result<http::Response<Incoming>, Failure> {
        let sent = match &mut self.inner {
            Versioned::Http1((sender, form)) => {
                wire::fit_http1(&mut request, form)?;
                sender.send_request(request).await
            }
            Versioned::Http2(sender) => {
                wire::fit_http2(&mut request)?;
                sender.send_request(request).await
            }
        };
        sent.map_err(|error| explain(&error, &self.peer))
    }

    /// Whether the connection speaks HTTP/2.
    pub const fn is_http2(&self) -> bool {
        matches!(self.inner, Versioned::Http2(_))
    }
}

impl<B> Driver<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Runs `work` and the connection in the same task until `work` is done.
    pub async fn beside<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            // How the connection ended is told to `work` by the connection itself.
            let _ended = self.turn(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let ended = match &mut self.inner {
            Some(Versioned::Http1(connection)) => Pin::new(connection).poll(cx),
            Some(Versioned::Http2(connection)) => Pin::new(connection).poll(cx),
            None => Poll::Ready(Ok(())),
        };
        if ended.is_ready() {
            self.inner = None;
        }
        // Without its sender, HTTP/2 ends before the bodies under way do; the tasks have them.
        let is_idle = self.tasks.poll(cx);
        match ended {
            Poll::Ready(Err(error)) => Poll::Ready(Err(explain(&error, &self.peer))),
            Poll::Ready(Ok(())) if is_idle => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

impl<B> Future for Driver<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().turn(cx)
    }
}

/// Names an error of a connection to `peer`, or of the body of an answer that came over it.
pub fn explain(error: &hyper::Error, peer: &str) -> Failure {
    if error.is_user() {
        return Failure::new(
            FailureKind::Request,
            format!("the request cannot be sent: {}", chain(error)),
        );
    }
    if error.is_parse_too_large() {
        let message = format!(
            "`{peer}` answered with a head of more than {} KiB or {MAX_HEADERS} headers",
            MAX_HEAD / 1024
        );
        return Failure::new(FailureKind::TooLarge, message);
    }
    if error.is_parse() {
        let message = format!("`{peer}` does not answer in HTTP: {}", chain(error));
        return Failure::new(FailureKind::Protocol, message);
    }
    // A server that refuses our certificate may say so before the request is under way, and what
    // comes of that is a request that is called off.
    if let Some(failure) = io_error(error).and_then(|io| crate::tls::failure_within(io, peer)) {
        return failure;
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        let message = format!("`{peer}` closed the connection before the answer was complete");
        return Failure::new(FailureKind::Closed, message);
    }
    match io_error(error) {
        // The parser of chunked bodies speaks through these.
        Some(io)
            if matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
                && crate::tls::failure_within(io, peer).is_none() =>
        {
            let message = format!("`{peer}` does not answer in HTTP: {}", chain(io));
            Failure::new(FailureKind::Protocol, message)
        }
        Some(io) => Failure::from_io(io, peer),
        None => {
            let message = format!("`{peer}` broke the protocol: {}", chain(error));
            Failure::new(FailureKind::Protocol, message)
        }
    }
}

fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = source.source();
    }
    None
}
