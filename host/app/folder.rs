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
use wellcheck_core::snapshot::Newest;
use wellcheck_core::source::PublicKey;
use wellcheck_core::units::show_size;
use wellcheck_fetch::{MAX_SIGNATURE, digest_of, verify};

use crate::fetches::There;
use crate::sources::{Fingerprint, is_hidden, read_file};

/// What the file of a plugin's signature is called, behind the plugin's own name.
const MINISIG: &str = ".minisig";

/// The end of such names.
const SIGNATURE: &str = ".wasm.minisig";

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
    /// Empty where there is no file in the folder.
    file_name: String,
    /// `Err` for what is no regular file.
    fingerprint: Result<Fingerprint, String>,
    /// Of whatever is called `NAME.toml`; reading it says whether it can be used.
    sidecar: Option<Fingerprint>,
    /// What comes from elsewhere under this name; it wins over a file of the folder.
    fetched: Option<There>,
}

/// What there is of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// A file, and whether it is whole: one that others may be writing must be quiet first.
    File(Fingerprint, bool),
    /// Something that is no file.
    Unusable(&'a str),
    /// Nothing yet.
    Waiting(&'a Newest),
}

impl Listing {
    /// Lists the folder. A folder that is not there is an empty one, with a note.
    pub(crate) fn read(dir: &Path) -> Self {
        Self::read_with(dir, &BTreeMap::new())
    }

    /// Likewise, with what comes from elsewhere.
    pub(crate) fn read_with(dir: &Path, fetched: &BTreeMap<PluginName, There>) -> Self {
        let mut listing = Self { dir: dir.to_owned(), ..Self::default() };
        let mut notes = Vec::new();
        let mut names: Vec<String> = Vec::new();
        match std::fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.filter_map(Result::ok) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let lower = name.to_ascii_lowercase();
                    let ends = [".wasm", ".toml", SIGNATURE].iter().any(|end| lower.ends_with(end));
                    if ends && !is_hidden(&entry.path()) {
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
            let signature = format!("{name}{MINISIG}");
            let signature = names.contains(&signature).then_some(signature);
            if let Err(note) = listing.add(name, signature.as_deref()) {
                notes.push(note);
            }
        }
        for (name, there) in fetched {
            let nothing = Found {
                file_name: String::new(),
                fingerprint: Err("there is no file".to_owned()),
                sidecar: None,
                fetched: None,
            };
            let found = listing.files.entry(name.clone()).or_insert(nothing);
            found.fetched = Some(there.clone());
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

    fn add(&mut self, file_name: &str, signature: Option<&str>) -> Result<(), String> {
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
        // A file whose signature comes later is another one then.
        let signature = signature.and_then(|name| fingerprint_beneath(&self.dir, name));
        let fingerprint = fingerprint(&path).map(|found| found.signed(signature));
        let file_name = file_name.to_owned();
        self.files.insert(name, Found { file_name, fingerprint, sidecar: None, fetched: None });
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

    /// The names of the folder's plugins, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &PluginName> {
        self.files.iter().filter(|(_, found)| !found.file_name.is_empty()).map(|(name, _)| name)
    }

    /// Whether there is a plugin of this name, in the folder or from elsewhere.
    pub(crate) fn has(&self, name: &PluginName) -> bool {
        self.files.contains_key(name)
    }

    /// What there is of each plugin.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&PluginName, Seen<'_>)> {
        self.files.iter().map(|(name, found)| {
            let seen = match (&found.fetched, &found.fingerprint) {
                (Some(There::Kept(_, _, fingerprint)), _) => Seen::File(*fingerprint, true),
                (Some(There::Waiting(newest)), _) => Seen::Waiting(newest),
                (None, Ok(fingerprint)) => Seen::File(*fingerprint, false),
                (None, Err(why)) => Seen::Unusable(why),
            };
            (name, seen)
        })
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
        let counts = |found: &Found| !found.file_name.is_empty() || found.sidecar.is_some();
        let there = self.files.iter().filter(|(_, found)| counts(found));
        there.map(|(name, found)| (name.clone(), found.sidecar)).collect()
    }

    /// Reads a plugin's file, of at most `limit` bytes. Files of the folder must be signed by one of
    /// `keys`, if there are any.
    ///
    /// # Errors
    /// In words, when it is no regular file beneath the folder, or too large, or unreadable, or not
    /// signed as it must be.
    pub(crate) fn load(
        &self,
        name: &PluginName,
        limit: u64,
        keys: &[PublicKey],
    ) -> Result<Vec<u8>, String> {
        let found = self.files.get(name).ok_or("the file is gone")?;
        match &found.fetched {
            Some(There::Kept(path, digest, _)) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let bytes =
                    read_file(path, limit).map_err(|why| format!("the kept file: {why}"))?;
                if digest_of(&bytes) != *digest {
                    return Err("the kept file was changed (a reload fetches it again)".to_owned());
                }
                return Ok(bytes);
            }
            Some(There::Waiting(_)) => return Err("the file is gone".to_owned()),
            None => {}
        }
        let bytes = read_beneath(&self.dir, &found.file_name, limit)?;
        if !keys.is_empty() {
            let file_name = format!("{}{MINISIG}", found.file_name);
            let signature = read_beneath(&self.dir, &file_name, MAX_SIGNATURE as u64).ok();
            let signature = signature.and_then(|bytes| String::from_utf8(bytes).ok());
            let what = format!("the file `{}`", found.file_name);
            verify(&bytes, signature.as_deref(), keys, &what).map_err(|error| {
                format!(
                    "{}; `require-signed` of `[plugins]` asks for `{file_name}` beside it",
                    error.message
                )
            })?;
        }
        Ok(bytes)
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
