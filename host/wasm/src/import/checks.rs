//! How other checks are: the ones that the check's grants name.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::HasData;
use wellcheck_core::grant::{GrantKind, Grants};
use wellcheck_core::outcome::Observation;
use wellcheck_core::status::Status;

use crate::host::RunShared;

/// What the host believes of a check, for a plugin that asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// After thresholds.
    pub state: Status,
    /// Why it is not a plain pass, as a word.
    pub reason: Option<String>,
    /// One line for a person.
    pub message: String,
    /// Since its last run ended; `None` before the first.
    pub age: Option<Duration>,
    /// What its last run measured.
    pub observations: Vec<Observation>,
}

/// Knows how every check is. Asked by runs, on the threads of plugins; must not wait.
pub trait Standings: Send + Sync {
    /// The latest of the check of that name, if there is one.
    fn latest(&self, check: &str) -> Option<Standing>;
}

/// What the import sees.
pub(crate) struct ChecksView<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) standings: Option<&'a dyn Standings>,
    pub(crate) shared: &'a Arc<RunShared>,
}

/// Ties the view to the linker.
pub(crate) struct ChecksImport;

impl HasData for ChecksImport {
    type Data<'a> = ChecksView<'a>;
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoStanding {
    Denied,
    Missing,
}

impl ChecksView<'_> {
    pub(crate) fn latest(&self, name: &str) -> Result<Standing, NoStanding> {
        if let Err(denial) = self.grants.check(name) {
            self.shared.deny(denial);
            return Err(NoStanding::Denied);
        }
        self.shared.used(GrantKind::Checks, name);
        let standing = self.standings.and_then(|all| all.latest(name));
        if let Some(tape) = &self.shared.tape {
            tape.check(name, standing.as_ref());
        }
        standing.ok_or(NoStanding::Missing)
    }
}
