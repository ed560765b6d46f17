//! What authors of plugins are given: projects to begin with, and the way from source to component.
//!
//! One file per language in [`language`], and a table there; everything else is the same for all:
//!
//! - [`new`] makes a project to begin with, of the templates in `templates`;
//! - [`project`] is a folder with a plugin's source and its `plugin.toml`;
//! - [`contract`] is the WIT, which the program carries along;
//! - [`toolchain`] finds the programs that a language needs, and says how to get what is missing;
//! - [`component`] makes a component of what a compiler left, with its metadata;
//! - [`strip`] takes out what is there for debugging;
//! - [`bindings`] generates what C and Go call the contract by;
//! - [`build`] does all of that in order.
//!
//! Nothing here runs a plugin: that is `wellcheck-wasm`'s.

pub mod bindings;
pub mod build;
mod clang;
pub mod component;
pub mod contract;
pub mod language;
pub mod new;
pub mod project;
pub mod strip;
pub mod toolchain;
