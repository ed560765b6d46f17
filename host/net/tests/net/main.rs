//! The crate against real sockets on loopback, most of them held by servers that misbehave.

mod connect;
mod http;
mod open;
mod proxy;
mod redirect;
mod resolve;
mod support;
mod tls;

use wellcheck_net::http::Exchange;
use wellcheck_net::{Failure, FailureKind};

#[track_caller]
fn check(failure: &Failure, kind: FailureKind, says: &str) {
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.message.contains(says), "`{failure}` does not say `{says}`");
}

#[track_caller]
fn check_failure(exchange: &Exchange, kind: FailureKind, says: &str) {
    check(exchange.result.as_ref().expect_err("expected a failure"), kind, says);
}

#[track_caller]
fn check_body(exchange: &Exchange, status: u16, body: &str) {
    let answer = exchange.result.as_ref().expect("expected an answer");
    assert_eq!(answer.status.as_u16(), status);
    assert_eq!(answer.body, body.as_bytes());
    assert!(!answer.truncated);
}
