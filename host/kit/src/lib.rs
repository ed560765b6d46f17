//! What authors of plugins are given: projects to begin with, and the way from source to component.

pub mod metadata;
