//! What a server's certificate says, for people and for expiry warnings.
//!
//! Read from the chain as it was sent, whether or not it was accepted: a claim, not a proof.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};
use x509_parser::x509::X509Name;

use crate::failure::printable;

/// Most names of a certificate that are kept.
const MAX_NAMES: usize = 100;

/// Most digits of a serial number that are kept; RFC 5280 allows forty.
const MAX_SERIAL: usize = 80;

/// Longest name that is written for other programs, in bytes.
const MAX_DISTINGUISHED: usize = 1024;

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
    /// When the first certificate expires of those that lead up from its own, each to its issuer;
    /// further ones that a server sends do not count. Never before `chain_not_after`.
    pub path_not_after: SystemTime,
    /// How many certificates the server sent.
    pub chain_length: usize,
    /// The issuer at which the way up from the server's certificate breaks off, since its own
    /// certificate was not sent: a root in the usual case. `None` if the way ends at a certificate
    /// that claims to have issued itself.
    pub missing_issuer: Option<String>,
    /// The server's own certificate.
    leaf: CertificateDer<'static>,
}

/// A certificate's names and number as other programs write them, RFC 2253's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinguished {
    /// The subject, as `CN=…,O=…,C=…`.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The serial number in hexadecimal, without zeros before it.
    pub serial: String,
}

impl Certificate {
    /// Reads the chain of a server, its own certificate first. `None` if that is not X.509.
    pub fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let not_after = time(leaf.validity().not_after);
        let parsed = |der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
        let above: Vec<X509Certificate<'_>> =
            chain[1..].iter().filter_map(|der| parsed(der)).collect();
        let expiries = above.iter().map(|above| time(above.validity().not_after));
        let (path_not_after, missing_issuer) = path(&leaf, &above);
        Some(Self {
            subject: printable(&leaf.subject().to_string()),
            issuer: printable(&leaf.issuer().to_string()),
            names: names(&leaf),
            not_before: time(leaf.validity().not_before),
            not_after,
            chain_not_after: expiries.fold(not_after, SystemTime::min),
            path_not_after,
            chain_length: chain.len(),
            missing_issuer,
            leaf: chain.first()?.clone().into_owned(),
        })
    }

    /// The server's own certificate, as it was sent.
    pub fn der(&self) -> &[u8] {
        &self.leaf
    }

    /// Names and number as other programs write them.
    pub fn distinguished(&self) -> Distinguished {
        let (_, leaf) = X509Certificate::from_der(&self.leaf).expect("it was read before");
        let serial: String = leaf.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = serial.trim_start_matches("00");
        Distinguished {
            subject: distinguished(leaf.subject()),
            issuer: distinguished(leaf.issuer()),
            serial: digits.chars().take(MAX_SERIAL).collect(),
        }
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

/// When the first certificate expires on the way from `leaf` to its last issuer that was sent, and
/// the issuer that was not. Of several certificates of one issuer, the one that is good for longest
/// is taken.
fn path(leaf: &X509Certificate<'_>, above: &[X509Certificate<'_>]) -> (SystemTime, Option<String>) {
    let mut current = leaf;
    let mut earliest = time(leaf.validity().not_after);
    let is_root = |c: &X509Certificate<'_>| c.subject().as_raw() == c.issuer().as_raw();
    // Each step takes one certificate, so that a circle ends too.
    for _ in above {
        if is_root(current) {
            break;
        }
        let issuers = above.iter().filter(|c| c.subject().as_raw() == current.issuer().as_raw());
        let Some(issuer) = issuers.max_by_key(|c| c.validity().not_after.timestamp()) else {
            break;
        };
        earliest = earliest.min(time(issuer.validity().not_after));
        current = issuer;
    }
    let missing = (!is_root(current)).then(|| printable(&current.issuer().to_string()));
    (earliest, missing)
}

/// A name the way Go's libraries write it, which is what dashboards know: attributes in a fixed
/// order whatever that of the certificate, and unknown ones by number and bytes behind them.
fn distinguished(name: &X509Name<'_>) -> String {
    const ORDER: &[(&str, &str)] = &[
        ("2.5.4.5", "SERIALNUMBER"),
        ("2.5.4.3", "CN"),
        ("2.5.4.17", "POSTALCODE"),
        ("2.5.4.9", "STREET"),
        ("2.5.4.8", "ST"),
        ("2.5.4.7", "L"),
        ("2.5.4.11", "OU"),
        ("2.5.4.10", "O"),
        ("2.5.4.6", "C"),
    ];
    let all: Vec<(String, _)> =
        name.iter_attributes().map(|a| (a.attr_type().to_id_string(), a.attr_value())).collect();
    let mut parts = Vec::new();
    for (id, word) in ORDER {
        let values = all.iter().filter(|(own, _)| own == id).map(|(_, value)| {
            let text = String::from_utf8_lossy(value.data);
            format!("{word}={}", escaped(&text))
        });
        let mut values: Vec<String> = values.collect();
        // There can be only one of these; the last one counts.
        if matches!(*word, "CN" | "SERIALNUMBER") {
            values.drain(..values.len().saturating_sub(1));
        }
        if !values.is_empty() {
            parts.push(values.join("+"));
        }
    }
    for (id, value) in all.iter().filter(|(id, _)| !ORDER.iter().any(|(known, _)| known == id)) {
        let hex: String = value.data.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = value.header.tag().0;
        parts.push(format!("{id}=#{tag:02x}{}{hex}", length(value.data.len())));
    }
    let mut text = parts.join(",");
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= MAX_DISTINGUISHED) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The length of a value in DER, in hexadecimal.
fn length(bytes: usize) -> String {
    match bytes {
        0..0x80 => format!("{bytes:02x}"),
        0x80..0x100 => format!("81{bytes:02x}"),
        0x100..0x1_0000 => format!("82{bytes:04x}"),
        _ => format!("84{bytes:08x}"),
    }
}

/// A value of a name, with what has a meaning there escaped.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (c == '#' && at == 0)
            || (c == ' ' && (at == 0 || at == last));
        if special {
            out.push('\\');
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
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
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
    };

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
    fn names_are_written_as_other_programs_do() {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        name.push(DnType::CountryName, "DE");
        name.push(DnType::CommonName, "a, \"b\" <c>#");
        name.push(DnType::OrganizationName, " Ä ");
        name.push(DnType::CustomDnType(vec![1, 2, 3]), "x");
        params.serial_number = Some(vec![0, 0x0a, 0xb0].into());
        let key = KeyPair::generate().expect("a key");
        let der = params.self_signed(&key).expect("a certificate").der().clone();
        let facts = Certificate::read(std::slice::from_ref(&der)).expect("valid X.509");
        let Distinguished { subject, issuer, serial } = facts.distinguished();
        assert_eq!(subject, "CN=a\\, \\\"b\\\" \\<c\\>#,O=\\ Ä\\ ,C=DE,1.2.3=#0c0178");
        assert_eq!((issuer, serial.as_str()), (subject, "0ab0"));
        assert_eq!(facts.der(), &*der);
    }

    #[test]
    fn what_a_server_sends_besides_its_path_does_not_count() {
        let signed = |name: &str, until: i32, issuer: Option<&CertifiedIssuer<'_, KeyPair>>| {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().expect("a key");
            match issuer {
                None => CertifiedIssuer::self_signed(params, key).expect("a root"),
                Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).expect("signed"),
            }
        };
        let root = signed("root", 2040, None);
        let middle = signed("middle", 2030, Some(&root));
        let leaf = signed("leaf", 2035, Some(&middle));
        let chain = [leaf.der(), middle.der(), root.der()].map(Clone::clone);
        let stray = der(&["stray"], 2021);
        let facts = Certificate::read(&[&chain[..], &[stray]].concat()).expect("valid X.509");
        assert_eq!(facts.days_left(facts.path_not_after), 1826.0);
        assert!(facts.chain_not_after < facts.path_not_after);
        let alone = Certificate::read(&chain[..1]).expect("valid X.509");
        assert_eq!(alone.path_not_after, alone.not_after);
        assert!(alone.missing_issuer.is_some_and(|issuer| issuer.contains("middle")));
        assert_eq!(facts.missing_issuer, None);
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert_eq!(Certificate::read(&[]), None);
        assert_eq!(Certificate::read(&[CertificateDer::from(vec![0x30, 0x82, 0xff])]), None);
    }
}
