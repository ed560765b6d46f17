//! From errors of TLS to reasons that a person can act on.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::verify::Recorder;
use crate::{Certificate, Failure, FailureKind};

const DAY: u64 = 86_400;

/// Most names of a certificate that a message repeats.
const NAMES_SHOWN: usize = 5;

/// Why a handshake failed.
pub(super) fn handshake(
    error: &io::Error,
    host: &str,
    certificate: Option<&Certificate>,
    recorder: &Recorder,
    client_asked: bool,
) -> Failure {
    match tls_error(error) {
        Some(Error::InvalidCertificate(reason)) => {
            let has_no_roots = recorder.has_no_roots();
            let failure = certificate_refused(reason, host, certificate, has_no_roots);
            if failure.kind == FailureKind::TlsUntrusted && has_no_roots {
                return failure.with_note("this system has no trusted roots");
            }
            failure
        }
        // Over TLS 1.2 that is how many servers say that they wanted one.
        Some(Error::AlertReceived(AlertDescription::HandshakeFailure)) if client_asked => {
            Failure::new(FailureKind::TlsClientCertificate, wants_client(host, "HandshakeFailure"))
        }
        Some(error) => other(error, host),
        None => match Failure::from_io(error, host) {
            failure if failure.kind == FailureKind::Closed => {
                failure.with_note("during the TLS handshake")
            }
            failure => failure,
        },
    }
}

/// The failure of TLS inside an error of a connection, if there is one. TLS 1.3 servers refuse a
/// client's certificate only after the handshake, so this is where that comes to light.
pub(crate) fn failure_within(error: &io::Error, what: &str) -> Option<Failure> {
    tls_error(error).map(|error| other(error, what))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    let mut next: Option<&(dyn StdError + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<Error>() {
            return Some(found);
        }
        // An `io::Error` hides what it holds from `source` of its own.
        next = match current.downcast_ref::<io::Error>() {
            Some(nested) => nested.get_ref().map(|inner| inner as _),
            None => current.source(),
        };
    }
    None
}

fn certificate_refused(
    reason: &CertificateError,
    host: &str,
    certificate: Option<&Certificate>,
    has_no_roots: bool,
) -> Failure {
    use CertificateError as C;
    let subject = certificate.map_or("", |c| c.subject.as_str());
    let (kind, message) = match reason {
        C::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY;
            let message =
                format!("the certificate of `{host}` (or one above it) expired {days} days ago");
            (FailureKind::TlsExpired, message)
        }
        C::NotValidYetContext { time, not_before } => {
            let days = not_before.as_secs().saturating_sub(time.as_secs()).div_ceil(DAY);
            let message =
                format!("the certificate of `{host}` is not valid before {days} days from now");
            (FailureKind::TlsNotYetValid, message)
        }
        C::Expired => (FailureKind::TlsExpired, format!("the certificate of `{host}` has expired")),
        C::NotValidYet => {
            (FailureKind::TlsNotYetValid, format!("the certificate of `{host}` is not valid yet"))
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            let names = certificate.map(|c| shown_names(&c.names)).unwrap_or_default();
            let message = format!("the certificate is for {names}, expected `{host}`");
            (FailureKind::TlsWrongName, message)
        }
        C::UnknownIssuer if certificate.is_some_and(Certificate::is_self_issued) => {
            let message = format!("the certificate of `{host}` is self-signed (`{subject}`)");
            (FailureKind::TlsUntrusted, message)
        }
        C::UnknownIssuer
            if !has_no_roots && certificate.is_some_and(|c| c.missing_issuer.is_some()) =>
        {
            let missing = certificate.and_then(|c| c.missing_issuer.as_deref()).unwrap_or_default();
            let message = format!(
                "the chain of `{host}` ends with a certificate of `{missing}`, which was not sent and is no trusted root"
            );
            (FailureKind::TlsIncomplete, message)
        }
        C::UnknownIssuer => {
            let issuer = certificate.map_or("", |c| c.issuer.as_str());
            let message = format!(
                "the certificate of `{host}` was issued by `{issuer}`, which leads to no trusted root"
            );
            (FailureKind::TlsUntrusted, message)
        }
        C::BadEncoding => {
            (FailureKind::TlsOther, format!("the certificate of `{host}` cannot be read"))
        }
        other => {
            let message = format!("the certificate of `{host}` (`{subject}`) was refused: {other}");
            (FailureKind::TlsUntrusted, message)
        }
    };
    Failure::new(kind, message)
}

fn wants_client(host: &str, alert: &str) -> String {
    format!("`{host}` wants a client certificate that it accepts (alert `{alert}`)")
}

fn neither(host: &str) -> String {
    format!("`{host}` speaks neither TLS 1.2 nor TLS 1.3")
}

fn shown_names(names: &[String]) -> String {
    if names.is_empty() {
        return "no name".to_owned();
    }
    let shown: Vec<_> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn other(error: &Error, host: &str) -> Failure {
    use AlertDescription as A;
    use InvalidMessage as M;
    use PeerIncompatible as P;
    let (kind, message) = match error {
        Error::AlertReceived(alert) => match alert {
            A::CertificateRequired
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied => {
                (FailureKind::TlsClientCertificate, wants_client(host, &format!("{alert:?}")))
            }
            A::NoApplicationProtocol => (
                FailureKind::TlsProtocol,
                format!("`{host}` does not speak the wanted version of HTTP over TLS"),
            ),
            A::ProtocolVersion => (FailureKind::TlsVersion, neither(host)),
            alert => (
                FailureKind::TlsProtocol,
                format!("`{host}` refused the TLS handshake (alert `{alert:?}`)"),
            ),
        },
        Error::PeerIncompatible(
            P::ServerDoesNotSupportTls12Or13
            | P::ServerTlsVersionIsDisabledByOurConfig
            | P::SupportedVersionsExtensionRequired,
        ) => (FailureKind::TlsVersion, neither(host)),
        Error::InvalidMessage(M::InvalidContentType | M::UnknownProtocolVersion) => (
            FailureKind::TlsProtocol,
            format!("`{host}` does not speak TLS on this port ({error})"),
        ),
        Error::InvalidMessage(M::HandshakePayloadTooLarge | M::CertificatePayloadTooLarge) => (
            FailureKind::TlsProtocol,
            format!("`{host}` sends a certificate chain of more than 64 KiB"),
        ),
        Error::InvalidMessage(_)
        | Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord
        | Error::DecryptError
        | Error::NoCertificatesPresented
        | Error::NoApplicationProtocol => {
            (FailureKind::TlsProtocol, format!("no TLS with `{host}`: {error}"))
        }
        error => (FailureKind::TlsOther, format!("no TLS with `{host}`: {error}")),
    };
    Failure::new(kind, message)
}
