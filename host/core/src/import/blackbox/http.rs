//! The prober `http`, and what others share with it: TLS, credentials, proxies, addresses.

use super::fails;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::{BODY_NOTE, OAuth2, Request, is_secret};
use crate::import::write::{Item, Text};
use crate::import::yaml::Mark;

/// Largest `body-limit`.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// What is said of the size of bodies.
pub(super) const LIMIT_NOTE: &str = BODY_NOTE;

/// What is off unless it is switched on.
const SWITCHES: &[(&str, &str)] = &[("enable_http3", "HTTP/3 is not spoken")];

pub(super) fn request(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request::default();
    let what = fields.what().to_owned();
    let body = body(&mut fields, &mut request, context);
    let method = fields.text("method", context).map(|(method, _)| method);
    // Ours sends a body with POST unless told otherwise, the original with GET.
    let method = method.or(body.then_some("GET"));
    request.method = method.map(|method| Text::literal(method.to_ascii_uppercase()));
    status(&mut fields, &mut request, context);
    versions(&mut fields, &mut request, context);
    headers(&mut fields, &mut request, context);
    expectations(&mut fields, &mut request, context);
    fails::read(&mut fields, &mut request, context);
    follow(&mut fields, &mut request, context);
    client(&mut fields, &mut request, context);
    oauth2(&mut fields, &mut request, context);
    family(&mut fields, &mut request, context);
    compression(&mut fields, &mut request, context);
    for (key, why) in SWITCHES {
        if let Some((true, mark)) = fields.boolean(key, context) {
            context.note(mark, format!("`{key}` of {what} is left out: {why}"));
        }
    }
    fields.finish(context);
    request
}

/// Whether there is a body.
fn body(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) -> bool {
    if let Some((body, _)) = fields.text("body", context)
        && !body.is_empty()
    {
        request.body = Some(Text::literal(body));
    }
    if let Some((path, mark)) = fields.text("body_file", context) {
        let what = fields.what();
        context.note(
            mark,
            format!(
                "`body_file` of {what} is read together with the configuration, relative to the \
                 configuration file"
            ),
        );
        // There is one body, and this is the one that is sent there.
        request.body = None;
        request.further.push(("body-file", Item::from(path)));
        return true;
    }
    request.body.is_some()
}

/// A file's content, which the configuration reads when it is read itself.
fn file(path: &str, mark: Mark, key: &str, what: &str, context: &mut Context<'_>) -> Option<Text> {
    if path.is_empty() || path.contains(['}', '\n']) {
        let message = format!("`{key}` of {what} is left out: no reference can name such a path");
        context.note(mark, message);
        return None;
    }
    context.note(
        mark,
        format!(
            "`{key}` of {what} is read together with the configuration, relative to the \
             configuration file, without the line break at its end"
        ),
    );
    Some(Text::reference(&format!("file:{path}")))
}

fn status(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((list, _)) = fields.list("valid_status_codes", context) else { return };
    for node in list {
        match node.integer() {
            Some(code) if (100..=999).contains(&code) => request.expect_status.push((code, code)),
            _ => {
                let what = fields.what();
                let message =
                    format!("`valid_status_codes` of {what} holds no code from 100 to 999");
                context.error(node.mark, message);
            }
        }
    }
}

fn versions(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    if let Some((enabled, _)) = fields.boolean("enable_http2", context)
        && !enabled
    {
        request.http_version = Some("1.1");
    }
    let Some((versions, mark)) = fields.texts("valid_http_versions", context) else { return };
    let what = fields.what();
    let mut words: Vec<Item> = Vec::new();
    for (version, mark) in versions {
        match version {
            "HTTP/1.0" => words.push("1.0".into()),
            "HTTP/1.1" => words.push("1.1".into()),
            "HTTP/2" | "HTTP/2.0" => words.push("2".into()),
            other => {
                let message = format!(
                    "`{}` in `valid_http_versions` of {what} is left out: HTTP/1.0, HTTP/1.1 and \
                     HTTP/2 are known",
                    shown(other)
                );
                context.note(mark, message);
            }
        }
    }
    if words.is_empty() {
        let message = format!("`valid_http_versions` of {what} is left out: any version passes");
        context.note(mark, message);
    } else {
        request.further.push(("expect-http-version", Item::one_or_many(words)));
    }
}

fn headers(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    if let Some((headers, _)) = fields.fields("headers", context) {
        let what = headers.what().to_owned();
        for pair in headers.all() {
            match pair.node.text() {
                Some(text) => {
                    request.header(&pair.key, Text::literal(text), pair.mark, &what, context);
                }
                None => {
                    let kind = pair.node.kind();
                    let message = format!("a header in {what} is {kind} (expected a text)");
                    context.error(pair.node.mark, message);
                }
            }
        }
    }
    if let Some((headers, _)) = fields.fields("http_headers", context) {
        typed_headers(headers, request, context);
    }
}

/// Headers with `values`, `secrets` and `files`, of which the last one is sent.
pub(super) fn typed_headers(headers: Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let what = headers.what().to_owned();
    for pair in headers.all() {
        let name = shown(&pair.key);
        // The WebSocket prober's own example has a plain text here.
        if let Some(text) = pair.node.text() {
            request.header(&pair.key, Text::literal(text), pair.mark, &what, context);
            continue;
        }
        let Some(mut header) =
            Fields::of(&pair.node, format!("header `{name}` in {what}"), context)
        else {
            continue;
        };
        let mut found = Vec::new();
        for key in ["values", "secrets", "files"] {
            let Some((texts, _)) = header.texts(key, context) else { continue };
            for (text, mark) in texts {
                if key == "files" {
                    found.extend(file(text, mark, "files", header.what(), context));
                    continue;
                }
                if key == "secrets" && !is_secret(&pair.key) {
                    context.note(
                        mark,
                        format!(
                            "the secret of {} is carried over as it is (write `${{NAME}}` or \
                             `${{file:PATH}}` in its place)",
                            header.what()
                        ),
                    );
                }
                found.push(Text::literal(text));
            }
        }
        let several = found.len() > 1;
        if let Some(text) = found.pop() {
            request.header(&pair.key, text, pair.mark, &what, context);
        }
        if several {
            let message = format!("{} has several values; only the last is sent", header.what());
            context.note(pair.mark, message);
        }
        header.finish(context);
    }
}

fn expectations(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    if let Some((patterns, mark)) = fields.texts("fail_if_body_not_matches_regexp", context) {
        let key = "fail_if_body_not_matches_regexp";
        let usable = patterns.into_iter().filter(|pair| understood(*pair, key, fields, context));
        let usable: Vec<Text> = usable.map(|(pattern, _)| Text::literal(pattern)).collect();
        request.expect_body_matches.extend(usable);
        if !fields_limit(fields, request, context) {
            context.note_once(mark, BODY_NOTE);
        }
        return;
    }
    fields_limit(fields, request, context);
}

/// Whether a pattern means the same to us; a note if not.
fn understood(
    (pattern, mark): (&str, Mark),
    key: &str,
    fields: &Fields<'_>,
    context: &mut Context<'_>,
) -> bool {
    let foreign = pattern.contains("\\Q") || pattern.contains("\\C");
    if foreign {
        let what = fields.what();
        let message = format!(
            "`{}` in `{key}` of {what} is left out: `\\Q` and `\\C` are not understood (write the \
             pattern without them)",
            shown(pattern)
        );
        context.note(mark, message);
    }
    !foreign
}

fn compression(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((word, mark)) = fields.text("compression", context) else { return };
    match word {
        "gzip" | "br" | "deflate" => request.further.push(("compression", Item::from(word))),
        "" | "identity" => {}
        other => {
            let (what, other) = (fields.what(), shown(other));
            let message =
                format!("`compression` of {what} is left out: `{other}` is not understood");
            context.note(mark, message);
        }
    }
}

/// Whether there is a limit of the body.
fn fields_limit(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) -> bool {
    let Some((text, mark)) = fields.text("body_size_limit", context) else { return false };
    let what = fields.what();
    let Some(bytes) = base_2_bytes(text) else {
        let message = format!("`body_size_limit` of {what} is `{}` (expected a size)", shown(text));
        context.error(mark, message);
        return false;
    };
    let limit = if bytes == 0 { MAX_BODY } else { bytes.min(MAX_BODY) };
    if limit != bytes {
        let message = format!("`body_size_limit` of {what} becomes 16MiB, the most that is read");
        context.note(mark, message);
    }
    request.body_limit = Some(crate::units::exact_size(limit).replace(' ', ""));
    true
}

/// `10MB`, which is 10 MiB there, or a number of bytes.
fn base_2_bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let shift = match text[end..].trim() {
        "" | "B" => 0,
        "KB" | "KiB" | "K" => 10,
        "MB" | "MiB" | "M" => 20,
        "GB" | "GiB" | "G" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn follow(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let follow = fields.boolean("follow_redirects", context).map(|(follow, _)| follow);
    let no_follow = fields.boolean("no_follow_redirects", context).map(|(no, _)| !no);
    if no_follow.or(follow) == Some(false) {
        request.redirects = Some(0);
    }
}

/// What every HTTP client of Prometheus can be told.
pub(super) fn client(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let what = fields.what().to_owned();
    if let Some((auth, mark)) = fields.fields("basic_auth", context) {
        basic_auth(auth, mark, &what, request, context);
    }
    if let Some((mut auth, mark)) = fields.fields("authorization", context) {
        let scheme = auth.text("type", context).map_or("Bearer", |(scheme, _)| scheme);
        let scheme = Text::literal(format!("{scheme} "));
        if let Some((text, _)) = auth.text("credentials", context) {
            let text = scheme.clone().with(&Text::literal(text));
            request.header("Authorization", text, mark, &what, context);
        }
        if let Some((path, mark)) = auth.text("credentials_file", context)
            && let Some(text) = file(path, mark, "credentials_file", auth.what(), context)
        {
            request.header("Authorization", scheme.with(&text), mark, &what, context);
        }
        auth.finish(context);
    }
    let bearer = Text::literal("Bearer ");
    if let Some((token, mark)) = fields.text("bearer_token", context) {
        let text = bearer.clone().with(&Text::literal(token));
        request.header("Authorization", text, mark, &what, context);
    }
    if let Some((path, mark)) = fields.text("bearer_token_file", context)
        && let Some(text) = file(path, mark, "bearer_token_file", &what, context)
    {
        request.header("Authorization", bearer.with(&text), mark, &what, context);
    }
    let known = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if known {
        drop_basic(request, &what, context);
    }
    if let Some((url, mark)) = fields.text("proxy_url", context) {
        request.proxy = Some(Text::literal(url));
        crate::import::http::note_credentials(&Text::literal(url), mark, &what, context);
    }
    tls(fields, request, context);
    fields.leave_out(
        &[
            ("no_proxy", "a proxy is for every target of the module"),
            ("proxy_from_environment", "the environment's proxies are not used; write `proxy`"),
            ("proxy_connect_header", "nothing can be told to a proxy but its address"),
            ("skip_resolve_phase_with_proxy", "names are left to the proxy anyway"),
        ],
        context,
    );
}

/// Leaves out a user and password out of files, which are a key of their own.
pub(super) fn drop_basic(request: &mut Request, what: &str, context: &mut Context<'_>) {
    let before = request.further.len();
    request.further.retain(|(key, _)| *key != "basic");
    if before != request.further.len() {
        let message = format!(
            "`basic_auth` of {what} is left out: the header `Authorization` says who it is, and \
             none can be made of files"
        );
        context.note(Mark::default(), message);
    }
}

fn basic_auth(
    mut auth: Fields<'_>,
    mark: Mark,
    what: &str,
    request: &mut Request,
    context: &mut Context<'_>,
) {
    let mut part = |plain: &str, in_file: &str, context: &mut Context<'_>| {
        let text = auth.text(plain, context).map(|(text, _)| Text::literal(text));
        let path = auth.text(in_file, context);
        let read = path.and_then(|(path, mark)| file(path, mark, in_file, what, context));
        read.or(text).unwrap_or_default()
    };
    let user = part("username", "username_file", context);
    let password = part("password", "password_file", context);
    let managers = "no manager of secrets is asked (write `${NAME}` or `${file:PATH}`)";
    auth.leave_out(&[("username_ref", managers), ("password_ref", managers)], context);
    auth.finish(context);
    if user.refers() || password.refers() {
        let entries = vec![
            ("username".to_owned(), Item::from(user)),
            ("password".to_owned(), Item::from(password)),
        ];
        request.further.push(("basic", Item::Table(entries)));
    } else {
        let plain = |text: &Text| text.as_str().replace("$${", "${");
        request.basic_auth(&plain(&user), &plain(&password), mark, what, context);
    }
}

/// `oauth2`, of which the last way to say who we are is used.
fn oauth2(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((mut fields, mark)) = fields.fields("oauth2", context) else { return };
    let what = fields.what().to_owned();
    let mut text = |key, context: &mut Context<'_>| {
        fields.text(key, context).map(|(text, _)| Text::literal(text))
    };
    let mut oauth2 = OAuth2 {
        url: text("token_url", context).unwrap_or_default(),
        id: text("client_id", context).unwrap_or_default(),
        secret: text("client_secret", context).unwrap_or_default(),
        ..OAuth2::default()
    };
    if let Some((path, mark)) = fields.text("client_secret_file", context)
        && let Some(secret) = file(path, mark, "client_secret_file", &what, context)
    {
        oauth2.secret = secret;
    }
    if let Some((scopes, _)) = fields.texts("scopes", context) {
        oauth2.scopes = scopes.into_iter().map(|(scope, _)| Text::literal(scope)).collect();
    }
    if let Some((parameters, _)) = fields.fields("endpoint_params", context) {
        for pair in parameters.all() {
            match pair.node.text() {
                // It is the only grant that there is.
                Some("client_credentials") if pair.key == "grant_type" => {
                    let message = format!(
                        "`grant_type` of {what} is left out: tokens are asked for by client \
                         credentials anyway"
                    );
                    context.note(pair.mark, message);
                }
                Some(text) => oauth2.parameters.push((pair.key.clone(), Text::literal(text))),
                None => {
                    let name = shown(&pair.key);
                    let message = format!("`{name}` of {what} is left out: it is no text");
                    context.note(pair.mark, message);
                }
            }
        }
    }
    let same = "the token server is asked with the TLS keys and the proxy of the check itself";
    fields.leave_out(
        &[
            ("client_secret_ref", "write `${NAME}` or `${file:PATH}` as `client-secret`"),
            ("tls_config", same),
            ("proxy_url", same),
            ("no_proxy", same),
            ("proxy_from_environment", same),
            ("proxy_connect_header", same),
        ],
        context,
    );
    fields.finish(context);
    oauth2.put(mark, &what, request, context);
}

/// `tls_config`.
pub(super) fn tls(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let Some((mut tls, _)) = fields.fields("tls_config", context) else { return };
    let skip = tls.boolean("insecure_skip_verify", context).is_some_and(|(skip, _)| skip);
    request.tls_insecure = skip;
    if let Some((path, mark)) = tls.text("ca_file", context) {
        let what = tls.what();
        if skip {
            let message = format!("`ca_file` of {what} is left out: no certificate is verified");
            context.note(mark, message);
        } else {
            request.tls_ca = Some(Text::literal(path));
        }
    }
    if let Some((name, _)) = tls.text("server_name", context) {
        request.tls_server_name = Some(Text::literal(name));
    }
    let own = [("cert_file", "tls-client-certificate"), ("key_file", "tls-client-key")];
    for (key, ours) in own {
        if let Some((path, _)) = tls.text(key, context) {
            request.further.push((ours, Item::from(path)));
        }
    }
    let certificates = "write it to a file and name that in `tls-client-certificate`";
    let versions = "TLS 1.2 and 1.3 are spoken";
    tls.leave_out(
        &[
            ("cert", certificates),
            ("key", certificates),
            ("ca", "write it to a file and name that in `tls-ca`"),
            ("min_version", versions),
            ("max_version", versions),
        ],
        context,
    );
    tls.finish(context);
}

/// `preferred_ip_protocol` and `ip_protocol_fallback`.
pub(super) fn family(fields: &mut Fields<'_>, request: &mut Request, context: &mut Context<'_>) {
    let preferred = fields.text("preferred_ip_protocol", context);
    let fallback = fields.boolean("ip_protocol_fallback", context);
    let what = fields.what();
    if let Some((false, _)) = fallback {
        let word = preferred.map_or("ip6", |(word, _)| word);
        request.address_family = Some(if word == "ip4" { "ipv4" } else { "ipv6" });
    } else if let Some((word, mark)) = preferred {
        let word = shown(word);
        context.note(
            mark,
            format!(
                "`preferred_ip_protocol` of {what} is left out: `{word}` is only preferred there, \
                 and any address is taken here (`address-family` makes it a must)"
            ),
        );
    }
}
