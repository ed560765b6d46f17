//! Requests through an HTTP proxy that was named explicitly.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wellcheck_net::http::{HttpVersion, Request};
use wellcheck_net::{FailureKind, Guard, Proxy};

use crate::support::{
    After, Authority, Fake, Leaf, fetch, fetch_shortly, get, read_request, server, url,
};
use crate::{check_body, check_failure};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn through(proxy: &Fake, mut request: Request) -> Request {
    let proxy = format!("http://me:s3cret@{}", proxy.address);
    request.proxy = Some(Proxy::parse(&proxy).expect("a proxy"));
    request
}

#[tokio::test]
async fn plain_requests_name_the_whole_url() {
    let proxy = Fake::answering(OK).await;
    let exchange = fetch(&through(&proxy, get(url("http://shop.example/a?b")))).await;
    check_body(&exchange, 200, "hello");
    assert_eq!(exchange.peer, Some(proxy.address));
    let sent = proxy.seen().remove(0);
    assert!(
        sent.starts_with("GET http://shop.example/a?b HTTP/1.1\r\nhost: shop.example\r\n"),
        "{sent}"
    );
    assert!(sent.contains("proxy-authorization: Basic bWU6czNjcmV0\r\n"), "{sent}");
}

#[tokio::test]
async fn https_goes_through_a_tunnel_end_to_end() {
    let root = Authority::new();
    let named = Leaf { names: &["shop.example"], ..Leaf::default() };
    let target = Fake::tls(server(root.issue(&named), &["http/1.1"]), OK.as_bytes()).await;
    let address = target.address;
    let proxy = Fake::start("127.0.0.1:0", move |mut near, seen| async move {
        let head = read_request(&mut near).await;
        seen.lock().expect("not poisoned").push(head);
        let mut far = TcpStream::connect(address).await.expect("the target listens");
        let _ = near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    })
    .await;
    let mut request = through(&proxy, get(url("https://shop.example/a")));
    request.tls = root.trusted();
    let exchange = fetch(&request).await;
    check_body(&exchange, 200, "hello");
    assert_eq!(exchange.certificate.expect("the target's").names, ["shop.example"]);
    let asked = "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\
                 Proxy-Authorization: Basic bWU6czNjcmV0\r\n\r\n";
    assert_eq!(proxy.seen(), [asked]);
    let sent = target.seen().remove(0);
    assert!(sent.starts_with("GET /a HTTP/1.1\r\n") && !sent.contains("roxy"), "{sent}");
}

#[tokio::test]
async fn a_proxy_that_does_not_help_is_blamed_and_not_the_target() {
    for (answer, says) in [
        ("HTTP/1.1 407 Who\r\n\r\n", "refused a tunnel to `shop.example:443` with status 407"),
        ("HTTP/1.1 502 Bad\r\n\r\nbody", "with status 502"),
        ("SSH-2.0-x\r\n\r\n", "does not speak HTTP: it answered `SSH-2.0-x`"),
        ("", "closed the connection instead of opening a tunnel"),
        ("HTTP/1.1 200 OK\r\n\r\nsurprise", "sent data before the tunnel was used"),
    ] {
        let proxy = Fake::answering(answer).await;
        let exchange = fetch(&through(&proxy, get(url("https://shop.example/")))).await;
        check_failure(&exchange, FailureKind::Proxy, says);
        assert!(!format!("{exchange:?}").contains("s3cret"));
    }
    let endless = Fake::scripted("HTTP/1.1 200 OK\r\nX-A: b\r\n", After::Repeat).await;
    let exchange = fetch(&through(&endless, get(url("https://shop.example/")))).await;
    check_failure(&exchange, FailureKind::Proxy, "a head of more than 8192 bytes");

    let silent = Fake::scripted("", After::StaySilent).await;
    let exchange = fetch_shortly(&through(&silent, get(url("https://shop.example/")))).await;
    check_failure(&exchange, FailureKind::Timeout, "to open a tunnel to `shop.example:443`");

    let unwilling = Fake::answering("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n").await;
    let exchange = fetch(&through(&unwilling, get(url("http://shop.example/")))).await;
    check_failure(&exchange, FailureKind::Proxy, "wants other credentials");

    let mut request = get(url("http://shop.example/"));
    request.proxy = Some(Proxy::parse("http://127.0.0.1:1").expect("a proxy"));
    let exchange = fetch(&request).await;
    check_failure(&exchange, FailureKind::Proxy, "proxy: connection to `127.0.0.1:1` refused");
}

#[tokio::test]
async fn the_guard_is_asked_about_the_proxy() {
    let proxy = Fake::answering(OK).await;
    let mut request = through(&proxy, get(url("http://shop.example/")));
    request.guard = Guard::new(|address| Err(format!("{address} is not granted")));
    let says = format!("{} is not granted", proxy.address);
    check_failure(&fetch(&request).await, FailureKind::Denied, &says);
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
async fn http2_without_tls_cannot_pass() {
    let proxy = Fake::answering(OK).await;
    let mut request = through(&proxy, get(url("http://shop.example/")));
    request.version = HttpVersion::Http2;
    check_failure(&fetch(&request).await, FailureKind::Proxy, "cannot pass on HTTP/2 without TLS");
}
