//! Grants that are a name: variables of the environment, secrets, checks.

use std::fmt;

use super::GrantError;
use super::GrantKind;
use crate::id::PluginName;

/// The name of a variable of the environment: `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(String);

impl EnvName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let digit_first = text.as_bytes().first().is_none_or(u8::is_ascii_digit);
        if digit_first || text.len() > 255 || !text.bytes().all(word) {
            let why = "it is not letters, digits and `_`, the first no digit";
            return Err(GrantError::new(GrantKind::Env, text, why));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an entry of `[secrets]`: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Reads a name. Whether there is such a secret is another question.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        match PluginName::new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => {
                let why = "it is not 1 to 63 of a-z, 0-9 and `-`, the first not `-`";
                Err(GrantError::new(GrantKind::Secrets, text, why))
            }
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A check, or with `*` at its end all checks whose names begin so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckPattern {
    start: String,
    wildcard: bool,
}

impl CheckPattern {
    /// Reads `db`, `cache-*` or `*`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let (start, wildcard) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if (start.is_empty() && wildcard) || PluginName::new(start).is_ok() {
            return Ok(Self { start: start.to_owned(), wildcard });
        }
        let why = "it is neither the name of a check nor the start of one with `*` at its end";
        Err(GrantError::new(GrantKind::Checks, text, why))
    }

    /// Whether the check of that name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self.wildcard {
            true => name.starts_with(&self.start),
            false => name == self.start,
        }
    }

    /// Whether every check that `other` means is meant by `self`.
    pub fn includes(&self, other: &Self) -> bool {
        match (self.wildcard, other.wildcard) {
            (true, _) => other.start.starts_with(&self.start),
            (false, true) => false,
            (false, false) => self.start == other.start,
        }
    }

    /// The check's name, where it is one check and not a start.
    pub fn name(&self) -> Option<&str> {
        (!self.wildcard).then_some(&self.start)
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CheckPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start)?;
        f.write_str(if self.wildcard { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_alphabets() {
        for good in ["TZ", "_", "a1", "LC_ALL"] {
            assert!(EnvName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "A\0", "Ä", "*"] {
            assert!(EnvName::parse(bad).is_err(), "{bad}");
        }
        assert!(SecretName::parse("db-password").is_ok());
        for bad in ["", "-a", "A", "a_b", "a.b", "*", "a\n"] {
            assert!(SecretName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_of_checks_is_a_name_or_a_start() {
        let pattern = |text| CheckPattern::parse(text).expect("a pattern");
        assert!(pattern("db").matches("db") && !pattern("db").matches("db-1"));
        let start = pattern("cache-*");
        assert!(start.matches("cache-") && start.matches("cache-1") && !start.matches("cache"));
        assert!(pattern("*").matches("anything"));
        assert!(start.includes(&pattern("cache-a*")) && start.includes(&pattern("cache-a")));
        assert!(!start.includes(&pattern("c*")) && !start.includes(&pattern("cache")));
        assert!(!pattern("cache-a").includes(&start) && pattern("*").includes(&start));
        assert!(!pattern("cache-a").includes(&pattern("cache-a*")));
        for text in ["db", "cache-*", "*"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        for bad in ["", "**", "a*b", "*a", "-*", "A", "a b", "../x"] {
            assert!(CheckPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
