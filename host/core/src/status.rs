//! The four statuses, and which is worse.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How something is, from best to worst.
///
/// `Unknown` is not an answer about the target: nobody knows. It is not healthy either, and yields
/// to `Fail`, which is known to be bad.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Works, but somebody should look.
    Warn,
    /// Nobody knows: not run yet, or the check itself is at fault.
    #[default]
    Unknown,
    /// Not as it should be.
    Fail,
}

impl Status {
    /// All of them, from best to worst.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Unknown, Self::Fail];

    /// The word used everywhere: `pass`, `warn`, `unknown`, `fail`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// Whether traffic may go on: `pass` and `warn`.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Pass | Self::Warn)
    }

    /// The worse of the two.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.max(other)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
