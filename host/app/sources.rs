//! Where the configuration comes from: finds and reads its files, and notices when they change.
//!
//! Files are looked at again and again rather than watched: that works on every file system, with
//! ConfigMaps (whose links are swapped), and with folders that vanish and return, and costs a few
//! microseconds a file. The core decides what the texts mean.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wellcheck_core::config::tree::Place;
use wellcheck_core::config::{
    self, Lookup, MAX_FILE, Problem, Problems, SourceFile, Sources, Unreadable,
};
use wellcheck_core::import::Options;

use wellcheck_fetch::{LOCK_FILE, Lock, MAX_LOCK};

use crate::folder::Listing;

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    device: u64,
    inode: u64,
    /// In bytes.
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Of the signature beside it: number, size, and when it was changed.
    signature: Option<(u64, u64, (i64, i64))>,
}

impl Fingerprint {
    /// Of what `metadata` describes.
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            signature: None,
        }
    }

    /// The same with that of a signature.
    pub(crate) fn signed(self, signature: Option<Self>) -> Self {
        let signature = signature.map(|found| (found.inode, found.size, found.changed));
        Self { signature, ..self }
    }
}

/// Where the configuration is.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// `wellcheck.toml`; `None` when there is none and none was asked for.
    pub(crate) main: Option<PathBuf>,
    /// The plugins folder.
    pub(crate) plugins: PathBuf,
    /// Job definitions that the command line names.
    pub(crate) jobs: Vec<PathBuf>,
    /// Where their operations run, and how often their checks do.
    pub(crate) job_options: Options,
}

/// The versions of some files; `None` for one that is not there.
pub(crate) type Fingerprints = BTreeMap<PathBuf, Option<Fingerprint>>;

/// What was read.
pub(crate) struct Found {
    /// The texts.
    pub(crate) sources: Sources,
    /// Files that cannot be read.
    pub(crate) problems: Vec<Problem>,
    /// The files that the configuration imports, as they were before they were read.
    pub(crate) imported: Fingerprints,
}

impl Places {
    /// `conf.d` beside the main file, or where it would be.
    fn included(&self) -> Option<PathBuf> {
        match &self.main {
            Some(main) => Some(main.parent()?.join("conf.d")),
            None => Some(PathBuf::from("conf.d")),
        }
    }

    /// What relative names in the configuration start from.
    pub(crate) fn base(&self) -> PathBuf {
        match self.main.as_deref().and_then(Path::parent) {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Where `plugins.lock` is: beside the configuration, or else beside the plugins folder.
    pub(crate) fn lock(&self) -> PathBuf {
        match (&self.main, self.plugins.parent()) {
            (None, Some(parent)) => parent.join(LOCK_FILE),
            _ => self.base().join(LOCK_FILE),
        }
    }

    /// Reads the lock; `None` where there is none.
    pub(crate) fn read_lock(&self) -> Result<Option<Lock>, Problem> {
        let path = self.lock();
        let name = shown(&path);
        let problem = |line: Option<u32>, why: String| {
            let place = match line {
                Some(line) => Place { line, column: 1, ..Place::file(Arc::clone(&name)) },
                None => Place::file(Arc::clone(&name)),
            };
            let mut problems = Problems::default();
            problems.error(&place, why);
            problems.sorted().remove(0)
        };
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read_file(&path, MAX_LOCK);
        let text = bytes.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_binary| "it is not UTF-8 text".to_owned())
        });
        let text = text.map_err(|why| problem(None, format!("cannot be read: {why}")))?;
        let lock = Lock::parse(&text);
        lock.map(Some).map_err(|(line, why)| problem(Some(line), why))
    }

    /// The configuration's files and their versions, without those of the plugins folder and those
    /// that it imports.
    pub(crate) fn fingerprints(&self) -> Fingerprints {
        let named = self.main.iter().chain(&self.jobs).cloned().chain([self.lock()]);
        named.chain(self.included_files()).map(fingerprinted).collect()
    }

    fn included_files(&self) -> Vec<PathBuf> {
        let Some(Ok(entries)) = self.included().map(std::fs::read_dir) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter(|path| !is_hidden(path))
            .collect();
        files.sort();
        files
    }

    /// Reads every file. Files that cannot be read are problems; a sidecar is a matter of its own
    /// check, and an imported file of what names it, and both go with the sources.
    pub(crate) fn read(&self, listing: &Listing) -> Found {
        let mut problems = Problems::default();
        let mut read = |path: &Path| match read_text(path) {
            Ok(text) => Some(SourceFile { name: shown(path), text }),
            Err(why) => {
                problems.error(&Place::file(shown(path)), format!("cannot be read: {why}"));
                None
            }
        };
        let main = self.main.as_deref().and_then(&mut read);
        let included: Vec<SourceFile> =
            self.included_files().iter().filter_map(|path| read(path)).collect();
        let jobs = self.jobs.iter().filter_map(|path| read(path)).collect();
        let sidecars = listing.sidecars().map(|(plugin, path)| {
            let name = shown(&path);
            let file = match listing.read_sidecar(plugin) {
                Ok(text) => Ok(SourceFile { name, text }),
                Err(why) => Err(Unreadable { name, why }),
            };
            (plugin.clone(), file)
        });
        let sidecars = sidecars.collect();
        let plugins = listing.names().cloned().collect();
        let (imported, fingerprints) = self.imported(main.iter().chain(&included));
        let job_options = self.job_options.clone();
        let sources = Sources { main, included, sidecars, plugins, imported, jobs, job_options };
        Found { sources, problems: problems.sorted(), imported: fingerprints }
    }

    /// The files that those of the configuration import, by the name that they have there.
    fn imported<'a>(
        &self,
        files: impl Iterator<Item = &'a SourceFile>,
    ) -> (Imported, Fingerprints) {
        let lookup = SystemLookup { base: self.base() };
        let (mut texts, mut fingerprints) = (Imported::new(), Fingerprints::new());
        // Most import nothing, and need not be parsed twice.
        for file in files.filter(|file| file.text.contains("import")) {
            for written in config::outline(file, &lookup).imports {
                if texts.contains_key(&written) {
                    continue;
                }
                let path = lookup.base.join(&written);
                fingerprints.extend([fingerprinted(path.clone())]);
                let name = shown(&path);
                let text = match read_text(&path) {
                    Ok(text) => Ok(SourceFile { name, text }),
                    Err(why) => Err(Unreadable { name, why }),
                };
                texts.insert(written, text);
            }
        }
        (texts, fingerprints)
    }
}

type Imported = BTreeMap<String, Result<SourceFile, Unreadable>>;

/// A file and its version.
pub(crate) fn fingerprinted(path: PathBuf) -> (PathBuf, Option<Fingerprint>) {
    let fingerprint = std::fs::metadata(&path).ok().map(|m| Fingerprint::of(&m));
    (path, fingerprint)
}

/// A URL without the user and password in front of its host.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{}", &rest[end..]),
        None => url.to_owned(),
    }
}

/// As problems name it: relative to the current folder where it is below it.
pub(crate) fn shown(path: &Path) -> Arc<str> {
    let current = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(current).unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_string_lossy().into()
}

/// Editors keep their own files beside the ones they edit.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Reads a text of at most [`MAX_FILE`] bytes from a regular file.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read_file(path, MAX_FILE)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Reads a regular file of at most so many bytes.
pub(crate) fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > most {
        return Err(format!("it is larger than {}", wellcheck_core::units::show_size(most as u64)));
    }
    Ok(bytes)
}

/// The environment and the file system, for `${NAME}` and `${file:PATH}`.
#[derive(Debug, Clone)]
pub(crate) struct SystemLookup {
    /// What relative paths start from.
    pub(crate) base: PathBuf,
}

impl Lookup for SystemLookup {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        read_text(&self.base.join(path))
    }
}

/// The plugins folder that the main file names, if it does.
pub(crate) fn plugins_dir(main: &Path) -> Option<PathBuf> {
    let base = main.parent().unwrap_or(Path::new("")).to_owned();
    let text = read_text(main).ok()?;
    let file = SourceFile { name: shown(main), text };
    let outline = config::outline(&file, &SystemLookup { base: base.clone() });
    Some(base.join(outline.plugins_dir?))
}
