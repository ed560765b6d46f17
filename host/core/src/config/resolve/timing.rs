//! `[defaults]` and the same keys of a check: when it runs, and when its state changes.

use std::time::Duration;

use super::Resolver;
use crate::check::{Thresholds, Timing};
use crate::config::keys;
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Table, Value};
use crate::id::CheckName;
use crate::limits::RunLimits;
use crate::status::Status;

const DAY: Duration = Duration::from_hours(24);
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(50);
pub(super) const MAX_INTERVAL: Duration = Duration::from_hours(7 * 24);

/// Shortest interval in a sidecar, where `[defaults]` has no shorter one.
const MIN_SIDECAR_INTERVAL: Duration = Duration::from_secs(1);

/// `[defaults]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    jitter: Option<Duration>,
    retry: Option<Duration>,
    /// So many outcomes, of so many recent ones.
    failure: Option<(u32, Option<u32>)>,
    success: Option<u32>,
    pub(super) stale_after: Option<u32>,
    pub(super) flapping: Option<bool>,
    /// What checks depend on that say nothing of it.
    pub(super) depends_on: Vec<CheckName>,
    pub(super) on_fault: Option<Status>,
    /// What one run of a plugin may use, with every default filled in.
    pub(super) limits: RunLimits,
}

impl Defaults {
    /// What `self` says, and where it says nothing, what `defaults` say. The limits are those of
    /// `defaults`: what a check says of them is read with what runs.
    pub(super) fn over(self, defaults: &Self) -> Self {
        Self {
            interval: self.interval.or(defaults.interval),
            timeout: self.timeout.or(defaults.timeout),
            jitter: self.jitter.or(defaults.jitter),
            retry: self.retry.or(defaults.retry),
            failure: self.failure.or(defaults.failure),
            success: self.success.or(defaults.success),
            stale_after: self.stale_after.or(defaults.stale_after),
            flapping: self.flapping.or(defaults.flapping),
            depends_on: defaults.depends_on.clone(),
            on_fault: self.on_fault.or(defaults.on_fault),
            limits: defaults.limits.clone(),
        }
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        let standard = Thresholds::default();
        let (failure, within) = self.failure.unwrap_or((standard.failure, standard.within));
        Thresholds { failure, within, success: self.success.unwrap_or(standard.success) }
    }
}

impl Resolver<'_> {
    /// `[defaults]`.
    pub(super) fn defaults(&mut self, table: Table) -> Defaults {
        let mut reader = Reader::new("`[defaults]`", table, &[keys::TIMING, keys::DEFAULTS]);
        let mut defaults = self.timing_keys(&mut reader);
        self.timing(&defaults, &Defaults::default(), &reader);
        defaults.limits = self.standard_limits();
        defaults.depends_on = self.names(&mut reader, "depends-on");
        if let Some(table) = reader.table("limits", &mut self.problems) {
            let standard = defaults.limits.clone();
            defaults.limits = self.run_limits("`[defaults.limits]`", table, &standard, None);
        }
        reader.finish(&[], &mut self.problems);
        defaults
    }

    pub(super) fn timing_keys(&mut self, reader: &mut Reader) -> Defaults {
        let problems = &mut self.problems;
        let mut threshold = |key, problems: &mut Problems| {
            reader.integer(key, 1..=100, problems).and_then(|n| u32::try_from(n).ok())
        };
        let success = threshold("success-threshold", problems);
        let failure = failure_threshold(reader, problems);
        let stale_after = reader.integer("stale-after", 0..=1000, problems);
        let stale_after = stale_after.and_then(|n| u32::try_from(n).ok());
        let flapping = reader.boolean("flapping", problems);
        let retry = reader.duration("retry-interval", MIN_INTERVAL..=MAX_INTERVAL, problems);
        let faults = [("unknown", Status::Unknown), ("fail", Status::Fail)];
        let on_fault = reader.word("on-fault", &faults, problems);
        let interval = reader.duration("interval", MIN_INTERVAL..=MAX_INTERVAL, problems);
        let timeout = reader.duration("timeout", Duration::from_millis(1)..=DAY, problems);
        let jitter = reader.duration("jitter", Duration::ZERO..=MAX_INTERVAL / 2, problems);
        let limits = RunLimits::default();
        Defaults {
            interval,
            timeout,
            jitter,
            retry,
            failure,
            success,
            stale_after,
            flapping,
            depends_on: Vec::new(),
            on_fault,
            limits,
        }
    }

    /// A sidecar asks for no more than others get: its runs take places that other plugins wait for.
    pub(super) fn sidecar_timing(
        &mut self,
        own: &Defaults,
        startup: Option<Duration>,
        defaults: &Defaults,
        reader: &Reader,
    ) {
        let shown = crate::units::show_duration;
        let longest = defaults.timeout.unwrap_or(Timing::default().timeout);
        if let Some(timeout) = own.timeout.filter(|own| *own > longest) {
            let message = format!(
                "`timeout` of {} is {}, more than the {} of `[defaults]` (a sidecar may shorten the timeout but not lengthen it; lengthen it in `wellcheck.toml`, or move the check there)",
                reader.what(),
                shown(timeout),
                shown(longest)
            );
            self.problems.error(&reader.place_of("timeout"), message);
        }
        let shortest = defaults.interval.unwrap_or(MIN_SIDECAR_INTERVAL).min(MIN_SIDECAR_INTERVAL);
        for (key, interval) in [("interval", own.interval), ("startup-interval", startup)] {
            if let Some(interval) = interval.filter(|own| *own < shortest) {
                let message = format!(
                    "`{key}` of {} is {}, less than {} (a check of a sidecar runs once a second at most, or as often as `[defaults]` says; shorten it in `wellcheck.toml`, or move the check there)",
                    reader.what(),
                    shown(interval),
                    shown(shortest)
                );
                self.problems.error(&reader.place_of(key), message);
            }
        }
    }

    /// Puts a check's own timing over the defaults. What the check itself says must fit together;
    /// a default gives way.
    pub(super) fn timing(
        &mut self,
        own: &Defaults,
        defaults: &Defaults,
        reader: &Reader,
    ) -> Timing {
        let standard = Timing::default();
        let interval = own.interval.or(defaults.interval).unwrap_or(standard.interval);
        let timeout = own.timeout.or(defaults.timeout).unwrap_or(standard.timeout);
        let jitter = own.jitter.or(defaults.jitter).unwrap_or(standard.jitter);
        let shown = crate::units::show_duration;
        if own.timeout.is_some_and(|own| own > interval) {
            self.problems.error(
                &reader.place_of("timeout"),
                format!(
                    "`timeout` of {} is {}, longer than its interval of {} (a run must end before the next one)",
                    reader.what(), shown(timeout), shown(interval)
                ),
            );
        }
        if own.jitter.is_some_and(|own| own > interval / 2) {
            self.problems.error(
                &reader.place_of("jitter"),
                format!(
                    "`jitter` of {} is {}, more than half of its interval of {}",
                    reader.what(),
                    shown(jitter),
                    shown(interval)
                ),
            );
        }
        if own.retry.is_some_and(|own| own > interval) {
            self.problems.error(
                &reader.place_of("retry-interval"),
                format!(
                    "`retry-interval` of {} is longer than its interval of {}",
                    reader.what(),
                    shown(interval)
                ),
            );
        }
        Timing {
            interval,
            timeout: timeout.min(interval),
            jitter: jitter.min(interval / 2),
            retry: own.retry.or(defaults.retry).map(|retry| retry.min(interval)),
        }
    }
}

/// `failure-threshold`: a number of outcomes in a row, or so many of so many.
fn failure_threshold(reader: &mut Reader, problems: &mut Problems) -> Option<(u32, Option<u32>)> {
    let what = reader.what().to_owned();
    let Node { value, place } = reader.take("failure-threshold")?.node;
    let fits = |n: &u32| (1..=100).contains(n);
    let found = match &value {
        Value::Integer(n) => u32::try_from(*n).ok().filter(fits).map(|n| (n, None)),
        Value::String(text) => text.value.split_once(" of ").and_then(|(needed, all)| {
            let needed: u32 = needed.trim().parse().ok().filter(fits)?;
            let all: u32 = all.trim().parse().ok().filter(fits)?;
            (needed <= all).then_some((needed, Some(all)))
        }),
        _ => None,
    };
    if found.is_none() {
        let shown = match &value {
            Value::Integer(n) => n.to_string(),
            Value::String(text) => format!("\"{}\"", text.shown().escape_debug()),
            other => other.kind().to_owned(),
        };
        let message = format!(
            "`failure-threshold` of {what} is {shown} (expected a whole number from 1 to 100, or for example \"3 of 5\")"
        );
        problems.error(&place, message);
    }
    found
}
