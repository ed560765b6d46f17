//! The probers `tcp` and `websocket`: what is said and what is waited for.

use super::http;
use super::pattern::certain;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::Request;
use crate::import::write::Text;
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
        let upgrade = "a WebSocket is asked for with HTTP/1.1, once";
        client.leave_out(&[("enable_http2", upgrade), ("follow_redirects", upgrade)], context);
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

/// `query_response`: some texts to send, then one to wait for. What comes after that is left out.
fn talk(fields: &mut Fields<'_>, request: &mut Request, ending: Ending, context: &mut Context<'_>) {
    let Some((steps, _)) = fields.list("query_response", context) else { return };
    let what = fields.what().to_owned();
    let mut sent: Vec<Text> = Vec::new();
    let mut over = false;
    for (index, node) in steps.iter().enumerate() {
        let step_what = format!("step {} of {what}", index + 1);
        let Some(mut step) = Fields::of(node, &*step_what, context) else { continue };
        if over {
            let message = format!(
                "{step_what} is left out: a check sends, then waits for one text (a plugin can go \
                 on from there)"
            );
            context.note(node.mark, message);
            continue;
        }
        step.leave_out(&[("labels", "no labels are taken from what is read")], context);
        if let Some((true, mark)) = step.boolean("starttls", context) {
            let message = format!("`starttls` of {step_what} is left out: a plugin can do it");
            context.note(mark, message);
            over = true;
        }
        // In a step, what is expected comes first.
        let expect = step.take("expect").map(|pair| (&pair.node, pair.mark, false));
        let bytes = step.take("expect_bytes").map(|pair| (&pair.node, pair.mark, true));
        if let Some((node, mark, bytes)) = expect.or(bytes) {
            request.expect = expected(node, mark, bytes, &step_what, context);
            over = true;
        }
        if let Some(pair) = step.take("send") {
            match said(&pair.node) {
                _ if over => {
                    let message = format!(
                        "`send` of {step_what} is left out: a check sends, then waits for one text"
                    );
                    context.note(pair.mark, message);
                }
                Some(text) if !text.contains("${") => sent.push(Text::literal(text)),
                Some(_) => {
                    // Without it, nothing that follows would come.
                    over = true;
                    let message = format!(
                        "`send` of {step_what} is left out: nothing that was read can be sent back"
                    );
                    context.note(pair.mark, message);
                }
                None => {
                    over = true;
                    let message = format!(
                        "`send` of {step_what} is left out: only text can be sent (for PostgreSQL, \
                         MySQL, Redis and MongoDB there are kinds of their own)"
                    );
                    context.note(pair.mark, message);
                }
            }
        }
        step.finish(context);
    }
    if !sent.is_empty() {
        // Every text that is sent is a line there, and a message of its own over a WebSocket.
        let end = Text::literal(if ending == Ending::Line { "\n" } else { "" });
        if ending == Ending::Message && sent.len() > 1 {
            let message = format!("{what} sends several messages; only the first is sent");
            context.note(steps.first().map(|node| node.mark).unwrap_or_default(), message);
            sent.truncate(1);
        }
        let whole = sent.into_iter().fold(Text::default(), |all, text| all.with(&text).with(&end));
        request.send = Some(whole);
    }
}

/// A text, also of what is tagged as binary.
fn said(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        _ => node.text(),
    }
}

fn expected(
    node: &Node,
    mark: Mark,
    bytes: bool,
    what: &str,
    context: &mut Context<'_>,
) -> Option<Text> {
    let Some(text) = said(node) else {
        context.note(mark, format!("what {what} expects is left out: it is no text"));
        return None;
    };
    if bytes {
        return Some(Text::literal(text));
    }
    let Some(found) = certain(text) else {
        let message = format!(
            "`expect` of {what} is left out: `{}` matches no certain text (a check waits for a \
             text, not for a pattern)",
            shown(text)
        );
        context.note(mark, message);
        return None;
    };
    if !found.exact {
        let message = format!(
            "`expect` of {what} waits for the text `{}` anywhere, not for the pattern `{}`",
            shown(&found.text),
            shown(text)
        );
        context.note(mark, message);
    }
    Some(Text::literal(found.text))
}
