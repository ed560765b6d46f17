//! Compiled code on disk, so that a start does not take minutes.
//!
//! Compiled code is run as it is, so whoever can change it owns the process. An entry is therefore
//! believed only if it lies in a directory that is ours alone, and carries a hash made with a key
//! that only we can read; and it is the very bytes that were hashed which are loaded, never the
//! file again. Anything else about it being wrong means: compile anew, and say so.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::rand::{GetRandomFlags, getrandom};

/// The key's file.
const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
/// The hash in front of each entry.
const MAC_BYTES: usize = 32;
const SUFFIX: &str = ".code";
const TEMPORARY: &str = "tmp-";
/// Entries that were not used for longest go when there is more than this.
const MAX_TOTAL: u64 = 1 << 30;
/// Nothing that we wrote is larger.
const MAX_ENTRY: u64 = 1 << 30;

/// A directory of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    /// Of the engine: code for another one is another entry.
    engine: blake3::Hash,
    temporary: AtomicU64,
}

/// Verified code, and what precedes it in the file.
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    pub(crate) fn code(&self) -> &[u8] {
        &self.0[MAC_BYTES..]
    }
}

/// What was found under a name.
pub(crate) enum Found {
    Entry(Entry),
    Nothing,
    /// Something that is not to be believed, and why.
    Unusable(String),
}

impl Cache {
    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// With the reason why it cannot be used: it belongs to somebody else, or others can write.
    pub(crate) fn open(dir: &Path, engine: blake3::Hash) -> Result<Self, String> {
        let shown = dir.display();
        let create = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        create.map_err(|error| format!("cannot make the cache `{shown}`: {error}"))?;
        private(
            &dir.symlink_metadata()
                .map_err(|error| format!("cannot look at `{shown}`: {error}"))?,
            true,
        )
        .map_err(|why| format!("the cache `{shown}` is not used: {why}"))?;
        let cache =
            Self { dir: dir.to_owned(), key: [0; KEY_BYTES], engine, temporary: AtomicU64::new(0) };
        let key = cache
            .key()
            .map_err(|error| format!("the cache `{shown}` is not used: its key {error}"))?;
        Ok(Self { key, ..cache })
    }

    fn key(&self) -> Result<[u8; KEY_BYTES], String> {
        let path = self.dir.join(KEY_FILE);
        let mut key = [0; KEY_BYTES];
        if !path.exists() {
            let unreadable = |error: io::Error| format!("cannot be written: {error}");
            getrandom(&mut key, GetRandomFlags::empty())
                .map_err(|error| unreadable(error.into()))?;
            let temporary = self.write_temporary(&[&key]).map_err(unreadable)?;
            // Unlike a rename, a link never replaces a key that another process made meanwhile.
            let linked = std::fs::hard_link(&temporary, &path);
            let removed = std::fs::remove_file(&temporary);
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(unreadable(error));
                }
                _ => removed.map_err(unreadable)?,
            }
        }
        let mut read = || -> io::Result<Result<usize, String>> {
            let mut file = open(&path)?;
            if let Err(why) = private(&file.metadata()?, false) {
                return Ok(Err(why));
            }
            let mut found = Vec::with_capacity(KEY_BYTES + 1);
            (&mut file).take(KEY_BYTES as u64 + 1).read_to_end(&mut found)?;
            if let Some(found) = found.first_chunk::<KEY_BYTES>() {
                key = *found;
            }
            Ok(Ok(found.len()))
        };
        match read() {
            Err(error) => Err(format!("cannot be read: {error}")),
            Ok(Err(why)) => Err(why),
            Ok(Ok(KEY_BYTES)) => Ok(key),
            Ok(Ok(size)) => Err(format!("has {size} bytes (expected {KEY_BYTES})")),
        }
    }

    /// The name of the entry for a component.
    pub(crate) fn name(&self, component: &blake3::Hash) -> String {
        let engine = self.engine.to_hex();
        format!("{}-{}{SUFFIX}", component.to_hex(), &engine[..16])
    }

    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(self.engine.as_bytes());
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(code);
        hasher.finalize()
    }

    /// Reads an entry once, and verifies what was read.
    pub(crate) fn get(&self, name: &str) -> Found {
        let path = self.dir.join(name);
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Unusable(format!("cannot be read: {error}")),
        };
        let bytes = match read(&file) {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(why)) => return Found::Unusable(why),
            Err(error) => return Found::Unusable(format!("cannot be read: {error}")),
        };
        let Some((mac, code)) = bytes.split_first_chunk::<MAC_BYTES>() else {
            return Found::Unusable("is too short".to_owned());
        };
        // Compared in constant time.
        if self.mac(name, code) != *mac {
            return Found::Unusable("is not what was written".to_owned());
        }
        // Used now: what was not is evicted first. Nothing depends on it.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let keep = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let _touched =
            rustix::fs::futimens(&file, &Timestamps { last_access: keep, last_modification: now });
        Found::Entry(Entry(bytes))
    }

    /// Writes an entry, whole or not at all.
    pub(crate) fn put(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mac = self.mac(name, code);
        let temporary = self.write_temporary(&[mac.as_bytes(), code])?;
        let path = self.dir.join(name);
        if let Err(error) = std::fs::rename(&temporary, &path) {
            let _removed = std::fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(&self.dir)?.sync_all()?;
        self.evict(name)
    }

    fn write_temporary(&self, parts: &[&[u8]]) -> io::Result<PathBuf> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        // Left behind by a process of the same id.
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        if let Err(error) = written.and_then(|()| file.sync_all()) {
            let _removed = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    /// Removes what was not used for longest, and never what was just written.
    fn evict(&self, newest: &str) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.ends_with(SUFFIX)) else { continue };
            let metadata = entry.metadata()?;
            if name != newest && metadata.is_file() {
                entries.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        entries.sort();
        for (_, size, path) in entries {
            if total <= MAX_TOTAL {
                break;
            }
            // Another process may have been faster.
            if std::fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
        Ok(())
    }
}

/// Never follows a link, never waits for a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn read(file: &File) -> io::Result<Result<Vec<u8>, String>> {
    let metadata = file.metadata()?;
    if let Err(why) = private(&metadata, false) {
        return Ok(Err(why));
    }
    if metadata.len() > MAX_ENTRY {
        return Ok(Err("is too large".to_owned()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    let mut file = file;
    (&mut file).take(MAX_ENTRY).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Whether only we can have written it.
fn private(metadata: &std::fs::Metadata, is_dir: bool) -> Result<(), String> {
    if is_dir && !metadata.is_dir() {
        return Err("it is not a directory".to_owned());
    }
    if !is_dir && !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("it belongs to the user {}", metadata.uid()));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "others may use it (its mode is {mode:o}, expected no rights for group and others)"
        ));
    }
    Ok(())
}
