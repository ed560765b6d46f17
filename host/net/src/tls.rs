//! TLS 1.2 and 1.3 with a verifier that looks first and judges second.
//!
//! The cryptography is given explicitly and never taken from the process-wide default. Session
//! resumption is off, so that each handshake really shows the server's certificate. Revocation is
//! not looked at.

mod asked;
mod binding;
mod explain;
mod options;
mod verify;

use std::sync::Arc;

use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Certificate, Failure, FailureKind, Phase, Trace};

use asked::Asked;
pub(crate) use explain::failure_within;
pub use options::{BadTls, Identity, TlsOptions, Trust};
use verify::{Judge, Recorder};

/// Settings of TLS, made once and shared by every connection that uses them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Copied for each connection, which brings its own verifier.
    template: ClientConfig,
    judge: Judge,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Checks and prepares `options`. The system's roots are loaded by the first handshake.
    pub fn new(options: TlsOptions) -> Result<Self, BadTls> {
        let judge = Judge::new(&options.trust)?;
        let server_name = options.server_name.map(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_invalid| BadTls::new(format!("`{name}` is not a valid server name")))
        });
        let template = template(options.identity)?;
        Ok(Self(Arc::new(Inner { template, judge, server_name: server_name.transpose()? })))
    }

    /// The same, with a certificate of ours for servers that ask.
    pub fn with_identity(&self, identity: Identity) -> Result<Self, BadTls> {
        let Inner { judge, server_name, .. } = &*self.0;
        let (judge, server_name) = (judge.clone(), server_name.clone());
        let template = template(Some(identity))?;
        Ok(Self(Arc::new(Inner { template, judge, server_name })))
    }

    /// The same, which asks each server for its own name.
    #[must_use]
    pub fn nameless(&self) -> Self {
        let Inner { template, judge, server_name } = &*self.0;
        if server_name.is_none() {
            return self.clone();
        }
        let (template, judge) = (template.clone(), judge.clone());
        Self(Arc::new(Inner { template, judge, server_name: None }))
    }

    /// Shakes hands over `stream` with the server called `host`, offering the application
    /// protocols `alpn` (none if empty).
    ///
    /// The certificate is in `trace` afterwards, also when it was refused.
    pub async fn handshake<S>(
        &self,
        stream: S,
        host: &str,
        alpn: &[&[u8]],
        trace: &mut Trace,
    ) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.0.server_name {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        let loading = || "loading the system's trusted roots".to_owned();
        let ready = async { Ok(self.0.judge.ready().await) };
        let judge = trace.stage(Phase::Tls, loading, ready).await?;
        let recorder = Arc::new(Recorder::new(judge));
        let mut config = self.0.template.clone();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.dangerous().set_certificate_verifier(recorder.clone());
        let resolver = Arc::new(Asked::new(config.client_auth_cert_resolver.clone()));
        config.client_auth_cert_resolver = resolver.clone();

        let connector = TlsConnector::from(Arc::new(config));
        let doing = || format!("shaking hands (TLS) with `{host}`");
        let handshake = async { Ok(connector.connect(name, stream).await) };
        let result = trace.stage(Phase::Tls, doing, handshake).await;
        trace.tls_client_asked = resolver.was_asked();
        let chain = recorder.chain();
        trace.certificate = Certificate::read(&chain);
        let stream = result?.map_err(|error| {
            explain::handshake(
                &error,
                host,
                trace.certificate.as_ref(),
                &recorder,
                resolver.was_asked(),
            )
        })?;
        trace.tls_verified = !recorder.trusts_anyone();
        trace.tls_version = match stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => Some("1.2"),
            Some(rustls::ProtocolVersion::TLSv1_3) => Some("1.3"),
            _ => None,
        };
        trace.tls_cipher = stream
            .get_ref()
            .1
            .negotiated_cipher_suite()
            .and_then(|suite| registered(suite.suite()));
        Ok(stream)
    }
}

/// The name in the registry of cipher suites; rustls marks those of TLS 1.3 in its own way.
fn registered(suite: rustls::CipherSuite) -> Option<&'static str> {
    match suite {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => Some("TLS_AES_128_GCM_SHA256"),
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384 => Some("TLS_AES_256_GCM_SHA384"),
        rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some("TLS_CHACHA20_POLY1305_SHA256"),
        other => other.as_str(),
    }
}

fn template(identity: Option<Identity>) -> Result<ClientConfig, BadTls> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recorder::new(Judge::Nobody)));
    let mut template = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.into_parts();
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                BadTls::new(format!("the client certificate cannot be used: {error}"))
            })?
        }
    };
    template.resumption = Resumption::disabled();
    Ok(template)
}

/// The system's trust, no client certificate.
impl Default for Tls {
    fn default() -> Self {
        Self::new(TlsOptions::default()).expect("the defaults hold nothing that could be wrong")
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    let bare = host.trim_matches(['[', ']']).trim_end_matches('.');
    ServerName::try_from(bare.to_owned()).map_err(|_invalid| {
        let message = format!("`{host}` cannot be the name of a TLS server");
        Failure::new(FailureKind::TlsWrongName, message)
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}
