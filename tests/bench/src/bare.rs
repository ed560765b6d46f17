//! HTTP with nothing but hyper: a client for baselines and for asking servers, and a server.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A client's half of a connection.
pub(crate) type Sender = SendRequest<Empty<Bytes>>;

/// Connects. The connection moves in a task of its own.
pub(crate) async fn connect(address: SocketAddr) -> Result<Sender> {
    let stream =
        TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true).context("setting an option of a socket")?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("opening HTTP")?;
    // How it ends is told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

/// Asks on a connection, and reads the whole answer.
pub(crate) async fn ask(
    sender: &mut Sender,
    address: SocketAddr,
    path: &str,
) -> Result<Response<Bytes>> {
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, "bare")
        .header(ACCEPT, "*/*")
        .body(Empty::new())
        .context("making a request")?;
    let response = sender.send_request(request).await.context("asking")?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.context("reading the answer")?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Asks on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Response<Bytes>> {
    let mut sender = connect(address).await?;
    ask(&mut sender, address, path).await
}

/// Answers every request on a port with what `answer` makes of its path, for good.
pub(crate) async fn serve<A>(listener: TcpListener, answer: A) -> Result<()>
where
    A: Fn(&str) -> Response<Full<Bytes>> + Clone + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        stream.set_nodelay(true).context("setting an option of a socket")?;
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}
