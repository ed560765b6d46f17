//! One monitor as one check: what all types have in common.

use std::time::Duration;

use super::{request, service};
use crate::import::context::{Context, Fields, shown};
use crate::import::http::Request;
use crate::import::names::{Names, put_title};
use crate::import::timing::{self, Timing};
use crate::import::write::{Block, Item, Text};
use crate::import::yaml::{Mark, Node, Value};

/// Longest tag and label, in bytes.
const MAX_TEXT: usize = 200;

/// The days before which the page warns of certificates unless it is told otherwise.
pub(super) const CERTIFICATE_DAYS: i64 = 21;

/// What is about how things look, or is found out anew.
const SHOWN: &[&str] = &[
    "id",
    "path",
    "pathName",
    "parent",
    "childrenIDs",
    "weight",
    "forceInactive",
    "maintenance",
    "screenshot",
    "screenshot_delay",
    "dns_last_result",
    "includeSensitiveData",
    "sendUrl",
    "customUrl",
    "saveResponse",
    "saveErrorResponse",
    "responseMaxLength",
    "ping_numeric",
];

/// What monitors of every type have, and some types mean.
const OF_TYPES: &[&str] = &[
    "url",
    "method",
    "hostname",
    "port",
    "location",
    "protocol",
    "subtype",
    "timeout",
    "keyword",
    "invertKeyword",
    "expiryNotification",
    "ignoreTls",
    "packetSize",
    "maxredirects",
    "accepted_statuscodes",
    "accepted_statuscodes_json",
    "dns_resolve_type",
    "dns_resolve_server",
    "docker_container",
    "docker_host",
    "proxyId",
    "mqttTopic",
    "mqttSuccessMessage",
    "mqttCheckType",
    "mqttUsername",
    "mqttPassword",
    "mqttWebsocketPath",
    "databaseQuery",
    "databaseConnectionString",
    "authMethod",
    "authWorkstation",
    "authDomain",
    "basic_auth_user",
    "basic_auth_pass",
    "bearer_token",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_token_url",
    "oauth_scopes",
    "oauth_audience",
    "oauth_auth_method",
    "tlsCa",
    "tlsCert",
    "tlsKey",
    "headers",
    "body",
    "httpBodyEncoding",
    "grpcUrl",
    "grpcProtobuf",
    "grpcMethod",
    "grpcServiceName",
    "grpcEnableTls",
    "grpcBody",
    "grpcMetadata",
    "radiusCalledStationId",
    "radiusCallingStationId",
    "radiusUsername",
    "radiusPassword",
    "radiusSecret",
    "game",
    "gamedigGivenPortOnly",
    "gamedigToken",
    "jsonPath",
    "jsonPathOperator",
    "expectedValue",
    "retryOnlyOnStatusCodeFailure",
    "system_service_name",
    "kafkaProducerTopic",
    "kafkaProducerBrokers",
    "kafkaProducerSsl",
    "kafkaProducerAllowAutoTopicCreation",
    "kafkaProducerMessage",
    "kafkaProducerSaslOptions",
    "cacheBust",
    "remote_browser",
    "snmpOid",
    "snmpVersion",
    "smtpSecurity",
    "rabbitmqNodes",
    "rabbitmqUsername",
    "rabbitmqPassword",
    "conditions",
    "ntpStratumThreshold",
    "ntpTimeOffsetThreshold",
    "ntpRootDispersionThreshold",
    "ipFamily",
    "expectedTlsAlert",
    "ping_count",
    "ping_per_request_timeout",
    "pushToken",
    "wsIgnoreSecWebsocketAcceptHeader",
    "wsSubprotocol",
];

/// A check that was made of a monitor.
pub(super) struct Check {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) block: Block,
}

/// What a type comes to.
pub(super) struct Made {
    pub(super) kind: &'static str,
    pub(super) request: Request,
    /// Conditions that make it fail.
    pub(super) fail: Vec<Text>,
}

/// The check, unless the monitor is left out or is a group.
pub(super) fn read(
    node: &Node,
    index: usize,
    proxies: &[&Node],
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<Check> {
    let what = match super::text(node, "name") {
        Some(name) => format!("monitor `{}`", shown(name)),
        None => format!("monitor {}", index + 1),
    };
    let mut fields = Fields::of(node, &*what, context)?;
    let (Some((title, _)), Some((sort, _))) =
        (fields.text("name", context), fields.text("type", context))
    else {
        context.error(node.mark, format!("{what} has no `name` or no `type`"));
        return None;
    };
    if sort == "group" {
        return None;
    }
    let made = match sort {
        "http" | "keyword" | "json-query" | "rabbitmq" => {
            request::http(&mut fields, sort, proxies, context)
        }
        "websocket-upgrade" => request::websocket(&mut fields, context),
        _ => service::read(&mut fields, sort, context),
    };
    let Some(made) = made else {
        let why = service::why_not(sort);
        let sort = shown(sort);
        context.note(node.mark, format!("{what} of type `{sort}` is left out: {why}"));
        return None;
    };
    let enabled = flag(&mut fields, "active").is_none_or(|(active, _)| active);
    let invert = flag(&mut fields, "upsideDown").is_some_and(|(inverted, _)| inverted);
    let timing = times(&mut fields, &made, context);
    let retry = seconds(&mut fields, "retryInterval", context);
    let tags = tags(&mut fields, context);
    let label = description(&mut fields, context);
    let nobody = "nobody is told of changes yet";
    for (key, why) in [
        ("notificationIDList", nobody),
        ("resendInterval", nobody),
        ("domainExpiryNotification", "registries of domains are not asked"),
    ] {
        if let Some(pair) = fields.take(key).filter(|pair| !says_nothing(&pair.node)) {
            context.note(pair.mark, format!("`{key}` of {what} is left out: {why}"));
        }
    }
    fields.pass_over(says_nothing);
    for key in SHOWN.iter().chain(OF_TYPES) {
        fields.take(key);
    }
    fields.finish(context);

    let name = names.give(title);
    let mut block = Block::new("[[check]]");
    block.put("name", name.as_str());
    put_title(&mut block, &name, title);
    block.put("kind", made.kind);
    made.request.put(&mut block);
    if !made.fail.is_empty() {
        block.put("fail", Item::one_or_many(made.fail.into_iter().map(Item::from).collect()));
    }
    if made.kind == "push" {
        timing.put_thresholds(&mut block, &what, context);
    } else {
        timing.put(&mut block, &what, context);
        if let Some((retry, mark)) = retry.filter(|(retry, _)| *retry != timing.interval) {
            if retry > timing.interval || retry < Duration::from_millis(50) {
                let message = format!(
                    "`retryInterval` of {what} is left out: here retries never come later than the \
                     interval"
                );
                context.note(mark, message);
            } else {
                block.put("retry-interval", timing::show(retry).as_str());
            }
        }
    }
    if invert {
        block.put("invert", true);
    }
    if !enabled {
        block.put("enabled", false);
    }
    if !tags.is_empty() {
        block.put("tags", Item::List(tags));
    }
    if let Some(label) = label {
        block.put("labels", Item::Table(vec![("description".to_owned(), label)]));
    }
    Some(Check { name, enabled, block })
}

/// Whether a value is as good as none.
fn says_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, plain } => {
            text.is_empty() || *plain && matches!(&**text, "null" | "false" | "0")
        }
        Value::List(list) => list.is_empty(),
        // Of notifications, those that are off.
        Value::Map(pairs) => pairs.iter().all(|pair| says_nothing(&pair.node)),
        Value::Binary(bytes) => bytes.is_empty(),
    }
}

/// True or false, of which databases make 1 and 0.
pub(super) fn flag(fields: &mut Fields<'_>, key: &str) -> Option<(bool, Mark)> {
    let pair = fields.take(key)?;
    let is_set = match pair.node.text() {
        Some("1") => true,
        Some("0") => false,
        _ => pair.node.boolean()?,
    };
    Some((is_set, pair.mark))
}

/// A text that is not empty.
pub(super) fn word<'a>(fields: &mut Fields<'a>, key: &str) -> Option<(&'a str, Mark)> {
    let pair = fields.take(key)?;
    pair.node.text().filter(|text| !text.is_empty()).map(|text| (text, pair.mark))
}

/// A number of seconds, with or without a fraction.
pub(super) fn seconds(
    fields: &mut Fields<'_>,
    key: &str,
    context: &mut Context<'_>,
) -> Option<(Duration, Mark)> {
    let (text, mark) = word(fields, key)?;
    let number = text.parse().ok().filter(|number: &f64| (0.0..1e9).contains(number));
    let Some(number) = number else {
        let (what, text) = (fields.what(), shown(text));
        context.error(mark, format!("`{key}` of {what} is `{text}` (expected seconds)"));
        return None;
    };
    let duration = Duration::from_millis((number * 1000.0).round() as u64);
    Some((duration, mark)).filter(|(duration, _)| *duration > Duration::ZERO)
}

fn times(fields: &mut Fields<'_>, made: &Made, context: &mut Context<'_>) -> Timing {
    let interval = seconds(fields, "interval", context);
    let (interval, interval_mark) = interval.unwrap_or((Duration::from_mins(1), Mark::default()));
    // It waits as long as this where it is not told.
    let usual = interval.mul_f64(0.8);
    let usual = Duration::from_millis(u64::try_from(usual.as_millis()).unwrap_or(u64::MAX));
    let told = seconds(fields, "timeout", context).filter(|_| made.kind != "docker");
    let (timeout, timeout_mark) = told.unwrap_or((usual, interval_mark));
    let retries = fields.integer("maxretries", context).filter(|(retries, _)| *retries > 0);
    let (retries, failures_mark) = retries.unwrap_or((0, Mark::default()));
    Timing {
        interval,
        interval_mark,
        timeout,
        timeout_mark,
        failures: retries.saturating_add(1),
        failures_mark,
        successes: 1,
        ..Timing::default()
    }
}

/// Tags: a name, and often a value.
fn tags(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Vec<Item> {
    let what = fields.what().to_owned();
    let Some((list, _)) = fields.list("tags", context) else { return Vec::new() };
    let mut tags = Vec::new();
    for node in list {
        let name = node.text().or_else(|| super::text(node, "name"));
        let Some(name) = name else { continue };
        let tag = match super::text(node, "value") {
            Some(value) => format!("{name}:{value}"),
            None => name.to_owned(),
        };
        if tag.len() > MAX_TEXT || tag.chars().any(char::is_control) {
            let message =
                format!("a tag of {what} is left out: it has more than 200 bytes or a line break");
            context.note(node.mark, message);
            continue;
        }
        let tag = Item::from(&*tag);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn description(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Item> {
    let (text, mark) = word(fields, "description")?;
    if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        let what = fields.what();
        let message = format!(
            "`description` of {what} is left out: a label has at most 200 bytes and no line break"
        );
        context.note(mark, message);
        return None;
    }
    Some(Item::from(text))
}
