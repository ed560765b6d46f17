//! What the check keeps from run to run: names and bytes, within its grant `state`.
//!
//! A run sees what the last run that ended with a report has left. What this run writes is kept
//! if it ends with a report, whatever its status, and forgotten after a fault, a trap or a limit.
//! No check sees another one's, also not of the same plugin.
//!
//! ```no_run
//! use wellcheck_plugin::{Report, Stop, state};
//!
//! fn run() -> Result<Report, Stop> {
//!     let runs = state::get_json::<u64>("runs")?.unwrap_or(0) + 1;
//!     state::set_json("runs", &runs)?;
//!     Ok(Report::pass(format!("run {runs}")))
//! }
//! ```
//!
//! Say in `describe` that the plugin wants it: `.want("state", "4KiB", "to count its runs")`.

use crate::bindings::wellcheck::check::state as host;
use crate::{Fault, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why something cannot be kept or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The check has no grant `state`. Whatever the plugin reports, the run becomes a fault with
    /// the reason `denied`.
    Denied,
    /// It does not fit into the granted bytes; keys and values count. Nothing changed.
    Full,
    /// The key is empty or longer than 256 bytes.
    BadKey,
    /// The bytes under this key are not of the wanted form. An older version of the plugin may
    /// have left them.
    Malformed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the check has no grant `state`"),
            Self::Full => f.write_str("it does not fit into what the grant `state` gives"),
            Self::BadKey => f.write_str("a key has 1 to 256 bytes"),
            Self::Malformed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { reason: Reason::Internal, message: format!("state: {error}") }
    }
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied => Self::Denied,
            host::Error::Full => Self::Full,
            host::Error::BadKey => Self::BadKey,
        }
    }
}

/// The bytes under a key; `None` if there is nothing.
///
/// # Errors
///
/// Without the grant, or when the key cannot be one.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(host::get(key)?)
}

/// Keeps bytes under a key, in place of what was there.
///
/// # Errors
///
/// Without the grant, when the key cannot be one, and when there is no room.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    Ok(host::set(key, value.as_ref())?)
}

/// Forgets a key. One that is not there is no error.
///
/// # Errors
///
/// Without the grant, or when the key cannot be one.
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(host::delete(key)?)
}

/// The text under a key; `None` if there is nothing. [`set`] takes a text as it is.
///
/// # Errors
///
/// As [`get`], and when what is there is not UTF-8.
pub fn get_string(key: &str) -> Result<Option<String>, Error> {
    get(key)?.map(|bytes| text(key, bytes)).transpose()
}

/// The value that [`set_json`] kept under a key; `None` if there is nothing.
///
/// # Errors
///
/// As [`get`], and when what is there is not JSON or not of this type.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    get(key)?.map(|bytes| json(key, &bytes)).transpose()
}

/// Keeps a value as JSON under a key.
///
/// # Errors
///
/// As [`set`].
///
/// # Panics
///
/// When `value` has no form in JSON, for example a map whose keys are not texts.
pub fn set_json(key: &str, value: &impl Serialize) -> Result<(), Error> {
    set(key, serde_json::to_vec(value).expect("the caller gives what has a form in JSON"))
}

fn text(key: &str, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::Malformed(format!("`{key}` is not a text")))
}

fn json<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Malformed(format!("`{key}` is not what was expected: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_in_the_form_that_is_asked_for() {
        assert_eq!(text("k", b"since noon".to_vec()), Ok("since noon".to_owned()));
        assert_eq!(json::<(u8, String)>("k", br#"[7, "x"]"#), Ok((7, "x".to_owned())));
    }

    #[test]
    fn what_has_another_form_is_a_fault_that_names_the_key() {
        let error = text("since", vec![0xff]).unwrap_err();
        assert_eq!(Fault::from(error).message, "state: `since` is not a text");
        let fault = Fault::from(json::<u32>("runs", b"many").unwrap_err());
        assert!(fault.message.starts_with("state: `runs` is not what was expected: "), "{fault:?}");
    }
}
