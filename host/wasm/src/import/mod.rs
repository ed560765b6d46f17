//! What the host offers to a guest, one file per import, each independent of the contract's line.

pub(crate) mod context;
pub(crate) mod http;
