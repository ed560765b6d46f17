//! Outgoing HTTP: grants, denials that win, limits, and what a transport gets to see.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wellcheck_core::limits::{KIB, MIB, RunLimits};
use wellcheck_core::outcome::FaultReason;
use wellcheck_net::{Failure, FailureKind};
use wellcheck_wasm::{
    Body, HttpRequest, HttpResponse, Invocation, NetTransport, PluginRun, Resolving, Sandbox,
    SandboxOptions, Transport,
};

use crate::guest::{Guest, guest};
use crate::support::{assert_fault, fault, granted, invocation, load, options, report};

/// Error codes of `wasi:http`, as `$fetch` returns them.
const DNS_ERROR: f64 = 1001.0;
const UNAVAILABLE: f64 = 1003.0;
const DENIED: f64 = 1015.0;
const METHOD_INVALID: f64 = 1018.0;
const URI_INVALID: f64 = 1019.0;
const TIMEOUT: f64 = 1033.0;
const PROTOCOL_ERROR: f64 = 1035.0;

/// Imports `wasi:http` and offers `$fetch`: takes a scheme (0 for http, 1 for https) and where an
/// authority is, waits for the answer and reads its body to the end. Returns the status, or 1000
/// and the error code, or 2000 where the body ends in an error.
fn requester(guest: Guest) -> Guest {
    let mut guest = guest.import(TYPES);
    let (path, _) = guest.text(b"/");
    let guest = guest.fields(&format!("(global $path i32 (i32.const {path}))"));
    let guest = guest
        .lower("fields", "$types \"[constructor]fields\"", "(result i32)")
        .lower("request", "$types \"[constructor]outgoing-request\"", "(param i32) (result i32)")
        .lower("options", "$types \"[constructor]request-options\"", "(result i32)")
        .lower(
            "set-first-byte",
            "$types \"[method]request-options.set-first-byte-timeout\"",
            "(param i32 i32 i64) (result i32)",
        )
        .lower(
            "set-method",
            "$types \"[method]outgoing-request.set-method\"",
            "(param i32 i32 i32 i32) (result i32)",
        )
        .lower(
            "set-scheme",
            "$types \"[method]outgoing-request.set-scheme\"",
            "(param i32 i32 i32 i32 i32) (result i32)",
        )
        .lower(
            "set-authority",
            "$types \"[method]outgoing-request.set-authority\"",
            "(param i32 i32 i32 i32) (result i32)",
        )
        .lower(
            "set-path",
            "$types \"[method]outgoing-request.set-path-with-query\"",
            "(param i32 i32 i32 i32) (result i32)",
        )
        .lower(
            "subscribe",
            "$types \"[method]future-incoming-response.subscribe\"",
            "(param i32) (result i32)",
        )
        .lower("get", "$types \"[method]future-incoming-response.get\"", "(param i32 i32)")
        .lower("status", "$types \"[method]incoming-response.status\"", "(param i32) (result i32)")
        .lower("consume", "$types \"[method]incoming-response.consume\"", "(param i32 i32)")
        .lower("stream", "$types \"[method]incoming-body.stream\"", "(param i32 i32)")
        .lower("read", "$streams \"[method]input-stream.blocking-read\"", "(param i32 i64 i32)")
        .lower("block", "$poll \"[method]pollable.block\"", "(param i32)")
        .lower("handle", "$handler \"handle\"", "(param i32 i32 i32 i32)")
        .dropper("drop-stream", "$input-stream")
        .dropper("drop-body", "$incoming-body")
        .dropper("drop-response", "$incoming-response")
        .dropper("drop-pollable", "$pollable")
        .dropper("drop-future", "$future");
    guest.fields(
        r#"
        (global $method (mut i32) (i32.const 0))
        (global $first-byte (mut i64) (i64.const -1))
        ;; The future, or 1000 and the error code, negative.
        (func $send (param $scheme i32) (param $at i32) (param $len i32) (result i32)
          (local $request i32) (local $options i32)
          (local.set $request (call $request (call $fields)))
          (drop (call $set-method (local.get $request) (global.get $method) (i32.const 0) (i32.const 0)))
          (drop (call $set-scheme (local.get $request) (i32.const 1) (local.get $scheme) (i32.const 0) (i32.const 0)))
          (drop (call $set-path (local.get $request) (i32.const 1) (global.get $path) (i32.const 1)))
          (if (call $set-authority (local.get $request) (i32.const 1) (local.get $at) (local.get $len))
            (then (return (i32.const -9999))))
          (local.set $options (call $options))
          (if (i64.ge_s (global.get $first-byte) (i64.const 0))
            (then (drop (call $set-first-byte (local.get $options) (i32.const 1) (global.get $first-byte)))))
          (call $handle (local.get $request) (i32.const 1) (local.get $options) (i32.const 512))
          (if (i32.load8_u (i32.const 512))
            (then (return (i32.sub (i32.const -1000) (i32.load8_u (i32.const 520))))))
          (i32.load (i32.const 520)))
        (func $fetch (param $scheme i32) (param $at i32) (param $len i32) (result i32)
          (local $future i32) (local $pollable i32) (local $response i32) (local $status i32)
          (local $body i32) (local $stream i32)
          (local.set $future (call $send (local.get $scheme) (local.get $at) (local.get $len)))
          (if (i32.lt_s (local.get $future) (i32.const 0))
            (then (return (i32.sub (i32.const 0) (local.get $future)))))
          (local.set $pollable (call $subscribe (local.get $future)))
          (call $block (local.get $pollable))
          (call $drop-pollable (local.get $pollable))
          (call $get (local.get $future) (i32.const 512))
          (if (i32.load8_u (i32.const 528))
            (then (return (i32.add (i32.const 1000) (i32.load8_u (i32.const 536))))))
          (local.set $response (i32.load (i32.const 536)))
          (local.set $status (call $status (local.get $response)))
          (call $consume (local.get $response) (i32.const 512))
          (local.set $body (i32.load (i32.const 516)))
          (call $stream (local.get $body) (i32.const 512))
          (local.set $stream (i32.load (i32.const 516)))
          (loop $more
            (call $read (local.get $stream) (i64.const 8192) (i32.const 512))
            (br_if $more (i32.eqz (i32.load8_u (i32.const 512)))))
          ;; `closed` is the second of the two errors.
          (if (i32.eqz (i32.load8_u (i32.const 516))) (then (return (i32.const 2000))))
          (call $drop-stream (local.get $stream))
          (call $drop-body (local.get $body))
          (call $drop-response (local.get $response))
          (call $drop-future (local.get $future))
          (local.get $status))"#,
    )
    // The heap grows with each read.
    .memory("200")
}

/// A guest that fetches once and reports what came of it as the observation `code`.
pub(crate) fn fetcher(scheme: u32, authority: &str, before: &str) -> Guest {
    let mut guest = requester(guest()).observations(&[("code", 0.0)]);
    let (at, len) = guest.text(authority.as_bytes());
    // The observation's value, by way of the answer's list.
    guest.before(&format!(
        "{before}
         (f64.store offset=8 (i32.load (i32.const 80))
           (f64.convert_i32_u (call $fetch (i32.const {scheme}) (i32.const {at}) (i32.const {len}))))"
    ))
}

fn code(run: &PluginRun) -> f64 {
    report(run).observations[0].value
}

/// Answers from a list, and remembers what was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Scripted>>,
    asked: Mutex<Vec<HttpRequest>>,
}

enum Scripted {
    /// Status and body.
    Answer(u16, Bytes),
    /// Looks at these addresses first.
    At(&'static [&'static str]),
    Fail(FailureKind),
    Never,
    /// A body without end.
    Endless,
    /// A defect of ours.
    Panic,
}

impl Transport for Script {
    fn resolve(&self, _name: &str) -> Resolving {
        Box::pin(async { Err(Failure::new(FailureKind::Resolve, "nobody asks for names")) })
    }

    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send>> {
        let next = self.answers.lock().expect("no panic").pop_front();
        let guard = request.guard.clone();
        self.asked.lock().expect("no panic").push(request);
        Box::pin(async move {
            let answer = |status, body| {
                http::Response::builder().status(status).body(body).map_err(|_error| unreachable!())
            };
            let full = |bytes: Bytes| -> Body {
                Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
            };
            match next.expect("a scripted answer") {
                Scripted::Answer(status, bytes) => answer(status, full(bytes)),
                Scripted::At(addresses) => {
                    for address in addresses {
                        let address = address.parse().expect("an address");
                        if guard.check(address).is_ok() {
                            return answer(200, full(Bytes::new()));
                        }
                    }
                    Err(Failure::new(FailureKind::Denied, "no address is allowed"))
                }
                Scripted::Fail(kind) => Err(Failure::new(kind, "as scripted")),
                Scripted::Never => std::future::pending().await,
                Scripted::Panic => panic!("as scripted"),
                Scripted::Endless => answer(200, Chunks(vec![b'x'; 8 * KIB].into()).boxed_unsync()),
            }
        })
    }
}

/// Eight KiB, again and again.
struct Chunks(Bytes);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Failure>>> {
        Poll::Ready(Some(Ok(http_body::Frame::data(self.0.clone()))))
    }
}

async fn run(
    guest: &Guest,
    invocation: Invocation,
    answers: impl IntoIterator<Item = Scripted>,
) -> (PluginRun, Arc<Script>) {
    let script = Arc::new(Script::default());
    script.answers.lock().expect("no panic").extend(answers);
    let transport: Arc<dyn Transport> = Arc::<Script>::clone(&script);
    let options = SandboxOptions { transport, ..options() };
    let sandbox = Sandbox::new(options).expect("a sandbox");
    let done = load(&sandbox, guest).await.run(invocation).await;
    assert_eq!(sandbox.slots().pooled, Some([0; 4]));
    (done, script)
}

fn with_grants(grants: &[&str]) -> Invocation {
    Invocation { grants: granted(grants), ..invocation() }
}

#[tokio::test]
async fn a_granted_request_is_made() {
    let guest = fetcher(1, "api.example.com", "");
    let answer = Scripted::Answer(503, Bytes::from(vec![b'x'; 100 * KIB]));
    let (done, script) = run(&guest, with_grants(&["https://api.example.com"]), [answer]).await;
    assert_eq!(code(&done), 503.0);
    assert_eq!((done.used.requests, done.used.bytes), (1, 100 * KIB as u64));
    let asked = script.asked.lock().expect("no panic");
    assert_eq!(asked[0].request.uri(), "https://api.example.com/");
    assert_eq!(asked[0].request.headers()["host"], "api.example.com");
    assert!(asked[0].deadline > Instant::now());
}

#[tokio::test]
async fn a_denial_wins_over_the_report() {
    let guest = fetcher(1, "api.example.com", "");
    let (done, script) = run(&guest, with_grants(&["https://example.com"]), []).await;
    assert_fault(
        &done,
        FaultReason::Denied,
        "no grant for `https://api.example.com:443` (this would allow it: `http = [\"https://api.example.com\"]`)",
    );
    assert!(script.asked.lock().expect("no panic").is_empty());
    assert_eq!(done.used.requests, 0);
}

#[tokio::test]
async fn a_denial_wins_over_a_trap_and_the_wall_time() {
    let fetch = "(drop (call $fetch (i32.const 1) (i32.const 1024) (i32.const 1)))";
    for after in ["unreachable", "(loop (br 0)) unreachable"] {
        let guest = requester(guest()).run(&format!("{fetch} {after}"));
        let (done, _) = run(&guest, invocation(), []).await;
        assert_fault(
            &done,
            FaultReason::Denied,
            "no grant for `https://t:443` (this would allow it: `http = [\"https://t\"]`)",
        );
    }
}

#[tokio::test]
async fn every_spelling_of_a_private_address_is_denied() {
    for authority in
        ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "169.254.169.254"]
    {
        let guest = fetcher(0, authority, "");
        let (done, script) = run(&guest, with_grants(&["http://example.com"]), []).await;
        let reason = done.run.outcome.reason();
        assert_eq!(reason, Some("denied"), "{authority}");
        assert!(script.asked.lock().expect("no panic").is_empty());
    }
}

#[tokio::test]
async fn an_address_is_judged_after_its_name_was_resolved() {
    let invocation = || with_grants(&["http://intra.example.com"]);
    let guest = fetcher(0, "intra.example.com", "");
    let (done, _) = run(&guest, invocation(), [Scripted::At(&["10.0.0.7:80"])]).await;
    assert_fault(
        &done,
        FaultReason::Denied,
        "no grant for `http://intra.example.com:80, which is at the private address 10.0.0.7` (this would allow it: `http = [\"http://10.0.0.7\"]`)",
    );
    let public = Scripted::At(&["93.184.215.14:80"]);
    assert_eq!(code(&run(&guest, invocation(), [public]).await.0), 200.0);
    // One of several is enough, and then nothing was denied.
    let both = Scripted::At(&["10.0.0.7:80", "93.184.215.14:80"]);
    assert_eq!(code(&run(&guest, invocation(), [both]).await.0), 200.0);
}

#[tokio::test]
async fn failures_reach_the_guest_as_error_codes() {
    let guest = fetcher(0, "a.example.com", "");
    for (kind, expected) in [
        (FailureKind::Resolve, DNS_ERROR),
        (FailureKind::Unreachable, UNAVAILABLE),
        (FailureKind::Timeout, TIMEOUT),
        // No denial of ours: the transport's own rules.
        (FailureKind::Denied, DENIED),
    ] {
        let invocation = with_grants(&["http://a.example.com"]);
        let (done, _) = run(&guest, invocation, [Scripted::Fail(kind)]).await;
        assert_eq!(code(&done), expected, "{kind}");
    }
}

#[tokio::test]
async fn tunnels_and_users_in_authorities_are_refused() {
    let connect = fetcher(0, "a.example.com", "(global.set $method (i32.const 5))");
    let (done, _) = run(&connect, with_grants(&["http://a.example.com"]), []).await;
    assert_eq!(code(&done), METHOD_INVALID);
    let user = fetcher(0, "b.example.com@a.example.com", "");
    let (done, script) = run(&user, with_grants(&["http://a.example.com"]), []).await;
    assert!([URI_INVALID, 9999.0].contains(&code(&done)), "{}", code(&done));
    assert!(script.asked.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_target_that_never_answers_leaves_time_to_say_so() {
    let guest = fetcher(0, "a.example.com", "");
    let mut short = with_grants(&["http://a.example.com"]);
    short.timeout = Duration::from_millis(400);
    let (done, _) = run(&guest, short, [Scripted::Never]).await;
    assert_eq!(code(&done), TIMEOUT);
    assert!(done.run.duration < Duration::from_millis(400), "{:?}", done.run.duration);
}

#[tokio::test]
async fn timeouts_of_the_guest_are_clamped() {
    for (asked, expected) in [
        ("0", Duration::from_millis(1)),
        ("5000000", Duration::from_millis(5)),
        ("0x7fffffffffffffff", Duration::from_secs(10)),
    ] {
        let before = format!("(global.set $first-byte (i64.const {asked}))");
        let guest = fetcher(0, "a.example.com", &before);
        let invocation = with_grants(&["http://a.example.com"]);
        let (done, script) = run(&guest, invocation, [Scripted::Answer(200, Bytes::new())]).await;
        assert_eq!(code(&done), 200.0);
        let found = script.asked.lock().expect("no panic")[0].first_byte;
        assert!(found <= expected && found + Duration::from_millis(500) >= expected, "{found:?}");
        assert!(found >= Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_panic_of_the_host_is_a_fault_of_one_run() {
    let script = Arc::new(Script::default());
    let answers = [Scripted::Panic, Scripted::Answer(200, Bytes::new())];
    script.answers.lock().expect("no panic").extend(answers);
    let options = SandboxOptions { transport: script, workers: 1, ..options() };
    let sandbox = Sandbox::new(options).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(0, "a.example.com", "")).await;
    let invocation = with_grants(&["http://a.example.com"]);
    let broken = plugin.run(invocation.clone()).await;
    let fault = fault(&broken);
    assert_eq!(fault.reason, FaultReason::Internal);
    assert!(fault.message.starts_with("the host panicked during the run: "), "{}", fault.message);
    assert_eq!(code(&plugin.run(invocation).await), 200.0);
    assert_eq!((sandbox.slots().taken, sandbox.slots().pooled), (0, Some([0; 4])));
}

#[tokio::test]
async fn requests_are_counted() {
    let mut guest = requester(guest());
    let (at, len) = guest.text(b"a.example.com");
    let guest = guest.fields("(global $left (mut i32) (i32.const 20))").before(&format!(
        "(loop $more
           (drop (call $fetch (i32.const 0) (i32.const {at}) (i32.const {len})))
           (global.set $left (i32.sub (global.get $left) (i32.const 1)))
           (br_if $more (global.get $left)))"
    ));
    let answers = (0..20).map(|_| Scripted::Answer(200, Bytes::new()));
    let (done, script) = run(&guest, with_grants(&["http://a.example.com"]), answers).await;
    assert_fault(&done, FaultReason::Limit, "limit of 16 requests reached (limit `requests`)");
    assert_eq!(script.asked.lock().expect("no panic").len(), 16);
    assert_eq!(done.used.requests, 16);
}

#[tokio::test]
async fn requests_at_once_are_counted() {
    let mut guest = requester(guest());
    let (at, len) = guest.text(b"a.example.com");
    let guest = guest.fields("(global $left (mut i32) (i32.const 7))").before(&format!(
        "(loop $more
           (drop (call $send (i32.const 0) (i32.const {at}) (i32.const {len})))
           (global.set $left (i32.sub (global.get $left) (i32.const 1)))
           (br_if $more (global.get $left)))"
    ));
    let answers = (0..20).map(|_| Scripted::Never);
    let (done, _) = run(&guest, with_grants(&["http://a.example.com"]), answers).await;
    assert_fault(
        &done,
        FaultReason::Limit,
        "limit of 6 requests at once reached (limit `concurrent-requests`)",
    );
}

#[tokio::test]
async fn a_body_without_end_meets_its_limit() {
    let guest = fetcher(0, "a.example.com", "");
    let invocation = with_grants(&["http://a.example.com"]);
    let (done, _) = run(&guest, invocation, [Scripted::Endless]).await;
    assert_fault(
        &done,
        FaultReason::Limit,
        "limit of 1 MiB for a response body reached (limit `body-bytes`)",
    );
    assert!(done.used.bytes <= (MIB + 16 * KIB) as u64);
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read() {
    let guest = fetcher(0, "a.example.com", "");
    let mut small = with_grants(&["http://a.example.com"]);
    small.limits = Arc::new(RunLimits { body_bytes: 50 * KIB, ..RunLimits::default() });
    let exact = Scripted::Answer(200, Bytes::from(vec![0; 50 * KIB]));
    assert_eq!(code(&run(&guest, small.clone(), [exact]).await.0), 200.0);
    let more = Scripted::Answer(200, Bytes::from(vec![0; 50 * KIB + 1]));
    let (done, _) = run(&guest, small, [more]).await;
    assert_fault(
        &done,
        FaultReason::Limit,
        "limit of 50 KiB for a response body reached (limit `body-bytes`)",
    );
}

/// Answers every connection with these pieces, each after a pause in milliseconds, then
/// closes; returns its port.
async fn server(pieces: &'static [(&'static str, u64)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a request"));
                }
                let head = String::from_utf8(head).expect("text");
                assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
                assert!(head.to_lowercase().contains("host: 127.0.0.1:"), "{head}");
                for (piece, pause) in pieces {
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                    // The guest may have had enough.
                    let _written = stream.write_all(piece.as_bytes()).await;
                }
            });
        }
    });
    port
}

/// What a guest gets that fetches from the server, within a second.
async fn fetched(pieces: &'static [(&'static str, u64)]) -> PluginRun {
    let port = server(pieces).await;
    let tls = wellcheck_net::Tls::default();
    let client = wellcheck_net::http::Client::new(wellcheck_net::Resolver::from_system());
    let transport = Arc::new(NetTransport::new(client, tls));
    let sandbox = Sandbox::new(SandboxOptions { transport, ..options() }).expect("a sandbox");
    let plugin = load(&sandbox, &fetcher(0, &format!("127.0.0.1:{port}"), "")).await;
    let mut short = with_grants(&[&format!("http://127.0.0.1:{port}")]);
    short.timeout = Duration::from_secs(1);
    plugin.run(short).await
}

/// A pause in milliseconds.
const AT_ONCE: u64 = 0;

#[tokio::test]
async fn the_network_carries_requests_and_streams_answers() {
    let done = fetched(&[
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", AT_ONCE),
        ("6\r\n world\r\n0\r\n\r\n", 100),
    ])
    .await;
    assert_eq!(code(&done), 200.0);
    assert_eq!(done.used.bytes, 11);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_a_timeout_for_the_guest() {
    let done = fetched(&[("HTTP/1.1 200 OK\r\n\r\n", 5000)]).await;
    assert_eq!(code(&done), TIMEOUT);
}

#[tokio::test]
async fn a_body_that_trickles_ends_before_the_wall_time() {
    let done = fetched(&[
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", AT_ONCE),
        ("a", 300),
        ("b", 300),
        ("c", 300),
        ("d", 300),
    ])
    .await;
    assert_eq!(code(&done), 2000.0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_for_the_guest() {
    let cut = fetched(&[("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello", AT_ONCE)]).await;
    assert_eq!(code(&cut), 2000.0);
    let garbage = fetched(&[("SSH-2.0-OpenSSH_9.2\r\n\r\n", AT_ONCE)]).await;
    assert_eq!(code(&garbage), PROTOCOL_ERROR);
}

/// What a component says of the part of `wasi:http` that it uses.
const TYPES: &str = include_str!("http.wat");
