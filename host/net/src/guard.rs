//! The caller's word on which addresses may be connected to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Decides where connections may go. Each answer's text says why not.
pub trait Judge: Send + Sync {
    /// Asked before `host` is resolved.
    fn name(&self, host: &str, port: u16) -> Result<(), String> {
        let _ = (host, port);
        Ok(())
    }

    /// Asked for every address that `host` leads to, before a connection to it is made.
    fn address(&self, host: &str, address: SocketAddr) -> Result<(), String>;

    /// Asked when somebody else, such as a proxy, is to resolve `host` and connect there.
    fn unresolved(&self, host: &str, port: u16) -> Result<(), String> {
        self.name(host, port)
    }
}

/// Asked for every resolved address before a connection to it is made.
///
/// The connection then goes to the very address that was asked about, so that a name that changes
/// its mind between two look-ups gains nothing. IPv4 addresses written as IPv6 are asked about as
/// IPv4. With a proxy, the guard of a request is asked about the proxy's address: who configures a
/// proxy trusts it to decide. The guard of a [`crate::Connector`] is asked about the target instead.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<dyn Judge>>);

/// A judge that looks at addresses only.
struct Addresses<F>(F);

impl<F> Judge for Addresses<F>
where
    F: Fn(SocketAddr) -> Result<(), String> + Send + Sync,
{
    fn address(&self, _host: &str, address: SocketAddr) -> Result<(), String> {
        (self.0)(address)
    }
}

impl Guard {
    /// Allows every address.
    pub const fn allow_all() -> Self {
        Self(None)
    }

    /// Allows what `judge` returns `Ok` for; its text says why not.
    pub fn new(judge: impl Fn(SocketAddr) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Addresses(judge))))
    }

    /// Leaves it to `judge`.
    pub fn by(judge: impl Judge + 'static) -> Self {
        Self(Some(Arc::new(judge)))
    }

    /// Whether `address` may be connected to.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        self.address("", address)
    }

    /// Whether `host` may be resolved.
    pub fn name(&self, host: &str, port: u16) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |judge| judge.name(host, port))
    }

    /// Whether `host`, which leads to `address`, may be connected to there.
    pub fn address(&self, host: &str, address: SocketAddr) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |judge| judge.address(host, address))
    }

    /// Whether somebody else may resolve `host` and connect there.
    pub fn unresolved(&self, host: &str, port: u16) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |judge| judge.unresolved(host, port))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Guard(..)" } else { "Guard(allow all)" })
    }
}
