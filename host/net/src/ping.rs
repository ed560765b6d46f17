//! Echo requests over ICMP: the socket, which systems give to some and not to others.
//!
//! Linux has an unprivileged kind of socket for this, for the groups that
//! `net.ipv4.ping_group_range` names, and raw sockets for whoever has `CAP_NET_RAW`. The first is
//! tried first. Over it the system chooses the identifier and hands on nothing but answers; over
//! the second everything that the address sends comes in, and the caller tells it apart.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as Socket};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use tokio::net::UdpSocket;

use crate::failure::chain;
use crate::{Failure, FailureKind};

/// A socket for echo requests to one address and their answers.
#[derive(Debug)]
pub struct Pings {
    socket: UdpSocket,
    peer: SocketAddr,
    raw: bool,
}

impl Pings {
    /// Opens one; `hops` is the most routers that a request passes, `whole` forbids them to
    /// divide it. `peer` must have been asked about: see [`crate::Connector::addresses`].
    pub fn open(peer: SocketAddr, hops: Option<u8>, whole: bool) -> Result<Self, Failure> {
        let (socket, raw) = match socket(peer, SocketType::DGRAM) {
            Ok(socket) => (socket, false),
            Err(Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT | Errno::PROTOTYPE) => {
                let raw = socket(peer, SocketType::RAW).map_err(|error| refused(error.into()))?;
                (raw, true)
            }
            Err(error) => return Err(refused(error.into())),
        };
        let set = || -> io::Result<UdpSocket> {
            match (peer, hops) {
                (SocketAddr::V4(_), Some(hops)) => sockopt::set_ip_ttl(&socket, hops.into())?,
                (SocketAddr::V6(_), hops @ Some(_)) => {
                    sockopt::set_ipv6_unicast_hops(&socket, hops)?;
                }
                (_, None) => {}
            }
            if whole {
                match peer {
                    SocketAddr::V4(_) => {
                        sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO)?;
                    }
                    SocketAddr::V6(_) => {
                        sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
                    }
                }
            }
            // Ports mean nothing to ICMP.
            socket.connect(SocketAddr::new(peer.ip(), 0))?;
            UdpSocket::from_std(socket)
        };
        let socket = set().map_err(|error| explain(&error, peer.ip()))?;
        Ok(Self { socket, peer, raw })
    }

    /// Whether it is a raw one: then answers to others come in as well, and over IPv4 with the
    /// header of IP before them.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Sends one request.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.socket.send(bytes).await.map(drop).map_err(|error| explain(&error, self.peer.ip()))
    }

    /// Waits for whatever comes, and says how long it is. The caller bounds the time.
    pub async fn hear(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.socket.recv(buffer).await.map_err(|error| explain(&error, self.peer.ip()))
    }
}

fn explain(error: &io::Error, ip: IpAddr) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Failure::new(FailureKind::Refused, format!("`{ip}` refuses to be pinged"))
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Failure::new(FailureKind::Unreachable, format!("no route to `{ip}`"))
        }
        _ if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => Failure::new(
            FailureKind::Unreachable,
            format!("the way to `{ip}` has no room for a packet of this size in one piece"),
        ),
        _ => Failure::new(FailureKind::Local, format!("cannot ping `{ip}`: {}", chain(error))),
    }
}

fn socket(peer: SocketAddr, kind: SocketType) -> Result<Socket, Errno> {
    let (family, protocol) = match peer {
        SocketAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        SocketAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, kind, flags, Some(protocol)).map(Socket::from)
}

fn refused(error: io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::PermissionDenied => "the system refuses a socket for pings (let the group of this process ping by the sysctl `net.ipv4.ping_group_range`, or give the program CAP_NET_RAW)".to_owned(),
        _ => format!("the system gives no socket for pings: {}", chain(&error)),
    };
    Failure::new(FailureKind::Local, message)
}
