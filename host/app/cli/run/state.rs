//! `--state FILE`: what a plugin keeps from run to run, in a file of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use wellcheck_core::grant::MAX_STATE;
use wellcheck_core::id::CheckName;
use wellcheck_core::record::Blob;

use crate::checks::plugin::PluginChecker;
use crate::cli::record::write_whole;
use crate::store::Store;

/// Longest file, in bytes: base64 and escapes take more than what is kept.
const MAX_FILE: u64 = 4 * MAX_STATE;

/// The file: a JSON object with a text for each key, or `{"base64": "..."}` where it is none.
pub(super) struct StateFile(PathBuf);

impl StateFile {
    /// Reads what was kept before into the store. A file that is not there is made after the runs.
    pub(super) fn read(
        path: &Path,
        check: &CheckName,
        checker: &PluginChecker,
        store: &Store,
    ) -> anyhow::Result<Self> {
        if checker.grants().state == 0 {
            bail!("--state goes with a grant for it (for example `--grant state=64KiB`)");
        }
        let shown = path.display();
        let mut text = String::new();
        match std::fs::File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self(path.to_owned()));
            }
            file => file
                .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
                .with_context(|| format!("cannot read the state `{shown}`"))?,
        };
        if text.len() as u64 > MAX_FILE {
            bail!("the state `{shown}` is longer than {} MiB", MAX_FILE >> 20);
        }
        let state: BTreeMap<String, Blob> = serde_json::from_str(&text).with_context(|| {
            format!(
                "the state `{shown}` is no JSON object of texts (or of `{{\"base64\": \"...\"}}`)"
            )
        })?;
        let state = state.into_iter().map(|(key, value)| (key, Bytes::from(value.0))).collect();
        store.keep(check, checker.plugin().name(), Arc::new(state));
        Ok(Self(path.to_owned()))
    }

    /// Writes what is kept after the runs.
    pub(super) async fn write(
        self,
        check: &CheckName,
        checker: &PluginChecker,
        store: &Store,
    ) -> anyhow::Result<()> {
        let state = store.state(check, checker.plugin().name(), Duration::ZERO).await;
        let state = state.map_err(|why| anyhow!(why))?;
        let state: BTreeMap<&String, Blob> =
            state.iter().map(|(key, value)| (key, Blob(value.to_vec()))).collect();
        let mut json = serde_json::to_vec_pretty(&state).context("state is plain data")?;
        json.push(b'\n');
        write_whole(&self.0, &json)
            .with_context(|| format!("cannot write the state `{}`", self.0.display()))
    }
}
