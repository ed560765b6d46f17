//! One endpoint of Gatus as one check.

use std::time::Duration;

use super::alerts::{self, Defaults};
use super::conditions::Conditions;
use super::{client, expression, text, what, windows};
use crate::condition::MAX_CONDITIONS;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::{Request, note_credentials, shown_url};
use crate::import::names::{Names, put_title};
use crate::import::timing::{self, Timing};
use crate::import::write::{Block, Item, Text};
use crate::import::yaml::{Mark, Node};

/// Most labels of a check, and their longest.
const MAX_LABELS: usize = 16;
const MAX_LABEL: usize = 200;

/// Schemes without a kind.
const OTHER_SCHEMES: &[(&str, &str)] = &[(
    "sctp://",
    "there is no kind for SCTP (a program that speaks it can be run by the kind `exec`)",
)];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Tcp,
    Tls,
    Starttls,
    Grpc,
    Grpcs,
    Websocket,
    Icmp,
    Ssh,
    Udp,
    Dns,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp | Self::Tls | Self::Starttls => "tcp",
            Self::Grpc | Self::Grpcs => "grpc",
            Self::Websocket => "websocket",
            Self::Icmp => "icmp",
            Self::Ssh => "ssh",
            Self::Udp => "udp",
            Self::Dns => "dns",
        }
    }

    /// Whether it has keys about TLS that mean something.
    pub(super) fn may_speak_tls(self) -> bool {
        matches!(self, Self::Http | Self::Websocket | Self::Tls | Self::Starttls | Self::Grpcs)
    }
}

/// A check that was made of an endpoint.
pub(super) struct Check {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) block: Block,
    /// When it does not count.
    pub(super) windows: Vec<Block>,
}

/// The check, unless the endpoint is left out.
pub(super) fn read(
    node: &Node,
    index: usize,
    defaults: &Defaults,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<Check> {
    let what = what(node, index);
    let mut fields = Fields::of(node, &*what, context)?;
    let Some((title, _)) = fields.text("name", context) else {
        context.error(node.mark, format!("{what} has no `name`"));
        return None;
    };
    let group = fields.text("group", context).map_or("", |(group, _)| group);
    let Some((url, url_mark)) = fields.text("url", context) else {
        context.error(node.mark, format!("{what} has no `url`"));
        return None;
    };
    let question = question(&mut fields, context);
    let (kind, address) = match question {
        Some(_) => (Kind::Dns, url),
        None => kind(&mut fields, url, url_mark, node.mark, context)?,
    };
    let mut request = Request::default();
    match kind {
        Kind::Http | Kind::Websocket => {
            let url = text::text(url, url_mark, &what, context);
            note_credentials(&url, url_mark, &what, context);
            request.url = Some(url);
        }
        Kind::Tcp | Kind::Tls | Kind::Starttls | Kind::Grpc | Kind::Grpcs => {
            let address = address.trim_end_matches('/');
            request.target = Some(text::text(address, url_mark, &what, context));
            request.tls = matches!(kind, Kind::Tls | Kind::Grpcs);
            // It speaks to mail servers alone there.
            request.starttls = (kind == Kind::Starttls).then_some("smtp");
        }
        Kind::Icmp | Kind::Ssh | Kind::Udp => {
            let address = match kind {
                Kind::Ssh if !address.contains(':') => format!("{address}:22"),
                _ => address.trim_end_matches('/').to_owned(),
            };
            request.target = Some(text::text(&address, url_mark, &what, context));
        }
        Kind::Dns => {}
    }
    talk(&mut fields, kind, (title, group, url), &mut request, context);
    let mut timing = Timing { interval: Duration::from_mins(1), ..Timing::default() };
    if let Some((interval, mark)) = duration(&mut fields, "interval", context)
        && interval > Duration::ZERO
    {
        (timing.interval, timing.interval_mark) = (interval, mark);
    }
    timing.timeout = Duration::from_secs(10).min(timing.interval);
    client::read(&mut fields, kind, &mut request, &mut timing, context);
    let judgement = conditions(&mut fields, kind, &mut request, &timing, context);
    alerts::read(&mut fields, defaults, &mut timing, context);
    let enabled = fields.boolean("enabled", context);
    if let Some((false, mark)) = enabled
        && !group.is_empty()
    {
        let message = format!("{what} is off, and no member of its group while it is");
        context.note(mark, message);
    }
    let enabled = enabled.is_none_or(|(enabled, _)| enabled);
    let labels = labels(&mut fields, context);
    let windows = fields.list("maintenance-windows", context);
    fields.leave_out(
        &[
            ("ui", "there is nothing to set about pages (`detail` of an `[[endpoint]]` hides)"),
            ("store", "no check hands what it read to another"),
            ("always-run", "no check is a step of others"),
            ("ssh", "nobody logs in; that the server speaks SSH is what is looked at"),
        ],
        context,
    );
    fields.finish(context);

    let wanted = if group.is_empty() { title.to_owned() } else { format!("{group}-{title}") };
    let name = names.give(&wanted);
    let mut block = Block::new("[[check]]");
    block.put("name", name.as_str());
    put_title(&mut block, &name, title);
    block.put("kind", kind.word());
    if let Some(question) = question {
        block.put("server", text::text(url, url_mark, &what, context));
        for (key, value) in question {
            block.put(key, value);
        }
    }
    request.put(&mut block);
    judgement.put(&mut block);
    timing.put(&mut block, &what, context);
    if !enabled {
        block.put("enabled", false);
    }
    if !labels.is_empty() {
        block.put("labels", Item::Table(labels));
    }
    let windows = match windows {
        Some((_, mark)) if !enabled => {
            let message = format!("`maintenance-windows` of {what} are left out: it is off");
            context.note(mark, message);
            Vec::new()
        }
        Some((list, _)) => list
            .iter()
            .filter_map(|node| {
                windows::read(node, &format!("a window of {what}"), Some(&name), context)
            })
            .collect(),
        None => Vec::new(),
    };
    Some(Check { name, enabled, block, windows })
}

/// What a name server is asked.
fn question(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<[(&'static str, Text); 2]> {
    let (mut dns, _) = fields.fields("dns", context)?;
    let what = dns.what().to_owned();
    let mut taken = |key| {
        let (written, mark) = dns.text(key, context)?;
        Some(text::text(written, mark, &what, context))
    };
    let (name, sort) = (taken("query-name"), taken("query-type"));
    dns.finish(context);
    let or = |text: Option<Text>, default: &str| text.unwrap_or_else(|| Text::literal(default));
    Some([("query-name", or(name, ".")), ("query-type", or(sort, "A"))])
}

/// Which kind it is, and what comes behind the scheme.
fn kind<'a>(
    fields: &mut Fields<'_>,
    url: &'a str,
    url_mark: Mark,
    mark: Mark,
    context: &mut Context<'_>,
) -> Option<(Kind, &'a str)> {
    let what = fields.what().to_owned();
    if let Some((scheme, why)) = OTHER_SCHEMES.iter().find(|(scheme, _)| url.starts_with(scheme)) {
        context.note(mark, format!("{what} with `{scheme}` is left out: {why}"));
        return None;
    }
    let schemes = [
        ("http://", Kind::Http),
        ("https://", Kind::Http),
        ("tcp://", Kind::Tcp),
        ("tls://", Kind::Tls),
        ("starttls://", Kind::Starttls),
        ("grpc://", Kind::Grpc),
        ("grpcs://", Kind::Grpcs),
        ("ws://", Kind::Websocket),
        ("wss://", Kind::Websocket),
        ("icmp://", Kind::Icmp),
        ("ssh://", Kind::Ssh),
        ("udp://", Kind::Udp),
    ];
    for (scheme, kind) in schemes {
        if let Some(address) = url.strip_prefix(scheme) {
            return Some((kind, address));
        }
    }
    if text::varies(url) {
        let message =
            format!("the URL of {what} is taken for one of HTTP: it begins with a variable");
        context.note(url_mark, message);
        return Some((Kind::Http, url));
    }
    let message = format!(
        "`url` of {what} is `{}` (expected for example `https://example.com/health`)",
        shown_url(url)
    );
    context.error(url_mark, message);
    None
}

/// A duration that may be a variable, which a duration of ours may be too, but not its sums.
pub(super) fn duration(
    fields: &mut Fields<'_>,
    key: &str,
    context: &mut Context<'_>,
) -> Option<(Duration, Mark)> {
    let (written, mark) = fields.text(key, context)?;
    if text::varies(written) {
        let what = fields.what();
        let message = format!(
            "`{key}` of {what} is left out: it is the variable `{}` (write the duration)",
            shown(written)
        );
        context.note(mark, message);
        return None;
    }
    timing::take(fields, key, context)
}

/// Method, headers and body.
fn talk(
    fields: &mut Fields<'_>,
    kind: Kind,
    (name, group, url): (&str, &str, &str),
    request: &mut Request,
    context: &mut Context<'_>,
) {
    let what = fields.what().to_owned();
    let graphql = fields.boolean("graphql", context).is_some_and(|(graphql, _)| graphql);
    let headers = fields.fields("headers", context);
    let method = fields.text("method", context);
    let body = fields.text("body", context).filter(|(body, _)| !body.is_empty());
    if matches!(kind, Kind::Http | Kind::Websocket)
        && let Some((headers, _)) = headers
    {
        for pair in headers.all() {
            let Some(written) = pair.node.text() else {
                let kind = pair.node.kind();
                let message = format!("a header of {what} is {kind} (expected a text)");
                context.error(pair.node.mark, message);
                continue;
            };
            let value = text::text(written, pair.node.mark, &what, context);
            request.header(&pair.key, value, pair.mark, &what, context);
        }
    } else if let Some((_, mark)) = headers {
        context.note(mark, format!("`headers` of {what} are left out: it is not of HTTP"));
    }
    if let Some((method, mark)) = method
        && kind != Kind::Http
    {
        let message = format!("`method` of {what} is left out: `{}` is of HTTP", shown(method));
        context.note(mark, message);
    }
    let method = method.map(|(method, _)| method);
    if kind == Kind::Http {
        // Ours sends a body with POST unless told otherwise, Gatus with GET.
        let method = method.or(body.is_some().then_some("GET"));
        request.method = method.map(|method| Text::literal(method.to_ascii_uppercase()));
    }
    let Some((body, mark)) = body else { return };
    let body = body
        .replace("[ENDPOINT_NAME]", name)
        .replace("[ENDPOINT_GROUP]", group)
        .replace("[ENDPOINT_URL]", url);
    if body.contains("[LOCAL_ADDRESS]") || body.contains("[RANDOM_STRING_") {
        context.note(
            mark,
            format!(
                "`[LOCAL_ADDRESS]` and `[RANDOM_STRING_N]` in the body of {what} are sent as they \
                 stand there: a body is the same in each run"
            ),
        );
    }
    let body = match graphql {
        true => serde_json::json!({ "query": body }).to_string(),
        false => body,
    };
    let body = text::text(&body, mark, &what, context);
    match kind {
        Kind::Http => {
            let typed =
                request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if graphql && !typed {
                let json = Text::literal("application/json");
                request.header("Content-Type", json, mark, &what, context);
            }
            request.body = Some(body);
        }
        Kind::Tcp | Kind::Tls | Kind::Websocket | Kind::Udp => request.send = Some(body),
        Kind::Icmp | Kind::Ssh | Kind::Dns | Kind::Starttls | Kind::Grpc | Kind::Grpcs => {
            let kind = kind.word();
            context
                .note(mark, format!("`body` of {what} is left out: the kind `{kind}` sends none"));
        }
    }
}

/// What judges the runs of a check.
#[derive(Debug, Default)]
struct Judgement {
    fail: Vec<Text>,
    latency: Option<Duration>,
    invert: bool,
}

impl Judgement {
    fn put(self, block: &mut Block) {
        if !self.fail.is_empty() {
            block.put("fail", Item::one_or_many(self.fail.into_iter().map(Item::from).collect()));
        }
        if let Some(latency) = self.latency {
            block.put("latency-fail", timing::show(latency).as_str());
        }
        if self.invert {
            block.put("invert", true);
        }
    }
}

fn conditions(
    fields: &mut Fields<'_>,
    kind: Kind,
    request: &mut Request,
    timing: &Timing,
    context: &mut Context<'_>,
) -> Judgement {
    let what = fields.what().to_owned();
    let mut conditions = Conditions::default();
    let listed = fields.texts("conditions", context);
    let mark = listed.as_ref().map(|(_, mark)| *mark).unwrap_or_default();
    if listed.as_ref().is_none_or(|(list, _)| list.is_empty()) {
        context.error(
            mark,
            format!("{what} has no `conditions` (expected for example `[STATUS] == 200`)"),
        );
    }
    let count = listed.as_ref().map_or(0, |(list, _)| list.len());
    for (condition, mark) in listed.map(|(list, _)| list).unwrap_or_default() {
        conditions.add(condition, mark, &what, context);
    }
    let mut judgement = Judgement::default();
    if let Some((within, _)) = conditions.within {
        // A run that takes as long as its timeout fails in any case.
        let timeout = timing.timeout.min(timing.interval);
        judgement.latency = Some(within).filter(|within| *within < timeout);
        if within < Duration::from_millis(1) {
            judgement.latency = Some(Duration::from_millis(1));
        }
    }
    if let Some(mark) = conditions.unconnected {
        if count == 1 {
            judgement.invert = true;
        } else {
            let message = format!(
                "the conditions of {what} besides the one that nothing answers are left out: nothing else can be said then"
            );
            context.note(mark, message);
            judgement.invert = true;
            conditions = Conditions::default();
        }
    }
    if conditions.fail.len() > MAX_CONDITIONS {
        let message = format!(
            "{what} has more than {MAX_CONDITIONS} conditions that become `fail`, the most there are"
        );
        context.note(mark, message);
        conditions.fail.truncate(MAX_CONDITIONS);
    }
    if kind == Kind::Http {
        request.expect_status = conditions.statuses();
        if request.expect_status.is_empty() {
            let mark = conditions.status_mark.unwrap_or_default();
            context.error(mark, format!("no status meets all conditions of {what}"));
        }
        request.expect_body = conditions.contains;
        request.expect_body_matches = conditions.matches;
        judgement.fail = conditions.fail;
        return judgement;
    }
    if let Some(mark) = conditions.status_mark {
        context.note(mark, format!("the condition on the status of {what} is left out: no HTTP"));
    }
    // The texts that a condition can look at.
    let over = match kind {
        Kind::Dns => Some(("answers.exists(a, a", ")")),
        Kind::Udp => Some(("body", "")),
        _ => None,
    };
    if let Some((begin, end)) = over {
        // What is waited for is waited for by a key of its own.
        let rest = if kind == Kind::Udp { conditions.contains.len().min(1) } else { 0 };
        for word in conditions.contains.drain(rest..) {
            let word = expression::quoted(word.as_str());
            judgement.fail.push(Text::literal(format!("!{begin}.contains({word}){end}")));
        }
        for pattern in conditions.matches.drain(..) {
            let pattern = expression::quoted(pattern.as_str());
            judgement.fail.push(Text::literal(format!("!{begin}.matches({pattern}){end}")));
        }
    }
    let talks = matches!(kind, Kind::Tcp | Kind::Tls | Kind::Websocket);
    // The script of `tcp` is over whole lines, of which a target need not say one.
    let lone = conditions.contains.is_empty() && conditions.matches.len() == 1;
    if kind == Kind::Websocket && lone {
        let pair = |key: &str, text| Item::Table(vec![(key.to_owned(), Item::from(text))]);
        request.script.extend(request.send.take().map(|text| pair("send", text)));
        request.script.extend(conditions.matches.pop().map(|text| pair("expect", text)));
    }
    let expects = talks || kind == Kind::Udp;
    let kept = if expects { conditions.contains.len().min(1) } else { 0 };
    let lost = conditions.contains.len() - kept + conditions.matches.len();
    request.expect = conditions.contains.into_iter().next().filter(|_| expects);
    if lost > 0 {
        let message = format!(
            "conditions on the body of {what} are left out but for {}: the kind `{}` waits for {}",
            if kept == 1 { "one" } else { "none" },
            kind.word(),
            if expects { "one text" } else { "no text" },
        );
        context.note(mark, message);
    }
    if kind.word() == "grpc" {
        // The answer there is JSON with the one key `status`; that it serves is expected anyway.
        conditions.fail.retain(|condition| condition.as_str() != "json.status != 'SERVING'");
        for condition in &mut conditions.fail {
            *condition = Text::literal(condition.as_str().replace("json.status", "serving"));
        }
    }
    let of_all = |condition: &Text| {
        let condition = condition.as_str();
        condition.starts_with("latency ")
            || (condition.contains("detail.peer")
                && !matches!(kind, Kind::Icmp | Kind::Dns | Kind::Udp))
            || (condition.starts_with("code ") && kind == Kind::Dns)
            || (condition.starts_with("certificate.") && kind.may_speak_tls())
            || (condition.contains("serving") && kind.word() == "grpc")
    };
    let (kept, lost): (Vec<Text>, Vec<Text>) = conditions.fail.into_iter().partition(of_all);
    judgement.fail.extend(kept);
    for condition in lost {
        let message = format!(
            "a condition of {what} is left out: the kind `{}` does not know what `{}` is about",
            kind.word(),
            shown(condition.as_str())
        );
        context.note(mark, message);
    }
    judgement
}

/// `extra-labels`.
fn labels(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Vec<(String, Item)> {
    let Some((labels, mark)) = fields.fields("extra-labels", context) else { return Vec::new() };
    let what = labels.what().to_owned();
    let mut carried = Vec::new();
    let mut too_many = false;
    for pair in labels.all() {
        let value = pair.node.text().map(|written| text::text(written, pair.mark, &what, context));
        match value {
            Some(value) if carried.len() < MAX_LABELS => {
                let fits =
                    |text: &str| text.len() <= MAX_LABEL && !text.chars().any(char::is_control);
                if fits(&pair.key) && fits(value.as_str()) {
                    carried.push((pair.key.clone(), Item::from(value)));
                } else {
                    let message = format!(
                        "a label in {what} is left out: it has more than 200 bytes or a line break"
                    );
                    context.note(pair.mark, message);
                }
            }
            Some(_) => too_many = true,
            None => {
                let kind = pair.node.kind();
                context.error(
                    pair.node.mark,
                    format!("a label in {what} is {kind} (expected a text)"),
                );
            }
        }
    }
    if too_many {
        context
            .note(mark, format!("{what} holds more than {MAX_LABELS} labels, the most there are"));
    }
    carried
}
