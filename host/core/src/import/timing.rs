//! Durations as other tools write them, and the timing of a check within our bounds.

use std::time::Duration;

use super::context::{Context, Fields, shown};
use super::write::Block;
use super::yaml::Mark;

const MIN_INTERVAL: Duration = Duration::from_millis(50);
pub(super) const MAX_INTERVAL: Duration = Duration::from_hours(7 * 24);
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
const MAX_THRESHOLD: i64 = 100;

/// Nanoseconds by unit: Go's, and those that Prometheus and systemd add.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
    ("w", 7.0 * 86_400e9),
    ("y", 365.0 * 86_400e9),
];

/// Reads `90s`, `1m30s`, `1.5h`, `0`. Anything below a millisecond is rounded up to it.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
        nanoseconds += number * factor;
        rest = &rest[end..];
    }
    let milliseconds = (nanoseconds / 1e6).ceil();
    // Beyond that it is no duration that anybody means.
    (milliseconds < 1e15).then(|| Duration::from_millis(milliseconds as u64))
}

/// Writes a duration exactly, in the largest unit that has no fraction.
pub(super) fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units
        .iter()
        .find(|(_, factor)| milliseconds >= *factor && milliseconds.is_multiple_of(*factor))
    {
        Some((unit, factor)) => format!("{}{unit}", milliseconds / factor),
        None => format!("{milliseconds}ms"),
    }
}

/// Takes a duration of a map.
pub(super) fn take(
    fields: &mut Fields<'_>,
    key: &str,
    context: &mut Context<'_>,
) -> Option<(Duration, Mark)> {
    let (text, mark) = fields.text(key, context)?;
    let parsed = parse(text);
    if parsed.is_none() {
        let what = fields.what();
        let message = format!(
            "`{key}` of {what} is `{}` (expected a duration with a unit, such as `30s`)",
            shown(text)
        );
        context.error(mark, message);
    }
    Some((parsed?, mark))
}

/// The timing of a check as the source has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Timing {
    pub(super) interval: Duration,
    pub(super) interval_mark: Mark,
    pub(super) timeout: Duration,
    pub(super) timeout_mark: Mark,
    pub(super) failures: i64,
    pub(super) failures_mark: Mark,
    pub(super) successes: i64,
    pub(super) successes_mark: Mark,
}

impl Timing {
    /// Puts the four keys, and notes what had to be changed to be within our bounds.
    pub(super) fn put(&self, block: &mut Block, what: &str, context: &mut Context<'_>) {
        let interval = self.interval.clamp(MIN_INTERVAL, MAX_INTERVAL);
        if interval != self.interval {
            let (from, to) = (show(self.interval), show(interval));
            context.note(
                self.interval_mark,
                format!("the interval of {what} becomes {to} ({from} is not possible here)"),
            );
        }
        block.put("interval", show(interval).as_str());
        let timeout = self.timeout.clamp(MIN_TIMEOUT, interval);
        if timeout != self.timeout {
            let (from, to) = (show(self.timeout), show(timeout));
            context.note(
                self.timeout_mark,
                format!(
                    "the timeout of {what} becomes {to} ({from} is longer than its interval, or \
                     nothing; here the next run never begins before one has ended)"
                ),
            );
        }
        block.put("timeout", show(timeout).as_str());
        self.put_thresholds(block, what, context);
    }

    /// Puts the thresholds alone.
    pub(super) fn put_thresholds(&self, block: &mut Block, what: &str, context: &mut Context<'_>) {
        for (key, number, mark) in [
            ("failure-threshold", self.failures, self.failures_mark),
            ("success-threshold", self.successes, self.successes_mark),
        ] {
            let within = number.clamp(1, MAX_THRESHOLD);
            if within != number {
                context.note(mark, format!("`{key}` of {what} becomes {within} (found {number})"));
            }
            block.put(key, within);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn durations_of_other_tools_are_read() {
        let cases = [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("250us", Some(1)),
            ("1w", Some(604_800_000)),
            ("30", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("1e3s", None),
            ("9999999999999999999999y", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_the_configuration_reads_them() {
        for milliseconds in [1, 999, 1_000, 1_500, 60_000, 90_000, 3_723_000, 86_400_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&show(duration)), Some(duration));
        }
        assert_eq!(show(Duration::from_secs(3_723)), "3723s");
    }
}
