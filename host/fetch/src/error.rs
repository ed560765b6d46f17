//! Why there is no plugin, as a small closed list.
//!
//! Like the failures of `wellcheck_net`: the kind is for programs, the message for people, a
//! lower-case fragment with what was found, what was expected, and what to do. No secret is in it.

use std::fmt;

use wellcheck_net::{Failure, FailureKind};

/// Longest text of a registry that a message repeats, in bytes.
const MAX_FOREIGN: usize = 200;

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// From a closed list.
    pub kind: FetchErrorKind,
    /// The same for people.
    pub message: String,
}

/// The reason of a [`FetchError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchErrorKind {
    /// Nobody answers, or not in time, or not over the TLS that is asked for.
    Unreachable,
    /// There is no such repository, tag, digest or file.
    NotThere,
    /// They want other credentials, or any.
    NotAllowed,
    /// The answer makes no sense.
    BadAnswer,
    /// The file, or a document about it, is larger than the limit.
    TooLarge,
    /// The file is not the one that was asked for.
    WrongDigest,
    /// There is no signature, and there must be one.
    Unsigned,
    /// There is a signature, and it is not by one of the keys over this file.
    BadSignature,
    /// It is no component.
    NotAPlugin,
    /// It cannot be kept here.
    Local,
}

impl FetchErrorKind {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NotThere => "not-there",
            Self::NotAllowed => "not-allowed",
            Self::BadAnswer => "bad-answer",
            Self::TooLarge => "too-large",
            Self::WrongDigest => "wrong-digest",
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad-signature",
            Self::NotAPlugin => "not-a-plugin",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for FetchErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FetchError {
    /// Makes an error of `kind` that reads `message`.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A request that was not answered.
    pub(crate) fn unanswered(failure: &Failure, host: &str, is_plain: bool) -> Self {
        let hint = match failure.kind {
            FailureKind::Refused | FailureKind::Unreachable => " (is it running?)",
            FailureKind::TlsProtocol if !is_plain => {
                " (only registries on this machine are asked without TLS)"
            }
            FailureKind::TlsUntrusted | FailureKind::TlsIncomplete => {
                " (`SSL_CERT_FILE` names a file with further roots to trust)"
            }
            FailureKind::Timeout => {
                " (`fetch-time` of `[plugins.limits]` is how long it may take as a whole)"
            }
            _ => "",
        };
        let kind = match failure.kind {
            FailureKind::TooLarge => FetchErrorKind::TooLarge,
            FailureKind::Protocol | FailureKind::Redirect => FetchErrorKind::BadAnswer,
            _ => FetchErrorKind::Unreachable,
        };
        Self::new(kind, format!("`{host}`: {}{hint}", failure.message))
    }
}

/// Text of others, fit for a message: escaped and cut.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= MAX_FOREIGN {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
