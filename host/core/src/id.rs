//! Names that are checked once and then trusted.
//!
//! A check's or plugin's name ends up in URLs, file names, metrics and log lines, so the alphabet
//! is small. Free text belongs into a check's `title`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Names that routes below `/health/` use themselves.
pub const RESERVED: &[&str] = &["status", "live", "ready", "started"];

/// Longest name, in bytes.
pub const MAX_NAME: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Something outside of the alphabet, or too long, or empty.
    ///
    /// A letter of another script may look like one of ours, so the message says which it is.
    #[error(
        "`{shown}` is not a name (expected 1 to 63 of a-z, 0-9 and `-`, the first not `-`; free text goes into `title`){foreign}"
    )]
    Alphabet {
        /// The text, as far as it is shown.
        shown: String,
        /// Which letter is not of ASCII, where there is one.
        foreign: String,
    },
    /// A route of wellcheck has this name.
    #[error("`{0}` is a reserved name (reserved: status, live, ready, started)")]
    Reserved(String),
}

fn checked(text: &str) -> Result<Arc<str>, NameError> {
    let bytes = text.as_bytes();
    let alphabet = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    if bytes.is_empty() || bytes.len() > MAX_NAME || bytes[0] == b'-' || !bytes.iter().all(alphabet)
    {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let foreign = text.chars().find(|letter| !letter.is_ascii()).map(|letter| {
            format!("; `{}` in it is U+{:04X}", letter.escape_debug(), u32::from(letter))
        });
        return Err(NameError::Alphabet { shown, foreign: foreign.unwrap_or_default() });
    }
    Ok(text.into())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $reserved:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the alphabet `[a-z0-9][a-z0-9-]{0,62}`.
            ///
            /// # Errors
            /// When it is no name, or a reserved one.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let reserved: &[&str] = $reserved;
                if reserved.contains(&text) {
                    return Err(NameError::Reserved(text.to_owned()));
                }
                checked(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a check, unique within a configuration.
    CheckName,
    RESERVED
);
name_type!(
    /// The name of a plugin: its file's name without `.wasm`.
    PluginName,
    &[]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_alphabet() {
        let longest = "a".repeat(MAX_NAME);
        for good in ["a", "0", "orders-queue", "a-", &longest] {
            assert!(CheckName::new(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(MAX_NAME + 1);
        for bad in ["", "-a", "A", "a b", "a/b", "..", "a\n", "ä", "a_b", &too_long] {
            assert!(CheckName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reserved_names_are_refused_for_checks_only() {
        assert!(CheckName::new("status").is_err());
        assert!(PluginName::new("status").is_ok());
    }

    #[test]
    fn control_characters_are_escaped_in_the_message() {
        let error = CheckName::new("a\u{1b}[31m\nb").expect_err("not a name");
        assert!(!error.to_string().contains('\u{1b}') && !error.to_string().contains('\n'));
    }
}
