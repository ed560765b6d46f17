//! What grants and requests are made of: words that mean something together, and their misspellings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Result, Unstructured};
use wellcheck_core::grant::{GrantKind, Grants};

use super::naive::Grant;

/// A request, as a guest would put it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

pub(super) const PORTS: [u16; 7] = [80, 443, 8080, 53, 5432, 1, 0];

const NAMES: [&str; 26] = [
    "example.com",
    "api.example.com",
    "a.b.example.com",
    "EXAMPLE.com",
    "example.com.",
    "localhost",
    "LocalHost.",
    "xexample.com",
    "example.com.evil.org",
    "xn--bcher-kva.example",
    "bücher.example",
    "ａｐｉ.example.com",
    "_srv.example.com",
    "a-b.c",
    "db.internal",
    "com",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.1.",
    "a.7",
    "",
    ".",
    "a..b",
    "exa%6dple.com",
];

const ADDRESSES: [&str; 30] = [
    "10.0.0.7",
    "10.255.255.255",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "172.31.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "168.63.129.16",
    "1.1.1.1",
    "93.184.215.14",
    "::",
    "::1",
    "::ffff:10.0.0.7",
    "::ffff:1.1.1.1",
    "::10.0.0.7",
    "64:ff9b::a00:7",
    "64:ff9b::1.1.1.1",
    "64:ff9b:1::a00:7",
    "2002:a00:7::1",
    "2002:101:101::1",
    "fd00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111",
    "2001:0:a00:7::",
    "2600:1f00::5efe:10.0.0.7",
];

const NETS: [&str; 18] = [
    "10.0.0.0/8",
    "10.0.0.7/8",
    "10.0.0.7/32",
    "10.0.0.0/33",
    "0.0.0.0/0",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "1.0.0.0/8",
    "fd00::/8",
    "[fd00::]/8",
    "::/0",
    "[::]/0",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "2002::/16",
    "2000::/3",
    "[2606:4700::]/32",
];

const PATHS: [&str; 26] = [
    "",
    "/",
    "/v1",
    "/v1/",
    "/v1/status",
    "/v10",
    "/V1",
    "/v1/status?q=/../x",
    "/v1#x",
    "/v1/../v2",
    "/v1/..",
    "/v1/.",
    "/v1/%2e%2e/v2",
    "/v1/%252e%252e/v2",
    "/v1/..;x/v2",
    "/v1/%2fx",
    "/v1\\x",
    "/v1/%5cx",
    "/v1//x",
    "//",
    "v1",
    "/%76%31",
    "/v1/%",
    "/v1/%zz",
    "/v1/a%20b;c=d",
    "/*",
];

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "get", "CONNECT", "M-SEARCH", "", "GET,HEAD", "G T"];

const WORDS: [&str; 14] = [
    "db",
    "db-password",
    "cache-1",
    "cache-*",
    "*",
    "c*",
    "TZ",
    "HOME",
    "_x1",
    "1x",
    "-",
    "a*b",
    "DB",
    "db*",
];

/// The text of a grant of this kind, or nearly.
pub(super) fn grant(kind: GrantKind, u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1, 24)? {
        return Ok(u.arbitrary::<&str>()?.to_owned());
    }
    let text = match kind {
        GrantKind::Http => {
            let methods = match u.int_in_range(0..=4)? {
                0 => format!("{} ", u.choose(&METHODS)?),
                1 => format!("{},{} ", u.choose(&METHODS)?, u.choose(&METHODS)?),
                _ => String::new(),
            };
            let scheme = u.choose(&["http", "https", "https", "HTTP", "ftp"])?;
            let path = if u.arbitrary()? { *u.choose(&PATHS)? } else { "" };
            format!("{methods}{scheme}://{}{}{path}", granted_host(u)?, port(u)?)
        }
        GrantKind::Sockets => {
            let protocol = u.choose(&["tcp", "udp", "TCP", "http"])?;
            format!("{protocol}://{}{}", granted_host(u)?, port(u)?)
        }
        GrantKind::Dns => granted_host(u)?,
        GrantKind::Dirs => {
            let path = u.choose(&[
                "/",
                "/srv/data",
                "/srv/./data",
                "/srv/../etc",
                "srv",
                "/a b",
                "/a//b",
            ])?;
            let write = u.choose(&["", " (write)", " (write) (write)", " as /data"])?;
            format!("{path}{write}")
        }
        GrantKind::State => {
            let unit = u.choose(&["KiB", "B", "MiB", "KB", ""])?;
            format!("{}{unit}", u.int_in_range(0..=20_000_u32)?)
        }
        GrantKind::Env | GrantKind::Secrets | GrantKind::Checks => name(u)?,
    };
    misspelt(text, u)
}

/// Mostly the text as it is.
fn misspelt(text: String, u: &mut Unstructured<'_>) -> Result<String> {
    if !u.ratio(1, 16)? {
        return Ok(text);
    }
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..u.int_in_range(1..=3)? {
        let at = u.int_in_range(0..=characters.len())?;
        let odd = ['.', '/', ':', '*', '[', ']', '@', '%', ' ', '\n', '\0', '\u{202e}', '。', '１'];
        match u.int_in_range(0..=3)? {
            0 if at < characters.len() => drop(characters.remove(at)),
            1 => characters.insert(at, u.arbitrary()?),
            _ => characters.insert(at, *u.choose(&odd)?),
        }
    }
    Ok(characters.into_iter().collect())
}

fn granted_host(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=9)? {
        0..=2 => (*u.choose(&NAMES)?).to_owned(),
        3 | 4 => format!("*.{}", u.choose(&NAMES)?),
        5 | 6 => literal(u.choose(&ADDRESSES)?),
        7 => (*u.choose(&ADDRESSES)?).to_owned(),
        _ => (*u.choose(&NETS)?).to_owned(),
    })
}

/// An address as a URL has it.
fn literal(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn port(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=9)? {
        0..=4 => String::new(),
        5..=8 => format!(":{}", u.choose(&PORTS)?),
        _ => (*u.choose(&[":", ":65536", ":+80", ":080", ":http"])?).to_owned(),
    })
}

/// A name of a secret, a check or a variable.
pub(super) fn name(u: &mut Unstructured<'_>) -> Result<String> {
    let name = (*u.choose(&WORDS)?).to_owned();
    misspelt(name, u)
}

/// A host that is asked for: often one that a grant names.
pub(super) fn host(grants: &Grants, u: &mut Unstructured<'_>) -> Result<String> {
    let own = grants.list();
    let own: Vec<&str> = own.iter().filter_map(|(_, text)| text.split("://").nth(1)).collect();
    let host = match u.int_in_range(0..=9)? {
        0..=6 if !own.is_empty() => {
            let host = u.choose(&own)?.split(['/', ':']).next().unwrap_or_default();
            match host.strip_prefix("*.") {
                Some(name) => format!("{}.{name}", u.choose(&["a", "x.y", "WWW", ""])?),
                None => host.to_owned(),
            }
        }
        7 => literal(u.choose(&ADDRESSES)?),
        8 => literal(&address(grants, u)?.to_string()),
        _ => (*u.choose(&NAMES)?).to_owned(),
    };
    misspelt(host, u)
}

/// An address: one of [`ADDRESSES`], one near the beginning or the end of a network that a grant
/// names, or any, also as a v6 address that carries a v4 address.
pub(super) fn address(grants: &Grants, u: &mut Unstructured<'_>) -> Result<IpAddr> {
    let named: Vec<IpAddr> = (grants.list().iter())
        .filter_map(|(_, text)| text.split("://").nth(1))
        .filter_map(|rest| {
            let host = rest.trim_start_matches('[').split([']', '/']).next()?;
            host.parse().or_else(|_| host.split(':').next().unwrap_or_default().parse()).ok()
        })
        .collect();
    let ip = match u.int_in_range(0..=5)? {
        0 | 1 if !named.is_empty() => match *u.choose(&named)? {
            IpAddr::V4(ip) => {
                Ipv4Addr::from(u32::from(ip).wrapping_add_signed(u.int_in_range(-1..=1)?)).into()
            }
            IpAddr::V6(ip) => {
                Ipv6Addr::from(u128::from(ip).wrapping_add_signed(u.int_in_range(-1..=1)?)).into()
            }
        },
        2 => IpAddr::V4(Ipv4Addr::from(u.arbitrary::<u32>()?)),
        3 => IpAddr::V6(Ipv6Addr::from(u.arbitrary::<u128>()?)),
        _ => u.choose(&ADDRESSES)?.parse().expect("it is an address"),
    };
    let IpAddr::V4(v4) = ip else { return Ok(ip) };
    let low = u128::from(u32::from(v4));
    Ok(match u.int_in_range(0..=9)? {
        0 => Ipv6Addr::from(0xffff_0000_0000 | low).into(),
        1 => Ipv6Addr::from((0x0064_ff9b_u128 << 96) | low).into(),
        2 => Ipv6Addr::from((0x2002_u128 << 112) | (low << 80)).into(),
        3 => Ipv6Addr::from(low).into(),
        4 => Ipv6Addr::from((0x2600_u128 << 112) | (0x5efe_u128 << 32) | low).into(),
        _ => ip,
    })
}

impl Request {
    /// Often one that a grant means, or would mean but for one part.
    pub(super) fn new(grants: &Grants, own: &[Grant], u: &mut Unstructured<'_>) -> Result<Self> {
        let grant = if own.is_empty() { None } else { Some(u.choose(own)?) };
        let (method, scheme, port, path) = grant.map_or(("GET", "https", 443, ""), Grant::parts);
        let mut odd = || u.ratio(1, 10);
        let (other_method, other_scheme, other_port, other_path) = (odd()?, odd()?, odd()?, odd()?);
        let host = match grant.filter(|_| u.ratio(4, 5).unwrap_or(false)) {
            Some(grant) => {
                let mut host = grant.sample(u.arbitrary()?);
                if u.ratio(1, 8)? {
                    host = host.to_ascii_uppercase();
                }
                if u.ratio(1, 8)? && !host.ends_with(']') {
                    host.push('.');
                }
                host
            }
            None => host(grants, u)?,
        };
        let port = match other_port {
            true => *u.choose(&PORTS)?,
            false => port,
        };
        let own_port = matches!((scheme, port), ("http", 80) | ("https", 443));
        let path = match (other_path, u.int_in_range(0..=5)?) {
            (false, 0..=2) => path.to_owned(),
            (false, 3) => format!("{path}/"),
            (false, _) => format!("{path}{}", u.choose(&PATHS)?),
            (true, 0) => u.arbitrary::<&str>()?.to_owned(),
            (true, 1) => format!("{}{}", u.choose(&PATHS)?, u.choose(&PATHS)?),
            (true, _) => (*u.choose(&PATHS)?).to_owned(),
        };
        Ok(Self {
            method: if other_method { *u.choose(&METHODS)? } else { method }.to_owned(),
            scheme: match other_scheme {
                true => *u.choose(&["http", "https", "HTTP", "ftp", ""])?,
                false => scheme,
            }
            .to_owned(),
            host,
            port: if own_port && u.arbitrary()? { None } else { Some(port) },
            path: misspelt(path, u)?,
        })
    }

    /// Whether nothing about it is odd, so that it may be denied only for want of a grant.
    pub(super) fn is_plain(&self) -> bool {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '/';
        let path = path.is_empty() || (path.starts_with('/') && path.chars().all(plain));
        path && !self.path.contains("//") && self.port != Some(0) && is_plain(&self.host)
    }
}

/// Whether a host is a plain name or a plain address.
pub(super) fn is_plain(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if inner.parse::<IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_lowercase())
            && label.len() < 60
            && !label.starts_with("xn--")
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    host.len() < 200 && host.split('.').all(label)
}
