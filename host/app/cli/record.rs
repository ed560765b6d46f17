//! Files with records, and other files that are there whole or not at all.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use wellcheck_core::record::{FORMAT, Record};

/// Largest file with a record, in bytes.
const MAX_RECORD: u64 = 64 << 20;

/// Reads a record.
///
/// # Errors
/// When there is none, or something else.
pub(super) fn read(path: &Path) -> anyhow::Result<Record> {
    #[derive(Deserialize)]
    struct Form {
        format: Option<String>,
    }
    let shown = path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_RECORD + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the record `{shown}`"))?;
    if bytes.len() as u64 > MAX_RECORD {
        bail!("the record `{shown}` is longer than {} MiB", MAX_RECORD >> 20);
    }
    let no_record = || format!("`{shown}` is no record");
    let form: Form = serde_json::from_slice(&bytes).with_context(no_record)?;
    match form.format.as_deref() {
        Some(FORMAT) => serde_json::from_slice(&bytes).with_context(no_record),
        Some(other) => {
            let other = wellcheck_wasm::cleaned(other, 100);
            bail!("the record `{shown}` is of the form `{other}` (expected `{FORMAT}`)")
        }
        None => bail!(
            "`{shown}` is no record: it has no `format` (expected `{FORMAT}`; `wellcheck run --record` and `wellcheck check record` write one)"
        ),
    }
}

/// Writes a record, for its owner only.
///
/// # Errors
/// When it cannot be written; there is then what there was before.
pub(super) fn write(path: &Path, record: &Record) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(record).context("a record is plain data")?;
    json.push(b'\n');
    write_whole(path, &json)
        .with_context(|| format!("cannot write the record `{}`", path.display()))
}

/// Writes a file, whole or not at all, that only its owner can read.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|parent| *parent != Path::new(""));
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
