//! `[defaults]` and the same keys of a check: when it runs, and when its state changes.

use std::time::Duration;

use super::Resolver;
use crate::check::{Thresholds, Timing};
use crate::config::keys;
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::tree::Table;
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
    failure: Option<u32>,
    success: Option<u32>,
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
            failure: self.failure.or(defaults.failure),
            success: self.success.or(defaults.success),
            on_fault: self.on_fault.or(defaults.on_fault),
            limits: defaults.limits.clone(),
        }
    }

    /// The same, whose first failure decides unless something else is said: what has waited for an
    /// outcome as long as it may does not wait three times as long.
    pub(super) fn at_once(self) -> Self {
        Self { failure: self.failure.or(Some(1)), ..self }
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        let standard = Thresholds::default();
        Thresholds {
            failure: self.failure.unwrap_or(standard.failure),
            success: self.success.unwrap_or(standard.success),
        }
    }
}

impl Resolver<'_> {
    /// `[defaults]`.
    pub(super) fn defaults(&mut self, table: Table) -> Defaults {
        let mut reader = Reader::new("`[defaults]`", table, &[keys::TIMING, keys::DEFAULTS]);
        let mut defaults = self.timing_keys(&mut reader);
        self.timing(&defaults, &Defaults::default(), &reader);
        defaults.limits = self.standard_limits();
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
        let failure = threshold("failure-threshold", problems);
        let success = threshold("success-threshold", problems);
        let faults = [("unknown", Status::Unknown), ("fail", Status::Fail)];
        let on_fault = reader.word("on-fault", &faults, problems);
        let interval = reader.duration("interval", MIN_INTERVAL..=MAX_INTERVAL, problems);
        let timeout = reader.duration("timeout", Duration::from_millis(1)..=DAY, problems);
        let jitter = reader.duration("jitter", Duration::ZERO..=MAX_INTERVAL / 2, problems);
        let limits = RunLimits::default();
        Defaults { interval, timeout, jitter, failure, success, on_fault, limits }
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
        Timing { interval, timeout: timeout.min(interval), jitter: jitter.min(interval / 2) }
    }
}
