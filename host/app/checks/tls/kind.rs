//! The kind `tls`: shakes hands and judges what the server showed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::exposition;
use wellcheck_core::fact::FactKey;
use wellcheck_core::outcome::{Answer, FailReason, Report, Run};
use wellcheck_net::{Certificate, Stream};

use super::super::socket::{
    self, FAMILY_KEY, Goal, Protocol, Security, Session, SocketCheck, TARGET_KEY, family, target,
};
use super::super::starttls::{self, DIALECTS};
use super::super::wire::{Trouble, said};
use super::super::{Checker, Kind, Tools};
use super::{DAYS_KEYS, Days, days_left, fingerprint};

/// Days that a certificate must have left where nothing is said of them.
const DEFAULT_DAYS: u32 = 14;

/// How long a server that asked for a certificate of ours is given to object to having got none;
/// over TLS 1.3 it does that after the handshake.
const OBJECTION: Duration = Duration::from_millis(500);

const KEYS: &[Key] = &[
    TARGET_KEY,
    starttls::KEY,
    key(
        "certificate-days",
        "14, unless a condition mentions `certificate.days-left`",
        "certificate-days = 30",
        DAYS_KEYS[0].doc,
    ),
    DAYS_KEYS[1],
    key(
        "minimum-version",
        "\"1.2\"",
        "minimum-version = \"1.3\"",
        "The oldest version of TLS that may be agreed on, `1.2` or `1.3`, or the check fails with `tls-version`. Older ones are never spoken.",
    ),
    key(
        "expect-version",
        "any",
        "expect-version = \"1.3\"",
        "The very version that must be agreed on, likewise.",
    ),
    key(
        "expect-issuer",
        "any",
        "expect-issuer = \"Let's Encrypt\"",
        "A text that the issuer of the certificate must contain, or the check fails with `unexpected-value`.",
    ),
    key(
        "expect-fingerprint",
        "any",
        "expect-fingerprint = \"a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90\"",
        "The SHA-256 of the certificate, with or without colons; another certificate fails with `unexpected-value`.",
    ),
    FAMILY_KEY,
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Handshake;

impl Kind for Handshake {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn summary(&self) -> &'static str {
        "shakes hands over TLS; judges certificate, chain and version"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS, super::KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[socket::FACTS, super::FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "mail-certificate"
kind = "tls"
target = "mail.example.com:25"
starttls = "smtp"
certificate-days = 21
certificate-days-fail = 7
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let target = target(reader, problems);
        let dialect = reader.word("starttls", DIALECTS, problems);
        let settings = super::read(reader, tools, problems);
        let mut days = Days::read(reader, problems);
        if days.warn.is_none() && !reader.asked().has("certificate.days-left") {
            days.warn = Some(DEFAULT_DAYS).filter(|warn| days.fail.is_none_or(|fail| fail < *warn));
        }
        let versions = [("1.2", "1.2"), ("1.3", "1.3")];
        let minimum = reader.word("minimum-version", &versions, problems).unwrap_or("1.2");
        let version = reader.word("expect-version", &versions, problems);
        let issuer = reader.text("expect-issuer", problems).map(|text| text.value);
        let fingerprint = reader.parsed("expect-fingerprint", problems, |text| {
            let hex = text.value.replace(':', "").to_ascii_lowercase();
            match hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                true => Ok(hex),
                false => Err("it is no SHA-256 (expected 64 hexadecimal digits)".to_owned()),
            }
        });
        let family = family(reader, problems);
        let (host, port) = target?;
        let settings = settings?;
        let security = match dialect {
            Some(dialect) => Security::After(dialect, settings),
            None => Security::Direct(settings),
        };
        let goal = Goal::new(host, port, family, security).with_days(days);
        let expect = Expect { minimum, version, issuer, fingerprint };
        Some(Arc::new(SocketCheck::new(&tools.client, goal, expect)))
    }
}

/// What the server must show.
struct Expect {
    minimum: &'static str,
    version: Option<&'static str>,
    issuer: Option<String>,
    fingerprint: Option<String>,
}

impl Protocol for Expect {
    fn talk<'a>(&'a self, session: &'a mut Session<'_>) -> BoxFuture<'a, Result<Report, Trouble>> {
        async move {
            let stream = session.open(&[]).await?;
            if session.trace.tls_client_asked {
                objection(stream, session).await?;
            }
            let version = session.trace.tls_version.unwrap_or("?");
            let Some(certificate) = &session.trace.certificate else {
                return Err(Trouble::protocol("the server showed no certificate"));
            };
            self.judge(version, certificate)
        }
        .boxed()
    }

    fn families(&self, _run: &Run) -> Vec<exposition::Family> {
        Vec::new()
    }
}

/// Waits a moment for the server to say that it wants a certificate of ours.
async fn objection(mut stream: Stream, session: &mut Session<'_>) -> Result<(), Trouble> {
    let name = session.goal().name.as_str();
    let listen = async {
        match timeout(OBJECTION, stream.read_u8()).await {
            Ok(Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Err(Trouble::io(&error, name))
            }
            // It waits for us, or speaks first, or has had enough: no objection.
            _ => Ok(()),
        }
    };
    session.wait("waiting for an objection of", listen).await
}

impl Expect {
    fn judge(&self, version: &str, certificate: &Certificate) -> Result<Report, Trouble> {
        let fail = |reason, message| Err(Trouble::Answer(reason, message));
        if let Some(wanted) = self.version
            && version != wanted
        {
            let message = format!("speaks TLS {version} (expected {wanted})");
            return fail(FailReason::TlsVersion, message);
        }
        if version < self.minimum {
            let message = format!("speaks TLS {version} (expected at least {})", self.minimum);
            return fail(FailReason::TlsVersion, message);
        }
        if let Some(wanted) = &self.issuer
            && !certificate.issuer.contains(wanted)
        {
            let message = format!(
                "the certificate was issued by `{}` (expected `{}`)",
                said(certificate.issuer.as_bytes()),
                said(wanted.as_bytes())
            );
            return fail(FailReason::UnexpectedValue, message);
        }
        if let Some(wanted) = &self.fingerprint {
            let found = fingerprint(certificate);
            if found != *wanted {
                let message =
                    format!("the certificate has the fingerprint {found} (expected {wanted})");
                return fail(FailReason::UnexpectedValue, message);
            }
        }
        let days = days_left(certificate);
        let subject = said(certificate.subject.as_bytes());
        let message = format!("TLS {version}, and `{subject}` with {days:.1} days left");
        Ok(Report::new(Answer::Pass, message))
    }
}
