//! What the host offers to a guest, one file per import, each independent of the contract's line.
//!
//! Everything is linked, and denied at the call: what a grant does not name fails for the guest, and
//! is remembered in the run, so that a guest which swallows a denial does not hide it.

pub(crate) mod checks;
pub(crate) mod context;
pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod secrets;
pub(crate) mod sockets;
pub(crate) mod state;
