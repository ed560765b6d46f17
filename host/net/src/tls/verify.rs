//! The verifier of one handshake: keeps what the server showed, then asks the judge.

use std::sync::{Arc, Mutex, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::options::{BadTls, Trust, certificates};
use super::provider;

/// Who decides about a certificate.
#[derive(Debug, Clone)]
pub(super) enum Judge {
    /// The system's roots, loaded when first needed; see [`Judge::ready`].
    System,
    /// These roots.
    Roots(Arc<WebPkiServerVerifier>),
    /// There is no root that could be trusted.
    Nobody,
    /// Everything is accepted.
    Anyone,
}

impl Judge {
    pub(super) fn new(trust: &Trust) -> Result<Self, BadTls> {
        match trust {
            Trust::System => Ok(Self::System),
            Trust::Anyone => Ok(Self::Anyone),
            Trust::Pem(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(|error| {
                        BadTls::new(format!("a certificate cannot be a trusted root: {error}"))
                    })?;
                }
                Ok(Self::from_roots(roots))
            }
        }
    }

    fn from_roots(roots: RootCertStore) -> Self {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_or(Self::Nobody, Self::Roots)
    }

    /// The judge with its roots loaded: once per process, off the runtime's threads.
    pub(super) async fn ready(&self) -> Self {
        static SYSTEM: OnceLock<Judge> = OnceLock::new();
        if !matches!(self, Self::System) {
            return self.clone();
        }
        if let Some(judge) = SYSTEM.get() {
            return judge.clone();
        }
        let load = || SYSTEM.get_or_init(Self::load_system).clone();
        // Fails only while the runtime shuts down, and nobody is to be trusted then.
        tokio::task::spawn_blocking(load).await.unwrap_or(Self::Nobody)
    }

    fn load_system() -> Self {
        let mut roots = RootCertStore::empty();
        // Unreadable and unusual certificates are left out; what then lacks a root is untrusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::from_roots(roots)
    }
}

/// One handshake's verifier.
#[derive(Debug)]
pub(super) struct Recorder {
    judge: Judge,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    pub(super) fn new(judge: Judge) -> Self {
        Self { judge, chain: Mutex::default() }
    }

    /// What the server showed, its own certificate first; empty if it did not come so far.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        let mut chain = self.chain.lock().expect("nothing panics while it holds the chain");
        std::mem::take(&mut *chain)
    }

    /// Whether nothing is verified.
    pub(super) fn trusts_anyone(&self) -> bool {
        matches!(self.judge, Judge::Anyone)
    }

    pub(super) fn has_no_roots(&self) -> bool {
        matches!(self.judge, Judge::Nobody | Judge::System)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.chain.lock().expect("nothing panics while it holds the chain") =
            shown.map(|der| der.clone().into_owned()).collect();
        match &self.judge {
            Judge::Roots(roots) => {
                roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Judge::Anyone => Ok(ServerCertVerified::assertion()),
            Judge::System | Judge::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.judge {
            Judge::Roots(roots) => roots.verify_tls12_signature(message, cert, dss),
            Judge::Anyone => Ok(HandshakeSignatureValid::assertion()),
            Judge::System | Judge::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.judge {
            Judge::Roots(roots) => roots.verify_tls13_signature(message, cert, dss),
            Judge::Anyone => Ok(HandshakeSignatureValid::assertion()),
            Judge::System | Judge::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
