//! Where a connection goes, if not to where the URL says.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use url::Url;

use super::{Client, Route, Scheme};
use crate::connect::denied;
use crate::failure::chain;
use crate::{Failure, FailureKind, Phase, Trace};

/// A place to connect to. The URL still says what is asked for, and which certificate is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// This one of the addresses of the URL's host, on the URL's port.
    Address(IpAddr),
    /// This host in place of the URL's.
    Host {
        /// A name or an address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A socket of this machine, without TLS.
    Unix(PathBuf),
}

impl To {
    /// Whether it holds for `url` where it was given for `first`: a redirect to elsewhere goes
    /// there.
    pub(super) fn holds(&self, first: &Url, url: &Url) -> bool {
        let same_host = first.host() == url.host();
        match self {
            Self::Address(_) => same_host,
            Self::Host { .. } | Self::Unix(_) => {
                same_host && first.port_or_known_default() == url.port_or_known_default()
            }
        }
    }

    /// Whether nothing else may be connected to.
    pub(super) const fn binds(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl Client {
    /// Connects to a socket of this machine. The guard is asked about the host of `route`, as it is
    /// for a proxy: who names the socket trusts it.
    pub(super) async fn unix(
        &self,
        path: &Path,
        route: &Route<'_>,
        trace: &mut Trace,
    ) -> Result<UnixStream, Failure> {
        let shown = path.display();
        if route.scheme == Scheme::Https {
            let message = format!("TLS is not spoken over the socket `{shown}`");
            return Err(Failure::new(FailureKind::Request, message));
        }
        self.connector().guard().unresolved(route.host, route.port).map_err(denied)?;
        let connect = async {
            UnixStream::connect(path).await.map_err(|error| explain(&error, &shown.to_string()))
        };
        trace.stage(Phase::Connect, || format!("connecting to `{shown}`"), connect).await
    }
}

fn explain(error: &std::io::Error, path: &str) -> Failure {
    use std::io::ErrorKind as E;
    match error.kind() {
        E::ConnectionRefused => {
            Failure::new(FailureKind::Refused, format!("nobody listens on the socket `{path}`"))
        }
        E::NotFound => {
            Failure::new(FailureKind::Unreachable, format!("there is no socket `{path}`"))
        }
        // Not being allowed to connect, or a path that no socket can have, is ours.
        _ => {
            let message = format!("cannot connect to the socket `{path}`: {}", chain(error));
            Failure::new(FailureKind::Local, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_for_the_host_that_it_was_given_for() {
        let url = |text: &str| Url::parse(text).expect("a URL in a test");
        let first = url("http://a.example/x");
        let address = To::Address(IpAddr::from([10, 0, 0, 1]));
        let host = To::Host { host: "b".to_owned(), port: 81 };
        for (to, by_address, by_host) in [
            ("http://a.example/y", true, true),
            ("https://a.example/y", true, false),
            ("http://a.example:81/", true, false),
            ("http://b.example/", false, false),
        ] {
            assert_eq!(address.holds(&first, &url(to)), by_address, "{to}");
            assert_eq!(host.holds(&first, &url(to)), by_host, "{to}");
        }
    }
}
