//! From a record to a world on this machine: its grants, and its folders in a temporary one.

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;
use wellcheck_core::grant::{DirGrant, Grants};
use wellcheck_core::record::Record;
use wellcheck_wasm::{Replay, lay_out};

use crate::cli::given::GivenArgs;

/// Most folders that a record may grant.
const MOST_DIRS: usize = 64;

/// What stands at the end of a folder that may be written.
const WRITE: &str = " (write)";

/// A record's grants, and the folders that they lead to while this is there.
pub(in crate::cli::plugin) struct Laid {
    grants: Grants,
    /// What could not be granted as it was.
    pub(in crate::cli::plugin) notes: Vec<String>,
    _folders: Vec<TempDir>,
}

impl Laid {
    /// Lays out the folders of a record, and adds to its grants what is given besides.
    ///
    /// # Errors
    /// When the record's files cannot be, or what is given is no grant.
    pub(in crate::cli::plugin) fn out(record: &Record, given: &GivenArgs) -> anyhow::Result<Self> {
        let mut grants = Grants::default();
        let (mut notes, mut folders) = (Vec::new(), Vec::new());
        let all = record.grants.iter().flat_map(|(kind, list)| list.iter().map(move |v| (kind, v)));
        for (kind, value) in all {
            if kind == "dirs" && folders.len() < MOST_DIRS {
                let (guest, write) = guest(value);
                let folder = TempDir::with_prefix("wellcheck-replay-")
                    .context("making a folder for the record's files")?;
                lay_out(&record.files, guest, folder.path()).with_context(|| {
                    format!("laying out the files of `{}`", wellcheck_wasm::cleaned(guest, 200))
                })?;
                let host = folder.path().to_string_lossy();
                match DirGrant::new(&host, guest, write) {
                    Ok(dir) => grants.dirs.push(dir),
                    Err(error) => notes.push(not_granted(kind, value, &error.to_string())),
                }
                folders.push(folder);
            } else if let Err(why) = grants.add(kind, value) {
                notes.push(not_granted(kind, value, &why));
            }
        }
        let grants = given.grants(grants)?;
        Ok(Self { grants, notes, _folders: folders })
    }

    /// The world.
    ///
    /// # Errors
    /// When something in the record cannot be used.
    pub(in crate::cli::plugin) fn replay(&self, record: &Record) -> anyhow::Result<Replay> {
        Ok(Replay::new(record, self.grants.clone())?)
    }
}

fn not_granted(kind: &str, value: &str, why: &str) -> String {
    let clean = |text: &str| wellcheck_wasm::cleaned(text, 300);
    format!(
        "a grant of the record is none here: `{}` in `{}`: {}",
        clean(value),
        clean(kind),
        clean(why)
    )
}

/// Where the guest sees a folder, and whether it may write there, of `HOST as GUEST (write)`.
fn guest(shown: &str) -> (&str, bool) {
    let (path, write) = match shown.strip_suffix(WRITE) {
        Some(path) => (path, true),
        None => (shown, false),
    };
    (path.rsplit_once(" as ").map_or(path, |(_, guest)| guest), write)
}

/// The settings of a record, or those that are given in their place.
pub(in crate::cli::plugin) fn settings(
    record: Option<&Record>,
    given: &GivenArgs,
) -> anyhow::Result<Value> {
    let usual =
        record.map_or_else(|| Value::Object(serde_json::Map::new()), |r| r.settings.clone());
    given.settings(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_as_they_are_shown() {
        for (host, at, write) in
            [("/a", "/a", false), ("/a b", "/c", true), ("/a as b", "/", false)]
        {
            let dir = DirGrant::new(host, at, write).unwrap();
            assert_eq!(guest(&dir.to_string()), (at, write), "{dir}");
        }
    }
}
