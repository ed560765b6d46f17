//! TCP connections: resolve, ask the guard, race the addresses.
//!
//! Addresses are tried in order, the next one as soon as the previous fails or has been silent
//! for [`STAGGER`], so that a dead first address costs a fraction of the deadline. No name is
//! resolved twice within an attempt.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::failure::chain;
use crate::{Failure, FailureKind, Family, Guard, Phase, Resolver, Trace};

/// Head start of each address before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Where to, and who may object.
#[derive(Debug, Clone, Copy)]
pub struct Dial<'a> {
    /// A name or an address, IPv6 with or without brackets.
    pub host: &'a str,
    /// The port; 0 is refused by the system.
    pub port: u16,
    /// Which addresses of the name to use.
    pub family: Family,
    /// Asked about each address before it is connected to.
    pub guard: &'a Guard,
}

/// Makes TCP connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    resolver: Resolver,
    guard: Guard,
}

impl Connector {
    /// A connector that asks `resolver` for addresses.
    pub const fn new(resolver: Resolver) -> Self {
        Self { resolver, guard: Guard::allow_all() }
    }

    /// The same, which also asks `guard` about every name and address.
    #[must_use]
    pub fn guarded(&self, guard: Guard) -> Self {
        Self { resolver: self.resolver.clone(), guard }
    }

    /// The same, which asks another resolver.
    #[must_use]
    pub fn resolving(&self, resolver: Resolver) -> Self {
        Self { resolver, guard: self.guard.clone() }
    }

    /// What is asked about every name and address, besides the guard of a [`Dial`].
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The resolver in use.
    pub const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The addresses that `dial` may go to, at least one, within the deadline of `trace`.
    ///
    /// Addresses that the guard refuses are left out; if it refuses all, its first text is the
    /// failure's message.
    pub async fn addresses(
        &self,
        dial: &Dial<'_>,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let host = dial.host;
        self.guard.name(host, dial.port).map_err(denied)?;
        let addresses = trace
            .stage(
                Phase::Resolve,
                || format!("resolving `{host}`"),
                self.resolver.lookup(host, dial.family),
            )
            .await?;
        let allowed = permitted(&addresses, dial, &self.guard)?;
        trace.tried = Some(allowed[0]);
        Ok(allowed)
    }

    /// Resolves and connects, within the deadline of `trace`; `TCP_NODELAY` is set.
    ///
    /// What the guard refuses is left out, as [`Connector::addresses`] has it.
    pub async fn tcp(&self, dial: &Dial<'_>, trace: &mut Trace) -> Result<TcpStream, Failure> {
        let host = dial.host;
        let allowed = self.addresses(dial, trace).await?;
        let (stream, peer) = trace
            .stage(
                Phase::Connect,
                || format!("connecting to {}", describe(host, allowed[0], allowed.len() - 1)),
                race(host, &allowed),
            )
            .await?;
        trace.peer = Some(peer);
        trace.tried = Some(peer);
        Ok(stream)
    }

    /// Connects to this address and no other, as one that `dial` leads to; nothing is resolved.
    pub async fn tcp_at(
        &self,
        dial: &Dial<'_>,
        address: IpAddr,
        trace: &mut Trace,
    ) -> Result<TcpStream, Failure> {
        let host = dial.host;
        self.guard.name(host, dial.port).map_err(denied)?;
        let address = permitted(&[address], dial, &self.guard)?[0];
        trace.tried = Some(address);
        let doing = || format!("connecting to {}", describe(host, address, 0));
        let (stream, peer) = trace.stage(Phase::Connect, doing, attempt(host, address)).await?;
        trace.peer = Some(peer);
        Ok(stream)
    }
}

pub(crate) fn denied(reason: String) -> Failure {
    Failure::new(FailureKind::Denied, reason)
}

/// The addresses that both guards let through; never empty.
fn permitted(
    addresses: &[IpAddr],
    dial: &Dial<'_>,
    guard: &Guard,
) -> Result<Vec<SocketAddr>, Failure> {
    let mut refusal = None;
    let mut allowed = Vec::with_capacity(addresses.len());
    for address in addresses {
        let address = SocketAddr::new(*address, dial.port);
        let judged = dial.guard.address(dial.host, address);
        match judged.and_then(|()| guard.address(dial.host, address)) {
            Ok(()) => allowed.push(address),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    if allowed.is_empty() {
        let reason = refusal.unwrap_or_else(|| format!("`{}` has no address", dial.host));
        return Err(denied(reason));
    }
    Ok(allowed)
}

async fn race(host: &str, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Failure> {
    if let [only] = addresses {
        return attempt(host, *only).await;
    }
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut worst: Option<Failure> = None;
    loop {
        if let Some(next) = waiting.next() {
            running.push(attempt(host, *next));
        } else if running.is_empty() {
            let failure = worst.expect("there is at least one address, and each one failed");
            return Err(match addresses.len() - 1 {
                0 => failure,
                others => failure.with_note(format_args!("and {others} more failed")),
            });
        }
        tokio::select! {
            Some(done) = running.next() => match done {
                Ok(connected) => return Ok(connected),
                Err(failure) => {
                    // What this machine lacks (IPv6, say) must not hide what the target said.
                    if worst.as_ref().is_none_or(|worst| worst.kind == FailureKind::Local) {
                        worst = Some(failure);
                    }
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt(host: &str, address: SocketAddr) -> Result<(TcpStream, SocketAddr), Failure> {
    let connected = TcpStream::connect(address).await.and_then(|stream| {
        stream.set_nodelay(true)?;
        Ok(stream)
    });
    match connected {
        Ok(stream) => Ok((stream, address)),
        Err(error) => Err(explain(&error, &describe(host, address, 0))),
    }
}

fn explain(error: &io::Error, target: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Failure::new(FailureKind::Refused, format!("connection to {target} refused"))
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Failure::new(FailureKind::Unreachable, format!("no route to {target}"))
        }
        io::ErrorKind::TimedOut => Failure::new(
            FailureKind::Timeout,
            format!("{target} does not answer connection attempts"),
        ),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Failure::new(
            FailureKind::Closed,
            format!("connection to {target} was reset while it was made"),
        ),
        // No descriptors, no ports, no memory, a local firewall: nothing of it is the target's.
        _ => Failure::new(
            FailureKind::Local,
            format!("cannot open a connection to {target}: {}", chain(error)),
        ),
    }
}

/// `127.0.0.1:80`, or `name` with the address that was tried.
fn describe(host: &str, address: SocketAddr, others: usize) -> String {
    let is_literal = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let name = if is_literal { None } else { Some(host) };
    match (name, others) {
        (None, _) => format!("`{address}`"),
        (Some(name), 0) => format!("`{name}` ({address})"),
        (Some(name), more) => format!("`{name}` ({address} and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_target_as_written_and_the_address_tried() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(describe("10.0.0.1", address, 0), "`10.0.0.1:80`");
        assert_eq!(describe("db.example", address, 0), "`db.example` (10.0.0.1:80)");
        assert_eq!(describe("db.example", address, 2), "`db.example` (10.0.0.1:80 and 2 more)");
    }

    #[test]
    fn running_out_of_descriptors_is_ours() {
        let failure = explain(&io::Error::from_raw_os_error(24), "`10.0.0.1:80`");
        assert_eq!(failure.kind, FailureKind::Local);
        assert!(failure.message.contains("`10.0.0.1:80`"), "{failure}");
    }

    #[test]
    fn refused_addresses_are_left_out_until_none_is_left() {
        let guard = Guard::new(|address| match address.ip().is_loopback() {
            true => Err(format!("{address} is loopback")),
            false => Ok(()),
        });
        let dial = Dial { host: "x", port: 1, family: Family::Any, guard: &guard };
        let (bad, good) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let all = Guard::allow_all();
        let allowed = permitted(&[bad, good], &dial, &all).expect("one is allowed");
        assert_eq!(allowed, [SocketAddr::new(good, 1)]);
        let failure = permitted(&[bad], &dial, &all).expect_err("none is allowed");
        assert_eq!(failure.kind, FailureKind::Denied);
        assert_eq!(failure.message, "127.0.0.1:1 is loopback");
        let open = Dial { guard: &all, ..dial };
        let allowed = permitted(&[bad, good], &open, &guard).expect("one is allowed");
        assert_eq!(allowed, [SocketAddr::new(good, 1)], "the connector's guard counts as well");
    }
}
