//! The URL that a question makes of a share's target and an endpoint, by the rules of Go's
//! `net/url`: so that the same endpoints work as with zrok's agent, and the others are refused in the
//! same words.
//!
//! The endpoint is the asker's and the target is not: what comes out always has the scheme, the host
//! and the port of the target, or it is an error. The connection is then made to the target's own
//! host and port, whatever stands here.

use http::uri::PathAndQuery;
use wellcheck_core::share::Base;

use super::sentence::quoted;

/// What is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The whole URL as errors show it.
    pub(super) shown: String,
    /// What goes out.
    pub(super) path: PathAndQuery,
}

/// Puts `endpoint` behind `target`.
///
/// # Errors
/// What Go's `http.NewRequest` would say.
pub(super) fn join(target: &Base, endpoint: &str) -> Result<Place, String> {
    let whole = format!("{}{endpoint}", target.as_str());
    let (url, fragment) = match whole.split_once('#') {
        Some((url, fragment)) => (url, fragment),
        None => (&*whole, ""),
    };
    let refused = |shown: &str, why: String| format!("parse {}: {why}", quoted(shown));
    if url.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err(refused(url, "net/url: invalid control character in URL".to_owned()));
    }
    let scheme = target.url().scheme();
    let rest = &url[scheme.len() + "://".len()..];
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority != target.authority() {
        let why = authority_problem(authority)
            .unwrap_or_else(|| "the endpoint leads away from the target of the share".to_owned());
        return Err(refused(url, why));
    }
    let path = escaped(&rest[authority.len()..], plain_in_path)
        .map_err(|bad| refused(url, invalid_escape(bad)))?;
    let fragment =
        escaped(fragment, plain_in_fragment).map_err(|bad| refused(&whole, invalid_escape(bad)))?;
    let mut shown = format!("{scheme}://{authority}{path}");
    let mut sent = if path.is_empty() { "/".to_owned() } else { path };
    if let Some(query) = query {
        shown.extend(["?", query]);
        sent.push('?');
        sent.push_str(&sendable(query));
    }
    if !fragment.is_empty() {
        shown.extend(["#", &fragment]);
    }
    let path = PathAndQuery::try_from(sent)
        .map_err(|error| refused(url, format!("the URL cannot be sent: {error}")))?;
    Ok(Place { shown, path })
}

fn invalid_escape(text: &str) -> String {
    format!("invalid URL escape {}", quoted(text))
}

/// What Go finds wrong with `user@host:port`, if it finds anything.
fn authority_problem(authority: &str) -> Option<String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    let port_is_bad = |port: &str| {
        !port.is_empty()
            && port.strip_prefix(':').is_none_or(|d| d.bytes().any(|b| !b.is_ascii_digit()))
    };
    let bad_port = |port: &str| Some(format!("invalid port {} after host", quoted(port)));
    match host.rfind('[') {
        Some(0) => {
            let Some(end) = host.rfind(']') else { return Some("missing ']' in host".to_owned()) };
            if port_is_bad(&host[end + 1..]) {
                return bad_port(&host[end + 1..]);
            }
        }
        Some(_) => return Some("invalid IP-literal".to_owned()),
        None => {
            if let Some(colon) = host.find(':')
                && port_is_bad(&host[colon..])
            {
                return bad_port(&host[colon..]);
            }
            if let Some(why) = bad_host(host) {
                return Some(why);
            }
        }
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(fits) {
        return Some("net/url: invalid userinfo".to_owned());
    }
    unescaped(user).err().map(invalid_escape)
}

fn bad_host(host: &str) -> Option<String> {
    for (at, c) in host.char_indices() {
        if c == '%' {
            let escape = &host[at..host.floor_char_boundary(at + 3)];
            // Only what is no ASCII may be escaped in a host.
            let value = escape.get(1..).and_then(|hex| u8::from_str_radix(hex, 16).ok());
            if escape.len() < 3 || value.is_none_or(|value| value < 0x80 && value != b'%') {
                return Some(invalid_escape(escape));
            }
        } else if c.is_ascii()
            && !c.is_ascii_alphanumeric()
            && !"!$&'()*+,;=:[]<>\"-_.~".contains(c)
        {
            return Some(format!("invalid character {} in host name", quoted(&c.to_string())));
        }
    }
    None
}

/// What `%XX` stands for; the first one that stands for nothing is the error.
fn unescaped(text: &str) -> Result<Vec<u8>, &str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        if *byte != b'%' {
            bytes.push(*byte);
            at += 1;
            continue;
        }
        let hex = text.as_bytes().get(at + 1..at + 3);
        let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let Some(hex) = hex else {
            return Err(&text[at..text.ceil_char_boundary(at + 3)]);
        };
        let digit = |b: u8| (b as char).to_digit(16).expect("checked to be hexadecimal") as u8;
        bytes.push(digit(hex[0]) << 4 | digit(hex[1]));
        at += 3;
    }
    Ok(bytes)
}

/// A part of a URL as it stands if that is possible, else unescaped and escaped anew.
fn escaped(text: &str, plain: fn(u8) -> bool) -> Result<String, &str> {
    let bytes = unescaped(text)?;
    if text.bytes().all(|b| plain(b) || b"!$&'()*+,;=:@[]%".contains(&b)) {
        return Ok(text.to_owned());
    }
    Ok(bytes.iter().map(|b| if plain(*b) { (*b as char).to_string() } else { hex(*b) }).collect())
}

fn hex(byte: u8) -> String {
    format!("%{byte:02X}")
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.~".contains(&b)
}

fn plain_in_path(b: u8) -> bool {
    is_unreserved(b) || b"$&+,/:;=@".contains(&b)
}

fn plain_in_fragment(b: u8) -> bool {
    is_unreserved(b) || b"$&+,/:;=?@!()*".contains(&b)
}

/// A query without what would break the request's first line, which is all that Go lets through.
fn sendable(query: &str) -> String {
    let fits = |b: u8| b.is_ascii_graphic() && !b"\"<>".contains(&b);
    query.bytes().map(|b| if fits(b) { (b as char).to_string() } else { hex(b) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Base {
        Base::parse(text).expect("a base")
    }

    #[track_caller]
    fn check(endpoint: &str, sent: &str, shown: &str) {
        let place = join(&target("http://127.0.0.1:9090"), endpoint).expect(endpoint);
        assert_eq!(place.path.as_str(), sent);
        assert_eq!(place.shown, format!("http://127.0.0.1:9090{shown}"));
    }

    #[test]
    fn endpoints_are_sent_and_shown_as_go_does_it() {
        for (endpoint, sent, shown) in [
            ("", "/", ""),
            ("/", "/", "/"),
            ("/a b", "/a%20b", "/a%20b"),
            ("/ä", "/%C3%A4", "/%C3%A4"),
            ("/a\"b", "/a%22b", "/a%22b"),
            ("//x", "//x", "//x"),
            ("/../..//x", "/../..//x", "/../..//x"),
            ("/#frag", "/", "/#frag"),
            ("#f", "/", "#f"),
            ("#\n", "/", "#%0A"),
            ("#@x", "/", "#@x"),
            ("/x?", "/x?", "/x?"),
            ("?q", "/?q", "?q"),
            ("/[x]", "/[x]", "/[x]"),
            ("/%41%2f", "/%41%2f", "/%41%2f"),
            ("/%41 %2f", "/A%20/", "/A%20/"),
            ("/a\\b", "/a%5Cb", "/a%5Cb"),
            ("/{}|", "/%7B%7D%7C", "/%7B%7D%7C"),
            ("/@other.example:99/", "/@other.example:99/", "/@other.example:99/"),
            ("/?a b\"c", "/?a%20b%22c", "/?a b\"c"),
            ("/?http://other.example", "/?http://other.example", "/?http://other.example"),
        ] {
            check(endpoint, sent, shown);
        }
    }

    /// Every line is what Go 1.27 says, but for the ones that lead away, which it follows.
    #[test]
    fn what_leads_elsewhere_is_refused() {
        const AWAY: &str = "the endpoint leads away from the target of the share";
        for (endpoint, url, why) in [
            ("@other.host/", "@other.host/", AWAY),
            ("@", "@", AWAY),
            ("@:80/", "@:80/", AWAY),
            ("1", "1", AWAY),
            (":99", ":99", "invalid port \":9090:99\" after host"),
            (":99/", ":99/", "invalid port \":9090:99\" after host"),
            ("x", "x", "invalid port \":9090x\" after host"),
            ("\r\nX: y", "\\r\\nX: y", "net/url: invalid control character in URL"),
            ("/\r\nX: y", "/\\r\\nX: y", "net/url: invalid control character in URL"),
            ("/\0", "/\\x00", "net/url: invalid control character in URL"),
            ("/x\u{7}\"\\", "/x\\a\\\"\\\\", "net/url: invalid control character in URL"),
            ("%zz", "%zz", "invalid port \":9090%zz\" after host"),
            ("%41", "%41", "invalid port \":9090%41\" after host"),
            (" /", " /", "invalid port \":9090 \" after host"),
            ("\\x", "\\\\x", "invalid port \":9090\\\\x\" after host"),
            ("\"", "\\\"", "invalid port \":9090\\\"\" after host"),
            ("[", "[", "invalid IP-literal"),
            ("[::1]", "[::1]", "invalid IP-literal"),
            (" @x/", " @x/", "net/url: invalid userinfo"),
            ("<>/", "<>/", "invalid port \":9090<>\" after host"),
            ("é/", "é/", "invalid port \":9090é\" after host"),
            ("/%zz", "/%zz", "invalid URL escape \"%zz\""),
            ("/a%", "/a%", "invalid URL escape \"%\""),
            ("/%é", "/%é", "invalid URL escape \"%é\""),
            ("/#%zz", "/#%zz", "invalid URL escape \"%zz\""),
        ] {
            let error = join(&target("http://127.0.0.1:9090"), endpoint).expect_err(endpoint);
            assert_eq!(error, format!("parse \"http://127.0.0.1:9090{url}\": {why}"));
        }
        for (endpoint, why) in [
            (":99", AWAY),
            (".evil.example/", AWAY),
            ("@other.host/", AWAY),
            (":x/", "invalid port \":x\" after host"),
            ("%zz/", "invalid URL escape \"%zz\""),
            ("%41/", "invalid URL escape \"%41\""),
            ("%é/", "invalid URL escape \"%é\""),
            (" /", "invalid character \" \" in host name"),
            ("^", "invalid character \"^\" in host name"),
        ] {
            let error = join(&target("http://shop.example"), endpoint).expect_err(endpoint);
            assert_eq!(error, format!("parse \"http://shop.example{endpoint}\": {why}"));
        }
        for endpoint in ["]", "0", ":80", "@[::1]:81/", "]:80"] {
            join(&target("https://[::1]"), endpoint).expect_err(endpoint);
            join(&target("https://[::1]:80"), endpoint).expect_err(endpoint);
        }
    }

    #[test]
    fn behind_a_path_everything_is_a_path() {
        for endpoint in ["@other.example", ":99", "\\x", "//other.example/", "x"] {
            let place = join(&target("https://shop.example/base"), endpoint).expect(endpoint);
            assert!(place.shown.starts_with("https://shop.example/base"), "{}", place.shown);
        }
    }
}
