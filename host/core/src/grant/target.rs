//! Targets that others choose: which of them a module probes.
//!
//! Not what a check's plugin reaches, but spelled and compared like it: hosts, ports and addresses
//! are those of the grants. A target is decided in up to three steps: by its name before that is
//! resolved, by each address that the name leads to, and once more for each redirect.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::{canonical, is_public};
use super::escaped;
use super::host::{Authority, Host, HostPattern};

/// One entry of an allow-list: `host[:port]`, the host a name, `*.name`, an address or a network.
/// Without a port, every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern {
    host: HostPattern,
    port: Option<u16>,
}

impl TargetPattern {
    /// Reads `host[:port]`.
    ///
    /// # Errors
    /// Why it is none, as a fragment that does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Err("it has a scheme");
        }
        let Authority { host, port, path } = Authority::parse(text)?;
        if !path.is_empty() {
            return Err("it has a path");
        }
        Ok(Self { host, port })
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    fn is_net(&self) -> bool {
        matches!(self.host, HostPattern::Net(_))
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Which targets may be probed. Without any entry, all that are at public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets(pub Vec<TargetPattern>);

/// Why a target may not be probed; says nothing that whoever chose it does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are entries, and none is for it.
    #[error("no entry of `targets` is for `{0}`")]
    NotListed(String),
    /// It is, or leads to, an address that not everybody reaches.
    #[error(
        "`{0}` is or leads to an address that is not public, and no entry of `targets` is an address or network that covers it"
    )]
    NotPublic(String),
}

impl Targets {
    /// Whether a name may be resolved at all: not if no address could make it allowed.
    ///
    /// # Errors
    /// When it may not.
    pub fn name(&self, host: &str, port: u16) -> Result<(), Refusal> {
        let asked = Host::parse(host);
        if self.0.is_empty() && asked.is_some() {
            return Ok(());
        }
        // Where a name leads is seen when it is resolved, and may be in a network.
        let is_name = matches!(asked, Some(Host::Name(_)));
        let fits = |entry: &TargetPattern| {
            let named = asked.as_ref().is_some_and(|host| entry.host.matches(host));
            entry.has_port(port) && (named || (is_name && entry.is_net()))
        };
        if self.0.iter().any(fits) { Ok(()) } else { Err(not_listed(host, port)) }
    }

    /// Whether `host`, which leads to `address`, may be connected to there.
    ///
    /// # Errors
    /// When it may not.
    pub fn address(&self, host: &str, address: SocketAddr) -> Result<(), Refusal> {
        let ip = canonical(address.ip());
        let not_public = || Refusal::NotPublic(shown(host, address.port()));
        if self.0.is_empty() {
            return if is_public(ip) { Ok(()) } else { Err(not_public()) };
        }
        let here = || self.0.iter().filter(|entry| entry.has_port(address.port()));
        if here().any(|entry| entry.is_net() && entry.host.names_address(ip)) {
            return Ok(());
        }
        let asked = Host::parse(host);
        let mut named =
            here().filter(|entry| asked.as_ref().is_some_and(|h| entry.host.matches(h)));
        match named.next() {
            None => Err(not_listed(host, address.port())),
            Some(_) if is_public(ip) => Ok(()),
            Some(first) if first.host.names_address(ip) => Ok(()),
            Some(_) if named.any(|entry| entry.host.names_address(ip)) => Ok(()),
            Some(_) => Err(not_public()),
        }
    }

    /// Whether a target may be passed on to somebody else who resolves its name: only one that an
    /// entry names as it stands, since nobody sees where it leads.
    ///
    /// # Errors
    /// When it may not.
    pub fn unresolved(&self, host: &str, port: u16) -> Result<(), Refusal> {
        let asked = Host::parse(host);
        let named = |entry: &TargetPattern| {
            entry.has_port(port) && asked.as_ref().is_some_and(|host| entry.host.matches(host))
        };
        if self.0.iter().any(named) {
            return Ok(());
        }
        match &asked {
            Some(Host::Address(ip)) if self.0.is_empty() && is_public(*ip) => Ok(()),
            _ => Err(not_listed(host, port)),
        }
    }
}

fn shown(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{}:{port}", escaped(host)),
    }
}

fn not_listed(host: &str, port: u16) -> Refusal {
    Refusal::NotListed(shown(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(entries: &[&str]) -> Targets {
        Targets(entries.iter().map(|text| TargetPattern::parse(text).expect(text)).collect())
    }

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("an address and a port")
    }

    /// All steps for a host that leads to this address.
    fn allows(entries: &[&str], host: &str, address: &str) -> bool {
        let (targets, address) = (targets(entries), at(address));
        let by_name = targets.name(host, address.port());
        let by_address = targets.address(host, address);
        // Who is refused by name must be refused by every address, too.
        assert!(by_name.is_ok() || by_address.is_err(), "{entries:?} {host} {address}");
        by_name.and(by_address).is_ok()
    }

    #[test]
    fn without_entries_every_public_address_is_a_target() {
        assert!(allows(&[], "example.com", "93.184.215.14:443"));
        assert!(allows(&[], "93.184.215.14", "93.184.215.14:9"));
        for address in
            ["127.0.0.1:80", "[::1]:80", "10.0.0.7:80", "169.254.169.254:80", "224.0.0.1:1"]
        {
            assert!(!allows(&[], "example.com", address), "{address}");
        }
        assert!(!allows(&[], "localhost", "127.0.0.1:80"));
        assert!(!allows(&[], "x", "[::ffff:127.0.0.1]:80"));
    }

    #[test]
    fn a_private_address_needs_an_entry_that_covers_it() {
        let entries = &["10.0.0.0/8:9100", "db.internal", "*.example.com"];
        assert!(allows(entries, "10.1.2.3", "10.1.2.3:9100"));
        assert!(allows(entries, "node.internal", "10.1.2.3:9100"));
        assert!(!allows(entries, "node.internal", "10.1.2.3:9101"));
        assert!(!allows(entries, "node.internal", "11.1.2.3:9100"));
        assert!(!allows(entries, "db.internal", "192.168.0.7:5432"));
        assert!(allows(entries, "db.internal", "93.184.215.14:5432"));
        assert!(allows(entries, "A.Example.com.", "93.184.215.14:1"));
        assert!(!allows(entries, "a.example.com", "127.0.0.1:1"));
        assert!(!allows(entries, "example.com", "93.184.215.14:1"));
        assert!(!allows(entries, "93.184.215.14", "93.184.215.14:1"));
    }

    #[test]
    fn localhost_is_a_name_for_loopback_only() {
        assert!(allows(&["localhost"], "localhost", "127.0.0.1:80"));
        assert!(allows(&["localhost"], "localhost", "[::1]:80"));
        assert!(!allows(&["localhost"], "localhost", "10.0.0.1:80"));
        assert!(!allows(&["localhost"], "127.0.0.1", "127.0.0.1:80"));
        assert!(allows(&["127.0.0.0/8"], "localhost", "127.0.0.1:80"));
    }

    #[test]
    fn a_name_is_resolved_only_if_that_could_help() {
        let refused = targets(&["*.example.com:443"]).name("other.org", 443);
        assert_eq!(refused, Err(Refusal::NotListed("other.org:443".to_owned())));
        assert!(targets(&["*.example.com:443"]).name("a.example.com", 80).is_err());
        assert!(targets(&["10.0.0.0/8:80"]).name("other.org", 80).is_ok());
        assert!(targets(&["10.0.0.0/8:80"]).name("11.0.0.1", 80).is_err());
        assert!(targets(&[]).name("a b", 80).is_err());
    }

    #[test]
    fn what_somebody_else_resolves_must_be_named() {
        assert!(targets(&["a.example.com"]).unresolved("a.example.com", 80).is_ok());
        assert!(targets(&["10.0.0.0/8"]).unresolved("10.0.0.1", 80).is_ok());
        assert!(targets(&["10.0.0.0/8"]).unresolved("a.example.com", 80).is_err());
        assert!(targets(&[]).unresolved("a.example.com", 80).is_err());
        assert!(targets(&[]).unresolved("1.1.1.1", 80).is_ok());
        assert!(targets(&[]).unresolved("127.0.0.1", 80).is_err());
    }

    #[test]
    fn entries_are_hosts_with_or_without_a_port() {
        for text in [
            "db.internal",
            "*.example.com:443",
            "10.0.0.0/8",
            "10.0.0.0/8:80",
            "[::1]:80",
            "[fd00::]/8",
        ] {
            assert_eq!(TargetPattern::parse(text).expect(text).to_string(), text);
        }
        for text in
            ["", "*", "http://a", "a/b", "a:0", "a:70000", "127.1", "10.0.0.0/33", "u@a", "a b"]
        {
            assert!(TargetPattern::parse(text).is_err(), "{text}");
        }
    }
}
