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

/// Longest message where problems are bounded, in characters.
const MAX_MESSAGE: usize = 1_000;

/// All problems found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    /// How many are kept, where that is bounded.
    most: Option<usize>,
    /// How many were found beyond that, and how bad the worst of them is.
    left_out: Option<(usize, Severity)>,
}

impl Problems {
    /// None yet; of a file that somebody wrote who is not trusted with the configuration. The first
    /// `most` are kept, each with at most 1,000 characters, and the others are counted.
    pub fn at_most(most: usize) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    /// Whether further ones are only counted.
    pub fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.list.len() >= most)
    }

    /// Adds an error.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Error, place, message.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Severity::Warning, place, message.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, mut message: String) {
        if self.is_full() {
            let (count, worst) = self.left_out.unwrap_or((0, severity));
            self.left_out = Some((count + 1, worst.min(severity)));
            return;
        }
        if self.most.is_some()
            && let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE)
        {
            message.truncate(end);
            message.push('…');
        }
        self.list.push(Problem { severity, place: place.clone(), message });
    }

    /// Adds all of `others`; how many it left out is one more problem, behind its last one.
    pub fn append(&mut self, others: Self) {
        let last = others.list.iter().max_by(|a, b| a.place.order().cmp(&b.place.order()));
        let more = last.zip(others.left_out).map(|(last, (count, severity))| Problem {
            severity,
            place: last.place.clone(),
            message: format!("… and {count} more"),
        });
        self.list.extend(others.list);
        self.list.extend(more);
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.left_out.is_some_and(|(_, worst)| worst == Severity::Error)
            || self.list.iter().any(|problem| problem.severity == Severity::Error)
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
