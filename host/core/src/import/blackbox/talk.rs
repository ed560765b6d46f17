//! The probers `tcp`, `websocket` and `grpc`: what is said and what is waited for.

use regex::Regex;

use super::http;
use super::pattern::certain;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::Request;
use crate::import::write::{Item, Text};
use crate::import::yaml::{Mark, Node, Value};

/// Which of them it is; they end what they send differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Line,
    Message,
}

pub(super) fn tcp(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request::default();
    talk(&mut fields, &mut request, Ending::Line, context);
    request.tls = fields.boolean("tls", context).is_some_and(|(tls, _)| tls);
    http::tls(&mut fields, &mut request, context);
    http::family(&mut fields, &mut request, context);
    fields.leave_out(&[("source_ip_address", "the system chooses the address")], context);
    fields.finish(context);
    request
}

pub(super) fn websocket(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request::default();
    if let Some((headers, _)) = fields.fields("headers", context) {
        http::typed_headers(headers, &mut request, context);
    }
    if let Some((mut client, mark)) = fields.fields("http_config", context) {
        http::client(&mut client, &mut request, context);
        http::drop_basic(&mut request, client.what(), context);
        let upgrade = "a WebSocket is asked for with HTTP/1.1, once";
        client.leave_out(
            &[
                ("enable_http2", upgrade),
                ("follow_redirects", upgrade),
                ("oauth2", "no token is fetched; write the header `Authorization` with `${NAME}`"),
            ],
            context,
        );
        let what = client.what().to_owned();
        client.finish(context);
        if request.proxy.take().is_some() {
            let message =
                format!("`proxy_url` of {what} is left out: no proxy leads to WebSockets");
            context.note(mark, message);
        }
    }
    talk(&mut fields, &mut request, Ending::Message, context);
    http::family(&mut fields, &mut request, context);
    fields.finish(context);
    request
}

/// The prober `grpc`.
pub(super) fn grpc(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request {
        service: fields.text("service", context).map(|(text, _)| Text::literal(text)),
        ..Request::default()
    };
    request.service = request.service.filter(|service| !service.as_str().is_empty());
    if let Some((metadata, _)) = fields.fields("metadata", context) {
        for pair in metadata.all() {
            let values = match &pair.node.value {
                Value::List(values) => values.as_slice(),
                _ => std::slice::from_ref(&pair.node),
            };
            let name = shown(&pair.key);
            match values {
                [value] if value.text().is_some() => {
                    let text = Text::literal(value.text().unwrap_or_default());
                    request.metadata.push((pair.key.clone(), text));
                }
                _ => {
                    let message = format!(
                        "the metadata `{name}` is left out: it is not one text (a check sends each \
                         name once)"
                    );
                    context.note(pair.mark, message);
                }
            }
        }
    }
    request.tls = fields.boolean("tls", context).is_some_and(|(tls, _)| tls);
    http::tls(&mut fields, &mut request, context);
    http::family(&mut fields, &mut request, context);
    fields.finish(context);
    request
}

/// What a step of a script does.
enum Step {
    /// A pattern, and the text that it looks for if that is all that it does.
    Expect(Text, Option<Text>),
    Send(Text),
    Starttls,
}

/// `query_response`: texts to send and patterns to wait for. What comes after a step that cannot be
/// carried over is left out.
fn talk(fields: &mut Fields<'_>, request: &mut Request, ending: Ending, context: &mut Context<'_>) {
    let Some((nodes, _)) = fields.list("query_response", context) else { return };
    if is_postgres(nodes) {
        request.starttls = Some("postgres");
        return;
    }
    let what = fields.what().to_owned();
    let mut steps: Vec<Step> = Vec::new();
    let mut over = false;
    for (index, node) in nodes.iter().enumerate() {
        let step_what = format!("step {} of {what}", index + 1);
        let Some(mut step) = Fields::of(node, &*step_what, context) else { continue };
        if over {
            let message = format!("{step_what} is left out, as what comes before it is");
            context.note(node.mark, message);
            continue;
        }
        step.leave_out(&[("labels", "no labels are taken from what is read")], context);
        // In a step, what is expected comes first, and TLS last.
        let expect = step.take("expect").map(|pair| (&pair.node, pair.mark, false));
        let bytes = step.take("expect_bytes").map(|pair| (&pair.node, pair.mark, true));
        let mut pattern = None;
        if let Some((node, mark, bytes)) = expect.or(bytes) {
            match expected(node, mark, bytes, &step_what, context) {
                Some((found, regex)) => {
                    steps.push(found);
                    pattern = regex;
                }
                None => over = true,
            }
        }
        if let Some(pair) = step.take("send") {
            match said(&pair.node).map(|text| to_send(text, pattern.as_ref())) {
                Some(Some(text)) if !over => {
                    let end = if ending == Ending::Line { "\n" } else { "" };
                    steps.push(Step::Send(Text::literal(text + end)));
                }
                Some(Some(_)) => {
                    let message =
                        format!("`send` of {step_what} is left out, as what comes before it is");
                    context.note(pair.mark, message);
                }
                Some(None) => {
                    over = true;
                    let message = format!(
                        "`send` of {step_what} is left out: it holds `{{{{`, which stands for what \
                         was read before"
                    );
                    context.note(pair.mark, message);
                }
                None => {
                    over = true;
                    let message = format!(
                        "`send` of {step_what} is left out: only text can be sent (for \
                         PostgreSQL, MySQL, Redis and MongoDB there are kinds of their own)"
                    );
                    context.note(pair.mark, message);
                }
            }
        }
        if let Some((true, mark)) = step.boolean("starttls", context) {
            if over || ending == Ending::Message {
                over = true;
                context.note(mark, format!("`starttls` of {step_what} is left out"));
            } else {
                steps.push(Step::Starttls);
            }
        }
        step.finish(context);
    }
    put(steps, request, ending);
}

/// As `send` and `expect` where that says it all, else as a script.
fn put(steps: Vec<Step>, request: &mut Request, ending: Ending) {
    let sends = steps.iter().take_while(|step| matches!(step, Step::Send(_))).count();
    let simple = match &steps[sends..] {
        [] | [Step::Expect(_, Some(_))] => ending == Ending::Line || sends <= 1,
        _ => false,
    };
    if !simple {
        let pair = |key: &str, item: Item| Item::Table(vec![(key.to_owned(), item)]);
        let steps = steps.into_iter().map(|step| match step {
            Step::Expect(pattern, _) => pair("expect", pattern.into()),
            Step::Send(text) => pair("send", text.into()),
            Step::Starttls => pair("starttls", true.into()),
        });
        request.script = steps.collect();
        return;
    }
    for step in steps {
        match step {
            Step::Send(text) => {
                request.send = Some(request.send.take().unwrap_or_default().with(&text));
            }
            Step::Expect(_, text) => request.expect = text,
            Step::Starttls => {}
        }
    }
}

/// Whether the steps are those by which PostgreSQL is asked for TLS.
fn is_postgres(nodes: &[Node]) -> bool {
    const ASKS: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    let only = |node: &Node, key: &str, is: fn(&Node) -> bool| match &node.value {
        Value::Map(pairs) => matches!(&pairs[..], [pair] if pair.key == key && is(&pair.node)),
        _ => false,
    };
    let [send, expect, begin] = nodes else { return false };
    only(send, "send", |node| matches!(&node.value, Value::Binary(bytes) if *bytes == ASKS))
        && only(expect, "expect_bytes", |node| node.text() == Some("S"))
        && only(begin, "starttls", |node| node.boolean() == Some(true))
}

/// A text, also of what is tagged as binary.
fn said(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Binary(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')),
        _ => node.text(),
    }
}

/// What is to be sent, with `${1}` as `{{1}}` where a pattern stands before it in its step; `None`
/// if it could not be told from what stands there.
fn to_send(text: &str, pattern: Option<&Regex>) -> Option<String> {
    if text.contains("{{") {
        return None;
    }
    let Some(pattern) = pattern else { return Some(text.to_owned()) };
    let known = |name: &str| {
        name.parse::<usize>().is_ok_and(|number| number < pattern.captures_len())
            || pattern.capture_names().flatten().any(|known| known == name)
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, behind) = match braced {
            Some(found) => found,
            None => after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len())),
        };
        if let Some(behind) = after.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if name.is_empty() || !name.chars().all(is_word) {
            out.push('$');
            rest = after;
        } else {
            // One that is not there is empty.
            if known(name) {
                out = format!("{out}{{{{{name}}}}}");
            }
            rest = behind;
        }
    }
    out.push_str(rest);
    Some(out)
}

fn expected(
    node: &Node,
    mark: Mark,
    bytes: bool,
    what: &str,
    context: &mut Context<'_>,
) -> Option<(Step, Option<Regex>)> {
    let Some(text) = said(node) else {
        context.note(mark, format!("what {what} expects is left out: it is no text"));
        return None;
    };
    if bytes {
        let pattern = Text::literal(regex::escape(text));
        return Some((Step::Expect(pattern, Some(Text::literal(text))), None));
    }
    let Ok(regex) = Regex::new(text) else {
        let message =
            format!("`expect` of {what} is left out: `{}` is no pattern here", shown(text));
        context.note(mark, message);
        return None;
    };
    let found = certain(text).filter(|found| found.exact);
    let found = found.map(|found| Text::literal(found.text));
    Some((Step::Expect(Text::literal(text), found), Some(regex)))
}
