//! Points in time by a cron expression, in a time zone.
//!
//! Five fields (minute, hour, day of month, month, day of week), or six with seconds in front; names
//! of months and days, lists, ranges, steps, and `@hourly`, `@daily`, `@weekly`, `@monthly`. Where the clocks go forward, a fixed time that does
//! not exist comes at once after the gap; where they go back, it comes once.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::WallTime;

/// See the module.
#[derive(Clone)]
pub struct Cron {
    text: String,
    cron: Arc<croner::Cron>,
    zone: TimeZone,
    zone_name: String,
}

/// 2023-11-14: an expression that has no point after this has none at all.
const LONG_AGO: WallTime = WallTime(1_700_000_000_000);

impl Cron {
    /// Reads an expression. The zone is a name of the IANA database, UTC by default.
    ///
    /// # Errors
    /// When either is not understood, or the expression never comes true.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self, String> {
        const LONGEST: usize = 200;
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        if text.len() > LONGEST {
            return Err(format!("`{shown}` is longer than {LONGEST} bytes"));
        }
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build();
        let cron = parser.parse(text).map_err(|error| {
            format!(
                "`{shown}` is no cron expression: {error} (expected for example `30 3 * * SUN`)"
            )
        })?;
        let zone_name = zone.unwrap_or("UTC");
        let zone = time_zone(zone_name)?;
        let cron = Arc::new(cron);
        let cron = Self { text: text.to_owned(), cron, zone, zone_name: zone_name.to_owned() };
        match cron.next(LONG_AGO) {
            Some(_) => Ok(cron),
            None => Err(format!("`{shown}` never comes true")),
        }
    }

    /// The first point after a moment.
    pub fn next(&self, after: WallTime) -> Option<WallTime> {
        let zoned = Timestamp::from_millisecond(after.0).ok()?.to_zoned(self.zone.clone());
        let found = self.cron.find_next_occurrence(&zoned, false).ok()?;
        Some(WallTime(found.timestamp().as_millisecond()))
    }

    /// The last point that is not after a moment.
    pub fn last(&self, at: WallTime) -> Option<WallTime> {
        let zoned = Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone());
        let found = self.cron.find_previous_occurrence(&zoned, true).ok()?;
        Some(WallTime(found.timestamp().as_millisecond()))
    }
}

/// A zone of the IANA database.
///
/// # Errors
/// When there is none of that name.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_unknown| {
        let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
        format!("`{shown}` is no time zone (expected for example `Europe/Berlin` or `UTC`)")
    })
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone_name)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.zone_name) == (&other.text, &other.zone_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> WallTime {
        WallTime(text.parse::<Timestamp>().expect("a time").as_millisecond())
    }

    #[track_caller]
    fn check(text: &str, zone: &str, after: &str, next: &str) {
        let cron = Cron::parse(text, Some(zone)).expect("it is sound");
        assert_eq!(cron.next(at(after)), Some(at(next)), "{text} after {after}");
    }

    #[test]
    fn points_are_those_of_the_zone() {
        check("30 3 * * *", "UTC", "2026-11-21T03:30:00Z", "2026-11-22T03:30:00Z");
        check("30 3 * * *", "Europe/Berlin", "2026-11-21T03:00:00Z", "2026-11-22T02:30:00Z");
        check("0 9 * * MON-FRI", "UTC", "2026-11-20T09:00:00Z", "2026-11-23T09:00:00Z");
        check("*/10 * * * * *", "UTC", "2026-11-20T09:00:01Z", "2026-11-20T09:00:10Z");
        check("@hourly", "UTC", "2026-11-20T09:00:01Z", "2026-11-20T10:00:00Z");
    }

    #[test]
    fn a_time_that_the_clocks_skip_or_repeat_comes_once() {
        // Clocks go from 2 to 3 o'clock on 2026-03-29 and from 3 to 2 o'clock on 2026-10-25.
        let zone = "Europe/Berlin";
        check("30 2 * * *", zone, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
        check("30 2 * * *", zone, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
        check("30 2 * * *", zone, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z");
        check("30 2 * * *", zone, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
    }

    #[test]
    fn what_is_not_understood_or_never_comes_is_said() {
        for (text, zone, expected) in [
            ("61 * * * *", "UTC", "no cron expression"),
            ("* * *", "UTC", "no cron expression"),
            ("0 0 31 2 *", "UTC", "never comes true"),
            ("0 0 * * *", "Europe/Nowhere", "no time zone"),
        ] {
            let error = Cron::parse(text, Some(zone)).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_last_point_may_be_now() {
        let cron = Cron::parse("0 3 * * *", None).expect("it is sound");
        assert_eq!(cron.last(at("2026-11-21T03:00:00Z")), Some(at("2026-11-21T03:00:00Z")));
        assert_eq!(cron.last(at("2026-11-21T02:59:59Z")), Some(at("2026-11-20T03:00:00Z")));
    }
}
