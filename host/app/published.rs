//! The snapshot that everybody reads, with the bodies made from it.
//!
//! Replaced as a whole by the scheduler; readers never wait for it or for each other. A body is
//! encoded when it is first asked for, once per snapshot, and shared by every connection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use wellcheck_core::format::{FORMATS, Selection};
use wellcheck_core::outcome::Outcome;
use wellcheck_core::snapshot::Snapshot;
use wellcheck_wasm::{Standing, Standings};

use crate::clock::Clock;

/// A rendered answer.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    /// HTTP status code.
    pub(crate) code: u16,
    /// The body.
    pub(crate) body: Bytes,
}

/// One snapshot and the bodies made from it so far.
#[derive(Debug)]
pub(crate) struct Published {
    /// The picture.
    pub(crate) snapshot: Snapshot,
    /// The aggregate in each format, in the order of [`FORMATS`].
    aggregate: Vec<OnceLock<Rendered>>,
    list: OnceLock<Bytes>,
}

impl Published {
    fn new(snapshot: Snapshot) -> Self {
        let aggregate = FORMATS.iter().map(|_| OnceLock::new()).collect();
        Self { snapshot, aggregate, list: OnceLock::new() }
    }

    /// The aggregate in the format at this place of [`FORMATS`].
    pub(crate) fn aggregate(&self, format: usize) -> &Rendered {
        self.aggregate[format].get_or_init(|| {
            let selection = Selection::all(&self.snapshot);
            let format = FORMATS[format];
            Rendered { code: format.code(&selection), body: format.render(&selection).into() }
        })
    }

    /// The JSON API's list of checks.
    pub(crate) fn list(&self) -> Bytes {
        self.list.get_or_init(|| wellcheck_core::format::api::list(&self.snapshot).into()).clone()
    }
}

/// Where the present snapshot is found.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<ArcSwap<Published>>);

impl Shared {
    /// An empty picture, until the scheduler publishes the first.
    pub(crate) fn new() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Published::new(Snapshot::default()))))
    }

    /// Replaces the picture.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(Published::new(snapshot)));
    }

    /// The present picture.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Published>> {
        self.0.load()
    }
}

/// How checks are, for the plugins of other checks.
pub(crate) struct SharedStandings {
    /// Where the present picture is found.
    pub(crate) shared: Shared,
    /// What ages are counted by.
    pub(crate) clock: Clock,
}

impl Standings for SharedStandings {
    fn latest(&self, check: &str) -> Option<Standing> {
        let published = self.shared.load();
        let state = published.snapshot.check(check)?;
        let current = state.current();
        let observations = match current.map(|last| &last.run.outcome) {
            Some(Outcome::Answered(report)) => report.observations.clone(),
            _ => Vec::new(),
        };
        Some(Standing {
            state: state.state,
            reason: state.reason().map(str::to_owned),
            message: state.message().to_owned(),
            age: current.map(|last| {
                let age = self.clock.now().wall.0.saturating_sub(last.at.0);
                Duration::from_millis(u64::try_from(age).unwrap_or(0))
            }),
            observations,
        })
    }
}
