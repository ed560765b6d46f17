//! The request of a question: one connection to the target of a share, and the code of its answer.
//!
//! Redirects are followed as Go's client does it, ten requests in all, but only within the origin of
//! the target: whoever controls what the target answers must not be able to send us elsewhere. The
//! body of an answer is never read.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;
use url::{Position, Url};
use wellcheck_core::share::Base;
use wellcheck_net::http::{Client, HttpVersion, Route, Scheme};
use wellcheck_net::{Failure, FailureKind, Family, Guard, Phase, Tls, Trace};

use super::sentence::{self, Attempt, of_request, quoted};
use super::url::{Place, join};
use super::{Question, Verdict, bounded};

/// Requests of one question, at most.
const MOST_REQUESTS: usize = 10;

const AGENT: &str = concat!("wellcheck/", env!("CARGO_PKG_VERSION"));

/// Asks a target, once.
pub(super) async fn ask(client: &Client, tls: &Tls, target: &Base, question: &Question) -> Verdict {
    let method = method(&question.verb);
    let created = method.and_then(|method| Ok((method, join(target, &question.endpoint)?)));
    let (method, place) =
        created.map_err(|why| bounded(format!("failed to create request: {why}")))?;
    let deadline = Instant::now() + question.timeout();
    let hops = Hops { client, tls, target, method: &method, deadline };
    let code = hops
        .follow(place)
        .await
        .map_err(|why| bounded(format!("failed to execute request: {why}")))?;
    let expected = question.expected;
    if u32::from(code) == expected {
        Ok(())
    } else {
        Err(format!("unexpected status code; got '{code}', want '{expected}'"))
    }
}

fn method(verb: &str) -> Result<Method, String> {
    if verb.is_empty() {
        return Ok(Method::GET);
    }
    // A tunnel, and a mirror of what proxies on the way add: neither is a question about health.
    if ["CONNECT", "TRACE"].iter().any(|refused| verb.eq_ignore_ascii_case(refused)) {
        return Err(format!("method {} is not allowed", quoted(verb)));
    }
    Method::from_bytes(verb.as_bytes())
        .map_err(|_| format!("net/http: invalid method {}", quoted(verb)))
}

struct Hops<'a> {
    client: &'a Client,
    tls: &'a Tls,
    target: &'a Base,
    /// Of the first request.
    method: &'a Method,
    deadline: Instant,
}

impl Hops<'_> {
    /// The code of the last answer.
    async fn follow(&self, mut place: Place) -> Result<u16, String> {
        let mut method = self.method.clone();
        let mut sent = 0;
        loop {
            sent += 1;
            let answer = Box::pin(self.send(&method, &place)).await?;
            let code = answer.status().as_u16();
            let location = answer.headers().get(LOCATION).map(HeaderValue::as_bytes);
            let Some(location) = location.filter(|location| !location.is_empty()) else {
                return Ok(code);
            };
            match code {
                301..=303 if method != Method::HEAD => method = Method::GET,
                301..=303 | 307 | 308 => {}
                _ => return Ok(code),
            }
            place = self.next(&place, &String::from_utf8_lossy(location), sent)?;
        }
    }

    /// Where a redirect leads, if it may be followed.
    fn next(&self, place: &Place, location: &str, sent: usize) -> Result<Place, String> {
        let failed = |url: &str, why: &str| of_request(self.method, url, why);
        let unreadable = |error: url::ParseError| {
            let shown = quoted(location);
            failed(&place.shown, &format!("failed to parse Location header {shown}: {error}"))
        };
        let from = Url::parse(&place.shown).map_err(unreadable)?;
        let mut to = from.join(location).map_err(unreadable)?;
        if sent >= MOST_REQUESTS {
            return Err(failed(location, &format!("stopped after {MOST_REQUESTS} redirects")));
        }
        if !matches!(to.scheme(), "http" | "https") {
            let why = format!("unsupported protocol scheme {}", quoted(to.scheme()));
            return Err(failed(location, &why));
        }
        if to.origin() != self.target.url().origin() {
            return Err(failed(location, "the redirect leads away from the target of the share"));
        }
        // The same origin, whoever one is there.
        let _ = to.set_username("");
        let _ = to.set_password(None);
        let path = PathAndQuery::try_from(&to[Position::BeforePath..Position::AfterQuery])
            .map_err(|error| failed(location, &format!("the URL cannot be sent: {error}")))?;
        Ok(Place { shown: to.into(), path })
    }

    /// Sends one request to the target, and waits for the head of its answer.
    async fn send(&self, method: &Method, place: &Place) -> Result<Response<Incoming>, String> {
        let url = self.target.url();
        let scheme = Scheme::parse(url.scheme()).expect("a base is of one of the two schemes");
        let host = url.host_str().expect("a base has a host");
        let first: Arc<OnceLock<SocketAddr>> = Arc::default();
        let seen = Arc::clone(&first);
        let guard = Guard::new(move |address| {
            // The ones that come after it are further addresses of the name.
            let _ = seen.set(address);
            Ok(())
        });
        let route = Route {
            scheme,
            host,
            port: url.port().unwrap_or(scheme.default_port()),
            version: HttpVersion::Auto,
            family: Family::Any,
            guard: &guard,
            tls: self.tls,
            proxy: None,
        };
        let mut trace = Trace::new(self.deadline);
        let sent = self.exchange(&route, method, place, &mut trace).await;
        sent.map_err(|failure| {
            #[expect(clippy::disallowed_methods, reason = "certificates are dated by it")]
            let now = SystemTime::now();
            let why = sentence::why(&Attempt {
                failure: &failure,
                host: host.trim_matches(['[', ']']),
                address: first.get().copied(),
                certificate: trace.certificate.as_ref(),
                is_late: failure.kind == FailureKind::Timeout && Instant::now() >= self.deadline,
                now,
            });
            of_request(self.method, &place.shown, &why)
        })
    }

    async fn exchange(
        &self,
        route: &Route<'_>,
        method: &Method,
        place: &Place,
        trace: &mut Trace,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(method, place)?;
        let (mut sender, mut driver) = self.client.open(route, trace).await?;
        let doing = || "waiting for an answer".to_owned();
        trace.stage(Phase::Wait, doing, driver.beside(sender.send(request))).await
    }

    fn request(&self, method: &Method, place: &Place) -> Result<Request<Full<Bytes>>, Failure> {
        let uri = Uri::builder()
            .scheme(self.target.url().scheme())
            .authority(self.target.authority())
            .path_and_query(place.path.clone())
            .build()
            .map_err(|error| {
                Failure::new(FailureKind::Request, format!("the URL cannot be sent: {error}"))
            })?;
        let mut request = Request::new(Full::default());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
            // Some servers want to be told that there is no body.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_tokens_and_neither_tunnels_nor_mirrors() {
        for (verb, expected) in
            [("", "GET"), ("GET", "GET"), ("get", "get"), ("PROPFIND", "PROPFIND")]
        {
            assert_eq!(method(verb).expect(verb).as_str(), expected);
        }
        for (verb, why) in [
            ("G T", "net/http: invalid method \"G T\""),
            ("GET\r\n", "net/http: invalid method \"GET\\r\\n\""),
            ("é", "net/http: invalid method \"é\""),
            ("CONNECT", "method \"CONNECT\" is not allowed"),
            ("trace", "method \"trace\" is not allowed"),
        ] {
            assert_eq!(method(verb).expect_err(verb), why);
        }
    }
}
