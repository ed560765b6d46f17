//! Metrics as text: families of samples with labels, in the text of Prometheus and in OpenMetrics.
//!
//! An encoder of our own. The usual crate writes OpenMetrics alone, and counts in metrics that it
//! owns; what is shown here is a picture that somebody else made, in both dialects. What comes out is
//! always valid, whatever the names and values: one bad sample would make a scraper refuse all.
//!
//! There are two ways in, and one text:
//!
//! | file | what |
//! | --- | --- |
//! | `text.rs` | [`Exposition`]: sample by sample, with no tree in between, for what may be large |
//! | `family.rs` | [`Family`]: values, which can be put together, sorted and redacted before |

mod family;
mod text;

#[cfg(test)]
pub(crate) mod reader;

pub use family::{Family, encode};
pub use text::{Exposition, Labels, Samples};

/// How metrics are written. The two differ in the names of types, in the last line, and in nothing
/// that a series is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The text of Prometheus, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Dialect {
    /// As sent in `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; its name ends with `_total`.
    Counter,
    /// Always 1, for its labels; its name ends with `_info`.
    Info,
}
