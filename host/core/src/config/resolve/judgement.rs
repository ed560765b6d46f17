//! The keys by which a check judges its own runs: conditions, budgets, bounds.

use std::time::Duration;

use super::Resolver;
use crate::condition::{Bound, Conditions, Judgement, MAX_CONDITIONS, Mistake, Rules, Severity};
use crate::config::keys::Key;
use crate::config::keys::key;
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Place, Table, Text, Value};
use crate::fact::FactKey;
use crate::units::show_duration;

/// Most observations with bounds.
const MAX_BOUNDS: usize = 64;

/// Longest budget.
const MAX_LATENCY: Duration = Duration::from_hours(24);

/// The keys of one entry of `bounds`.
const BOUND: &[Key] = &[
    key("warn", "none", "warn = \"0:100\"", "Outside of it, the check warns."),
    key("fail", "none", "fail = \"~:200\"", "Outside of it, the check fails."),
];

impl Resolver<'_> {
    /// The facts of what a table runs: of its kind, if it names one.
    pub(super) fn facts_of(&self, reader: &Reader) -> &'static [&'static [FactKey]] {
        match reader.peek("kind") {
            Some(Value::String(kind)) => self.kinds.facts(&kind.value),
            _ => &[],
        }
    }

    /// Reads and compiles all that judges a run.
    pub(super) fn judgement(
        &mut self,
        reader: &mut Reader,
        facts: &[&[FactKey]],
        timeout: Duration,
    ) -> Judgement {
        let mut rules = Rules::default();
        for (key, severity) in [("warn", Severity::Warn), ("fail", Severity::Fail)] {
            let texts = reader.texts(key, &mut self.problems);
            let shown = conditions(
                key,
                severity,
                &texts,
                facts,
                reader,
                &mut rules.conditions,
                &mut self.problems,
            );
            match severity {
                Severity::Warn => rules.written.warn = shown,
                Severity::Fail => rules.written.fail = shown,
            }
        }
        let fail_place = reader.place_of("latency-fail");
        let warn_place = reader.place_of("latency-warn");
        let range = Duration::from_millis(1)..=MAX_LATENCY;
        let warn = reader.duration("latency-warn", range.clone(), &mut self.problems);
        let fail = reader.duration("latency-fail", range, &mut self.problems);
        for (key, place, budget) in
            [("latency-warn", &warn_place, warn), ("latency-fail", &fail_place, fail)]
        {
            if let Some(budget) = budget.filter(|budget| *budget >= timeout) {
                let message = format!(
                    "`{key}` of {} is {}, and a run takes {} at most (expected less than the timeout)",
                    reader.what(),
                    show_duration(budget),
                    show_duration(timeout)
                );
                self.problems.error(place, message);
            }
        }
        if let (Some(warn), Some(fail)) = (warn, fail)
            && warn >= fail
        {
            let message = format!(
                "`latency-warn` of {} is {}, no less than its `latency-fail` of {}",
                reader.what(),
                show_duration(warn),
                show_duration(fail)
            );
            self.problems.error(&warn_place, message);
        }
        rules.latency = [warn, fail];
        rules.written.latency_warn = warn.map(show_duration);
        rules.written.latency_fail = fail.map(show_duration);
        if let Some(table) = reader.table("bounds", &mut self.problems) {
            self.bounds(reader.what(), table, &mut rules);
        }
        rules.own_bounds = reader.boolean("own-bounds", &mut self.problems).unwrap_or(false);
        rules.invert = reader.boolean("invert", &mut self.problems).unwrap_or(false);
        rules.written.own_bounds = rules.own_bounds;
        rules.written.invert = rules.invert;
        rules.into()
    }

    fn bounds(&mut self, what: &str, table: Table, rules: &mut Rules) {
        if table.entries.len() > MAX_BOUNDS {
            let found = table.entries.len();
            let message = format!(
                "`bounds` of {what} names {found} observations (expected at most {MAX_BOUNDS})"
            );
            self.problems.error(&table.place, message);
        }
        for (name, entry) in table.entries.into_iter().take(MAX_BOUNDS) {
            let of = format!("`{}` in `bounds` of {what}", name.escape_debug());
            let Node { value, place } = entry.node;
            let Value::Table(table) = value else {
                let message = format!(
                    "{of} is {} (expected for example {{ warn = \"0:100\", fail = \"~:200\" }})",
                    value.kind()
                );
                self.problems.error(&place, message);
                continue;
            };
            let mut reader = Reader::new(of, table, &[BOUND]);
            let mut bound = Bound::default();
            let mut written = (name.clone(), None, None);
            for (key, severity) in [("warn", Severity::Warn), ("fail", Severity::Fail)] {
                let text = reader.parsed(key, &mut self.problems, |text| {
                    bound.set(severity, &text.value).map(|()| text.value.clone())
                });
                match severity {
                    Severity::Warn => written.1 = text,
                    Severity::Fail => written.2 = text,
                }
            }
            reader.finish(&[], &mut self.problems);
            rules.bounds.push((name, bound));
            rules.written.bounds.push(written);
        }
    }
}

/// Compiles the conditions of one key; returns them as they may be shown.
fn conditions(
    key: &str,
    severity: Severity,
    texts: &[Text],
    facts: &[&[FactKey]],
    reader: &Reader,
    conditions: &mut Conditions,
    problems: &mut Problems,
) -> Vec<String> {
    if texts.len() > MAX_CONDITIONS {
        let message = format!(
            "`{key}` of {} has {} conditions (expected at most {MAX_CONDITIONS}; `||` joins two)",
            reader.what(),
            texts.len()
        );
        problems.error(&texts[MAX_CONDITIONS].place, message);
    }
    let mut shown = Vec::new();
    for text in texts.iter().take(MAX_CONDITIONS) {
        shown.push(text.shown().to_owned());
        if let Err(mistake) = conditions.add(&text.value, text.shown(), severity, facts) {
            let message = format!("`{key}` of {}: {}", reader.what(), mistake.why);
            problems.error(&within(text, &mistake), message);
        }
    }
    shown
}

/// Where in the file a mistake stands: behind the quote that begins the text. Where the text in the
/// file is not the text that is read, that is where it begins.
pub(super) fn within(text: &Text, mistake: &Mistake) -> Place {
    let mut place = text.place.clone();
    let before = &text.value[..mistake.at.min(text.value.len())];
    if place.line > 0 && text.written.is_none() && !text.value.contains('\n') {
        let offset = u32::try_from(before.chars().count()).unwrap_or(0);
        place.column = place.column.saturating_add(1).saturating_add(offset);
    }
    place
}
