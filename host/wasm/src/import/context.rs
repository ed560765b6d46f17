//! Facts of the run: how much time is left, how the runs before went, the trace to join.

use tokio::time::Instant;
use wasmtime::component::HasData;

/// The facts of one run.
pub(crate) struct RunContext {
    pub(crate) deadline: Instant,
    pub(crate) failures_in_a_row: u32,
    pub(crate) traceparent: Option<String>,
}

/// What the import sees: the facts, and nothing else of the store.
pub(crate) struct ContextView<'a>(pub(crate) &'a RunContext);

/// Ties the view to the linker.
pub(crate) struct ContextImport;

impl HasData for ContextImport {
    type Data<'a> = ContextView<'a>;
}

impl ContextView<'_> {
    pub(crate) fn remaining_ms(&self) -> u64 {
        let left = self.0.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }
}
