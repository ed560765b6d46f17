//! `grpc.health.v1` on a listener of its own, asked by the client of tonic.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::host::{Host, host};
use crate::support::wait::LIMIT;
use crate::support::{http as raw, target};

/// One connection.
#[derive(Clone)]
struct Connection(SendRequest<Body>);

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

type Client = HealthClient<Connection>;

async fn dial(address: SocketAddr) -> SendRequest<Body> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn connect(address: SocketAddr) -> Client {
    let sender = dial(address).await;
    let origin: Uri = format!("http://{address}").parse().expect("an origin");
    HealthClient::with_origin(Connection(sender), origin)
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn check(client: &mut Client, service: &str) -> Result<ServingStatus, Code> {
    match client.check(request(service)).await {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) => Err(status.code()),
    }
}

async fn watch(client: &mut Client, service: &str) -> Streaming<HealthCheckResponse> {
    client.watch(request(service)).await.expect("a stream").into_inner()
}

/// The next status of a stream.
async fn next(stream: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let message = tokio::time::timeout(LIMIT, stream.message()).await.expect("in time");
    message.expect("no error").expect("a message").status()
}

/// Runs something that waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

const LISTEN: &str =
    "[[listen]]\nname = \"calls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"grpc\"\n";

fn echo(name: &str, status: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\" }}\n"
    )
}

fn start() -> Host {
    let config = [
        LISTEN.to_owned(),
        echo("good", "pass"),
        echo("so-so", "warn"),
        echo("bad", "fail"),
        "[[check]]\nname = \"broken\"\nplugin = \"absent\"\n".to_owned(),
        "[[group]]\nname = \"any-of\"\nmembers = [\"good\", \"bad\"]\nhealthy = \"any\"\n"
            .to_owned(),
        "[[group]]\nname = \"both\"\nmembers = [\"good\", \"bad\"]\n".to_owned(),
    ];
    let host = host().config(&config.concat()).guest("echo").start();
    for (name, state) in [("good", "pass"), ("so-so", "warn"), ("bad", "fail")] {
        host.until_state(name, state);
    }
    host
}

#[test]
fn check_answers_for_all_for_a_check_and_for_a_group() {
    let host = start();
    assert!(host.listener("calls").starts_with("grpc://127.0.0.1:"));
    let address = host.listener_address("calls");
    run(async {
        let mut client = connect(address).await;
        for (service, expected) in [
            ("good", Ok(ServingStatus::Serving)),
            ("so-so", Ok(ServingStatus::Serving)),
            ("bad", Ok(ServingStatus::NotServing)),
            ("broken", Ok(ServingStatus::Unknown)),
            ("any-of", Ok(ServingStatus::Serving)),
            ("both", Ok(ServingStatus::NotServing)),
            ("", Ok(ServingStatus::NotServing)),
            ("absent", Err(Code::NotFound)),
            ("Good", Err(Code::NotFound)),
        ] {
            assert_eq!(check(&mut client, service).await, expected, "`{service}`");
        }
        let long = "x".repeat(10_000);
        assert_eq!(check(&mut client, &long).await, Err(Code::OutOfRange), "it is not read");
        assert_eq!(check(&mut client, "good").await, Ok(ServingStatus::Serving));
    });
}

#[test]
fn watch_sends_at_once_and_on_each_change() {
    let target = target::http().status(200).start();
    let web = |name: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"50ms\"\nfailure-threshold = 1\n",
            target.url("/")
        )
    };
    let host = host().config(&format!("{LISTEN}{}", web("web"))).start();
    host.until_state("web", "pass");
    let address = host.listener_address("calls");
    run(async {
        let mut client = connect(address).await;
        let mut one = watch(&mut client, "web").await;
        let mut all = watch(&mut client, "").await;
        let mut later = watch(&mut client, "later").await;
        assert_eq!(next(&mut one).await, ServingStatus::Serving);
        assert_eq!(next(&mut all).await, ServingStatus::Serving);
        assert_eq!(next(&mut later).await, ServingStatus::ServiceUnknown);
        for (code, status) in [
            (503, ServingStatus::NotServing),
            (200, ServingStatus::Serving),
            (500, ServingStatus::NotServing),
        ] {
            target.becomes(target::http().status(code));
            assert_eq!(next(&mut one).await, status);
            assert_eq!(next(&mut all).await, status);
        }
        target.becomes(target::http().status(200));
        assert_eq!(next(&mut one).await, ServingStatus::Serving);
        // A check appears, and goes again.
        host.configure(&format!("{LISTEN}{}{}", web("web"), web("later")));
        let mut seen = next(&mut later).await;
        if seen == ServingStatus::Unknown {
            seen = next(&mut later).await;
        }
        assert_eq!(seen, ServingStatus::Serving);
        host.configure(&format!("{LISTEN}{}", web("web")));
        assert_eq!(next(&mut later).await, ServingStatus::ServiceUnknown);
    });
}

#[test]
fn watching_ends_when_the_server_does() {
    let mut host = start();
    let address = host.listener_address("calls");
    run(async {
        let mut client = connect(address).await;
        let mut stream = watch(&mut client, "good").await;
        assert_eq!(next(&mut stream).await, ServingStatus::Serving);
        host.signal(Signal::TERM);
        let ended = tokio::time::timeout(LIMIT, stream.message()).await.expect("in time");
        assert_eq!(ended.expect_err("it breaks off").code(), Code::Unavailable);
    });
    assert_eq!(host.ended().code(), Some(0));
    assert!(!host.log().contains("connections were still open"), "{}", host.log());
}

#[test]
fn only_so_many_may_watch() {
    let host = start();
    let address = host.listener_address("calls");
    run(async {
        let mut streams = Vec::new();
        for _ in 0..16 {
            let mut client = connect(address).await;
            for _ in 0..64 {
                streams.push(watch(&mut client, "good").await);
            }
        }
        for stream in &mut streams {
            assert_eq!(next(stream).await, ServingStatus::Serving);
        }
        let mut client = connect(address).await;
        let refused = client.watch(request("good")).await.expect_err("one too many");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(check(&mut client, "good").await, Ok(ServingStatus::Serving));
        drop(streams);
        let again = async {
            while client.watch(request("good")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, again).await.expect("there is room again");
    });
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn other_calls_are_unimplemented_and_other_protocols_refused() {
    let host = start();
    let address = host.listener_address("calls");
    run(async {
        let mut connection = connect(address).await;
        // A method of another service.
        let request = Request::post(format!("http://{address}/grpc.health.v1.Health/List"))
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .expect("a request");
        let mut sender = dial(address).await;
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.headers().get("grpc-status").expect("a status");
        assert_eq!(status, "12");
        assert_eq!(check(&mut connection, "good").await, Ok(ServingStatus::Serving));
    });
    let answered = raw::raw(address, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").expect("an end");
    assert!(!answered.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answered));
    assert_eq!(host.get("/livez").code, 200);
}

#[test]
fn a_call_that_never_comes_is_cut_off() {
    let host = start();
    let address = host.listener_address("calls");
    run(async {
        let mut sender = dial(address).await;
        let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
            .header("content-type", "application/grpc")
            .body(Body::new(Never))
            .expect("a request");
        let answer = tokio::time::timeout(LIMIT, sender.send_request(request)).await;
        let answer = answer.expect("in time").expect("an answer");
        assert_eq!(answer.headers().get("grpc-status").expect("a status"), "4");
    });
}

/// A body that never comes.
struct Never;

impl tonic::codegen::Body for Never {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, tonic::Status>>> {
        Poll::Pending
    }
}
