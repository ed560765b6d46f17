//! Monitors of everything but HTTP.

use super::monitor::{CERTIFICATE_DAYS, Made, flag, seconds, word};
use super::request::encoded;
use crate::import::context::{Context, Fields, shown};
use crate::import::gatus::expression::quoted;
use crate::import::http::{Request, note_credentials};
use crate::import::timing;
use crate::import::write::{Item, Text};
use crate::import::yaml::{Node, Value};

/// Why a type is left out.
const WITHOUT_KIND: &[(&str, &str)] = &[
    ("real-browser", "no browser is run; the kind `http` looks at the same page without one"),
    ("json-query", "it has no `url`"),
    ("steam", "ask the server itself with the kind `udp`"),
    ("gamedig", "ask the server itself with the kind `udp`"),
    ("sqlserver", "there is no kind for it; the kind `tcp` looks at the port"),
    ("oracledb", "there is no kind for it; the kind `tcp` looks at the port"),
    ("radius", "there is no kind for it; the kind `exec` runs `check_radius`"),
    ("snmp", "there is no kind for it; the kind `exec` runs `check_snmp`"),
    ("kafka-producer", "there is no kind for it; the kind `tcp` looks at a broker's port"),
    ("sip-options", "there is no kind for it; the kind `exec` can run what asks"),
    ("tailscale-ping", "the kind `icmp` pings the same address"),
    ("globalping", "nobody else is asked to look"),
    ("manual", "a state that is set by hand is a check of the kind `push`"),
    ("pm2", "the kind `exec` can ask"),
];

/// Why there is no check of this type.
pub(super) fn why_not(sort: &str) -> &'static str {
    let found = WITHOUT_KIND.iter().find(|(name, _)| *name == sort);
    found.map_or("it does not say what to ask, or there is no kind for it", |(_, why)| why)
}

/// What a type comes to, if there is a kind for it and the monitor says whom to ask.
pub(super) fn read(fields: &mut Fields<'_>, sort: &str, context: &mut Context<'_>) -> Option<Made> {
    let mut request = Request::default();
    let mut fail = Vec::new();
    let kind = match sort {
        "port" => {
            request.target = Some(target(fields, None)?);
            port(fields, &mut request, context);
            "tcp"
        }
        "ping" => {
            request.target = Some(Text::literal(word(fields, "hostname")?.0));
            ping(fields, &mut request, context);
            "icmp"
        }
        "dns" => {
            dns(fields, &mut request, &mut fail, context)?;
            "dns"
        }
        "push" => {
            push(fields, &mut request, context);
            "push"
        }
        "docker" => {
            let (container, _) = word(fields, "docker_container")?;
            request.further.push(("container", Item::from(container)));
            left_out(
                fields,
                "docker_host",
                "write `socket` unless it is Docker's usual one",
                context,
            );
            "docker"
        }
        "mqtt" => {
            mqtt(fields, &mut request, context)?;
            "mqtt"
        }
        "postgres" | "mysql" | "redis" | "mongodb" => {
            database(fields, sort, &mut request, context)?;
            match sort {
                "postgres" => "postgres",
                "mysql" => "mysql",
                "redis" => "redis",
                _ => "mongodb",
            }
        }
        "grpc-keyword" => {
            grpc(fields, &mut request, context)?;
            "grpc"
        }
        "smtp" => {
            request.target = Some(target(fields, Some("25"))?);
            match word(fields, "smtpSecurity") {
                Some(("secure", _)) => request.tls = true,
                Some(("starttls", _)) => request.further.push(("starttls", Item::from(true))),
                _ => {}
            }
            "smtp"
        }
        "ntp" => {
            request.target = Some(target(fields, Some("123"))?);
            ntp(fields, &mut request, &mut fail);
            "ntp"
        }
        "system-service" => {
            let (unit, _) = word(fields, "system_service_name")?;
            request.further.push(("unit", Item::from(unit)));
            "systemd"
        }
        _ => return None,
    };
    Some(Made { kind, request, fail })
}

fn left_out(fields: &mut Fields<'_>, key: &str, why: &str, context: &mut Context<'_>) {
    if let Some((_, mark)) = word(fields, key) {
        let what = fields.what();
        context.note(mark, format!("`{key}` of {what} is left out: {why}"));
    }
}

/// Host and port.
fn target(fields: &mut Fields<'_>, usual: Option<&str>) -> Option<Text> {
    let (host, _) = word(fields, "hostname")?;
    let port = match (word(fields, "port").filter(|(port, _)| *port != "0"), usual) {
        (Some((port, _)), _) => port,
        (None, Some(usual)) => usual,
        (None, None) => word(fields, "port")?.0,
    };
    Some(Text::literal(format!("{}:{port}", bracketed(host))))
}

/// An IPv6 address needs brackets where a port follows.
fn bracketed(host: &str) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// TLS of the type `port`, which is only looked at for how long certificates last.
fn port(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let expires = flag(fields, "expiryNotification").is_some_and(|(expires, _)| expires);
    match word(fields, "smtpSecurity") {
        Some(("secure", _)) if expires => {
            request.tls = true;
            request.certificate_days = Some(CERTIFICATE_DAYS);
            let ignores = flag(fields, "ignoreTls").is_some_and(|(ignores, _)| ignores);
            request.tls_insecure = ignores;
        }
        Some(("starttls", mark)) if expires => {
            let what = fields.what();
            let message = format!(
                "`smtpSecurity` of {what} is left out: write `starttls` with the protocol that is \
                 spoken there, and `certificate-days`"
            );
            context.note(mark, message);
        }
        _ => {}
    }
    if word(fields, "expectedTlsAlert").is_some_and(|(alert, _)| alert != "none") {
        let why = "a refusal of TLS fails; `invert` lets it pass";
        left_out(fields, "expectedTlsAlert", why, context);
    }
}

fn ping(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let what = fields.what().to_owned();
    let keys = [("packetSize", "size", 16, 65_000), ("ping_count", "packets", 1, 20)];
    for (key, ours, low, high) in keys {
        let Some((number, mark)) = fields.integer(key, context).filter(|(n, _)| *n != 0) else {
            continue;
        };
        let within = number.clamp(low, high);
        if within != number {
            let message = format!("`{key}` of {what} becomes {within} (found {number})");
            context.note(mark, message);
        }
        let item = match ours {
            "size" => Item::from(&*format!("{within}B")),
            _ => Item::from(within),
        };
        request.further.push((ours, item));
    }
    let why = "packets are waited for until the timeout";
    left_out(fields, "ping_per_request_timeout", why, context);
}

fn dns(
    fields: &mut Fields<'_>,
    request: &mut Request,
    fail: &mut Vec<Text>,
    context: &mut Context<'_>,
) -> Option<()> {
    let (name, _) = word(fields, "hostname")?;
    let sort = word(fields, "dns_resolve_type").map_or("A", |(sort, _)| sort);
    request.further.push(("query-name", Item::from(name)));
    request.further.push(("query-type", Item::from(sort)));
    let port = word(fields, "port").map_or("53", |(port, _)| port);
    if let Some((servers, _)) = word(fields, "dns_resolve_server") {
        let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        let servers: Vec<Item> = servers
            .map(|server| match port {
                "53" | "0" => Item::from(server),
                _ => Item::from(&*format!("{}:{port}", bracketed(server))),
            })
            .collect();
        if !servers.is_empty() {
            request.further.push(("server", Item::one_or_many(servers)));
        }
    }
    let what = fields.what().to_owned();
    if let Some(pair) = fields.take("conditions") {
        let whole = matches!(sort, "A" | "AAAA");
        match conditions(&pair.node, "record", "a").filter(|_| whole) {
            Some(text) if text.is_empty() => {}
            Some(text) => fail.push(Text::literal(format!("!answers.exists(a, {text})"))),
            None => {
                let message = format!(
                    "`conditions` of {what} are left out: write `expect-answers`, or `fail` with \
                     conditions over `answers`"
                );
                context.note(pair.mark, message);
            }
        }
    }
    Some(())
}

/// A list of expressions over one variable as one of ours; empty for none.
fn conditions(node: &Node, variable: &str, ours: &str) -> Option<String> {
    let Value::List(list) = &node.value else { return node.is_null().then(String::new) };
    let mut text = String::new();
    for node in list {
        if super::text(node, "type") != Some("expression")
            || super::text(node, "variable") != Some(variable)
        {
            return None;
        }
        let value = quoted(super::text(node, "value").unwrap_or_default());
        let (not, call) = match super::text(node, "operator")? {
            "equals" => ("", format!("{ours} == {value}")),
            "not_equals" => ("", format!("{ours} != {value}")),
            "contains" => ("", format!("{ours}.contains({value})")),
            "not_contains" => ("!", format!("{ours}.contains({value})")),
            "starts_with" => ("", format!("{ours}.startsWith({value})")),
            "not_starts_with" => ("!", format!("{ours}.startsWith({value})")),
            "ends_with" => ("", format!("{ours}.endsWith({value})")),
            "not_ends_with" => ("!", format!("{ours}.endsWith({value})")),
            _ => return None,
        };
        // They are taken one after the other, whatever is between them.
        text = match (text.is_empty(), super::text(node, "andOr")) {
            (true, _) => format!("{not}{call}"),
            (false, Some("or")) => format!("({text}) || {not}{call}"),
            (false, _) => format!("({text}) && {not}{call}"),
        };
    }
    Some(text)
}

fn push(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let what = fields.what().to_owned();
    let interval = seconds(fields, "interval", context);
    // A second more, for clocks that differ.
    let ttl = interval.map_or(60, |(interval, _)| interval.as_secs()).clamp(1, 34_559_999) + 1;
    request.further.push(("ttl", Item::from(&*format!("{ttl}s"))));
    if let Some((_, mark)) = word(fields, "pushToken") {
        let message = format!(
            "`pushToken` of {what} is left out: only its hash is written down, as `token-hash = \
             \"sha256:...\"` with what `sha256sum` says of it (its clients then push as before)"
        );
        context.note(mark, message);
    }
    for key in ["retryInterval", "timeout"] {
        left_out(fields, key, "nothing is asked", context);
    }
}

fn mqtt(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) -> Option<()> {
    let what = fields.what().to_owned();
    let (host, mark) = word(fields, "hostname")?;
    let (scheme, host) = host.split_once("://").unwrap_or(("mqtt", host));
    if !matches!(scheme, "mqtt" | "mqtts") {
        let scheme = shown(scheme);
        context
            .note(mark, format!("the broker of {what} is asked over `{scheme}`, and here is not"));
        return None;
    }
    let port = word(fields, "port").map(|(port, _)| format!(":{port}")).unwrap_or_default();
    let password = word(fields, "mqttPassword");
    let user = word(fields, "mqttUsername").map(|(user, _)| match password {
        Some((password, _)) => format!("{}:{}@", encoded(user), encoded(password)),
        None => format!("{}@", encoded(user)),
    });
    let host = bracketed(host);
    let url = Text::literal(format!("{scheme}://{}{host}{port}", user.unwrap_or_default()));
    note_credentials(&url, mark, &what, context);
    request.url = Some(url);
    let why = "no message of others is waited for; with `topic` one of our own must come back";
    for key in ["mqttTopic", "mqttSuccessMessage", "jsonPath", "expectedValue"] {
        left_out(fields, key, why, context);
    }
    Some(())
}

fn database(
    fields: &mut Fields<'_>,
    sort: &str,
    request: &mut Request,
    context: &mut Context<'_>,
) -> Option<()> {
    let what = fields.what().to_owned();
    let (url, mark) = word(fields, "databaseConnectionString")?;
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let schemes: &[&str] = match sort {
        "postgres" => &["postgres", "postgresql"],
        "mysql" => &["mysql", "mariadb"],
        "redis" => &["redis", "rediss"],
        _ => &["mongodb"],
    };
    if !schemes.contains(&scheme) {
        let list = schemes.join("://`, `");
        let message =
            format!("the connection string of {what} is none that is known here (`{list}://`)");
        context.note(mark, message);
        return None;
    }
    let mut url = url.to_owned();
    // The password has a field of its own, which is that of another type.
    if sort == "mysql"
        && let Some((password, _)) = word(fields, "radiusPassword")
        && let Some((user, rest)) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'))
    {
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        url = format!("{scheme}://{user}:{}@{rest}", encoded(password));
    }
    let url = Text::literal(url);
    note_credentials(&url, mark, &what, context);
    request.url = Some(url);
    match sort {
        "postgres" | "mysql" => {
            if let Some((query, _)) = word(fields, "databaseQuery") {
                request.further.push(("query", Item::from(query)));
            }
            if let Some(pair) = fields.take("conditions")
                && !matches!(&pair.node.value, Value::List(list) if list.is_empty())
            {
                match expected(&pair.node) {
                    Some(value) => request.further.push(("expect", Item::from(value))),
                    None => {
                        let message = format!(
                            "`conditions` of {what} are left out: write `fail` with conditions \
                             over `value`"
                        );
                        context.note(pair.mark, message);
                    }
                }
            }
        }
        "redis" => {
            let ignores = flag(fields, "ignoreTls").is_some_and(|(ignores, _)| ignores);
            request.tls_insecure = ignores && scheme == "rediss";
        }
        _ => {
            for key in ["databaseQuery", "jsonPath", "expectedValue"] {
                left_out(fields, key, "the server is asked for a sign of life", context);
            }
        }
    }
    Some(())
}

/// The value of the only condition, if that is that the result equals it.
fn expected(node: &Node) -> Option<&str> {
    let Value::List(list) = &node.value else { return None };
    let [only] = list.as_slice() else { return None };
    let is = |key, word| super::text(only, key) == Some(word);
    (is("type", "expression") && is("variable", "result") && is("operator", "equals"))
        .then(|| super::text(only, "value"))?
}

fn grpc(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) -> Option<()> {
    let what = fields.what().to_owned();
    let (url, mark) = word(fields, "grpcUrl")?;
    let target = url.split_once("://").map_or(url, |(_, target)| target);
    request.target = Some(Text::literal(target.trim_end_matches('/')));
    request.tls = flag(fields, "grpcEnableTls").is_some_and(|(tls, _)| tls);
    let message =
        format!("{what} asks `grpc.health.v1` how the server is, and calls no method of its own");
    context.note(mark, message);
    for key in
        ["grpcServiceName", "grpcMethod", "grpcBody", "grpcProtobuf", "grpcMetadata", "keyword"]
    {
        left_out(fields, key, "the method is that of `grpc.health.v1`", context);
    }
    Some(())
}

/// How far the clocks may differ and who may be asked, in milliseconds and strata.
fn ntp(fields: &mut Fields<'_>, request: &mut Request, fail: &mut Vec<Text>) {
    let mut number = |key: &str, usual: u64| {
        let found = word(fields, key).and_then(|(text, _)| text.parse().ok());
        found.filter(|number| (1..=86_400_000).contains(number)).unwrap_or(usual)
    };
    let show = |milliseconds| timing::show(std::time::Duration::from_millis(milliseconds));
    let offset = show(number("ntpTimeOffsetThreshold", 1000));
    let dispersion = show(number("ntpRootDispersionThreshold", 500));
    let stratum = number("ntpStratumThreshold", 5);
    request.further.push(("max-offset", Item::from(&*offset)));
    fail.push(Text::literal(format!("stratum > {stratum}")));
    fail.push(Text::literal(format!("root-dispersion > {dispersion}")));
}
