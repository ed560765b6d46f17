//! The rules of wellcheck: what a check is, what an outcome means, when a state changes, what the
//! configuration says, and how health is rendered.
//!
//! Nothing here does I/O or reads a clock: files, environment and time come in as arguments. That
//! keeps every rule testable with plain values, and is enforced by this crate's `clippy.toml`.
//!
//! In reading order:

pub mod time;

pub mod id;

pub mod status;

pub mod fact;

pub mod outcome;

pub mod condition;

pub mod units;

pub mod record;
pub mod redact;

pub mod grant;

pub mod limits;

pub mod check;

pub mod group;

pub mod endpoint;

pub mod module;
pub mod share;
pub mod source;

pub mod threshold;

pub mod schedule;

pub mod cron;

pub mod maintenance;

pub mod flap;

pub mod backoff;

pub mod series;

pub mod config;

pub mod snapshot;

pub mod aggregate;

pub mod exposition;

pub mod format;

pub mod import;

pub mod suite;
