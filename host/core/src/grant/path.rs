//! Paths of HTTP requests: prefixes by whole segments, and nothing that servers read in different
//! ways.
//!
//! Servers and proxies disagree on what `..`, `%2f`, `;` and `//` mean. A grant with a path is a
//! promise about what the target sees, so that such paths are never within it.

use std::fmt;

/// The part of a server that a grant means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPrefix(String);

impl PathPrefix {
    /// Reads what stands after the host. Nothing, or `/` alone, is every path.
    pub(super) fn read(text: &str) -> Result<Option<Self>, &'static str> {
        if text.is_empty() || text == "/" {
            return Ok(None);
        }
        if text.contains(['?', '#']) {
            return Err("its path has a query or a fragment (a grant has only a path)");
        }
        if text.contains('*') {
            return Err("its path has a wildcard (a path is a prefix already)");
        }
        if !text.bytes().all(is_path_byte) {
            return Err("its path has a character that no path of a request has");
        }
        if doubtful(text) {
            return Err(
                "servers read its path in different ways (write it without `.`, `..`, `//`, `\\` and encoded slashes)",
            );
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// Whether a path that is not [`doubtful`] is at or below this one.
    pub(super) fn matches(&self, path: &str) -> bool {
        path.strip_prefix(&self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'))
    }

    /// Whether every path below `other` is below `self`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What RFC 3986 lets stand in a path, without `*`.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@/%".contains(&byte)
}

/// The path of a request without its query.
pub(super) fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Longest path that is looked into, in bytes; longer ones are doubtful.
const MAX_PATH: usize = 8 * 1024;

/// Deepest percent-encoding that is looked into.
const MAX_ROUNDS: u32 = 4;

/// Whether a path means different things to different servers: it has `.` or `..` segments (also
/// with `;` after them), empty segments, backslashes, encoded slashes, control characters, or
/// encodings that are broken, at any depth of percent-encoding; or it is encoded deeper, or longer,
/// than anybody means.
pub(super) fn doubtful(path: &str) -> bool {
    if !path.starts_with('/') || path.contains("//") || path.len() > MAX_PATH {
        return true;
    }
    let mut bytes = path.as_bytes().to_vec();
    let slashes = count_slashes(&bytes);
    let mut first = true;
    for _ in 0..MAX_ROUNDS {
        let Ok(text) = std::str::from_utf8(&bytes) else { return true };
        let odd = |c: char| c == '\\' || c.is_control();
        if text.contains(odd) || count_slashes(&bytes) != slashes {
            return true;
        }
        let dots = |segment: &str| {
            let name = segment.split(';').next().unwrap_or_default();
            name == "." || name == ".."
        };
        if text.split('/').any(dots) {
            return true;
        }
        let (next, broken) = decoded(&bytes);
        // Later on, a `%` may stand for itself.
        if broken && first {
            return true;
        }
        // Each round makes the text shorter, or is the last.
        if next.len() == bytes.len() {
            return false;
        }
        (bytes, first) = (next, false);
    }
    true
}

fn count_slashes(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'/').count()
}

/// One round of percent-decoding, and whether a `%` had no two digits after it, which stays as it is.
fn decoded(bytes: &[u8]) -> (Vec<u8>, bool) {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(bytes.len());
    let mut broken = false;
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let pair = match after {
            [high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                out.push(b'%');
                broken = true;
            }
        }
    }
    (out, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> PathPrefix {
        PathPrefix::read(text).expect("a path").expect("not every path")
    }

    #[test]
    fn a_prefix_is_of_whole_segments() {
        let v1 = prefix("/v1");
        for path in ["/v1", "/v1/", "/v1/x", "/v1/x/y", "/v1/%7Ex", "/v1/x;y=1", "/v1/x.y/..z"] {
            assert!(!doubtful(path) && v1.matches(path), "{path}");
        }
        for path in ["/", "/v10", "/v1.json", "/V1", "/v", "/v1;x", "/v1%2fx", "/%761", "/x/v1"] {
            assert!(doubtful(path) || !v1.matches(path), "{path}");
        }
        let below = prefix("/v1/");
        assert!(below.matches("/v1/x") && below.matches("/v1/") && !below.matches("/v1"));
        assert!(v1.includes(&below) && !below.includes(&v1));
        assert!(v1.includes(&v1) && v1.includes(&prefix("/v1/x")) && !v1.includes(&prefix("/v10")));
    }

    #[test]
    fn paths_that_servers_read_in_different_ways_are_doubtful() {
        for path in [
            "",
            "v1",
            "*",
            "/v1/..",
            "/v1/../admin",
            "/v1/./x",
            "/v1/..;/admin",
            "/v1/..;x=1/admin",
            "/v1/.;/x",
            "/v1//admin",
            "//v1",
            "/v1/\\..\\admin",
            "/v1\\x",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1/.%2e/admin",
            "/v1/%252e%252e/admin",
            "/v1/%25252e%25252e/admin",
            "/v1/%252525252525252e./admin",
            "/v1/..%2fadmin",
            "/v1/..%2Fadmin",
            "/v1%2f..%2fadmin",
            "/v1/x%252fadmin",
            "/v1/%5c..%5cadmin",
            "/v1/%255c",
            "/v1/..%3b/admin",
            "/v1/..%253bx/admin",
            "/v1/%00",
            "/v1/%0d%0aX:1",
            "/v1/%7f",
            "/v1/%c0%ae%c0%ae/admin",
            "/v1/%c0%af",
            "/v1/%u002e%u002e/admin",
            "/v1/%",
            "/v1/%2",
            "/v1/%zz",
            "/v1/%25zz/%252e%252e/admin",
        ] {
            assert!(doubtful(path), "{path}");
        }
        for path in
            ["/", "/v1", "/v1/", "/a%20b", "/a%C3%A4", "/...", "/..a", "/a..", "/a;b=..", "/100%25"]
        {
            assert!(!doubtful(path), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_of_a_grant_says_why() {
        for text in ["/a?b", "/a#b", "/a/*", "/a b", "/a\"b", "/a/../b", "/a//b", "/%2e", "/ä"] {
            assert!(PathPrefix::read(text).is_err(), "{text}");
        }
        assert_eq!(PathPrefix::read(""), Ok(None));
        assert_eq!(PathPrefix::read("/"), Ok(None));
    }
}
