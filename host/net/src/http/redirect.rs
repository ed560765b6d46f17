//! The rules of redirects: where to, with which method, and what must not come along.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, LOCATION, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

use super::{Request, Scheme};
use crate::failure::printable;
use crate::{Failure, FailureKind};

/// One request of a chain of redirects.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Belong to another origin, or to nobody.
const CREDENTIALS: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE];

/// Describe a body that is no longer sent.
const BODY: [HeaderName; 7] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    TRANSFER_ENCODING,
    EXPECT,
];

/// Where an answer points, if it is a redirect with a `Location`.
pub(super) fn target(
    status: StatusCode,
    headers: &HeaderMap,
    from: &Url,
) -> Result<Option<Url>, Failure> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    let bad = |why: &str| {
        let message = format!("redirect ({status}) to `{}`: {why}", printable(&text));
        Failure::new(FailureKind::Redirect, message)
    };
    let url = from.join(&text).map_err(|error| bad(&format!("not a URL, {error}")))?;
    if Scheme::parse(url.scheme()).is_none() {
        return Err(bad("only `http` and `https` are followed"));
    }
    Ok(Some(url))
}

/// Whether a redirect may lead from one URL to another.
pub(super) fn permitted(request: &Request, from: &Url, to: &Url) -> Result<(), Failure> {
    let refused = |why: &str| {
        let message = format!("redirect to `{}`: {why}", origin(to));
        Err(Failure::new(FailureKind::Redirect, message))
    };
    if !request.downgrade && from.scheme() == "https" && to.scheme() == "http" {
        return refused("it leads from `https` to `http`");
    }
    // What answers on a socket of this machine does not say where else to connect.
    if request.to.as_ref().is_some_and(|place| place.binds() && !place.holds(&request.url, to)) {
        return refused("it leads away from the socket");
    }
    Ok(())
}

/// A body that is secret stays with the origin that it was meant for.
pub(super) fn keeps_body(request: &Request, next: &Hop) -> Result<(), Failure> {
    if request.secret_body && !next.body.is_empty() && next.url.origin() != request.url.origin() {
        let message = format!(
            "redirect to `{}`: the body holds a secret and would be sent there",
            origin(&next.url)
        );
        return Err(Failure::new(FailureKind::Redirect, message));
    }
    Ok(())
}

fn origin(url: &Url) -> String {
    printable(&url.origin().ascii_serialization())
}

impl Hop {
    /// Turns this hop into the next one, as answered by `status`.
    pub(super) fn follow(&mut self, status: StatusCode, mut to: Url) {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
        }
        if becomes_get || status == StatusCode::SEE_OTHER {
            self.body = Bytes::new();
            self.drop_headers(&BODY);
        }
        if to.origin() != self.url.origin() {
            self.drop_headers(&CREDENTIALS);
            self.drop_headers(&[HOST]);
            let sensitive = |(name, value): (&HeaderName, &http::HeaderValue)| {
                value.is_sensitive().then(|| name.clone())
            };
            let secret: Vec<_> = self.headers.iter().filter_map(sensitive).collect();
            self.drop_headers(&secret);
        }
        if to.fragment().is_none() {
            to.set_fragment(self.url.fragment());
        }
        self.url = to;
    }

    fn drop_headers(&mut self, names: &[HeaderName]) {
        for name in names {
            self.headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL in a test")
    }

    fn hop(method: Method) -> Hop {
        let mut headers = HeaderMap::new();
        let mut token = HeaderValue::from_static("secret");
        token.set_sensitive(true);
        headers.insert("x-token", token);
        for (name, value) in [
            (AUTHORIZATION, "Bearer secret"),
            (COOKIE, "a=b"),
            (HOST, "other"),
            (CONTENT_TYPE, "text/plain"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert("x-plain", HeaderValue::from_static("stays"));
        let body = Bytes::from_static(b"body");
        Hop { method, url: url("https://a.example/x"), headers, body }
    }

    #[track_caller]
    fn check_method(from: Method, status: u16, to: Method, has_body: bool) {
        let mut hop = hop(from);
        let status = StatusCode::from_u16(status).expect("a status");
        hop.follow(status, url("https://a.example/y"));
        assert_eq!(hop.method, to);
        assert_eq!(!hop.body.is_empty(), has_body);
        assert_eq!(hop.headers.contains_key(CONTENT_TYPE), has_body);
    }

    #[test]
    fn methods_change_as_browsers_do_it() {
        check_method(Method::POST, 301, Method::GET, false);
        check_method(Method::POST, 302, Method::GET, false);
        check_method(Method::PUT, 302, Method::PUT, true);
        check_method(Method::PUT, 303, Method::GET, false);
        check_method(Method::HEAD, 303, Method::HEAD, false);
        check_method(Method::POST, 307, Method::POST, true);
        check_method(Method::POST, 308, Method::POST, true);
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for (to, stays) in [
            ("https://a.example/y", true),
            ("https://a.example:443/y", true),
            ("https://a.example:444/y", false),
            ("http://a.example/y", false),
            ("https://b.example/y", false),
        ] {
            let mut hop = hop(Method::GET);
            hop.follow(StatusCode::FOUND, url(to));
            for name in ["authorization", "cookie", "host", "x-token"] {
                assert_eq!(hop.headers.contains_key(name), stays, "{name} to {to}");
            }
            assert!(hop.headers.contains_key("x-plain"));
        }
    }

    #[test]
    fn locations_are_relative_to_the_request() {
        let from = url("http://a.example/x/y?q");
        for (location, expected) in [
            ("z", Some("http://a.example/x/z")),
            ("//b.example/", Some("http://b.example/")),
            ("?r", Some("http://a.example/x/y?r")),
            ("ftp://a.example/", None),
            ("javascript:alert(1)", None),
            ("http://[::1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(location).expect("a header"));
            let found = target(StatusCode::FOUND, &headers, &from);
            match expected {
                Some(to) => assert_eq!(found.expect(location), Some(url(to))),
                None => assert_eq!(found.expect_err(location).kind, FailureKind::Redirect),
            }
        }
        assert_eq!(target(StatusCode::FOUND, &HeaderMap::new(), &from), Ok(None));
        assert_eq!(target(StatusCode::OK, &HeaderMap::new(), &from), Ok(None));
    }
}
