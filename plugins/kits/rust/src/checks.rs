//! How other checks of the same host are: the ones that the grant `checks` names.
//!
//! ```no_run
//! use wellcheck_plugin::{Report, Stop, checks};
//!
//! fn run() -> Result<Report, Stop> {
//!     let db = checks::latest("db")?;
//!     Ok(match db.is_healthy() {
//!         true => Report::pass("the database is well"),
//!         false => Report::fail(format!("the database: {}", db.message)),
//!     })
//! }
//! ```
//!
//! Say in `describe` what the plugin wants: `.want("checks", "db", "to decide on it")`.

use crate::bindings::wellcheck::check::checks as host;
pub use crate::bindings::wellcheck::check::checks::{Health, Standing};
use crate::{Fault, Reason};
use std::fmt;
use std::time::Duration;

/// Why there is no answer about a check, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No grant `checks` names it. Whatever the plugin reports, the run becomes a fault with the
    /// reason `denied`.
    Denied(String),
    /// There is no check of that name.
    Missing(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(name) => write!(f, "no grant `checks` names `{name}`"),
            Self::Missing(name) => write!(f, "there is no check `{name}`"),
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

/// The latest of one check: its state after thresholds, and what its last run said and measured.
///
/// # Errors
///
/// Without a grant for it, and when there is no check of that name.
pub fn latest(name: &str) -> Result<Standing, Error> {
    host::latest(name).map_err(|error| match error {
        host::Error::Denied => Error::Denied(name.to_owned()),
        host::Error::Missing => Error::Missing(name.to_owned()),
    })
}

impl Standing {
    /// Whether it passes or only warns. What is not known is not healthy.
    pub fn is_healthy(&self) -> bool {
        matches!(self.state, Health::Pass | Health::Warn)
    }

    /// Time since its last run ended; `None` before the first.
    pub fn age(&self) -> Option<Duration> {
        self.age_ms.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_healthy() {
        let standing = |state| Standing {
            state,
            reason: None,
            message: String::new(),
            age_ms: Some(1500),
            observations: Vec::new(),
        };
        for (state, healthy) in [
            (Health::Pass, true),
            (Health::Warn, true),
            (Health::Fail, false),
            (Health::Unknown, false),
        ] {
            assert_eq!(standing(state).is_healthy(), healthy, "{state:?}");
        }
        assert_eq!(standing(Health::Pass).age(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_check_that_does_not_exist_is_a_matter_of_the_settings() {
        let fault = Fault::from(Error::Missing("db".to_owned()));
        assert_eq!(
            (fault.reason, fault.message.as_str()),
            (Reason::BadSettings, "there is no check `db`")
        );
    }
}
