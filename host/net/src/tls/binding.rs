//! What ties a login to the TLS connection that it is made over: `tls-server-end-point` of RFC 5929.
//!
//! A client that mixes it into its proof cannot be relayed by somebody who holds another
//! certificate. The value is the certificate's hash by the function of its own signature, or
//! SHA-256 where that function is MD5 or SHA-1.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use crate::Stream;

impl Stream {
    /// The value for this connection; `None` without TLS, and for signatures that leave the hash
    /// open (Ed25519, RSA-PSS).
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        end_point(session.peer_certificates()?.first()?)
    }
}

fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let hash = hash_of(&parsed.signature_algorithm.algorithm.to_id_string())?;
    Some(digest(hash, certificate).as_ref().to_vec())
}

/// The hash within a signature algorithm.
fn hash_of(signature: &str) -> Option<&'static Algorithm> {
    match signature {
        // RSA with MD5, SHA-1 and SHA-256; ECDSA with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(&SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    };

    use super::*;

    #[test]
    fn a_certificate_is_hashed_by_its_own_signature() {
        let cases = [
            (&PKCS_ECDSA_P256_SHA256, Some(&SHA256)),
            (&PKCS_ECDSA_P384_SHA384, Some(&SHA384)),
            (&PKCS_ED25519, None),
        ];
        for (algorithm, hash) in cases {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            let certificate = params.self_signed(&key).expect("a certificate");
            let expected = hash.map(|hash| digest(hash, certificate.der()).as_ref().to_vec());
            assert_eq!(end_point(certificate.der()), expected, "{algorithm:?}");
        }
        assert_eq!(end_point(b"no certificate"), None);
    }
}
