//! Shares: HTTP targets that others may ask about on demand, as zrok's agent has them, and the
//! instances to which such questions are passed on.
//!
//! Who asks names a share by its token and gives an endpoint, which is put behind the share's
//! target. The target alone decides which host and port are asked.

use std::fmt;

use url::Url;

use crate::config::tree::Place;

/// What can be asked about on demand, and where the answers come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// `[agent] environment`: what this instance is called in questions.
    pub environment: Option<String>,
    /// `[[share]]`, in their order.
    pub shares: Vec<ShareSpec>,
    /// `[[environment]]`, in their order.
    pub environments: Vec<EnvironmentSpec>,
}

impl Sharing {
    /// The share with this token.
    pub fn share(&self, token: &str) -> Option<&ShareSpec> {
        self.shares.iter().find(|share| share.token == token)
    }

    /// The other instance that is called so.
    pub fn environment(&self, id: &str) -> Option<&EnvironmentSpec> {
        self.environments.iter().find(|environment| environment.id == id)
    }
}

/// `[[share]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSpec {
    /// What questions call it; no secret.
    pub token: String,
    /// For people.
    pub title: Option<String>,
    /// What it shares, and how to ask for it.
    pub backend: Backend,
    /// Where it stands.
    pub place: Place,
}

/// What a share's backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// An HTTP server: the one mode that can be asked.
    Proxy {
        /// Where it listens.
        target: Base,
        /// Whether its certificate must be trusted.
        tls_verify: bool,
    },
    /// Another one of zrok's modes, by its word.
    Other(&'static str),
}

impl Backend {
    /// The word for [`Backend::Proxy`].
    pub const PROXY: &'static str = "proxy";

    /// The words for the other modes.
    pub const OTHERS: &'static [&'static str] =
        &["web", "tcpTunnel", "udpTunnel", "caddy", "drive", "socks", "vpn"];

    /// The word in the configuration and in messages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Proxy { .. } => Self::PROXY,
            Self::Other(word) => word,
        }
    }
}

/// An `http` or `https` URL to which paths are added: without credentials, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Base {
    written: String,
    url: Url,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What a base looks like, for messages.
const EXPECTED: &str = "expected for example `http://127.0.0.1:9090`";

impl Base {
    /// Reads a URL whose text says the same to every reader of URLs.
    ///
    /// # Errors
    /// Why it cannot be one. Never with the text itself, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("no URL, {error} ({EXPECTED})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the scheme is `{}` (expected http or https)", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("it holds a user or a password ({EXPECTED})"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it has a query or a fragment ({EXPECTED})"));
        }
        let rest = text.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://"));
        let authority = rest.map(|rest| rest.split('/').next().unwrap_or_default());
        let host = authority.map(|authority| match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && !port.contains(']') => host,
            _ => authority,
        });
        let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
        let is_same = host.is_some_and(|host| {
            url.host_str().is_some_and(|known| known.eq_ignore_ascii_case(host))
        });
        if !is_same || !text.bytes().all(plain) {
            return Err(format!("it can be read in more than one way (expected `{url}`)"));
        }
        Ok(Self { written: text.to_owned(), url })
    }

    /// The text, to which a path is added.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The same, read.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port as written.
    pub fn authority(&self) -> &str {
        let rest = &self.written[self.url.scheme().len() + "://".len()..];
        rest.split('/').next().unwrap_or_default()
    }
}

/// `[[environment]]`: another instance, to which questions about its shares are passed on.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// What questions call it.
    pub id: String,
    /// Where it listens.
    pub agent: Base,
    /// What lets us in there; a secret.
    pub token: String,
    /// Where it stands.
    pub place: Place,
}

/// Without the token.
impl fmt::Debug for EnvironmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentSpec(`{}` at {:?})", self.id, self.agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_says_the_same_to_every_reader() {
        for (good, authority) in [
            ("http://127.1.1.1:9090", "127.1.1.1:9090"),
            ("https://shop.example.com", "shop.example.com"),
            ("http://[::1]:80/base/", "[::1]:80"),
            ("http://[::1]", "[::1]"),
            ("http://Shop.example/a%20b", "Shop.example"),
        ] {
            let base = Base::parse(good).expect(good);
            assert_eq!((base.as_str(), base.authority()), (good, authority));
        }
        for bad in [
            "",
            "shop.example",
            "ftp://shop.example",
            "http:shop.example",
            "http:/shop.example",
            "http:///shop.example",
            "http:\\\\shop.example",
            "http://shop.example\\@other.example",
            "http://other.example@shop.example",
            "http://shop.example?x",
            "http://shop.example/#",
            "http://127.1:9090",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://[0:0::1]/",
            "http://shop.example:/",
            "http://sh\top.example",
            " http://shop.example",
            "http://shöp.example",
            "http://shop%2eexample",
            "http://shop.example/a b",
        ] {
            Base::parse(bad).expect_err(bad);
        }
    }

    #[test]
    fn problems_of_a_base_never_show_a_password() {
        for text in ["http://me:canary@shop.example", "http://me:canary@/", "ftp://canary@x"] {
            let why = Base::parse(text).expect_err(text);
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn the_token_of_an_environment_is_not_shown() {
        let environment = EnvironmentSpec {
            id: "far".to_owned(),
            agent: Base::parse("https://far.example").expect("a base"),
            token: "canary".to_owned(),
            place: Place::file("x"),
        };
        assert_eq!(format!("{environment:?}"), "EnvironmentSpec(`far` at https://far.example)");
    }
}
