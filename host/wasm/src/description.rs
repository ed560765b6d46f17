//! What a plugin says of itself, made fit to be shown.

use wellcheck_core::limits::KIB;

use crate::text;

/// Most wants, and most details.
const MAX_LIST: usize = 64;
/// Longest name, version, grant.
const MAX_WORD: usize = 64;
/// Longest line.
const MAX_LINE: usize = KIB;

/// What a plugin says of itself. One-line texts, bounded; none of it is to be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The plugin's own name; the check is named after the file.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line: what it checks.
    pub summary: String,
    /// A JSON Schema for the settings, as text.
    pub settings_schema: Option<String>,
    /// What it would like to be granted.
    pub wants: Vec<Want>,
    /// Further facts, name and text.
    pub details: Vec<(String, String)>,
}

/// Something outside that a plugin needs in order to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The grant's name in the configuration: `http`, ...
    pub grant: String,
    /// What it would be granted.
    pub value: String,
    /// One line for the person who decides.
    pub why: String,
}

impl Description {
    pub(crate) fn clean(&mut self) {
        text::clean(&mut self.name, MAX_WORD);
        text::clean(&mut self.version, MAX_WORD);
        text::clean(&mut self.summary, MAX_LINE);
        self.wants.truncate(MAX_LIST);
        for Want { grant, value, why } in &mut self.wants {
            text::clean(grant, MAX_WORD);
            text::clean(value, MAX_LINE);
            text::clean(why, MAX_LINE);
        }
        self.details.truncate(MAX_LIST);
        for (name, value) in &mut self.details {
            text::clean(name, MAX_WORD);
            text::clean(value, MAX_LINE);
        }
    }
}
