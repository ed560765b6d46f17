//! The one way out of the process: names, TCP, UDP, pings, TLS and HTTP towards the targets of checks.
//!
//! Every built-in kind that opens a connection and the HTTP import of plugins come through here;
//! nothing else connects anywhere. The crate knows nothing of checks, configuration or plugins.
//! What it promises to its callers:
//!
//! - **Time is bounded.** A [`Trace`] carries the deadline; each stage ends by it and is timed.
//! - **Size is bounded.** Heads, bodies, redirects, addresses and certificate facts have limits.
//! - **The address that was allowed is the address that is connected to.** A [`Guard`] sees every
//!   resolved address before a connection is made, and no name is resolved twice.
//! - **Nothing ambient.** No proxy variables, no connection pool, no TLS session resumption: each
//!   request looks at the target anew.
//! - **What was learnt before a failure is kept**: phase durations, the peer, its certificate.
//!
//! It never retries, decodes a body only where a request asks for it, and spawns no task for a connection (the resolver
//! does, when a name server wants to be asked over TCP).

mod failure;
mod guard;
mod trace;

mod resolve;

mod connect;
mod datagram;
mod ping;
mod proxy;
mod stream;

mod certificate;
mod tls;

pub mod http;

pub use certificate::{Certificate, Distinguished};
pub use connect::{Connector, Dial};
pub use datagram::Datagrams;
pub use failure::{Failure, FailureKind};
pub use guard::{Guard, Judge};
pub use ping::Pings;
pub use proxy::{BadProxy, Proxy};
pub use resolve::{Family, MAX_ADDRESSES, Resolver};
pub use stream::Stream;
pub use tls::{BadTls, Identity, Tls, TlsOptions, Trust};
pub use tokio_rustls::client::TlsStream;
pub use trace::{Phase, Phases, Trace};
