//! What a check's plugin may reach. Nothing that is not named here.
//!
//! One type answers every question, so that a denial is decided in one place and can name the
//! grant that would allow it. An address is asked about again after name resolution: a name that
//! resolves to a private address is refused unless a grant names that address.
//!
//! | file | what |
//! | --- | --- |
//! | `host.rs`, `address.rs` | names, addresses and networks in one spelling; which are public |
//! | `http.rs`, `path.rs`, `attach.rs` | requests: methods, paths, what the host adds |
//! | `socket.rs` | TCP and UDP |
//! | `target.rs` | targets that others choose |
//! | `dir.rs` | folders |
//! | `named.rs` | variables, secrets, checks |
//! | `denial.rs` | the answer no |

mod address;
pub mod attach;
mod denial;
mod dir;
mod host;
mod http;
mod named;
mod path;
#[cfg(test)]
mod props;
mod socket;
mod target;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use address::{canonical, is_public};
pub use attach::{Attach, ClientIdentity};
pub use denial::{Denial, Use};
pub use dir::DirGrant;
pub use host::NamePattern;
pub use http::{HttpGrant, HttpPermit};
pub use named::{CheckPattern, EnvName, SecretName};
pub use socket::{Protocol, SocketGrant};
pub use target::{Refusal, TargetPattern, Targets};

use self::host::Host;
use crate::redact::REDACTED;
use crate::units::{exact_size, parse_size};

/// Most bytes that a check may keep: 16 MiB.
pub const MAX_STATE: u64 = 16 << 20;

/// The grants of one check. Empty by default: nothing is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Where it may send HTTP requests.
    pub http: Vec<HttpGrant>,
    /// Where its sockets may lead.
    pub sockets: Vec<SocketGrant>,
    /// The names that it may resolve, besides those of `sockets`.
    pub dns: Vec<NamePattern>,
    /// The folders that it sees.
    pub dirs: Vec<DirGrant>,
    /// The variables of the environment that it sees.
    pub env: Vec<EnvName>,
    /// The secrets that it may read.
    pub secrets: Vec<SecretName>,
    /// The checks whose latest outcome it may read.
    pub checks: Vec<CheckPattern>,
    /// Bytes that it may keep from run to run, at most [`MAX_STATE`]; 0 for nothing.
    pub state: u64,
}

/// What a grant is for; also its key in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrantKind {
    /// HTTP requests.
    Http,
    /// TCP and UDP.
    Sockets,
    /// Resolving names.
    Dns,
    /// Folders.
    Dirs,
    /// Variables of the environment.
    Env,
    /// Secrets by name.
    Secrets,
    /// Outcomes of other checks.
    Checks,
    /// Bytes that are kept from run to run.
    State,
}

impl GrantKind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Http,
        Self::Sockets,
        Self::Dns,
        Self::Dirs,
        Self::Env,
        Self::Secrets,
        Self::Checks,
        Self::State,
    ];

    /// The key in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sockets => "sockets",
            Self::Dns => "dns",
            Self::Dirs => "dirs",
            Self::Env => "env",
            Self::Secrets => "secrets",
            Self::Checks => "checks",
            Self::State => "state",
        }
    }

    /// The kind of that key.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What a value looks like, with examples.
    const fn expected(self) -> &'static str {
        match self {
            Self::Http => {
                "`[METHODS ]scheme://host[:port][/path]`, for example `https://api.example.com`, `GET,HEAD https://*.example.com/v1` or `http://10.0.0.0/8:8080`"
            }
            Self::Sockets => {
                "`protocol://host:port`, for example `tcp://db.internal:5432` or `udp://10.0.0.0/8:53`"
            }
            Self::Dns => "a name, for example `db.internal` or `*.example.com`",
            Self::Dirs => "an absolute path, for example `/var/spool/mail`",
            Self::Env => "the name of a variable, for example `TZ`",
            Self::Secrets => "the name of a secret of `[secrets]`, for example `db-password`",
            Self::Checks => "the name of a check, for example `db` or `cache-*`",
            Self::State => "a size with a unit from 0 B to 16 MiB, for example `64KiB`",
        }
    }
}

impl fmt::Display for GrantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no grant for `{kind}`: {why} (expected {})", .kind.expected())]
pub struct GrantError {
    kind: GrantKind,
    found: String,
    why: &'static str,
}

impl GrantError {
    fn new(kind: GrantKind, found: &str, why: &'static str) -> Self {
        Self { kind, found: without_user(&escaped(found)), why }
    }

    /// The same error, quoting `shown`: what stands in the file where that is not what was read.
    #[must_use]
    pub fn quoting(self, shown: &str) -> Self {
        Self { found: without_user(&escaped(shown)), ..self }
    }
}

/// A URL without the user and password before its host: they may be secrets.
fn without_user(url: &str) -> String {
    match url.split_once("://").and_then(|(s, rest)| Some((s, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{REDACTED}@{rest}"),
        None => url.to_owned(),
    }
}

/// A text of somebody else's in a message between backticks: without control characters, at most 200
/// characters of it.
fn escaped(text: &str) -> String {
    let shown = |c: char| match c {
        '`' => c.escape_unicode().to_string(),
        '\'' | '"' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    text.chars().take(200).map(shown).collect()
}

impl Grants {
    /// Adds a grant: `grant` is the key, `value` in that key's own notation. For `dirs` a path,
    /// which ` (write)` may follow; for `state` a size, of which the largest counts.
    ///
    /// # Errors
    /// When there is no such grant, or the value is no value for it.
    pub fn add(&mut self, grant: &str, value: &str) -> Result<(), String> {
        let kind = GrantKind::parse(grant).ok_or_else(|| {
            let known = GrantKind::ALL.map(GrantKind::as_str);
            let list = crate::config::problem::known("grants", grant, known);
            format!("`{}` is no grant {list}", escaped(grant))
        })?;
        self.push(kind, value).map_err(|error| error.to_string())
    }

    /// Adds a grant of a known kind.
    ///
    /// # Errors
    /// When the value is no value for it.
    pub fn push(&mut self, kind: GrantKind, value: &str) -> Result<(), GrantError> {
        match kind {
            GrantKind::Http => self.http.push(HttpGrant::parse(value)?),
            GrantKind::Sockets => self.sockets.push(SocketGrant::parse(value)?),
            GrantKind::Dns => {
                let error = || GrantError::new(kind, value, "it is no name, with or without `*.`");
                self.dns.push(NamePattern::read(value).map_err(|_| error())?);
            }
            GrantKind::Dirs => self.dirs.push(DirGrant::parse(value)?),
            GrantKind::Env => self.env.push(EnvName::parse(value)?),
            GrantKind::Secrets => self.secrets.push(SecretName::parse(value)?),
            GrantKind::Checks => self.checks.push(CheckPattern::parse(value)?),
            GrantKind::State => {
                let size = parse_size(value).filter(|size| *size <= MAX_STATE);
                let size = size.ok_or_else(|| {
                    GrantError::new(kind, value, "it is no size of at most 16 MiB")
                })?;
                self.state = self.state.max(size);
            }
        }
        Ok(())
    }

    /// Whether this name may be resolved: by `dns`, or because a grant of `sockets` names it. Gives
    /// the name in its one spelling: lower-case, without a dot at its end.
    ///
    /// # Errors
    /// When no grant names it.
    pub fn resolve(&self, name: &str) -> Result<String, Denial> {
        let asked = |name: &str| format!("the addresses of {name}");
        let none = |name: &str| {
            let why = "this is no name of a host";
            Denial::impossible(GrantKind::Dns, asked(name), why)
        };
        match Host::parse(name) {
            None => Err(none(&escaped(name))),
            // No server is asked for these. Whether a socket may lead there is asked later.
            Some(Host::Address(ip)) if self.sockets.iter().any(|grant| grant.names_address(ip)) => {
                Ok(ip.to_string())
            }
            Some(Host::Address(ip)) => {
                let allow = format!("tcp://{}:port", Host::Address(ip).pattern());
                Err(Denial::new(GrantKind::Sockets, asked(&ip.to_string()), &[allow]))
            }
            Some(Host::Name(name)) => {
                let by_socket = self.sockets.iter().filter_map(SocketGrant::names);
                if self.dns.iter().chain(by_socket).any(|pattern| pattern.matches(&name)) {
                    return Ok(name);
                }
                Err(match NamePattern::read(&name) {
                    Ok(_) => Denial::new(GrantKind::Dns, asked(&name), &[name]),
                    Err(_) => none(&name),
                })
            }
        }
    }

    /// Whether the run may talk to this address. `names` are the names in their one spelling that
    /// the run resolved so far, each with an address that it got.
    ///
    /// Allowed when a grant of that protocol and port covers the address by address or network, or
    /// names a name that the run resolved to exactly this address, which must then be public.
    ///
    /// # Errors
    /// When no grant allows it.
    pub fn socket(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        names: &[(String, IpAddr)],
    ) -> Result<(), Denial> {
        if self.sockets.iter().any(|grant| grant.allows(protocol, address, names)) {
            return Ok(());
        }
        let asked = SocketGrant::address(protocol, address).to_string();
        if address.port() == 0 {
            return Err(Denial::impossible(GrantKind::Sockets, asked, "there is no port 0"));
        }
        let by_name = self.sockets.iter().find_map(|g| g.name_of(protocol, address, names));
        let shown = match by_name {
            Some(name) => format!("{asked}, which is the private address of {name}"),
            None => asked.clone(),
        };
        Err(Denial::new(GrantKind::Sockets, shown, &[asked]))
    }

    /// Whether any grant is for this protocol.
    pub fn may_use(&self, protocol: Protocol) -> bool {
        self.sockets.iter().any(|grant| grant.protocol() == protocol)
    }

    /// The denial for making a socket without any grant for its protocol.
    pub fn no_sockets(protocol: Protocol) -> Denial {
        let allow = format!("{protocol}://host:port");
        Denial::new(GrantKind::Sockets, format!("{protocol} socket"), &[allow])
    }

    /// The denial for waiting for others to connect.
    pub fn listening(address: SocketAddr) -> Denial {
        let asked = format!("listening at {address}");
        Denial::impossible(GrantKind::Sockets, asked, "a check asks others, and is not asked")
    }

    /// Whether this secret may be read.
    ///
    /// # Errors
    /// When no grant names it.
    pub fn secret(&self, name: &str) -> Result<(), Denial> {
        if self.secrets.iter().any(|granted| granted.as_str() == name) {
            return Ok(());
        }
        let asked = format!("secret {}", escaped(name));
        Err(match SecretName::parse(name) {
            Ok(name) => Denial::new(GrantKind::Secrets, asked, &[name.to_string()]),
            Err(_) => Denial::impossible(GrantKind::Secrets, asked, "this is no name of a secret"),
        })
    }

    /// Whether the latest outcome of this check may be read.
    ///
    /// # Errors
    /// When no grant names it.
    pub fn check(&self, name: &str) -> Result<(), Denial> {
        let asked = format!("check {}", escaped(name));
        // What is no name matches no check, whatever the pattern.
        if crate::id::CheckName::new(name).is_err() {
            let why = "this is no name of a check";
            return Err(Denial::impossible(GrantKind::Checks, asked, why));
        }
        if self.checks.iter().any(|pattern| pattern.matches(name)) {
            return Ok(());
        }
        Err(Denial::new(GrantKind::Checks, asked, &[name.to_owned()]))
    }

    /// The bytes that may be kept from run to run.
    ///
    /// # Errors
    /// When it may keep nothing.
    pub fn state(&self) -> Result<u64, Denial> {
        match self.state {
            0 => Err(Denial::state()),
            bytes => Ok(bytes),
        }
    }

    /// Whether a want of a plugin (`grant` is the key, `value` in that key's own notation) is within
    /// these grants. A folder is wanted by the path under which the guest sees it.
    ///
    /// # Errors
    /// When the want cannot be read.
    pub fn covers(&self, grant: &str, value: &str) -> Result<bool, String> {
        let mut wanted = Self::default();
        wanted.add(grant, value)?;
        if let [dir] = wanted.dirs.as_slice() {
            return Ok(self.dirs.iter().any(|granted| granted.offers(dir)));
        }
        Ok(wanted.beyond(self).is_empty())
    }

    /// Likewise, also for a want in words, such as "the origin of `url`": that is met by any grant of
    /// its kind.
    pub fn meets(&self, grant: &str, value: &str) -> bool {
        self.covers(grant, value)
            .unwrap_or_else(|_words| self.list().iter().any(|(kind, _)| kind.as_str() == grant))
    }

    /// Everything of `self` that `allowed` does not include. Empty: `self` is within `allowed`.
    pub fn beyond(&self, allowed: &Self) -> Vec<(GrantKind, String)> {
        use GrantKind as Kind;
        let mut out = Vec::new();
        let http = |a: &HttpGrant, b: &HttpGrant| a.includes(b);
        extend(&mut out, Kind::Http, &self.http, &allowed.http, http, shown_http);
        let sockets = |a: &SocketGrant, b: &SocketGrant| a.includes(b);
        extend(&mut out, Kind::Sockets, &self.sockets, &allowed.sockets, sockets, text);
        let dns = |a: &NamePattern, b: &NamePattern| a.includes(b);
        extend(&mut out, Kind::Dns, &self.dns, &allowed.dns, dns, text);
        let dirs = |a: &DirGrant, b: &DirGrant| a.includes(b);
        extend(&mut out, Kind::Dirs, &self.dirs, &allowed.dirs, dirs, text);
        extend(&mut out, Kind::Env, &self.env, &allowed.env, PartialEq::eq, text);
        extend(&mut out, Kind::Secrets, &self.secrets, &allowed.secrets, PartialEq::eq, text);
        let checks = |a: &CheckPattern, b: &CheckPattern| a.includes(b);
        extend(&mut out, Kind::Checks, &self.checks, &allowed.checks, checks, text);
        if self.state > allowed.state {
            out.push((Kind::State, exact_size(self.state)));
        }
        out
    }

    /// Kind and text of every grant, in their own notation. Of what is added to requests only the
    /// names are shown: `https://api.example.com (adds: authorization)`.
    pub fn list(&self) -> Vec<(GrantKind, String)> {
        self.beyond(&Self::default())
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn extend<T>(
    out: &mut Vec<(GrantKind, String)>,
    kind: GrantKind,
    own: &[T],
    allowed: &[T],
    includes: impl Fn(&T, &T) -> bool,
    shown: impl Fn(&T) -> String,
) {
    let beyond = own.iter().filter(|grant| !allowed.iter().any(|a| includes(a, grant)));
    out.extend(beyond.map(|grant| (kind, shown(grant))));
}

fn text(grant: &impl fmt::Display) -> String {
    grant.to_string()
}

fn shown_http(grant: &HttpGrant) -> String {
    match grant.attach() {
        Some(attach) => {
            format!("{grant} (adds: {})", attach.names().collect::<Vec<_>>().join(", "))
        }
        None => grant.to_string(),
    }
}

#[cfg(test)]
mod tests;
