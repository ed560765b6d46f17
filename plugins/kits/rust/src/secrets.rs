//! Values that only some may know: the ones of the host's `[secrets]` that the grant `secrets`
//! names.
//!
//! A secret that only goes along with a request needs none of this: a grant `http` can add it on
//! the way out, and the plugin never sees it.
//!
//! ```no_run
//! use wellcheck_plugin::{Report, Stop, secrets};
//!
//! fn run() -> Result<Report, Stop> {
//!     let key = secrets::get("signing-key")?;
//!     Ok(Report::pass(format!("a key of {} bytes", key.len())))
//! }
//! ```
//!
//! Say in `describe` what the plugin wants: `.want("secrets", "signing-key", "to sign")`.

use crate::bindings::wellcheck::check::secrets as host;
use crate::{Fault, Reason};
use std::fmt;

/// Why there is no value, with the secret's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No grant `secrets` names it. Whatever the plugin reports, the run becomes a fault with the
    /// reason `denied`.
    Denied(String),
    /// The host has no secret of that name.
    Missing(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(name) => write!(f, "no grant `secrets` names `{name}`"),
            Self::Missing(name) => write!(f, "there is no secret `{name}`"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::Denied(_) => Reason::Internal,
            Error::Missing(_) => Reason::BadSettings,
        };
        Self { reason, message: error.to_string() }
    }
}

/// A secret's value. The host takes it out of everything that the plugin says, as long as the
/// plugin says it in the form in which it got it.
///
/// # Errors
///
/// Without a grant for it, and when the host has no secret of that name.
pub fn get(name: &str) -> Result<String, Error> {
    host::get(name).map_err(|error| match error {
        host::Error::Denied => Error::Denied(name.to_owned()),
        host::Error::Missing => Error::Missing(name.to_owned()),
    })
}
