//! What can be set about TLS, and what is wrong with it.

use std::fmt;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How to treat servers; the default trusts what the system trusts.
#[derive(Debug, Default)]
pub struct TlsOptions {
    /// Whom to believe.
    pub trust: Trust,
    /// Who we are, for servers that ask.
    pub identity: Option<Identity>,
    /// The name to ask for (SNI) and to expect in the certificate, if not the target's host.
    pub server_name: Option<String>,
}

/// Which certificates are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those that lead to a root of this system (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
    #[default]
    System,
    /// Those that lead to one of these roots and to no other; PEM, one or more certificates.
    Pem(Vec<u8>),
    /// All. The certificate's facts are still reported.
    Anyone,
}

/// A certificate of ours with its private key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain (our certificate first) and its key, both PEM. They may be the same text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, BadTls> {
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| BadTls::new(format!("no usable private key: {error}")))?;
        Ok(Self { chain: certificates(chain)?, key })
    }

    pub(super) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

/// Why settings of TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTls(String);

impl BadTls {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Every certificate of a PEM text; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| BadTls::new(format!("broken PEM: {error}")))?;
    if all.is_empty() {
        return Err(BadTls::new("no certificate found (expected PEM with `BEGIN CERTIFICATE`)"));
    }
    Ok(all)
}
