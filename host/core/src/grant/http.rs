//! HTTP requests: `[METHODS ]scheme://host[:port][/path]`, decided once before name resolution and
//! once for each address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::address::{canonical, is_public};
use super::attach::Attach;
use super::host::{Authority, Host, HostPattern};
use super::path::{PathPrefix, doubtful, without_query};
use super::{Denial, GrantError, GrantKind, Grants, escaped};

/// Where HTTP requests may go: `[METHODS ]scheme://host[:port][/path]`.
///
/// The host is a name (`api.example.com`), a wildcard for names below one (`*.example.com`), an
/// address (`10.0.0.7`, `[::1]`) or a network (`10.0.0.0/8`). Without a port, the scheme's own;
/// without methods, every method; without a path, every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
    /// Empty: every method.
    methods: Vec<String>,
    path: Option<PathPrefix>,
    attach: Option<Arc<Attach>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whether a text is the name of a method as a grant writes it.
fn is_method(text: &str) -> bool {
    let upper = |b: u8| b.is_ascii_uppercase() || b == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(upper)
}

impl HttpGrant {
    /// Reads `[METHODS ]scheme://host[:port][/path]`.
    ///
    /// # Errors
    /// When it is anything else: a query, a user, an unknown scheme, a host that is neither a name
    /// nor an address nor a network, a path that servers read in different ways.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let error = |why| GrantError::new(GrantKind::Http, text, why);
        let (methods, url) = match text.trim_matches(' ').split_once(' ') {
            Some((methods, url)) => (Some(methods), url.trim_start_matches(' ')),
            None => (None, text.trim_matches(' ')),
        };
        let mut list: Vec<String> = Vec::new();
        for method in methods.iter().flat_map(|methods| methods.split(',')) {
            if !is_method(method) {
                return Err(error(
                    "what stands before the URL are no methods (upper-case, with commas between them)",
                ));
            }
            if method == "CONNECT" {
                return Err(error("a tunnel (CONNECT) would lead past the grants"));
            }
            if !list.iter().any(|known| known == method) {
                list.push(method.to_owned());
            }
        }
        let (scheme, rest) = url.split_once("://").ok_or(error("it has no scheme"))?;
        let scheme = Scheme::parse(scheme).ok_or(error("the scheme is not http or https"))?;
        let Authority { host, port, path } = Authority::parse(rest).map_err(error)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.port()),
            methods: list,
            path: PathPrefix::read(path).map_err(error)?,
            attach: None,
        })
    }

    /// The same grant, which also adds something to the requests that it allows.
    #[must_use]
    pub fn attaching(self, attach: Attach) -> Self {
        Self { attach: Some(Arc::new(attach)).filter(|attach| !attach.is_empty()), ..self }
    }

    /// What it adds, if it adds anything.
    pub fn attach(&self) -> Option<&Arc<Attach>> {
        self.attach.as_ref()
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether everything that `other` allows is allowed by `self`, and nothing is added that
    /// `self` does not add.
    pub fn includes(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.methods.contains(method)));
        let path = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own.includes(other),
        };
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.includes(&other.host)
            && methods
            && path
            && (other.attach.is_none() || self.attach == other.attach)
    }

    /// Whether a request with this method and path is meant, whatever its host.
    fn allows(&self, request: &Asked<'_>) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|m| m == request.method);
        let path = (self.path.as_ref())
            .is_none_or(|prefix| !request.doubtful && prefix.matches(request.path));
        method && path
    }

    fn bare(scheme: Scheme, host: HostPattern, port: u16) -> Self {
        Self { scheme, host, port, methods: Vec::new(), path: None, attach: None }
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        // Right after an address a path would be read as a network.
        let before_path = matches!((&self.host, &self.path), (HostPattern::Net(_), Some(_)));
        if self.port != self.scheme.port() || before_path {
            write!(f, ":{}", self.port)?;
        }
        if let Some(path) = &self.path {
            path.fmt(f)?;
        }
        Ok(())
    }
}

/// A request as far as grants look at it.
struct Asked<'a> {
    method: &'a str,
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Without the query.
    path: &'a str,
    doubtful: bool,
}

impl Asked<'_> {
    fn url(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(_) => self.host.pattern().to_string(),
        };
        format!("{}://{host}:{}", self.scheme.as_str(), self.port)
    }

    /// The denial of a request that no grant allows. `near`: the grants for its host.
    fn denial(&self, near: &[&HttpGrant]) -> Denial {
        let mut grant = HttpGrant::bare(self.scheme, self.host.pattern(), self.port);
        let mut asked = self.url();
        if !near.is_empty() {
            let path = escaped(self.path);
            asked = format!("{} {asked}{path}", escaped(self.method));
            if self.doubtful && near.iter().any(|grant| grant.path.is_some()) {
                asked.push_str(", whose path servers read in different ways");
            }
            if is_method(self.method) && near.iter().any(|grant| !grant.methods.is_empty()) {
                grant.methods.push(self.method.to_owned());
            }
            if near.iter().any(|grant| grant.path.is_some()) {
                grant.path = PathPrefix::read(self.path).ok().flatten();
            }
        }
        Denial::new(GrantKind::Http, asked, &[grant.to_string()])
    }
}

/// What a check may do with one HTTP request, decided before name resolution.
#[derive(Debug, Clone)]
pub struct HttpPermit {
    scheme: Scheme,
    /// As the denial shows it.
    url: String,
    port: u16,
    /// The networks that grants name for such a request.
    nets: Vec<IpNet>,
    /// Whether the request goes to `localhost`, by a grant for it.
    loopback: bool,
    attach: Option<Arc<Attach>>,
}

impl HttpPermit {
    /// Whether the request may connect to this address.
    ///
    /// # Errors
    /// When the address is not a public one and no grant names it.
    pub fn connect(&self, ip: IpAddr) -> Result<(), Denial> {
        let ip = canonical(ip);
        let named = self.nets.iter().any(|net| net.contains(&ip));
        if named || (self.loopback && ip.is_loopback()) || is_public(ip) {
            return Ok(());
        }
        let grant = HttpGrant::bare(self.scheme, HostPattern::address(ip), self.port);
        let asked = format!("{}, which is at the private address {ip}", self.url);
        Err(Denial::new(GrantKind::Http, asked, &[grant.to_string()]))
    }

    /// What the host adds on the way out: what the first grant for this request adds that adds
    /// anything.
    pub fn attach(&self) -> Option<&Arc<Attach>> {
        self.attach.as_ref()
    }
}

impl Grants {
    /// Whether a request to `scheme://host:port` may be made at all. `path` is the request's path
    /// and query as it is sent. Asked before name resolution; the permit is asked for each address.
    ///
    /// # Errors
    /// When no grant names it, with the grant that would.
    pub fn http(
        &self,
        method: &str,
        scheme: &str,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<HttpPermit, Denial> {
        let impossible = |why| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            let asked = format!("{}://{}{port}", escaped(scheme), escaped(host));
            Denial::impossible(GrantKind::Http, asked, why)
        };
        if method == "CONNECT" {
            return Err(impossible("a tunnel would lead past the grants"));
        }
        let scheme = Scheme::parse(scheme).ok_or(impossible("only http and https are offered"))?;
        let host = Host::parse(host).ok_or(impossible("this is no host"))?;
        let port = port.unwrap_or(scheme.port());
        if port == 0 {
            return Err(impossible("there is no port 0"));
        }
        let path = match without_query(path) {
            "" => "/",
            path => path,
        };
        let asked = Asked { method, scheme, host, port, path, doubtful: doubtful(path) };

        let same_port = self.http.iter().filter(|g| g.scheme == scheme && g.port == port);
        let (allowing, other): (Vec<&HttpGrant>, Vec<&HttpGrant>) =
            same_port.partition(|grant| grant.allows(&asked));
        let for_host = |grant: &&&HttpGrant| grant.host.matches(&asked.host);
        if !allowing.iter().any(|grant| for_host(&grant)) {
            return Err(asked.denial(&other.iter().filter(for_host).copied().collect::<Vec<_>>()));
        }
        let net = |grant: &&HttpGrant| match grant.host {
            HostPattern::Net(net) => Some(net),
            HostPattern::Name(_) => None,
        };
        Ok(HttpPermit {
            scheme,
            port,
            nets: allowing.iter().filter_map(net).collect(),
            loopback: asked.host == Host::Name("localhost".to_owned()),
            attach: allowing.iter().filter(for_host).find_map(|grant| grant.attach.clone()),
            url: asked.url(),
        })
    }
}

#[cfg(test)]
mod tests;
