//! Chains of redirects: limits, methods, credentials, and the guard on every hop.

use http::{HeaderValue, Method};
use wellcheck_net::http::{Redirects, Request};
use wellcheck_net::{FailureKind, Guard};

use crate::support::{Fake, fetch, get, url};
use crate::{check_body, check_failure};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";

fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn following(target: &Fake, limit: u32) -> Request {
    let mut request = get(target.url("/start"));
    request.redirects = Redirects::Follow(limit);
    request
}

#[tokio::test]
async fn a_redirect_is_the_answer_unless_it_is_to_be_followed() {
    let target = Fake::answering(to(302, "/next")).await;
    let exchange = fetch(&get(target.url("/"))).await;
    check_body(&exchange, 302, "");
    assert_eq!((exchange.redirects, exchange.url), (0, target.url("/")));
}

#[tokio::test]
async fn redirects_are_followed_on_new_connections() {
    let end = Fake::answering(OK).await;
    let start = Fake::answering(to(301, end.url("/end?x").as_str())).await;
    let exchange = fetch(&following(&start, 1)).await;
    check_body(&exchange, 200, "here");
    assert_eq!((exchange.redirects, &exchange.url), (1, &end.url("/end?x")));
    assert_eq!(exchange.peer, Some(end.address));
    assert!(end.seen()[0].contains(&format!("host: {}\r\n", end.address)));
}

#[tokio::test]
async fn endless_redirects_end_at_the_limit() {
    let target = Fake::answering(to(302, "/again")).await;
    let exchange = fetch(&following(&target, 3)).await;
    let says = format!("more than 3 redirects; the last one points to `{}`", target.address);
    check_failure(&exchange, FailureKind::Redirect, &says);
    assert_eq!(exchange.redirects, 3);
    assert_eq!(exchange.status.map(|status| status.as_u16()), Some(302));
    assert_eq!(target.seen().len(), 4);
}

#[tokio::test]
async fn a_location_that_cannot_be_followed_is_a_failure() {
    for (location, says) in [
        ("ftp://127.0.0.1/", "only `http` and `https` are followed"),
        ("http://[::1", "not a URL"),
        ("http://", "not a URL"),
    ] {
        let target = Fake::answering(to(302, location)).await;
        check_failure(&fetch(&following(&target, 5)).await, FailureKind::Redirect, says);
    }
    let target = Fake::answering("HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nhere").await;
    check_body(&fetch(&following(&target, 5)).await, 302, "here");
}

#[tokio::test]
async fn a_form_is_sent_once_and_its_credentials_stay_home() {
    let end = Fake::answering(OK).await;
    let start = Fake::answering(to(302, end.url("/").as_str())).await;
    let mut request = following(&start, 5);
    request.method = Method::POST;
    request.body = "secret=1".into();
    request.url.set_username("me").expect("has a host");
    request.headers.insert("cookie", HeaderValue::from_static("secret=1"));
    request.headers.insert("x-plain", HeaderValue::from_static("stays"));
    check_body(&fetch(&request).await, 200, "here");
    assert!(start.seen()[0].contains("authorization: Basic "));
    let sent = end.seen().remove(0);
    assert!(sent.starts_with("GET / ") && sent.contains("x-plain: stays\r\n"), "{sent}");
    assert!(!sent.contains("secret") && !sent.contains("authorization"), "{sent}");
}

#[tokio::test]
async fn a_preserving_redirect_repeats_the_body() {
    let end = Fake::answering(OK).await;
    let start = Fake::answering(to(307, end.url("/").as_str())).await;
    let mut request = following(&start, 5);
    request.method = Method::PUT;
    request.body = "again".into();
    check_body(&fetch(&request).await, 200, "here");
    let sent = end.seen().remove(0);
    assert!(sent.starts_with("PUT / ") && sent.ends_with("again"), "{sent}");
}

#[tokio::test]
async fn every_hop_passes_the_guard_before_it_is_connected_to() {
    let end = Fake::answering(OK).await;
    for location in [end.url("/"), url(&format!("http://localhost:{}/", end.address.port()))] {
        let start = Fake::answering(to(302, location.as_str())).await;
        let mut request = following(&start, 5);
        let allowed = start.address;
        request.guard = Guard::new(move |address| match address == allowed {
            true => Ok(()),
            false => Err(format!("`{address}` is not granted")),
        });
        let exchange = fetch(&request).await;
        let says = format!("`127.0.0.1:{}` is not granted", end.address.port());
        check_failure(&exchange, FailureKind::Denied, &says);
        assert_eq!((exchange.redirects, exchange.peer), (1, None));
    }
    assert!(end.seen().is_empty());
}
