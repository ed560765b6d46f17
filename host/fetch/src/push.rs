//! Giving a plugin to others: the blobs, and the manifest under each of its tags.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, StatusCode};
use url::Url;
use wellcheck_core::source::{Digest, OciSource};

use crate::component::Interfaces;
use crate::digest_of;
use crate::error::{FetchError, FetchErrorKind, printable};
use crate::manifest::{
    CONFIG, Config, Descriptor, LAYER, MANIFEST, Manifest, SIGNATURE, SOURCE, TITLE, VERSION,
};
use crate::pull::{Fetcher, api};
use crate::session::{Ask, Session};

/// Largest answer to an upload, in bytes: nothing of it is read.
const MAX_ANSWER: usize = 64 * 1024;

/// What is pushed.
#[derive(Debug, Clone)]
pub struct Push<'a> {
    /// Where to; a digest in it is an error.
    pub to: &'a OciSource,
    /// Further tags.
    pub tags: &'a [String],
    /// The component.
    pub bytes: Bytes,
    /// The text of its signature.
    pub signature: Option<&'a str>,
    /// What it is called.
    pub title: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Where its source is.
    pub source: Option<&'a str>,
    /// When it was made, by RFC 3339.
    pub created: &'a str,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The SHA-256 of the component.
    pub digest: Digest,
    /// The SHA-256 of the manifest.
    pub manifest: Digest,
}

impl Fetcher {
    /// Pushes a component under each tag.
    ///
    /// # Errors
    /// When the registry does not take it, or it is no component.
    pub async fn push(&self, push: &Push<'_>) -> Result<Pushed, FetchError> {
        let interfaces = Interfaces::read(&push.bytes)
            .map_err(|why| FetchError::new(FetchErrorKind::NotAPlugin, why.to_string()))?;
        let digest = digest_of(&push.bytes);
        let config = serde_json::to_vec(&Config::new(push.created, &digest, &interfaces))
            .expect("texts and lists make JSON");
        let config = Bytes::from(config);
        let descriptor = |media_type: &str, bytes: &Bytes| Descriptor {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: None,
        };
        let words = [
            (TITLE, Some(push.title)),
            (VERSION, Some(push.version)),
            (SOURCE, push.source),
            (SIGNATURE, push.signature),
        ];
        let annotations: BTreeMap<String, String> = (words.into_iter())
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            config: Some(descriptor(CONFIG, &config)),
            layers: vec![descriptor(LAYER, &push.bytes)],
            annotations: Some(annotations),
        };
        let manifest = Bytes::from(serde_json::to_vec(&manifest).expect("texts make JSON"));
        let mut session = self.session(push.to, "pull,push");
        self.blob(&mut session, push.to, &config).await?;
        self.blob(&mut session, push.to, &push.bytes).await?;
        let own = push.to.tag.iter();
        for tag in own.chain(push.tags) {
            let what = format!("the tag `{tag}`");
            let url = api(push.to, &format!("manifests/{tag}"))?;
            let ask = Ask {
                method: Method::PUT,
                content_type: Some(MANIFEST),
                body: manifest.clone(),
                ..Ask::get(url, MAX_ANSWER, &what)
            };
            session.expect(&ask, &[StatusCode::CREATED, StatusCode::OK]).await?;
        }
        Ok(Pushed { digest, manifest: digest_of(&manifest) })
    }

    /// Uploads a blob that is not there yet.
    async fn blob(
        &self,
        session: &mut Session<'_>,
        to: &OciSource,
        bytes: &Bytes,
    ) -> Result<(), FetchError> {
        let digest = digest_of(bytes);
        let what = format!("the blob `{digest}`");
        let url = api(to, &format!("blobs/{digest}"))?;
        let ask = Ask { method: Method::HEAD, ..Ask::get(url, MAX_ANSWER, &what) };
        if session.ask(&ask).await?.status == StatusCode::OK {
            return Ok(());
        }
        let begin = api(to, "blobs/uploads/")?;
        let ask = Ask {
            method: Method::POST,
            ..Ask::get(begin.clone(), MAX_ANSWER, "a place for a blob")
        };
        let answer = session.expect(&ask, &[StatusCode::ACCEPTED]).await?;
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let mut url = upload(&begin, location.unwrap_or_default())?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let ask = Ask {
            method: Method::PUT,
            content_type: Some("application/octet-stream"),
            body: bytes.clone(),
            ..Ask::get(url, MAX_ANSWER, &what)
        };
        session.expect(&ask, &[StatusCode::CREATED, StatusCode::ACCEPTED]).await?;
        Ok(())
    }
}

/// Where a registry wants the bytes: with TLS, or at itself.
fn upload(begin: &Url, location: &str) -> Result<Url, FetchError> {
    let bad = |why: &str| {
        let message = format!("the registry wants uploads at `{}`: {why}", printable(location));
        FetchError::new(FetchErrorKind::BadAnswer, message)
    };
    let url = begin.join(location).map_err(|error| bad(&error.to_string()))?;
    if location.is_empty() || (url.scheme() != "https" && url.origin() != begin.origin()) {
        return Err(bad("expected a URL with `https`, or one of its own"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_go_to_the_registry_or_over_tls() {
        let begin = Url::parse("http://localhost:5000/v2/q/blobs/uploads/").expect("a URL");
        let to = |location: &str| upload(&begin, location).ok().map(String::from);
        assert_eq!(
            to("/v2/q/blobs/uploads/1?s=2").as_deref(),
            Some("http://localhost:5000/v2/q/blobs/uploads/1?s=2")
        );
        assert!(to("https://storage.example.com/1").is_some());
        for bad in ["", "http://storage.example.com/1", "ftp://x/", "http://localhost:5001/1"] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }
}
