//! Fetched files, by digest, so that a registry that is down stops nothing.
//!
//! The folder belongs to us alone. It is not believed all the same: a file is hashed whenever it is
//! read, and its signature is looked at again by the keys of today. What a source last led to is a
//! file of its own per source, so that processes that share the folder do not get in each other's way.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use wellcheck_core::source::{Digest, PublicKey, Source};

use crate::digest_of;
use crate::error::{FetchError, FetchErrorKind};
use crate::pull::Fetched;
use crate::signature::{MAX_SIGNATURE, verify};

/// When all files are larger than this together, those go that nobody asked for lately.
const MAX_TOTAL: u64 = 1 << 30;

/// What is lately: so long before the file that was last asked for.
const LATELY: Duration = Duration::from_hours(30 * 24);

/// Largest note about a source, in bytes.
const MAX_NOTE: u64 = 16 * 1024;

/// A folder of fetched files.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// A file of the cache that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub digest: Digest,
    /// Whose signature it has, where one is asked for.
    pub signed_by: Option<PublicKey>,
}

/// What a source last led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The file.
    pub digest: Digest,
    /// The manifest that names it.
    pub manifest: Option<Digest>,
}

/// [`Known`] on disk.
#[derive(Serialize, Deserialize)]
struct Note {
    source: String,
    digest: String,
    manifest: Option<String>,
}

impl Cache {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// With the reason why it cannot be used: it belongs to somebody else, or others can write.
    pub fn open(dir: &Path) -> Result<Self, FetchError> {
        let shown = dir.display();
        let fail = |why: String| FetchError::new(FetchErrorKind::Local, why);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| fail(format!("cannot make the cache `{shown}`: {error}")))?;
        let found = dir
            .symlink_metadata()
            .map_err(|error| fail(format!("cannot look at the cache `{shown}`: {error}")))?;
        let ours = rustix::process::geteuid().as_raw();
        let why = if !found.is_dir() {
            "it is no folder"
        } else if found.uid() != ours {
            "it belongs to somebody else"
        } else if found.mode() & 0o022 != 0 {
            "others can write to it (`chmod 700` makes it yours)"
        } else {
            return Ok(Self { dir: dir.to_owned() });
        };
        Err(fail(format!("the cache `{shown}` is not used: {why}")))
    }

    /// Where a file is or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}.wasm", digest.hex()))
    }

    fn signature_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}.minisig", digest.hex()))
    }

    fn note_path(&self, source: &Source) -> PathBuf {
        self.dir.join(format!("{}.json", digest_of(source.to_string().as_bytes()).hex()))
    }

    /// Reads a file, of at most `limit` bytes, and hashes it. One that is not what it is called is
    /// removed.
    ///
    /// # Errors
    /// When there is none that could be used.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, FetchError> {
        let path = self.path(digest);
        let bytes = read(&path, limit).map_err(|why| {
            FetchError::new(FetchErrorKind::Local, format!("the kept file `{digest}` {why}"))
        })?;
        if digest_of(&bytes) != *digest {
            // Whatever it is, it is fetched again.
            let _ = std::fs::remove_file(&path);
            let message = format!("the kept file `{digest}` was changed, and is fetched again");
            return Err(FetchError::new(FetchErrorKind::WrongDigest, message));
        }
        Ok(bytes)
    }

    /// A file that is there, is what it is called, and is signed as it must be.
    ///
    /// # Errors
    /// When it is not.
    pub fn find(
        &self,
        digest: &Digest,
        keys: &[PublicKey],
        limit: u64,
    ) -> Result<Kept, FetchError> {
        let bytes = self.read(digest, limit)?;
        let signature = read(&self.signature_path(digest), MAX_SIGNATURE as u64).ok();
        let signature = signature.and_then(|bytes| String::from_utf8(bytes).ok());
        let what = format!("the kept file `{digest}`");
        let signed_by = verify(&bytes, signature.as_deref(), keys, &what)?;
        let path = self.path(digest);
        touch(&path);
        Ok(Kept { path, digest: *digest, signed_by })
    }

    /// Keeps a file that was fetched, and what the source led to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, source: &Source, fetched: &Fetched) -> Result<Kept, FetchError> {
        let fail = |path: &Path, error: std::io::Error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            FetchError::new(FetchErrorKind::Local, message)
        };
        let path = self.path(&fetched.digest);
        // The signature first: a file that is there has one.
        if let Some(signature) = &fetched.signature {
            let path = self.signature_path(&fetched.digest);
            write_whole(&path, signature.as_bytes(), 0o600).map_err(|error| fail(&path, error))?;
        }
        // One that is there already keeps its place, so that nothing is loaded again.
        if self.read(&fetched.digest, fetched.bytes.len() as u64).is_err() {
            write_whole(&path, &fetched.bytes, 0o600).map_err(|error| fail(&path, error))?;
        }
        self.note(source, &Known { digest: fetched.digest, manifest: fetched.manifest });
        self.tidy(&path, MAX_TOTAL);
        let (digest, signed_by) = (fetched.digest, fetched.signed_by.clone());
        Ok(Kept { path, digest, signed_by })
    }

    /// What a source last led to.
    pub fn known(&self, source: &Source) -> Option<Known> {
        let bytes = read(&self.note_path(source), MAX_NOTE).ok()?;
        let note: Note = serde_json::from_slice(&bytes).ok()?;
        let manifest = note.manifest.as_deref().map(Digest::parse).transpose().ok()?;
        (note.source == source.to_string()).then_some(())?;
        Some(Known { digest: Digest::parse(&note.digest).ok()?, manifest })
    }

    /// Notes what a source leads to.
    pub fn note(&self, source: &Source, known: &Known) {
        let note = Note {
            source: source.to_string(),
            digest: known.digest.to_string(),
            manifest: known.manifest.map(|manifest| manifest.to_string()),
        };
        let text = serde_json::to_vec(&note).expect("texts make JSON");
        if let Err(error) = write_whole(&self.note_path(source), &text, 0o600) {
            tracing::warn!("cannot note what `{source}` leads to: {error}");
        }
    }

    /// Removes what nobody asked for lately, where there is too much.
    fn tidy(&self, kept: &Path, most: u64) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_file = path.extension().is_some_and(|extension| extension == "wasm");
                let found = path.symlink_metadata().ok().filter(|_| is_file)?;
                // What `touch` sets; when it was written says nothing about who uses it.
                Some((found.accessed().ok()?, found.len(), path))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        let Some((newest, ..)) = files.last().cloned() else { return };
        for (asked, size, path) in files {
            let old = newest.duration_since(asked).is_ok_and(|age| age > LATELY);
            if total <= most || !old {
                return;
            }
            if path != kept && std::fs::remove_file(&path).is_ok() {
                let _ = std::fs::remove_file(path.with_extension("minisig"));
                total -= size;
            }
        }
    }
}

/// Somebody asked for it.
fn touch(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
    let moment = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times =
        Timestamps { last_access: moment(UTIME_NOW), last_modification: moment(UTIME_OMIT) };
    // It may stand on a disk that is read-only.
    let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let found = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than {limit} bytes"));
    }
    Ok(bytes)
}

/// Writes a file beside its place and moves it there, so that it is whole or not there.
///
/// # Errors
/// When it cannot be written; what was at its place is there still.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    let builder = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    let mut file = builder;
    file.write_all(bytes)?;
    let permissions = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(text: &str) -> Fetched {
        let bytes = bytes::Bytes::from(text.to_owned());
        let digest = digest_of(&bytes);
        Fetched { bytes, digest, manifest: None, signature: None, signed_by: None }
    }

    #[test]
    fn what_is_kept_is_found_and_what_was_changed_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&dir.path().join("fetched")).expect("a cache");
        let source = Source::parse("oci://localhost:5000/q:1").expect("a source");
        let file = fetched("a plugin");
        assert_eq!(cache.known(&source), None);
        let kept = cache.keep(&source, &file).expect("it is kept");
        assert_eq!(cache.known(&source).map(|known| known.digest), Some(file.digest));
        assert_eq!(cache.find(&file.digest, &[], 100), Ok(kept.clone()));
        assert_eq!(kept.path.metadata().expect("it is there").mode() & 0o777, 0o600);
        assert!(cache.find(&file.digest, &[], 3).is_err(), "larger than the limit");
        let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3");
        let error = cache.find(&file.digest, &[key.expect("a key")], 100).expect_err("unsigned");
        assert_eq!(error.kind, FetchErrorKind::Unsigned);
        std::fs::write(&kept.path, "b plugin").expect("it is ours");
        let error = cache.find(&file.digest, &[], 100).expect_err("changed");
        assert_eq!(error.kind, FetchErrorKind::WrongDigest);
        assert!(!kept.path.exists());
    }

    #[test]
    fn what_was_asked_for_lately_stays_however_old_it_is() {
        use std::fs::FileTimes;
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&dir.path().join("fetched")).expect("a cache");
        let now = dir.path().metadata().and_then(|made| made.modified()).expect("a time");
        let long_ago = now - 2 * LATELY;
        let source = Source::parse("oci://localhost:5000/q:1").expect("a source");
        let kept = ["used", "forgotten", "new"].map(|text| {
            let kept = cache.keep(&source, &fetched(text)).expect("it is kept");
            let file = OpenOptions::new().write(true).open(&kept.path).expect("it is there");
            let times = FileTimes::new().set_accessed(long_ago).set_modified(long_ago);
            file.set_times(times).expect("it is ours");
            kept
        });
        let [used, forgotten, new] = &kept;
        touch(&new.path);
        cache.find(&used.digest, &[], 100).expect("it is there");
        cache.tidy(&new.path, 1);
        let is_there = [used, forgotten, new].map(|kept| kept.path.exists());
        assert_eq!(is_there, [true, false, true]);
    }

    #[test]
    fn a_folder_of_others_is_not_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
        std::fs::set_permissions(dir.path(), open).expect("it is ours");
        let error = Cache::open(dir.path()).expect_err("others can write");
        assert!(error.message.contains("others can write to it"), "{error}");
    }
}
