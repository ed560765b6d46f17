//! HTTP in one call: the request of the contract's own interface, and the whole answer.
//!
//! It goes the way of every other request of a guest, [`HttpImport`], so that grants, limits, tapes
//! and scripted worlds hold for it as they are. What is here is what `wasi:http` leaves to a guest:
//! putting a request together, and reading a body to its end in time.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use std::time::Duration;
use wasmtime::component::HasData;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions};
use wellcheck_net::{Failure, FailureKind};

use super::http::HttpImport;
use crate::limits::FIELD_BYTES;
use crate::text;

/// What a header costs besides its name and its value, in bytes: as HTTP/2 counts it.
const FIELD_COST: usize = 32;
/// Longest part of a guest's text that a message repeats.
const SHOWN: usize = 200;
/// What requests say they are from, unless the guest says otherwise.
const AGENT: &str = concat!("wellcheck/", env!("CARGO_PKG_VERSION"));

/// What the import sees.
pub(crate) struct FetchView<'a> {
    pub(crate) http: &'a HttpImport,
    pub(crate) traceparent: Option<&'a str>,
}

/// Ties the view to the linker.
pub(crate) struct FetchImport;

impl HasData for FetchImport {
    type Data<'a> = FetchView<'a>;
}

/// A request, as the guest made it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Longest until the whole answer is there.
    pub(crate) timeout: Option<Duration>,
}

/// The whole answer.
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is none.
pub(crate) struct NotFetched {
    /// A word of the connector's, or `limit`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl NotFetched {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind: kind.as_str(), message: message.into() }
    }
}

impl From<Failure> for NotFetched {
    fn from(failure: Failure) -> Self {
        // The host's own limit, which the run notes as such.
        if failure.kind == FailureKind::TooLarge {
            return Self { kind: "limit", message: failure.message };
        }
        Self::new(failure.kind, failure.message)
    }
}

impl FetchView<'_> {
    pub(crate) async fn fetch(&self, asked: Asked) -> Result<Fetched, NotFetched> {
        let timeout = asked.timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        let request = request(asked, self.traceparent)
            .map_err(|message| NotFetched::new(FailureKind::Request, message))?;
        let admitted = self.http.admit(request, RequestOptions::default(), timeout);
        let exchange = admitted.map_err(refused)?;
        let (deadline, taped) = (exchange.deadline(), exchange.taped());
        let response = exchange.run().await?;
        let (head, mut body) = response.into_parts();
        // Piece by piece into one place: a body of single bytes costs no more than any other.
        let whole = async {
            let mut whole = Vec::new();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame?.into_data() {
                    whole.extend_from_slice(&data);
                }
            }
            Ok::<_, Failure>(whole)
        };
        // A body that trickles ends here at the latest, whatever pauses its transport allows.
        let body = match tokio::time::timeout_at(deadline, whole).await {
            Ok(body) => body?,
            Err(_elapsed) => {
                let late = Failure::new(FailureKind::Timeout, "the answer did not end in time");
                // Else it would look on the tape like an answer that was whole.
                if let Some(taped) = taped {
                    taped.cut_off(&late);
                }
                return Err(late.into());
            }
        };
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(Fetched { status: head.status.as_u16(), headers: headers.collect(), body })
    }
}

/// Puts a request together, with what the host adds.
fn request(
    asked: Asked,
    traceparent: Option<&str>,
) -> Result<Request<crate::transport::Body>, String> {
    let Asked { method, url, headers, body, timeout: _ } = asked;
    let shown = |text: &str| text::cleaned(text, SHOWN);
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_invalid| format!("`{}` is no method", shown(&method)))?;
    let whole = url.split_once('#').map_or(url.as_str(), |(url, _fragment)| url);
    let uri: Uri = whole.parse().map_err(|why| format!("`{}` is no URL: {why}", shown(&url)))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let Some(authority) = uri.authority().filter(|_| is_http) else {
        return Err(format!("`{}` is no http:// or https:// URL", shown(&url)));
    };
    if authority.as_str().contains('@') {
        return Err("a URL with credentials: send them in the header `authorization`".to_owned());
    }
    let cost = |(name, value): &(String, String)| name.len() + value.len() + FIELD_COST;
    if headers.iter().map(cost).sum::<usize>() > FIELD_BYTES {
        let most = text::bytes(FIELD_BYTES);
        return Err(format!("the headers take more than {most} together"));
    }
    let mut sent = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_invalid| format!("`{}` is no name of a header", shown(&name)))?;
        if DEFAULT_FORBIDDEN_HEADERS.contains(&name) || name == header::CONTENT_LENGTH {
            return Err(format!("the header `{name}` is the host's to send"));
        }
        // A value may be a secret, so it is not repeated.
        let value = HeaderValue::try_from(value)
            .map_err(|_invalid| format!("the value of `{name}` cannot be sent in a header"))?;
        sent.append(name, value);
    }
    let host = HeaderValue::try_from(authority.as_str())
        .map_err(|_invalid| format!("`{}` cannot be asked for", shown(&url)))?;
    sent.insert(header::HOST, host);
    sent.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    if let Some(parent) = traceparent.and_then(|parent| HeaderValue::try_from(parent).ok()) {
        sent.entry(HeaderName::from_static("traceparent")).or_insert(parent);
    }
    if !body.is_empty() {
        sent.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = sent;
    Ok(request)
}

/// Why a request was not even begun. Denials and limits are noted in the run already.
fn refused(error: Error) -> NotFetched {
    match error {
        Error::HttpRequestDenied => {
            NotFetched::new(FailureKind::Denied, "no grant `http` allows the request")
        }
        Error::ConnectionLimitReached => {
            NotFetched { kind: "limit", message: "too many requests in one run".to_owned() }
        }
        Error::HttpRequestMethodInvalid => {
            NotFetched::new(FailureKind::Request, "neither CONNECT nor TRACE can be sent")
        }
        other => NotFetched::new(FailureKind::Request, format!("cannot be sent: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, url: &str, headers: &[(&str, &str)]) -> Asked {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let (method, url) = (method.to_owned(), url.to_owned());
        Asked { method, url, headers, body: b"{}".to_vec(), timeout: None }
    }

    #[test]
    fn the_host_adds_what_is_its_own() {
        let asked =
            asked("POST", "https://a.test:8443/x?y=1#z", &[("Accept", "a"), ("accept", "b")]);
        let request = request(asked, Some("00-1-2-01")).unwrap();
        assert_eq!(request.uri(), "https://a.test:8443/x?y=1");
        let headers = request.headers();
        assert_eq!(headers["host"], "a.test:8443");
        assert_eq!(headers["user-agent"], AGENT);
        assert_eq!(headers["traceparent"], "00-1-2-01");
        assert_eq!(headers["content-length"], "2");
        assert_eq!(headers.get_all("accept").iter().count(), 2);
    }

    #[test]
    fn headers_are_bounded_in_number_and_size() {
        let names: Vec<String> = (0..40_000).map(|number| format!("h{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        let long = "x".repeat(FIELD_BYTES);
        for headers in [many.as_slice(), &[("x", long.as_str())]] {
            let why = request(asked("GET", "http://a.test/", headers), None).unwrap_err();
            assert_eq!(why, "the headers take more than 16 KiB together");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_said_and_values_are_not_repeated() {
        let check = |method: &str, url: &str, headers: &[(&str, &str)], expected: &str| {
            assert_eq!(request(asked(method, url, headers), None).unwrap_err(), expected);
        };
        let url = "http://a.test/";
        check("GE T", url, &[], "`GE T` is no method");
        check("GET", "ftp://a.test/", &[], "`ftp://a.test/` is no http:// or https:// URL");
        check("GET", "/x", &[], "`/x` is no http:// or https:// URL");
        check(
            "GET",
            "http://u:p@a.test/",
            &[],
            "a URL with credentials: send them in the header `authorization`",
        );
        check("GET", url, &[("a b", "")], "`a b` is no name of a header");
        check("GET", url, &[("x", "1\r\ny: 2")], "the value of `x` cannot be sent in a header");
        for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
            let expected = format!("the header `{}` is the host's to send", name.to_lowercase());
            check("GET", url, &[(name, "x")], &expected);
        }
    }
}
