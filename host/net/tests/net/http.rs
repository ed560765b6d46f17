//! HTTP/1.1 against servers that behave and servers that do not.

use std::time::Duration;

use crate::support::{After, Fake, fetch, fetch_shortly, get, url};
use crate::{check_body, check_failure};
use http::{HeaderValue, Method, StatusCode, Version};
use wellcheck_net::FailureKind;
use wellcheck_net::http::HttpVersion;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";

#[tokio::test]
async fn an_answer_comes_with_its_facts() {
    let target = Fake::answering(OK).await;
    let exchange = fetch(&get(target.url("/a?b#c"))).await;
    check_body(&exchange, 200, "hello");
    let answer = exchange.result.expect("an answer");
    assert_eq!(answer.headers["x-a"], "b");
    assert_eq!(answer.version, Version::HTTP_11);
    assert_eq!(exchange.status, Some(StatusCode::OK));
    assert_eq!(exchange.peer, Some(target.address));
    assert_eq!((exchange.redirects, exchange.certificate), (0, None));
    assert!(exchange.phases.connect > Duration::ZERO && exchange.phases.wait > Duration::ZERO);
    assert_eq!(exchange.phases.tls, Duration::ZERO);
    assert!(exchange.phases.sum() <= exchange.total);
    let sent = format!(
        "GET /a?b HTTP/1.1\r\nhost: {}\r\nuser-agent: wellcheck/{}\r\naccept: */*\r\n\r\n",
        target.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(target.seen(), [sent]);
}

#[tokio::test]
async fn given_headers_replace_ours() {
    let target = Fake::answering(OK).await;
    let mut request = get(target.url("/"));
    for (name, value) in [("host", "shop.example"), ("user-agent", "me"), ("accept", "text/plain")]
    {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    request.headers.append("x-twice", HeaderValue::from_static("1"));
    request.headers.append("x-twice", HeaderValue::from_static("2"));
    check_body(&fetch(&request).await, 200, "hello");
    let sent = target.seen().remove(0);
    for once in ["host: shop.example\r\n", "user-agent: me\r\n", "accept: text/plain\r\n"] {
        assert_eq!(sent.matches(once).count(), 1, "{sent}");
    }
    assert_eq!(sent.matches("x-twice").count(), 2, "{sent}");
    assert!(!sent.contains("127.0.0.1"), "{sent}");
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let target = Fake::answering(OK).await;
    let mut request = get(target.url("/"));
    request.method = Method::POST;
    request.body = "ping".into();
    check_body(&fetch(&request).await, 200, "hello");
    let sent = target.seen().remove(0);
    assert!(sent.starts_with("POST / ") && sent.ends_with("\r\n\r\nping"), "{sent}");
    assert!(sent.contains("content-length: 4\r\n"), "{sent}");
}

#[tokio::test]
async fn credentials_of_a_url_become_a_header_and_vanish_from_the_report() {
    let target = Fake::answering(OK).await;
    let mut request = get(target.url("/"));
    request.url.set_username("me").expect("has a host");
    request.url.set_password(Some("s3cret")).expect("has a host");
    let exchange = fetch(&request).await;
    check_body(&exchange, 200, "hello");
    assert!(target.seen()[0].contains("authorization: Basic bWU6czNjcmV0\r\n"));
    assert_eq!(exchange.url, target.url("/"));

    request.url = url("http://me:s3cret@127.0.0.1:1/");
    let exchange = fetch(&request).await;
    assert!(!format!("{exchange:?} {request:?}").contains("s3cret"));
}

#[tokio::test]
async fn bodies_end_by_length_by_chunks_or_by_closing() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: a\r\n\r\n";
    for answer in [OK, chunked, "HTTP/1.0 200 OK\r\n\r\nhello"] {
        let target = Fake::answering(answer).await;
        check_body(&fetch(&get(target.url("/"))).await, 200, "hello");
    }
}

#[tokio::test]
async fn answers_without_a_body_are_not_waited_for() {
    let length = "Content-Length: 5\r\n\r\n";
    for (method, status) in [
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
        (Method::GET, "101 Switching Protocols"),
    ] {
        let length = if status.starts_with("101") { "\r\n" } else { length };
        let target =
            Fake::scripted(format!("HTTP/1.1 {status}\r\n{length}"), After::StaySilent).await;
        let mut request = get(target.url("/"));
        request.method = method;
        let status = status[..3].parse().expect("a number");
        check_body(&fetch_shortly(&request).await, status, "");
    }
}

#[tokio::test]
async fn interim_answers_are_skipped_and_endless_ones_time_out() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let target = Fake::answering(format!("{interim}{OK}")).await;
    check_body(&fetch(&get(target.url("/"))).await, 200, "hello");

    let target = Fake::scripted(interim, After::Repeat).await;
    let exchange = fetch_shortly(&get(target.url("/"))).await;
    check_failure(&exchange, FailureKind::Timeout, "waiting for an answer");
}

#[tokio::test]
async fn bodies_are_never_decompressed() {
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x08\x00";
    let target = Fake::answering(answer).await;
    check_body(&fetch(&get(target.url("/"))).await, 200, "\x1f\x08\x00");
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    ] {
        let target = Fake::answering(answer).await;
        let exchange = fetch(&get(target.url("/"))).await;
        check_failure(&exchange, FailureKind::Protocol, "does not answer in HTTP");
        assert_eq!(exchange.peer, Some(target.address));
    }
}

#[tokio::test]
async fn a_silent_server_times_out_with_what_was_awaited() {
    let target = Fake::scripted("", After::StaySilent).await;
    let exchange = fetch_shortly(&get(target.url("/"))).await;
    let says =
        format!("timed out after 150ms while waiting for an answer from `{}`", target.address);
    check_failure(&exchange, FailureKind::Timeout, &says);
    assert!(exchange.phases.wait > Duration::from_millis(100));
    assert!(exchange.total < Duration::from_secs(2));
}

#[tokio::test]
async fn closing_early_is_told_apart_from_garbage() {
    for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nX-A: b\r\n"] {
        let target = Fake::answering(answer).await;
        let exchange = fetch(&get(target.url("/"))).await;
        check_failure(&exchange, FailureKind::Closed, "closed the connection");
        assert_eq!(exchange.status, None);
    }
    for answer in [
        "HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    ] {
        let target = Fake::answering(answer).await;
        let exchange = fetch(&get(target.url("/"))).await;
        check_failure(&exchange, FailureKind::Closed, "(status 503, 5 bytes of the body)");
        assert_eq!(exchange.status, Some(StatusCode::SERVICE_UNAVAILABLE));
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let head = "HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxx";
    let target = Fake::scripted(head, After::Repeat).await;
    for limit in [0, 1, 10_000] {
        let mut request = get(target.url("/"));
        request.body_limit = limit;
        let answer = fetch(&request).await.result.expect("an answer");
        assert_eq!((answer.body.len(), answer.truncated), (limit, true));
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let target = Fake::answering(OK).await;
    let mut request = get(target.url("/"));
    request.body_limit = 5;
    check_body(&fetch(&request).await, 200, "hello");
}

#[tokio::test]
async fn trickling_does_not_extend_the_deadline() {
    let target = Fake::scripted("HTTP/1.1 200 OK\r\nX-A: ", After::Trickle).await;
    let exchange = fetch_shortly(&get(target.url("/"))).await;
    check_failure(&exchange, FailureKind::Timeout, "waiting for an answer");

    let target = Fake::scripted("HTTP/1.1 200 OK\r\n\r\n", After::Trickle).await;
    let exchange = fetch_shortly(&get(target.url("/"))).await;
    check_failure(&exchange, FailureKind::Timeout, "while reading the body");
    check_failure(&exchange, FailureKind::Timeout, "(status 200, ");
    assert!(exchange.phases.transfer > Duration::from_millis(100));
    assert_eq!(exchange.status, Some(StatusCode::OK));
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(101));
    for answer in [large, many] {
        let target = Fake::answering(answer).await;
        let exchange = fetch(&get(target.url("/"))).await;
        check_failure(&exchange, FailureKind::TooLarge, "64 KiB or 100 headers");
    }
    let target = Fake::scripted("HTTP/1.1 200 OK\r\nX-A: ", After::Repeat).await;
    let exchange = fetch(&get(target.url("/"))).await;
    assert!(exchange.result.is_err());
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let address = {
        let gone = Fake::answering(OK).await;
        gone.address
    };
    // The listener closes with its task, which ends at its next turn.
    tokio::task::yield_now().await;
    let exchange = fetch(&get(url(&format!("http://{address}/")))).await;
    check_failure(&exchange, FailureKind::Refused, &format!("connection to `{address}` refused"));
    assert_eq!(exchange.peer, None);
}

#[tokio::test]
async fn ipv6_addresses_work_in_brackets() {
    let target = Fake::start("[::1]:0", |stream, seen| async move {
        use tokio::io::AsyncWriteExt;
        let mut stream = stream;
        let head = crate::support::read_request(&mut stream).await;
        seen.lock().expect("not poisoned").push(head);
        let _ = stream.write_all(OK.as_bytes()).await;
    })
    .await;
    let exchange = fetch(&get(target.url("/"))).await;
    check_body(&exchange, 200, "hello");
    assert_eq!(exchange.peer, Some(target.address));
    let host = format!("host: [::1]:{}\r\n", target.address.port());
    assert!(target.seen()[0].contains(&host), "{:?}", target.seen());
}

#[tokio::test]
async fn unknown_schemes_are_named() {
    let exchange = fetch(&get(url("ftp://127.0.0.1/"))).await;
    check_failure(&exchange, FailureKind::Request, "unknown scheme `ftp` (known: http, https)");
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let target = Fake::http2(None).await;
    let mut request = get(target.url("/"));
    request.version = HttpVersion::Http2;
    let exchange = fetch(&request).await;
    check_body(&exchange, 200, "hello over h2");
    assert_eq!(exchange.result.expect("an answer").version, Version::HTTP_2);

    request.url = target.url("/echo");
    request.method = Method::POST;
    request.body = vec![b'x'; 60_000].into();
    let answer = fetch(&request).await.result.expect("an answer");
    assert_eq!(answer.body, request.body);

    request.body_limit = 1_000;
    let answer = fetch(&request).await.result.expect("an answer");
    assert_eq!((answer.body.len(), answer.truncated), (1_000, true));
}

#[tokio::test]
async fn http2_has_limits_too() {
    let target = Fake::http2(None).await;
    let mut request = get(target.url("/huge-head"));
    request.version = HttpVersion::Http2;
    let exchange = fetch(&request).await;
    // The library tells an oversized head from other excess only in words.
    check_failure(&exchange, FailureKind::Protocol, "broke the protocol");

    let silent = Fake::scripted("", After::StaySilent).await;
    request.url = silent.url("/");
    check_failure(&fetch_shortly(&request).await, FailureKind::Timeout, "waiting for an answer");

    let target = Fake::answering(OK).await;
    request.url = target.url("/");
    check_failure(&fetch(&request).await, FailureKind::Protocol, "broke the protocol");
}
