//! Who we are at a registry: from the configuration, or from the file that `docker login` writes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use serde::Deserialize;

/// Largest file of docker that is read, in bytes.
const MAX_DOCKER_CONFIG: usize = 1024 * 1024;

/// What is shown to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password.
    Basic {
        /// Who.
        username: String,
        /// Never shown.
        password: String,
    },
    /// A token; never shown.
    Bearer(String),
}

/// Credentials for one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Name or address, with the port where sources have one.
    pub host: String,
    /// What is shown there.
    pub credentials: Credentials,
    /// Where they were found, for messages.
    pub from: &'static str,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

impl Credentials {
    /// What the header `Authorization` says.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic { username, password } => {
                format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whose they are, for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Basic { username, .. } => {
                format!("user `{}`", username.escape_debug())
            }
            Self::Bearer(_) => "a token".to_owned(),
        }
    }
}

/// Reads the `auths` of docker's `config.json`. Helpers that would have to be run are left alone.
///
/// # Errors
/// When the file is none of docker's. Nothing of its content is in the message.
pub fn docker_config(text: &str) -> Result<Vec<Access>, String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        auths: std::collections::BTreeMap<String, Auth>,
    }
    #[derive(Deserialize)]
    struct Auth {
        auth: Option<String>,
        username: Option<String>,
        password: Option<String>,
        registrytoken: Option<String>,
    }
    if text.len() > MAX_DOCKER_CONFIG {
        return Err(format!("it is larger than {MAX_DOCKER_CONFIG} bytes"));
    }
    // The text of the error could repeat a part of a password.
    let file: File = serde_json::from_str(text).map_err(|error| {
        format!("line {}, column {}: not what docker writes", error.line(), error.column())
    })?;
    let access = file.auths.into_iter().filter_map(|(host, auth)| {
        let pair = auth.auth.and_then(|auth| {
            let text = String::from_utf8(BASE64.decode(auth).ok()?).ok()?;
            let (username, password) = text.split_once(':')?;
            Some((username.to_owned(), password.to_owned()))
        });
        let pair = pair.or_else(|| Some((auth.username?, auth.password?)));
        let credentials = match (auth.registrytoken, pair) {
            (Some(token), _) if !token.is_empty() => Credentials::Bearer(token),
            (_, Some((username, password))) => Credentials::Basic { username, password },
            _ => return None,
        };
        Some(Access { host: host_of(&host), credentials, from: "docker's `config.json`" })
    });
    Ok(access.collect())
}

/// Docker writes some hosts as URLs.
fn host_of(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    match host {
        "index.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_docker_is_read() {
        let text = r#"{
            "auths": {
                "localhost:5000": { "auth": "dXNlcjpwYXNzOndvcmQ=" },
                "https://index.docker.io/v1/": { "username": "a", "password": "b" },
                "ghcr.io": {}
            },
            "credsStore": "pass"
        }"#;
        let found = docker_config(text).expect("it is one");
        let hosts: Vec<_> = found.iter().map(|access| access.host.as_str()).collect();
        assert_eq!(hosts, ["docker.io", "localhost:5000"]);
        let (username, password) = ("user".to_owned(), "pass:word".to_owned());
        assert_eq!(found[1].credentials, Credentials::Basic { username, password });
    }

    #[test]
    fn credentials_are_shown_nowhere() {
        let password = "correct horse".to_owned();
        let basic = Credentials::Basic { username: "u".to_owned(), password };
        let header = basic.header().expect("it can be sent");
        let shown = format!("{basic:?} {} {header:?}", basic.shown());
        assert!(!shown.contains("horse"), "{shown}");
        assert!(!format!("{:?}", Credentials::Bearer("secret".to_owned())).contains("secret"));
        let broken = r#"{"auths": {"h": {"auth": "c2VjcmV0", "password": 1}}}"#;
        let why = docker_config(broken).expect_err("a password is a text");
        assert!(!why.contains("c2V"), "{why}");
    }
}
