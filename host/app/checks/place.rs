//! Where something listens, as the keys of kinds without a URL have it: a name or an address, and
//! a port that may have a default.

/// Reads `name`, `address` or `[address]`, with or without `:port`. An IPv6 address comes out in
/// brackets. Without a port and a default there is nothing.
pub(super) fn host_and_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Some((format!("[{address}]"), default?));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().ok().filter(|port| *port > 0)?)
        }
        _ => (text, default?),
    };
    is_host(host).then(|| (host.to_owned(), port))
}

/// Reads `name`, `address` or `[address]`; an IPv6 address comes out in brackets.
pub(super) fn host(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    is_host(text).then(|| text.to_owned())
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_have_a_default() {
        let read =
            |text, port| host_and_port(text, port).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("ns1.example.com", Some(53)).as_deref(), Some("ns1.example.com 53"));
        assert_eq!(read("127.0.0.1:5353", Some(53)).as_deref(), Some("127.0.0.1 5353"));
        assert_eq!(read("::1", Some(53)).as_deref(), Some("[::1] 53"));
        assert_eq!(read("[::1]:5", None).as_deref(), Some("[::1] 5"));
        assert_eq!(read("[::1]", Some(53)).as_deref(), Some("[::1] 53"));
        for bad in ["db.internal", "::1:22", "db:", "[::1]"] {
            assert_eq!(read(bad, None), None, "{bad}");
        }
        assert_eq!(read("db.internal:5432", None).as_deref(), Some("db.internal 5432"));
        for bad in ["", ":1", "db:0", "db:65536", "db:", "::1:22:x", "[db]:1", "a b:1", "a/b"] {
            assert_eq!(read(bad, Some(1)), None, "{bad}");
        }
        assert_eq!(host("::1").as_deref(), Some("[::1]"));
        assert_eq!(host("a:1"), None);
    }
}
