//! A module as configured: how `GET /probe` looks at a target that the request names.

use std::time::Duration;

use crate::check::What;
use crate::condition::Judgement;
use crate::config::tree::{Place, Text};
use crate::grant::Targets;

/// What a request without `module` asks for. It is there unless the configuration has its own.
pub const DEFAULT_MODULE: &str = "http_2xx";

/// Longest name, in bytes.
pub const MAX_NAME: usize = 63;

/// One module of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSpec {
    /// Unique among modules. Letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Longest a probe may take, however long the scraper would wait.
    pub timeout: Duration,
    /// Which targets may be probed.
    pub targets: Targets,
    /// What makes a probe warn or fail besides what its kind says.
    pub judgement: Judgement,
    /// What runs. The kind's settings are without the key for the target.
    pub what: What,
    /// For a plugin: the key of its settings that the target is put into.
    pub target_setting: String,
    /// The module as it may be shown: TOML without secrets.
    pub shown: String,
    /// Where it stands.
    pub place: Place,
}

impl ModuleSpec {
    /// The module of the name [`DEFAULT_MODULE`]: an `http` check with its defaults, for public
    /// addresses.
    pub fn standard() -> Self {
        let place = Place::file("the default module");
        let kind = Text { value: "http".to_owned(), written: None, place: place.clone() };
        let settings =
            crate::config::tree::Table { entries: Default::default(), place: place.clone() };
        Self {
            name: DEFAULT_MODULE.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            targets: Targets::default(),
            judgement: Judgement::default(),
            what: What::Builtin { kind, settings },
            target_setting: DEFAULT_TARGET_SETTING.to_owned(),
            shown: format!("name = \"{DEFAULT_MODULE}\"\nkind = \"http\"\n"),
            place,
        }
    }

    /// The word after `kind =`.
    pub fn kind(&self) -> &str {
        match &self.what {
            What::Builtin { kind, .. } => &kind.value,
            What::Plugin { .. } => "plugin",
        }
    }
}

/// Longest a probe may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The key of a plugin's settings that the target is put into unless told otherwise.
pub const DEFAULT_TARGET_SETTING: &str = "target";

/// Reads the name of a module.
///
/// # Errors
/// When it is none.
pub fn name(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(fits) {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        return Err(format!(
            "`{shown}` is no name of a module (expected 1 to {MAX_NAME} letters, digits, `_`, `-` and `.`)"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_modules_are_names() {
        for good in ["http_2xx", "tcp_connect", "HTTP-post.v2", "a"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a/b", "ä", "a\n", &"a".repeat(MAX_NAME + 1)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
