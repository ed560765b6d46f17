//! What a grant adds to a request that it allows. The plugin never sees it.

use std::fmt;

/// What the host adds on the way out. `Debug` and [`Attach::names`] show the names of headers only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attach {
    /// Headers, lower-case name and value; they replace the plugin's own of that name.
    pub headers: Vec<(String, String)>,
    /// The certificate that the host shows to the target.
    pub identity: Option<ClientIdentity>,
}

/// A client certificate and its key. `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate and what signed it, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: String,
}

impl Attach {
    /// What it adds, by name: `authorization`, `client certificate`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(|(name, _)| name.as_str());
        headers.chain(self.identity.as_ref().map(|_| "client certificate"))
    }

    /// Whether it adds nothing.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.identity.is_none()
    }
}

impl fmt::Debug for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// Headers that belong to the connection or to the client that sends the request: adding one would
/// break the request or change what it means.
const NOT_OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks a header's name and value, and gives the name in lower case.
///
/// # Errors
/// Why it cannot be added; never with the value in it.
pub fn header(name: &str, value: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{}` is no name of a header", name.escape_debug()));
    }
    if NOT_OURS.contains(&lower.as_str()) {
        return Err(format!("the header `{lower}` belongs to the connection and cannot be added"));
    }
    // What a space at either end means, servers do not agree on.
    if value.chars().any(|c| c.is_control() && c != '\t') || value.trim() != value {
        return Err(format!(
            "the value of the header `{lower}` has control characters or a space at an end"
        ));
    }
    Ok(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_is_shown_by_name_only() {
        let identity = ClientIdentity { certificate: "canary".into(), key: "canary".into() };
        let headers = vec![("authorization".to_owned(), "Bearer canary".to_owned())];
        let attach = Attach { headers, identity: Some(identity.clone()) };
        let shown = format!("{attach:?} {attach:#?} {identity:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("authorization") && shown.contains("client certificate"), "{shown}");
    }

    #[test]
    fn headers_cannot_break_a_request() {
        assert_eq!(header("X-Token", "a b").as_deref(), Ok("x-token"));
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a:", "a"),
            ("a\r\nb", "a"),
            ("Host", "a"),
            ("Transfer-Encoding", "chunked"),
            ("a", "canary\r\nx: y"),
            ("a", "canary\n"),
            ("a", " canary"),
            ("a", "canary\0"),
        ] {
            let error = header(name, value).expect_err(name);
            assert!(!error.contains("canary") && !error.contains('\n'), "{error}");
        }
    }
}
