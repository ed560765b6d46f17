//! Hosts: names, addresses and networks, in grants and in what is asked for.
//!
//! A name in a grant has one spelling (ASCII, lower-case, no dot at its end), and what is asked for
//! is brought into the same spelling before the two are compared. What has none is no host.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::canonical;

/// A name or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Exact(String),
    /// Every name below this one, which is not among them.
    Below(String),
}

impl NamePattern {
    /// Reads `db.internal` or `*.example.com`.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let name = granted_name(name)?;
        Ok(if wildcard { Self::Below(name) } else { Self::Exact(name) })
    }

    /// Whether a name in its one spelling is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Below(own) => is_below(name, own),
        }
    }

    /// Whether every name that `other` means is meant by `self`.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Below(own), Self::Below(name)) => own == name || is_below(name, own),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// The name of a grant in its one spelling.
fn granted_name(text: &str) -> Result<String, &'static str> {
    const NO_NAME: &str = "the host is neither a name nor an address nor a network";
    let ascii = if text.is_ascii() {
        text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
    } else {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => name,
            _ => return Err(NO_NAME),
        }
    };
    if !is_name(&ascii) {
        return Err(NO_NAME);
    }
    // `127.1`, `0x7f.1` and `a.7` are addresses to some resolvers: not names here.
    match url::Host::parse(&ascii) {
        Ok(url::Host::Domain(name)) if name == ascii => Ok(ascii),
        Ok(url::Host::Ipv4(_)) => Err("the host is neither a name nor a whole address"),
        _ if ascii.rsplit('.').next().is_some_and(looks_numeric) => {
            Err("the host is neither a name nor a whole address")
        }
        _ => Err(NO_NAME),
    }
}

/// Whether the text is labels with dots between them, and nothing else.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn looks_numeric(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Which hosts a grant means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPattern {
    Name(NamePattern),
    /// An address or a network, in one spelling.
    Net(IpNet),
}

impl HostPattern {
    pub(super) fn name(text: &str) -> Result<Self, &'static str> {
        NamePattern::read(text).map(Self::Name)
    }

    pub(super) fn address(ip: IpAddr) -> Self {
        Self::Net(canonical(ip).into())
    }

    /// A network; `prefix` as written after the slash.
    fn network(ip: IpAddr, prefix: &str) -> Result<Self, &'static str> {
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let length = prefix.parse().ok().filter(|_| digits);
        let net = length.and_then(|length| IpNet::new(ip, length).ok());
        let net =
            net.ok_or("it is no network (a path after an address needs the port before it)")?;
        // Addresses are compared in one spelling, in which such a network has no members.
        if ip.is_ipv6() && canonical(net.network()).is_ipv4() {
            return Err("this network stands for v4 addresses (write the v4 network)");
        }
        Ok(Self::Net(net.trunc()))
    }

    /// Whether the host that is asked for is meant.
    pub(super) fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Name(pattern), Host::Name(asked)) => pattern.matches(asked),
            (Self::Net(net), Host::Address(ip)) => net.contains(ip),
            _ => false,
        }
    }

    /// Whether every host that `other` means is meant by `self`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(own), Self::Name(other)) => own.includes(other),
            (Self::Net(own), Self::Net(other)) => own.contains(other),
            _ => false,
        }
    }

    /// Whether this names an address itself, so that it may be a private one.
    pub(super) fn names_address(&self, ip: IpAddr) -> bool {
        match self {
            Self::Net(net) => net.contains(&ip),
            // The name says which addresses it stands for.
            Self::Name(NamePattern::Exact(name)) => name == "localhost" && ip.is_loopback(),
            Self::Name(NamePattern::Below(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => pattern.fmt(f),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => match net.addr() {
                IpAddr::V4(ip) => write!(f, "{ip}"),
                IpAddr::V6(ip) => write!(f, "[{ip}]"),
            },
            Self::Net(IpNet::V4(net)) => write!(f, "{net}"),
            Self::Net(IpNet::V6(net)) => write!(f, "[{}]/{}", net.addr(), net.prefix_len()),
        }
    }
}

/// `host[:port][/path]` of a grant.
pub(super) struct Authority<'a> {
    pub(super) host: HostPattern,
    pub(super) port: Option<u16>,
    /// From its slash on; empty if there is none.
    pub(super) path: &'a str,
}

impl<'a> Authority<'a> {
    /// Reads what stands after `scheme://`. Right after an address, `/digits` is a network.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        const NO_PORT: &str = "the port is not a number from 1 to 65535";
        let port = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|port| digits && *port != 0).ok_or(NO_PORT)
        };
        let (head, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        if head.contains('@') {
            return Err("it has a user");
        }
        let (address, after) = leading_address(head)?;
        let Some(ip) = address else {
            let (name, number) = match after.split_once(':') {
                Some((name, number)) => (name, Some(port(number)?)),
                None => (after, None),
            };
            return Ok(Self { host: HostPattern::name(name)?, port: number, path: rest });
        };
        if let Some(number) = after.strip_prefix(':') {
            return Ok(Self {
                host: HostPattern::address(ip),
                port: Some(port(number)?),
                path: rest,
            });
        }
        let Some(network) = rest.strip_prefix('/').filter(|network| !network.is_empty()) else {
            return Ok(Self { host: HostPattern::address(ip), port: None, path: "" });
        };
        let (prefix, rest) = network.split_at(network.find([':', '/']).unwrap_or(network.len()));
        let host = HostPattern::network(ip, prefix)?;
        let Some(rest) = rest.strip_prefix(':') else {
            return match rest {
                "" | "/" => Ok(Self { host, port: None, path: "" }),
                _ => Err("a path after a network needs the port before it"),
            };
        };
        let (number, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Self { host, port: Some(port(number)?), path })
    }
}

/// Splits an address off the front: `[v6]`, a bare v6, or a v4 before `:` or the end.
fn leading_address(head: &str) -> Result<(Option<IpAddr>, &str), &'static str> {
    if let Some(rest) = head.strip_prefix('[') {
        let (ip, after) = rest.split_once(']').ok_or("`[` has no `]`")?;
        let ip = ip.parse().map_err(|_| "there is no v6 address between `[` and `]`")?;
        if !after.is_empty() && !after.starts_with(':') {
            return Err("something other than `:port` stands after `]`");
        }
        return Ok((Some(IpAddr::V6(ip)), after));
    }
    if head.matches(':').count() > 1 {
        let ip = head.parse().map_err(|_| "it has more than one port and is no v6 address")?;
        return Ok((Some(IpAddr::V6(ip)), ""));
    }
    let end = head.find(':').unwrap_or(head.len());
    match head[..end].parse() {
        Ok(ip) => Ok((Some(IpAddr::V4(ip)), &head[end..])),
        Err(_) => Ok((None, head)),
    }
}

/// The host that is asked for, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Who connects does not decode it, so that it would be another host there.
        if text.contains('%') {
            return None;
        }
        // A name service answers addresses without brackets too.
        if let Ok(ip) = text.parse() {
            return Some(Self::Address(canonical(ip)));
        }
        // The URL standard reads every spelling of an address (`0x7f.1`, `2130706433`) as one.
        match url::Host::parse(text).ok()? {
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
                is_name(&name).then_some(Self::Name(name))
            }
            url::Host::Ipv4(ip) => Some(Self::Address(IpAddr::V4(ip))),
            url::Host::Ipv6(ip) => Some(Self::Address(canonical(IpAddr::V6(ip)))),
        }
    }

    /// The narrowest grant for it.
    pub(super) fn pattern(&self) -> HostPattern {
        match self {
            Self::Name(name) => HostPattern::Name(NamePattern::Exact(name.clone())),
            Self::Address(ip) => HostPattern::address(*ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        NamePattern::read(text).expect("a pattern")
    }

    #[test]
    fn a_wildcard_is_one_whole_first_label() {
        let wildcard = pattern("*.example.com");
        for below in ["a.example.com", "a.b.example.com", "_x.example.com"] {
            assert!(wildcard.matches(below), "{below}");
        }
        for other in
            ["example.com", ".example.com", "xexample.com", "a.example.com.evil.org", "example.co"]
        {
            assert!(!wildcard.matches(other), "{other}");
        }
        for text in ["*", "*.", "**.example.com", "a*.example.com", "*.*.com", "a.*.com", "*a.com"]
        {
            assert!(NamePattern::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_include_narrower_ones() {
        let includes = |a: &str, b: &str| pattern(a).includes(&pattern(b));
        assert!(includes("*.example.com", "*.example.com"));
        assert!(includes("*.example.com", "*.a.example.com"));
        assert!(includes("*.example.com", "a.example.com"));
        assert!(!includes("*.example.com", "example.com"));
        assert!(!includes("*.example.com", "*.xexample.com"));
        assert!(!includes("*.a.example.com", "*.example.com"));
        assert!(!includes("a.example.com", "*.example.com"));
    }

    #[test]
    fn names_have_one_spelling() {
        for text in ["API.Example.com.", "api.example.com", "ａｐｉ.example。com"] {
            assert_eq!(Host::parse(text), Some(Host::Name("api.example.com".to_owned())), "{text}");
        }
        assert_eq!(pattern("Bücher.example").to_string(), "xn--bcher-kva.example");
        assert_eq!(pattern("XN--BCHER-KVA.example").to_string(), "xn--bcher-kva.example");
        assert_eq!(Host::parse("BÜCHER.example"), Host::parse("xn--bcher-kva.example"));
    }

    #[test]
    fn what_has_no_spelling_is_no_host() {
        let long = format!("{}.example.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "a..b",
            "a.example.com..",
            "exa%6dple.com",
            "a b",
            "a,b.example.com",
            "user@example.com",
            "a/b",
            "[::1",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "256.256.256.256",
            "1.2.3.4.5",
            "a.0x7f",
            "xn--a.example",
            &long,
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let loopback = Host::parse("127.0.0.1");
        for text in [
            "127.1",
            "0x7f.1",
            "0X7F000001",
            "0177.0.0.1",
            "017700000001",
            "2130706433",
            "127.0.0.1.",
            "１２７.0.0.1",
            "127。0。0。1",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
        ] {
            assert_eq!(Host::parse(text), loopback, "{text}");
        }
    }

    #[test]
    fn networks_that_stand_for_v4_addresses_are_refused() {
        for text in ["[::ffff:10.0.0.0]/104", "64:ff9b::/96", "[2002:a00::]/24", "::ffff:0:0/96"] {
            assert!(Authority::parse(text).is_err(), "{text}");
        }
        for text in ["[fd00::]/8", "fd00::/8", "fd00::/8:8080", "::/0", "[64:ff9b:1::]/48"] {
            assert!(Authority::parse(text).is_ok(), "{text}");
        }
    }
}
