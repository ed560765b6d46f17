//! What a server's certificate says, for people and for expiry warnings.
//!
//! Read from the chain as it was sent, whether or not it was accepted: a claim, not a proof.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use crate::failure::printable;

/// Most names of a certificate that are kept.
const MAX_NAMES: usize = 100;

/// Facts of a server's certificate and of the chain it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The subject, as `CN=…, O=…`.
    pub subject: String,
    /// The issuer, in the same form.
    pub issuer: String,
    /// The DNS names and addresses it is for; at most 100.
    pub names: Vec<String>,
    /// When it becomes valid.
    pub not_before: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
    /// When the first certificate of the chain expires; never later than `not_after`.
    pub chain_not_after: SystemTime,
    /// How many certificates the server sent.
    pub chain_length: usize,
}

impl Certificate {
    /// Reads the chain of a server, its own certificate first. `None` if that is not X.509.
    pub fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let not_after = time(leaf.validity().not_after);
        let above = chain[1..].iter().filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Some(time(certificate.validity().not_after))
        });
        Some(Self {
            subject: printable(&leaf.subject().to_string()),
            issuer: printable(&leaf.issuer().to_string()),
            names: names(&leaf),
            not_before: time(leaf.validity().not_before),
            not_after,
            chain_not_after: above.fold(not_after, SystemTime::min),
            chain_length: chain.len(),
        })
    }

    /// Days until the certificate expires, negative once it has.
    pub fn days_left(&self, now: SystemTime) -> f64 {
        days_until(self.not_after, now)
    }

    /// Days until the first certificate of the chain expires, negative once it has.
    pub fn chain_days_left(&self, now: SystemTime) -> f64 {
        days_until(self.chain_not_after, now)
    }

    /// Whether it claims to have issued itself.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    };
    let all = extension.value.general_names.iter();
    all.filter_map(name).take(MAX_NAMES).collect()
}

fn time(time: ASN1Time) -> SystemTime {
    // Certificates can name years before 1970; such a one has been expired for long either way.
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn days_until(then: SystemTime, now: SystemTime) -> f64 {
    const DAY: f64 = 86_400.0;
    match then.duration_since(now) {
        Ok(left) => left.as_secs_f64() / DAY,
        Err(error) => -error.duration().as_secs_f64() / DAY,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn der(names: &[&str], until: i32) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|&n| n.into()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn the_chain_expires_with_its_first_certificate() {
        let chain = [der(&["a.example", "10.0.0.1", "::1"], 2030), der(&["ca"], 2025)];
        let facts = Certificate::read(&chain).expect("valid X.509");
        assert_eq!(facts.names, ["a.example", "10.0.0.1", "::1"]);
        assert_eq!(facts.chain_length, 2);
        assert!(facts.is_self_issued());
        assert_eq!(facts.days_left(facts.not_before), 3653.0);
        assert_eq!(facts.chain_days_left(facts.not_before), 1827.0);
        assert_eq!(facts.chain_days_left(facts.not_after), -1826.0);
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert_eq!(Certificate::read(&[]), None);
        assert_eq!(Certificate::read(&[CertificateDer::from(vec![0x30, 0x82, 0xff])]), None);
    }
}
