//! The program: reads the configuration, loads plugins, runs checks, and answers.
//!
//! In reading order; the data flows the same way (`host/ARCHITECTURE.md` has the picture).

pub mod cli;

mod clock;
mod demand;
mod digest;
mod sources;

mod checks;
mod fetches;
mod folder;
mod keeper;
mod modules;
mod passive;
mod plugins;
mod records;
mod registry;
mod share;
mod store;

mod published;
mod scheduler;

mod server;
