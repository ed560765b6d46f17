//! What Gatus does not ask itself: external endpoints become checks of the kind `push`, and the
//! check of our own connection watches the uplink.

use std::time::Duration;

use super::alerts::{self, Defaults};
use super::endpoint::Check;
use super::text;
use crate::import::context::{Context, Fields, shown};
use crate::import::names::{Names, put_title};
use crate::import::timing::{self, Timing};
use crate::import::write::{Block, Item};
use crate::import::yaml::Node;

/// How long an outcome holds of which nobody says when the next one comes: the longest there is.
const FOREVER: &str = "400d";

/// How long an outcome may hold here.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(400 * 24);

/// How long an attempt to connect may take there.
const DIAL: Duration = Duration::from_secs(5);

/// An endpoint that others push to.
pub(super) fn read(
    node: &Node,
    index: usize,
    defaults: &Defaults,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<Check> {
    let what = match node.get("name").and_then(Node::text) {
        Some(name) => format!("external endpoint `{}`", shown(name)),
        None => format!("external endpoint {}", index + 1),
    };
    let mut fields = Fields::of(node, &*what, context)?;
    let Some((title, _)) = fields.text("name", context) else {
        context.error(node.mark, format!("{what} has no `name`"));
        return None;
    };
    let group = fields.text("group", context).map_or("", |(group, _)| group);
    let enabled = fields.boolean("enabled", context).is_none_or(|(enabled, _)| enabled);
    if let Some(pair) = fields.take("token") {
        let message = format!(
            "`token` of {what} is left out: only its hash is written down (`wellcheck token` makes \
             a new one with its `token-hash`; the hash of this one is `sha256:` and what \
             `sha256sum` says of it)"
        );
        context.note(pair.mark, message);
    }
    let mut ttl = None;
    if let Some((mut heartbeat, mark)) = fields.fields("heartbeat", context) {
        ttl = timing::take(&mut heartbeat, "interval", context).filter(|(ttl, _)| !ttl.is_zero());
        heartbeat.finish(context);
        if ttl.is_none() {
            let message = format!("`heartbeat` of {what} is left out: it is off");
            context.note(mark, message);
        }
    }
    let mut timing = Timing::default();
    alerts::read(&mut fields, defaults, &mut timing, context);
    fields.leave_out(&[("ui", "there is nothing to set about pages")], context);
    fields.finish(context);
    let wanted = if group.is_empty() { title.to_owned() } else { format!("{group}-{title}") };
    let name = names.give(&wanted);
    let mut block = Block::new("[[check]]");
    block.put("name", name.as_str());
    put_title(&mut block, &name, title);
    block.put("kind", "push");
    match ttl {
        Some((ttl, _)) => block.put("ttl", timing::show(ttl.clamp(SHORTEST, LONGEST)).as_str()),
        None => {
            block.put("ttl", FOREVER);
            let message = format!("{what} has no heartbeat: what is pushed holds for {FOREVER}");
            context.note(node.mark, message);
        }
    }
    timing.put_thresholds(&mut block, &what, context);
    if !enabled {
        block.put("enabled", false);
    }
    Some(Check { name, enabled, block, windows: Vec::new() })
}

/// `connectivity`: a check of our own connection, without which no other check counts.
pub(super) fn uplink(
    root: &mut Fields<'_>,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<(String, Block)> {
    let (mut fields, mark) = root.fields("connectivity", context)?;
    let checker = fields.fields("checker", context);
    fields.finish(context);
    let (mut checker, _) = checker?;
    let what = checker.what().to_owned();
    let target = checker.text("target", context);
    let interval = timing::take(&mut checker, "interval", context);
    checker.finish(context);
    let Some((target, target_mark)) = target else {
        context.error(mark, format!("{what} has no `target`"));
        return None;
    };
    let interval = interval.filter(|(interval, _)| !interval.is_zero());
    let (interval, interval_mark) = interval.unwrap_or((Duration::from_mins(1), mark));
    let timing = Timing {
        interval,
        interval_mark,
        timeout: DIAL.min(interval),
        failures: 1,
        successes: 1,
        ..Timing::default()
    };
    let name = names.give("connectivity");
    let mut block = Block::new("[[check]]");
    block.put("name", name.as_str());
    block.put("kind", "tcp");
    block.put("target", text::text(target, target_mark, &what, context));
    timing.put(&mut block, &what, context);
    block.put("uplink", true);
    Some((name, block))
}

/// `depends-on`, of a check that comes from here.
pub(super) fn depend(block: &mut Block, uplink: &str) {
    block.put("depends-on", Item::List(vec![uplink.into()]));
}
