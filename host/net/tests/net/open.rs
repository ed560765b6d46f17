//! The streaming half of the API, as the HTTP import of plugins uses it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use wellcheck_net::http::{Driver, HttpVersion, Route, Scheme, Sender};
use wellcheck_net::{Failure, FailureKind, Family, Guard, Tls, Trace};

use crate::check;
use crate::support::{After, Fake, client, get, shortly, soon};

type StreamedBody = UnsyncBoxBody<Bytes, Infallible>;
type Opened = (Sender<StreamedBody>, Driver<StreamedBody>);

async fn open(target: &Fake, version: HttpVersion) -> Result<Opened, Failure> {
    let tls = Tls::default();
    let route = Route {
        scheme: Scheme::Http,
        host: "127.0.0.1",
        port: target.address.port(),
        version,
        family: Family::Any,
        guard: &Guard::allow_all(),
        tls: &tls,
        proxy: None,
    };
    client().open(&route, &mut Trace::new(soon())).await
}

/// A body of three pieces that are not there at once.
fn pieces() -> StreamedBody {
    let pieces = futures_util::stream::unfold(0, |n| async move {
        tokio::task::yield_now().await;
        (n < 3).then(|| (Ok(Frame::data(Bytes::from(format!("piece {n};")))), n + 1))
    });
    StreamBody::new(pieces).boxed_unsync()
}

#[tokio::test]
async fn bodies_stream_both_ways_over_either_version() {
    let h2 = Fake::http2(None).await;
    let echo = Fake::start("127.0.0.1:0", |mut stream, _| async move {
        let mut sent = Vec::new();
        while !sent.ends_with(b"0\r\n\r\n") && stream.read_buf(&mut sent).await.is_ok_and(|n| n > 0)
        {
        }
        let body = sent.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(&[head, &sent[body..]].concat()).await;
    })
    .await;
    for (target, version) in [(&h2, HttpVersion::Http2), (&echo, HttpVersion::Http1)] {
        let (mut sender, driver) = open(target, version).await.expect("connected");
        let moving = tokio::spawn(driver);
        let uri = target.url("/echo").to_string();
        let request = http::Request::post(uri).body(pieces()).expect("valid");
        let answer = sender.send(request).await.expect("an answer");
        // The body under way outlives the sender.
        drop(sender);
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, "piece 0;piece 1;piece 2;");
        moving.await.expect("no panic").expect("a clean end");
    }
}

#[tokio::test]
async fn dropping_the_driver_closes_the_connection() {
    let closed = Arc::new(Notify::new());
    let notify = closed.clone();
    let target = Fake::start("127.0.0.1:0", move |mut stream, _| {
        let notify = notify.clone();
        async move {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            notify.notify_one();
        }
    })
    .await;
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let (mut sender, mut driver) = open(&target, version).await.expect("connected");
        let request = http::Request::get("http://a/").body(pieces()).expect("valid");
        let limit = Duration::from_millis(50);
        let waiting = tokio::time::timeout(limit, driver.beside(sender.send(request)));
        assert!(waiting.await.is_err(), "the target stays silent");
        drop(driver);
        closed.notified().await;
        let request = http::Request::get("http://a/").body(pieces()).expect("valid");
        let failure = sender.send(request).await.expect_err("nothing is left");
        check(&failure, FailureKind::Closed, "closed the connection");
    }
}

#[tokio::test]
async fn a_body_that_fails_is_not_the_targets_fault() {
    let target = Fake::scripted("", After::StaySilent).await;
    let tls = Tls::default();
    let route = Route {
        scheme: Scheme::Http,
        host: "127.0.0.1",
        port: target.address.port(),
        version: HttpVersion::Http1,
        family: Family::V4,
        guard: &Guard::allow_all(),
        tls: &tls,
        proxy: None,
    };
    let broken = futures_util::stream::iter([
        Ok(Frame::data(Bytes::from_static(b"x"))),
        Err(std::io::Error::other("lost")),
    ]);
    let mut trace = Trace::new(soon());
    let (mut sender, mut driver) = client().open(&route, &mut trace).await.expect("connected");
    let request = http::Request::post("http://a/").body(StreamBody::new(broken)).expect("valid");
    let failure = driver.beside(sender.send(request)).await.expect_err("no body");
    check(&failure, FailureKind::Request, "the request cannot be sent");
}

#[tokio::test]
async fn the_futures_may_move_between_threads() {
    fn movable<T: Send>(value: T) -> T {
        value
    }
    let target = Fake::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let request = get(target.url("/"));
    let client = client();
    let exchange = movable(client.fetch(&request, shortly())).await;
    assert!(exchange.result.is_ok());
    let (sender, driver) = open(&target, HttpVersion::Http1).await.expect("connected");
    drop((movable(sender), movable(driver)));
    let _: fn(Driver<Full<Bytes>>) = |driver| drop(movable(driver));
}
