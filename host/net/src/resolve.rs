//! From names to addresses: literals, `localhost`, the hosts file, then DNS.
//!
//! Reads the system's configuration once. Without a usable one, literals, `localhost` and the
//! hosts file still work and every other name fails with the reason. Never asks DNS about a
//! literal or about `localhost`, and never understands `127.1` or `2130706433` as an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;

use crate::failure::chain;
use crate::{Failure, FailureKind};

/// Most addresses of one name that are used; further ones are ignored.
pub const MAX_ADDRESSES: usize = 16;

/// How long an answer is believed at most, so that a moved target is noticed.
const MAX_TTL: Duration = Duration::from_secs(60);

/// How long the absence of a name is believed at most.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5);

/// Most queries under way at once over one TCP connection to a name server; further ones fail.
const MAX_QUERIES: usize = 1024;

/// How long the other address family may take once one has answered. Some name servers never
/// answer for AAAA.
const SECOND_FAMILY: Duration = Duration::from_millis(50);

/// Which addresses of a name are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// Both, alternating, IPv6 first.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    const fn records(self) -> &'static str {
        match self {
            Self::Any => "A or AAAA",
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }
}

/// Resolves names; cheap to clone, the cache is shared.
#[derive(Debug, Clone)]
pub struct Resolver {
    hosts: Arc<Hosts>,
    dns: Dns,
    /// Whom `dns` asks.
    servers: Arc<[SocketAddr]>,
}

#[derive(Debug, Clone)]
enum Dns {
    Ready(Arc<TokioResolver>),
    /// The reason why there is none.
    Absent(Arc<str>),
}

impl Resolver {
    /// Reads the hosts file and the name servers of the system.
    ///
    /// Never fails: what cannot be read is said by the look-ups that need it, and by
    /// [`Resolver::problem`].
    pub fn from_system() -> Self {
        let read = hickory_resolver::system_conf::read_system_conf();
        let servers = read.as_ref().map(|(config, _)| servers(config)).unwrap_or_default();
        let dns = read.and_then(|(config, options)| build(config, options));
        let dns = match dns {
            Ok(resolver) => Dns::Ready(Arc::new(resolver)),
            Err(error) => Dns::Absent(chain(&error).into()),
        };
        // A machine without a hosts file is a machine without static names.
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Self { hosts, dns, servers: servers.into() }
    }

    /// Asks these name servers (UDP, then TCP) and reads nothing of the system.
    pub fn with_servers(servers: &[SocketAddr]) -> Self {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let servers = self::servers(&config).into();
        let dns = match build(config, ResolverOpts::default()) {
            Ok(resolver) => Dns::Ready(Arc::new(resolver)),
            Err(error) => Dns::Absent(chain(&error).into()),
        };
        Self { hosts: Arc::new(Hosts::default()), dns, servers }
    }

    /// Why this resolver has no name servers, if it has none.
    pub fn problem(&self) -> Option<&str> {
        match &self.dns {
            Dns::Ready(_) => None,
            Dns::Absent(reason) => Some(reason),
        }
    }

    /// The name servers that are asked, each once; empty where there are none.
    pub fn name_servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The addresses of `host`, at least one and at most [`MAX_ADDRESSES`].
    ///
    /// `host` is a name or a literal, IPv6 with or without brackets. The caller bounds the time.
    pub async fn lookup(&self, host: &str, family: Family) -> Result<Vec<IpAddr>, Failure> {
        if let Some(address) = literal(host) {
            if !family.admits(address) {
                let message = format!("`{host}` has no {} address", family.records());
                return Err(Failure::new(FailureKind::Resolve, message));
            }
            return Ok(vec![address]);
        }
        if is_localhost(host) {
            let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(both.into_iter().filter(|a| family.admits(*a)).collect());
        }
        let name =
            Name::from_utf8(host).ok().filter(|name| name.num_labels() > 0).ok_or_else(|| {
                Failure::new(FailureKind::Resolve, format!("`{host}` is not a valid name"))
            })?;
        let mut addresses = self.in_hosts_file(&name, family);
        if addresses.is_empty() {
            addresses = self.ask_dns(host, &name, family).await?;
        }
        Ok(arrange(addresses))
    }

    fn in_hosts_file(&self, name: &Name, family: Family) -> Vec<IpAddr> {
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        [RecordType::AAAA, RecordType::A]
            .into_iter()
            .filter_map(of)
            .flat_map(|found| addresses_in(&found))
            .filter(|address| family.admits(*address))
            .collect()
    }

    async fn ask_dns(
        &self,
        host: &str,
        name: &Name,
        family: Family,
    ) -> Result<Vec<IpAddr>, Failure> {
        let dns = match &self.dns {
            Dns::Ready(dns) => dns,
            Dns::Absent(reason) => {
                let message = format!(
                    "`{host}` cannot be resolved: no name servers ({reason}); addresses, `localhost` \
                     and names of the hosts file work"
                );
                return Err(Failure::new(FailureKind::Resolve, message));
            }
        };
        let of = async |kind| {
            match kind {
                RecordType::A => dns.ipv4_lookup(name.clone()).await,
                _ => dns.ipv6_lookup(name.clone()).await,
            }
            .map(|found| addresses_in(&found).collect::<Vec<_>>())
        };
        let found = match family {
            Family::V4 => of(RecordType::A).await,
            Family::V6 => of(RecordType::AAAA).await,
            Family::Any => {
                let (v4, v6) = (Box::pin(of(RecordType::A)), Box::pin(of(RecordType::AAAA)));
                let (first, rest) = match select(v4, v6).await {
                    Either::Left((first, rest)) => (first, Either::Left(rest)),
                    Either::Right((first, rest)) => (first, Either::Right(rest)),
                };
                match first {
                    Ok(mut found) if !found.is_empty() => {
                        if let Ok(Ok(more)) = timeout(SECOND_FAMILY, rest).await {
                            found.extend(more);
                        }
                        Ok(found)
                    }
                    nothing => match rest.await {
                        Ok(found) if !found.is_empty() => Ok(found),
                        second => worse(nothing, second),
                    },
                }
            }
        };
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(no_records(host, family)),
            Err(error) => Err(explain(&error, host, family)),
        }
    }
}

/// Of two empty-handed answers, the one that says more.
fn worse<T>(first: Result<T, NetError>, second: Result<T, NetError>) -> Result<T, NetError> {
    match (first, second) {
        (Err(first), Err(second)) if first.is_no_records_found() => Err(second),
        (Err(first), _) => Err(first),
        (Ok(_), second) => second,
    }
}

fn no_records(host: &str, family: Family) -> Failure {
    let message = format!("`{host}` has no {} record", family.records());
    Failure::new(FailureKind::Resolve, message)
}

fn explain(error: &NetError, host: &str, family: Family) -> Failure {
    if error.is_nx_domain() {
        return Failure::new(FailureKind::Resolve, format!("`{host}` does not exist in DNS"));
    }
    if error.is_no_records_found() {
        return no_records(host, family);
    }
    let message = match error {
        NetError::Timeout => format!("no name server answered for `{host}`"),
        other => format!("`{host}` cannot be resolved: {}", chain(other)),
    };
    Failure::new(FailureKind::Resolve, message)
}

fn servers(config: &ResolverConfig) -> Vec<SocketAddr> {
    let port = |server: &NameServerConfig| server.connections.first().map_or(53, |c| c.port);
    config.name_servers().iter().map(|server| SocketAddr::new(server.ip, port(server))).collect()
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    // The hosts file is asked by `lookup`, with or without name servers.
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = MAX_QUERIES;
    options.positive_max_ttl = Some(MAX_TTL);
    options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

fn addresses_in(found: &hickory_resolver::lookup::Lookup) -> impl Iterator<Item = IpAddr> + use<> {
    let all: Vec<IpAddr> = found.answers().iter().filter_map(|r| r.data.ip_addr()).collect();
    all.into_iter()
}

/// An address as people and URLs write it; IPv4 hidden in IPv6 comes out as IPv4.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    IpAddr::from_str(bare).ok().map(|address| address.to_canonical())
}

/// RFC 6761: `localhost` and everything below it is this machine.
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let tail = host.len().checked_sub("localhost".len()).map(|at| host.split_at_checked(at));
    matches!(tail, Some(Some((before, last)))
        if last.eq_ignore_ascii_case("localhost") && (before.is_empty() || before.ends_with('.')))
}

/// IPv6 and IPv4 alternating, without repeats, bounded.
fn arrange(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let canonical = addresses.into_iter().map(|address| address.to_canonical());
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = canonical.partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut arranged = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] || arranged.len() >= MAX_ADDRESSES {
            arranged.truncate(MAX_ADDRESSES);
            return arranged;
        }
        for address in pair.into_iter().flatten() {
            if !arranged.contains(&address) {
                arranged.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_recognized_in_every_spelling() {
        for yes in ["localhost", "LocalHost.", "db.localhost"] {
            assert!(is_localhost(yes), "{yes}");
        }
        for no in ["", "localhost.example", "mylocalhost", "é", "ocalhost"] {
            assert!(!is_localhost(no), "{no}");
        }
    }

    #[test]
    fn only_plain_addresses_are_literals() {
        assert_eq!(literal("[::1]"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(literal("::ffff:127.0.0.1"), Some(Ipv4Addr::LOCALHOST.into()));
        for no in ["127.1", "2130706433", "0x7f.0.0.1", "127.0.0.01", ""] {
            assert_eq!(literal(no), None, "{no}");
        }
    }

    #[test]
    fn families_alternate_and_the_number_is_bounded() {
        let v4 = |n: u8| IpAddr::from([10, 0, 0, n]);
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        assert_eq!(arrange(vec![v4(1), v4(2), v4(1), v6]), [v6, v4(1), v4(2)]);
        assert_eq!(arrange((0..=255).map(v4).collect()).len(), MAX_ADDRESSES);
    }
}
