//! Windows of maintenance: those of the file are for every check, those of an endpoint for its own.

use std::time::Duration;

use crate::cron::time_zone;
use crate::import::context::{Context, Fields, shown};
use crate::import::timing;
use crate::import::write::{Block, Item};
use crate::import::yaml::Node;

/// Days as Gatus names them, and as cron does.
const DAYS: &[(&str, &str)] = &[
    ("Monday", "MON"),
    ("Tuesday", "TUE"),
    ("Wednesday", "WED"),
    ("Thursday", "THU"),
    ("Friday", "FRI"),
    ("Saturday", "SAT"),
    ("Sunday", "SUN"),
];

/// The longest window there.
const LONGEST: Duration = Duration::from_hours(24);

/// What is said where the first of them stands.
const NOTE: &str =
    "while a window is open, a check runs and does not count (Gatus only sends no alerts)";

/// One window, for `check` or for everything; nothing if it is off.
pub(super) fn read(
    node: &Node,
    what: &str,
    check: Option<&str>,
    context: &mut Context<'_>,
) -> Option<Block> {
    let mut fields = Fields::of(node, what, context)?;
    let enabled = fields.boolean("enabled", context).is_none_or(|(enabled, _)| enabled);
    let start = fields.text("start", context);
    let duration = timing::take(&mut fields, "duration", context);
    let zone = fields.text("timezone", context).filter(|(zone, _)| !zone.is_empty());
    let every = fields.texts("every", context);
    fields.finish(context);
    if !enabled {
        context.note(node.mark, format!("{what} is left out: it is off"));
        return None;
    }
    let Some((hour, minute)) = start.and_then(|(text, _)| time_of_day(text)) else {
        let mark = start.map_or(node.mark, |(_, mark)| mark);
        let found = shown(start.map_or("nothing", |(text, _)| text));
        context.error(mark, format!("`start` of {what} is {found} (expected for example `23:00`)"));
        return None;
    };
    let Some((duration, mark)) = duration else {
        context.error(node.mark, format!("{what} has no `duration` (expected for example `1h`)"));
        return None;
    };
    if !(Duration::from_secs(1)..=LONGEST).contains(&duration) {
        let message = format!("`duration` of {what} is not from 1s to 24h");
        context.error(mark, message);
        return None;
    }
    if let Some((zone, mark)) = zone
        && let Err(why) = time_zone(zone)
    {
        context.error(mark, format!("`timezone` of {what}: {why}"));
        return None;
    }
    let mut days = Vec::new();
    for (day, mark) in every.map(|(days, _)| days).unwrap_or_default() {
        match DAYS.iter().find(|(name, _)| *name == day) {
            Some((_, word)) => days.push(*word),
            None => {
                let found = shown(day);
                let message =
                    format!("`every` of {what} holds `{found}` (expected for example `Monday`)");
                context.error(mark, message);
            }
        }
    }
    let days = if days.is_empty() { "*".to_owned() } else { days.join(",") };
    context.note_once(node.mark, NOTE);
    let mut block = Block::new("[[maintenance]]");
    if let Some(check) = check {
        block.put("names", Item::List(vec![check.into()]));
    }
    block.put("cron", format!("{minute} {hour} * * {days}").as_str());
    block.put("duration", timing::show(duration).as_str());
    if let Some((zone, _)) = zone {
        block.put("time-zone", zone);
    }
    Some(block)
}

/// `07:30`.
fn time_of_day(text: &str) -> Option<(u32, u32)> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}
