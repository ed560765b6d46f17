//! What of a project's folder a build is made of, as times and sizes: to see when something changed.
//!
//! Files are looked at, not watched, as the host does with its plugins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders that tools fill: dependencies, outputs, caches.
const IGNORED: &[&str] =
    &["target", "node_modules", "__pycache__", "zig-out", "zig-cache", "bindings", "dist", "venv"];

/// Endings of what builds leave beside the sources.
const OUTPUTS: &[&str] = &["wasm", "new", "swp", "pyc"];

/// Most files that are looked at, and how deep.
const MOST_FILES: usize = 5000;
const MOST_DEPTH: usize = 12;

/// The files of a project that an author writes, each with its time and size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Sources {
    /// Looks at a folder. What cannot be read is not there.
    pub fn of(folder: &Path) -> Self {
        let mut found = Self::default();
        found.look(folder, 0);
        found
    }

    fn look(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            // Hidden files are editors' and tools'; links may lead anywhere.
            if name.starts_with('.') || name.ends_with('~') || self.0.len() >= MOST_FILES {
                continue;
            }
            if kind.is_dir() {
                if depth < MOST_DEPTH && !IGNORED.contains(&name.as_ref()) {
                    self.look(&entry.path(), depth + 1);
                }
            } else if kind.is_file() {
                let path = entry.path();
                let is_output = path.extension().is_some_and(|e| OUTPUTS.iter().any(|o| e == *o));
                if let Ok(metadata) = entry.metadata().and_then(|m| Ok((m.modified()?, m.len())))
                    && !is_output
                {
                    self.0.insert(path, metadata);
                }
            }
        }
    }

    /// The files that are other than before, new or gone.
    pub fn changed_since(&self, before: &Self) -> Vec<PathBuf> {
        let other = self.0.iter().filter(|(path, now)| before.0.get(*path) != Some(now));
        let gone = before.0.keys().filter(|path| !self.0.contains_key(*path));
        other.map(|(path, _)| path).chain(gone).cloned().collect()
    }

    /// Takes what is new in `now` for known: what a build leaves is no reason for another.
    pub fn adopt_new(&mut self, now: &Self) {
        for (path, state) in &now.0 {
            self.0.entry(path.clone()).or_insert(*state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_seen_to_change_and_outputs_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "one");
        write("gone.c", "one");
        let before = Sources::of(folder.path());
        for ignored in ["target/x.rs", "node_modules/a/b.js", "p.wasm", ".venv/x.py", "p.py~"] {
            write(ignored, "output");
        }
        assert_eq!(Sources::of(folder.path()), before);
        write("src/lib.rs", "other");
        write("new.c", "new");
        std::fs::remove_file(folder.path().join("gone.c")).unwrap();
        let after = Sources::of(folder.path());
        let mut names = after.changed_since(&before);
        names.sort();
        let expected = ["gone.c", "new.c", "src/lib.rs"].map(|name| folder.path().join(name));
        assert_eq!(names, expected);
        let mut known = before;
        known.adopt_new(&after);
        assert_eq!(after.changed_since(&known).len(), 2);
    }
}
