//! TCP by name and address: order, dead addresses, the guard.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use wellcheck_net::{Connector, Dial, FailureKind, Family, Guard, Resolver, Trace};

use crate::check;
use crate::resolve::name_server;
use crate::support::soon;

fn dial<'a>(host: &'a str, port: u16, guard: &'a Guard) -> Dial<'a> {
    Dial { host, port, family: Family::Any, guard }
}

async fn listen(bind: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(bind).await.expect("loopback can be bound");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// A port whose queue is full, so that connection attempts get no answer at all.
async fn deaf(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("loopback can be bound");
    let listener = socket.listen(1).expect("a listener");
    let mut queued = Vec::new();
    let limit = Duration::from_millis(50);
    while let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
        queued.push(stream);
    }
    (listener, queued)
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_refuses() {
    let (_listener, port) = listen("[::1]:0").await;
    let guard = Guard::allow_all();
    let connector = Connector::new(Resolver::from_system());
    let mut trace = Trace::new(soon());
    let stream = connector.tcp(&dial("localhost", port, &guard), &mut trace).await;
    assert!(stream.expect("IPv6 answers").nodelay().expect("an option"));
    assert_eq!(trace.peer.expect("connected").ip(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]));
}

#[tokio::test]
async fn a_deaf_first_address_costs_a_moment_and_not_the_deadline() {
    let (_listener, port) = listen("127.0.0.1:0").await;
    let _deaf = deaf(SocketAddr::from(([127, 0, 0, 2], port))).await;
    let resolver = name_server(|_| Some(vec![[127, 0, 0, 2], [127, 0, 0, 1]])).await;
    let guard = Guard::allow_all();
    let mut trace = Trace::new(soon());
    let begun = Instant::now();
    let connector = Connector::new(resolver);
    connector.tcp(&dial("two.example.", port, &guard), &mut trace).await.expect("connected");
    assert_eq!(trace.peer, Some(SocketAddr::from(([127, 0, 0, 1], port))));
    assert!((200..2_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_deaf_target_times_out_and_is_named() {
    let (listener, port) = listen("127.0.0.1:0").await;
    drop(listener);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _deaf = deaf(address).await;
    let guard = Guard::allow_all();
    let mut trace = Trace::new(crate::support::shortly());
    let connector = Connector::new(Resolver::from_system());
    let result = connector.tcp(&dial("127.0.0.1", port, &guard), &mut trace).await;
    let says = format!("timed out after 150ms while connecting to `{address}`");
    check(&result.expect_err("deaf"), FailureKind::Timeout, &says);
    assert!(trace.phases.connect > Duration::from_millis(100));
}

#[tokio::test]
async fn refusals_of_all_addresses_are_counted() {
    let (listener, port) = listen("127.0.0.1:0").await;
    drop(listener);
    let guard = Guard::allow_all();
    let connector = Connector::new(Resolver::from_system());
    let mut trace = Trace::new(soon());
    let result = connector.tcp(&dial("localhost", port, &guard), &mut trace).await;
    let says = format!("connection to `localhost` (127.0.0.1:{port}) refused (and 1 more");
    check(&result.expect_err("closed"), FailureKind::Refused, &says);
}

#[tokio::test]
async fn the_guard_sees_every_address_and_the_allowed_one_is_used() {
    let (_listener, port) = listen("127.0.0.1:0").await;
    // A name that points here, and to where it must not.
    let resolver = name_server(|_| Some(vec![[127, 0, 0, 3], [127, 0, 0, 1]])).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = seen.clone();
    let guard = Guard::new(move |address: SocketAddr| {
        asked.lock().expect("not poisoned").push(address.to_string());
        match address.ip() == IpAddr::from([127, 0, 0, 1]) {
            true => Ok(()),
            false => Err("no".to_owned()),
        }
    });
    let mut trace = Trace::new(soon());
    let connector = Connector::new(resolver);
    connector.tcp(&dial("mixed.example.", port, &guard), &mut trace).await.expect("connected");
    let both = [format!("127.0.0.3:{port}"), format!("127.0.0.1:{port}")];
    assert_eq!(*seen.lock().expect("not poisoned"), both);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let (_outside, port) = listen("127.0.0.1:0").await;
    let (inside, _) = listen(&format!("127.0.0.3:{port}")).await;
    // Asked twice for each look-up, once for either family.
    let asked = AtomicU32::new(0);
    let resolver = name_server(move |_| {
        let first = asked.fetch_add(1, Ordering::Relaxed) < 2;
        Some(vec![if first { [127, 0, 0, 1] } else { [127, 0, 0, 3] }])
    })
    .await;
    let guard =
        Guard::new(|address: SocketAddr| match address.ip() == IpAddr::from([127, 0, 0, 1]) {
            true => Ok(()),
            false => Err(format!("not to {address}")),
        });
    let connector = Connector::new(resolver);
    let dial = dial("rebound.example.", port, &guard);
    let first = connector.tcp(&dial, &mut Trace::new(soon())).await.expect("connected");
    assert_eq!(first.peer_addr().expect("connected").ip(), IpAddr::from([127, 0, 0, 1]));
    let second = connector.tcp(&dial, &mut Trace::new(soon())).await;
    let says = format!("not to 127.0.0.3:{port}");
    check(&second.expect_err("denied"), FailureKind::Denied, &says);
    let came = timeout(Duration::from_millis(50), inside.accept()).await;
    assert!(came.is_err(), "{came:?}");
}

#[tokio::test]
async fn a_hidden_ipv4_address_is_shown_to_the_guard_as_what_it_is() {
    let guard = Guard::new(|address| Err(format!("asked about {address}")));
    let connector = Connector::new(Resolver::from_system());
    let mut trace = Trace::new(soon());
    let result = connector.tcp(&dial("[::ffff:127.0.0.1]", 9, &guard), &mut trace).await;
    check(&result.expect_err("denied"), FailureKind::Denied, "asked about 127.0.0.1:9");
}
