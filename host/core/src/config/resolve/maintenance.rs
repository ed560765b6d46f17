//! `[[maintenance]]` and `[runs]`, and points in time.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::Resolver;
use crate::config::reader::Reader;
use crate::config::tree::{Table, Value};
use crate::config::{Runs, keys};
use crate::cron::{Cron, time_zone};
use crate::maintenance::{LONGEST, When, Window};
use crate::time::WallTime;
use crate::units::show_duration;

/// Most windows.
const MAX_WINDOWS: usize = 1000;

impl Resolver<'_> {
    pub(super) fn windows(&mut self, tables: Vec<Table>) -> Vec<Window> {
        if let Some(table) = tables.get(MAX_WINDOWS) {
            let message = format!("there are more than {MAX_WINDOWS} maintenance windows");
            self.problems.error(&table.place, message);
        }
        tables.into_iter().filter_map(|table| self.window(table)).collect()
    }

    fn window(&mut self, table: Table) -> Option<Window> {
        let place = table.place.clone();
        let mut reader = Reader::new("`[[maintenance]]`", table, &[keys::MAINTENANCE]);
        let title = self.title(&mut reader);
        let names = self.names(&mut reader, "names");
        let tags = reader.texts("tags", &mut self.problems).into_iter().map(|t| t.value).collect();
        let when = self.when(&mut reader);
        reader.finish(&[], &mut self.problems);
        Some(Window { title, names, tags, when: when?, place })
    }

    fn when(&mut self, reader: &mut Reader) -> Option<When> {
        let again = reader.has("cron") || reader.has("duration");
        let once = reader.has("from") || reader.has("to");
        let (first, second) = if again { ("cron", "duration") } else { ("from", "to") };
        if again && once {
            let message = "a maintenance window has both `from` and `to`, and `cron` and `duration` (expected one pair)";
            self.problems.error(reader.place(), message.to_owned());
        }
        for key in [first, second] {
            if !reader.has(key) {
                reader.missing(key, &mut self.problems);
            }
        }
        if again {
            let bounds = Duration::from_secs(1)..=LONGEST;
            let duration = reader.duration("duration", bounds, &mut self.problems);
            let cron = self.cron(reader);
            return Some(When::Again(cron?, duration?));
        }
        let zone = reader.parsed("time-zone", &mut self.problems, |text| {
            time_zone(&text.value).map(|_zone| text.value.clone())
        });
        let mut time = |key| {
            reader.parsed(key, &mut self.problems, |text| moment(&text.value, zone.as_deref()))
        };
        let (from, to) = (time("from"), time("to"));
        let (from, to) = (from?, to?);
        let longest = i64::try_from(LONGEST.as_millis()).expect("a month");
        if to <= from || to.0 - from.0 > longest {
            let message = format!(
                "`to` of `[[maintenance]]` is {to}, and `from` is {from} (expected a later time, by at most {})",
                show_duration(LONGEST)
            );
            self.problems.error(&reader.place_of("to"), message);
        }
        Some(When::Once(from, to))
    }

    /// `cron` and `time-zone`.
    pub(super) fn cron(&mut self, reader: &mut Reader) -> Option<Cron> {
        let zone_place = reader.place_of("time-zone");
        let zone = reader.text("time-zone", &mut self.problems);
        if zone.is_some() && !reader.has("cron") {
            let message = format!("{} has `time-zone` and no `cron`", reader.what());
            self.problems.error(&zone_place, message);
        }
        if let Some(zone) = &zone
            && let Err(why) = time_zone(&zone.value)
        {
            self.problems.error(&zone_place, format!("`time-zone` of {}: {why}", reader.what()));
            reader.take("cron");
            return None;
        }
        let zone = zone.as_ref().map(|text| text.value.as_str());
        reader.parsed("cron", &mut self.problems, |text| Cron::parse(&text.value, zone))
    }

    /// `[runs]`.
    pub(super) fn runs(&mut self, table: Table) -> Runs {
        let mut reader = Reader::new("`[runs]`", table, &[keys::RUNS]);
        let most = reader.integer("most", 1..=100_000, &mut self.problems);
        let mut runs = Runs { most: most.and_then(|n| usize::try_from(n).ok()), ..Runs::default() };
        if let Some(table) = reader.table("kinds", &mut self.problems) {
            for (kind, entry) in table.entries {
                let most = match entry.node.value {
                    Value::Integer(n) => {
                        usize::try_from(n).ok().filter(|n| (1..=100_000).contains(n))
                    }
                    _ => None,
                };
                match most {
                    Some(most) => {
                        runs.kinds.insert(kind, (most, entry.key));
                    }
                    None => self.problems.error(
                        &entry.node.place,
                        format!(
                            "`kinds` of `[runs]`: `{}` is not a whole number from 1 to 100000",
                            kind.escape_debug()
                        ),
                    ),
                }
            }
        }
        reader.finish(&[], &mut self.problems);
        runs
    }
}

/// Reads a time with an offset, or one of a zone, which is UTC by default.
///
/// # Errors
/// When it is neither, or there is no such zone.
pub fn moment(text: &str, zone: Option<&str>) -> Result<WallTime, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(WallTime(timestamp.as_millisecond()));
    }
    let zone = time_zone(zone.unwrap_or("UTC"))?;
    let local = text.parse::<DateTime>().ok().and_then(|time| time.to_zoned(zone).ok());
    match local {
        Some(zoned) => Ok(WallTime(zoned.timestamp().as_millisecond())),
        None => {
            let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
            Err(format!(
                "`{shown}` is no time (expected for example `2026-12-01T22:00:00Z` or `2026-12-01 22:00`)"
            ))
        }
    }
}
