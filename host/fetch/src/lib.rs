//! Plugins from elsewhere: fetched, verified, kept, and given to others.
//!
//! From a source of [`wellcheck_core::source`] to bytes whose digest and signature are what they
//! should be. What it promises:
//!
//! - **Nothing is believed before it is verified**: a file counts by its SHA-256, and where keys are
//!   configured by a signature of minisign over it. Both are looked at again when a kept file is read.
//! - **Everything ends**: a fetch as a whole has a deadline; manifests, files, signatures and answers
//!   of token servers have sizes; redirects are counted and never lead from TLS to plain text.
//! - **There is one way out**: `wellcheck_net`, as for everything else that this process asks. The
//!   protocol of registries is a handful of requests, written here.
//! - **A file is whole or not there**: written beside its place, synced, and renamed.
//!
//! | file | what |
//! | --- | --- |
//! | `error.rs` | what can go wrong, by kind |
//! | `credentials.rs` | who we are at a registry; the file of docker |
//! | `session.rs` | requests with a deadline and with what a registry asks for |
//! | `manifest.rs` | the documents of registries: manifest, configuration |
//! | `component.rs` | what a component imports and exports |
//! | `pull.rs`, `push.rs` | from a source to bytes, and back |
//! | `signature.rs` | minisign |
//! | `cache.rs` | files by digest, and what a source last led to |
//! | `lock.rs` | `plugins.lock` |
//!
//! It reads no configuration and knows nothing of what runs.

mod error;

mod credentials;
mod session;

mod manifest;

mod component;

mod pull;
mod push;

mod signature;

mod cache;
mod lock;

pub use cache::{Cache, Kept, Known, write_whole};
pub use component::{Interfaces, NotAComponent};
pub use credentials::{Access, Credentials, docker_config};
pub use error::{FetchError, FetchErrorKind};
pub use lock::{LOCK_FILE, Lock, Locked, MAX_LOCK, Want};
pub use pull::{Fetched, Fetcher, Found, Wanted};
pub use push::{Push, Pushed};
pub use signature::{MAX_SIGNATURE, verify};

use wellcheck_core::source::Digest;

/// The SHA-256 of `bytes`.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}
