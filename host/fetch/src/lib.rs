//! Plugins from elsewhere: fetched by name, verified, and kept.
