//! Alerts: whom they go to is left out; how many outcomes they wait for are our thresholds.

use std::collections::BTreeMap;

use crate::import::context::{Context, Fields, shown};
use crate::import::timing::Timing;
use crate::import::yaml::{Mark, Node};

/// What an alert waits for unless it says something else.
const FAILURES: i64 = 3;
const SUCCESSES: i64 = 2;

/// How many outcomes in a row an alert waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Thresholds {
    failures: Option<i64>,
    successes: Option<i64>,
}

/// What `alerting` says for every alert of a provider.
#[derive(Debug, Default)]
pub(super) struct Defaults(BTreeMap<String, Thresholds>);

/// Reads `alerting`, of which only the thresholds of default alerts are used.
pub(super) fn defaults(root: &mut Fields<'_>, context: &mut Context<'_>) -> Defaults {
    let mut defaults = Defaults::default();
    let Some((alerting, mark)) = root.fields("alerting", context) else { return defaults };
    let providers = alerting.all();
    let list: Vec<String> =
        providers.iter().map(|pair| format!("`{}`", shown(&pair.key))).take(20).collect();
    context.note(
        mark,
        format!(
            "`alerting` of the file is left out: nobody is told of changes yet (it names {}); \
             thresholds of default alerts are carried over",
            list.join(", ")
        ),
    );
    for pair in providers {
        if let Some(alert) = pair.node.get("default-alert") {
            let number = |key| alert.get(key).and_then(Node::integer);
            let failures = number("failure-threshold");
            let successes = number("success-threshold");
            defaults.0.insert(pair.key.clone(), Thresholds { failures, successes });
        }
    }
    defaults
}

/// Reads `alerts` of an endpoint into its thresholds.
///
/// Without alerts every outcome counts at once, as on the page of Gatus. The alert that would be the
/// first to be sent decides otherwise.
pub(super) fn read(
    endpoint: &mut Fields<'_>,
    defaults: &Defaults,
    timing: &mut Timing,
    context: &mut Context<'_>,
) {
    (timing.failures, timing.successes) = (1, 1);
    let Some((alerts, mark)) = endpoint.list("alerts", context) else { return };
    let what = endpoint.what().to_owned();
    let mut first: Option<(i64, i64)> = None;
    let mut kinds = Vec::new();
    for node in alerts {
        let Some(mut alert) = Fields::of(node, format!("an alert of {what}"), context) else {
            continue;
        };
        let kind = alert.text("type", context).map_or("", |(kind, _)| kind);
        let default = defaults.0.get(kind).copied().unwrap_or_default();
        let enabled = alert.boolean("enabled", context).is_none_or(|(enabled, _)| enabled);
        let failures = alert.integer("failure-threshold", context).map(|(number, _)| number);
        let successes = alert.integer("success-threshold", context).map(|(number, _)| number);
        // Nothing to say of each: whom alerts go to is said once for all of them.
        for key in
            ["description", "send-on-resolved", "provider-override", "minimum-reminder-interval"]
        {
            if let Some(pair) = alert.take(key) {
                note_key(key, pair.mark, &what, context);
            }
        }
        alert.finish(context);
        if kinds.len() < 20 {
            kinds.push(format!("`{}`", shown(kind)));
        }
        let positive = |number: &i64| *number > 0;
        let failures = failures.or(default.failures).filter(positive).unwrap_or(FAILURES);
        let successes = successes.or(default.successes).filter(positive).unwrap_or(SUCCESSES);
        if enabled && first.is_none_or(|(least, _)| failures < least) {
            first = Some((failures, successes));
        }
    }
    if let Some((failures, successes)) = first {
        (timing.failures, timing.successes) = (failures, successes);
        (timing.failures_mark, timing.successes_mark) = (mark, mark);
    }
    let kinds = kinds.join(", ");
    let message = match first {
        Some(_) if alerts.len() > 1 => format!(
            "`alerts` of {what} ({kinds}) are left out but for the thresholds of the one that would \
             come first: nobody is told of changes yet"
        ),
        Some(_) => format!(
            "`alerts` of {what} ({kinds}) are left out but for their thresholds: nobody is told of \
             changes yet"
        ),
        None => format!("`alerts` of {what} ({kinds}) are left out: nobody is told of changes yet"),
    };
    context.note(mark, message);
}

fn note_key(key: &str, mark: Mark, what: &str, context: &mut Context<'_>) {
    context.note(mark, format!("`{key}` of an alert of {what} is left out with the alert"));
}
