//! The plugins folder: what is in it, and how its files are read.
//!
//! The folder is hostile: whoever can write to it may put links, pipes, devices, huge files and odd
//! names there. Sub-folders and files that are neither `.wasm` nor `.toml` are none of our business,
//! so that the folder can be a source tree at the same time. Nothing is opened by a path that
//! could leave the folder.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use wellcheck_core::config::MAX_SIDECAR;
use wellcheck_core::id::PluginName;
use wellcheck_core::units::show_size;

use crate::sources::{Fingerprint, is_hidden};

/// Most plugins in one folder; further ones are left out, with a note.
const MAX_PLUGINS: usize = 1_000;

/// Most notes about one folder.
const MAX_NOTES: usize = 20;

/// What is in the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    dir: PathBuf,
    files: BTreeMap<PluginName, Found>,
    /// What is there but cannot be a plugin, one line each.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    file_name: String,
    /// `Err` for what is no regular file.
    fingerprint: Result<Fingerprint, String>,
    /// Of whatever is called `NAME.toml`; reading it says whether it can be used.
    sidecar: Option<Fingerprint>,
}

impl Listing {
    /// Lists the folder. A folder that is not there is an empty one, with a note.
    pub(crate) fn read(dir: &Path) -> Self {
        let mut listing = Self { dir: dir.to_owned(), ..Self::default() };
        let mut notes = Vec::new();
        let mut names: Vec<String> = Vec::new();
        match std::fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.filter_map(Result::ok) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let lower = name.to_ascii_lowercase();
                    if (lower.ends_with(".wasm") || lower.ends_with(".toml"))
                        && !is_hidden(&entry.path())
                    {
                        names.push(name);
                    }
                }
            }
            Err(error) => {
                notes.push(format!(
                    "the plugins folder `{}` cannot be read: {error}",
                    dir.display()
                ));
            }
        }
        // Sorted, so that the same folder always gives the same answer; `x.wasm` before `x.WASM`.
        names.sort_by_key(|name| (!name.ends_with(".wasm"), name.clone()));
        for name in names.iter().filter(|name| name.to_ascii_lowercase().ends_with(".wasm")) {
            if let Err(note) = listing.add(name) {
                notes.push(note);
            }
        }
        for name in names.iter().filter(|name| name.ends_with(".toml")) {
            listing.add_sidecar(name, &mut notes);
        }
        if notes.len() > MAX_NOTES {
            let more = notes.len() - MAX_NOTES;
            notes.truncate(MAX_NOTES);
            notes.push(format!("and {more} more files of the plugins folder cannot be used"));
        }
        listing.notes = notes;
        listing
    }

    fn add(&mut self, file_name: &str) -> Result<(), String> {
        let shown: String = file_name.chars().take(100).flat_map(char::escape_debug).collect();
        let path = self.dir.join(file_name);
        if path.is_dir() {
            return Ok(());
        }
        let stem = &file_name[..file_name.len() - ".wasm".len()];
        let name = PluginName::new(stem)
            .map_err(|error| format!("the file `{shown}` is not used: {error}"))?;
        if self.files.len() >= MAX_PLUGINS {
            return Err(format!(
                "the file `{shown}` is not used: the folder holds more than {MAX_PLUGINS} plugins"
            ));
        }
        if let Some(first) = self.files.get(&name) {
            return Err(format!(
                "the file `{shown}` is not used: `{}` has the same name",
                first.file_name
            ));
        }
        let fingerprint = fingerprint(&path);
        self.files
            .insert(name, Found { file_name: file_name.to_owned(), fingerprint, sidecar: None });
        Ok(())
    }

    /// A `.toml` whose name could not be a plugin's is something else, such as `Cargo.toml`.
    fn add_sidecar(&mut self, file_name: &str, notes: &mut Vec<String>) {
        let stem = &file_name[..file_name.len() - ".toml".len()];
        let Ok(name) = PluginName::new(stem) else { return };
        match self.files.get_mut(&name) {
            None => notes
                .push(format!("the sidecar `{file_name}` has no plugin `{stem}.wasm` beside it")),
            Some(found) => found.sidecar = fingerprint_beneath(&self.dir, file_name),
        }
    }

    /// The plugins' names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &PluginName> {
        self.files.keys()
    }

    /// The plugins' files.
    pub(crate) fn files(
        &self,
    ) -> impl Iterator<Item = (&PluginName, &Result<Fingerprint, String>)> {
        self.files.iter().map(|(name, found)| (name, &found.fingerprint))
    }

    /// The sidecars and where they are.
    pub(crate) fn sidecars(&self) -> impl Iterator<Item = (&PluginName, PathBuf)> {
        self.files
            .iter()
            .filter(|(_, found)| found.sidecar.is_some())
            .map(|(name, _)| (name, self.dir.join(format!("{name}.toml"))))
    }

    /// Reads the sidecar of a plugin, of at most [`MAX_SIDECAR`] bytes.
    ///
    /// # Errors
    /// In words, and without its content, when it is no regular file beneath the folder, or too
    /// large, or unreadable, or no text.
    pub(crate) fn read_sidecar(&self, name: &PluginName) -> Result<String, String> {
        let bytes = read_beneath(&self.dir, &format!("{name}.toml"), MAX_SIDECAR as u64)?;
        String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
    }

    /// What the configuration depends on: which plugins there are, and their sidecars.
    pub(crate) fn shape(&self) -> Vec<(PluginName, Option<Fingerprint>)> {
        self.files.iter().map(|(name, found)| (name.clone(), found.sidecar)).collect()
    }

    /// Reads a plugin's file, of at most `limit` bytes.
    ///
    /// # Errors
    /// In words, when it is no regular file beneath the folder, or too large, or unreadable.
    pub(crate) fn load(&self, name: &PluginName, limit: u64) -> Result<Vec<u8>, String> {
        let found = self.files.get(name).ok_or("the file is gone")?;
        read_beneath(&self.dir, &found.file_name, limit)
    }
}

fn fingerprint(path: &Path) -> Result<Fingerprint, String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "the file is a link that leads nowhere".to_owned(),
        _ => error.to_string(),
    })?;
    regular(&metadata).map(|()| Fingerprint::of(&metadata))
}

fn regular(metadata: &Metadata) -> Result<(), String> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "a device"
    };
    Err(format!("the file is {what} (expected a regular file)"))
}

/// Of what is there, without looking at anything outside of `dir`: of a link that leads there, of the
/// link itself. `None` if it is gone.
fn fingerprint_beneath(dir: &Path, file_name: &str) -> Option<Fingerprint> {
    let metadata = metadata_beneath(dir, file_name)
        .or_else(|_| std::fs::symlink_metadata(dir.join(file_name)));
    metadata.ok().map(|metadata| Fingerprint::of(&metadata))
}

/// Opens nothing: a device may do something when it is opened.
fn metadata_beneath(dir: &Path, file_name: &str) -> Result<Metadata, String> {
    let file = File::from(open_beneath(dir, file_name, OFlags::PATH | OFlags::CLOEXEC)?);
    file.metadata().map_err(|error| error.to_string())
}

/// Opens without following anything that leads out of `dir`.
fn open_beneath(dir: &Path, file_name: &str, flags: OFlags) -> Result<OwnedFd, String> {
    let folder = File::open(dir).map_err(|error| format!("the plugins folder: {error}"))?;
    let open = |flags, resolve| {
        rustix::fs::openat2(folder.as_fd(), file_name, flags, Mode::empty(), resolve)
    };
    match open(flags, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
        Ok(fd) => Ok(fd),
        Err(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP) => {
            Err("the file is a link that leaves the plugins folder".to_owned())
        }
        Err(rustix::io::Errno::NOENT) => {
            Err("the file is gone, or a link that leads nowhere".to_owned())
        }
        // An old kernel, or a sandbox that does not know the call: then no links at all.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            rustix::fs::openat(folder.as_fd(), file_name, flags | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|error| format!("the file cannot be opened: {error}"))
        }
        Err(error) => Err(format!("the file cannot be opened: {error}")),
    }
}

fn read_beneath(dir: &Path, file_name: &str, limit: u64) -> Result<Vec<u8>, String> {
    regular(&metadata_beneath(dir, file_name)?)?;
    // Something else may have come in its place, perhaps a pipe that nobody writes to.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open_beneath(dir, file_name, flags)?);
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    regular(&metadata)?;
    let too_large = |size: u64| {
        format!("the file has {}, more than the limit of {}", show_size(size), show_size(limit))
    };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
