//! Secrets by name: the ones that the check's grants name, and no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::HasData;
use wellcheck_core::grant::{GrantKind, Grants};

use crate::host::RunShared;

/// What the import sees.
pub(crate) struct SecretsView<'a> {
    pub(crate) grants: &'a Grants,
    pub(crate) secrets: &'a BTreeMap<String, String>,
    pub(crate) shared: &'a Arc<RunShared>,
}

/// Ties the view to the linker.
pub(crate) struct SecretsImport;

impl HasData for SecretsImport {
    type Data<'a> = SecretsView<'a>;
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSecret {
    Denied,
    Missing,
}

impl SecretsView<'_> {
    pub(crate) fn get(&self, name: &str) -> Result<String, NoSecret> {
        if let Err(denial) = self.grants.secret(name) {
            self.shared.deny(denial);
            return Err(NoSecret::Denied);
        }
        let value = self.secrets.get(name).ok_or(NoSecret::Missing)?;
        self.shared.used(GrantKind::Secrets, name);
        if let Some(tape) = &self.shared.tape {
            tape.secret(name);
        }
        Ok(value.clone())
    }
}
