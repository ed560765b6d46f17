//! Answers that somebody wrote down, in place of the network.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use wellcheck_core::record::{Failed, Reply};
use wellcheck_core::suite::Scripted;
use wellcheck_core::suite::pattern::{matches, normal_url as normal};
use wellcheck_net::{Failure, FailureKind};

use crate::host::lock;
use crate::transport::{HttpRequest, HttpResponse, Resolving, Transport};

/// Longest wait that a script can ask for, in milliseconds: a day.
const MAX_WAIT: f64 = 86_400_000.0;

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, ...
    pub method: String,
    /// Absolute, without a default port.
    pub url: String,
    /// As they would have been sent.
    pub headers: Vec<(String, String)>,
    /// As it would have been sent.
    pub body: Vec<u8>,
    /// Which of the script's answers it got; `None` where there was none for it.
    pub by: Option<usize>,
}

/// A transport that answers from a list; the first entry that fits counts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Each with how often it may still be used.
    list: Mutex<Vec<(Scripted, Option<u32>)>>,
    asked: Mutex<Vec<Asked>>,
}

impl Script {
    /// Answers from `list`.
    pub fn new(list: Vec<Scripted>) -> Self {
        let list = list.into_iter().map(|scripted| {
            let times = scripted.times;
            (scripted, times)
        });
        Self(Arc::new(Inner { list: Mutex::new(list.collect()), asked: Mutex::default() }))
    }

    /// The requests so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.0.asked).clone()
    }

    fn take(&self, method: &str, url: &str) -> Option<(usize, Reply)> {
        let mut list = lock(&self.0.list);
        let fits = |(scripted, left): &(Scripted, Option<u32>)| {
            *left != Some(0)
                && scripted.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && if scripted.is_exact {
                    scripted.url == url
                } else {
                    matches(&normal(&scripted.url), url)
                }
        };
        let at = list.iter().position(fits)?;
        let (scripted, left) = &mut list[at];
        *left = left.map(|left| left - 1);
        Some((at, scripted.reply.clone()))
    }
}

fn wait(milliseconds: f64) -> Duration {
    let milliseconds = if milliseconds.is_finite() { milliseconds } else { 0.0 };
    Duration::from_secs_f64(milliseconds.clamp(0.0, MAX_WAIT) / 1e3)
}

fn failure(failed: &Failed) -> Failure {
    let kind = FailureKind::parse(&failed.kind).unwrap_or(FailureKind::Closed);
    let message = match failed.message.as_str() {
        "" => format!("the script says `{kind}`"),
        message => message.to_owned(),
    };
    Failure::new(kind, message)
}

fn late(url: &str) -> Failure {
    Failure::new(FailureKind::Timeout, format!("timed out while waiting for `{url}`"))
}

impl Transport for Script {
    fn send(
        &self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send>> {
        let this = self.clone();
        Box::pin(async move { this.answer(request).await })
    }

    fn resolve(&self, name: &str) -> Resolving {
        let message = format!("the name `{name}` does not exist in this world");
        Box::pin(async { Err(Failure::new(FailureKind::Resolve, message)) })
    }
}

impl Script {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let HttpRequest { request, guard, deadline, first_byte, between_bytes, .. } = request;
        let (head, body) = request.into_parts();
        let method = head.method.as_str().to_owned();
        let url = normal(&head.uri.to_string());
        // A name has no address here; an address is judged as ever.
        let host = head.uri.host().unwrap_or_default();
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let port = head.uri.port_u16().unwrap_or(80);
            let judged = guard.check((address, port).into());
            judged.map_err(|why| Failure::new(FailureKind::Denied, why))?;
        }
        let body = body.collect().await?.to_bytes();
        let headers = head.headers.iter();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = self.take(&method, &url);
        lock(&self.0.asked).push(Asked {
            method: method.clone(),
            url: url.clone(),
            headers: headers.map(|(n, v)| (n.to_string(), text(v.as_bytes()))).collect(),
            body: body.to_vec(),
            by: found.as_ref().map(|(at, _)| *at),
        });
        let head_by = deadline.min(Instant::now() + first_byte);
        let answer = match found.map(|(_, reply)| reply) {
            None => {
                let message = format!("the world of this run has no answer for `{method} {url}`");
                return Err(Failure::new(FailureKind::Unreachable, message));
            }
            Some(Reply::Silence) => {
                sleep_until(head_by).await;
                return Err(late(&url));
            }
            Some(Reply::Failure(failed)) => {
                let waited = timeout_at(head_by, sleep(wait(failed.after))).await;
                return Err(waited.map_or_else(|_| late(&url), |()| failure(&failed)));
            }
            Some(Reply::Answer(answer)) => answer,
        };
        timeout_at(head_by, sleep(wait(answer.after))).await.map_err(|_elapsed| late(&url))?;
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let pieces = answer.body.into_iter();
        let body = Pieces {
            left: pieces.map(|piece| (wait(piece.after), Ok(piece.data.0.into()))).collect(),
            sleep: None,
            deadline,
            between_bytes,
            url,
        };
        let mut body = body;
        if let Some(broken) = &answer.broken {
            body.left.push_back((wait(broken.after), Err(failure(broken))));
        }
        response.body(body.boxed_unsync()).map_err(|error| {
            Failure::new(FailureKind::Protocol, format!("the script's answer is none: {error}"))
        })
    }
}

/// A body that comes in pieces.
struct Pieces {
    left: VecDeque<(Duration, Result<Bytes, Failure>)>,
    /// Until the next piece, and whether that comes in time.
    sleep: Option<(Pin<Box<Sleep>>, bool)>,
    deadline: Instant,
    between_bytes: Duration,
    url: String,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let Some((after, _)) = this.left.front() else { return Poll::Ready(None) };
        let (sleep, comes) = this.sleep.get_or_insert_with(|| {
            let now = Instant::now();
            let (at, by) = (now + *after, this.deadline.min(now + this.between_bytes));
            (Box::pin(sleep_until(at.min(by))), at <= by)
        });
        ready!(sleep.as_mut().poll(context));
        let comes = *comes;
        this.sleep = None;
        if !comes {
            this.left.clear();
            return Poll::Ready(Some(Err(late(&this.url))));
        }
        let next = this.left.pop_front().map(|(_, piece)| piece.map(Frame::data));
        if matches!(next, Some(Err(_))) {
            this.left.clear();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }
}
