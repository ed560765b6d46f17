//! The lines of the contract that this host speaks.
//!
//! The only place that tells them apart: each line's own file speaks core types, and everything
//! else of the crate sees [`Line`] and [`Bound`]. A new line is a folder in `wit`, a file here, and
//! an arm in each match below.

mod v0_1;

use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};
use wellcheck_core::id::CheckName;
use wellcheck_core::outcome::Outcome;

use crate::description::Description;
use crate::host::HostState;

/// The interface that makes a component a plugin.
pub(crate) const CHECKER: &str = "wellcheck:check/checker";

/// A line of the contract: versions that are compatible with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    V0_1,
}

/// Every line, newest first.
pub(crate) const LINES: &[Line] = &[Line::V0_1];

impl Line {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1",
        }
    }

    /// The line that a version such as `0.1.7` belongs to.
    pub(crate) fn of(version: &str) -> Option<Self> {
        LINES.iter().copied().find(|line| {
            let rest = version.strip_prefix(line.as_str()).and_then(|r| r.strip_prefix('.'));
            rest.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    pub(crate) fn link(self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        match self {
            Self::V0_1 => v0_1::link(linker),
        }
    }

    pub(crate) fn bind(self, instance: InstancePre<HostState>) -> wasmtime::Result<Bound> {
        match self {
            Self::V0_1 => v0_1::bind(instance).map(Bound::V0_1),
        }
    }
}

/// A component whose exports were found to be what its line demands.
pub(crate) enum Bound {
    V0_1(v0_1::Pre),
}

/// What a guest is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Describe,
    Run { check: &'a CheckName, settings: &'a str },
}

/// What it said, as it said it: nothing is checked, cut or escaped yet.
pub(crate) enum Answer {
    Description(Description),
    Outcome(Outcome),
}

impl Bound {
    /// Makes an instance and calls it.
    pub(crate) async fn call(
        &self,
        store: &mut Store<HostState>,
        call: Call<'_>,
    ) -> wasmtime::Result<Answer> {
        match self {
            Self::V0_1(pre) => v0_1::call(pre, store, call).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_to_lines() {
        for version in ["0.1.0", "0.1.7", "0.1.123"] {
            assert_eq!(Line::of(version), Some(Line::V0_1), "{version}");
        }
        for version in ["0.2.0", "0.10.0", "1.0.0", "0.1", "0.1.", "0.1.0-rc.1", ""] {
            assert_eq!(Line::of(version), None, "{version}");
        }
    }
}
