//! TLS as every kind has it: the same keys with the same meaning, and the same facts.

mod kind;

use std::time::{SystemTime, UNIX_EPOCH};

use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Place;
use wellcheck_core::fact::{Asked, FactKey, Found, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Observation, Report};
use wellcheck_core::time::WallTime;
use wellcheck_net::http::Exchange;
use wellcheck_net::{BadTls, Certificate, Identity, Tls, TlsOptions, Trace, Trust};

use super::Tools;
use crate::digest::{hex, sha256};
pub(crate) use kind::Handshake;

/// What is known of a connection with TLS, also where its certificate was refused.
pub(super) const FACTS: &[FactKey] = &[
    fact("tls", Shape::Duration, "How long the handshake of TLS took."),
    fact("tls.version", Shape::Text, "The version of TLS that was agreed on: `1.2` or `1.3`."),
    fact(
        "tls.cipher",
        Shape::Text,
        "The cipher suite that was agreed on, by its registered name: `TLS_AES_128_GCM_SHA256`.",
    ),
    fact(
        "certificate.days-left",
        Shape::Number,
        "Days until the first certificate expires of those that the server sent; negative once it has.",
    ),
    fact("certificate.subject", Shape::Text, "The subject of the server's certificate."),
    fact("certificate.issuer", Shape::Text, "Its issuer."),
    fact(
        "certificate.names",
        Shape::Texts,
        "The DNS names and addresses that it is for; at most 100.",
    ),
    fact("certificate.serial", Shape::Text, "Its serial number, in hexadecimal."),
    fact(
        "certificate.fingerprint",
        Shape::Text,
        "The SHA-256 of the certificate, in hexadecimal without colons.",
    ),
    fact("certificate.not-before", Shape::Text, "When it becomes valid, as RFC 3339 in UTC."),
    fact("certificate.not-after", Shape::Text, "When it expires, likewise."),
    fact("certificate.self-signed", Shape::Boolean, "Whether it claims to have issued itself."),
    fact("chain.length", Shape::Integer, "How many certificates the server sent."),
    fact(
        "chain.complete",
        Shape::Boolean,
        "Whether each certificate's issuer was sent, up to one that issued itself or, where certificates are verified, one that a trusted root issued.",
    ),
];

/// The keys that [`Days::read`] reads.
pub(super) const DAYS_KEYS: &[Key] = &[
    key(
        "certificate-days",
        "none",
        "certificate-days = 14",
        "Warn when a certificate of the chain that the server sends expires in fewer days than this, 0 to 3650.",
    ),
    key(
        "certificate-days-fail",
        "none",
        "certificate-days-fail = 3",
        "Likewise, and fail with `unexpected-value`. One that has expired fails in any case, unless nothing is verified.",
    ),
];

/// How many days a certificate must have left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Days {
    /// With fewer it is a warning.
    pub(super) warn: Option<u32>,
    /// With fewer it is a failure.
    pub(super) fail: Option<u32>,
}

impl Days {
    /// Reads the keys.
    pub(super) fn read(reader: &mut Reader, problems: &mut Problems) -> Self {
        let mut days = |key| {
            let days = reader.integer(key, 0..=3650, problems)?;
            u32::try_from(days).ok()
        };
        let (warn, fail) = (days("certificate-days"), days("certificate-days-fail"));
        if let (Some(warn), Some(fail)) = (warn, fail)
            && warn <= fail
        {
            let place = reader.place_of("certificate-days-fail");
            let message = format!(
                "`certificate-days-fail` of {} is {fail} (expected fewer than `certificate-days`, which is {warn})",
                reader.what()
            );
            problems.error(&place, message);
        }
        Self { warn, fail }
    }

    /// Makes a report worse if its certificate expires too soon.
    pub(super) fn judge(&self, certificate: Option<&Certificate>, report: &mut Report) {
        let Some(days) = certificate.map(days_left) else { return };
        let below = |bound: Option<u32>| bound.filter(|bound| days < f64::from(*bound));
        let message = |wanted: u32| {
            let had = match days {
                days if days < 0.0 => format!("expired {:.1} days ago", -days),
                days => format!("has {days:.1} days left"),
            };
            format!("the certificate {had} (expected at least {wanted})")
        };
        match (report.status, below(self.warn), below(self.fail)) {
            (Answer::Pass | Answer::Warn, _, Some(wanted)) => {
                report.status = Answer::Fail;
                report.reason = Some(FailReason::UnexpectedValue);
                report.message = format!("{}; {}", report.message, message(wanted));
            }
            (Answer::Pass, Some(wanted), None) => {
                report.status = Answer::Warn;
                report.message = format!("{}; {}", report.message, message(wanted));
            }
            _ => {}
        }
    }
}

/// Days until the first certificate of the chain expires, by now.
pub(super) fn days_left(certificate: &Certificate) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "certificates are dated by the wall clock")]
    let now = SystemTime::now();
    certificate.chain_days_left(now)
}

/// The same as an observation.
pub(super) fn days_observed(certificate: &Certificate) -> Observation {
    Observation::new("certificate-days-left", (days_left(certificate) * 10.0).round() / 10.0, "d")
}

/// The SHA-256 of a certificate, in hexadecimal.
pub(super) fn fingerprint(certificate: &Certificate) -> String {
    hex(&sha256(certificate.der()))
}

/// A moment in a certificate, as RFC 3339.
fn moment(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).to_string()
}

/// What the last handshake left behind, on a connection of our own or below HTTP.
pub(super) struct Shaken<'a> {
    version: Option<&'static str>,
    cipher: Option<&'static str>,
    certificate: Option<&'a Certificate>,
    verified: bool,
}

impl<'a> From<&'a Trace> for Shaken<'a> {
    fn from(trace: &'a Trace) -> Self {
        Self {
            version: trace.tls_version,
            cipher: trace.tls_cipher,
            certificate: trace.certificate.as_ref(),
            verified: trace.tls_verified,
        }
    }
}

impl<'a> From<&'a Exchange> for Shaken<'a> {
    fn from(exchange: &'a Exchange) -> Self {
        Self {
            version: exchange.tls_version,
            cipher: exchange.tls_cipher,
            certificate: exchange.certificate.as_ref(),
            verified: exchange.tls_verified,
        }
    }
}

/// Adds the facts of TLS that are asked for.
pub(super) fn known<'a>(shaken: impl Into<Shaken<'a>>, asked: &Asked, found: &mut Found) {
    let Shaken { version, cipher, certificate, verified } = shaken.into();
    if let Some(version) = version {
        found.put("tls.version", version);
    }
    if let Some(cipher) = cipher {
        found.put("tls.cipher", cipher);
    }
    let Some(certificate) = certificate else { return };
    found.put("certificate.days-left", days_left(certificate));
    found.put("certificate.subject", certificate.subject.clone());
    found.put("certificate.issuer", certificate.issuer.clone());
    found.put("certificate.not-before", moment(certificate.not_before));
    found.put("certificate.not-after", moment(certificate.not_after));
    found.put("certificate.self-signed", certificate.is_self_issued());
    if asked.has("certificate.names") {
        found.put("certificate.names", certificate.names.clone());
    }
    if asked.has("certificate.serial") {
        found.put("certificate.serial", certificate.distinguished().serial);
    }
    if asked.has("certificate.fingerprint") {
        found.put("certificate.fingerprint", fingerprint(certificate));
    }
    found.put("chain.length", i64::try_from(certificate.chain_length).unwrap_or(i64::MAX));
    found.put("chain.complete", certificate.missing_issuer.is_none() || verified);
}

/// The keys.
pub(super) const KEYS: &[Key] = &[
    key(
        "tls-verify",
        "true",
        "tls-verify = false",
        "Whether a certificate that is not trusted fails the check.",
    ),
    CA,
    SERVER_NAME,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
];

/// Part of [`KEYS`], for kinds whose `tls-verify` means more.
pub(super) const CA: Key = key(
    "tls-ca",
    "the system's",
    "tls-ca = \"/etc/ssl/internal-ca.pem\"",
    "A PEM file with the roots to trust, and no others; relative to the configuration file.",
);

/// Likewise.
pub(super) const SERVER_NAME: Key = key(
    "tls-server-name",
    "the URL's host",
    "tls-server-name = \"shop.internal\"",
    "The name to ask for and to expect in the certificate.",
);

/// Likewise.
pub(super) const CLIENT_CERTIFICATE: Key = key(
    "tls-client-certificate",
    "none",
    "tls-client-certificate = \"/etc/ssl/probe.pem\"",
    "A PEM file with a certificate of ours, and those above it, for servers that ask; relative to the configuration file. It is not shown to another host that a redirect leads to.",
);

/// Likewise.
pub(super) const CLIENT_KEY: Key = key(
    "tls-client-key",
    "the file of `tls-client-certificate`",
    "tls-client-key = \"/etc/ssl/private/probe.key\"",
    "A PEM file with the private key of that certificate.",
);

/// Reads them; `None` if a problem is fatal.
pub(super) fn read(reader: &mut Reader, tools: &Tools, problems: &mut Problems) -> Option<Tls> {
    let verify = reader.boolean("tls-verify", problems).unwrap_or(true);
    let server_name = reader.text("tls-server-name", problems).map(|text| text.value);
    let ca_place = reader.place_of("tls-ca");
    let name_place = reader.place_of("tls-server-name");
    let had_ca = reader.has("tls-ca");
    let ca = pem(reader, "tls-ca", tools, problems);
    let identity = identity(reader, tools, problems);
    if had_ca && ca.is_none() {
        return None;
    }
    let identity = identity?;
    if !verify && ca.is_some() {
        problems.warning(
            &ca_place,
            format!("`tls-ca` of {} has no effect beside `tls-verify = false`", reader.what()),
        );
    }
    let trust = match (verify, ca) {
        (false, _) => Trust::Anyone,
        (true, Some(pem)) => Trust::Pem(pem),
        (true, None) => Trust::System,
    };
    let tls = match (&trust, &server_name) {
        (Trust::System, None) => Ok(tools.tls_system.clone()),
        (Trust::Anyone, None) => Ok(tools.tls_anyone.clone()),
        _ => Tls::new(TlsOptions { trust, identity: None, server_name }),
    };
    let place = if had_ca { &ca_place } else { &name_place };
    let mut unfit = |place: &Place, error: BadTls| {
        problems.error(place, format!("TLS settings of {}: {error}", reader.what()));
    };
    let tls = tls.map_err(|error| unfit(place, error)).ok()?;
    let Some(identity) = identity else { return Some(tls) };
    let place = reader.place_of("tls-client-certificate");
    tls.with_identity(identity).map_err(|error| unfit(&place, error)).ok()
}

/// The content of a PEM file.
fn pem(reader: &mut Reader, key: &str, tools: &Tools, problems: &mut Problems) -> Option<Vec<u8>> {
    reader.parsed(key, problems, |text| {
        let path = tools.base.join(&text.value);
        let pem = crate::sources::read_text(&path)
            .map_err(|why| format!("cannot read `{}`: {why}", text.shown()))?;
        Ok(pem.into_bytes())
    })
}

/// A certificate of ours; `Some(None)` for none, and `None` if a problem is fatal.
fn identity(
    reader: &mut Reader,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Option<Identity>> {
    let given = [CLIENT_CERTIFICATE.name, CLIENT_KEY.name].map(|key| reader.has(key));
    let certificate = pem(reader, CLIENT_CERTIFICATE.name, tools, problems);
    let key = pem(reader, CLIENT_KEY.name, tools, problems);
    let chain = match (given, certificate) {
        ([false, false], _) => return Some(None),
        ([false, true], _) => {
            let message = format!(
                "{} has `tls-client-key` without `tls-client-certificate` (expected both)",
                reader.what()
            );
            problems.error(&reader.place_of(CLIENT_KEY.name), message);
            return None;
        }
        ([true, _], certificate) => certificate?,
    };
    let key = if given[1] { key? } else { chain.clone() };
    match Identity::from_pem(&chain, &key) {
        Ok(identity) => Some(Some(identity)),
        Err(error) => {
            let place = reader.place_of(CLIENT_CERTIFICATE.name);
            problems.error(&place, format!("TLS settings of {}: {error}", reader.what()));
            None
        }
    }
}
