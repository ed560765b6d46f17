//! Problems of a configuration: what was found, what was expected, and where.

use std::fmt;

use serde::Serialize;

use super::tree::Place;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, and somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// File, line and column, where there is a file.
    #[serde(flatten)]
    pub place: Place,
    /// A lower-case fragment: found, expected, what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.place, self.message)
    }
}

/// All problems found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Error, place, message.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Warning, place, message.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, message: String) {
        self.list.push(Problem { severity, place: place.clone(), message });
    }

    /// Adds all of `others`.
    pub fn append(&mut self, others: Self) {
        self.list.extend(others.list);
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is an error at this place.
    pub fn has_error_at(&self, place: &Place) -> bool {
        self.list.iter().any(|problem| {
            problem.severity == Severity::Error && problem.place.order() == place.order()
        })
    }

    /// By file, line and column.
    pub fn sorted(mut self) -> Vec<Problem> {
        self.list.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
        self.list
    }

    /// Rewrites every message, for redaction.
    pub fn rewrite(&mut self, rewrite: impl Fn(&mut String)) {
        for problem in &mut self.list {
            rewrite(&mut problem.message);
        }
    }
}

/// The known word that is closest to a mistyped one, if any is close.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(found, word), word))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// The tail of a message about an unknown word: `(known kinds: http, tcp; did you mean `tcp`?)`.
pub fn known<'a>(what: &str, found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = known.into_iter().collect();
    let list = words.join(", ");
    match did_you_mean(found, words) {
        Some(word) => format!("(known {what}: {list}; did you mean `{word}`?)"),
        None => format!("(known {what}: {list})"),
    }
}
