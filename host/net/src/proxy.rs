//! An HTTP proxy that someone named explicitly; the environment is never asked.
//!
//! HTTPS goes through a tunnel (`CONNECT`), plain HTTP with the whole URL in the request line.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::failure::printable;
use crate::{Connector, Dial, Failure, FailureKind, Phase, Trace};

/// Largest answer of a proxy to `CONNECT`.
const MAX_HEAD: usize = 8 * 1024;

/// Where the proxy is, and who we are to it.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

/// Why a text is not a proxy; never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} (expected `http://[user:password@]host:port`)")]
pub struct BadProxy(&'static str);

impl Proxy {
    /// Reads `http://[user:password@]host[:port]`; the port defaults to 80.
    pub fn parse(text: &str) -> Result<Self, BadProxy> {
        let url = Url::parse(text).map_err(|_syntax| BadProxy("not a URL"))?;
        if url.scheme() != "http" {
            return Err(BadProxy("only proxies that are spoken to over `http` are supported"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(BadProxy("a proxy has no path and no query"));
        }
        Ok(Self {
            host: url.host_str().ok_or(BadProxy("no host"))?.to_owned(),
            port: url.port_or_known_default().ok_or(BadProxy("no port"))?,
            authorization: basic_authorization(&url),
        })
    }

    /// `Proxy-Authorization`, if the URL had a user.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Connects to the proxy itself.
    pub(crate) async fn connect(
        &self,
        connector: &Connector,
        dial: &Dial<'_>,
        trace: &mut Trace,
    ) -> Result<TcpStream, Failure> {
        let to_proxy = Dial { host: &self.host, port: self.port, ..*dial };
        connector.tcp(&to_proxy, trace).await.map_err(|failure| match failure.kind {
            // These say something else than "the proxy is down".
            FailureKind::Denied | FailureKind::Local | FailureKind::Timeout => failure,
            _ => Failure::new(FailureKind::Proxy, format!("proxy: {}", failure.message)),
        })
    }

    /// Asks the proxy for a tunnel to `host:port` over `stream`.
    pub(crate) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        host: &str,
        port: u16,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        let target = format!("{host}:{port}");
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let doing = || format!("waiting for {self} to open a tunnel to `{target}`");
        trace
            .stage(Phase::Connect, doing, async {
                let broke = |error| {
                    let broken = Failure::from_io(&error, &format!("{}:{}", self.host, self.port));
                    Failure::new(FailureKind::Proxy, format!("proxy: {}", broken.message))
                };
                stream.write_all(&request).await.map_err(broke)?;
                let head = self.read_head(stream, broke).await?;
                self.judge(&head, &target)
            })
            .await
    }

    async fn read_head(
        &self,
        stream: &mut TcpStream,
        broke: impl Fn(std::io::Error) -> Failure,
    ) -> Result<Vec<u8>, Failure> {
        let mut head = Vec::new();
        loop {
            let from = head.len().saturating_sub(3);
            if stream.read_buf(&mut head).await.map_err(&broke)? == 0 {
                let message = format!("{self} closed the connection instead of opening a tunnel");
                return Err(Failure::new(FailureKind::Proxy, message));
            }
            if let Some(at) = head[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                // A target never speaks first through a tunnel that was just made for a handshake
                // of ours; bytes behind the head would be lost or, worse, taken for the target's.
                if from + at + 4 != head.len() {
                    let is_ok = status_of(&head).is_some_and(|status| status / 100 == 2);
                    if is_ok {
                        let message = format!("{self} sent data before the tunnel was used");
                        return Err(Failure::new(FailureKind::Proxy, message));
                    }
                }
                return Ok(head);
            }
            if head.len() > MAX_HEAD {
                let message = format!("{self} answered with a head of more than {MAX_HEAD} bytes");
                return Err(Failure::new(FailureKind::Proxy, message));
            }
        }
    }

    fn judge(&self, head: &[u8], target: &str) -> Result<(), Failure> {
        match status_of(head) {
            Some(200..=299) => Ok(()),
            Some(status) => {
                let message = format!("{self} refused a tunnel to `{target}` with status {status}");
                Err(Failure::new(FailureKind::Proxy, message))
            }
            None => {
                let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
                let line = printable(&String::from_utf8_lossy(&line[..line.len().min(80)]));
                let message = format!("{self} does not speak HTTP: it answered `{line}`");
                Err(Failure::new(FailureKind::Proxy, message))
            }
        }
    }
}

/// The status of `HTTP/1.x NNN …`.
fn status_of(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    let digits = std::str::from_utf8(rest.get(..3)?).ok()?;
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `Basic …` for the user and password of a URL, if it has them; marked as sensitive.
pub(crate) fn basic_authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = decode(url.username());
    pair.push(b':');
    pair.extend(decode(url.password().unwrap_or_default()));
    let text = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).expect("base64 is valid in a header");
    value.set_sensitive(true);
    Some(value)
}

/// Undoes the `%xx` of a URL's part.
fn decode(part: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                rest = &tail[2..];
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy `{}:{}`", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_become_a_header_and_never_a_text() {
        let proxy = Proxy::parse("http://me:p%40ss@proxy.example:3128").expect("valid");
        let header = proxy.authorization().expect("credentials");
        assert_eq!(header.as_bytes(), b"Basic bWU6cEBzcw==");
        let shown = format!("{proxy} {proxy:?} {header:?}");
        assert!(!shown.contains("p%40ss") && !shown.contains("bWU6"), "{shown}");
    }

    #[test]
    fn what_is_not_a_proxy_says_why() {
        for (text, why) in [
            ("proxy:3128", "only proxies that are spoken to over `http`"),
            ("https://proxy", "only proxies that are spoken to over `http`"),
            ("http://proxy/path", "no path"),
            ("http://", "not a URL"),
        ] {
            let error = Proxy::parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn status_lines_are_read_strictly() {
        assert_eq!(status_of(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status_of(b"HTTP/1.0 407"), Some(407));
        for bad in [&b"HTTP/2 200"[..], b"HTTP/1.1 +20", b"SSH-2.0", b"HTTP/1.1 20"] {
            assert_eq!(status_of(bad), None);
        }
    }
}
