//! The kind `grpc` against our own listener, behind a real nginx, and against servers that answer
//! otherwise, hang or flood.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::certificates::Authority;
use crate::support::checks::{at, expect_failure, expect_pass, observation};
use crate::support::host::host;
use crate::support::listener::{floods, hangs_up, says, silent};
use crate::support::nginx::Nginx;
use crate::support::servers::free_address;

const LISTEN: &str =
    "[[listen]]\nname = \"calls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"grpc\"\n";

fn echo(name: &str, status: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\" }}\n"
    )
}

#[test]
fn our_own_listener_is_asked_also_through_a_proxy() {
    let config = [LISTEN.to_owned(), echo("good", "pass"), echo("bad", "fail")].concat();
    let asked = host().config(&config).guest("echo").start();
    asked.until_state("good", "pass");
    asked.until_state("bad", "fail");
    let calls = asked.listener_address("calls");
    let authority = Authority::new();
    let nginx = Nginx::start_tls(
        &authority.good(),
        &format!("location / {{ grpc_pass grpc://{calls}; }} location = /none {{ return 404; }}"),
    );
    let tls = "tls = true\ntls-ca = \"ca.pem\"\n";
    let config = [
        at("grpc", "good", calls, "service = \"good\""),
        at("grpc", "bad", calls, "service = \"bad\""),
        at("grpc", "all", calls, ""),
        at("grpc", "absent", calls, "service = \"absent\""),
        at("grpc", "behind", nginx.address, &format!("{tls}service = \"good\"")),
        at(
            "grpc",
            "behind-bad",
            nginx.address,
            &format!("{tls}service = \"bad\"\nauthority = \"shop.test\""),
        ),
        at("grpc", "untrusted", nginx.address, "tls = true"),
        at("grpc", "no-tls", nginx.address, ""),
        at("grpc", "too-much-tls", calls, "tls = true\ntimeout = \"2s\""),
    ];
    let host = host().file("ca.pem", authority.pem()).config(&config.concat()).start();
    let good = expect_pass(&host, "good", "the service `good` is SERVING");
    assert_eq!(good["outcome"]["details"]["serving"], "SERVING", "{good}");
    assert_eq!(good["outcome"]["details"]["grpc-code"], "OK", "{good}");
    assert!(observation(&good, "connect").is_some(), "{good}");
    let says = "the service `bad` is NOT_SERVING (expected SERVING)";
    let bad = expect_failure(&host, "bad", "unexpected-status", says);
    assert_eq!(bad["outcome"]["details"]["serving"], "NOT_SERVING", "{bad}");
    expect_failure(&host, "all", "unexpected-status", "the server is NOT_SERVING");
    expect_failure(
        &host,
        "absent",
        "query",
        "the service `absent` is not known there (`NOT_FOUND`",
    );
    let behind = expect_pass(&host, "behind", "the service `good` is SERVING");
    assert_eq!(behind["outcome"]["details"]["tls-version"], "1.3", "{behind}");
    assert!(observation(&behind, "certificate-days-left").is_some(), "{behind}");
    expect_failure(&host, "behind-bad", "unexpected-status", "is NOT_SERVING");
    expect_failure(&host, "untrusted", "tls-untrusted", "");
    // It speaks HTTP/1.1 to those who come without TLS, to say that they are wrong.
    let plain = host.until_run("no-tls");
    assert_eq!(plain["state"], "fail", "{plain}");
    let other = host.until_run("too-much-tls");
    assert_eq!(other["state"], "fail", "{other}");
}

type Frames = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A message of `grpc.health.v1` that holds a status.
fn message(status: u8) -> Bytes {
    Bytes::from(vec![0, 0, 0, 0, 2, 0x08, status])
}

fn trailers(code: &'static str) -> Frame<Bytes> {
    let mut map = HeaderMap::new();
    map.insert("grpc-status", code.parse().expect("a header"));
    Frame::trailers(map)
}

/// Answers as the metadata `x-case` says.
async fn answer(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let case = request.headers().get("x-case").map(|value| value.to_str().unwrap_or_default());
    let case = case.unwrap_or_default().to_owned();
    let mut head = Response::builder().header("content-type", "application/grpc");
    let mut frames: Vec<Frame<Bytes>> = Vec::new();
    match case.as_str() {
        "hangs" => std::future::pending().await,
        "html" => head = Response::builder().header("content-type", "text/html"),
        "not-found" => head = Response::builder().status(404),
        "unimplemented" => {
            head = head.header("grpc-status", "12").header("grpc-message", "no%20such")
        }
        "unauthenticated" => head = head.header("grpc-status", "16"),
        "unavailable" => {
            head = head.header("grpc-status", "14").header("grpc-message", "come%0Aback")
        }
        "late-error" => frames.extend([Frame::data(message(1)), trailers("13")]),
        "empty" => frames.push(trailers("0")),
        "large" => frames.push(Frame::data(Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xff]))),
        "garbage" => frames.push(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]))),
        "stalls" => frames.push(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 0x08]))),
        number => {
            let status = number.parse().unwrap_or(1);
            frames.extend([Frame::data(message(status)), trailers("0")]);
        }
    }
    let given = stream::iter(frames.into_iter().map(Ok));
    let body: BoxStream<'static, _> = match case.as_str() {
        "stalls" => given.chain(stream::pending()).boxed(),
        "floods" => stream::repeat_with(|| Ok(Frame::data(message(1)))).boxed(),
        _ => given.boxed(),
    };
    Ok(head.body(StreamBody::new(body)).expect("a response"))
}

/// A server over HTTP/2 that lives as long as the tests.
fn fake() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
    });
    address
}

#[test]
fn every_answer_has_its_message() {
    let server = fake();
    let on = |name: &str, case: &str| {
        at("grpc", name, server, &format!("timeout = \"1s\"\nmetadata = {{ x-case = \"{case}\" }}"))
    };
    let cases = [
        ("unknown", "0", "unexpected-status", "the server is UNKNOWN (expected SERVING)"),
        ("not-serving", "2", "unexpected-status", "the server is NOT_SERVING"),
        ("service-unknown", "3", "unexpected-status", "the server is SERVICE_UNKNOWN"),
        ("strange", "99", "unexpected-status", "the server is UNKNOWN"),
        (
            "no-health",
            "unimplemented",
            "query",
            "has no `grpc.health.v1.Health` (`UNIMPLEMENTED`: no such)",
        ),
        ("denied", "unauthenticated", "login", "`UNAUTHENTICATED`"),
        ("away", "unavailable", "query", "`UNAVAILABLE`: come\\nback"),
        ("late-error", "late-error", "query", "`INTERNAL`"),
        ("empty", "empty", "query", "`INTERNAL`"),
        ("html", "html", "protocol", "answered 200 OK with `text/html`, which is not gRPC"),
        ("not-found", "not-found", "protocol", "answered 404 Not Found"),
        ("large", "large", "query", "`OUT_OF_RANGE`"),
        ("garbage", "garbage", "query", "`INTERNAL`"),
        ("hangs", "hangs", "timeout", "timed out after 1s while waiting for an answer of"),
        ("stalls", "stalls", "timeout", "timed out after 1s while waiting for an answer of"),
    ];
    let mut config: String = cases.iter().map(|(name, case, ..)| on(name, case)).collect();
    config += &on("serving", "1");
    config += &on("floods", "floods");
    let host = host().config(&config).start();
    expect_pass(&host, "serving", "the server is SERVING");
    // Either it is found out to be too much, or time is up.
    let floods = host.until_run("floods");
    let reason = floods["reason"].as_str().unwrap_or_default();
    assert!(["protocol", "timeout"].contains(&reason), "{floods}");
    for (name, _, reason, says) in cases {
        let found = expect_failure(&host, name, reason, says);
        let took = found["duration_ms"].as_f64().expect("a number");
        assert!(took < 1500.0, "{name} took {took} ms");
    }
}

#[test]
fn what_is_no_http2_fails_with_a_reason() {
    let (silent, rude) = (silent(), hangs_up());
    let (mail, flood) = (says(b"220 mail.example.com ESMTP\r\n"), floods(b"", b"\0"));
    let free = free_address();
    let on = |name, address: SocketAddr| at("grpc", name, address, "timeout = \"700ms\"");
    let config = [
        on("silent", silent.address),
        on("rude", rude.address),
        on("mail", mail.address),
        on("flood", flood.address),
        on("refused", free),
    ];
    let host = host().config(&config.concat()).start();
    expect_failure(&host, "silent", "timeout", "timed out after 700ms while ");
    expect_failure(&host, "refused", "refused", "refused");
    for (name, reasons) in
        [("rude", &["closed", "protocol"][..]), ("mail", &["protocol"]), ("flood", &["protocol"])]
    {
        let found = host.until_run(name);
        assert_eq!(found["state"], "fail", "{name}: {found}");
        let reason = found["reason"].as_str().unwrap_or_default();
        assert!(reasons.contains(&reason), "{name}: {found}");
        let took = Duration::from_secs_f64(found["duration_ms"].as_f64().expect("a number") / 1e3);
        assert!(took < Duration::from_secs(1), "{name} took {took:?}");
    }
}
