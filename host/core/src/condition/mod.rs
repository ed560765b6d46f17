//! Conditions: what makes a check warn or fail besides what its kind says.
//!
//! A condition is an expression of CEL over the facts of a kind ([`crate::fact`]); one that is true
//! makes the check warn or fail. Everything about it is decided when the configuration is read:
//! names, types, patterns, paths. What is left for a run is to ask, within a budget, since what a
//! target says may be large.
//!
//! Conditions make an outcome worse and never better. They are not asked where there is no answer,
//! or where it fails already. What cannot be evaluated counts as met: an answer that lacks what a
//! condition is about is not as it should be.
//!
//! | file | what |
//! | --- | --- |
//! | `token.rs`, `translate.rs` | from the text to CEL: durations, sizes, names of facts |
//! | `types.rs`, `compile.rs`, `call.rs`, `path.rs` | what is checked and made ready once |
//! | `value.rs`, `scope.rs` | facts as CEL's values, and the budget |
//! | `show.rs` | values in messages |
//! | `range.rs` | bounds for observations |
//! | `judgement.rs` | all that judges a run, in its order |

mod call;
mod compile;
mod judgement;
mod path;
mod range;
mod scope;
mod show;
#[cfg(test)]
mod tests;
mod token;
mod translate;
mod types;
mod value;

use cel::Context;
use cel::common::types::CelBool;
use cel::common::value::CowVal;

pub use judgement::{Bound, Judgement, Rules, Written};
pub use path::json_path;
pub use range::Range;

use self::compile::{Compiled, Tables};
use self::scope::Scope;
use self::types::Type;
use self::value::Budget;
use crate::fact::{Asked, FactKey, Shape, fact};

/// Most conditions in one list.
pub const MAX_CONDITIONS: usize = 32;

/// Facts that every run has.
pub const COMMON_FACTS: &[FactKey] = &[
    fact("latency", Shape::Duration, "How long the run took."),
    fact("message", Shape::Text, "What the run says in one line."),
    fact(
        "observation.*",
        Shape::Number,
        "An observation of the run, by its name; of several, the first.",
    ),
    fact("detail.*", Shape::Text, "A detail of the run, by its name."),
];

/// What is wrong with a condition, and where in its text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 0.
    pub at: usize,
    /// A lower-case fragment.
    pub why: String,
}

impl Mistake {
    fn new(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}

/// What a condition that is met makes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A warning.
    Warn,
    /// A failure.
    Fail,
}

impl Severity {
    const fn verb(self) -> &'static str {
        match self {
            Self::Warn => "warns",
            Self::Fail => "fails",
        }
    }
}

/// One condition.
#[derive(Debug)]
struct Condition {
    /// As it may be shown.
    shown: String,
    severity: Severity,
    compiled: Compiled,
}

/// Conditions that share their facts.
#[derive(Debug, Default)]
pub struct Conditions {
    tables: Tables,
    list: Vec<Condition>,
}

impl Conditions {
    /// Adds a condition over these facts and those that every run has. `shown` is how it may be
    /// shown: without what came from outside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(
        &mut self,
        text: &str,
        shown: &str,
        severity: Severity,
        facts: &[&[FactKey]],
    ) -> Result<(), Mistake> {
        let all: Vec<FactKey> =
            facts.iter().copied().chain([COMMON_FACTS]).flatten().copied().collect();
        let compiled = compile::compile(text, &all, &mut self.tables)?;
        let shown = show::cut(shown.trim(), 160);
        self.list.push(Condition { shown, severity, compiled });
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The facts that a run has to find out for them.
    pub fn asked(&self) -> Asked {
        let common = |name: &str| {
            COMMON_FACTS.iter().any(|fact| match fact.name.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => fact.name == name,
            })
        };
        let names = self.tables.facts.iter().map(|fact| fact.name.clone());
        Asked::new(names.filter(|name| !common(name)))
    }

    /// Those of one severity that are met, each with one line that says why.
    fn met(&self, severity: Severity, scope: &Scope<'_>, budget: &Budget) -> Vec<String> {
        let wanted = self.list.iter().filter(|condition| condition.severity == severity);
        let mut wanted = wanted.peekable();
        if wanted.peek().is_none() {
            return Vec::new();
        }
        let mut context = Context::with_env(value::env());
        context.set_variable_resolver(scope);
        wanted.filter_map(|condition| condition.met(&context, budget)).collect()
    }
}

impl Condition {
    fn met(&self, context: &Context<'_, '_>, budget: &Budget) -> Option<String> {
        budget.begin(self.compiled.each);
        let found = cel::Value::resolve_val(&self.compiled.tree, context);
        let verb = self.severity.verb();
        if budget.is_spent() {
            return Some(format!(
                "the answer is too large to be judged ({verb} when `{}`)",
                self.shown
            ));
        }
        let is = found.ok().and_then(|v| v.downcast_ref::<CelBool>().map(|is| *is.inner()));
        if is == Some(false) {
            return None;
        }
        let mut seen = Vec::new();
        let mut missing = None;
        for look in &self.compiled.looks {
            budget.begin(1);
            match cel::Value::resolve_val(&look.tree, context) {
                Ok(value) => seen.push(described(&look.label, &value, &look.kind)),
                Err(_) if missing.is_none() => missing = Some(look.label.as_str()),
                Err(_) => {}
            }
        }
        let what = match (is, missing) {
            (None, Some(missing)) => format!("{} is not there", show::cut(missing, 100)),
            (None, None) if !seen.is_empty() => format!("{}, which cannot be judged", some(seen)),
            (None, None) => "it cannot be evaluated".to_owned(),
            (Some(_), _) if seen.is_empty() => match missing {
                Some(missing) => format!("{} is not there", show::cut(missing, 100)),
                None => "its condition is met".to_owned(),
            },
            (Some(_), _) => some(seen),
        };
        Some(format!("{what} ({verb} when `{}`)", self.shown))
    }
}

/// At most three, as a list.
fn some(mut seen: Vec<String>) -> String {
    if seen.len() > 3 {
        seen.truncate(3);
        seen.push("…".to_owned());
    }
    seen.join(", ")
}

fn described(label: &str, value: &CowVal<'_, '_>, kind: &Type) -> String {
    format!("{} is {}", show::cut(label, 100), show::shown(value.as_ref(), kind))
}
