//! Where a plugin comes from when it is fetched: a registry or a URL, the digest that its file must
//! have, and the keys that may have signed it.
//!
//! Read once and then trusted: whatever ends up in a URL or a file name has gone through the parsers
//! here, so that no name leads out of a repository or of a folder.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use url::{Host, Url};

/// Longest source, in bytes.
pub const MAX_SOURCE: usize = 2_048;

/// Longest name of a repository, as registries have it, in bytes.
const MAX_REPOSITORY: usize = 255;

/// Longest tag, in bytes.
const MAX_TAG: usize = 128;

/// What a reference without a tag and a digest stands for.
const DEFAULT_TAG: &str = "latest";

/// Bytes of a public key of minisign: algorithm, number, key.
const KEY_BYTES: usize = 2 + 8 + 32;

/// What sources look like, for messages.
const EXPECTED: &str =
    "expected `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]` or `https://...`";

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || {
            let shown: String = text.chars().take(90).flat_map(char::escape_debug).collect();
            format!("`{shown}` is no digest (expected `sha256:` and 64 hexadecimal digits)")
        };
        let digits = text.strip_prefix("sha256:").ok_or_else(bad)?;
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.bytes().all(is_digit) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(index * 2..index * 2 + 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_no_digit| bad())?;
        }
        Ok(Self(bytes))
    }

    /// The digits alone, fit for a file name.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key of minisign, as its second line has it: `RWQ...`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);

impl PublicKey {
    /// Reads 56 characters of base64.
    ///
    /// # Errors
    /// When it is something else, or a key of another algorithm.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text).unwrap_or_default();
        if bytes.len() != KEY_BYTES || !bytes.starts_with(b"Ed") {
            // Whoever mistakes the one file for the other gives away the secret key.
            return Err("this is no public key of minisign (expected 56 characters that begin with `RW`: the second line of `minisign.pub`)".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a plugin's file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a registry.
    Oci(OciSource),
    /// Behind a URL: `https`, or `http` on this machine.
    Url(Url),
}

/// A repository of a registry, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciSource {
    /// Name or address, with the port where one is written.
    pub host: String,
    /// Several words between slashes, in lower case.
    pub repository: String,
    /// What leads to a version, and may lead to another one tomorrow; `None` beside a digest.
    pub tag: Option<String>,
    /// The digest of the manifest, which never leads elsewhere.
    pub digest: Option<Digest>,
}

impl Source {
    /// Reads a source.
    ///
    /// # Errors
    /// When it is none, or one that is not asked.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SOURCE {
            return Err(format!("it is longer than {MAX_SOURCE} bytes"));
        }
        if let Some(rest) = text.strip_prefix("oci://") {
            return OciSource::parse(rest).map(Self::Oci);
        }
        let url = Url::parse(text).map_err(|error| format!("{error} ({EXPECTED})"))?;
        if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}` is not asked for plugins ({EXPECTED})", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it holds credentials (they belong into `[[registry]]`, whose `host` is this one)"
                    .to_owned(),
            );
        }
        if url.fragment().is_some() {
            return Err("it has a fragment, which no server sees (leave `#...` out)".to_owned());
        }
        if url.scheme() == "http" && !url.host().is_some_and(|host| is_loopback(&host)) {
            return Err(
                "plain `http` is for this machine alone (expected `https://...`)".to_owned()
            );
        }
        Ok(Self::Url(url))
    }

    /// Whether what it leads to may change.
    pub fn may_change(&self) -> bool {
        match self {
            Self::Oci(oci) => oci.digest.is_none(),
            Self::Url(_) => true,
        }
    }

    /// Host and port, as `[[registry]]` names them.
    pub fn host(&self) -> String {
        match self {
            Self::Oci(oci) => oci.host.clone(),
            Self::Url(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}{port}", url.host_str().unwrap_or_default())
            }
        }
    }

    /// The same source with another tag; `None` where there are no tags.
    pub fn tagged(&self, tag: &str) -> Option<Result<Self, String>> {
        match self {
            Self::Oci(oci) => {
                Some(tag_of(tag).map(|tag| {
                    Self::Oci(OciSource { tag: Some(tag), digest: None, ..oci.clone() })
                }))
            }
            Self::Url(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(oci) => fmt::Display::fmt(oci, f),
            Self::Url(url) => f.write_str(url.as_str()),
        }
    }
}

impl fmt::Display for OciSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl OciSource {
    fn parse(text: &str) -> Result<Self, String> {
        let (host, rest) =
            text.split_once('/').ok_or_else(|| format!("it names no repository ({EXPECTED})"))?;
        let host = registry_host(host)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag_of(tag)?)),
            None => (rest, None),
        };
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        let is_word = |word: &str| {
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            word.bytes().all(|b| inner(b) || b"._-".contains(&b))
                && word.bytes().next().is_some_and(inner)
                && word.bytes().last().is_some_and(inner)
                && !word.contains("..")
        };
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_word) {
            let shown: String = repository.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(format!(
                "`{shown}` is no repository (expected words of a-z, 0-9, `.`, `_` and `-` between slashes, {MAX_REPOSITORY} bytes at most)"
            ));
        }
        Ok(Self { host, repository: repository.to_owned(), tag, digest })
    }

    /// What is asked for: the digest, where there is one.
    pub fn reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// Where its API begins, with a slash at the end. On this machine that is plain HTTP.
    pub fn api(&self) -> String {
        // Its registry answers at another name than its references have.
        let host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        let scheme = if self.is_plain() { "http" } else { "https" };
        format!("{scheme}://{host}/v2/{}/", self.repository)
    }

    /// Whether it is asked without TLS.
    pub fn is_plain(&self) -> bool {
        let url = Url::parse(&format!("http://{}/", self.host)).ok();
        url.and_then(|url| Some(is_loopback(&url.host()?))).unwrap_or(false)
    }
}

/// Reads the host of a registry, with or without a port.
///
/// # Errors
/// When it is something else.
pub fn registry_host(text: &str) -> Result<String, String> {
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let bad = || {
        format!(
            "`{shown}` is no host of a registry (expected a name or an address, with or without a port)"
        )
    };
    let odd = text.contains(['/', '?', '#', '@', '\\']) || text.chars().any(char::is_whitespace);
    if odd || text.starts_with('.') || text.contains("..") {
        return Err(bad());
    }
    let url = Url::parse(&format!("https://{text}/")).map_err(|_no_url| bad())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
    Ok(match text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) {
        // A port is kept also where it is that of https: it is part of the name.
        Some((_, port)) if !port.is_empty() && !text.ends_with(']') => format!("{host}:{port}"),
        _ => host.to_owned(),
    })
}

fn tag_of(text: &str) -> Result<String, String> {
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rest = |b: u8| first(b) || b == b'.' || b == b'-';
    let fits =
        text.len() <= MAX_TAG && text.bytes().next().is_some_and(first) && text.bytes().all(rest);
    if !fits {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        return Err(format!(
            "`{shown}` is no tag (expected letters, digits, `_`, `.` and `-`, {MAX_TAG} at most, the first no `.` or `-`)"
        ));
    }
    Ok(text.to_owned())
}

/// Whether a host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(text: &str, shown: &str) {
        let source = Source::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(source.to_string(), shown, "{text}");
        assert_eq!(Source::parse(shown).expect("what is shown can be read"), source);
    }

    #[test]
    fn sources_are_read_and_shown() {
        check("oci://ghcr.io/team/queue", "oci://ghcr.io/team/queue:latest");
        check("oci://GHCR.io/team/queue:1.2", "oci://ghcr.io/team/queue:1.2");
        check("oci://localhost:5000/queue:1", "oci://localhost:5000/queue:1");
        check(
            "oci://registry.example.com:443/a/b_c/d-e.f",
            "oci://registry.example.com:443/a/b_c/d-e.f:latest",
        );
        check("oci://[::1]:5000/queue:1", "oci://[::1]:5000/queue:1");
        check("oci://[::1]/queue:1", "oci://[::1]/queue:1");
        check(&format!("oci://h.example/q@{DIGEST}"), &format!("oci://h.example/q@{DIGEST}"));
        check(&format!("oci://h.example/q:1@{DIGEST}"), &format!("oci://h.example/q:1@{DIGEST}"));
        check("https://example.com/q.wasm", "https://example.com/q.wasm");
        check("http://127.0.0.1:8000/q.wasm", "http://127.0.0.1:8000/q.wasm");
    }

    #[test]
    fn nothing_leads_out_of_a_repository() {
        for bad in [
            "oci://h.example/../q",
            "oci://h.example/a/../q",
            "oci://h.example/a//q",
            "oci://h.example/",
            "oci://h.example",
            "oci:///q",
            "oci://../q",
            "oci://h..example/q",
            "oci://h.example/.q",
            "oci://h.example/q?x=1",
            "oci://h.example/Q",
            "oci://h.example/a%2fq",
            "oci://h.example/q:../../x",
            "oci://h.example/q:a/b",
            "oci://h.example/q:",
            "oci://h.example/q@sha256:12",
            "oci://user:password@h.example/q",
            "oci://h.example:99999/q",
            "oci://h ost/q",
            "https://user:password@example.com/q.wasm",
            "https://example.com/q.wasm#part",
            "http://example.com/q.wasm",
            "http://10.0.0.1/q.wasm",
            "file:///etc/passwd",
            "queue.wasm",
            "",
        ] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        let api = |text: &str| match Source::parse(text) {
            Ok(Source::Oci(oci)) => oci.api(),
            other => panic!("{other:?}"),
        };
        assert_eq!(api("oci://localhost:5000/q"), "http://localhost:5000/v2/q/");
        assert_eq!(api("oci://[::1]:5000/q"), "http://[::1]:5000/v2/q/");
        assert_eq!(api("oci://localhost.example.com/q"), "https://localhost.example.com/v2/q/");
        assert_eq!(api("oci://docker.io/a/q"), "https://registry-1.docker.io/v2/a/q/");
    }

    #[test]
    fn a_key_is_a_public_key_of_minisign() {
        let good = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert!(PublicKey::parse(good).is_ok());
        for bad in ["", "RWQ", &good[1..], &format!("{good}A"), "untrusted comment: x"] {
            assert!(PublicKey::parse(bad).is_err(), "{bad}");
        }
    }
}
