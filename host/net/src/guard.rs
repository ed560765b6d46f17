//! The caller's word on which addresses may be connected to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

type Judge = dyn Fn(SocketAddr) -> Result<(), String> + Send + Sync;

/// Asked for every resolved address before a connection to it is made.
///
/// The connection then goes to the very address that was asked about, so that a name that changes
/// its mind between two look-ups gains nothing. IPv4 addresses written as IPv6 are asked about as
/// IPv4. With a proxy, the address is the proxy's: who configures a proxy trusts it to decide.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<Judge>>);

impl Guard {
    /// Allows every address.
    pub const fn allow_all() -> Self {
        Self(None)
    }

    /// Allows what `judge` returns `Ok` for; its text says why not.
    pub fn new(judge: impl Fn(SocketAddr) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(judge)))
    }

    /// Whether `address` may be connected to.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |judge| judge(address))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Guard(..)" } else { "Guard(allow all)" })
    }
}
