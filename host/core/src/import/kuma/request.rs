//! Monitors of HTTP and WebSockets.

use std::fmt::Write as _;

use super::super::gatus::expression;
use super::monitor::{CERTIFICATE_DAYS, Made, flag, word};
use super::text;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::{BODY_NOTE, MAX_REDIRECTS, OAuth2, Request, note_credentials};
use crate::import::json;
use crate::import::write::{Item, Text};
use crate::import::yaml::{Mark, Node};

/// The types `http`, `keyword` and `json-query`, and RabbitMQ, which is asked over HTTP.
pub(super) fn http(
    fields: &mut Fields<'_>,
    sort: &str,
    proxies: &[&Node],
    context: &mut Context<'_>,
) -> Option<Made> {
    let mut request = Request::default();
    let mut fail = Vec::new();
    let what = fields.what().to_owned();
    if sort == "rabbitmq" {
        rabbitmq(fields, &mut request, context)?;
    } else {
        let (url, mark) = word(fields, "url")?;
        request.url = Some(Text::literal(url));
        note_credentials(&Text::literal(url), mark, &what, context);
        body(fields, &mut request);
        if let Some((true, mark)) = flag(fields, "cacheBust") {
            let why = "the URL is the same in each run";
            context.note(mark, format!("`cacheBust` of {what} is left out: {why}"));
        }
        who(fields, &mut request, true, context);
    }
    headers(fields, &mut request, context);
    statuses(fields, &mut request, context);
    if let Some((most, mark)) = fields.integer("maxredirects", context) {
        let within = most.clamp(0, MAX_REDIRECTS);
        if within != most {
            let message = format!("`maxredirects` of {what} becomes {within} (found {most})");
            context.note(mark, message);
        }
        request.redirects = Some(within);
    }
    if sort == "keyword"
        && let Some((keyword, mark)) = word(fields, "keyword")
    {
        context.note_once(mark, BODY_NOTE);
        match flag(fields, "invertKeyword") {
            Some((true, _)) => request.further.push(("refuse-body", Item::from(keyword))),
            _ => request.expect_body.push(Text::literal(keyword)),
        }
    }
    if sort == "json-query" {
        fail.extend(json_query(fields, context));
    }
    connection(fields, &mut request, context);
    proxy(fields, proxies, &mut request, context);
    Some(Made { kind: "http", request, fail })
}

/// The type `websocket-upgrade`.
pub(super) fn websocket(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Made> {
    let mut request = Request::default();
    let (url, _) = word(fields, "url")?;
    request.url = Some(Text::literal(url));
    who(fields, &mut request, false, context);
    headers(fields, &mut request, context);
    connection(fields, &mut request, context);
    if let Some((list, _)) = word(fields, "wsSubprotocol") {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        request.further.push(("subprotocols", Item::one_or_many(words.map(Item::from).collect())));
    }
    let what = fields.what().to_owned();
    if let Some((true, mark)) = flag(fields, "wsIgnoreSecWebsocketAcceptHeader") {
        let key = "wsIgnoreSecWebsocketAcceptHeader";
        let why = "an upgrade without its proof is none";
        context.note(mark, format!("`{key}` of {what} is left out: {why}"));
    }
    Some(Made { kind: "websocket", request, fail: Vec::new() })
}

/// One node of a cluster: whether it sees an alarm.
fn rabbitmq(
    fields: &mut Fields<'_>,
    request: &mut Request,
    context: &mut Context<'_>,
) -> Option<()> {
    let what = fields.what().to_owned();
    let pair = fields.take("rabbitmqNodes")?;
    let parsed = pair.node.text().and_then(|text| json::parse_text(text, context.file()));
    let node = parsed.as_ref().map(super::tree).unwrap_or_else(|| pair.node.clone());
    let list = match &node.value {
        crate::import::yaml::Value::List(list) => list.as_slice(),
        _ => &[],
    };
    let url = list.first().and_then(Node::text)?;
    if list.len() > 1 {
        let message = format!("of the nodes of {what} only the first is asked");
        context.note(pair.mark, message);
    }
    let base = url.trim_end_matches('/');
    request.url = Some(Text::literal(format!("{base}/api/health/checks/alarms/")));
    let user = word(fields, "rabbitmqUsername").map_or("", |(user, _)| user);
    let (password, mark) = word(fields, "rabbitmqPassword").unwrap_or(("", pair.mark));
    basic(user, password, mark, &what, request, context);
    Some(())
}

fn basic(
    user: &str,
    password: &str,
    mark: Mark,
    what: &str,
    request: &mut Request,
    context: &mut Context<'_>,
) {
    let entries = vec![
        ("username".to_owned(), Item::from(user)),
        ("password".to_owned(), Item::from(password)),
    ];
    secret("the password", mark, what, context);
    request.further.push(("basic", Item::Table(entries)));
}

fn secret(which: &str, mark: Mark, what: &str, context: &mut Context<'_>) {
    let message =
        format!("{which} of {what} is carried over as it is (write `${{NAME}}` in its place)");
    context.note(mark, message);
}

/// The method, and what is sent.
fn body(fields: &mut Fields<'_>, request: &mut Request) {
    if let Some((method, _)) = word(fields, "method") {
        request.method = Some(Text::literal(method.to_ascii_uppercase()));
    }
    let encoding = word(fields, "httpBodyEncoding").map_or("json", |(encoding, _)| encoding);
    let Some((body, _)) = word(fields, "body").filter(|(body, _)| !body.trim().is_empty()) else {
        return;
    };
    // A body without a method goes with GET there.
    request.method.get_or_insert_with(|| Text::literal("GET"));
    request.body = Some(Text::literal(body));
    let sort = match encoding {
        "form" => "application/x-www-form-urlencoded",
        "xml" => "text/xml; charset=utf-8",
        _ => "application/json",
    };
    request.headers.push(("Content-Type".to_owned(), Text::literal(sort)));
}

/// `headers`: JSON in a text. They win over everything else that is said.
fn headers(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((written, mark)) = word(fields, "headers") else { return };
    let what = fields.what().to_owned();
    let parsed = json::parse_text(written, context.file());
    let Some(parsed) = parsed.filter(|node| matches!(node.value, json::Value::Object(_))) else {
        context.note(mark, format!("`headers` of {what} are left out: they are no JSON object"));
        return;
    };
    for member in parsed.members() {
        let value = match &member.node.value {
            json::Value::String(text) => text.clone(),
            json::Value::Number(_) | json::Value::Boolean(_) => member.node.to_text(),
            _ => {
                let name = shown(&member.name);
                let message = format!("the header `{name}` of {what} is left out: it is no text");
                context.note(mark, message);
                continue;
            }
        };
        if member.name.eq_ignore_ascii_case("authorization") {
            let before = request.further.len();
            request.further.retain(|(key, _)| !matches!(*key, "basic" | "bearer" | "oauth2"));
            if before != request.further.len() {
                let message = format!("{what} says who it is in two ways; its header is sent");
                context.note(mark, message);
            }
        }
        let same = |name: &String| name.eq_ignore_ascii_case(&member.name);
        request.headers.retain(|(name, _)| !same(name));
        request.header(&member.name, Text::literal(value), mark, &what, context);
    }
}

/// Who we are.
fn who(fields: &mut Fields<'_>, request: &mut Request, is_http: bool, context: &mut Context<'_>) {
    let what = fields.what().to_owned();
    let Some((method, mark)) = word(fields, "authMethod") else {
        // Version 1 had no word for it before it had another way.
        if let Some((user, mark)) = word(fields, "basic_auth_user") {
            let password = word(fields, "basic_auth_pass").map_or("", |(password, _)| password);
            login(user, password, mark, &what, request, is_http, context);
        }
        return;
    };
    let mut read = |key: &str| word(fields, key).map_or("", |(text, _)| text);
    match method {
        "basic" => {
            let (user, password) = (read("basic_auth_user"), read("basic_auth_pass"));
            login(user, password, mark, &what, request, is_http, context);
        }
        "bearer" => {
            let token = read("bearer_token");
            if is_http {
                secret("the token", mark, &what, context);
                request.further.push(("bearer", Item::from(token)));
            } else {
                let text = Text::literal(format!("Bearer {token}"));
                request.header("Authorization", text, mark, &what, context);
            }
        }
        "oauth2-cc" if is_http => {
            let mut oauth2 = OAuth2 {
                url: Text::literal(read("oauth_token_url")),
                id: Text::literal(read("oauth_client_id")),
                secret: Text::literal(read("oauth_client_secret")),
                in_body: read("oauth_auth_method") == "client_secret_post",
                ..OAuth2::default()
            };
            oauth2.scopes = read("oauth_scopes").split_whitespace().map(Text::literal).collect();
            let audience = read("oauth_audience");
            if !audience.is_empty() {
                oauth2.parameters.push(("audience".to_owned(), Text::literal(audience)));
            }
            oauth2.put(mark, &what, request, context);
        }
        "mtls" => {
            let message = format!(
                "`authMethod` of {what} is left out: write its `tlsCert`, `tlsKey` and `tlsCa` to \
                 files, and name these in `tls-client-certificate`, `tls-client-key` and `tls-ca`"
            );
            context.note(mark, message);
        }
        "null" | "none" => {}
        other => {
            let other = shown(other);
            let message =
                format!("`authMethod` of {what} is left out: there is no login by `{other}`");
            context.note(mark, message);
        }
    }
}

fn login(
    user: &str,
    password: &str,
    mark: Mark,
    what: &str,
    request: &mut Request,
    is_http: bool,
    context: &mut Context<'_>,
) {
    if is_http {
        basic(user, password, mark, what, request, context);
    } else {
        request.basic_auth(user, password, mark, what, context);
    }
}

/// `accepted_statuscodes`: codes and ranges, as ours.
fn statuses(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((list, mark)) = fields.texts("accepted_statuscodes", context) else { return };
    let what = fields.what();
    for (text, mark) in list {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=999).contains(code));
        match code(low).zip(code(high)) {
            Some((low, high)) if low <= high => request.expect_status.push((low, high)),
            _ => {
                let text = shown(text);
                let message = format!(
                    "`{text}` in `accepted_statuscodes` of {what} is left out: it is no code"
                );
                context.note(mark, message);
            }
        }
    }
    if request.expect_status.is_empty() {
        context.note(mark, format!("{what} accepts no status; ours accepts 200 to 299"));
    }
}

/// A path of JSONata that is a path here too, and what is expected there.
fn json_query(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Text> {
    let what = fields.what().to_owned();
    let (path, mark) = word(fields, "jsonPath").unwrap_or(("$", Mark::default()));
    let how = word(fields, "jsonPathOperator").map_or("==", |(how, _)| how);
    let expected = word(fields, "expectedValue").map_or("", |(text, _)| text);
    let plain = path.strip_prefix("$.").or_else(|| path.strip_prefix('$')).unwrap_or(path);
    let begin = if plain.starts_with('[') { "[BODY]" } else { "[BODY]." };
    let left = format!("{begin}{plain}");
    let fails = match how {
        "contains" => expression::path(&left)
            .map(|path| format!("!string({path}).contains({})", expression::quoted(expected))),
        _ => expression::fails(&left, how, expected),
    };
    if fails.is_none() || plain.is_empty() {
        let path = shown(path);
        let message = format!(
            "`jsonPath` of {what} is left out: nothing says the same of `{path}`; `fail` takes \
             conditions over `json`"
        );
        context.note(mark, message);
        return None;
    }
    context.note_once(
        mark,
        "conditions on JSON compare what it holds: a number in quotes is a text, and no number \
         (Uptime Kuma compares both as text)",
    );
    fails.map(Text::literal)
}

/// Certificates and addresses.
fn connection(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let url = request.url.as_ref().map_or("", Text::as_str);
    let is_tls = url.starts_with("https://") || url.starts_with("wss://");
    let ignores = flag(fields, "ignoreTls").is_some_and(|(ignores, _)| ignores);
    request.tls_insecure = ignores && is_tls;
    if let Some((true, mark)) = flag(fields, "expiryNotification")
        && is_tls
    {
        context.note_once(
            mark,
            "`expiryNotification` is a warning 21 days before a certificate expires, as it is \
             there unless its settings say other days",
        );
        request.certificate_days = Some(CERTIFICATE_DAYS);
    }
    match word(fields, "ipFamily") {
        Some(("ipv4", _)) => request.address_family = Some("ipv4"),
        Some(("ipv6", _)) => request.address_family = Some("ipv6"),
        _ => {}
    }
}

/// The proxy of that number, where the file has it.
fn proxy(
    fields: &mut Fields<'_>,
    proxies: &[&Node],
    request: &mut Request,
    context: &mut Context<'_>,
) {
    let Some((id, mark)) = word(fields, "proxyId") else { return };
    let what = fields.what();
    let found = proxies.iter().find(|node| text(node, "id") == Some(id));
    let place = found.and_then(|node| {
        let protocol = text(node, "protocol").filter(|word| matches!(*word, "http" | "https"))?;
        Some((protocol, text(node, "host")?, text(node, "port")?, *node))
    });
    let Some((protocol, host, port, node)) = place else {
        let why = match found {
            Some(_) => "only proxies of HTTP are gone through",
            None => "the file does not say which proxy it is",
        };
        context.note(mark, format!("`proxyId` of {what} is left out: {why}"));
        return;
    };
    let user = match (text(node, "username"), text(node, "password")) {
        (Some(user), password) => {
            format!("{}:{}@", encoded(user), encoded(password.unwrap_or_default()))
        }
        _ => String::new(),
    };
    let url = Text::literal(format!("{protocol}://{user}{host}:{port}"));
    note_credentials(&url, mark, what, context);
    request.proxy = Some(url);
}

/// A user or a password as URLs hold them.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
