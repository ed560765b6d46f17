//! Routes that tools know by their paths: metrics, badges, and health as others answer it.

use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, EXPIRES, HeaderValue};
use wellcheck_core::format::{
    Format, Selection, by_name, clearskies, gatus as gatus_format, kubernetes, shields,
};
use wellcheck_core::snapshot::Item;

use super::endpoints::{Depends, send};
use super::{Answer, App, Asked};

/// The aggregate in one format.
fn aggregate(app: &App, asked: &Asked<'_>, name: &str, depends: Depends) -> Answer {
    let (index, _) = by_name(name).expect("in the table of formats");
    send(asked.headers, app.shared.load().aggregate(index), None, depends)
}

/// One check or group in one format.
fn rendered(format: &dyn Format, selection: &Selection<'_>) -> Answer {
    let body = format.render(selection);
    Answer::new(format.code(selection), format.media_type(), body.into())
}

fn one(app: &App, name: &str, format: &str) -> Answer {
    let published = app.shared.load();
    let Some(item) = published.snapshot.item(name) else { return Answer::unknown_check(name) };
    let (_, format) = by_name(format).expect("in the table of formats");
    rendered(format, &Selection::item(&published.snapshot, item))
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
    let selection = Selection::all(&published.snapshot);
    let asked = kubernetes::Asked { endpoint: "healthz", exclude: &exclude, verbose };
    let (code, text) = kubernetes::all(&kubernetes::looks(&selection), asked, &[]);
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
    let format = if wants_openmetrics(asked.headers) { "openmetrics" } else { "prometheus" };
    aggregate(app, asked, format, Depends { accept: true, token: false })
}

/// Whether OpenMetrics is asked for by name, in a version that we have, and at least as much as
/// plain text. Whoever takes anything gets plain text.
fn wants_openmetrics(headers: &HeaderMap) -> bool {
    let (mut open, mut plain) = (0.0, 0.0);
    for value in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut quality, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            if media.eq_ignore_ascii_case("application/openmetrics-text")
                && version.is_none_or(|version| version == "1.0.0")
            {
                open = f32::max(open, quality);
            } else if media.eq_ignore_ascii_case("text/plain") {
                plain = f32::max(plain, quality);
            }
        }
    }
    open > 0.0 && open >= plain
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_name_it() {
        let wants = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, HeaderValue::from_str(value).expect("a value"));
            }
            wants_openmetrics(&headers)
        };
        // As Prometheus asks.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert!(wants(&[prometheus]));
        assert!(wants(&["application/openmetrics-text"]));
        assert!(wants(&[
            "text/plain;q=0.3",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.4"
        ]));
        for plain in [
            "",
            "*/*",
            "text/html,*/*;q=0.8",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.1,text/plain",
        ] {
            assert!(!wants(&[plain]), "{plain}");
        }
        assert!(!wants(&[]));
    }
}
