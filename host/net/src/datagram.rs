//! UDP to one address: resolve, ask the guard, send and hear.
//!
//! The socket is connected, so that the system hands on nothing that comes from elsewhere, and
//! says when the other side refuses. Its port is a random one for each socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use crate::failure::chain;
use crate::{Connector, Dial, Failure, FailureKind, Trace};

/// Datagrams to and from one address.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl Connector {
    /// Resolves, and opens a socket to the first of the addresses that this machine has a way to.
    pub async fn udp(&self, dial: &Dial<'_>, trace: &mut Trace) -> Result<Datagrams, Failure> {
        let mut failure = None;
        for peer in self.addresses(dial, trace).await? {
            match open(peer).await {
                Ok(socket) => {
                    trace.peer = Some(peer);
                    trace.tried = Some(peer);
                    return Ok(Datagrams { socket, peer });
                }
                Err(error) => failure = failure.or(Some(explain(&error, peer))),
            }
        }
        Err(failure.expect("there is at least one address, and each one failed"))
    }
}

async fn open(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(peer).await?;
    Ok(socket)
}

impl Datagrams {
    /// Whom they go to and come from.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends one.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.socket.send(bytes).await.map(drop).map_err(|error| explain(&error, self.peer))
    }

    /// Waits for one and says how long it is; what `buffer` has no room for is lost. The caller
    /// bounds the time.
    pub async fn hear(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.socket.recv(buffer).await.map_err(|error| explain(&error, self.peer))
    }
}

fn explain(error: &io::Error, peer: SocketAddr) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(
            FailureKind::Refused,
            format!("`{peer}` refused the datagram: nobody listens there"),
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Failure::new(FailureKind::Unreachable, format!("no route to `{peer}`"))
        }
        // No descriptors, no memory, a datagram that is too large, a local firewall.
        _ => Failure::new(
            FailureKind::Local,
            format!("cannot send to or hear from `{peer}`: {}", chain(error)),
        ),
    }
}
