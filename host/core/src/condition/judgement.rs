//! What a check has to say about its own runs: conditions, budgets for the latency, bounds for
//! observations, and whether it is the other way round.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::Serialize;

use super::range::Range;
use super::scope::Scope;
use super::show::{rounded, seconds};
use super::value::Budget;
use super::{Conditions, Severity};
use crate::fact::{Asked, Found};
use crate::outcome::{Answer, FailReason, Outcome, Report, Run};
use crate::units::show_duration;

/// Judges the runs of a check; nothing, for most checks. Cheap to clone.
#[derive(Clone, Default)]
pub struct Judgement(Option<Arc<Ready>>);

struct Ready {
    rules: Rules,
    asked: Arc<Asked>,
}

/// What a judgement is made of.
#[derive(Debug, Default)]
pub struct Rules {
    /// The conditions, ready to be asked.
    pub conditions: Conditions,
    /// Everything as it may be shown, and what tells one judgement from another.
    pub written: Written,
    /// Latencies beyond which a run warns, and fails.
    pub latency: [Option<Duration>; 2],
    /// Bounds of observations, by name.
    pub bounds: Vec<(String, Bound)>,
    /// Whether the ranges that observations bring along count too.
    pub own_bounds: bool,
    /// Whether pass and fail change places.
    pub invert: bool,
}

/// A judgement as it stands in the configuration, without what came from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Written {
    /// Conditions that make it warn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warn: Vec<String>,
    /// Conditions that make it fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail: Vec<String>,
    /// A longer latency warns.
    #[serde(rename = "latency-warn", skip_serializing_if = "Option::is_none")]
    pub latency_warn: Option<String>,
    /// A longer latency fails.
    #[serde(rename = "latency-fail", skip_serializing_if = "Option::is_none")]
    pub latency_fail: Option<String>,
    /// Bounds of observations: name, and the ranges that warn and fail.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounds")]
    pub bounds: Vec<(String, Option<String>, Option<String>)>,
    /// Whether the ranges that observations bring along count.
    #[serde(rename = "own-bounds", skip_serializing_if = "is_false")]
    pub own_bounds: bool,
    /// Whether pass and fail change places.
    #[serde(skip_serializing_if = "is_false")]
    pub invert: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like that")]
fn is_false(value: &bool) -> bool {
    !value
}

type WrittenBound = (String, Option<String>, Option<String>);

fn bounds<S: serde::Serializer>(
    bounds: &impl AsRef<[WrittenBound]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        warn: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fail: Option<&'a str>,
    }
    serializer.collect_map(
        bounds.as_ref().iter().map(|(name, warn, fail)| {
            (name, Shown { warn: warn.as_deref(), fail: fail.as_deref() })
        }),
    )
}

/// The bounds of an observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bound {
    warn: Option<(Range, String)>,
    fail: Option<(Range, String)>,
}

impl Bound {
    /// Adds the range outside of which a value warns or fails, as monitoring plugins write it.
    ///
    /// # Errors
    /// When it is no range.
    pub fn set(&mut self, severity: Severity, text: &str) -> Result<(), String> {
        let range = Range::parse(text).ok_or_else(|| {
            format!(
                "`{}` is no range (expected for example `100`, `10:`, `~:100`, `10:20` or `@10:20`)",
                super::token::shorten(text)
            )
        })?;
        let own = match severity {
            Severity::Warn => &mut self.warn,
            Severity::Fail => &mut self.fail,
        };
        *own = Some((range, text.trim().to_owned()));
        Ok(())
    }
}

impl From<Rules> for Judgement {
    fn from(rules: Rules) -> Self {
        if rules.written == Written::default() {
            return Self(None);
        }
        let asked = Arc::new(rules.conditions.asked());
        Self(Some(Arc::new(Ready { rules, asked })))
    }
}

impl fmt::Debug for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written().fmt(f)
    }
}

impl PartialEq for Judgement {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

impl Judgement {
    /// How it stands in the configuration, if anything does.
    pub fn written(&self) -> Option<&Written> {
        self.0.as_ref().map(|ready| &ready.rules.written)
    }

    /// The facts that a run has to find out.
    pub fn asked(&self) -> Arc<Asked> {
        static NOTHING: LazyLock<Arc<Asked>> = LazyLock::new(Arc::default);
        Arc::clone(self.0.as_ref().map_or(&NOTHING, |ready| &ready.asked))
    }

    /// Judges a run, and empties what it found.
    pub fn apply(&self, run: &mut Run) {
        let Outcome::Answered(report) = &mut run.outcome else { return };
        let found = std::mem::take(&mut report.found);
        let Some(ready) = &self.0 else { return };
        ready.rules.annotate(report);
        if report.status != Answer::Fail {
            ready.rules.judge(report, &found, run.duration);
        }
        if ready.rules.invert {
            invert(report);
        }
    }
}

impl Rules {
    /// Writes the bounds to the observations that have them.
    fn annotate(&self, report: &mut Report) {
        for observation in &mut report.observations {
            if let Some((_, bound)) = self.bounds.iter().find(|(name, _)| *name == observation.name)
            {
                let text =
                    |own: &Option<(Range, String)>| own.as_ref().map(|(_, text)| text.clone());
                observation.warn = text(&bound.warn);
                observation.fail = text(&bound.fail);
            }
        }
    }

    fn judge(&self, report: &mut Report, found: &Found, latency: Duration) {
        let budget = Budget::new();
        let scope = (!self.conditions.is_empty())
            .then(|| Scope::new(&self.conditions.tables, report, found, latency, &budget));
        let levels = [(Severity::Fail, Answer::Fail), (Severity::Warn, Answer::Warn)];
        for (severity, answer) in levels {
            let slow = self.slow(severity, latency);
            let mut reason =
                if slow.is_some() { FailReason::Slow } else { FailReason::UnexpectedValue };
            let mut met: Vec<String> = slow.into_iter().collect();
            if let Some(scope) = &scope {
                met.extend(self.conditions.met(severity, scope, &budget));
            }
            met.extend(self.beyond(severity, report));
            if met.is_empty() {
                continue;
            }
            if met.len() > 1 {
                reason = FailReason::UnexpectedValue;
            }
            drop(scope);
            let more = met.len().saturating_sub(3);
            met.truncate(3);
            if more > 0 {
                met.push(format!("and {more} more"));
            }
            let said = met.join("; ");
            report.message = match report.status {
                Answer::Pass => said,
                _ => format!("{said}; {}", report.message),
            };
            report.reason = Some(reason);
            report.status = report.status.max(answer);
            return;
        }
    }

    fn slow(&self, severity: Severity, latency: Duration) -> Option<String> {
        let most = match severity {
            Severity::Warn => self.latency[0],
            Severity::Fail => self.latency[1],
        }?;
        (latency > most).then(|| {
            let verb = severity.verb();
            let found = seconds(latency.as_secs_f64());
            format!("latency is {found} ({verb} above {})", show_duration(most))
        })
    }

    /// Observations that are outside of their bounds.
    fn beyond(&self, severity: Severity, report: &Report) -> Vec<String> {
        if self.bounds.is_empty() && !self.own_bounds {
            return Vec::new();
        }
        let mut list = Vec::new();
        for (name, bound) in &self.bounds {
            let given = match severity {
                Severity::Warn => &bound.warn,
                Severity::Fail => &bound.fail,
            };
            let Some((range, text)) = given else { continue };
            let mut all = report.observations.iter().filter(|own| own.name == *name).peekable();
            if all.peek().is_none() {
                list.push(format!("{name} is not there ({} outside of `{text}`)", severity.verb()));
            }
            let out = all.filter(|own| range.alerts(own.value));
            list.extend(out.map(|own| outside(own, severity, text)));
        }
        if self.own_bounds {
            for own in &report.observations {
                let text = match severity {
                    Severity::Warn => &own.warn,
                    Severity::Fail => &own.fail,
                };
                if let Some(text) = text
                    && self.bounds.iter().all(|(name, _)| *name != own.name)
                    && Range::parse(text).is_some_and(|range| range.alerts(own.value))
                {
                    list.push(outside(own, severity, text));
                }
            }
        }
        list
    }
}

fn outside(own: &crate::outcome::Observation, severity: Severity, text: &str) -> String {
    let unit = own.unit.as_deref().unwrap_or("");
    let labels: Vec<String> =
        own.labels.iter().take(3).map(|(name, text)| format!("{name}={text}")).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let value = rounded(own.value, 3);
    let verb = severity.verb();
    let inside = text.trim_start().starts_with('@');
    let how = if inside { "within" } else { "outside of" };
    let text = super::show::cut(text.trim_start().trim_start_matches('@'), 60);
    format!("{}{labels} is {value}{unit} ({verb} {how} `{text}`)", own.name)
}

/// Pass and fail change places; a warning stays one.
fn invert(report: &mut Report) {
    match report.status {
        Answer::Pass => {
            report.status = Answer::Fail;
            report.reason = Some(FailReason::Inverted);
            report.message = format!("it passes and should not (`invert`): {}", report.message);
        }
        Answer::Fail => {
            report.status = Answer::Pass;
            report.reason = None;
            report.message = format!("it fails as it should (`invert`): {}", report.message);
        }
        Answer::Warn => {}
    }
}
