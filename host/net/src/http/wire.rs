//! How a request names its target on the wire, which differs by version and by proxy.
//!
//! Callers always give a whole URL; what the connection needs is made of it here.

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Uri};

use crate::{Failure, FailureKind};

/// How HTTP/1.1 names what it wants.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// By path, to the server itself.
    Path,
    /// By URL, to a proxy, with who we are to it.
    Url(Option<HeaderValue>),
}

/// Makes `request` fit for HTTP/1.1.
pub(super) fn fit_http1<B>(request: &mut Request<B>, form: &Form) -> Result<(), Failure> {
    refuse_connect(request)?;
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
    {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let host = HeaderValue::from_str(host).map_err(|_invalid| unusable("its host"))?;
        request.headers_mut().insert(HOST, host);
    }
    match form {
        Form::Path => {
            if request.uri().authority().is_some() {
                *request.uri_mut() = path(request.uri()).into();
            }
        }
        Form::Url(authorization) => {
            if let Some(authorization) = authorization {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
    }
    Ok(())
}

/// Makes `request` fit for HTTP/2, where `Host` is a part of the URL.
pub(super) fn fit_http2<B>(request: &mut Request<B>) -> Result<(), Failure> {
    refuse_connect(request)?;
    let Some(host) = request.headers_mut().remove(HOST) else {
        return Ok(());
    };
    let is_same = |authority: &Authority| authority.as_str().as_bytes() == host.as_bytes();
    if request.uri().authority().is_some_and(is_same) {
        return Ok(());
    }
    let authority =
        Authority::try_from(host.as_bytes()).map_err(|_invalid| unusable("its `Host`"))?;
    let path = path(request.uri());
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_invalid| unusable("its URL"))?;
    Ok(())
}

fn path(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

/// A tunnel would outlive the request, and nobody would watch what goes through it.
fn refuse_connect<B>(request: &Request<B>) -> Result<(), Failure> {
    match *request.method() {
        Method::CONNECT => Err(unusable("the method `CONNECT`")),
        _ => Ok(()),
    }
}

fn unusable(what: &str) -> Failure {
    Failure::new(FailureKind::Request, format!("the request cannot be sent because of {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, host: Option<&str>) -> Request<()> {
        let mut request = Request::get(url);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request.body(()).expect("valid")
    }

    #[track_caller]
    fn check(request: &Request<()>, uri: &str, host: Option<&str>) {
        assert_eq!(request.uri().to_string(), uri);
        let found = request.headers().get(HOST).map(|host| host.to_str().expect("visible ASCII"));
        assert_eq!(found, host);
    }

    #[test]
    fn http1_names_the_path_and_the_host() {
        for (url, given, uri, host) in [
            ("http://a.example:81/x?y", None, "/x?y", "a.example:81"),
            ("http://me:secret@a.example", None, "/", "a.example"),
            ("http://a.example/", Some("b.example"), "/", "b.example"),
            ("/x", Some("b.example"), "/x", "b.example"),
        ] {
            let mut request = request(url, given);
            fit_http1(&mut request, &Form::Path).expect("usable");
            check(&request, uri, Some(host));
        }
    }

    #[test]
    fn a_proxy_gets_the_url_and_our_name() {
        let mut request = request("http://a.example/x", None);
        let form = Form::Url(Some(HeaderValue::from_static("Basic x")));
        fit_http1(&mut request, &form).expect("usable");
        check(&request, "http://a.example/x", Some("a.example"));
        assert_eq!(request.headers()[PROXY_AUTHORIZATION], "Basic x");
    }

    #[test]
    fn http2_has_the_host_in_the_url_only() {
        for (url, given, uri) in [
            ("https://a.example/x", None, "https://a.example/x"),
            ("https://a.example/x", Some("a.example"), "https://a.example/x"),
            ("https://127.0.0.1:81/x", Some("b.example"), "https://b.example/x"),
        ] {
            let mut request = request(url, given);
            fit_http2(&mut request).expect("usable");
            check(&request, uri, None);
        }
        fit_http2(&mut request("https://a.example/", Some("a b"))).expect_err("a blank");
    }

    #[test]
    fn tunnels_are_refused() {
        let mut request = Request::connect("a.example:22").body(()).expect("valid");
        let failure = fit_http1(&mut request, &Form::Path).expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Request);
        fit_http2(&mut request).expect_err("refused");
    }
}
