//! Why a run ends before it has made a report: what `?` turns errors into.

use crate::{Fault, checks, http, secrets, state};

/// The early end of a run.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The target is not as it should be: a report with the status `fail` and this message.
    Fail(String),
    /// The run says nothing about the target.
    Fault(Fault),
}

impl Stop {
    /// The target is not as it should be, for `ok_or_else` and `map_err`.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::Fail(message.into())
    }
}

impl From<http::Error> for Stop {
    fn from(error: http::Error) -> Self {
        Self::Fail(error.message)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<checks::Error> for Stop {
    fn from(error: checks::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<secrets::Error> for Stop {
    fn from(error: secrets::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<state::Error> for Stop {
    fn from(error: state::Error) -> Self {
        Self::Fault(error.into())
    }
}
