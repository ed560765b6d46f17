//! One probe as one check.

use std::time::Duration;

use crate::import::command::{self, Command};
use crate::import::context::{Context, Fields, shown};
use crate::import::http::{MAX_REDIRECTS, Request};
use crate::import::names::{Names, put_title};
use crate::import::timing::Timing;
use crate::import::write::{Block, Item, Text};
use crate::import::yaml::{Mark, Node, Value};

/// What the kubelet follows.
const REDIRECTS: i64 = 10;

const _: () = assert!(REDIRECTS <= MAX_REDIRECTS, "the kind `http` follows as many");

/// The container that a probe belongs to.
pub(super) struct Owner<'a> {
    pub(super) container: &'a Node,
    /// For messages.
    pub(super) what: String,
    /// What names begin with.
    pub(super) base: String,
    pub(super) title: String,
    /// Where the pod is.
    pub(super) host: String,
}

/// The name of the check and what it is told, unless the probe is left out.
pub(super) fn read(
    owner: &Owner<'_>,
    (key, node, mark): (&'static str, &Node, Mark),
    waits_for: Option<&str>,
    names: &mut Names,
    context: &mut Context<'_>,
) -> Option<(String, Block)> {
    let word = key.strip_suffix("Probe").unwrap_or(key);
    let what = format!("`{key}` of {}", owner.what);
    let mut fields = Fields::of(node, &*what, context)?;
    let mut timing = timing(&mut fields, mark, context);
    fields.leave_out(
        &[("terminationGracePeriodSeconds", "nothing is stopped because of a check")],
        context,
    );
    if let Some((delay, mark)) = fields.integer("initialDelaySeconds", context)
        && delay != 0
    {
        context.note(
            mark,
            format!(
                "`initialDelaySeconds` of {what} is left out: a check runs at once (it is not the \
                 pod that starts, but wellcheck)"
            ),
        );
    }
    let handled = handler(&mut fields, owner, mark, context);
    fields.finish(context);
    let Handled { kind, request, within } = handled?;
    timing.timeout = within.map_or(timing.timeout, |within| within.min(timing.timeout));

    let name = names.give(&format!("{}-{word}", owner.base));
    let mut block = Block::new("[[check]]");
    block.put("name", name.as_str());
    put_title(&mut block, &name, &format!("{}: {word}", owner.title.trim_end()));
    block.put("kind", kind);
    request.put(&mut block);
    timing.put(&mut block, &what, context);
    block.put("tags", Item::List(vec![word.into()]));
    if key == "startupProbe" {
        // It runs until it has passed once, and then no more.
        let interval = crate::import::timing::show(timing.interval);
        block.put("startup-interval", interval.as_str());
        block.put("continuous", false);
    }
    if let Some(startup) = waits_for {
        block.put("start-after", Item::List(vec![startup.into()]));
    }
    Some((name, block))
}

/// What applies where the probe says nothing, or 0.
fn timing(fields: &mut Fields<'_>, mark: Mark, context: &mut Context<'_>) -> Timing {
    let mut number = |key, default| match fields.integer(key, context) {
        Some((number, mark)) if number != 0 => (number, mark),
        _ => (default, mark),
    };
    let (interval, interval_mark) = number("periodSeconds", 10);
    let (timeout, timeout_mark) = number("timeoutSeconds", 1);
    let (failures, failures_mark) = number("failureThreshold", 3);
    let (successes, successes_mark) = number("successThreshold", 1);
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    for (number, mark) in [(interval, interval_mark), (timeout, timeout_mark)] {
        if number < 0 {
            context.error(mark, format!("a probe has {number} seconds (expected 1 or more)"));
        }
    }
    Timing {
        interval: seconds(interval),
        interval_mark,
        timeout: seconds(timeout),
        timeout_mark,
        failures,
        failures_mark,
        successes,
        successes_mark,
    }
}

/// What a probe does.
struct Handled {
    kind: &'static str,
    request: Request,
    /// A limit that its command has besides.
    within: Option<Duration>,
}

fn handler(
    fields: &mut Fields<'_>,
    owner: &Owner<'_>,
    mark: Mark,
    context: &mut Context<'_>,
) -> Option<Handled> {
    let what = fields.what().to_owned();
    let get = fields.fields("httpGet", context);
    let socket = fields.fields("tcpSocket", context);
    let exec = fields.fields("exec", context);
    let grpc = fields.fields("grpc", context);
    let count = [get.is_some(), socket.is_some(), exec.is_some(), grpc.is_some()];
    if count.iter().filter(|there| **there).count() > 1 {
        context.error(mark, format!("{what} does more than one thing (expected one handler)"));
        return None;
    }
    if let Some((get, mark)) = get {
        let request = http_get(get, mark, owner, context)?;
        return Some(Handled { kind: "http", request, within: None });
    }
    if let Some((mut socket, mark)) = socket {
        let port = port(&mut socket, owner, mark, context);
        let host = socket.text("host", context).map(|(host, _)| host);
        socket.finish(context);
        let target = format!("{}:{}", bracketed(host.unwrap_or(&owner.host)), port?);
        let request = Request { target: Some(Text::literal(target)), ..Request::default() };
        return Some(Handled { kind: "tcp", request, within: None });
    }
    if let Some((mut exec, mark)) = exec {
        let words = exec.texts("command", context).map(|(list, _)| list).unwrap_or_default();
        exec.finish(context);
        let words = words.iter().map(|(text, _)| (*text).to_owned()).collect();
        return match command::read(&Command::Words(words), &owner.host, mark, &what, context) {
            Ok((request, within)) => Some(Handled { kind: "http", request, within }),
            Err(why) => {
                context.note(mark, format!("{what} is left out: {why}"));
                None
            }
        };
    }
    if let Some((mut grpc, mark)) = grpc {
        for key in ["port", "service"] {
            if let Some(pair) = grpc.take(key) {
                let message = format!("`{key}` of {} is left out with the probe", grpc.what());
                context.note(pair.mark, message);
            }
        }
        grpc.finish(context);
        let why =
            "there is no kind for gRPC; a plugin can ask, or the kind `tcp` looks at the port";
        context.note(mark, format!("{what} with `grpc` is left out: {why}"));
        return None;
    }
    context.error(
        mark,
        format!("{what} does nothing (expected `httpGet`, `tcpSocket`, `exec` or `grpc`)"),
    );
    None
}

fn http_get(
    mut get: Fields<'_>,
    mark: Mark,
    owner: &Owner<'_>,
    context: &mut Context<'_>,
) -> Option<Request> {
    let what = get.what().to_owned();
    let path = get.text("path", context).map_or("/", |(path, _)| path);
    let scheme = get.text("scheme", context).map_or("HTTP", |(scheme, _)| scheme);
    let host = get.text("host", context);
    let port = port(&mut get, owner, mark, context);
    let scheme = match scheme {
        "HTTP" => "http",
        "HTTPS" => "https",
        other => {
            let found = shown(other);
            let message = format!("`scheme` of {what} is `{found}` (expected HTTP or HTTPS)");
            context.error(mark, message);
            return None;
        }
    };
    let mut request = Request {
        expect_status: vec![(200, 399)],
        // The kubelet does not verify certificates.
        tls_insecure: scheme == "https",
        ..Request::default()
    };
    if let Some((list, mark)) = get.list("httpHeaders", context) {
        for node in list {
            let Some(mut header) = Fields::of(node, format!("a header of {what}"), context) else {
                continue;
            };
            let name = header.text("name", context).map_or("", |(name, _)| name);
            let value = header.text("value", context).map_or("", |(value, _)| value);
            header.finish(context);
            request.header(name, Text::literal(value), node.mark, &what, context);
        }
        if matches!(list, [only] if !matches!(only.value, Value::Map(_))) {
            context.error(mark, format!("`httpHeaders` of {what} is no list of maps"));
        }
    }
    get.finish(context);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let host = bracketed(host.map_or(owner.host.as_str(), |(host, _)| host));
    let url = format!("{scheme}://{host}:{}{slash}{path}", port?);
    request.url = Some(Text::literal(url));
    context.note_once(
        owner.container.mark,
        "a redirect to another host is a success for the kubelet; here up to 10 redirects are \
         followed wherever they lead (`redirects = 0` takes the redirect itself for the answer)",
    );
    Some(request)
}

/// A port by number, or by its name among the container's ports.
fn port(
    fields: &mut Fields<'_>,
    owner: &Owner<'_>,
    default_mark: Mark,
    context: &mut Context<'_>,
) -> Option<u16> {
    let what = fields.what().to_owned();
    let Some((port, mark)) = fields.text("port", context) else {
        context.error(default_mark, format!("{what} has no `port`"));
        return None;
    };
    if let Ok(number) = port.parse::<i64>() {
        let fits = u16::try_from(number).ok().filter(|port| *port > 0);
        if fits.is_none() {
            let message = format!("`port` of {what} is {number} (expected 1 to 65535)");
            context.error(mark, message);
        }
        return fits;
    }
    let listed = match owner.container.get("ports").map(|node| &node.value) {
        Some(Value::List(ports)) => ports.as_slice(),
        _ => &[],
    };
    let named = |node: &&Node| node.get("name").and_then(Node::text) == Some(port);
    let number = listed.iter().find(named).and_then(|node| node.get("containerPort")?.integer());
    let number = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
    if number.is_none() {
        let message = format!(
            "{what} is left out: its port `{}` is no number and none of the container's `ports`",
            shown(port)
        );
        context.note(mark, message);
    }
    number
}

/// An IPv6 address stands in brackets before a port.
fn bracketed(host: &str) -> String {
    let bare = host.contains(':') && !host.starts_with('[');
    if bare { format!("[{host}]") } else { host.to_owned() }
}
