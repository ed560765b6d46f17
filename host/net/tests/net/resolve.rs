//! Names, against name servers that answer, lie by omission, or stay silent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::UdpSocket;
use wellcheck_net::{FailureKind, Family, MAX_ADDRESSES, Phase, Resolver, Trace};

use crate::check;
use crate::support::shortly;

const A: u16 = 1;

/// A resolver whose only name server gives these A records for a name and no AAAA record;
/// `None` for a name that does not exist. What begins with `rebound` is good for this once.
pub(crate) async fn name_server(
    records: impl Fn(&str) -> Option<Vec<[u8; 4]>> + Send + 'static,
) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let resolver = Resolver::with_servers(&[socket.local_addr().expect("bound")]);
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let _ = socket.send_to(&answer(&query[..length], &records), from).await;
        }
    });
    resolver
}

fn answer(query: &[u8], records: &impl Fn(&str) -> Option<Vec<[u8; 4]>>) -> Vec<u8> {
    let mut name = String::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push_str(&String::from_utf8_lossy(&query[at + 1..end]));
        name.push('.');
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let found = records(&name);
    let code = if found.is_some() { 0 } else { 3 };
    let found = found.filter(|_| kind == A).unwrap_or_default();

    let mut out = query[..2].to_vec();
    out.extend([0x81, 0x80 | code, 0, 1]);
    out.extend((found.len() as u16).to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(question);
    let seconds = if name.starts_with("rebound") { 0 } else { 60 };
    for address in found {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, seconds, 0, 4]);
        out.extend(address);
    }
    out
}

#[tokio::test]
async fn names_come_from_the_name_server_and_are_bounded() {
    let many = (0..30).map(|n| [10, 0, 0, n]).collect::<Vec<_>>();
    let resolver = name_server(move |name| match name {
        "one.example." => Some(vec![[10, 1, 1, 1]]),
        _ => Some(many.clone()),
    })
    .await;
    let one = resolver.lookup("one.example", Family::Any).await.expect("known");
    assert_eq!(one, [IpAddr::from([10, 1, 1, 1])]);
    let many = resolver.lookup("many.example.", Family::V4).await.expect("known");
    assert_eq!(many.len(), MAX_ADDRESSES);
    let failure = resolver.lookup("one.example", Family::V6).await.expect_err("no AAAA");
    check(&failure, FailureKind::Resolve, "`one.example` has no AAAA record");
}

#[tokio::test]
async fn absent_names_and_absent_records_are_told_apart() {
    let resolver = name_server(|name| (name == "empty.example.").then(Vec::new)).await;
    let failure = resolver.lookup("no.example", Family::Any).await.expect_err("unknown");
    check(&failure, FailureKind::Resolve, "`no.example` does not exist in DNS");
    let failure = resolver.lookup("empty.example", Family::Any).await.expect_err("empty");
    check(&failure, FailureKind::Resolve, "`empty.example` has no A or AAAA record");
    let failure = resolver.lookup(&"x".repeat(300), Family::Any).await.expect_err("too long");
    check(&failure, FailureKind::Resolve, "is not a valid name");
    let failure = resolver.lookup("", Family::Any).await.expect_err("empty");
    check(&failure, FailureKind::Resolve, "`` is not a valid name");
}

#[tokio::test]
async fn a_silent_name_server_costs_the_deadline_and_no_more() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("loopback can be bound");
    let resolver = Resolver::with_servers(&[silent.local_addr().expect("bound")]);
    let mut trace = Trace::new(shortly());
    let doing = || "resolving `a.example`".to_owned();
    let lookup = resolver.lookup("a.example", Family::Any);
    let failure = trace.stage(Phase::Resolve, doing, lookup).await.expect_err("silent");
    check(&failure, FailureKind::Timeout, "timed out after 150ms while resolving `a.example`");
}

#[tokio::test]
async fn addresses_and_localhost_need_no_name_server() {
    let resolver = Resolver::with_servers(&[]);
    let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    for (host, family, expected) in [
        ("localhost", Family::Any, &[v4, v6][..]),
        ("LOCALHOST.", Family::V6, &[v6]),
        ("127.0.0.1", Family::Any, &[v4]),
        ("[::1]", Family::V6, &[v6]),
    ] {
        assert_eq!(resolver.lookup(host, family).await.as_deref(), Ok(expected), "{host}");
    }
    let failure = resolver.lookup("::1", Family::V4).await.expect_err("wrong family");
    check(&failure, FailureKind::Resolve, "`::1` has no A address");
    let failure = resolver.lookup("a.example", Family::Any).await.expect_err("nobody to ask");
    check(&failure, FailureKind::Resolve, "`a.example` cannot be resolved");
}
