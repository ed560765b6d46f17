//! `client` of an endpoint: how it is asked.

use std::net::IpAddr;
use std::time::Duration;

use super::endpoint::{Kind, duration};
use super::text;
use crate::import::context::{Context, Fields, shown};
use crate::import::http::{OAuth2, Request, note_credentials};
use crate::import::timing::Timing;
use crate::import::write::Item;

/// Reads it into the request and the timeout.
pub(super) fn read(
    fields: &mut Fields<'_>,
    kind: Kind,
    request: &mut Request,
    timing: &mut Timing,
    context: &mut Context<'_>,
) {
    let Some((mut client, _)) = fields.fields("client", context) else { return };
    let what = client.what().to_owned();
    let is_http = kind == Kind::Http;
    if let Some((true, mark)) = client.boolean("insecure", context) {
        match kind.may_speak_tls() {
            true => request.tls_insecure = true,
            false => context.note(mark, format!("`insecure` of {what} is left out: no TLS")),
        }
    }
    if let Some((true, mark)) = client.boolean("ignore-redirect", context) {
        match is_http {
            true => request.redirects = Some(0),
            false => {
                context.note(mark, format!("`ignore-redirect` of {what} is left out: no HTTP"));
            }
        }
    }
    if let Some((timeout, mark)) = duration(&mut client, "timeout", context)
        && timeout > Duration::ZERO
    {
        (timing.timeout, timing.timeout_mark) = (timeout, mark);
    }
    if let Some((url, mark)) = client.text("proxy-url", context) {
        let proxy = text::text(url, mark, &what, context);
        if is_http {
            note_credentials(&proxy, mark, &what, context);
            request.proxy = Some(proxy);
        } else {
            context.note(mark, format!("`proxy-url` of {what} is left out: only HTTP has it"));
        }
    }
    resolver(&mut client, kind, request, context);
    certificate(&mut client, kind, request, context);
    if let Some((word, mark)) = client.text("network", context) {
        let family = match word {
            "ip4" => Some("ipv4"),
            "ip6" => Some("ipv6"),
            _ => None,
        };
        match (kind, word) {
            (_, "ip") if kind == Kind::Icmp => {}
            (Kind::Icmp, _) if family.is_some() => request.address_family = family,
            (Kind::Icmp, _) => {
                let found = shown(word);
                let message = format!("`network` of {what} is left out: there is no `{found}`");
                context.note(mark, message);
            }
            _ => context.note(mark, format!("`network` of {what} is left out: it is of pings")),
        }
    }
    if let Some((true, mark)) = client.boolean("store-cookies", context) {
        let why = "cookies are kept within a run, and not from run to run";
        context.note(mark, format!("`store-cookies` of {what} is left out: {why}"));
    }
    oauth2(&mut client, kind, request, context);
    client.leave_out(
        &[
            ("identity-aware-proxy", "no token is fetched; write the header `Authorization`"),
            ("tunnel", "there are no tunnels"),
        ],
        context,
    );
    client.finish(context);
}

/// `dns-resolver`, such as `udp://9.9.9.9:53`.
fn resolver(client: &mut Fields<'_>, kind: Kind, request: &mut Request, context: &mut Context<'_>) {
    let Some((url, mark)) = client.text("dns-resolver", context) else { return };
    let what = client.what();
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let why = match (kind, is_address) {
        (Kind::Http, true) => {
            request.further.push(("resolver", Item::from(place)));
            return;
        }
        (Kind::Http, false) => "`resolver` takes addresses, and no names",
        _ => "only the kind `http` has a resolver of its own",
    };
    context.note(mark, format!("`dns-resolver` of {what} is left out: {why}"));
}

/// `tls`: the certificate that we show.
fn certificate(
    client: &mut Fields<'_>,
    kind: Kind,
    request: &mut Request,
    context: &mut Context<'_>,
) {
    let Some((mut tls, mark)) = client.fields("tls", context) else { return };
    let what = tls.what().to_owned();
    if !kind.may_speak_tls() {
        context.note(mark, format!("`tls` of {} is left out: no TLS", client.what()));
        return;
    }
    let keys =
        [("certificate-file", "tls-client-certificate"), ("private-key-file", "tls-client-key")];
    for (key, ours) in keys {
        if let Some((path, mark)) = tls.text(key, context) {
            let path = text::text(path, mark, &what, context);
            request.further.push((ours, Item::from(path)));
        }
    }
    tls.leave_out(&[("renegotiation", "TLS is not negotiated again")], context);
    tls.finish(context);
}

fn oauth2(client: &mut Fields<'_>, kind: Kind, request: &mut Request, context: &mut Context<'_>) {
    let Some((mut fields, mark)) = client.fields("oauth2", context) else { return };
    let what = fields.what().to_owned();
    if kind != Kind::Http {
        let message = format!("`oauth2` of {} is left out: only HTTP has it", client.what());
        context.note(mark, message);
        return;
    }
    let mut taken = |key, context: &mut Context<'_>| {
        let (written, mark) = fields.text(key, context)?;
        Some(text::text(written, mark, &what, context))
    };
    let mut oauth2 = OAuth2 {
        url: taken("token-url", context).unwrap_or_default(),
        id: taken("client-id", context).unwrap_or_default(),
        secret: taken("client-secret", context).unwrap_or_default(),
        ..OAuth2::default()
    };
    if let Some((scopes, _)) = fields.texts("scopes", context) {
        let scopes = scopes.into_iter().filter(|(scope, _)| !scope.is_empty());
        oauth2.scopes =
            scopes.map(|(scope, mark)| text::text(scope, mark, &what, context)).collect();
    }
    fields.finish(context);
    oauth2.put(mark, &what, request, context);
}
