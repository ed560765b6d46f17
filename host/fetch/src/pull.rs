//! From a source to bytes that are what they should be.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::Url;
use wellcheck_core::source::{Digest, OciSource, PublicKey, Source};
use wellcheck_core::units::show_size;
use wellcheck_net::Tls;
use wellcheck_net::http::Client;

use crate::component::Interfaces;
use crate::credentials::Access;
use crate::digest_of;
use crate::error::{FetchError, FetchErrorKind};
use crate::manifest::{self, ACCEPTED, Artifact, MAX_MANIFEST};
use crate::session::{Ask, Session};
use crate::signature::{MAX_SIGNATURE, verify};

/// Fetches; cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The way out.
    pub client: Client,
    /// Whom to trust.
    pub tls: Tls,
    /// Who we are, where.
    pub access: Vec<Access>,
    /// Largest file, in bytes.
    pub max_bytes: u64,
    /// Longest that one fetch or push may take.
    pub time: Duration,
    /// Told how many bytes have come, for whoever shows that.
    pub received: Option<Arc<AtomicU64>>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Where it is.
    pub source: &'a Source,
    /// The manifest that was once found there, in place of what the tag leads to now.
    pub manifest: Option<Digest>,
    /// What the file must be.
    pub digest: Option<Digest>,
    /// Who must have signed it; none asks for no signature.
    pub keys: &'a [PublicKey],
}

/// A file that was fetched and verified.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their SHA-256.
    pub digest: Digest,
    /// The manifest that names it, for a registry.
    pub manifest: Option<Digest>,
    /// The signature, whether or not one was asked for.
    pub signature: Option<String>,
    /// The key that it is by, where one was asked for.
    pub signed_by: Option<PublicKey>,
}

/// What a source leads to, before the file is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The manifest.
    pub manifest: Digest,
    /// The file.
    pub digest: Digest,
    /// Its size as the manifest says it, in bytes.
    pub size: u64,
}

impl Fetcher {
    /// What a source leads to now, where that can be found out without the file itself.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn resolve(&self, source: &Source) -> Result<Option<Found>, FetchError> {
        let Source::Oci(oci) = source else { return Ok(None) };
        let mut session = self.session(oci, "pull");
        let (manifest, artifact) = self.manifest(&mut session, oci, &oci.reference()).await?;
        Ok(Some(Found { manifest, digest: artifact.digest, size: artifact.size }))
    }

    /// Fetches and verifies a file.
    ///
    /// # Errors
    /// When it cannot be had, or is not what was asked for.
    pub async fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        let fetched = match wanted.source {
            Source::Oci(oci) => self.file_of_registry(oci, wanted).await?,
            Source::Url(url) => self.file_of_url(url, wanted).await?,
        };
        let what = format!("`{}`", wanted.source);
        if let Err(why) = Interfaces::read(&fetched.bytes) {
            let message = format!("{what} is no plugin: {why}");
            return Err(FetchError::new(FetchErrorKind::NotAPlugin, message));
        }
        Ok(fetched)
    }

    pub(crate) fn session(&self, oci: &OciSource, action: &str) -> Session<'_> {
        let scope = format!("repository:{}:{action}", oci.repository);
        Session::new(self, &oci.host, Some(scope), oci.is_plain())
    }

    /// A manifest and its digest.
    async fn manifest(
        &self,
        session: &mut Session<'_>,
        oci: &OciSource,
        reference: &str,
    ) -> Result<(Digest, Artifact), FetchError> {
        let what = format!("`{}/{}`, version `{reference}`,", oci.host, oci.repository);
        let url = api(oci, &format!("manifests/{reference}"))?;
        let ask = Ask { accept: Some(ACCEPTED), ..Ask::get(url, MAX_MANIFEST, &what) };
        let answer = session.expect(&ask, &[StatusCode::OK]).await?;
        let digest = digest_of(&answer.body);
        // A digest leads to one manifest alone, whatever a registry says.
        if let Ok(expected) = Digest::parse(reference)
            && expected != digest
        {
            return Err(wrong(&format!("the manifest of `{oci}`"), digest, expected));
        }
        let artifact = manifest::read(&answer.body, &format!("`{oci}`"))?;
        Ok((digest, artifact))
    }

    async fn file_of_registry(
        &self,
        oci: &OciSource,
        wanted: &Wanted<'_>,
    ) -> Result<Fetched, FetchError> {
        let mut session = self.session(oci, "pull");
        let reference = wanted.manifest.map_or_else(|| oci.reference(), |m| m.to_string());
        let (manifest, artifact) = self.manifest(&mut session, oci, &reference).await?;
        let Artifact { digest, size, signature } = artifact;
        // Before anything large is fetched.
        if let Some(expected) = wanted.digest.filter(|expected| *expected != digest) {
            return Err(wrong(&format!("`{oci}`"), digest, expected));
        }
        self.bounded(size, &format!("`{oci}`"))?;
        let what = format!("the file `{digest}` of `{}/{}`", oci.host, oci.repository);
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        let ask = Ask::get(api(oci, &format!("blobs/{digest}"))?, limit, &what);
        let bytes = session.expect(&ask, &[StatusCode::OK]).await?.body;
        let found = digest_of(&bytes);
        if found != digest {
            return Err(wrong(&what, found, digest));
        }
        let what = format!("`{oci}`");
        let signed_by = verify(&bytes, signature.as_deref(), wanted.keys, &what)?;
        Ok(Fetched { bytes, digest, manifest: Some(manifest), signature, signed_by })
    }

    async fn file_of_url(&self, url: &Url, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        let host = wanted.source.host();
        let mut session = Session::new(self, &host, None, url.scheme() == "http");
        let what = format!("`{url}`");
        let limit = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        let bytes =
            session.expect(&Ask::get(url.clone(), limit, &what), &[StatusCode::OK]).await?.body;
        let digest = digest_of(&bytes);
        if let Some(expected) = wanted.digest.filter(|expected| *expected != digest) {
            return Err(wrong(&what, digest, expected));
        }
        let mut beside = url.clone();
        beside.set_path(&format!("{}.minisig", url.path()));
        let ask = Ask::get(beside, MAX_SIGNATURE, "its signature");
        let signature = match wanted.keys {
            [] => None,
            _ => match session.expect(&ask, &[StatusCode::OK]).await {
                Ok(answer) => {
                    let text = String::from_utf8(answer.body.to_vec()).map_err(|_binary| {
                        FetchError::new(
                            FetchErrorKind::BadSignature,
                            format!("the signature of {what} is no text"),
                        )
                    })?;
                    Some(text)
                }
                Err(error) if error.kind == FetchErrorKind::NotThere => None,
                Err(error) => return Err(error),
            },
        };
        let signed_by = verify(&bytes, signature.as_deref(), wanted.keys, &what)?;
        Ok(Fetched { bytes, digest, manifest: None, signature, signed_by })
    }

    fn bounded(&self, size: u64, what: &str) -> Result<(), FetchError> {
        if size <= self.max_bytes {
            return Ok(());
        }
        let (size, most) = (show_size(size), show_size(self.max_bytes));
        let message = format!(
            "{what} has {size}, more than the {most} of `file-bytes` of `[plugins.limits]`"
        );
        Err(FetchError::new(FetchErrorKind::TooLarge, message))
    }
}

/// A path of a repository's API.
pub(crate) fn api(oci: &OciSource, path: &str) -> Result<Url, FetchError> {
    Url::parse(&format!("{}{path}", oci.api())).map_err(|error| {
        FetchError::new(FetchErrorKind::BadAnswer, format!("`{oci}` makes no URL: {error}"))
    })
}

fn wrong(what: &str, found: Digest, expected: Digest) -> FetchError {
    let message = format!(
        "{what} is `{found}` (expected `{expected}`; if the new one is wanted, say so where the old one is named)"
    );
    FetchError::new(FetchErrorKind::WrongDigest, message)
}
