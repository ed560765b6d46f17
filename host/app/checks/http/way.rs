//! How the kind `http` gets to its target: the resolver, the addresses, the socket, the proxy.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use url::Url;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_net::http::{Client, To};
use wellcheck_net::{Family, Proxy, Resolver};

use super::super::Tools;
use super::super::socket::{FAMILY_KEY, family};

/// Most name servers of a check.
const MAX_SERVERS: usize = 3;

/// The port of DNS.
const DNS: u16 = 53;

/// See the module.
pub(in crate::checks) const KEYS: &[Key] = &[
    key(
        "resolver",
        "the system's",
        "resolver = \"10.0.0.2:53\"",
        "Name servers to ask for addresses, up to 3, over UDP and then TCP; port 53 if none is given. The hosts file is not looked at then.",
    ),
    FAMILY_KEY,
    key(
        "each-address",
        "false",
        "each-address = true",
        "Whether each address of the name is asked, at most 16, all at once and within the timeout; each is a part of the report, and the worst decides.",
    ),
    key(
        "connect-to",
        "the URL's host and port",
        "connect-to = \"10.0.0.7:8443\"",
        "Where to connect instead, for the URL's own host and port; what is asked for and the name in the certificate stay the URL's.",
    ),
    key(
        "unix-socket",
        "none",
        "unix-socket = \"/run/app.sock\"",
        "A socket of this machine to connect to, for URLs with `http`; relative to the configuration file.",
    ),
    key(
        "proxy",
        "none",
        "proxy = \"http://proxy.internal:3128\"",
        "An HTTP proxy to go through. Proxy variables of the environment are not used.",
    ),
];

/// See the module.
pub(super) struct Way {
    pub(super) client: Client,
    pub(super) family: Family,
    pub(super) each: bool,
    pub(super) to: Option<To>,
    pub(super) proxy: Option<Proxy>,
}

/// Reads the keys; `None` if a problem is fatal.
pub(super) fn read(
    reader: &mut Reader,
    tools: &Tools,
    url: Option<&Url>,
    problems: &mut Problems,
) -> Option<Way> {
    let others: Vec<&str> =
        ["unix-socket", "connect-to", "proxy"].into_iter().filter(|key| reader.has(key)).collect();
    let client = resolver(reader, problems).map(|resolver| tools.client.resolving(resolver));
    let family = family(reader, problems);
    let each = reader.boolean("each-address", problems).unwrap_or(false);
    let connect = reader.parsed("connect-to", problems, |text| {
        host_and_port(&text.value).ok_or_else(|| {
            let shown = text.shown().escape_debug();
            format!("`{shown}` is no place (expected for example `10.0.0.7:8443`)")
        })
    });
    let socket = reader.text("unix-socket", problems).map(|text| tools.base.join(text.value));
    let proxy = reader.parsed("proxy", problems, |text| {
        Proxy::parse(&text.value).map_err(|error| format!("`{}`: {error}", text.shown()))
    });
    if let [first, second, ..] = others[..] {
        let message =
            format!("{} has `{first}` and `{second}` (expected one of them)", reader.what());
        problems.error(&reader.place_of(second), message);
    }
    if let (true, [first, ..]) = (each, &others[..]) {
        let message =
            format!("{} has `each-address` beside `{first}` (expected one of them)", reader.what());
        problems.error(&reader.place_of("each-address"), message);
    }
    if socket.is_some() && url.is_some_and(|url| url.scheme() == "https") {
        let message = format!(
            "`unix-socket` of {} stands beside a URL with `https` (expected `http`: TLS is not spoken over such a socket)",
            reader.what()
        );
        problems.error(&reader.place_of("unix-socket"), message);
    }
    let to = match (socket, connect) {
        (Some(path), _) => Some(To::Unix(usable(path))),
        (None, Some((host, port))) => Some(To::Host { host, port }),
        (None, None) => None,
    };
    let client = client.unwrap_or_else(|| tools.client.clone());
    Some(Way { client, family, each, to, proxy })
}

/// A path that means the same from wherever it is used.
fn usable(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// `host:port`, IPv6 in brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.contains(':') && url::Host::parse(host).is_ok(),
    };
    fits.then(|| (host.to_owned(), port))
}

fn resolver(reader: &mut Reader, problems: &mut Problems) -> Option<Resolver> {
    let place = reader.place_of("resolver");
    let what = reader.what().to_owned();
    let mut servers = Vec::new();
    for text in reader.texts("resolver", problems) {
        let address = text.value.parse::<SocketAddr>().ok().or_else(|| {
            text.value.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS))
        });
        match address.filter(|address| address.port() > 0) {
            Some(address) => servers.push(address),
            None => {
                let shown = text.shown().escape_debug();
                let message = format!(
                    "`resolver` of {what}: `{shown}` is no address (expected for example `10.0.0.2:53`)"
                );
                problems.error(&text.place, message);
            }
        }
    }
    if servers.len() > MAX_SERVERS {
        let message = format!(
            "`resolver` of {what} holds {} addresses (expected at most {MAX_SERVERS})",
            servers.len()
        );
        problems.error(&place, message);
    }
    (!servers.is_empty()).then(|| Resolver::with_servers(&servers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_a_host_and_a_port() {
        for good in ["10.0.0.1:80", "[::1]:8443", "db.internal:1", "localhost:65535"] {
            assert!(host_and_port(good).is_some(), "{good}");
        }
        for bad in ["", "a", "a:", "a:0", "a:65536", ":80", "::1:80", "[a]:80", "a b:80", "a/b:80"]
        {
            assert!(host_and_port(bad).is_none(), "{bad}");
        }
    }
}
