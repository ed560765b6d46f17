//! One request from beginning to end: connect, send, follow redirects, read the body.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, USER_AGENT};
use http::{HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;
use url::{Position, Url};

use super::coding::{self, Content};
use super::redirect::{self, Hop};
use super::{
    Answer, Client, Driver, Exchange, First, Redirects, Request, Route, Scheme, Sender, explain,
};
use crate::proxy::basic_authorization;
use crate::{Failure, FailureKind, Phase, Trace};

/// What we call ourselves.
const AGENT: &str = concat!("wellcheck/", env!("CARGO_PKG_VERSION"));

/// The parts of an exchange that a failure must not lose.
struct Progress {
    trace: Trace,
    hop: Hop,
    redirects: u32,
    status: Option<StatusCode>,
    first: First,
}

impl Client {
    /// Sends `request` on a new connection and reads the answer, all of it by `deadline`.
    pub async fn fetch(&self, request: &Request, deadline: Instant) -> Exchange {
        let mut progress = Progress {
            trace: Trace::new(deadline),
            hop: Hop {
                method: request.method.clone(),
                url: request.url.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
            },
            redirects: 0,
            status: None,
            first: First::default(),
        };
        coding::ask(&request.codings, &mut progress.hop.headers);
        let result = self.hops(request, &mut progress).await;
        let Progress { trace, mut hop, redirects, status, first } = progress;
        strip_credentials(&mut hop.url);
        Exchange {
            result,
            status,
            url: hop.url,
            redirects,
            phases: trace.phases,
            total: trace.elapsed(),
            peer: trace.peer,
            certificate: trace.certificate,
            tls_version: trace.tls_version,
            tls_cipher: trace.tls_cipher,
            tls_verified: trace.tls_verified,
            first,
        }
    }

    async fn hops(&self, request: &Request, progress: &mut Progress) -> Result<Answer, Failure> {
        loop {
            if let Some(authorization) = basic_authorization(&progress.hop.url) {
                progress.hop.headers.entry(AUTHORIZATION).or_insert(authorization);
            }
            let connected = self.connect(request, progress).await;
            if progress.redirects == 0 {
                let Trace { phases, tried, .. } = &progress.trace;
                progress.first = First { resolve: phases.resolve, address: *tried };
            }
            let (mut sender, mut driver) = connected?;
            let outgoing = build(request, &progress.hop)?;
            let hop = &progress.hop;
            let head = progress
                .trace
                .stage(
                    Phase::Wait,
                    || format!("waiting for an answer from `{}`", name(&hop.url)),
                    driver.beside(sender.send(outgoing)),
                )
                .await?;
            progress.status = Some(head.status());
            if let Some(jar) = &request.jar {
                jar.keep(&progress.hop.url, head.headers());
            }
            if let Redirects::Follow(limit) = request.redirects
                && let Some(to) = redirect::target(head.status(), head.headers(), &hop.url)?
            {
                if progress.redirects >= limit {
                    let message = format!(
                        "more than {limit} redirects; the last one points to `{}`",
                        name(&to)
                    );
                    return Err(Failure::new(FailureKind::Redirect, message));
                }
                progress.redirects += 1;
                redirect::permitted(request, &progress.hop.url, &to)?;
                progress.hop.follow(head.status(), to);
                redirect::keeps_body(request, &progress.hop)?;
                continue;
            }
            return read(request, progress, &mut driver, head).await;
        }
    }

    async fn connect(
        &self,
        request: &Request,
        progress: &mut Progress,
    ) -> Result<(Sender<Full<Bytes>>, Driver<Full<Bytes>>), Failure> {
        let Progress { trace, hop, .. } = progress;
        // What the previous hop showed is not this one's.
        trace.peer = None;
        trace.certificate = None;
        trace.tried = None;
        trace.tls_version = None;
        trace.tls_cipher = None;
        trace.tls_verified = false;
        let unusable = |why: String| Failure::new(FailureKind::Request, why);
        let scheme = Scheme::parse(hop.url.scheme()).ok_or_else(|| {
            unusable(format!("unknown scheme `{}` (known: http, https)", hop.url.scheme()))
        })?;
        // A name that was given for one host is not another host's, nor is our certificate.
        let elsewhere = hop.url.host() != request.url.host();
        let stranger = elsewhere.then(|| request.tls.stranger());
        let route = Route {
            scheme,
            host: hop.url.host_str().ok_or_else(|| unusable("the URL has no host".to_owned()))?,
            port: hop.url.port().unwrap_or(scheme.default_port()),
            version: request.version,
            family: request.family,
            guard: &request.guard,
            tls: stranger.as_ref().unwrap_or(&request.tls),
            proxy: request.proxy.as_ref(),
        };
        let to = request.to.as_ref().filter(|to| to.holds(&request.url, &hop.url));
        self.open_to(&route, to, trace).await
    }
}

/// The request of a hop, by its whole URL.
fn build(request: &Request, hop: &Hop) -> Result<http::Request<Full<Bytes>>, Failure> {
    let path = &hop.url[Position::BeforePath..Position::AfterQuery];
    let uri = format!("{}://{}{path}", hop.url.scheme(), name(&hop.url));
    let uri = Uri::try_from(uri).map_err(|error| {
        let message = format!("the URL cannot be sent: {error}");
        Failure::new(FailureKind::Request, message)
    })?;
    let mut outgoing = http::Request::new(Full::new(hop.body.clone()));
    *outgoing.method_mut() = hop.method.clone();
    *outgoing.uri_mut() = uri;
    let headers = outgoing.headers_mut();
    // First, as RFC 9112 advises.
    let host = hop.headers.get(HOST).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(name(&hop.url)).expect("a parsed host is visible ASCII")
    });
    headers.insert(HOST, host);
    for (name, value) in &hop.headers {
        if name != HOST {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Some(cookies) = request.jar.as_ref().and_then(|jar| jar.cookies(&hop.url)) {
        let cookies = super::jar::joined(headers.get(COOKIE), &cookies);
        headers.insert(COOKIE, cookies);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(outgoing)
}

async fn read(
    request: &Request,
    progress: &mut Progress,
    driver: &mut Driver<Full<Bytes>>,
    head: http::Response<Incoming>,
) -> Result<Answer, Failure> {
    let status = head.status();
    // Through a tunnel, the status would be the target's own.
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        && progress.hop.url.scheme() == "http"
        && let Some(proxy) = &request.proxy
    {
        let message = format!("{proxy} wants other credentials (status 407)");
        return Err(Failure::new(FailureKind::Proxy, message));
    }
    let (parts, mut incoming) = head.into_parts();
    let coding = coding::of(&request.codings, &parts.headers, name(&progress.hop.url))?;
    let mut body = Content::new(coding, request.body_limit);
    if !incoming.is_end_stream() {
        let url = &progress.hop.url;
        let work = async {
            while !body.is_cut()
                && let Some(frame) = incoming.frame().await
            {
                let frame = frame.map_err(|error| explain(&error, name(url)))?;
                if let Ok(data) = frame.into_data() {
                    if let Some(received) = &request.received {
                        received.fetch_add(data.len() as u64, Ordering::Relaxed);
                    }
                    body.push(data).map_err(|why| undecodable(&why, url))?;
                }
            }
            Ok(())
        };
        let doing = || format!("reading the body from `{}`", name(url));
        let read = progress.trace.stage(Phase::Transfer, doing, driver.beside(work)).await;
        read.map_err(|failure| {
            failure.with_note(format_args!(
                "status {}, {} bytes of the body",
                status.as_u16(),
                body.len()
            ))
        })?;
    }
    let truncated = body.is_cut();
    let body = body.finish().map_err(|why| undecodable(&why, &progress.hop.url))?;
    Ok(Answer { status, version: parts.version, headers: parts.headers, body, truncated })
}

fn undecodable(why: &str, url: &Url) -> Failure {
    Failure::new(FailureKind::Protocol, format!("the body from `{}` {why}", name(url)))
}

/// Host and port as the URL has them: the port only if it is not the default.
fn name(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

pub(super) fn strip_credentials(url: &mut Url) {
    if !url.username().is_empty() || url.password().is_some() {
        // Cannot fail for a URL with a host, and one without has nothing to strip.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
}
