//! Targets that misbehave on purpose, on loopback, and certificates for them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use url::Url;
use wellcheck_net::http::{Client, Exchange, Request};
use wellcheck_net::{Resolver, Tls, TlsOptions, Trust};

/// Anything that a fake talks over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A listener that hands each connection to a closure; stops when dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    /// The heads of the requests so far, for fakes that read them.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Serves each connection with `serve`.
    pub(crate) async fn start<F, S>(bind: &str, serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
    {
        let listener = TcpListener::bind(bind).await.expect("loopback can be bound");
        let address = listener.local_addr().expect("bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                running.spawn(serve(stream, seen.clone()));
            }
        });
        Self { address, requests, task }
    }

    /// Reads one request, writes `answer`, closes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::scripted(answer, After::Close).await
    }

    /// Reads one request, writes `answer`, then does `after`.
    pub(crate) async fn scripted(answer: impl Into<Vec<u8>>, after: After) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start("127.0.0.1:0", move |stream, seen| {
            let answer = answer.clone();
            async move { script(stream, seen, &answer, after).await }
        })
        .await
    }

    /// The same behind TLS.
    pub(crate) async fn tls(config: Arc<ServerConfig>, answer: &'static [u8]) -> Self {
        Self::start("127.0.0.1:0", move |stream, seen| {
            let acceptor = TlsAcceptor::from(config.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    script(stream, seen, answer, After::Close).await;
                }
            }
        })
        .await
    }

    /// A well-behaved server of `hyper`: HTTP/2, answers `hello over h2`.
    pub(crate) async fn http2(tls: Option<Arc<ServerConfig>>) -> Self {
        Self::start("127.0.0.1:0", move |stream, _| {
            let tls = tls.clone();
            async move {
                match tls {
                    None => serve_http2(stream).await,
                    Some(config) => {
                        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                            serve_http2(stream).await;
                        }
                    }
                }
            }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        url(&format!("http://{}{path}", self.address))
    }

    pub(crate) fn https(&self, host: &str, path: &str) -> Url {
        url(&format!("https://{host}:{}{path}", self.address.port()))
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

/// What a scripted fake does after its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After {
    Close,
    StaySilent,
    /// Writes the answer again and again.
    Repeat,
    /// Writes one byte each 10 ms.
    Trickle,
}

async fn script(mut stream: impl Io, seen: Arc<Mutex<Vec<String>>>, answer: &[u8], after: After) {
    let head = read_request(&mut stream).await;
    seen.lock().expect("not poisoned").push(head);
    if stream.write_all(answer).await.is_err() {
        return;
    }
    let _ = stream.flush().await;
    match after {
        After::Close => {
            let _ = stream.shutdown().await;
            // Closing with unread bytes would reset the connection under the answer.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
        After::StaySilent => {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
        After::Repeat => while stream.write_all(answer).await.is_ok() {},
        After::Trickle => {
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Reads a head and the body that its `content-length` announces.
pub(crate) async fn read_request(stream: &mut impl Io) -> String {
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn serve_http2<S: Io + 'static>(stream: S) {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let service =
        hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async {
            let path = request.uri().path().to_owned();
            let sent = request.into_body().collect().await.map(|body| body.to_bytes());
            let sent = sent.unwrap_or_default();
            let mut answer = http::Response::new(Full::new(match path.as_str() {
                "/echo" => sent,
                _ => bytes::Bytes::from_static(b"hello over h2"),
            }));
            if path == "/huge-head" {
                let value =
                    http::HeaderValue::from_str(&"x".repeat(200_000)).expect("visible ASCII");
                answer.headers_mut().insert("x-huge", value);
            }
            Ok::<_, std::convert::Infallible>(answer)
        });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL in a test")
}

pub(crate) fn client() -> Client {
    Client::new(Resolver::from_system())
}

/// Enough for any answer on loopback.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// For targets that never come to an end.
pub(crate) fn shortly() -> Instant {
    Instant::now() + Duration::from_millis(150)
}

pub(crate) fn get(url: Url) -> Request {
    Request::new(Method::GET, url, Tls::default())
}

pub(crate) async fn fetch(request: &Request) -> Exchange {
    client().fetch(request, soon()).await
}

pub(crate) async fn fetch_shortly(request: &Request) -> Exchange {
    client().fetch(request, shortly()).await
}

/// A root and what it issues.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate is to be like.
pub(crate) struct Leaf<'a> {
    pub(crate) names: &'a [&'a str],
    /// First and last year of its validity.
    pub(crate) years: (i32, i32),
}

impl Default for Leaf<'_> {
    fn default() -> Self {
        Self { names: &["localhost", "127.0.0.1"], years: (2020, 2200) }
    }
}

pub(crate) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn params(leaf: &Leaf<'_>) -> CertificateParams {
    let names: Vec<String> = leaf.names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.not_before = date_time_ymd(leaf.years.0, 1, 1);
    params.not_after = date_time_ymd(leaf.years.1, 1, 1);
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = params(&Leaf { names: &[], years: (2020, 2190) });
        params.distinguished_name.push(rcgen::DnType::CommonName, "wellcheck test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a root");
        Self { issuer }
    }

    pub(crate) fn issue(&self, leaf: &Leaf<'_>) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(leaf).signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        (chain, PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8"))
    }

    /// Certificate and key of a client, as PEM.
    pub(crate) fn issue_pem(&self, leaf: &Leaf<'_>) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(leaf).signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Settings that trust this root and no other.
    pub(crate) fn trusted(&self) -> Tls {
        trusting(Trust::Pem(self.pem().into_bytes()))
    }
}

pub(crate) fn trusting(trust: Trust) -> Tls {
    Tls::new(TlsOptions { trust, ..TlsOptions::default() }).expect("usable settings")
}

pub(crate) fn self_signed(leaf: &Leaf<'_>) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(leaf).self_signed(&key).expect("a certificate");
    let chain = vec![certificate.der().clone()];
    (chain, PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8"))
}

/// A server's settings without client certificates.
pub(crate) fn server((chain, key): Pair, alpn: &[&str]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a matching pair");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}
