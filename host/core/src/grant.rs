//! What a check's plugin may reach. Nothing that is not named here.
//!
//! One type answers every question, so that a denial is decided in one place and can name the
//! grant that would allow it. An address is asked about again after name resolution: a name that
//! resolves to a private address is refused unless a grant names that address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The grants of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Where it may send HTTP requests.
    pub http: Vec<HttpGrant>,
}

/// Where HTTP requests may go: `scheme://host[:port]`.
///
/// The host is a name (`api.example.com`), a wildcard for names below one (`*.example.com`), an
/// address (`10.0.0.7`, `[::1]`) or a network (`10.0.0.0/8`). Without a port, the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    /// A name, lower-case.
    Name(String),
    /// Every name that ends with this (with its leading dot), lower-case.
    Below(String),
    /// An address or a network.
    Net(IpNet),
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is no grant for HTTP: {why} (expected `scheme://host[:port]`, for example `https://api.example.com`, `https://*.example.com` or `http://10.0.0.0/8:8080`)"
)]
pub struct GrantError {
    found: String,
    why: &'static str,
}

/// What was asked for, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The request, for example `http://10.0.0.7:15672`.
    pub asked: String,
    /// The line of configuration that would allow it.
    pub allow: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no grant for `{}` (this would allow it: `{}`)", self.asked, self.allow)
    }
}

impl HttpGrant {
    /// Reads `scheme://host[:port]`.
    ///
    /// # Errors
    /// When it is anything else: a path, a user, an unknown scheme, a host that is neither a name
    /// nor an address nor a network.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let error = |why| GrantError {
            found: text.chars().take(200).flat_map(char::escape_debug).collect(),
            why,
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error("it has no scheme"))?;
        let scheme =
            Scheme::parse(scheme).ok_or_else(|| error("the scheme is not http or https"))?;
        let (host, port) = split_port(rest).ok_or_else(|| error("the port is not a number"))?;
        let host = HostPattern::parse(host).map_err(error)?;
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    /// Whether everything that `other` allows is allowed by `self`.
    pub fn includes(&self, other: &Self) -> bool {
        let host = match (&self.host, &other.host) {
            (HostPattern::Name(a), HostPattern::Name(b)) => a == b,
            (HostPattern::Below(suffix), HostPattern::Name(name) | HostPattern::Below(name)) => {
                name.ends_with(suffix) && (name.len() > suffix.len() || name.starts_with('.'))
            }
            (HostPattern::Net(a), HostPattern::Net(b)) => a.contains(b),
            _ => false,
        };
        host && self.scheme == other.scheme && self.port == other.port
    }

    fn covers(&self, ip: IpAddr) -> bool {
        match &self.host {
            HostPattern::Net(net) => net.contains(&ip),
            // The name says which addresses it stands for.
            HostPattern::Name(name) => name == "localhost" && ip.is_loopback(),
            HostPattern::Below(_) => false,
        }
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => match net.addr() {
                IpAddr::V4(ip) => write!(f, "{ip}"),
                IpAddr::V6(ip) => write!(f, "[{ip}]"),
            },
            Self::Net(net) => write!(f, "{net}"),
        }
    }
}

/// Splits `host[:port]`, `[v6]:port`, `v6/len`, `v4/len:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let number = |port: &str| port.parse().ok().filter(|p| *p != 0).map(Some);
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, number(port)?)),
            None if after.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.rsplit_once(':') {
        // More than one colon without brackets: a v6 network or address.
        Some((host, _)) if host.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, number(port)?)),
        None => Some((text, None)),
    }
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net(canonical(ip).into()));
        }
        if text.contains('/') {
            return match text.parse::<IpNet>() {
                Ok(net) => Ok(Self::Net(net.trunc())),
                Err(_) => Err("it is no network, and a grant has no path"),
            };
        }
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > 253 || !name.split('.').all(label) {
            return Err("the host is neither a name nor an address nor a network");
        }
        // `127.1` and `0x7f.1` are addresses to some resolvers: not names here.
        if name.split('.').all(looks_numeric) {
            return Err("the host is neither a name nor a whole address");
        }
        let name = name.to_ascii_lowercase();
        Ok(if wildcard { Self::Below(format!(".{name}")) } else { Self::Name(name) })
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Name(asked)) => name == asked,
            (Self::Below(suffix), Host::Name(asked)) => {
                asked.len() > suffix.len() && asked.ends_with(suffix)
            }
            (Self::Net(net), Host::Address(ip)) => net.contains(ip),
            _ => false,
        }
    }
}

fn looks_numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The host that a request names, in one spelling.
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        // The URL standard reads every spelling of an address (`0x7f.1`, `2130706433`) as one.
        match url::Host::parse(text).ok()? {
            url::Host::Domain(name) => {
                Some(Self::Name(name.trim_end_matches('.').to_ascii_lowercase()))
            }
            url::Host::Ipv4(ip) => Some(Self::Address(IpAddr::V4(ip))),
            url::Host::Ipv6(ip) => Some(Self::Address(canonical(IpAddr::V6(ip)))),
        }
    }
}

/// What a check may do with one HTTP request, decided before name resolution.
#[derive(Debug, Clone)]
pub struct HttpPermit {
    scheme: Scheme,
    host: String,
    port: u16,
    /// The grants that may cover an address of this request.
    same_port: Vec<HttpGrant>,
}

impl HttpPermit {
    /// Whether the request may connect to this address.
    ///
    /// # Errors
    /// When the address is not a public one and no grant names it.
    pub fn connect(&self, ip: IpAddr) -> Result<(), Denial> {
        let ip = canonical(ip);
        if is_public(ip) || self.same_port.iter().any(|grant| grant.covers(ip)) {
            return Ok(());
        }
        let grant =
            HttpGrant { scheme: self.scheme, host: HostPattern::Net(ip.into()), port: self.port };
        Err(Denial {
            asked: format!(
                "{}://{}:{}, which is at the private address {ip}",
                self.scheme.as_str(),
                self.host,
                self.port
            ),
            allow: allow_http(&grant),
        })
    }
}

fn allow_http(grant: &HttpGrant) -> String {
    format!("http = [\"{grant}\"]")
}

impl Grants {
    /// Whether a request to `scheme://host:port` may be made at all.
    ///
    /// # Errors
    /// When no grant names it, with the grant that would.
    pub fn http(&self, scheme: &str, host: &str, port: Option<u16>) -> Result<HttpPermit, Denial> {
        let denied = |asked: String, allow: String| Denial { asked, allow };
        let Some(scheme) = Scheme::parse(scheme) else {
            return Err(denied(
                format!("{scheme}://{host}"),
                "nothing: only http and https are offered".to_owned(),
            ));
        };
        let port = port.unwrap_or(scheme.port());
        let shown = format!("{}://{host}:{port}", scheme.as_str());
        let Some(asked) = Host::parse(host) else {
            return Err(denied(shown, "nothing: this is no host".to_owned()));
        };
        let here = |grant: &&HttpGrant| grant.scheme == scheme && grant.port == port;
        if self.http.iter().filter(here).any(|grant| grant.host.matches(&asked)) {
            let same_port = self.http.iter().filter(here).cloned().collect();
            return Ok(HttpPermit { scheme, host: host.to_owned(), port, same_port });
        }
        let host = match asked {
            Host::Name(name) => HostPattern::Name(name),
            Host::Address(ip) => HostPattern::Net(ip.into()),
        };
        Err(denied(shown, allow_http(&HttpGrant { scheme, host, port })))
    }
}

/// One spelling per address: v4-mapped, v4-compatible, NAT64 and 6to4 addresses become the v4
/// address that they carry.
pub fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => ip,
    }
}

/// Whether everybody on the internet reaches the same machine by this address.
pub fn is_public(ip: IpAddr) -> bool {
    match canonical(ip) {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // Only 2000::/3 is handed out; documentation, benchmarking and local NAT64 are carved from it.
    let segments = ip.segments();
    (0x2000..0x4000).contains(&segments[0])
        && !(segments[0] == 0x2001 && segments[1] < 0x0200)
        && !(segments[0] == 0x2001 && segments[1] == 0x0db8)
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(list: &[&str]) -> Grants {
        Grants { http: list.iter().map(|g| HttpGrant::parse(g).expect("a grant")).collect() }
    }

    #[track_caller]
    fn check(list: &[&str], scheme: &str, host: &str, port: u16, ip: &str) -> Result<(), String> {
        let permit =
            grants(list).http(scheme, host, Some(port)).map_err(|d| format!("request: {d}"))?;
        permit.connect(ip.parse().expect("an address")).map_err(|d| format!("address: {d}"))
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let denial = check(&[], "https", "api.example.com", 443, "93.184.215.14").expect_err("no");
        assert_eq!(
            denial,
            "request: no grant for `https://api.example.com:443` \
             (this would allow it: `http = [\"https://api.example.com\"]`)"
        );
    }

    #[test]
    fn scheme_host_and_port_all_count() {
        let list = &["https://api.example.com"];
        let public = "93.184.215.14";
        assert!(check(list, "https", "api.example.com", 443, public).is_ok());
        assert!(check(list, "https", "API.Example.com.", 443, public).is_ok());
        assert!(check(list, "http", "api.example.com", 443, public).is_err());
        assert!(check(list, "https", "api.example.com", 8443, public).is_err());
        assert!(check(list, "https", "example.com", 443, public).is_err());
        assert!(check(list, "https", "xapi.example.com", 443, public).is_err());
    }

    #[test]
    fn wildcards_cover_names_below_only() {
        let list = &["https://*.example.com"];
        let public = "93.184.215.14";
        assert!(check(list, "https", "a.b.example.com", 443, public).is_ok());
        assert!(check(list, "https", "example.com", 443, public).is_err());
        assert!(check(list, "https", "badexample.com", 443, public).is_err());
    }

    #[test]
    fn a_name_that_resolves_to_a_private_address_is_refused_unless_that_is_granted() {
        let named = &["http://intra.example.com:8080"];
        for ip in
            ["10.0.0.7", "127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.7"]
        {
            let denial = check(named, "http", "intra.example.com", 8080, ip).expect_err(ip);
            assert!(denial.starts_with("address: "), "{denial}");
        }
        let with_net = &["http://intra.example.com:8080", "http://10.0.0.0/8:8080"];
        assert!(check(with_net, "http", "intra.example.com", 8080, "10.0.0.7").is_ok());
        assert!(check(with_net, "http", "intra.example.com", 8080, "::ffff:10.0.0.7").is_ok());
        assert!(check(with_net, "http", "intra.example.com", 8080, "192.168.0.1").is_err());
    }

    #[test]
    fn every_spelling_of_an_address_is_the_same_address() {
        let list = &["http://127.0.0.1:80"];
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
        ] {
            assert!(grants(&[]).http("http", host, Some(80)).is_err(), "{host}");
            assert!(check(list, "http", host, 80, "127.0.0.1").is_ok(), "{host}");
        }
        for text in ["http://127.1", "http://0x7f.1", "http://2130706433"] {
            assert!(HttpGrant::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn localhost_names_the_loopback() {
        let list = &["http://localhost:9000"];
        assert!(check(list, "http", "localhost", 9000, "127.0.0.1").is_ok());
        assert!(check(list, "http", "localhost", 9000, "::1").is_ok());
        assert!(check(list, "http", "localhost", 9000, "10.0.0.1").is_err());
        assert!(check(list, "http", "127.0.0.1", 9000, "127.0.0.1").is_err());
    }

    #[test]
    fn a_grant_includes_narrower_ones() {
        let includes = |a: &str, b: &str| {
            let parse = |text| HttpGrant::parse(text).expect("a grant");
            parse(a).includes(&parse(b))
        };
        assert!(includes("https://*.example.com", "https://api.example.com"));
        assert!(includes("https://*.example.com", "https://*.api.example.com"));
        assert!(includes("https://*.example.com", "https://*.example.com"));
        assert!(!includes("https://*.example.com", "https://example.com"));
        assert!(!includes("https://api.example.com", "https://*.example.com"));
        assert!(includes("http://10.0.0.0/8", "http://10.1.0.0/16"));
        assert!(!includes("http://10.1.0.0/16", "http://10.0.0.0/8"));
        assert!(!includes("http://10.0.0.0/8", "http://10.0.0.1:8080"));
    }

    #[test]
    fn what_is_no_grant_says_why() {
        for text in [
            "api.example.com",
            "ftp://api.example.com",
            "https://api.example.com/path",
            "https://user@api.example.com",
            "https://api.example.com:99999",
            "https://api.example.com:0",
            "https://",
            "https://[::1",
            "https://10.0.0.0/33",
            "https://*",
            "https://a b",
        ] {
            assert!(HttpGrant::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn grants_print_as_they_are_written() {
        for text in [
            "https://api.example.com",
            "https://*.example.com:8443",
            "http://10.0.0.0/8:8080",
            "http://10.0.0.7",
            "http://[::1]:8080",
        ] {
            assert_eq!(HttpGrant::parse(text).expect("a grant").to_string(), text);
        }
    }

    #[test]
    fn private_networks_are_not_public() {
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "fd00:ec2::254",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(ip.parse().expect("an address")), "{ip}");
        }
        for ip in ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::101:101"] {
            assert!(is_public(ip.parse().expect("an address")), "{ip}");
        }
    }
}
