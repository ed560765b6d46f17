//! Routes that tools know by their paths: metrics, badges, and health as others answer it.

use http::header::{CACHE_CONTROL, EXPIRES, HeaderValue};
use wellcheck_core::exposition::Dialect;
use wellcheck_core::format::{
    Selection, by_name, clearskies, gatus as gatus_format, kubernetes, shields,
};
use wellcheck_core::snapshot::Item;

use super::endpoints::{Depends, send};
use super::{Answer, App, Asked, accept};

/// The aggregate in one format.
fn aggregate(app: &App, asked: &Asked<'_>, name: &str, depends: Depends) -> Answer {
    let (index, _) = by_name(name).expect("in the table of formats");
    send(asked.headers, app.shared.load().aggregate(index), None, depends)
}

/// One check or group in one format.
fn one(app: &App, name: &str, format: &str) -> Answer {
    let published = app.shared.load();
    let Some(item) = published.snapshot.item(name) else { return Answer::unknown_check(name) };
    let (index, format) = by_name(format).expect("in the table of formats");
    let rendered = published.item(item, index);
    Answer::new(rendered.code, format.media_type(), rendered.plain.body.clone())
}

/// `GET /health-check`; there is nothing at this path for other methods.
pub(super) fn clearskies_envelope(app: &App, asked: &Asked<'_>) -> Answer {
    if *asked.method == http::Method::GET {
        aggregate(app, asked, "clearskies", Depends::default())
    } else {
        Answer::json_bytes(404, clearskies::not_found().into())
    }
}

/// `/healthz`
pub(super) fn healthz(app: &App, asked: &Asked<'_>) -> Answer {
    let verbose = asked.has("verbose");
    let exclude = asked.values("exclude");
    if !verbose && exclude.is_empty() {
        return aggregate(app, asked, "kubernetes", Depends::default());
    }
    let published = app.shared.load();
    let asked = kubernetes::Asked { endpoint: "healthz", exclude: &exclude, verbose };
    let (code, text) = published.unkept(|| {
        let selection = Selection::all(&published.snapshot);
        kubernetes::all(&kubernetes::looks(&selection), asked, &[])
    });
    Answer::text(code, text)
}

/// `/healthz/{name}`
pub(super) fn healthz_one(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    let Some(item) = published.snapshot.item(asked.name) else {
        return Answer::unknown_check(asked.name);
    };
    let why = match item {
        Item::Check(check) => check.message().to_owned(),
        Item::Group(group) => group.message(),
    };
    let (code, text) = kubernetes::one(kubernetes::verdict(item), &why);
    Answer::text(code, text)
}

/// `/metrics`
pub(super) fn metrics(app: &App, asked: &Asked<'_>) -> Answer {
    let format = match accept::dialect(asked.headers) {
        Dialect::OpenMetrics => "openmetrics",
        Dialect::Prometheus => "prometheus",
    };
    aggregate(app, asked, format, Depends { accept: true, token: false })
}

/// `/badge/{name}.json`; `status`, which is no name of a check, is everything.
pub(super) fn badge(app: &App, asked: &Asked<'_>) -> Answer {
    match asked.name {
        "status" => aggregate(app, asked, "shields", Depends::default()),
        name => one(app, name, "shields"),
    }
}

/// `/api/v1/endpoints/statuses`
pub(super) fn gatus(app: &App, asked: &Asked<'_>) -> Answer {
    aggregate(app, asked, "gatus", Depends::default())
}

/// `/api/v1/endpoints/{name}/statuses`
pub(super) fn gatus_one(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    match gatus_format::by_key(&published.snapshot, asked.name) {
        Some(check) => one(app, check.spec.name.as_str(), "gatus"),
        None => Answer::unknown_check(asked.name),
    }
}

/// `/api/v1/endpoints/{name}/health/badge.shields`
pub(super) fn gatus_badge(app: &App, asked: &Asked<'_>) -> Answer {
    let published = app.shared.load();
    let Some(check) = gatus_format::by_key(&published.snapshot, asked.name) else {
        return Answer::unknown_check(asked.name);
    };
    Answer::json_bytes(200, shields::gatus(check).into())
        .with(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"))
        .with(EXPIRES, HeaderValue::from_static("0"))
}
