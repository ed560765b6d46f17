//! Texts in which `*` stands for anything, and URLs in one spelling.

/// Whether a text is what a pattern says, in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let before: &str = before;
            let Some(at) = rest.find(before) else { return false };
            rest = &rest[at + before.len()..];
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

/// A URL without a default port, and with a path.
pub fn normal_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{authority}{slash}{path}")
}

/// The method and the URL of `GET http://a/`; a URL alone is of any method.
pub fn request(text: &str) -> (Option<&str>, &str) {
    match text.trim().split_once(' ') {
        Some((method, url)) => (Some(method).filter(|method| *method != "*"), url.trim_start()),
        None => (None, text.trim()),
    }
}

/// Whether a request is what a pattern of a method and a URL, or of a URL alone, says.
pub fn matches_request(pattern: &str, method: &str, url: &str) -> bool {
    let (wanted, pattern) = request(pattern);
    wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        && (pattern == "*" || matches(&normal_url(pattern), url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, is_match) in [
            ("http://a/", "http://a/", true),
            ("http://a/", "http://a/b", false),
            ("http://a/*", "http://a/b?c", true),
            ("*", "http://a/", true),
            ("http://*/x", "http://a/y/x", true),
            ("http://*/x", "http://a/xy", false),
            ("http://*.test/*?q=*", "http://a.test/b?q=1", true),
            ("http://a*b*a", "http://aba", true),
            ("http://a*a", "http://a", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn urls_are_compared_as_they_are_meant() {
        for (url, expected) in [
            ("HTTP://A.test", "http://a.test/"),
            ("http://a.test:80/B", "http://a.test/B"),
            ("https://a.test:443?q", "https://a.test/?q"),
            ("https://a.test:80/", "https://a.test:80/"),
        ] {
            assert_eq!(normal_url(url), expected);
        }
    }

    #[test]
    fn a_request_has_a_method_or_is_of_any() {
        for (pattern, is_match) in [
            ("GET http://a.test", true),
            ("get http://A.test:80/", true),
            ("http://a.test/", true),
            ("* http://a.test/", true),
            ("*", true),
            ("POST http://a.test/", false),
            ("GET http://a.test/b", false),
        ] {
            assert_eq!(matches_request(pattern, "GET", "http://a.test/"), is_match, "{pattern}");
        }
    }
}
