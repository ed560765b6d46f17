//! The answer no, and what is remembered of every answer.

use std::fmt;

use super::GrantKind;

/// What was asked for and is not granted, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The grant that decides.
    pub kind: GrantKind,
    /// The request, for example `http://10.0.0.7:15672`.
    pub asked: String,
    /// A line of TOML for `[check.grants]` that would allow it; nothing where no grant does.
    pub allow: Option<String>,
    /// Why no grant allows it, where none does.
    pub why: &'static str,
}

impl Denial {
    /// A denial that a grant with one of these values would turn into a permission.
    pub(super) fn new(kind: GrantKind, asked: String, values: &[String]) -> Self {
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        Self { kind, asked, allow: Some(format!("{kind} = [{}]", values.join(", "))), why: "" }
    }

    /// A denial that no grant changes.
    pub(super) fn impossible(kind: GrantKind, asked: String, why: &'static str) -> Self {
        Self { kind, asked, allow: None, why }
    }

    /// Nothing may be kept.
    pub(super) fn state() -> Self {
        Self {
            kind: GrantKind::State,
            asked: "state".to_owned(),
            allow: Some("state = \"64KiB\"".to_owned()),
            why: "",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no grant for `{}` ", self.asked)?;
        match &self.allow {
            Some(allow) => write!(f, "(this would allow it: `{allow}`)"),
            None => write!(f, "(no grant allows this: {})", self.why),
        }
    }
}

/// One thing that a run asked for, and whether it got it. Ordered, so that a set of them is stable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Use {
    /// The grant that decides.
    pub kind: GrantKind,
    /// What was asked for, in that grant's notation.
    pub value: String,
    /// Whether it was refused.
    pub denied: bool,
}

impl Use {
    /// Something that was allowed.
    pub fn allowed(kind: GrantKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into(), denied: false }
    }
}

impl From<&Denial> for Use {
    fn from(denial: &Denial) -> Self {
        Self { kind: denial.kind, value: denial.asked.clone(), denied: true }
    }
}
