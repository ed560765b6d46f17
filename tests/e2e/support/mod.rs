//! What the tests need: the host itself, its targets, its plugins.

pub(crate) mod bind;
pub(crate) mod brokers;
pub(crate) mod certificates;
pub(crate) mod checks;
pub(crate) mod chrony;
pub(crate) mod databases;
pub(crate) mod datagrams;
pub(crate) mod dbus;
pub(crate) mod docker;
pub(crate) mod guests;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod listener;
pub(crate) mod mail;
pub(crate) mod mongo;
pub(crate) mod names;
pub(crate) mod nginx;
pub(crate) mod node;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod redact;
pub(crate) mod registry;
pub(crate) mod servers;
pub(crate) mod shop;
pub(crate) mod target;
pub(crate) mod wait;
