//! Sockets: `tcp://host:port` and `udp://host:port`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::{canonical, is_public};
use super::host::{Authority, HostPattern, NamePattern};
use super::{GrantError, GrantKind};

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// The word in front of `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where sockets may lead: `protocol://host:port`.
///
/// The host is a name, a wildcard for names below one, an address or a network. The port is never
/// left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketGrant {
    protocol: Protocol,
    host: HostPattern,
    port: u16,
}

impl SocketGrant {
    /// Reads `protocol://host:port`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let error = |why| GrantError::new(GrantKind::Sockets, text, why);
        let (protocol, rest) = text.split_once("://").ok_or(error("it has no protocol"))?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(error("the protocol is not tcp or udp")),
        };
        let Authority { host, port, path } = Authority::parse(rest).map_err(error)?;
        if !path.is_empty() {
            return Err(error("it has a path, which sockets do not know"));
        }
        let port = port.ok_or(error("it has no port"))?;
        Ok(Self { protocol, host, port })
    }

    /// A grant for one address.
    pub(super) fn address(protocol: Protocol, address: SocketAddr) -> Self {
        Self { protocol, host: HostPattern::address(address.ip()), port: address.port() }
    }

    /// What it is for.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether everything that `other` allows is allowed by `self`.
    pub fn includes(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && self.host.includes(&other.host)
    }

    /// The names that it is for, if it is for names.
    pub(super) fn names(&self) -> Option<&NamePattern> {
        match &self.host {
            HostPattern::Name(pattern) => Some(pattern),
            HostPattern::Net(_) => None,
        }
    }

    /// Whether it names this address itself, whatever the port.
    pub(super) fn names_address(&self, ip: IpAddr) -> bool {
        matches!(self.host, HostPattern::Net(_)) && self.host.names_address(canonical(ip))
    }

    /// Whether a socket may talk to `address`, given the names that the run resolved.
    pub(super) fn allows(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        names: &[(String, IpAddr)],
    ) -> bool {
        if self.protocol != protocol || self.port != address.port() {
            return false;
        }
        let ip = canonical(address.ip());
        match self.names() {
            None => self.host.names_address(ip),
            Some(pattern) => {
                let resolved = names.iter().any(|(name, found)| {
                    pattern.matches(name) && same_address(*found, address.ip())
                });
                resolved && (is_public(ip) || self.host.names_address(ip))
            }
        }
    }

    /// The name by which the run found `address`, if the grant is for that name.
    pub(super) fn name_of<'a>(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        names: &'a [(String, IpAddr)],
    ) -> Option<&'a str> {
        let pattern = self.names()?;
        let (name, _) = names
            .iter()
            .find(|(name, found)| pattern.matches(name) && same_address(*found, address.ip()))?;
        (self.protocol == protocol && self.port == address.port()).then_some(name)
    }
}

/// Whether packets go to the same place: a v4-mapped address is the v4 address, and nothing else is
/// taken for another one.
fn same_address(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

impl fmt::Display for SocketGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.protocol, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> SocketGrant {
        SocketGrant::parse(text).expect("a grant")
    }

    #[track_caller]
    fn allows(text: &str, address: &str, names: &[(&str, &str)]) -> bool {
        let names: Vec<(String, IpAddr)> = names
            .iter()
            .map(|(name, ip)| ((*name).to_owned(), ip.parse().expect("an address")))
            .collect();
        let address = address.parse().expect("an address and port");
        grant(text).allows(Protocol::Tcp, address, &names)
    }

    #[test]
    fn an_address_is_covered_by_address_and_network_in_any_spelling() {
        assert!(allows("tcp://10.0.0.0/8:5432", "10.1.2.3:5432", &[]));
        assert!(allows("tcp://10.0.0.0/8:5432", "[::ffff:10.1.2.3]:5432", &[]));
        assert!(allows("tcp://[::1]:53", "[::1]:53", &[]));
        assert!(!allows("tcp://10.0.0.0/8:5432", "10.1.2.3:5433", &[]));
        assert!(!allows("udp://10.0.0.0/8:5432", "10.1.2.3:5432", &[]));
        assert!(!allows("tcp://10.0.0.0/8:5432", "11.1.2.3:5432", &[]));
    }

    #[test]
    fn a_name_allows_the_very_addresses_that_the_run_got_for_it() {
        let names = &[("db.example.com", "93.184.215.14"), ("other.example", "1.1.1.1")];
        assert!(allows("tcp://db.example.com:1", "93.184.215.14:1", names));
        assert!(allows("tcp://*.example.com:1", "[::ffff:93.184.215.14]:1", names));
        assert!(!allows("tcp://db.example.com:1", "93.184.215.15:1", names));
        assert!(!allows("tcp://db.example.com:1", "1.1.1.1:1", names));
        assert!(!allows("tcp://db.example.com:1", "93.184.215.14:1", &[]));
        // A tunnel to the same machine is another way.
        assert!(!allows("tcp://db.example.com:1", "[2002:5db8:d70e::]:1", names));
    }

    #[test]
    fn a_name_that_resolves_to_a_private_address_is_not_enough() {
        let names = &[("db.internal", "10.0.0.7"), ("localhost", "127.0.0.1")];
        assert!(!allows("tcp://db.internal:1", "10.0.0.7:1", names));
        assert!(allows("tcp://10.0.0.7:1", "10.0.0.7:1", names));
        assert!(allows("tcp://localhost:1", "127.0.0.1:1", names));
        assert!(!allows("tcp://localhost:1", "127.0.0.2:1", names));
        assert!(!allows("tcp://localhost:1", "10.0.0.7:1", &[("localhost", "10.0.0.7")]));
    }

    #[test]
    fn what_is_no_grant_says_why() {
        for text in [
            "db:5432",
            "sctp://db:5432",
            "tcp://db",
            "tcp://db:0",
            "tcp://db:65536",
            "tcp://db:+1",
            "tcp://db:5432/x",
            "tcp://db:5432/",
            "tcp://10.0.0.0/33:1",
            "tcp://10.0.0.0/8",
            "tcp://10.0.0.0/+8:1",
            "tcp://*:1",
            "tcp://:1",
            "tcp://[::1]",
            "tcp://u@db:1",
            "TCP://db:1",
            "tcp://127.1:1",
        ] {
            assert!(SocketGrant::parse(text).is_err(), "{text}");
        }
        for text in [
            "tcp://db.internal:5432",
            "udp://*.example.com:53",
            "udp://10.0.0.0/8:53",
            "tcp://10.0.0.7:1",
            "tcp://[fd00::]/8:443",
            "tcp://[::1]:443",
        ] {
            assert_eq!(grant(text).to_string(), text);
        }
        assert_eq!(grant("tcp://fd00::/8:443").to_string(), "tcp://[fd00::]/8:443");
    }

    #[test]
    fn a_grant_includes_narrower_ones() {
        let includes = |a, b| grant(a).includes(&grant(b));
        assert!(includes("tcp://10.0.0.0/8:1", "tcp://10.0.0.7:1"));
        assert!(includes("tcp://*.a.org:1", "tcp://b.a.org:1"));
        assert!(!includes("tcp://10.0.0.0/8:1", "udp://10.0.0.7:1"));
        assert!(!includes("tcp://10.0.0.0/8:1", "tcp://10.0.0.7:2"));
        assert!(!includes("tcp://10.0.0.7:1", "tcp://10.0.0.0/8:1"));
    }
}
