//! The place on disk: a folder, the database's file in it, and a lock that keeps others away.
//!
//! The lock is a file `NAME.lock` of its own, so that `sqlite3` may look into the database at any
//! time. A file is used only if nobody else can have written it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use super::disk::Trouble;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Whether `path` still leads to it.
    fn is_at(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|metadata| Self::of(&metadata) == self)
    }
}

/// Where the database is, locked.
pub(super) struct Place {
    path: PathBuf,
    lock_path: PathBuf,
    lock_identity: Identity,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Place {
    /// Makes the folder where there is none, and takes the lock.
    pub(super) fn lock(path: &Path) -> Result<Self, Trouble> {
        let name = path.file_name().ok_or_else(|| {
            Trouble::Nothing("its path names no file (expected FOLDER/NAME)".to_owned())
        })?;
        let folder = path.parent().filter(|parent| *parent != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let folder = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| folder.canonicalize())
            .map_err(|error| Trouble::Other(format!("its folder cannot be used: {error}")))?;
        let path = folder.join(name);
        let lock_path = with_suffix(&path, ".lock");
        let cannot =
            |error: io::Error| Trouble::Other(format!("its lock file cannot be used: {error}"));
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&lock_path)
            .map_err(cannot)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Trouble::InUse),
            Err(error) => return Err(cannot(error.into())),
        }
        let lock_identity = Identity::of(&lock.metadata().map_err(cannot)?);
        Ok(Self { path, lock_path, lock_identity, _lock: lock })
    }

    /// The database's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file where there is none, and sees whether it is ours alone.
    pub(super) fn prepare(&self) -> Result<(), Trouble> {
        // By us, for its mode; SQLite gives its log the same one. Closed before SQLite opens it:
        // closing it later would take away SQLite's locks.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Trouble::Other(format!("it cannot be made: {error}")));
            }
            _ => {}
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let path = with_suffix(&self.path, suffix);
            match fs::symlink_metadata(&path) {
                Ok(metadata) => check_file(&path, &metadata)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
                Err(error) => return Err(Trouble::Other(error.to_string())),
            }
        }
        Ok(())
    }

    /// Which file is there, and its size in bytes.
    pub(super) fn found(&self) -> Result<(Identity, u64), Trouble> {
        let metadata =
            fs::symlink_metadata(&self.path).map_err(|error| Trouble::Other(error.to_string()))?;
        Ok((Identity::of(&metadata), metadata.len()))
    }

    /// Whether `database` and the lock are still where they were.
    pub(super) fn holds(&self, database: Identity) -> bool {
        database.is_at(&self.path) && self.lock_identity.is_at(&self.lock_path)
    }

    /// Renames the database and its log. Returns its new name.
    pub(super) fn put_aside(&self, seconds: i64) -> io::Result<PathBuf> {
        let aside = (seconds..)
            .map(|seconds| with_suffix(&self.path, &format!(".corrupt-{seconds}")))
            .find(|aside| !aside.exists())
            .ok_or(io::ErrorKind::AlreadyExists)?;
        // The log first: one that is left behind would be played into the new database.
        for suffix in ["-wal", "-journal"] {
            if_there(fs::rename(with_suffix(&self.path, suffix), with_suffix(&aside, suffix)))?;
        }
        if_there(fs::remove_file(with_suffix(&self.path, "-shm")))?;
        if_there(fs::rename(&self.path, &aside))?;
        Ok(aside)
    }
}

/// Whether it is certain that there is no file of that name.
pub(super) fn is_vacant(path: &Path) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    fs::symlink_metadata(path).is_err_and(|error| absent.contains(&error.kind()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// It is no failure that there is nothing.
fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether only we can have written the file; one that others can is none of ours.
fn check_file(path: &Path, metadata: &Metadata) -> Result<(), Trouble> {
    let named = |why: &str| format!("the file `{}` {why}", path.display());
    let not_ours = |why: &str| Err(Trouble::Nothing(named(why)));
    if !metadata.is_file() {
        return not_ours("is no regular file");
    }
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us {
        let owner = metadata.uid();
        return not_ours(&format!("belongs to the user {owner} (expected {us}, as we run)"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_our_group(metadata.gid())) {
        let why = format!("can be written by others (its mode is {mode:o}, expected 600)");
        return not_ours(&why);
    }
    if mode & 0o020 != 0 {
        // A volume that Kubernetes mounts with `fsGroup` has every file so, at each start.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|error| {
            Trouble::Other(named(&format!("cannot be made ours alone: {error}")))
        })?;
    }
    Ok(())
}

fn is_our_group(group: u32) -> bool {
    let groups = rustix::process::getgroups().unwrap_or_default();
    groups.iter().chain([&rustix::process::getegid()]).any(|ours| ours.as_raw() == group)
}
