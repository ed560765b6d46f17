//! What can go wrong between us and a target, as a small closed list.
//!
//! [`FailureKind`] is what programs look at (a metric label, a reason code); the message is for
//! people. Neither ever holds a header value, a body, or the credentials of a URL.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

/// Longest text of a foreign error that a message repeats, in bytes.
const MAX_FOREIGN_TEXT: usize = 240;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The reason, from a closed list.
    pub kind: FailureKind,
    /// The same for people: a lower-case fragment with the names in backticks.
    pub message: String,
}

impl Failure {
    /// Makes a failure of `kind` that reads `message`.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Adds what is known around the failure, in parentheses behind the message.
    #[must_use]
    pub fn with_note(mut self, note: impl fmt::Display) -> Self {
        write!(self.message, " ({note})").expect("writing to a string cannot fail");
        self
    }

    /// Reads an error of an open connection. `what` names the connection: `"127.0.0.1:80"`.
    pub fn from_io(error: &io::Error, what: &str) -> Self {
        if let Some(failure) = crate::tls::failure_within(error, what) {
            return failure;
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset => {
                Self::new(FailureKind::Closed, format!("`{what}` reset the connection"))
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::WriteZero => {
                Self::new(FailureKind::Closed, format!("`{what}` closed the connection"))
            }
            io::ErrorKind::TimedOut => {
                Self::new(FailureKind::Timeout, format!("the connection to `{what}` timed out"))
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Self::new(FailureKind::Unreachable, format!("`{what}` became unreachable"))
            }
            _ => Self::new(
                FailureKind::Protocol,
                format!("the connection to `{what}` broke: {}", chain(error)),
            ),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The reason of a [`Failure`]; stable words, fit for a metric label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FailureKind {
            $($(#[$doc])* $variant,)*
        }

        impl FailureKind {
            /// Every kind, in the order of a connection's life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it in labels and JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The kind of that word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    /// The request cannot be sent as it is: an unsupported scheme, a broken header, a body that
    /// failed on our side.
    Request => "request",
    /// This machine could not open a socket: no descriptors, no ports, no memory. Says nothing
    /// about the target.
    Local => "local",
    /// The name has no address, or the name servers did not say.
    Resolve => "resolve",
    /// The guard refused the address.
    Denied => "denied",
    /// The proxy could not be reached, or refused to pass us on.
    Proxy => "proxy",
    /// Nothing listens on the port.
    Refused => "refused",
    /// No route to the address.
    Unreachable => "unreachable",
    /// The certificate, or one above it, has expired.
    TlsExpired => "tls-expired",
    /// The certificate, or one above it, is not valid yet.
    TlsNotYetValid => "tls-not-yet-valid",
    /// The certificate is for other names.
    TlsWrongName => "tls-wrong-name",
    /// The certificate does not lead to a trusted root.
    TlsUntrusted => "tls-untrusted",
    /// The chain ends before it comes to a root: the server left out certificates between its own
    /// and the root, or the root is one that nobody here knows.
    TlsIncomplete => "tls-incomplete",
    /// No version of TLS that both sides speak.
    TlsVersion => "tls-version",
    /// The server wants a certificate of ours, or another one.
    TlsClientCertificate => "tls-client-certificate",
    /// No common cipher or application protocol, or not TLS at all.
    TlsProtocol => "tls-protocol",
    /// Any other failure of TLS.
    TlsOther => "tls-other",
    /// The answer is not what the protocol allows.
    Protocol => "protocol",
    /// The connection was closed before the answer was complete.
    Closed => "closed",
    /// The head of the answer is larger than the limit.
    TooLarge => "too-large",
    /// Too many redirects, or one that cannot be followed.
    Redirect => "redirect",
    /// The deadline passed; the message says during what.
    Timeout => "timeout",
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The texts of an error and its sources in one line, bounded and without control characters.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let inner = source.to_string();
        // Wrappers often repeat their source.
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        next = source.source();
    }
    printable(&text)
}

/// Foreign text made fit for a message: escaped and cut.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_FOREIGN_TEXT));
    for c in text.chars() {
        if out.len() >= MAX_FOREIGN_TEXT {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_kebab_case() {
        let mut words: Vec<_> = FailureKind::ALL.iter().map(|k| k.as_str()).collect();
        for word in &words {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word}");
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), FailureKind::ALL.len());
    }

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(printable("a\r\nb\u{1b}[0m"), "a\\r\\nb\\u{1b}[0m");
        assert!(printable(&"x".repeat(10_000)).len() < 300);
    }
}
