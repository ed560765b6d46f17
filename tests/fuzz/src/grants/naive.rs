//! A second reading of grants, from how they are written down: simple, slow, and made of other
//! parts than the real one, so that the same mistake in both is unlikely.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use url::Host;

use super::words::Request;

/// A grant for requests or for sockets, as its text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// Empty: every method.
    methods: Vec<String>,
    scheme: String,
    host: Meant,
    port: u16,
    /// Empty: every path.
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    Name(String),
    Below(String),
    Net(IpNet),
}

/// A name or an address in the one spelling that the URL standard gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Name(String),
    Address(IpAddr),
}

impl Grant {
    /// Reads `[METHODS ]scheme://host[:port][/path]`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        let (methods, scheme) = scheme.rsplit_once(' ').unwrap_or(("", scheme));
        let mut list: Vec<String> = Vec::new();
        for method in methods.trim().split(',').filter(|method| !method.is_empty()) {
            if !list.iter().any(|known| known == method) {
                list.push(method.to_owned());
            }
        }

        let (host, after) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            // Without brackets, a v6 address ends at the slash of its network.
            None if rest.split('/').next()?.matches(':').count() > 1 => {
                rest.split_at(rest.find('/').unwrap_or(rest.len()))
            }
            None => rest.split_at(rest.find([':', '/']).unwrap_or(rest.len())),
        };
        let mut after = after;
        let host = match host.parse::<IpAddr>() {
            Ok(ip) => {
                let mut net = IpNet::from(canonical(ip));
                if let Some(rest) = after.strip_prefix('/').filter(|rest| !rest.is_empty()) {
                    let (prefix, rest) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
                    net = IpNet::new(ip, prefix.parse().ok()?).ok()?.trunc();
                    after = rest;
                }
                Meant::Net(net)
            }
            Err(_) => match host.strip_prefix("*.") {
                Some(name) => Meant::Below(asked(name)?.name()?),
                None => Meant::Name(asked(host)?.name()?),
            },
        };
        let (port, path) = match after.strip_prefix(':') {
            Some(rest) => {
                let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (port.parse().ok()?, path)
            }
            None => (default_port(scheme)?, after),
        };
        let path = if path == "/" { "" } else { path };
        Some(Self { methods: list, scheme: scheme.to_owned(), host, port, path: path.to_owned() })
    }

    /// A method, the scheme, the port and the path.
    pub(super) fn parts(&self) -> (&str, &str, u16, &str) {
        let method = self.methods.last().map_or("GET", String::as_str);
        (method, &self.scheme, self.port, &self.path)
    }

    /// A host that is meant: the name, one below it, or one near the beginning of a network.
    pub(super) fn sample(&self, number: u8) -> String {
        match &self.host {
            Meant::Name(name) => name.clone(),
            Meant::Below(name) => format!("x{number}.{name}"),
            Meant::Net(IpNet::V4(net)) => {
                let hosts = u32::from(net.hostmask());
                Ipv4Addr::from(u32::from(net.network()) | (hosts & u32::from(number))).to_string()
            }
            Meant::Net(IpNet::V6(net)) => {
                let hosts = u128::from(net.hostmask());
                let ip = Ipv6Addr::from(u128::from(net.network()) | (hosts & u128::from(number)));
                format!("[{ip}]")
            }
        }
    }

    fn net(&self) -> Option<&IpNet> {
        match &self.host {
            Meant::Net(net) => Some(net),
            _ => None,
        }
    }

    fn means(&self, host: &Asked) -> bool {
        match (&self.host, host) {
            (Meant::Net(net), Asked::Address(ip)) => net.contains(ip),
            (Meant::Net(_), _) => false,
            (_, Asked::Name(name)) => self.means_name(name),
            _ => false,
        }
    }

    fn means_name(&self, asked: &str) -> bool {
        match &self.host {
            Meant::Name(name) => name == asked,
            Meant::Below(name) => asked.len() > name.len() && asked.ends_with(&format!(".{name}")),
            Meant::Net(_) => false,
        }
    }
}

impl Asked {
    fn name(self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// What a host is to whoever follows the URL standard.
fn asked(host: &str) -> Option<Asked> {
    let host = match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => host.to_owned(),
    };
    match Host::parse(&host).ok()? {
        Host::Domain(name) => {
            Some(Asked::Name(name.strip_suffix('.').unwrap_or(&name).to_lowercase()))
        }
        Host::Ipv4(ip) => Some(Asked::Address(ip.into())),
        Host::Ipv6(ip) => Some(Asked::Address(canonical(ip.into()))),
    }
}

/// The v4 address that a v6 address stands for, by the networks set aside for that.
pub(super) fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let bits = u128::from(v6);
    let within = |net: &str| {
        let net: IpNet = net.parse().expect("it is a network");
        net.contains(&ip)
    };
    let low = || IpAddr::V4(Ipv4Addr::from(bits as u32));
    if within("2002::/16") {
        return IpAddr::V4(Ipv4Addr::from((bits >> 80) as u32));
    }
    match within("::ffff:0.0.0.0/96") || within("64:ff9b::/96") {
        true => low(),
        // All but the first 65,536, among which are the unspecified and the loopback address.
        false if within("::/96") && bits > 0xffff => low(),
        false => ip,
    }
}

/// Networks that are not the internet's, from the registries of special addresses.
const PRIVATE: [&str; 27] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // All v6 but 2000::/3, and what is set aside of that.
    "::/3",
    "4000::/2",
    "8000::/1",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    // For completeness' sake: within the above.
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
    "5f00::/16",
    "100::/64",
];

pub(super) fn is_public(ip: IpAddr) -> bool {
    let ip = canonical(ip);
    let private = |net: &str| net.parse::<IpNet>().expect("it is a network").contains(&ip);
    if PRIVATE.iter().any(|net| private(net)) {
        return false;
    }
    // ISATAP: the lower half says which v4 address is meant.
    if let IpAddr::V6(v6) = ip {
        let bits = u128::from(v6);
        if matches!((bits >> 32) as u32, 0x5efe | 0x0200_5efe) {
            return is_public(IpAddr::V4(Ipv4Addr::from(bits as u32)));
        }
    }
    true
}

/// A request that is allowed, as far as its addresses are concerned.
pub(super) struct Permit {
    nets: Vec<IpNet>,
    localhost: bool,
}

impl Permit {
    pub(super) fn connect(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        is_public(ip)
            || self.nets.iter().any(|net| net.contains(&ip))
            || (self.localhost && ip.is_loopback())
    }
}

/// The permit of a request, if a grant allows it.
pub(super) fn http(grants: &[Grant], request: &Request) -> Option<Permit> {
    let Request { method, scheme, host, port, path } = request;
    // Two readings of a host are one too many.
    let host = asked(host).filter(|_| !host.contains(['%', '/', '@', '?', '#', '\\', ' ']))?;
    let port = port.or(default_port(scheme))?;
    let path = path.split(['?', '#']).next()?;
    let path = if path.is_empty() { "/" } else { path };
    let fits = |grant: &&Grant| {
        let below = match path.strip_prefix(grant.path.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || grant.path.ends_with('/'),
            None => false,
        };
        grant.scheme == *scheme
            && grant.port == port
            // A tunnel would lead past the grants, whatever they say.
            && method != "CONNECT"
            && (grant.methods.is_empty() || grant.methods.contains(method))
            && (grant.path.is_empty() || (below && is_clear(path)))
    };
    let fitting: Vec<&Grant> = grants.iter().filter(fits).collect();
    fitting.iter().any(|grant| grant.means(&host)).then(|| Permit {
        nets: fitting.iter().filter_map(|grant| grant.net().copied()).collect(),
        localhost: host == Asked::Name("localhost".to_owned()),
    })
}

/// Whether no server could take the path for one with other segments, however often it decodes it.
fn is_clear(path: &str) -> bool {
    let slashes = path.matches('/').count();
    let mut text = path.to_owned();
    for _ in 0..=path.len() {
        let mut segments = text.split('/').skip(1);
        let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        if text.contains('\\') || segments.any(dots) || text.matches('/').count() != slashes {
            return false;
        }
        text = decoded(&text);
    }
    path.starts_with('/') && !path.contains("//")
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        let hex = rest.get(1..3).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = &rest[1..];
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a socket may talk to the address.
pub(super) fn socket(
    grants: &[Grant],
    protocol: &str,
    address: SocketAddr,
    names: &[(String, IpAddr)],
) -> bool {
    let ip = canonical(address.ip());
    let plain = |ip: IpAddr| match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        ip => ip,
    };
    let mut grants =
        grants.iter().filter(|grant| grant.scheme == protocol && grant.port == address.port());
    grants.any(|grant| match grant.net() {
        Some(net) => net.contains(&ip),
        None => names.iter().any(|(name, found)| {
            let local = grant.host == Meant::Name("localhost".to_owned()) && ip.is_loopback();
            grant.means_name(name)
                && plain(*found) == plain(address.ip())
                && (is_public(ip) || local)
        }),
    })
}

/// The one spelling of a name that may be resolved.
pub(super) fn resolve(dns: &[String], sockets: &[String], name: &str) -> Option<String> {
    let host = asked(name).filter(|_| !name.contains('%'))?;
    let sockets = sockets.iter().filter_map(|text| Grant::read(text));
    // As a grant for a socket, a pattern for names is the same.
    let dns = dns.iter().filter_map(|text| Grant::read(&format!("tcp://{text}:1")));
    match &host {
        Asked::Name(name) => {
            sockets.chain(dns).any(|grant| grant.means_name(name)).then(|| name.clone())
        }
        Asked::Address(ip) => {
            let mut nets = sockets.filter_map(|grant| grant.net().copied());
            nets.any(|net| net.contains(ip)).then(|| ip.to_string())
        }
    }
}
